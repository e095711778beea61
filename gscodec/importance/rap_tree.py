"""A balanced k-d tree over points, in arrays: node i has the children 2i + 1 and 2i + 2, a leaf up to LEAF points.

The points of node j of level l are those from ``part(count, l, j)`` to ``part(count, l, j + 1)``, so that neither
pointers nor ranges are stored. Friedman, Bentley, Finkel 1977, with boxes for pruning instead of split planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, prange

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

LEAF = 24


@dataclass(frozen=True, eq=False)
class Tree:
    """``points`` float32 [3, N] in the order of the tree, ``order`` int32 [N]: which point of the input each is.

    ``boxes`` float32 [nodes, 6]: least x, y, z and largest x, y, z; leaves are the nodes of level ``depth``.
    """

    points: F32
    order: I32
    boxes: F32
    depth: int


def build(positions: F32) -> Tree:
    """The tree over finite ``positions`` float32 [N, 3], N >= 1: the same for the same positions in the same order."""
    count = len(positions)
    depth = 0
    while -(-count >> depth) > LEAF:  # the ceiling of count / 2**depth
        depth += 1
    points = np.ascontiguousarray(positions.T)
    order = np.arange(count, dtype=np.int32)
    boxes = np.empty(((2 << depth) - 1, 6), np.float32)
    for level in range(depth + 1):
        _split_level(points, order, boxes, level, depth)
    return Tree(points, order, boxes, depth)


@njit(cache=True, nogil=True)
def part(count: int, level: int, number: int) -> int:
    """Where the points of node ``number`` of a level begin; those of the last end at part(count, level, 2**level)."""
    return (count * number) >> level


@njit(cache=True, nogil=True, parallel=True)
def _split_level(points: F32, order: I32, boxes: F32, level: int, depth: int) -> None:
    """Box the nodes of a level, and cut each at the median of its widest axis unless it is a leaf."""
    count = points.shape[1]
    for number in prange(1 << level):
        first, last = part(count, level, number), part(count, level, number + 1)
        box = boxes[(1 << level) - 1 + number]
        axis = 0
        for k in range(3):
            low = high = points[k, first]
            for i in range(first, last):
                low, high = min(low, points[k, i]), max(high, points[k, i])
            box[k], box[k + 3] = low, high
            # In binary64: the widths of float32 extremes overflow.
            if np.float64(high) - low > np.float64(box[axis + 3]) - box[axis]:
                axis = k
        if level < depth:
            _select(points, order, axis, first, last - 1, part(count, level + 1, 2 * number + 1))


@njit(cache=True, nogil=True)
def _select(points: F32, order: I32, axis: int, left: int, right: int, middle: int) -> None:
    """Move the points left..right so that none before ``middle`` lies above one after it (Hoare 1961)."""
    values = points[axis]
    while left < right:
        a, b, c = values[left], values[(left + right) // 2], values[right]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = left, right
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                for k in range(3):
                    points[k, i], points[k, j] = points[k, j], points[k, i]
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            right = j
        elif middle >= i:
            left = i
        else:
            return
