"""Interleaved rANS over integer frequency tables (Duda 2013; the layout follows Giesen 2014).

Probabilities have 14 bits. Four lanes hold states in [2**16, 2**32) and renormalise by 16-bit words,
at most one per symbol. Symbol i of a stream uses lane i % 4; the decoder takes words in forward order
as symbols 0, 1, 2, … need them, so the encoder runs backwards over the symbols. Each lane of the
encoder starts at 2**16, where the decoder must end.

Payload: four little-endian uint32 states (lane 0..3), then little-endian uint16 words.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

from gscodec.entropy.arrays import I32, U8, U16, U32, U64, check_below, check_lengths, vector
from gscodec.entropy.tables import BUCKET_BITS, PRECISION_BITS, RECIPROCAL_SHIFT, TOTAL, FrequencyTables
from gscodec.errors import BadInputError, CorruptStreamError

LANES = 4
STATE_LOW = 1 << 16
HEADER_BYTES = 4 * LANES
WORDS_TAKEN = 5  # its place in RansCursor.state

# Kernels count in uint64 throughout: numba turns int64 with uint64 into float64, and an unsigned index
# needs no test for wrapping round to the end.
_LOW = np.uint64(STATE_LOW)
_ROOM = np.uint64(32 - PRECISION_BITS)  # a state at or above freq << _ROOM must give up a word first
_BITS = np.uint64(PRECISION_BITS)
_TOTAL = np.uint64(TOTAL)
_SLOT = np.uint64(TOTAL - 1)
_SHIFT = np.uint64(RECIPROCAL_SHIFT)
_HALF = np.uint64(16)
_MASK = np.uint64(0xFFFF)
_BUCKET_BITS = np.uint64(BUCKET_BITS)
_0, _1, _2, _3, _4, _5 = (np.uint64(i) for i in range(6))


class RansCursor(NamedTuple):
    """What kernels decode from: the arrays of FrequencyTables, words uint16[m + 1], the last one
    no part of the payload, and the place in them.

    ``state`` uint64[6]: the four lanes, symbols taken, words taken.
    """

    rows: I32
    bounds: U16
    firsts: U8
    words: U16
    state: U64


def encode(symbols: U8, contexts: U16, tables: FrequencyTables) -> bytes:
    """The payload of symbols uint8[n], symbol i coded with table contexts[i] (uint16[n]).

    Raises BadInputError for a context without a table or a symbol of frequency zero.
    """
    symbols, contexts = vector(symbols, "symbols", np.uint8), vector(contexts, "contexts", np.uint16)
    check_lengths(contexts, "contexts", len(symbols))
    states = np.full(LANES, STATE_LOW, np.uint64)
    words = np.empty(len(symbols) + 1, np.uint16)
    begin = np.int64(1)
    if len(symbols):
        check_below(symbols, "symbols", tables.alphabet_size)
        check_below(contexts, "contexts", tables.table_count)
        alphabet = np.uint64(tables.alphabet_size)
        begin = _encode(symbols, contexts, tables.packed, tables.reciprocals, alphabet, states, words)
    if begin == 0:
        bad = int(np.flatnonzero(tables.freqs[contexts, symbols] == 0)[-1])
        raise BadInputError(
            "symbol of zero frequency",
            field=f"symbols[{bad}]",
            found=f"symbol {symbols[bad]} in context {contexts[bad]}",
            allowed="symbols with a frequency in that context's table",
        )
    return states.astype("<u4").tobytes() + words[begin:].astype("<u2", copy=False).tobytes()


class RansDecoder:
    """Decodes one payload, over as many calls as the caller likes; tables as the encoder had them.

    Safe for any bytes. Raises CorruptStreamError; after that the decoder is of no further use.
    """

    def __init__(self, data: bytes, tables: FrequencyTables) -> None:
        if len(data) < HEADER_BYTES or len(data) % 2:
            raise CorruptStreamError(
                "bad rANS length", field="rans", found=len(data), allowed=f"even, >= {HEADER_BYTES} bytes"
            )
        self._tables = tables
        lanes = np.frombuffer(data, "<u4", LANES)
        if int(lanes.min()) < STATE_LOW:
            raise CorruptStreamError("bad rANS state", field="rans", found=int(lanes.min()), allowed=f">= {STATE_LOW}")
        words = np.frombuffer(data + b"\0\0", "<u2", offset=HEADER_BYTES).astype(np.uint16, copy=False)
        state = np.concatenate([lanes, [0, 0]]).astype(np.uint64)
        self.cursor = RansCursor(tables.rows, tables.bounds, tables.firsts, words, state)

    def decode(self, contexts: U16) -> U8:
        """The next n symbols, uint8[n], for contexts uint16[n]. Raises CorruptStreamError."""
        contexts = vector(contexts, "contexts", np.uint16)
        out = np.empty(len(contexts), np.uint8)
        if not len(contexts):
            return out
        if int(contexts.max()) >= self._tables.table_count:
            raise CorruptStreamError(
                "context out of range",
                field="contexts",
                found=int(contexts.max()),
                allowed=f"< {self._tables.table_count}",
            )
        done = int(_decode(contexts, self.cursor, out))
        self.check(int(contexts[done]) if done < len(contexts) else -1)
        return out

    def check(self, absent: int = -1) -> None:
        """Raises CorruptStreamError if a kernel took more words than there are, or met a context without a table."""
        taken, stock = int(self.cursor.state[WORDS_TAKEN]), len(self.cursor.words) - 1
        if taken > stock:
            raise CorruptStreamError("rANS words run out", field="rans", found=stock, allowed=f">= {taken} words")
        if absent >= 0:
            raise CorruptStreamError("context without a table", field="contexts", found=absent)

    def finish(self) -> None:
        """Check that the payload ends here: no words left and every lane at 2**16. Raises CorruptStreamError."""
        lanes, taken = self.cursor.state[:LANES], int(self.cursor.state[WORDS_TAKEN])
        left = len(self.cursor.words) - 1 - taken
        if left:
            raise CorruptStreamError("rANS words left over", field="rans", found=left, allowed=0)
        if np.any(lanes != _LOW):
            raise CorruptStreamError("wrong final rANS states", field="rans", found=lanes.tolist(), allowed=STATE_LOW)


@nb.njit(cache=True, nogil=True)
def _encode(
    symbols: U8, contexts: U16, packed: U32, reciprocals: U64, alphabet: Any, states: U64, words: U16
) -> np.int64:
    """Returns where the words begin (they are written from the end of ``words``), 0 for a zero frequency.

    ``words`` has one more element than there are symbols, so that 0 is never a true beginning and the
    word of a state that needs no renormalising can be written and then overwritten.
    """
    position = np.uint64(len(words))
    i = np.uint64(len(symbols))
    while i & _3:
        i -= _1
        entry = np.uint64(contexts[i]) * alphabet + np.uint64(symbols[i])
        states[i & _3], position = _push(states[i & _3], packed[entry], reciprocals[entry], words, position)
        if reciprocals[entry] == _0:
            return np.int64(0)
    x0, x1, x2, x3 = states[0], states[1], states[2], states[3]
    while i >= _4:
        i -= _4
        e3 = np.uint64(contexts[i + _3]) * alphabet + np.uint64(symbols[i + _3])
        e2 = np.uint64(contexts[i + _2]) * alphabet + np.uint64(symbols[i + _2])
        e1 = np.uint64(contexts[i + _1]) * alphabet + np.uint64(symbols[i + _1])
        e0 = np.uint64(contexts[i]) * alphabet + np.uint64(symbols[i])
        m3, m2, m1, m0 = reciprocals[e3], reciprocals[e2], reciprocals[e1], reciprocals[e0]
        if m3 == _0 or m2 == _0 or m1 == _0 or m0 == _0:
            return np.int64(0)
        x3, position = _push(x3, packed[e3], m3, words, position)
        x2, position = _push(x2, packed[e2], m2, words, position)
        x1, position = _push(x1, packed[e1], m1, words, position)
        x0, position = _push(x0, packed[e0], m0, words, position)
    states[0], states[1], states[2], states[3] = x0, x1, x2, x3
    return np.int64(position)


@nb.njit(forceinline=True)
def _push(x: Any, entry: Any, reciprocal: Any, words: U16, position: Any) -> Any:
    """One symbol onto state x: x = (x // f) * 2**14 + start + x % f, after moving out a word if need be."""
    freq = np.uint64(entry) & _MASK
    full = np.uint64(x >= freq << _ROOM)
    words[position - _1] = np.uint16(x & _MASK)
    position -= full
    x >>= full * _HALF
    quotient = (x * reciprocal) >> _SHIFT
    return x + (np.uint64(entry) >> _HALF) + quotient * (_TOTAL - freq), position


@nb.njit(cache=True, nogil=True)
def _decode(contexts: U16, cursor: RansCursor, out: U8) -> np.int64:
    """Returns how many symbols it decoded; fewer than there are contexts: no table for the next.

    The caller has checked that contexts are below len(rows). Slots are below 2**14 and the bounds end with that, so
    words are all that can run out: the fast loop wants four in stock.
    """
    rows, bounds, firsts, words, state = cursor
    n, stock, lane, position = np.uint64(len(contexts)), np.uint64(len(words)) - _1, state[_4] & _3, state[_5]
    x0, x1, x2, x3 = state[lane], state[lane + _1 & _3], state[lane + _2 & _3], state[lane + _3 & _3]
    i = _0
    while i + _4 <= n and position + _4 <= stock:
        r0, r1 = rows[contexts[i]], rows[contexts[i + _1]]
        r2, r3 = rows[contexts[i + _2]], rows[contexts[i + _3]]
        if (r0 | r1 | r2 | r3) < 0:
            break
        out[i], x0, position = _pop(x0, r0, bounds, firsts, words, position)
        out[i + _1], x1, position = _pop(x1, r1, bounds, firsts, words, position)
        out[i + _2], x2, position = _pop(x2, r2, bounds, firsts, words, position)
        out[i + _3], x3, position = _pop(x3, r3, bounds, firsts, words, position)
        i += _4
    state[lane], state[lane + _1 & _3], state[lane + _2 & _3], state[lane + _3 & _3] = x0, x1, x2, x3
    state[_4] += i
    state[_5] = position
    while i < n and rows[contexts[i]] >= 0:
        out[i] = next_symbol(rows[contexts[i]], bounds, firsts, words, state)
        i += _1
    return np.int64(i)


@nb.njit(forceinline=True)
def next_symbol(row: Any, bounds: U16, firsts: U8, words: U16, state: U64) -> Any:
    """The next symbol as int64, with the table in ``row``, which must be there. For kernels; see ``RansDecoder.check``.

    Without any word left it goes on with zeros and counts what it lacks. Takes the arrays of a RansCursor one by one,
    and has one way out: numba would count references else.
    """
    lane, position = state[_4] & _3, state[_5]
    symbol, x = _split(state[lane], row, bounds, firsts)
    word = np.uint64(words[min(position, np.uint64(len(words)) - _1)])
    low = np.uint64(x < _LOW)
    state[lane] = (x << (low * _HALF)) | (word & (_0 - low))
    state[_4] += _1
    state[_5] = position + low
    return np.int64(symbol)


@nb.njit(forceinline=True)
def _pop(x: Any, row: Any, bounds: U16, firsts: U8, words: U16, position: Any) -> Any:
    """One symbol off state x, with a word in stock; without a branch, as renormalising is unpredictable."""
    symbol, x = _split(x, row, bounds, firsts)
    word = np.uint64(words[position])
    low = np.uint64(x < _LOW)
    return symbol, (x << (low * _HALF)) | (word & (_0 - low)), position + low


@nb.njit(forceinline=True)
def _split(x: Any, row: Any, bounds: U16, firsts: U8) -> Any:
    """(symbol, what is left of state x before it takes a word)."""
    slot = x & _SLOT
    table = np.uint64(row)
    symbol = np.uint64(firsts[table, slot >> _BUCKET_BITS])
    end = np.uint64(bounds[table, symbol + _1])
    while end <= slot:
        symbol += _1
        end = np.uint64(bounds[table, symbol + _1])
    start = np.uint64(bounds[table, symbol])
    return symbol, (end - start) * (x >> _BITS) + slot - start
