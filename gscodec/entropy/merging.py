"""Contexts that may share a table: where two cost less with one, both get it. Encoder only.

A table costs bytes of its own, so contexts with few symbols, or with nearly the same ones, are better off together.
Equal tables are written one by one, and the compressor behind finds them to be equal.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.entropy.arrays import I64

F64 = npt.NDArray[np.float64]

BITS_PER_FREQUENCY = 9.0  # of a table of its own, compressed
BITS_PER_COPY = 4.0  # of a table that stands elsewhere already


def merge_counts(counts: I64) -> I64:
    """Counts int64[T,A], each row replaced by the sum of its group; rows of zeros stay.

    Groups are built bottom up: the pair that saves most is joined until none saves anything.
    """
    used = np.flatnonzero(counts.sum(axis=1))
    groups = np.arange(len(used))
    _group(counts[used].astype(np.float64), groups)
    merged = np.zeros_like(counts)
    for group in np.unique(groups):
        rows = used[groups == group]
        merged[rows] = counts[rows].sum(axis=0)
    return merged


@nb.njit(cache=True, nogil=True)
def _bits(counts: F64) -> float:
    """Of the symbols float64[A] by their own table, and of the table."""
    total, symbols, bits = 0.0, 0.0, 0.0
    for count in counts:
        if count > 0.0:
            total += count
            symbols += count * math.log2(count)
            bits += BITS_PER_FREQUENCY
    return bits - symbols + (total * math.log2(total) if total > 0.0 else 0.0)


@nb.njit(cache=True, nogil=True)
def _saving(sums: F64, costs: F64, i: int, j: int) -> float:
    """Bits that joining groups i and j saves."""
    return float(costs[i] + costs[j] - _bits(sums[i] + sums[j]) - BITS_PER_COPY)


@nb.njit(cache=True, nogil=True)
def _group(sums: F64, groups: I64) -> None:
    """Number the group of each row of ``sums`` float64[n,A], which is used up."""
    n = len(sums)
    alive = np.ones(n, np.bool_)
    costs, savings, partners = np.empty(n), np.full(n, -np.inf), np.zeros(n, np.int64)
    for i in range(n):
        costs[i] = _bits(sums[i])
    for i in range(n):  # each row knows its best partner after it
        _best_partner(sums, costs, alive, i, savings, partners)
    while n > 1:
        i = int(savings.argmax())
        if savings[i] <= 0.0:
            break
        j = partners[i]
        sums[i] += sums[j]
        costs[i] = _bits(sums[i])
        alive[j], savings[j] = False, -np.inf
        for row in range(n):
            if groups[row] == j:
                groups[row] = i
        _best_partner(sums, costs, alive, i, savings, partners)
        for row in range(j):
            if not alive[row] or row == i:
                continue
            if partners[row] == i or partners[row] == j:
                _best_partner(sums, costs, alive, row, savings, partners)
            elif row < i:
                saving = _saving(sums, costs, row, i)
                if saving > savings[row]:
                    savings[row], partners[row] = saving, i


@nb.njit(cache=True, nogil=True)
def _best_partner(sums: F64, costs: F64, alive: npt.NDArray[np.bool_], i: int, savings: F64, partners: I64) -> None:
    savings[i] = -np.inf
    for j in range(i + 1, len(sums)):
        if alive[j]:
            saving = _saving(sums, costs, i, j)
            if saving > savings[i]:
                savings[i], partners[i] = saving, j
