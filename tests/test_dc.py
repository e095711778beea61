"""SH DC: residuals against the mean of neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from gscodec.transform.dc import LIMIT, code_dc, decode_dc
from gscodec.transform.neighbours import (
    level_order,
    level_starts,
    neighbour_weights,
    predict_level,
    put_ranked,
    ranked_zeros,
)


def splats(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(weights, starts) of splats at random."""
    points = np.random.default_rng(seed).integers(0, 1000, (count, 3))
    starts = level_starts(count)
    return neighbour_weights(points, np.zeros((count, 0), np.int64), starts), starts


@pytest.mark.parametrize("count", [1, 130, 600])
def test_decode_is_exact(count: int) -> None:
    rng = np.random.default_rng(0)
    residuals = rng.integers(-(2**31), 2**31, count).astype(np.int32)
    steps = rng.choice([1, 300, 52429, 1 << 26], count)
    weights, starts = splats(count, 1)
    ranked, slow = ranked_zeros(count), []
    for level in range(7, -1, -1):
        own = slice(starts[7 - level], starts[8 - level])
        predicted = predict_level(ranked, weights, starts, level)
        values = [
            min(max(p + r * s, -(2**40)), 2**40)
            for p, r, s in zip(predicted.tolist(), residuals[own].tolist(), steps[own].tolist(), strict=True)
        ]
        put_ranked(np.array(values, np.int64), level, ranked)
        slow += values
    assert decode_dc(residuals, weights, starts, steps).tolist() == slow


def test_values_come_back_within_half_a_step() -> None:
    rng = np.random.default_rng(1)
    values, steps = rng.normal(0, 2.0**20, 1000), rng.choice([500, 52429], 1000)
    weights, starts = splats(1000, 2)
    residuals, decoded = code_dc(values, weights, starts, steps, np.zeros((1000, 0), np.float32))
    assert decode_dc(residuals, weights, starts, steps).tolist() == decoded.tolist()
    assert (np.abs(decoded - values) <= steps / 2).all()


def test_a_value_beyond_the_limit_is_clipped() -> None:
    values, steps = np.array([3.0 * LIMIT, -3.0 * LIMIT]), np.full(2, 52429, np.int64)
    weights, starts = splats(2, 3)
    assert code_dc(values, weights, starts, steps, np.zeros((2, 0), np.float32))[1].tolist() == [LIMIT, -LIMIT]


@pytest.mark.parametrize("reach", [1, 5])
def test_values_are_rounded_against_errors_of_overlapping_splats_before_them(reach: int) -> None:
    count = 300
    rng = np.random.default_rng(4)
    values, steps = rng.normal(0, 2.0**20, count), rng.choice([500, 52429], count)
    shares = rng.choice([0.0, 0.1, 0.2], (count, reach)).astype(np.float32)
    weights, starts = splats(count, 5)
    residuals, decoded = code_dc(values, weights, starts, steps, shares)
    assert decode_dc(residuals, weights, starts, steps).tolist() == decoded.tolist()
    overlap = np.zeros((count, count))
    for rank in range(count):
        for other in range(rank + 1, min(rank + 1 + reach, count)):
            overlap[rank, other] = overlap[other, rank] = shares[rank, other - rank - 1]
    errors = np.zeros(count)
    for i, rank in enumerate(level_order(count).tolist()):
        errors[rank] = (decoded[i] - values[i]) / steps[i]
        others = np.delete(overlap[rank], rank) @ np.delete(errors, rank)
        assert abs(errors[rank] + others) <= 0.5 + 1e-5
    assert np.abs(errors).max() > 0.51


def test_a_clipped_value_is_not_for_others_to_make_up_for() -> None:
    count = 50
    values, steps = np.full(count, 2.0**19), np.full(count, 30, np.int64)
    values[0] = 1e15
    weights, starts = splats(count, 6)
    decoded = code_dc(values, weights * 0, starts, steps, np.full((count, 49), 0.2, np.float32))[1]
    assert decoded[0] < values[0]
    assert (np.abs(decoded - values)[1:] <= 2.0 * steps[1:]).all()
