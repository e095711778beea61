"""Planes: arrays of uint32 in one stream, each value coded in a context that earlier planes may have decided.

Payload: uint32 little-endian length of the rANS part, the rANS part (tokens of all planes), the bit part
(their extra bits).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

from gscodec.entropy.arrays import I64, U8, U16, U32, U64, check_below, check_lengths, frozen, vector
from gscodec.entropy.bits import BitCursor, BitReader, next_bits, pack_bits
from gscodec.entropy.rans import RansCursor, RansDecoder, encode
from gscodec.entropy.tables import FrequencyTables
from gscodec.entropy.tokens import ALPHABET, DIRECT, EXTRA_BITS, join, split
from gscodec.errors import BadInputError, CorruptStreamError

LENGTH_BYTES = 4


class PlaneCursor(NamedTuple):
    """The place of a kernel in both parts."""

    rans: RansCursor
    bits: BitCursor


class PlaneWriter:
    """Collects planes, counts their tokens by context on demand, and codes them all once tables are chosen."""

    def __init__(self, table_count: int) -> None:
        self._table_count = table_count
        self._tokens: list[U8] = []
        self._contexts: list[U16] = []
        self._extra: list[U32] = []
        self._nbits: list[U8] = []

    @property
    def counts(self) -> I64:
        """int64[table_count, 72]: how often each token came in each context so far."""
        counts = np.zeros((self._table_count, ALPHABET), np.int64)
        self.add_counts(counts)
        return counts

    def add_counts(self, counts: I64) -> None:
        """Add ``counts`` to an int64[table_count, 72]. Raises BadInputError for another shape."""
        if counts.shape != (self._table_count, ALPHABET):
            raise BadInputError(
                "wrong shape", field="counts", found=counts.shape, allowed=(self._table_count, ALPHABET)
            )
        for tokens, contexts in zip(self._tokens, self._contexts, strict=True):
            _count(frozen(tokens), frozen(contexts), counts)

    @property
    def symbol_count(self) -> int:
        """Values put so far."""
        return sum(len(tokens) for tokens in self._tokens)

    def put(self, values: U32, contexts: U16 | int) -> None:
        """Append a plane: values uint32[n] in contexts uint16[n], or all in one. Raises BadInputError."""
        values = vector(values, "values", np.uint32)
        contexts = _contexts(contexts, len(values))
        check_below(contexts, "contexts", self._table_count)
        tokens, extra, nbits = split(values)
        # A copy where the caller could still change the array that it gave.
        self._contexts.append(contexts.copy())
        self._tokens.append(tokens)
        large = nbits > 0
        self._extra.append(extra[large])
        self._nbits.append(nbits[large])

    def finish(self, tables: FrequencyTables) -> bytes:
        """The payload of all planes; the writer can be finished again with other tables. Raises BadInputError."""
        _check_alphabet(tables)
        tokens, contexts = _joined(self._tokens, np.uint8), _joined(self._contexts, np.uint16)
        rans = encode(tokens, contexts, tables)
        if len(rans) >= 1 << 32:
            raise BadInputError("too many symbols in one stream", field="rans", found=len(rans), allowed="< 2**32")
        bits = pack_bits(_joined(self._extra, np.uint32), _joined(self._nbits, np.uint8))
        return len(rans).to_bytes(LENGTH_BYTES, "little") + rans + bits


class PlaneReader:
    """Reads the planes of one payload in the order in which they were put. Safe for any bytes.

    Raises CorruptStreamError; after that the reader is of no further use.
    """

    def __init__(self, data: bytes, tables: FrequencyTables) -> None:
        _check_alphabet(tables)
        length = int.from_bytes(data[:LENGTH_BYTES], "little")
        if len(data) < LENGTH_BYTES or length > len(data) - LENGTH_BYTES:
            raise CorruptStreamError(
                "truncated planes", field="rans length", found=len(data), allowed=f">= {LENGTH_BYTES + length} bytes"
            )
        self._rans = RansDecoder(data[LENGTH_BYTES : LENGTH_BYTES + length], tables)
        self._bits = BitReader(data[LENGTH_BYTES + length :])

    def get(self, contexts: U16 | int, count: int | None = None) -> U32:
        """The next plane, uint32[n], for contexts uint16[n], or for ``count`` values all in one context.

        Raises CorruptStreamError, also for a context without a table; BadInputError for a wrong call.
        """
        tokens = self._rans.decode(_contexts(contexts, count))
        if not len(tokens) or tokens.max() < DIRECT:  # mostly so: small values are their own tokens
            return tokens.astype(np.uint32)
        extra = self._bits.read(EXTRA_BITS[tokens])
        return join(tokens, extra)

    def finish(self) -> None:
        """Check that nothing is left of either part. Raises CorruptStreamError."""
        self._rans.finish()
        self._bits.finish()

    @property
    def cursor(self) -> PlaneCursor:
        """For kernels that take values one by one (``next_symbol``, ``with_extra_bits``), before or after planes."""
        return PlaneCursor(self._rans.cursor, self._bits.cursor)

    def check(self, absent: int = -1) -> None:
        """After a kernel: raises CorruptStreamError if it took more than there is, or met a context without a table."""
        self._bits.check()
        self._rans.check(absent)


@nb.njit(forceinline=True)
def with_extra_bits(token: Any, words: U32, state: U64) -> Any:
    """The value int64 of a token int64 not below DIRECT, from the arrays of ``PlaneCursor.bits``. For kernels."""
    width = 3 + ((token - DIRECT) >> 1)
    return (2 | (token & 1)) << width | next_bits(words, state, np.uint64(width))


@nb.njit(cache=True, nogil=True)
def _count(tokens: U8, contexts: U16, counts: I64) -> None:
    for i in range(len(tokens)):
        counts[contexts[i], tokens[i]] += 1


def _contexts(contexts: U16 | int, count: int | None) -> U16:
    if not isinstance(contexts, np.ndarray):
        if count is None or count < 0:
            raise BadInputError("one context needs a count", field="count", found=count, allowed=">= 0")
        if not 0 <= contexts < 1 << 16:
            raise BadInputError("out of range", field="contexts", found=contexts, allowed="0..65535")
        return frozen(np.full(count, contexts, np.uint16))
    contexts = vector(contexts, "contexts", np.uint16)
    if count is not None:
        check_lengths(contexts, "contexts", count)
    return contexts


def _joined(parts: list[np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _check_alphabet(tables: FrequencyTables) -> None:
    if tables.alphabet_size != ALPHABET:
        raise BadInputError("wrong alphabet", field="tables", found=tables.alphabet_size, allowed=ALPHABET)
