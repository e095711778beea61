"""Rotations: how finely, and the codes of direction and roll."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from test_fixed import slow_exp2, slow_log2

from bitstream_spec.tables import ROTATION_LEVELS
from gscodec.branches.native.values import Rotations
from gscodec.errors import CorruptStreamError
from gscodec.transform.fixed import ONE
from gscodec.transform.rotation import decode_rotation, needles, quantise_rotation, rotation_levels, sorted_axes
from gscodec.transform.trellis import DEPENDENT, PLAIN


def slow_levels(scales: list[int], pixels: int, c: int, offsets: tuple[int, int]) -> tuple[bool, int, int]:
    """As FORMAT.md has it."""

    def dilated(g: int) -> int:
        if g < 0:
            return slow_log2(slow_exp2(2 * g) + 322122547) >> 1
        return g + (slow_log2(ONE + (322122547 * slow_exp2(-2 * g) >> 30)) >> 1)

    def shear(g: int) -> int:
        return g + slow_log2(ONE - slow_exp2(-2 * g))

    e1, e2, e3 = (dilated(min(max(scale + pixels, -(64 << 16)), 64 << 16)) for scale in scales)
    x, y = max(e1 - e2, 0), max(e2 - e3, 0)
    if x >= 65536:
        first = shear(x) + (slow_log2(ONE + (min(y, 196608) << 14)) >> 1)
        second = min(shear(y), 65536)
    else:
        first, second = min(shear(x + y), 65536), shear(x)
    weight = (c - 20) * 32768
    return (
        x >= 65536,
        *(min(max((v + weight + o) >> 14, 0), 52) for v, o in zip((first, second), offsets, strict=True)),
    )


def slow_quat(a: int, b: int, r: int, needle: bool, n: int, m: int) -> list[np.float32]:
    big_a, big_b = (2 * a + 1 - n) / n, (2 * b + 1 - n) / n
    px, py, pz = (big_a + big_b) * 0.5, (big_a - big_b) * 0.5, 1 - max(abs(big_a), abs(big_b))
    length = math.sqrt((px * px + py * py) + pz * pz)
    w, x, y = length + pz, -py, px
    t = (2 * r + 1 - m) / m
    u = t * (0.7853981633974483 + 0.2146018366025517 * (t * t))
    qw, qx, qy, qz = w, x + y * u, y - x * u, w * u
    if needle:
        qw, qx, qy, qz = (
            ((qw + qx) + qy) + qz, ((qx - qw) - qy) + qz, ((qy - qw) - qz) + qx, ((qz - qw) - qx) + qy,
        )  # fmt: skip
    norm = math.sqrt(((qw * qw + qx * qx) + qy * qy) + qz * qz)
    return [np.float32(v / norm) for v in (qw, qx, qy, qz)]


def test_levels_are_exact() -> None:
    rng = np.random.default_rng(0)
    scales = -np.sort(-rng.integers(-(20 << 16), 8 << 16, (400, 3)), axis=1)
    scales[:5], scales[5:10, 1:] = 1 << 22, -(1 << 22)
    pixels = rng.integers(-(1 << 17), 1 << 20, 400)
    pixels[:3] = 1 << 25
    weights = rng.integers(0, 32, 400).astype(np.uint8)
    needle = needles(scales, pixels)
    found = (needle, *rotation_levels(scales, pixels, weights, needle, 200000, 300000))
    expected = [slow_levels(scales[i].tolist(), int(pixels[i]), int(weights[i]), (200000, 300000)) for i in range(400)]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected
    assert 0 < found[0].sum() < 400


def codes_of(count: int, seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    needle = rng.integers(0, 2, count).astype(np.uint8)
    direction, roll = np.array(ROTATION_LEVELS)[rng.integers(0, 53, (2, count))]
    a, b, r = (rng.integers(0, levels) for levels in (direction, direction, roll))
    return a, b, r, needle, direction, roll


def test_decode_is_exact() -> None:
    codes = codes_of(500, 1)
    quats = np.empty((500, 4), np.float32)
    a, b, r, needle, direction, roll = codes
    points = Rotations(np.stack([a, b, r]), needle, (direction, roll), PLAIN).centres()
    decode_rotation(points[0], points[1], points[2], needle, quats)
    a, b, r, needle, direction, roll = (column.tolist() for column in codes)
    expected = [slow_quat(a[i], b[i], r[i], bool(needle[i]), direction[i], roll[i]) for i in range(500)]
    assert quats.tobytes() == np.array(expected, np.float32).tobytes()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_code_above_its_levels_is_named(which: int) -> None:
    a, b, r, needle, direction, roll = codes_of(10, 2)
    rotations = Rotations(np.stack([a, b, r]), needle, (direction, roll), PLAIN)
    rotations.check("ROTATION")
    rotations.codes[which, 7] = (direction, direction, roll)[which][7]
    rotations.codes[which, 9] = -1
    with pytest.raises(CorruptStreamError, match=re.escape("ROTATION[7]")):
        rotations.check("ROTATION")
    rotations.codes[which, 7] = 0
    with pytest.raises(CorruptStreamError, match=re.escape("ROTATION[9]")):
        rotations.check("ROTATION")


def angle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Between lines (not arrows) [n,3], radians; exact for small angles."""
    return np.arctan2(np.linalg.norm(np.cross(u, v), axis=1), np.abs((u * v).sum(axis=1)))


