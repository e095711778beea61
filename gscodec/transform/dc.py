"""SH DC against a prediction from the two splats before it: neighbours in Morton order look alike."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

LIMIT = 1 << 40  # decoded values stay within, whatever the file says
MAX_RESIDUAL = float((1 << 31) - 1)


@nb.njit(cache=True, nogil=True)
def _predict(factors: I64, before: int, earlier: int) -> Any:
    """(f0 * before + f1 * earlier) >> 12, exact where the sum of the products would not fit into 64 bits."""
    first, second = factors[0] * before, factors[1] * earlier
    return (first >> 12) + (second >> 12) + (((first & 4095) + (second & 4095)) >> 12)


@nb.njit(cache=True, nogil=True)
def quantise_dc(values: F64, steps: I64, factors: I64) -> I32:
    """Residuals int32[n] of one opponent channel float64[n], steps int64[n], factors int64[2] in 1/4096.

    Values beyond ±LIMIT, and jumps of more than MAX_RESIDUAL steps, are clipped.
    """
    residuals = np.empty(len(values), np.int32)
    before, earlier = 0, 0
    for i in range(len(values)):
        predicted = _predict(factors, before, earlier)
        residual = np.rint((values[i] - predicted) / steps[i])
        residuals[i] = np.int32(min(max(residual, -MAX_RESIDUAL), MAX_RESIDUAL))
        earlier = before
        before = min(max(predicted + np.int64(residuals[i]) * steps[i], -LIMIT), LIMIT)
    return residuals


@nb.njit(cache=True, nogil=True)
def decode_dc(residuals: I32, steps: I64, factors: I64, values: I64) -> None:
    """Inverse of ``quantise_dc`` into int64[n]."""
    before, earlier = 0, 0
    for i in range(len(residuals)):
        predicted = _predict(factors, before, earlier)
        value = min(max(predicted + np.int64(residuals[i]) * steps[i], -LIMIT), LIMIT)
        earlier = before
        before = value
        values[i] = value


def fit_dc_predictor(values: F64) -> list[int]:
    """Factors * 4096 of the previous value and the one before it, by least squares; float64[n] in tile order."""
    if len(values) < 4:
        return [0, 0]
    columns = np.stack([values[1:-1], values[:-2]], axis=1)
    solution = np.linalg.lstsq(columns, values[2:], rcond=1e-6)[0]
    return [int(x) for x in np.clip(np.rint(solution * 4096), -8192, 8192)]
