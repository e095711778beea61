"""Part of the reference decoder: the chapter "The native branch" of FORMAT.md from OPACITY on, in its order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .reference_common import Planes, Table, float32, require
from .reference_geometry import (
    ENERGY,
    LEVELS,
    LN2,
    NEAR,
    ONE,
    Ints,
    Level,
    Params,
    Reals,
    Tile,
    clamp,
    class_steps,
    decode_geometry,
    exp2,
    log2,
    read,
    read_signed,
    weight_log,
)

# ---- OPACITY


def decode_opacity(data: bytes, tables: list[Table], params: Params, tile: Tile) -> bytes:
    """OPACITY: opacity logits."""
    planes = Planes(data, tables)
    c = tile.weight
    codes = read(planes, c * 8 + np.clip(((tile.place - tile.pixels) >> 16) + 6, 0, 7))
    planes.finish()
    tile.opacity_log = np.maximum(-codes * class_steps(params.opacity_step, 65536)[c], -24 * 65536)
    rest = np.maximum(ONE - exp2(tile.opacity_log), ONE >> 13)
    return float32((tile.opacity_log - log2(rest)) * LN2).tobytes()


# ---- SCALE


def predict_scale(predictor: Sequence[int], known: Sequence[Ints]) -> Ints:
    """The prediction from (b, f1, f2, ...) and the values that the factors belong to."""
    products = [f * value for f, value in zip(predictor[1:], known, strict=True)]
    return clamp((predictor[0] * 4096 + np.sum(products, axis=0)) >> 12, 1 << 22)


def decode_scale(data: bytes, tables: list[Table], params: Params, tile: Tile) -> bytes:
    """SCALE: log scales."""
    planes = Planes(data, tables)
    c = tile.weight
    step, ratio_step = class_steps(params.scale_step, 65536)[c], class_steps(params.ratio_step, 32768)[c]
    known = [weight_log(c), tile.place, tile.distance, tile.opacity_log]
    predicted = predict_scale(params.middle_predictor, known)
    middle = clamp(predicted + read_signed(planes, c) * step, 1 << 22)
    predicted = predict_scale(params.long_predictor, [*known, middle])
    long = clamp(predicted + read_signed(planes, 32 + c) * step, 1 << 22)
    r = read(planes, 64 + c * 4 + np.clip((long - middle) >> 16, 0, 3))
    planes.finish()
    t = np.where(r > 0, np.minimum(r, 1 << 20) * ratio_step, np.maximum(ratio_step >> 2, 1))
    short = clamp(middle + log2(np.minimum(t, 131072) << 14), 1 << 22)
    tile.scales = np.array([long, middle, short])
    return float32(tile.scales * LN2).T.tobytes()


# ---- ROTATION


def dilated(scale: Ints) -> Ints:
    """The log of a scale after the pixel filter."""
    small = log2(exp2(2 * scale) + 322122547) >> 1
    return np.where(scale < 0, small, scale + (log2(ONE + (322122547 * exp2(-2 * scale) >> 30)) >> 1))


def shear(g: Ints) -> Ints:
    """How far a turn shows between axes that are g apart."""
    return g + log2(ONE - exp2(-2 * g))


def fineness(params: Params, tile: Tile) -> tuple[Ints, Ints, Ints]:
    """How finely a rotation is coded: needle, direction, roll."""
    e1, e2, e3 = dilated(clamp(tile.scales + tile.pixels, 64 * 65536))
    x, y = np.maximum(e1 - e2, 0), np.maximum(e2 - e3, 0)
    needle = x >= 65536
    along = shear(x) + (log2(ONE + (np.minimum(y, 196608) << 14)) >> 1)
    first = np.where(needle, along, np.minimum(shear(x + y), 65536))
    second = np.where(needle, np.minimum(shear(y), 65536), shear(x))
    log = weight_log(tile.weight)
    direction = np.clip((first + log + params.direction_offset) >> 14, 0, 52)
    return needle.astype(np.int64), direction, np.clip((second + log + params.roll_offset) >> 14, 0, 52)


def centre(v: Ints, n: Ints) -> Reals:
    """The centre of level v of n levels over -1 .. 1."""
    return np.asarray((2 * v + 1 - n) / n)


def quaternions(a: Reals, b: Reals, t: Reals, needle: Ints) -> Reals:
    """The quaternions [4, n] of the centres A, B and t."""
    px, py, pz = (a + b) * 0.5, (a - b) * 0.5, 1 - np.maximum(np.abs(a), np.abs(b))
    w, x, y = np.sqrt((px * px + py * py) + pz * pz) + pz, -py, px
    u = t * (0.7853981633974483 + 0.2146018366025517 * (t * t))
    qw, qx, qy, qz = w, x + y * u, y - x * u, w * u
    turned = [((qw + qx) + qy) + qz, ((qx - qw) - qy) + qz, ((qy - qw) - qz) + qx, ((qz - qw) - qx) + qy]
    qw, qx, qy, qz = np.where(needle, turned, [qw, qx, qy, qz])
    norm = np.sqrt(((qw * qw + qx * qx) + qy * qy) + qz * qz)
    return np.array([qw / norm, qx / norm, qy / norm, qz / norm])


def decode_rotation(data: bytes, tables: list[Table], params: Params, tile: Tile) -> bytes:
    """ROTATION: quaternions."""
    planes = Planes(data, tables)
    needle, direction, roll = fineness(params, tile)
    a, b = read(planes, needle * 53 + direction), read(planes, needle * 53 + direction)
    r = read(planes, 106 + needle * 53 + roll)
    planes.finish()
    directions, rolls = LEVELS[direction], LEVELS[roll]
    fits = (a < directions) & (b < directions) & (r < rolls)
    require(bool(fits.all()), "ROTATION: code too large")
    centres = (centre(a, directions), centre(b, directions), centre(r, rolls))
    return float32(quaternions(*centres, needle)).T.tobytes()


# ---- Colours

U, A, B, C, D = 2.0**-20, 0.5773502691896258, 0.7071067811865476, 0.4082482904638631, 0.8164965809277261


def colours(o0: Ints, o1: Ints, o2: Ints) -> list[npt.NDArray[np.float32]]:
    """Columns red, green, blue from the opponent values."""
    bright, rb, g = o0 * U * A, o1 * U * B, o2 * U
    return [float32((bright + rb) + g * C), float32(bright - g * D), float32((bright - rb) + g * C)]


def decode_dc(data: bytes, tables: list[Table], params: Params, tile: Tile) -> tuple[bytes, list[Ints]]:
    """DC: SH coefficients of degree 0; also the opponent values."""
    planes = Planes(data, tables)
    c = tile.weight
    values = [read_signed(planes, c)]
    known = np.minimum(np.abs(values[0]), 3)
    values += [read_signed(planes, 32 + ((channel - 1) * 32 + c) * 4 + known) for channel in (1, 2)]
    planes.finish()
    step = class_steps(params.dc_step, 1 << 26)[c]
    opponents = [np.zeros_like(c) for _ in range(3)]
    for o, value in zip(opponents, values, strict=True):
        for level, weights in zip(tile.levels, tile.near, strict=True):
            here = level.splats
            o[here] = clamp(level.predict(weights, o) + value[here] * step[here], 1 << 40)
    return np.array(colours(*opponents)).T.tobytes(), opponents


# ---- AC1 .. AC4


def decode_ac(datas: Sequence[bytes], tables: list[Table], params: Params, tile: Tile, dc: Sequence[Ints]) -> bytes:
    """AC1 .. AC4: sh_rest."""
    features = [scale >> 13 for scale in tile.scales] + [o >> 14 for o in dc]
    alike = [level.weights(tile.q, features) for level in tile.levels] if datas else []
    energies = [params.energy_prior[tile.weight] for _ in range(4)]
    columns: list[npt.NDArray[np.float32]] = []
    for degree, data in enumerate(datas, 1):
        planes = Planes(data, tables)
        step = class_steps(params.ac_step[degree - 1], 1 << 26)[tile.weight]
        for _ in range(2 * degree + 1):
            opponents = []
            for channel in range(3):
                o = np.zeros_like(step)
                for level, weights in zip(tile.levels, alike, strict=True):
                    read_ac(planes, channel, step, level, weights, o, energies)
                opponents.append(o)
            columns += colours(*opponents)
        planes.finish()
    return np.array(columns).T.tobytes()


def read_ac(
    planes: Planes, channel: int, steps: Ints, level: Level, weights: Ints, o: Ints, energies: list[Ints]
) -> None:
    """A plane of AC: the opponent values o of a level; updates its splats' integers E[0] and E[1 + channel]."""
    here = level.splats
    common, own, step = energies[0][here], energies[1 + channel][here], steps[here]
    predicted = level.predict(weights, o)
    bucket = np.searchsorted(ENERGY, (common + own) >> 1, side="right")
    near = sum(t * step <= 20 * np.abs(predicted) for t in NEAR)
    value = read_signed(planes, (bucket * 9 + near) * 3 + channel)
    value = np.where((predicted < 0) & (value > -(1 << 31)), -value, value)
    m = np.minimum(np.abs(value), 40) * 256
    common += (m - common) >> 4  # in place: slices of the energies
    own += (m - own) >> 3
    o[here] = clamp(value * step, 1 << 40)


# ---- A tile


def decode_tile(streams: Sequence[bytes], count: int, params: Params, groups: Sequence[list[Table]]) -> list[bytes]:
    """The tile's arrays in the order of "Decoding a scene" from GEOMETRY, OPACITY, SCALE, ROTATION, DC, AC1 .."""
    positions, tile = decode_geometry(streams[0], groups[0], params, count)
    opacity = decode_opacity(streams[1], groups[1], params, tile)
    scales = decode_scale(streams[2], groups[2], params, tile)
    rotations = decode_rotation(streams[3], groups[3], params, tile)
    dc, opponents = decode_dc(streams[4], groups[4], params, tile)
    rest = decode_ac(streams[5:], groups[5], params, tile, opponents)
    return [positions, scales, rotations, opacity, dc, rest]
