"""Which decoded splats are near one that is to come: prediction along space, coarse to fine, in integers.

The splats of a tile have ranks along the Morton curve. Rank r is of level min(trailing zeros of r, TOP_LEVEL), and
splats are coded from the highest level to level 0, in each by rank: every level halves the gaps of the one above. A
splat of level l < TOP_LEVEL has up to 8 neighbours at ranks r ± 2**l * (1, 3, 5, 7), all of higher levels and so
decoded before it; splats of TOP_LEVEL have none.

Values that predict others stand in order of rank, with REACH zeros on either side: a neighbour is then a step away,
also one that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import SPREAD_STEPS

I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]

TOP_LEVEL = 7
NEIGHBOURS = 8
REACH = 7 << (TOP_LEVEL - 1)  # ranks to the farthest neighbour
WEIGHT_BITS = 12  # weights of a splat's neighbours sum to at most 2**12
DISTANCE_BITS = 8  # of a squared distance over that of the nearest neighbour
SOFTENING = 51  # about 0.2 in that unit: what keeps the nearest from being all
FAR = 1 << 24  # bound on each part of a distance
FEATURE_LIMIT = 1 << 20  # bound on a difference of features
SPREADS: I64 = np.array(SPREAD_STEPS, np.int64)


def level_starts(count: int) -> I64:
    """int64[TOP_LEVEL + 2]: where each level begins in coding order, from TOP_LEVEL to 0, and ``count``."""
    ranks = [-(-count >> TOP_LEVEL)]
    ranks += [(count + (1 << level) - 1) >> (level + 1) for level in range(TOP_LEVEL - 1, -1, -1)]
    return np.concatenate([[0], np.cumsum(ranks)]).astype(np.int64)


def levels(starts: I64) -> Iterator[tuple[int, int, int]]:
    """(level, start, stop) of each level that has splats, in coding order; the first has no neighbours."""
    for number, (start, stop) in enumerate(pairwise(starts.tolist())):
        if stop > start:
            yield TOP_LEVEL - number, start, stop


def level_order(count: int) -> I64:
    """The rank int64[count] of each splat in coding order."""
    parts = [np.arange(0, count, 1 << TOP_LEVEL)]
    parts += [np.arange(1 << level, count, 2 << level) for level in range(TOP_LEVEL - 1, -1, -1)]
    return np.concatenate(parts).astype(np.int64)


def ranked_zeros(count: int) -> I64:
    """Room int64[count + 2 * REACH] for the values of ``count`` splats by rank."""
    return np.zeros(count + 2 * REACH, np.int64)


@nb.njit(forceinline=True)
def first_rank(level: int) -> Any:
    """Rank of the first splat of a level; the others follow at distances of ``rank_step``."""
    return 0 if level == TOP_LEVEL else 1 << level


@nb.njit(forceinline=True)
def rank_step(level: int) -> Any:
    """Ranks from one splat of a level to the next."""
    return 1 << TOP_LEVEL if level == TOP_LEVEL else 2 << level


@nb.njit(cache=True, nogil=True)
def put_ranked(values: I64, level: int, ranked: I64) -> None:
    """Put the values int64[m] of the splats of a level to their places in ``ranked`` (of ``ranked_zeros``)."""
    at, step = REACH + first_rank(level), rank_step(level)
    for i in range(len(values)):
        ranked[at + i * step] = values[i]


@nb.njit(cache=True, nogil=True)
def _by_rank(values: I64, starts: I64) -> I64:
    """Rows int64[n,F] from coding order to order of rank."""
    ranked = np.empty_like(values)
    for level in range(TOP_LEVEL + 1):
        rank, step = first_rank(level), rank_step(level)
        for i in range(starts[TOP_LEVEL - level], starts[TOP_LEVEL - level + 1]):
            for f in range(values.shape[1]):
                ranked[rank, f] = values[i, f]
            rank += step
    return ranked


@nb.njit(cache=True, nogil=True)
def neighbour_weights(points: I64, features: I64, starts: I64) -> I16:
    """Weights int16[n,8] of each splat's neighbours, at ranks r - g, r + g, r - 3g, r + 3g, … for a gap g.

    points int64[n,3] in coding order, integers below 2**24; features int64[n,F] whose difference of 16 counts as
    much as the distance to the nearest neighbour; starts as ``level_starts`` has it. 0 for one that is not there.
    """
    n = len(points)
    weights = np.zeros((n, NEIGHBOURS), np.int16)
    points, features = _by_rank(points, starts), _by_rank(features, starts)
    distances, shares = np.empty(NEIGHBOURS, np.int64), np.empty(NEIGHBOURS, np.int64)
    for level in range(TOP_LEVEL):
        rank, gap = 1 << level, 1 << level
        for i in range(starts[TOP_LEVEL - level], starts[TOP_LEVEL - level + 1]):
            nearest = np.int64(1) << 62
            for j in range(NEIGHBOURS):
                other = rank + ((j | 1) if j & 1 else -(j + 1)) * gap
                distances[j] = -1
                if other < 0 or other >= n:
                    continue
                squared = np.int64(0)
                for axis in range(3):
                    d = points[other, axis] - points[rank, axis]
                    squared += d * d
                distances[j] = squared
                nearest = min(nearest, squared)
            total = np.int64(0)
            for j in range(NEIGHBOURS):
                shares[j] = 0
                if distances[j] < 0:
                    continue
                other = rank + ((j | 1) if j & 1 else -(j + 1)) * gap
                far = min((distances[j] << DISTANCE_BITS) // max(nearest, 1), FAR)
                unlike = np.int64(0)
                for f in range(features.shape[1]):
                    d = features[other, f] - features[rank, f]
                    d = min(max(d, -FEATURE_LIMIT), FEATURE_LIMIT)
                    unlike += d * d
                shares[j] = FAR // (far + min(unlike, FAR) + SOFTENING)
                total += shares[j]
            for j in range(NEIGHBOURS):
                if total > 0:
                    weights[i, j] = (shares[j] << WEIGHT_BITS) // total
            rank += 2 * gap
    return weights


@nb.njit(forceinline=True)
def weighted_mean(ranked: I64, at: Any, gap: Any, weights: I16, i: Any) -> Any:
    """Of the neighbours of splat i, which stands at ``ranked[at]``; all uint64, which needs no test for wrapping."""
    two = gap + gap
    low, high = at - gap, at + gap
    total = ranked[low] * weights[i, 0] + ranked[high] * weights[i, 1]
    low, high = low - two, high + two
    total += ranked[low] * weights[i, 2] + ranked[high] * weights[i, 3]
    low, high = low - two, high + two
    total += ranked[low] * weights[i, 4] + ranked[high] * weights[i, 5]
    low, high = low - two, high + two
    total += ranked[low] * weights[i, 6] + ranked[high] * weights[i, 7]
    return total >> WEIGHT_BITS


@nb.njit(cache=True, nogil=True)
def predict_level(ranked: I64, weights: I16, starts: I64, level: int) -> I64:
    """Weighted means int64[m] of the neighbours' values for the m splats of a level; 0 for TOP_LEVEL."""
    start, stop = starts[TOP_LEVEL - level], starts[TOP_LEVEL - level + 1]
    predicted = np.zeros(stop - start, np.int64)
    if level < TOP_LEVEL:
        at, step, gap = np.uint64(REACH + (1 << level)), np.uint64(2 << level), np.uint64(1 << level)
        for i in range(np.uint64(start), np.uint64(stop)):
            predicted[i - np.uint64(start)] = weighted_mean(ranked, at, gap, weights, i)
            at += step
    return predicted


@nb.njit(cache=True, nogil=True)
def spread_level(ranked: I64, predicted: I64, weights: I16, level: int, start: int) -> I64:
    """How far neighbours' values lie from their mean ``predicted`` int64[m], weighted, int64[m] as ``predict_level``.

    ``start``: where the level's splats begin in coding order.
    """
    spread = np.zeros(len(predicted), np.int64)
    if level < TOP_LEVEL:
        for i in range(len(predicted)):
            at, total = REACH + (1 << level) + i * (2 << level), np.int64(0)
            for j in range(NEIGHBOURS):
                other = at + (((j | 1) if j & 1 else -(j + 1)) << level)
                total += abs(ranked[other] - predicted[i]) * weights[start + i, j]
            spread[i] = total >> WEIGHT_BITS
    return spread


@nb.njit(cache=True, nogil=True)
def spread_buckets(spreads: I64, steps: I64) -> I64:
    """How many of SPREAD_STEPS quarters of its step each spread reaches, int64[m] of int64[m] both."""
    buckets = np.zeros(len(spreads), np.int64)
    for i in range(len(spreads)):
        while buckets[i] < len(SPREADS) and 4 * spreads[i] >= SPREADS[buckets[i]] * steps[i]:
            buckets[i] += 1
    return buckets
