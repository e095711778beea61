"""Choice of each row's reference: the earlier row that predicts it best, among near ones and exact copies.

Only the encoder looks here: any choice decodes.
"""

from __future__ import annotations

from concurrent.futures import Executor

import numba as nb
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

_NEAR = 12  # neighbours looked at, the nearest but for a factor of 1.5
_TOLERANCE = 0.5
_CHUNK = 16384  # rows of one task
_KEPT = 6  # of which earlier ones are compared
_SHRINK = 8  # rows without an earlier neighbour look among the first 1/8, 1/64, … of the rows
_FAR = 1e6  # what a difference counts at most, in units of its typical one
_HASH = np.uint64(0x9E3779B97F4A7C15)


def choose_references(near: I32, features: F64, colours: tuple[U32, ...]) -> I32:
    """References int32[n], −1 for row 0 and otherwise below the row number.

    near: of ``near_earlier``; features [n, f] what a reference should resemble, finite and below 1e30;
    colours: for each channel its float bits [n, c].
    """
    n = len(near)
    hashes = np.stack([row_hashes(bits) for bits in colours])
    same = [_previous_equal(row) for row in hashes]
    rows = np.arange(n, dtype=np.int32)
    candidates = np.column_stack([near, *same, rows - 1]).astype(np.int32)
    first = np.where(candidates[:, 0] >= 0, candidates[:, 0], np.maximum(rows - 1, 0))
    typical = np.median(np.abs(features - features[first]), axis=0) if n else np.ones(features.shape[1])
    typical = np.where(typical > 0, typical, np.abs(features).mean(axis=0) + 1e-30) / 4
    references = np.empty(n, np.int32)
    _choose(np.ascontiguousarray(features / typical), candidates, hashes, references)
    return references


def row_hashes(bits: U32) -> U64:
    """uint64[n]: equal for equal rows of bits uint32[n, c]."""
    total = np.zeros(len(bits), np.uint64)
    for column in bits.T:
        total = (total + column) * _HASH
        total ^= total >> np.uint64(29)
    return total


def _previous_equal(hashes: U64) -> I32:
    """int32[n]: the last earlier row of the same hash, −1 if none."""
    order = np.argsort(hashes, kind="stable").astype(np.int32)
    equal = hashes[order[1:]] == hashes[order[:-1]]
    previous = np.full(len(hashes), -1, np.int32)
    previous[order[1:][equal]] = order[:-1][equal]
    return previous


def near_earlier(positions: npt.NDArray[np.float32], pool: Executor) -> I32:
    """int32[n, 6]: earlier rows near each row of positions [n, 3], nearest first, −1 where there are fewer.

    The search runs on ``pool``, which must not be the one that the caller itself runs on.
    """
    from scipy.spatial import cKDTree  # here, so that decoding alone does not need scipy

    n = len(positions)
    found = np.full((n, _KEPT), -1, np.int32)
    usable = np.isfinite(positions).all(axis=1)
    # Equal points would make the tree's leaves as large as their number.
    rows = np.flatnonzero(usable)
    _, first = np.unique(row_hashes(np.ascontiguousarray(positions[rows]).view(np.uint32)), return_index=True)
    distinct = np.sort(rows[first])
    missing, limit = rows, n
    while len(missing) and limit > 1:
        members = distinct[distinct < limit]
        if not len(members):
            break
        tree, near = cKDTree(positions[members]), min(_NEAR, len(members))
        chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
        searches = [pool.submit(tree.query, positions[chunk], k=near, eps=_TOLERANCE) for chunk in chunks]
        for chunk, search in zip(chunks, searches, strict=True):
            found[chunk] = _first_earlier(chunk, members[search.result()[1].reshape(len(chunk), -1)])
        missing = missing[found[missing, 0] < 0]
        limit = min(limit, n) // _SHRINK
    return found


def _first_earlier(rows: npt.NDArray[np.int64], near: npt.NDArray[np.int64]) -> I32:
    earlier = near < rows[:, None]
    order = np.argsort(~earlier, axis=1, kind="stable")[:, :_KEPT]
    kept = np.where(np.take_along_axis(earlier, order, axis=1), np.take_along_axis(near, order, axis=1), -1)
    return np.pad(kept, ((0, 0), (0, _KEPT - kept.shape[1])), constant_values=-1).astype(np.int32)


@nb.njit(cache=True, nogil=True)
def _choose(features: F64, candidates: I32, hashes: U64, references: I32) -> None:
    for i in range(candidates.shape[0]):
        best, best_cost = -1, np.inf
        for t in range(candidates.shape[1]):
            j = candidates[i, t]
            if j < 0 or j >= i or j == best:
                continue
            cost = 1.0  # product instead of sum of logarithms
            for c in range(hashes.shape[0]):
                if hashes[c, i] == hashes[c, j]:
                    cost *= 1e-30
            for f in range(features.shape[1]):
                cost *= 1.0 + min(abs(features[i, f] - features[j, f]), _FAR)
            if cost < best_cost or (cost == best_cost and j > best):  # a short distance is cheap
                best, best_cost = j, cost
        references[i] = best
