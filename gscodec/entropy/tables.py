"""Integer frequency tables for rANS: fitting counts, deriving look-ups, and their byte form.

A table gives every symbol of an alphabet an integer frequency; the frequencies of a table sum to
2**14. A table of zeros is absent: no symbol may be coded with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.entropy.arrays import I64, U8, U16, U32, U64, frozen
from gscodec.errors import BadInputError, CorruptStreamError

PRECISION_BITS = 14
TOTAL = 1 << PRECISION_BITS  # what the frequencies of a present table sum to
MAX_ALPHABET = 256  # symbols are bytes
MAX_TABLES = 1 << 16  # contexts are uint16
BUCKET_BITS = 5  # of a slot within its bucket: what decoding looks up stays small enough for the caches
BUCKETS = TOTAL >> BUCKET_BITS
SHORT_BITS = 2  # below the leading one, of frequencies as ``short`` writes them
RECIPROCAL_SHIFT = 46  # see FrequencyTables.reciprocals


@dataclass(frozen=True, eq=False)
class FrequencyTables:
    """T tables over one alphabet of A symbols: ``freqs`` uint16[T, A].

    Each row sums to 2**14 or is all zero (absent). The derived arrays are built on first use and are
    read-only, so that threads may share one object. Raises BadInputError for anything else.
    """

    freqs: U16

    def __post_init__(self) -> None:
        _check_tables(self.freqs, "freqs", np.dtype(np.uint16))
        sums = self.freqs.sum(axis=1, dtype=np.int64)
        wrong = np.flatnonzero((sums != TOTAL) & (sums != 0))
        if len(wrong):
            raise BadInputError(
                "wrong sum of frequencies",
                field=f"freqs[{wrong[0]}]",
                found=int(sums[wrong[0]]),
                allowed=(0, TOTAL),
            )
        object.__setattr__(self, "freqs", frozen(self.freqs.copy()))

    @property
    def table_count(self) -> int:
        """T, present and absent ones."""
        return len(self.freqs)

    @property
    def alphabet_size(self) -> int:
        """A."""
        return int(self.freqs.shape[1])

    @cached_property
    def present(self) -> npt.NDArray[np.bool_]:
        """bool[T]: the table is not absent."""
        return frozen(np.asarray(self.freqs.max(axis=1) > 0))

    @cached_property
    def starts(self) -> U16:
        """uint16[T, A]: sum of the frequencies before each symbol."""
        ends = np.cumsum(self.freqs, axis=1, dtype=np.int64)
        return frozen((ends - self.freqs).astype(np.uint16))

    @cached_property
    def packed(self) -> U32:
        """uint32[T * A]: frequency in the low half, start in the high half: one load per symbol."""
        return frozen((self.freqs.astype(np.uint32) | self.starts.astype(np.uint32) << np.uint32(16)).ravel())

    @cached_property
    def reciprocals(self) -> U64:
        """uint64[T * A]: m = ceil(2**46 / f), 0 where f = 0, so that floor(x / f) = (x * m) >> 46.

        Exact for every x < f * 2**18, the states that an encoder divides. Let m * f = 2**46 + e, e < f.
        The quotient is right if x * e < 2**46, and x * e < f * f * 2**18 <= 2**46. The product fits
        64 bits: (f * 2**18 - 1) * m = 2**64 + e * 2**18 - m, and m >= 2**32 > e * 2**18 as f <= 2**14.
        """
        f = np.maximum(self.freqs.ravel(), 1).astype(np.uint64)
        m = ((np.uint64(1) << np.uint64(RECIPROCAL_SHIFT)) + f - np.uint64(1)) // f
        return frozen(np.where(self.freqs.ravel() > 0, m, np.uint64(0)))

    @cached_property
    def _distinct(self) -> tuple[U16, npt.NDArray[np.int32]]:
        """The D different present tables uint16[D, A], and for each of the T tables which one it is, -1 if absent."""
        numbers: dict[bytes, int] = {}
        rows = np.full(self.table_count, -1, np.int32)
        for t in np.flatnonzero(self.present):
            rows[t] = numbers.setdefault(self.freqs[t].tobytes(), len(numbers))
        freqs = np.frombuffer(b"".join(numbers), np.uint16).reshape(len(numbers), self.alphabet_size)
        return freqs, frozen(rows)

    @property
    def rows(self) -> npt.NDArray[np.int32]:
        """int32[T]: row of ``bounds`` and ``firsts`` of each table, -1 if absent; equal tables share a row."""
        return self._distinct[1]

    @cached_property
    def bounds(self) -> U16:
        """uint16[D, A + 1]: of each different table, where each symbol's slots begin, and at last 2**14."""
        freqs = self._distinct[0]
        bounds = np.zeros((len(freqs), self.alphabet_size + 1), np.uint16)
        bounds[:, 1:] = np.cumsum(freqs, axis=1, dtype=np.int64)
        return frozen(bounds)

    @cached_property
    def firsts(self) -> U8:
        """uint8[D, BUCKETS]: the symbol of the first slot of each bucket; a few steps up lead to any slot's."""
        freqs = self._distinct[0]
        symbols = np.tile(np.arange(self.alphabet_size, dtype=np.uint8), len(freqs))
        return frozen(np.repeat(symbols, freqs.ravel())[:: 1 << BUCKET_BITS].reshape(-1, BUCKETS))


