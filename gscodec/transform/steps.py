"""Quantiser steps by weight class: a splat that covers more of the image gets finer steps.

Weight class c multiplies a base step by 2**((WEIGHT_ZERO - c) / 2), in integers, bounded by the attribute's cap.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import WEIGHT_CLASSES, WEIGHT_ZERO

I64 = npt.NDArray[np.int64]

SQRT2 = 92682  # round(65536 * sqrt(2))


def class_steps(base: int, cap: int) -> I64:
    """Steps int64[WEIGHT_CLASSES], each in 1..cap, in the unit of ``base``."""
    steps = []
    for weight_class in range(WEIGHT_CLASSES):
        halves = WEIGHT_ZERO - weight_class
        step = base * SQRT2 >> 16 if halves & 1 else base
        shift = halves >> 1
        step = step << shift if shift >= 0 else step >> -shift
        steps.append(max(1, min(step, cap)))
    return np.array(steps, np.int64)
