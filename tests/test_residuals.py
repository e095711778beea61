"""Residuals against a part of the mean of neighbours, level by level."""

from __future__ import annotations

import numpy as np
import pytest

from bitstream_spec.tables import SPREAD_STEPS
from gscodec.branches.native.syntax import base_colour_contexts
from gscodec.transform.neighbours import (
    level_order,
    level_starts,
    neighbour_weights,
    predict_level,
    put_ranked,
    ranked_zeros,
    spread_buckets,
)
from gscodec.transform.residuals import LIMIT, Level, Rounding, restore
from gscodec.transform.trellis import DEPENDENT, PLAIN, halves


def splats(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(weights, starts) of splats at random."""
    points = np.random.default_rng(seed).integers(0, 1000, (count, 3))
    starts = level_starts(count)
    return neighbour_weights(points, np.zeros((count, 0), np.int64), starts), starts


@pytest.mark.parametrize("machine", [PLAIN, DEPENDENT])
@pytest.mark.parametrize("quarters", [3, 4])
@pytest.mark.parametrize("count", [1, 130, 600])
def test_restore_is_exact(count: int, quarters: int, machine: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    residuals = rng.integers(-(2**31), 2**31, count).astype(np.int32)
    half = halves(residuals, machine)
    steps = rng.choice([1, 300, 52429, 1 << 26], count)
    weights, starts = splats(count, 1)
    ranked, slow = ranked_zeros(count), []
    for level in range(7, -1, -1):
        own = slice(starts[7 - level], starts[8 - level])
        predicted = predict_level(ranked, weights, starts, level) * quarters >> 2
        values = [
            min(max(p + (h * s >> 1), -(2**40)), 2**40)
            for p, h, s in zip(predicted.tolist(), half[own].tolist(), steps[own].tolist(), strict=True)
        ]
        put_ranked(np.array(values, np.int64), level, ranked)
        slow += values
    assert restore(lambda level: residuals[level.own], weights, starts, steps, machine, quarters).tolist() == slow


def test_the_spread_is_that_of_the_neighbours() -> None:
    count = 300
    rng = np.random.default_rng(2)
    values, steps = rng.integers(-(1 << 20), 1 << 20, count), np.full(count, 1, np.int64)
    weights, starts = splats(count, 3)
    ranks = level_order(count)
    by_rank = dict(zip(ranks.tolist(), values.tolist(), strict=True))
    seen = []

    def residuals(level: Level) -> np.ndarray:
        for i, mean, spread in zip(range(*level.own.indices(count)), level.mean, level.spread, strict=True):
            rank, gap = int(ranks[i]), 1 << level.number
            others = [rank + o * gap for o in (-1, 1, -3, 3, -5, 5, -7, 7)] if level.number < 7 else []
            shares = [(int(w), by_rank.get(other, 0)) for w, other in zip(weights[i], others, strict=False)]
            assert mean == sum(w * v for w, v in shares) >> 12
            assert spread == sum(w * abs(v - int(mean)) for w, v in shares) >> 12
            seen.append(int(spread))
        return (values[level.own] - level.predicted).astype(np.int32)

    assert restore(residuals, weights, starts, steps, PLAIN).tolist() == values.tolist()
    assert len(seen) == count
    assert max(seen) > 0


def test_buckets_of_spreads_are_exact() -> None:
    rng = np.random.default_rng(4)
    steps = rng.choice([1, 3, 52429, 1 << 26], 500)
    spreads = (rng.uniform(0, 15, 500) * steps).astype(np.int64)
    expected = [
        sum(t * step <= 4 * spread for t in SPREAD_STEPS)
        for spread, step in zip(spreads.tolist(), steps.tolist(), strict=True)
    ]
    assert spread_buckets(spreads, steps).tolist() == expected
    assert set(expected) == set(range(12))


def test_contexts_of_base_colours_are_exact_and_each_has_one_meaning() -> None:
    rng = np.random.default_rng(5)
    count, start = 4000, 1000
    steps, before = np.full(count - start, 100, np.int64), rng.integers(-6, 7, (2, count)).astype(np.int32)
    spreads = rng.integers(0, 1500, count - start)
    found = [base_colour_contexts(spreads, steps, before[:channel], start) for channel in range(3)]
    buckets = spread_buckets(spreads, steps).tolist()
    v0, v1 = np.abs(before[:, start:]).tolist()
    assert found[0].tolist() == buckets
    assert found[1].tolist() == [13 + 4 * b + min(v, 3) for b, v in zip(buckets, v0, strict=True)]
    expected = [65 + 3 * (4 * b + min(v, 3)) + min(w, 2) for b, v, w in zip(buckets, v0, v1, strict=True)]
    assert found[2].tolist() == expected
    first = [base_colour_contexts(spreads[:7], steps[:7], before[:channel], 0) for channel in range(3)]
    assert set(first[0].tolist()) == {12}
    assert 61 <= first[1].min() <= first[1].max() < 65
    assert 65 + 144 <= first[2].min() <= first[2].max() < 221


@pytest.mark.parametrize("machine", [PLAIN, DEPENDENT])
def test_values_come_back_within_a_step(machine: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    values, steps = rng.normal(0, 2.0**20, 1000), rng.choice([500, 52429], 1000)
    weights, starts = splats(1000, 2)
    rounding = Rounding(values, steps, machine)
    decoded = restore(rounding, weights, starts, steps, machine)
    again = restore(lambda level: rounding.residuals[level.own], weights, starts, steps, machine)
    assert again.tolist() == decoded.tolist()
    assert (np.abs(decoded - values) <= steps * (0.5 if machine is PLAIN else 1.0) + 1).all()
    noise = np.sqrt(np.mean(((decoded - values) / steps) ** 2))
    assert noise == pytest.approx(12**-0.5, rel=0.05) if machine is PLAIN else noise < 0.9 * 12**-0.5


def test_a_value_beyond_the_limit_is_clipped() -> None:
    values, steps = np.array([3.0 * LIMIT, -3.0 * LIMIT]), np.full(2, 52429, np.int64)
    weights, starts = splats(2, 3)
    assert restore(Rounding(values, steps, PLAIN), weights, starts, steps, PLAIN).tolist() == [LIMIT, -LIMIT]


@pytest.mark.parametrize("reach", [1, 5])
def test_values_are_rounded_against_errors_of_overlapping_splats_before_them(reach: int) -> None:
    count = 300
    rng = np.random.default_rng(4)
    values, steps = rng.normal(0, 2.0**20, count), rng.choice([500, 52429], count)
    shares = rng.choice([0.0, 0.1, 0.2], (count, reach)).astype(np.float32)
    weights, starts = splats(count, 5)
    decoded = restore(Rounding(values, steps, PLAIN, shares), weights, starts, steps, PLAIN)
    overlap = np.zeros((count, count))
    for rank in range(count):
        for other in range(rank + 1, min(rank + 1 + reach, count)):
            overlap[rank, other] = overlap[other, rank] = shares[rank, other - rank - 1]
    errors = np.zeros(count)
    for i, rank in enumerate(level_order(count).tolist()):
        errors[rank] = (decoded[i] - values[i]) / steps[i]
        others = np.delete(overlap[rank], rank) @ np.delete(errors, rank)
        assert abs(errors[rank] + others) <= 0.5 + 1e-4
    assert np.abs(errors).max() > 0.51


@pytest.mark.parametrize("machine", [PLAIN, DEPENDENT])
def test_a_clipped_value_is_not_for_others_to_make_up_for(machine: np.ndarray) -> None:
    count = 50
    values, steps = np.full(count, 2.0**19), np.full(count, 30, np.int64)
    values[0] = 1e15
    weights, starts = splats(count, 6)
    rounding = Rounding(values, steps, machine, np.full((count, 49), 0.2, np.float32))
    decoded = restore(rounding, weights * 0, starts, steps, machine)
    assert decoded[0] < values[0]
    assert (np.abs(decoded - values)[1:] <= 2.0 * steps[1:]).all()


def test_dependent_values_make_up_for_errors_of_overlapping_splats_too() -> None:
    count = 4000
    rng = np.random.default_rng(7)
    values, steps = rng.normal(0, 2.0**20, count), np.full(count, 52429)
    weights, starts = splats(count, 8)
    sums = []
    for share in (0.0, 0.2):
        rounding = Rounding(values, steps, DEPENDENT, np.full((count, 3), share, np.float32))
        decoded = restore(rounding, weights, starts, steps, DEPENDENT)
        errors = np.empty(count)
        errors[level_order(count)] = (decoded - values) / steps
        sums.append(np.convolve(errors, np.ones(4), "valid").std())
    assert sums[1] < 0.85 * sums[0]