def normalise(counts: I64) -> U16:
    """Frequencies uint16[T, A] of the shortest code for symbol counts int64[T, A].

    Every symbol that occurs gets at least 1, a row of zeros stays absent. The result depends on the
    counts alone, on every machine (only IEEE ``+ * /`` steer it). Raises BadInputError.
    """
    _check_tables(counts, "counts", np.dtype(np.int64))
    if counts.size and int(counts.min()) < 0:
        raise BadInputError("negative count", field="counts", found=int(counts.min()), allowed=">= 0")
    freqs = np.zeros(counts.shape, np.int64)
    _normalise(np.ascontiguousarray(counts), freqs)
    return freqs.astype(np.uint16)


def short(freqs: U16) -> U16:
    """Frequencies uint16[T, A] near to ``freqs``, of few different values, so that tables compress better.

    A frequency keeps its two bits below the leading one; the largest of a table takes the rest, and where that is more
    than a quarter of it, the table stays as it is.
    """
    f = freqs.astype(np.int64)
    bits = np.frexp(np.maximum(f, 1))[1].astype(np.int64)
    unit = np.int64(1) << np.maximum(bits - 1 - SHORT_BITS, 0)
    rounded = (f + unit // 2) // unit * unit
    tables, largest = np.arange(len(f)), f.argmax(axis=1)
    rounded[tables, largest] += f.sum(axis=1) - rounded.sum(axis=1)
    most = f[tables, largest]
    near = np.abs(rounded[tables, largest] - most) <= most // 4
    return np.where(near[:, None], rounded, f).astype(np.uint16)


@nb.njit(cache=True, nogil=True)
def _gain(count: int, freq: int) -> float:
    """What raising freq by one saves: count * ln((freq + 1) / freq), by the series of 2 artanh(1 / (2 freq + 1))."""
    z = 1.0 / (2.0 * freq + 1.0)
    return count * (z * (1.0 + z * z * (1.0 / 3.0 + z * z * 0.2)))


@nb.njit(cache=True, nogil=True)
def _normalise(counts: I64, freqs: I64) -> None:
    # The code length is convex in each frequency: moving single units to where they save most, until
    # no move helps, ends at the optimum. Rounding starts it at most a few units per symbol away.
    for t in range(counts.shape[0]):
        total = 0.0
        for s in range(counts.shape[1]):
            total += counts[t, s]
        if total == 0.0:
            continue
        missing = TOTAL
        for s in range(counts.shape[1]):
            if counts[t, s] > 0:
                freqs[t, s] = max(1, int(counts[t, s] / total * TOTAL + 0.5))
                missing -= freqs[t, s]
        while True:
            taker = giver = -1
            best = worst = 0.0
            for s in range(counts.shape[1]):
                count, freq = counts[t, s], freqs[t, s]
                if count > 0:
                    gain = _gain(count, freq)
                    if taker < 0 or gain > best:
                        taker, best = s, gain
                    if freq > 1:
                        loss = _gain(count, freq - 1)
                        if giver < 0 or loss < worst:
                            giver, worst = s, loss
            if missing > 0:
                freqs[t, taker] += 1
                missing -= 1
            elif missing < 0:
                freqs[t, giver] -= 1
                missing += 1
            elif giver >= 0 and giver != taker and best > worst:
                freqs[t, taker] += 1
                freqs[t, giver] -= 1
            else:
                break


def pack(freqs: U16) -> bytes:
    """Byte form of frequencies uint16[T, A].

    Per table the LEB128 of 1 + its last used symbol (0: absent), then of each frequency up to there.
    """
    values: list[U16] = []
    for row in FrequencyTables(freqs).freqs:
        used = np.flatnonzero(row)
        length = int(used[-1]) + 1 if len(used) else 0
        values += [np.array([length], np.uint16), row[:length]]
    v = np.concatenate(values) if values else np.zeros(0, np.uint16)
    groups = np.stack([v & 127, v >> 7 & 127, v >> 14], axis=1).astype(np.uint8)
    keep = np.stack([v >= 0, v >= 1 << 7, v >= 1 << 14], axis=1)
    groups[:, :2] |= keep[:, 1:].astype(np.uint8) << 7
    return groups[keep].tobytes()


def unpack(data: bytes, table_count: int, alphabet_size: int) -> U16:
    """Inverse of ``pack``: uint16[table_count, alphabet_size]. Raises CorruptStreamError.

    Only what ``pack`` writes is accepted: one byte string per set of tables.
    """
    if not 0 <= table_count <= MAX_TABLES or not 1 <= alphabet_size <= MAX_ALPHABET:
        raise CorruptStreamError(
            "impossible tables",
            field="table_count, alphabet_size",
            found=(table_count, alphabet_size),
            allowed=f"0..{MAX_TABLES}, 1..{MAX_ALPHABET}",
        )
    if table_count > len(data):
        raise CorruptStreamError("truncated tables", field="tables", found=len(data), allowed=f">= {table_count} bytes")
    values = _leb128_values(data)
    freqs = np.zeros((table_count, alphabet_size), np.uint16)
    position = 0
    for t in range(table_count):
        length = int(values[position]) if position < len(values) else -1
        row = values[position + 1 : position + 1 + max(length, 0)]
        if not 0 <= length <= alphabet_size or len(row) != length:
            raise CorruptStreamError(
                "bad table length", field=f"tables[{t}]", found=length, allowed=f"0..{alphabet_size}, all there"
            )
        if length and (int(row.sum()) != TOTAL or row[-1] == 0):
            raise CorruptStreamError(
                "bad frequencies", field=f"tables[{t}]", found=int(row.sum()), allowed=f"sum {TOTAL}, last one > 0"
            )
        freqs[t, :length] = row
        position += 1 + length
    if position != len(values):
        raise CorruptStreamError("bytes after the last table", field="tables", found=len(values) - position, allowed=0)
    return freqs


def _leb128_values(data: bytes) -> I64:
    """All values of a string of canonical LEB128 numbers of at most three bytes, int64[n]."""
    raw = np.concatenate([np.frombuffer(data, np.uint8), np.zeros(2, np.uint8)]).astype(np.int64)
    ends = np.flatnonzero(raw[: len(data)] < 128)
    if len(data) and (not len(ends) or ends[-1] != len(data) - 1):
        raise CorruptStreamError("truncated number", field="tables", offset=len(data))
    begins = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])[: len(ends)]
    lengths = ends - begins + 1
    wrong = np.flatnonzero((lengths > 3) | ((lengths > 1) & (raw[ends] == 0)))
    if len(wrong):
        first = int(begins[wrong[0]])
        raise CorruptStreamError("bad LEB128 number", field="tables", allowed="1..3 bytes, shortest form", offset=first)
    values: I64 = raw[begins] & 127
    for i in (1, 2):
        values |= np.where(lengths > i, (raw[begins + i] & 127) << (7 * i), 0)
    return values


def _check_tables(array: npt.NDArray[Any], field: str, dtype: np.dtype[Any]) -> None:
    if array.dtype != dtype:
        raise BadInputError("wrong type", field=field, found=array.dtype, allowed=dtype)
    if array.ndim != 2 or array.shape[0] > MAX_TABLES or not 1 <= array.shape[1] <= MAX_ALPHABET:
        raise BadInputError(
            "wrong shape", field=field, found=array.shape, allowed=f"(0..{MAX_TABLES}, 1..{MAX_ALPHABET})"
        )
