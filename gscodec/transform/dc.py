"""SH DC as steps from a prediction, the mean of its neighbours' colours."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.transform.neighbours import REACH, TOP_LEVEL, first_rank, rank_step, weighted_mean

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]

LIMIT = 1 << 40  # decoded values stay within, whatever the file says
MAX_RESIDUAL = float((1 << 31) - 1)
MOST = 4.0  # steps that count of an error: what is clipped is not for others to make up for


@nb.njit(cache=True, nogil=True)
def code_dc(values: F64, weights: I16, starts: I64, steps: I64, shares: F32) -> tuple[I32, I64]:
    """(residuals int32[n], decoded values int64[n]) of values float64[n], all in coding order.

    weights int16[n,8] and starts as in ``transform.neighbours``; jumps of more than MAX_RESIDUAL steps are clipped.
    shares float32[n,D]: how much the splat of a rank overlaps those of the next D ranks; a value is rounded against the
    errors, in steps, of those that it overlaps and that were coded before it.
    """
    residuals, decoded = np.empty(len(values), np.int32), np.empty(len(values), np.int64)
    errors = np.zeros(len(values), np.float32)  # by rank
    ranked = np.zeros(len(values) + 2 * REACH, np.int64)
    for level in range(TOP_LEVEL, -1, -1):
        at, step, gap = np.uint64(REACH + first_rank(level)), np.uint64(rank_step(level)), np.uint64(1 << level)
        for i in range(np.uint64(starts[TOP_LEVEL - level]), np.uint64(starts[TOP_LEVEL - level + 1])):
            predicted = weighted_mean(ranked, at, gap, weights, i) if level < TOP_LEVEL else np.int64(0)
            rank = np.int64(at) - REACH
            residual = np.rint((values[i] - predicted) / steps[i] - _around(shares, errors, rank))
            residuals[i] = np.int32(min(max(residual, -MAX_RESIDUAL), MAX_RESIDUAL))
            decoded[i] = min(max(predicted + np.int64(residuals[i]) * steps[i], -LIMIT), LIMIT)
            errors[rank] = min(max((decoded[i] - values[i]) / steps[i], -MOST), MOST)
            ranked[at] = decoded[i]
            at += step
    return residuals, decoded


@nb.njit(forceinline=True)
def _around(shares: F32, errors: F32, rank: Any) -> Any:
    """What the errors of those that it overlaps add to a splat."""
    total = np.float32(0.0)
    for d in range(1, shares.shape[1] + 1):
        if rank + d < len(errors):
            total += shares[rank, d - 1] * errors[rank + d]
        if rank >= d:
            total += shares[rank - d, d - 1] * errors[rank - d]
    return total


@nb.njit(cache=True, nogil=True)
def decode_dc(residuals: I32, weights: I16, starts: I64, steps: I64) -> I64:
    """Inverse of ``code_dc``: values int64[n] within ±LIMIT."""
    decoded = np.empty(len(residuals), np.int64)
    ranked = np.zeros(len(residuals) + 2 * REACH, np.int64)
    for level in range(TOP_LEVEL, -1, -1):
        at, step, gap = np.uint64(REACH + first_rank(level)), np.uint64(rank_step(level)), np.uint64(1 << level)
        for i in range(np.uint64(starts[TOP_LEVEL - level]), np.uint64(starts[TOP_LEVEL - level + 1])):
            predicted = weighted_mean(ranked, at, gap, weights, i) if level < TOP_LEVEL else np.int64(0)
            decoded[i] = min(max(predicted + np.int64(residuals[i]) * steps[i], -LIMIT), LIMIT)
            ranked[at] = decoded[i]
            at += step
    return decoded
