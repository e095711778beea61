"""Fixed-point logarithms: the only non-linear functions of the native branch, in integers on every machine.

Logarithms count octaves in 1/65536 (``OCTAVE``); fractions count in 2**-30 (``ONE``). Both functions are
linear interpolation in the 65-entry tables of FORMAT.md, off by less than 5e-5 octaves.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import EXP2_TABLE, LOG2_TABLE

I64 = npt.NDArray[np.int64]

OCTAVE = 1 << 16  # one octave (a factor of two)
ONE = 1 << 30  # the fraction 1.0
LOG_ZERO = -31 * OCTAVE  # what log2_fixed gives for zero
LN2_PER_UNIT = 0.6931471805599453 / OCTAVE  # natural log of one unit

_EXP2: I64 = np.array(EXP2_TABLE, np.int64)
_LOG2: I64 = np.array(LOG2_TABLE, np.int64)


@nb.njit(cache=True, nogil=True)
def exp2_fixed(log: int) -> Any:
    """2**(log / 65536) in units of 2**-30, for log <= 0; larger logs count as 0."""
    if log >= 0:
        return ONE
    shift = -(log >> 16)
    if shift > 31:
        return 0
    part = log & 0xFFFF
    j = part >> 10
    low = _EXP2[j]
    return (low + ((_EXP2[j + 1] - low) * (part & 0x3FF) >> 10)) >> shift


@nb.njit(cache=True, nogil=True)
def log2_fixed(fraction: int) -> Any:
    """Inverse of ``exp2_fixed``, also above 1.0: 65536 * log2(fraction / 2**30), for fraction < 2**40."""
    if fraction <= 0:
        return LOG_ZERO
    top = math.frexp(np.float64(fraction))[1] - 1  # place of the leading one; exact below 2**53
    mantissa = fraction << (30 - top) if top <= 30 else fraction >> (top - 30)
    part = mantissa - ONE
    j = part >> 24
    low = _LOG2[j]
    return (top - 30) * OCTAVE + low + ((_LOG2[j + 1] - low) * ((part >> 8) & 0xFFFF) >> 16)