@pytest.mark.parametrize("needle", [0, 1])
@pytest.mark.parametrize("level", [24, 40, 52])
@pytest.mark.parametrize("machine", [PLAIN, DEPENDENT])
def test_axes_come_back_within_a_level(needle: int, level: int, machine: np.ndarray) -> None:
    rng = np.random.default_rng(level)
    quats = rng.normal(size=(2000, 4)).astype(np.float32)
    quats[:8] = np.concatenate([np.eye(4), [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [1, 1, 1, 1]]])
    scales = np.tile(np.array([0, -1, -2], np.float32), (2000, 1))
    _, axes = sorted_axes(scales, quats)
    which = np.full(2000, needle, np.uint8)
    same = np.full(2000, ROTATION_LEVELS[level], np.int64)
    back = np.empty((2000, 4), np.float32)
    codes = quantise_rotation(axes, which, same, same, machine)
    a, b, roll = Rotations(np.stack(codes).astype(np.int64), which, (same, same), machine).centres()
    decode_rotation(a, b, roll, which, back)
    # sorted_axes takes columns from long to short; the decoder's are in that order already
    _, found = sorted_axes(scales, back)
    n = ROTATION_LEVELS[level]
    main = 0 if needle else 2
    # Half a level of A and B is 1/n each: at most sqrt(2)/n of (px, py) and 1/n of pz; the octahedron is at least
    # 1/sqrt(3) away from the centre. A dependent code may be 1.75 levels off where levels end.
    n /= 1.0 if machine is PLAIN else 3.5
    tilt = 1.0 / n * math.sqrt(3) * math.sqrt(2)
    assert angle(axes[:, :, main], found[:, :, main]).max() <= tilt + 1e-6
    # Half a level of t is 1/n; the angle is 2 atan(u), which grows by less than 1.6 for each 1 of t
    assert angle(axes[:, :, 2 - main], found[:, :, 2 - main]).max() <= tilt + 1.6 / n + 1e-6


def test_sorted_axes_describe_the_same_ellipsoid() -> None:
    rng = np.random.default_rng(3)
    scales, quats = rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=(50, 4)).astype(np.float32)
    logs, axes = sorted_axes(scales, quats)
    assert (np.diff(logs, axis=1) <= 0).all()
    assert (np.sort(scales, axis=1)[:, ::-1] == logs).all()
    w, x, y, z = (quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float64).T
    # The x axis turned by the quaternion
    turned = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=1)
    rank = (scales[:, :1] < scales).sum(axis=1)
    np.testing.assert_allclose(axes[np.arange(50), :, rank], turned, atol=1e-6)


def test_sorted_axes_equal_a_plain_sort() -> None:
    rng = np.random.default_rng(5)
    scales = rng.integers(-2, 3, (200, 3)).astype(np.float32)  # many of them equal
    quats = rng.normal(size=(200, 4)).astype(np.float32)
    logs, axes = sorted_axes(scales, quats)
    for i in range(200):
        order = sorted(range(3), key=lambda axis: -scales[i, axis])  # stable
        w, x, y, z = quats[i].astype(np.float64) / np.linalg.norm(quats[i].astype(np.float64))
        turn = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        assert logs[i].tolist() == scales[i, order].tolist()
        np.testing.assert_allclose(axes[i], turn[:, order], atol=1e-12)


def test_axes_of_a_quaternion_zero_are_not_a_number() -> None:
    _, axes = sorted_axes(np.zeros((1, 3), np.float32), np.zeros((1, 4), np.float32))
    assert np.isnan(axes).all()
