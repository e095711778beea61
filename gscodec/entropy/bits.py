"""Bit strings: numbers of given widths one after the other.

Each number's lowest bit comes first, and bits fill each byte from its lowest up. The last byte is
filled with zeros.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

from gscodec.entropy.arrays import U8, U32, check_below, check_lengths, vector
from gscodec.errors import CorruptStreamError

MAX_WIDTH = 32

_0, _1, _5, _31, _32 = (np.uint64(i) for i in (0, 1, 5, 31, 32))


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
        self._bits = 8 * len(data)
        self._position = 0
        padded = data + bytes(-len(data) % 4)
        self._words = np.frombuffer(padded, "<u4").astype(np.uint32, copy=False)

    def read(self, nbits: U8) -> U32:
        """The next n numbers, uint32[n], of nbits[i] (0..32, uint8[n]) bits. Raises CorruptStreamError."""
        nbits = vector(nbits, "nbits", np.uint8)
        check_below(nbits, "nbits", MAX_WIDTH + 1)
        wanted = self._position + int(nbits.sum(dtype=np.int64))
        if wanted > self._bits:
            raise CorruptStreamError("bits run out", field="bits", found=self._bits, allowed=f">= {wanted}")
        numbers = np.empty(len(nbits), np.uint32)
        _read(self._words, np.uint64(self._position), nbits, numbers)
        self._position = wanted
        return numbers

    def finish(self) -> None:
        """Check that only the padding of the last byte is left, all zero. Raises CorruptStreamError."""
        left = self._bits - self._position
        if left >= 8:
            raise CorruptStreamError("bits left over", field="bits", found=left, allowed="< 8")
        if left and int(self._words[self._position // 32]) >> (self._position % 32):
            raise CorruptStreamError("padding is not zero", field="bits", offset=self._position // 8)


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
