"""SH DC as steps from a prediction, the mean of its neighbours' colours."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

LIMIT = 1 << 40  # decoded values stay within, whatever the file says
MAX_RESIDUAL = float((1 << 31) - 1)


@nb.njit(cache=True, nogil=True)
def quantise_residuals(values: F64, predicted: I64, steps: I64) -> I32:
    """Residuals int32[n] of values float64[n]; jumps of more than MAX_RESIDUAL steps are clipped."""
    residuals = np.empty(len(values), np.int32)
    for i in range(len(values)):
        residual = np.rint((values[i] - predicted[i]) / steps[i])
        residuals[i] = np.int32(min(max(residual, -MAX_RESIDUAL), MAX_RESIDUAL))
    return residuals


@nb.njit(cache=True, nogil=True)
def decode_residuals(residuals: I32, predicted: I64, steps: I64) -> I64:
    """Inverse of ``quantise_residuals``: values int64[n] within ±LIMIT."""
    values = np.empty(len(residuals), np.int64)
    for i in range(len(residuals)):
        values[i] = min(max(predicted[i] + np.int64(residuals[i]) * steps[i], -LIMIT), LIMIT)
    return values
