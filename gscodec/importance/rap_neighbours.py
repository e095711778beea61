"""Mean and deviation of values over each point's K nearest neighbours, exactly, without storing who they are.

A list of 128 neighbours for a million splats would take half a gigabyte. Instead each search keeps its neighbours
only while it sums over them. What depends on the neighbours' own distances needs a second search, which knows the
radius already and is cheap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.importance.rap_tree import LEAF, Tree, part

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

ROOM = 3  # candidates collected for each neighbour wanted before the best are selected
STACK = 64  # more than twice the depth of any tree over 2**31 points


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """Per point, in the order of the tree: ``distance`` [N] mean distance to the neighbours, ``mean`` and ``deviation``
    [N, F] of their values, the deviation that of the population. ``reach`` [N] squared distance to the farthest
    neighbour and ``farthest`` [N] which it is."""

    distance: F64
    mean: F64
    deviation: F64
    reach: F64
    farthest: I32


def neighbourhoods(tree: Tree, values: F64, k: int) -> Neighbourhoods:
    """Statistics of ``values`` [N, F], in the order of the tree, over each point's ``k`` < N nearest others, k >= 1.

    Distances are Euclidean, in binary64; among equal ones the point that comes first in the tree is nearer.
    The same bits for any number of threads.
    """
    count, columns = values.shape
    result = Neighbourhoods(
        np.empty(count, np.float64),
        np.empty((count, columns), np.float64),
        np.empty((count, columns), np.float64),
        np.empty(count, np.float64),
        np.empty(count, np.int32),
    )
    arrays = (result.distance, result.mean, result.deviation, result.reach, result.farthest)
    _search(tree.points, tree.boxes, tree.depth, values, k, *arrays)
    return result


def again(tree: Tree, found: Neighbourhoods, values: F64, k: int) -> tuple[F64, F64]:
    """Mean and deviation [N, F] of other ``values`` [N, F] over the ``k`` neighbours that ``found`` was made from."""
    mean, deviation = np.empty(values.shape, np.float64), np.empty(values.shape, np.float64)
    _search_within(tree.points, tree.boxes, tree.depth, values, k, found.reach, found.farthest, mean, deviation)
    return mean, deviation


def lists(tree: Tree, k: int) -> I32:
    """The ``k`` < N nearest others of each point, int32 [N, k] in numbers of the tree, nearest first; k >= 1."""
    who = np.empty((tree.points.shape[1], k), np.int32)
    _list(tree.points, tree.boxes, tree.depth, k, who)
    return who


@njit(cache=True, nogil=True, parallel=True)
def _search(
    points: npt.NDArray[np.float32],
    boxes: npt.NDArray[np.float32],
    depth: int,
    values: F64,
    k: int,
    distance: F64,
    mean: F64,
    deviation: F64,
    reach: F64,
    farthest: I32,
) -> None:
    count = points.shape[1]
    for leaf in prange(1 << depth):
        squares, who = np.empty(ROOM * k + LEAF, np.float64), np.empty(ROOM * k + LEAF, np.int32)
        stack = np.empty(STACK, np.int64)
        first, last = part(count, depth, leaf), part(count, depth, leaf + 1)
        for q in range(first, last):
            before = reach[q - 1] if q > first else np.inf
            _find(points, boxes, depth, leaf, q, k, before, squares, who, stack)
            total, worst = 0.0, 0
            for n in range(k):
                total += math.sqrt(squares[n])
                if squares[n] > squares[worst] or (squares[n] == squares[worst] and who[n] > who[worst]):
                    worst = n
            distance[q], reach[q], farthest[q] = total / k, squares[worst], who[worst]
            _statistics(values, who, k, mean[q], deviation[q])


@njit(cache=True, nogil=True, parallel=True)
def _list(points: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32], depth: int, k: int, result: I32) -> None:
    count = points.shape[1]
    for leaf in prange(1 << depth):
        squares, who = np.empty(ROOM * k + LEAF, np.float64), np.empty(ROOM * k + LEAF, np.int32)
        stack = np.empty(STACK, np.int64)
        reach = np.inf
        for q in range(part(count, depth, leaf), part(count, depth, leaf + 1)):
            _find(points, boxes, depth, leaf, q, k, reach, squares, who, stack)
            # Few enough for sorting by insertion.
            for n in range(1, k):
                square, number, place = squares[n], who[n], n
                while place > 0 and (
                    squares[place - 1] > square or (squares[place - 1] == square and who[place - 1] > number)
                ):
                    squares[place], who[place] = squares[place - 1], who[place - 1]
                    place -= 1
                squares[place], who[place] = square, number
            reach = squares[k - 1]
            result[q] = who[:k]


@njit(cache=True, nogil=True)
def _find(
    points: npt.NDArray[np.float32],
    boxes: npt.NDArray[np.float32],
    depth: int,
    leaf: int,
    q: int,
    k: int,
    before: float,
    squares: F64,
    who: I32,
    stack: npt.NDArray[np.int64],
) -> None:
    """Put the ``k`` nearest others of point ``q`` of a leaf to the front of ``squares`` and ``who``, in no order.

    ``before``: squared distance to the farthest neighbour of point q - 1; infinite where it is not known.
    """
    count = points.shape[1]
    x, y, z = np.float64(points[0, q]), np.float64(points[1, q]), np.float64(points[2, q])
    bound = np.inf
    if before < np.inf:
        # The triangle inequality; the slack covers the rounding of both roots.
        bound = (math.sqrt(before) + math.sqrt(_square(points, q - 1, x, y, z))) ** 2 * (1.0 + 1e-12)
    node = (1 << depth) - 1 + leaf
    low, high = part(count, depth, leaf), part(count, depth, leaf + 1)
    found, bound = _visit(points, low, high, q, x, y, z, k, squares, who, 0, bound)
    while node > 0:
        # Up the tree, each time into the other child of the parent.
        top = 1
        stack[0] = node + 1 if node % 2 == 1 else node - 1
        node = (node - 1) // 2
        while top > 0:
            top -= 1
            at = stack[top]
            if _box_square(boxes[at], x, y, z) > bound:
                continue
            if at >= (1 << depth) - 1:
                number = at + 1 - (1 << depth)
                low, high = part(count, depth, number), part(count, depth, number + 1)
                found, bound = _visit(points, low, high, q, x, y, z, k, squares, who, found, bound)
                continue
            one, other = 2 * at + 1, 2 * at + 2
            if _box_square(boxes[one], x, y, z) < _box_square(boxes[other], x, y, z):
                one, other = other, one
            stack[top], stack[top + 1] = one, other
            top += 2
    _keep_nearest(squares, who, found, k)


@njit(cache=True, nogil=True, parallel=True)
def _search_within(
    points: npt.NDArray[np.float32],
    boxes: npt.NDArray[np.float32],
    depth: int,
    values: F64,
    k: int,
    reach: F64,
    farthest: I32,
    mean: F64,
    deviation: F64,
) -> None:
    count = points.shape[1]
    for leaf in prange(1 << depth):
        who = np.empty(k + 1, np.int32)
        stack = np.empty(STACK, np.int64)
        for q in range(part(count, depth, leaf), part(count, depth, leaf + 1)):
            x, y, z = np.float64(points[0, q]), np.float64(points[1, q]), np.float64(points[2, q])
            found, top = 0, 1
            stack[0] = 0
            while top > 0:
                top -= 1
                at = stack[top]
                if _box_square(boxes[at], x, y, z) > reach[q]:
                    continue
                if at < (1 << depth) - 1:
                    stack[top], stack[top + 1] = 2 * at + 2, 2 * at + 1
                    top += 2
                    continue
                number = at + 1 - (1 << depth)
                for p in range(part(count, depth, number), part(count, depth, number + 1)):
                    square = _square(points, p, x, y, z)
                    near = square < reach[q] or (square == reach[q] and p <= farthest[q])
                    who[found] = p
                    found += near & (p != q) & (found < k)
            _statistics(values, who, k, mean[q], deviation[q])


@njit(cache=True, nogil=True)
def _square(points: npt.NDArray[np.float32], p: int, x: float, y: float, z: float) -> float:
    dx, dy, dz = np.float64(points[0, p]) - x, np.float64(points[1, p]) - y, np.float64(points[2, p]) - z
    return dx * dx + dy * dy + dz * dz


@njit(cache=True, nogil=True)
def _box_square(box: npt.NDArray[np.float32], x: float, y: float, z: float) -> float:
    """Squared distance to a box, rounded as distances to points are: never more than to a point in it."""
    dx = max(max(np.float64(box[0]) - x, x - np.float64(box[3])), 0.0)
    dy = max(max(np.float64(box[1]) - y, y - np.float64(box[4])), 0.0)
    dz = max(max(np.float64(box[2]) - z, z - np.float64(box[5])), 0.0)
    return dx * dx + dy * dy + dz * dz


@njit(cache=True, nogil=True)
def _visit(
    points: npt.NDArray[np.float32],
    first: int,
    last: int,
    q: int,
    x: float,
    y: float,
    z: float,
    k: int,
    squares: F64,
    who: I32,
    found: int,
    bound: float,
) -> tuple[int, float]:
    """Collect the points first..last - 1 within ``bound``, itself left out; the new number and bound."""
    for p in range(first, last):
        square = _square(points, p, x, y, z)
        squares[found], who[found] = square, p
        found += (square <= bound) & (p != q)
    if found >= ROOM * k:
        _keep_nearest(squares, who, found, k)
        found = k
        bound = squares[:k].max()
    return found, bound


@njit(cache=True, nogil=True)
def _keep_nearest(squares: F64, who: I32, found: int, k: int) -> None:
    """Move the ``k`` nearest of ``found`` candidates to the front, by distance and then by number."""
    left, right, middle = 0, found - 1, k - 1
    while left < right:
        half = (left + right) // 2
        pivot, number = squares[half], who[half]
        i, j = left, right
        while i <= j:
            while squares[i] < pivot or (squares[i] == pivot and who[i] < number):
                i += 1
            while squares[j] > pivot or (squares[j] == pivot and who[j] > number):
                j -= 1
            if i <= j:
                squares[i], squares[j] = squares[j], squares[i]
                who[i], who[j] = who[j], who[i]
                i += 1
                j -= 1
        if middle <= j:
            right = j
        elif middle >= i:
            left = i
        else:
            return


@njit(cache=True, nogil=True)
def _statistics(values: F64, who: I32, k: int, mean: F64, deviation: F64) -> None:
    """Mean and population deviation of each column over the rows ``who[:k]``."""
    columns = values.shape[1]
    mean[:] = 0.0
    deviation[:] = 0.0
    for n in range(k):
        for c in range(columns):
            mean[c] += values[who[n], c]
    for c in range(columns):
        mean[c] /= k
    for n in range(k):
        for c in range(columns):
            difference = values[who[n], c] - mean[c]
            deviation[c] += difference * difference
    for c in range(columns):
        deviation[c] = math.sqrt(deviation[c] / k)
