"""Which decoded splats are near one that is to come: prediction along space, coarse to fine, in integers.

The splats of a tile have ranks along the Morton curve. Rank r is of level min(trailing zeros of r, TOP_LEVEL), and
splats are coded from the highest level to level 0, in each by rank: every level halves the gaps of the one above. A
splat of level l < TOP_LEVEL has up to 8 neighbours at ranks r ± 2**l * (1, 3, 5, 7), all of higher levels and so
decoded before it; splats of TOP_LEVEL have none.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

TOP_LEVEL = 7
NEIGHBOURS = 8
WEIGHT_BITS = 12  # weights of a splat's neighbours sum to at most 2**12
DISTANCE_BITS = 8  # of a squared distance over that of the nearest neighbour
SOFTENING = 51  # about 0.2 in that unit: what keeps the nearest from being all
FAR = 1 << 24  # bound on each part of a distance
FEATURE_LIMIT = 1 << 20  # bound on a difference of features


def level_starts(count: int) -> I64:
    """int64[TOP_LEVEL + 2]: where each level begins in coding order, from TOP_LEVEL to 0, and ``count``."""
    ranks = [-(-count >> TOP_LEVEL)]
    ranks += [(count + (1 << level) - 1) >> (level + 1) for level in range(TOP_LEVEL - 1, -1, -1)]
    return np.concatenate([[0], np.cumsum(ranks)]).astype(np.int64)


def level_order(count: int) -> I64:
    """The rank int64[count] of each splat in coding order."""
    parts = [np.arange(0, count, 1 << TOP_LEVEL)]
    parts += [np.arange(1 << level, count, 2 << level) for level in range(TOP_LEVEL - 1, -1, -1)]
    return np.concatenate(parts).astype(np.int64)


@nb.njit(cache=True, nogil=True)
def _place(rank: int, starts: I64) -> Any:
    """Where a rank stands in coding order."""
    level = 0
    while level < TOP_LEVEL and not rank >> level & 1:
        level += 1
    first = starts[TOP_LEVEL - level]
    return first + (rank >> TOP_LEVEL) if level == TOP_LEVEL else first + (rank >> (level + 1))


@nb.njit(cache=True, nogil=True)
def find_neighbours(points: I64, features: I64, starts: I64) -> tuple[I32, I32]:
    """Places in coding order and weights, int32[n,8] each; a weight of 0 for a neighbour that is not there.

    points int64[n,3] in coding order, integers below 2**22; features int64[n,F] whose difference of 16 counts as
    much as the distance to the nearest neighbour; starts as ``level_starts`` has it.
    """
    n = len(points)
    places, weights = np.zeros((n, NEIGHBOURS), np.int32), np.zeros((n, NEIGHBOURS), np.int32)
    distances, shares = np.empty(NEIGHBOURS, np.int64), np.empty(NEIGHBOURS, np.int64)
    for level in range(TOP_LEVEL):
        start, stop = starts[TOP_LEVEL - level], starts[TOP_LEVEL - level + 1]
        for i in range(start, stop):
            rank = (2 * (i - start) + 1) << level
            nearest = np.int64(1) << 62
            for j in range(NEIGHBOURS):
                odd = (j | 1) if j & 1 else -(j + 1)
                other = rank + (odd << level)
                distances[j] = -1
                if other < 0 or other >= n:
                    continue
                place = _place(other, starts)
                places[i, j] = place
                squared = np.int64(0)
                for axis in range(3):
                    d = points[place, axis] - points[i, axis]
                    squared += d * d
                distances[j] = squared
                nearest = min(nearest, squared)
            total = np.int64(0)
            for j in range(NEIGHBOURS):
                shares[j] = 0
                if distances[j] < 0:
                    continue
                far = min((distances[j] << DISTANCE_BITS) // max(nearest, 1), FAR)
                unlike = np.int64(0)
                for f in range(features.shape[1]):
                    d = features[places[i, j], f] - features[i, f]
                    d = min(max(d, -FEATURE_LIMIT), FEATURE_LIMIT)
                    unlike += d * d
                shares[j] = FAR // (far + min(unlike, FAR) + SOFTENING)
                total += shares[j]
            for j in range(NEIGHBOURS):
                if total > 0:
                    weights[i, j] = (shares[j] << WEIGHT_BITS) // total
    return places, weights


@nb.njit(cache=True, nogil=True)
def predict_from_neighbours(values: I64, places: I32, weights: I32, start: int, stop: int) -> I64:
    """Weighted means int64[stop - start] of the neighbours' values int64[n], for splats start <= i < stop."""
    predicted = np.empty(stop - start, np.int64)
    for i in range(start, stop):
        total = np.int64(0)
        for j in range(NEIGHBOURS):
            total += values[places[i, j]] * weights[i, j]
        predicted[i - start] = total >> WEIGHT_BITS
    return predicted
