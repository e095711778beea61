"""Bit strings: numbers of given widths one after the other.

Each number's lowest bit comes first, and bits fill each byte from its lowest up. The last byte is
filled with zeros.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

from gscodec.entropy.arrays import U8, U32, U64, check_below, check_lengths, vector
from gscodec.errors import CorruptStreamError

MAX_WIDTH = 32

_0, _1, _2, _5, _31, _32 = (np.uint64(i) for i in (0, 1, 2, 5, 31, 32))


class BitCursor(NamedTuple):
    """What kernels read from: words uint32[m], two of them behind the string.

    ``state`` uint64[2]: bits taken, bits there.
    """

    words: U32
    state: U64


def pack_bits(numbers: U32, nbits: U8) -> bytes:
    """The bit string of the nbits[i] (0..32, uint8[n]) low bits of numbers[i] (uint32[n]). Raises BadInputError."""
    numbers, nbits = vector(numbers, "numbers", np.uint32), vector(nbits, "nbits", np.uint8)
    check_lengths(nbits, "nbits", len(numbers))
    check_below(nbits, "nbits", MAX_WIDTH + 1)
    total = int(nbits.sum(dtype=np.int64))
    words = np.zeros(total // 32 + 1, np.uint32)
    _write(numbers, nbits, words)
    return words.astype("<u4", copy=False).tobytes()[: (total + 7) // 8]


class BitReader:
    """Reads a bit string over as many calls as the caller likes. Safe for any bytes.

    Raises CorruptStreamError; after that the reader is of no further use.
    """

    def __init__(self, data: bytes) -> None:
        padded = data + bytes(-len(data) % 4 + 8)  # so that any number lies in two words
        words = np.frombuffer(padded, "<u4").astype(np.uint32, copy=False)
        self.cursor = BitCursor(words, np.array([0, 8 * len(data)], np.uint64))

    def read(self, nbits: U8) -> U32:
        """The next n numbers, uint32[n], of nbits[i] (0..32, uint8[n]) bits. Raises CorruptStreamError."""
        nbits = vector(nbits, "nbits", np.uint8)
        check_below(nbits, "nbits", MAX_WIDTH + 1)
        begin = np.uint64(self.cursor.state[0])
        self.cursor.state[0] += np.uint64(nbits.sum(dtype=np.int64))
        self.check()
        numbers = np.empty(len(nbits), np.uint32)
        _read(self.cursor.words, begin, nbits, numbers)
        return numbers

    def check(self) -> None:
        """Raises CorruptStreamError if a kernel took more bits than there are."""
        taken, there = self.cursor.state.tolist()
        if taken > there:
            raise CorruptStreamError("bits run out", field="bits", found=there, allowed=f">= {taken}")

    def finish(self) -> None:
        """Check that only the padding of the last byte is left, all zero. Raises CorruptStreamError."""
        position, end = self.cursor.state.tolist()
        left = end - position
        if left >= 8:
            raise CorruptStreamError("bits left over", field="bits", found=left, allowed="< 8")
        if left and int(self.cursor.words[position // 32]) >> (position % 32):
            raise CorruptStreamError("padding is not zero", field="bits", offset=position // 8)


@nb.njit(cache=True, nogil=True)
def _write(numbers: U32, nbits: U8, words: U32) -> None:
    pending, held, position = _0, _0, _0
    for i in range(len(numbers)):
        width = np.uint64(nbits[i])
        pending |= (np.uint64(numbers[i]) & ((_1 << width) - _1)) << held
        held += width
        if held >= _32:
            words[position] = np.uint32(pending)
            position += _1
            pending >>= _32
            held -= _32
    words[position] = np.uint32(pending)


@nb.njit(cache=True, nogil=True)
def _read(words: U32, begin: Any, nbits: U8, numbers: U32) -> None:
    """The caller has checked that the sum of nbits does not pass the end of ``words``."""
    position, held, pending = begin >> _5, _0, _0
    if begin & _31:
        pending = np.uint64(words[position]) >> (begin & _31)
        held = _32 - (begin & _31)
        position += _1
    for i in range(len(nbits)):
        width = np.uint64(nbits[i])
        if held < width:
            pending |= np.uint64(words[position]) << held
            held += _32
            position += _1
        numbers[i] = np.uint32(pending & ((_1 << width) - _1))
        pending >>= width
        held -= width


@nb.njit(forceinline=True)
def next_bits(words: U32, state: U64, width: Any) -> Any:
    """The next number of ``width`` uint64 bits, at most 32, as int64. For kernels; arrays of a BitCursor.

    Where bits run out it gives any number and counts on (see ``BitReader.check``).
    """
    begin = state[0]
    state[0] = begin + width
    at = min(begin >> _5, np.uint64(len(words)) - _2)
    both = np.uint64(words[at]) | np.uint64(words[at + _1]) << _32
    return np.int64((both >> (begin & _31)) & ((_1 << width) - _1))
