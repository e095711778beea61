"""Hybrid integers: any uint32 as a token of a small alphabet, which is entropy coded, and raw extra bits.

Values below 16 are their own token. A larger value with n = floor(log2 value) has the token
16 + 2 * (n - 4) + (the bit below its leading one), and its n - 1 lower bits are extra bits.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from gscodec.entropy.arrays import I32, U8, U32, check_below, check_lengths, vector
from gscodec.errors import BadInputError

DIRECT = 16  # values below are their own token
ALPHABET = 72  # tokens 0..71

# Extra bits of each token. 256 entries: any byte may index it.
EXTRA_BITS: U8 = np.array([0] * DIRECT + [3 + i // 2 for i in range(ALPHABET - DIRECT)] + [0] * 184, np.uint8)
EXTRA_BITS.flags.writeable = False


def zigzag(values: I32) -> U32:
    """int32 to uint32 of the same shape: 0, -1, 1, -2, 2, … become 0, 1, 2, 3, 4, …"""
    if values.dtype != np.int32:
        raise BadInputError("wrong type", field="values", found=values.dtype, allowed="int32")
    return ((values << np.int32(1)) ^ (values >> np.int32(31))).view(np.uint32)


def unzigzag(values: U32) -> I32:
    """Inverse of ``zigzag``."""
    if values.dtype != np.uint32:
        raise BadInputError("wrong type", field="values", found=values.dtype, allowed="uint32")
    return ((values >> np.uint32(1)).view(np.int32)) ^ -((values & np.uint32(1)).view(np.int32))


def split(values: U32) -> tuple[U8, U32, U8]:
    """Tokens uint8[n], extra bits uint32[n] and how many of these there are, uint8[n], of values uint32[n]."""
    values = vector(values, "values", np.uint32)
    n = len(values)
    tokens, extra, nbits = np.empty(n, np.uint8), np.empty(n, np.uint32), np.empty(n, np.uint8)
    _split(values, tokens, extra, nbits)
    return tokens, extra, nbits


def join(tokens: U8, extra: U32) -> U32:
    """Inverse of ``split``: values uint32[n]. Raises BadInputError for a token outside of the alphabet."""
    tokens, extra = vector(tokens, "tokens", np.uint8), vector(extra, "extra", np.uint32)
    check_lengths(extra, "extra", len(tokens))
    check_below(tokens, "tokens", ALPHABET)
    values = np.empty(len(tokens), np.uint32)
    _join(tokens, extra, values)
    return values


@nb.njit(cache=True, nogil=True)
def _split(values: U32, tokens: U8, extra: U32, nbits: U8) -> None:
    for i in range(len(values)):
        value = values[i]
        # The exponent and the first fraction bit of the (exact) float64 are n and the bit below the leading one.
        top = np.float64(value).view(np.int64) >> 51
        large = value >= DIRECT
        bits = (top >> 1) - 1024 if large else 0
        tokens[i] = np.uint8(top - (2 * 1027 - DIRECT) if large else value)
        extra[i] = np.uint32(value & ((1 << bits) - 1))
        nbits[i] = np.uint8(bits)


@nb.njit(cache=True, nogil=True)
def _join(tokens: U8, extra: U32, values: U32) -> None:
    for i in range(len(tokens)):
        token = np.int64(tokens[i])
        bits = 3 + ((token - DIRECT) >> 1)
        leading = (2 | (token & 1)) << bits if token >= DIRECT else token
        values[i] = np.uint32(leading | np.int64(extra[i]))
