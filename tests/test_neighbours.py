"""Levels along the curve and prediction from neighbours, against FORMAT.md in plain Python."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from gscodec.transform.neighbours import (
    REACH,
    level_order,
    level_starts,
    neighbour_weights,
    predict_level,
    put_ranked,
    ranked_zeros,
)


def level_of(rank: int) -> int:
    return next((level for level in range(7) if rank >> level & 1), 7)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 127, 128, 129, 1000])
def test_order_and_starts(count: int) -> None:
    ranks = sorted(range(count), key=lambda rank: (-level_of(rank), rank))
    assert level_order(count).tolist() == ranks
    starts = [sum(level_of(rank) > level for rank in ranks) for level in range(7, -1, -1)]
    assert level_starts(count).tolist() == [*starts, count]


def slow_weights(points: np.ndarray, features: np.ndarray) -> list[dict[int, int]]:
    """Of each splat in coding order: weight by place of each neighbour that has one."""
    n = len(points)
    ranks = sorted(range(n), key=lambda rank: (-level_of(rank), rank))
    place = {rank: i for i, rank in enumerate(ranks)}
    result = []
    for i, rank in enumerate(ranks):
        level = level_of(rank)
        near = [] if level == 7 else [rank + o * 2**level for o in (-1, 1, -3, 3, -5, 5, -7, 7)]
        near = [place[other] for other in near if 0 <= other < n]
        squared = [sum((int(a) - int(b)) ** 2 for a, b in zip(points[j], points[i], strict=True)) for j in near]
        shares = []
        for j, d in zip(near, squared, strict=True):
            far = min((d << 8) // max(min(squared), 1), 2**24)
            jumps = [min(max(int(a) - int(b), -(2**20)), 2**20) for a, b in zip(features[j], features[i], strict=True)]
            shares.append(2**24 // (far + min(sum(x * x for x in jumps), 2**24) + 51))
        total = sum(shares)
        result.append({j: (s << 12) // total for j, s in zip(near, shares, strict=True) if total and s})
    return result


@pytest.mark.parametrize("spread", [1, 50, 1 << 22])
def test_weights_and_predictions_are_exact(spread: int) -> None:
    rng = np.random.default_rng(spread)
    n = 300
    points, features = rng.integers(0, spread, (n, 3)), rng.integers(-(2**41), 2**41, (n, 2)) >> rng.integers(25, 42)
    starts, ranks = level_starts(n), level_order(n)
    place = {int(rank): i for i, rank in enumerate(ranks)}
    weights = neighbour_weights(points, features, starts)
    slow = slow_weights(points, features)
    for i, (rank, row) in enumerate(zip(ranks.tolist(), weights.tolist(), strict=True)):
        others = [rank + o * 2 ** level_of(rank) for o in (-1, 1, -3, 3, -5, 5, -7, 7)]
        assert {place[other]: w for other, w in zip(others, row, strict=True) if w} == {
            j: w for j, w in slow[i].items() if w
        }
    values = rng.integers(-(2**40), 2**40, n)
    ranked = ranked_zeros(n)
    for level, (start, stop) in zip(range(7, -1, -1), pairwise(starts.tolist()), strict=True):
        expected = [sum(int(values[j]) * w for j, w in slow[i].items()) >> 12 for i in range(start, stop)]
        assert predict_level(ranked, weights, starts, level).tolist() == expected
        assert all(j < start for i in range(start, stop) for j in slow[i])
        put_ranked(values[start:stop], level, ranked)
    assert ranked[REACH : REACH + n].tolist() == [values[place[rank]] for rank in range(n)]
    assert not ranked[:REACH].any()
    assert not ranked[REACH + n :].any()
