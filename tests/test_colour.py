"""The opponent basis of SH coefficients."""

from __future__ import annotations

import numpy as np
import pytest

from gscodec.transform.colour import opponent_to_rgb, to_opponent


def to_rgb(opponent: np.ndarray) -> np.ndarray:
    return np.array([opponent_to_rgb(*row) for row in opponent], np.float32)


def slow_rgb(o0: int, o1: int, o2: int) -> list[np.float32]:
    u, a, b, c, d = 2**-20, 0.5773502691896258, 0.7071067811865476, 0.4082482904638631, 0.8164965809277261
    bright, rb, g = o0 * u * a, o1 * u * b, o2 * u
    return [np.float32((bright + rb) + g * c), np.float32(bright - g * d), np.float32((bright - rb) + g * c)]


@pytest.mark.parametrize("bits", [4, 20, 40, 57])
def test_decode_is_exact(bits: int) -> None:
    opponent = np.random.default_rng(bits).integers(-(1 << bits), 1 << bits, (300, 3))
    assert to_rgb(opponent).tobytes() == np.array([slow_rgb(*row) for row in opponent.tolist()], np.float32).tobytes()


def test_basis_is_orthonormal() -> None:
    matrix = to_opponent(np.eye(3, dtype=np.float32)) * 2**-20
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-15)


def test_round_trip_is_within_half_a_unit() -> None:
    rgb = np.random.default_rng(0).normal(0, 1, (500, 3)).astype(np.float32)
    back = to_rgb(np.rint(to_opponent(rgb)).astype(np.int64))
    error = np.linalg.norm(back.astype(np.float64) - rgb, axis=1)
    assert error.max() <= np.sqrt(3) / 2 * 2**-20 + 4 * 2**-24
