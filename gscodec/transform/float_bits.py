"""Floats as integers on a scale that is linear near zero: a float's bits ⇄ (cell, tail, low bits), without loss.

With the unit 2**(base - 127) a magnitude below 2**24 units falls into cell floor(|x| / unit); above, every float has
a cell of its own, in order. A cell of negative sign is the one's complement, so that cells have the order of the
values and −0.0 differs from 0.0. What the cell leaves open is the tail (the exponent, in cell zero only) and the low
bits of the mantissa. All in integers, so every bit pattern comes back: NaN payloads, infinities, denormals.

A gradual underflow raised to a chosen exponent; see Goldberg, "What every computer scientist should know about
floating-point arithmetic" (1991), for the ordering of bit patterns.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.errors import CorruptStreamError

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
I32 = npt.NDArray[np.int32]

MANTISSA_BITS = 23
LINEAR_BITS = 24  # cells below 2**24 are linear
MIN_BASE, MAX_BASE = 1, 230
_MAGNITUDE, _MANTISSA, _LEADING = 0x7FFFFFFF, 0x7FFFFF, 0x800000


def last_cell(base: int) -> int:
    """The cell of the largest bit pattern of positive sign; cells run from -last - 1 to last."""
    return (1 << LINEAR_BITS) + _MAGNITUDE - ((base + LINEAR_BITS) << MANTISSA_BITS)


def trailing_zeros(bits: U32) -> int:
    """How many low mantissa bits (0..23) are zero in all of bits uint32[n]."""
    union = int(np.bitwise_or.reduce(bits)) & _MANTISSA if len(bits) else 0
    return (union & -union).bit_length() - 1 if union else MANTISSA_BITS


def to_cells(bits: U32, base: int) -> I32:
    """Cells int32[n] of float bits uint32[n]; ``base`` in 1..230 is the biased exponent of the unit."""
    cells = np.empty(len(bits), np.int32)
    _to_cells(bits, base, cells)
    return cells


def to_tails(bits: U32, base: int) -> U32:
    """Tails uint32[n] of bits uint32[n] in cell zero: 0 for ±0, else how far the exponent is below ``base``."""
    magnitudes = bits & np.uint32(_MAGNITUDE)
    below = np.uint32(base) - (magnitudes >> np.uint32(MANTISSA_BITS))
    return np.where(magnitudes == 0, np.uint32(0), below)


def low_bit_counts(cells: I32, tails: U32, dropped: int) -> U8:
    """How many low bits each value has, uint8[n], without the ``dropped`` lowest ones.

    Tails uint32[n] count where the cell is zero.
    """
    counts = np.empty(len(cells), np.uint8)
    _low_bit_counts(cells, tails, dropped, counts)
    return counts


def low_bits(bits: U32, counts: U8, dropped: int) -> U32:
    """The low bits uint32[n], without the ``dropped`` lowest ones, of float bits uint32[n]."""
    return (bits >> np.uint32(dropped)) & ((np.uint32(1) << counts.astype(np.uint32)) - np.uint32(1))


def from_cells(cells: I32, tails: U32, low: U32, base: int, dropped: int) -> U32:
    """Inverse of ``to_cells``, ``to_tails`` and ``low_bits``: float bits uint32[n].

    Raises CorruptStreamError for a cell that no float has, or a tail beyond ``base``.
    """
    limit = last_cell(base)
    if len(cells) and not (-limit - 1 <= int(cells.min()) and int(cells.max()) <= limit):
        raise CorruptStreamError(
            "cell out of range", field="cells", found=(int(cells.min()), int(cells.max())), allowed=f"up to {limit}"
        )
    if len(tails) and int(tails.max()) > base:
        raise CorruptStreamError("tail out of range", field="tails", found=int(tails.max()), allowed=f"<= {base}")
    bits = np.empty(len(cells), np.uint32)
    _from_cells(cells, tails, low, base, dropped, bits)
    return bits


@nb.njit(inline="always")
def _log2(value: Any) -> Any:
    """floor(log2 value) of 1 <= value < 2**31, from the exponent of the exact float64."""
    return (np.float64(value).view(np.int64) >> 52) - 1023


@nb.njit(cache=True, nogil=True)
def _to_cells(bits: U32, base: int, cells: I32) -> None:
    for i in range(len(bits)):
        magnitude = np.int64(bits[i]) & _MAGNITUDE
        up = (magnitude >> MANTISSA_BITS) - base
        if up < 0:
            cell = np.int64(0)
        elif up < LINEAR_BITS:
            cell = ((magnitude & _MANTISSA) | _LEADING) >> (MANTISSA_BITS - up)
        else:
            cell = (1 << LINEAR_BITS) + magnitude - ((base + LINEAR_BITS) << MANTISSA_BITS)
        cells[i] = np.int32(~cell if bits[i] >> 31 else cell)


@nb.njit(cache=True, nogil=True)
def _low_bit_counts(cells: I32, tails: U32, dropped: int, counts: U8) -> None:
    for i in range(len(cells)):
        cell = np.int64(cells[i])
        magnitude = ~cell if cell < 0 else cell
        if magnitude == 0:
            width = MANTISSA_BITS if tails[i] else 0
        elif magnitude < (1 << LINEAR_BITS):
            width = MANTISSA_BITS - _log2(magnitude)
        else:
            width = 0
        counts[i] = np.uint8(max(width - dropped, 0))


@nb.njit(cache=True, nogil=True)
def _from_cells(cells: I32, tails: U32, low: U32, base: int, dropped: int, bits: U32) -> None:
    for i in range(len(cells)):
        cell = np.int64(cells[i])
        magnitude = ~cell if cell < 0 else cell
        rest = np.int64(low[i]) << dropped
        if magnitude == 0:
            value = ((base - np.int64(tails[i])) << MANTISSA_BITS) | rest if tails[i] else np.int64(0)
        elif magnitude < (1 << LINEAR_BITS):
            up = _log2(magnitude)
            value = ((base + up) << MANTISSA_BITS) | ((magnitude << (MANTISSA_BITS - up)) & _MANTISSA) | rest
        else:
            value = magnitude - (1 << LINEAR_BITS) + ((base + LINEAR_BITS) << MANTISSA_BITS)
        bits[i] = np.uint32(value | (1 << 31) if cell < 0 else value)
