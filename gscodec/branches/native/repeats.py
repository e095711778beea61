"""SH that many splats share, as in scenes that were compressed before: found, counted, put in order. Encoder only."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.branches.native.syntax import MAX_ENTRIES

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

SAMPLE = 1 << 16
MOST_DISTINCT = 0.9  # of a sample, and of all: beyond that nothing is shared


@dataclass(frozen=True, eq=False)
class SharedSh:
    """``entries`` float32[M,K,3], no two the same, each half of them and of those halves again alike; ``index``
    int64[n] of the entry that each splat has.
    """

    entries: F32
    index: I64


def find_shared(sh_rest: F32, kept: I64 | None, pool: Executor) -> SharedSh | None:
    """What float32[N,K,3] repeats, of all splats or those ``kept`` int64[n]; None if that is little."""
    count = len(sh_rest) if kept is None else len(kept)
    if sh_rest.shape[1] == 0 or count < 2:
        return None
    words = np.ascontiguousarray(sh_rest).view(np.uint32).reshape(len(sh_rest), -1)
    sample = np.arange(0, count, -(-count // SAMPLE))
    if len(np.unique(_hashes(words, sample if kept is None else kept[sample]))) > MOST_DISTINCT * len(sample):
        return None
    rows = np.arange(count) if kept is None else kept
    parts = [rows[start : start + SAMPLE] for start in range(0, len(rows), SAMPLE)]
    hashes = np.concatenate(list(pool.map(lambda part: _hashes(words, part), parts)))
    _, first, index = np.unique(hashes, return_index=True, return_inverse=True)
    if len(first) > min(MAX_ENTRIES, MOST_DISTINCT * len(rows)):
        return None
    if not _equal(words, rows, rows[first], index):  # two hashes the same by chance
        return None
    entries = sh_rest[rows[first]]
    order = halving_order(entries.reshape(len(first), -1), np.bincount(index).astype(np.float64))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return SharedSh(entries[order], place[index])


def halving_order(entries: F32, counts: F64) -> I64:
    """Order int64[M] of rows float32[M,D]: cut across the widest principal axis again and again, the half that more
    splats have (``counts`` float64[M]) first.
    """
    shares = counts / counts.sum()
    centred = entries - shares @ entries
    _, axes = np.linalg.eigh((centred * shares[:, None]).T @ centred)
    order = np.arange(len(entries))
    _cut(np.ascontiguousarray(centred @ axes), counts, order)
    return order


@nb.njit(cache=True, nogil=True)
def _hashes(words: U32, rows: I64) -> U64:
    """uint64[m] of rows of uint32[N,D]."""
    hashes = np.empty(len(rows), np.uint64)
    for i in range(len(rows)):
        value = np.uint64(0xCBF29CE484222325)
        for d in range(words.shape[1]):
            value = (value ^ np.uint64(words[rows[i], d])) * np.uint64(0x9E3779B97F4A7C15)
            value ^= value >> np.uint64(29)
        hashes[i] = value
    return hashes


@nb.njit(cache=True, nogil=True)
def _equal(words: U32, rows: I64, entries: I64, index: I64) -> bool:
    for i in range(len(rows)):
        for d in range(words.shape[1]):
            if words[rows[i], d] != words[entries[index[i]], d]:
                return False
    return True


@nb.njit(cache=True, nogil=True)
def _cut(points: F64, counts: F64, order: I64) -> None:
    """Put ``order`` int64[M] of float64[M,D] so that each half, the smaller one first, is on one side of a cut."""
    width = points.shape[1]
    means, squares = np.empty(width), np.empty(width)
    stack = [(0, len(order))]
    while len(stack):
        start, stop = stack.pop()
        if stop - start < 2:
            continue
        own = order[start:stop]
        means[:], squares[:] = 0.0, 0.0
        for row in own:
            for d in range(width):
                means[d] += points[row, d]
        means /= len(own)
        for row in own:
            for d in range(width):
                squares[d] += (points[row, d] - means[d]) ** 2
        widest = np.argmax(squares)
        keys = np.empty(len(own))
        for i in range(len(own)):
            keys[i] = points[own[i], widest]
        own = own[np.argsort(keys, kind="mergesort")]
        half = len(own) >> 1
        below, above = 0.0, 0.0
        for i in range(half):
            below += counts[own[i]]
            above += counts[own[len(own) - 1 - i]]
        order[start:stop] = own[::-1] if above > below else own
        stack.append((start, start + half))
        stack.append((start + half, stop))
