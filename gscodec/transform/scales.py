"""Sorted log scales: the two longer axes against a linear prediction, the shortest as a ratio to the middle one.

The prediction is affine in what is already decoded: weight class, position class, distance to the viewing
zone, opacity; a splat is also longer than that where its neighbours are. A splat's weight is (nearly) a function of
those and its scales, so that the class, sent first, costs almost nothing: what it says about scale is not said again.
An axis much shorter than the others hardly shows, so its error is measured against the middle axis: uniform steps of
the ratio.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.transform.fixed import OCTAVE, log2_fixed
from gscodec.transform.trellis import halves, quantise

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]

LIMIT = 64 * OCTAVE  # log scales decode within ±64 octaves
NEIGHBOURS_LONGER = 3  # quarters: a splat is that much longer than predicted of what its neighbours are
MIN_RATIO_SHARE = 4  # code 0 of the ratio decodes as step / 4
MAX_RATIO = 2 * OCTAVE


@nb.njit(cache=True, nogil=True)
def predict(factors: I64, features: I64) -> I64:
    """(bias * 4096 + sum of factor * feature) >> 12: int64[n] from factors int64[1 + F], features int64[n,F]."""
    n, count = features.shape
    predicted = np.empty(n, np.int64)
    for i in range(n):
        total = factors[0] << 12
        for j in range(count):
            total += factors[1 + j] * features[i, j]
        predicted[i] = min(max(total >> 12, -LIMIT), LIMIT)
    return predicted


def fit_predictor(target: F64, features: F64) -> list[int]:
    """Factors for ``predict`` by least squares: [bias, factor * 4096, …], from float64[n] and float64[n,F]."""
    if len(target) == 0:
        return [0] * (1 + features.shape[1])
    columns = np.concatenate([np.ones((len(target), 1)), features / OCTAVE], axis=1)
    solution = np.linalg.lstsq(columns, target / OCTAVE, rcond=1e-6)[0]
    bias = int(np.clip(np.rint(solution[0] * OCTAVE), -LIMIT, LIMIT))
    return [bias, *(int(x) for x in np.clip(np.rint(solution[1:] * 4096), -(1 << 16), 1 << 16))]


def decode_log(residuals: I32, predicted: I64, steps: I64, machine: I64) -> I64:
    """Log scales int64[n] in 1/65536 octave, within ±LIMIT, by residuals; machine: see ``trellis``."""
    return beyond(predicted, halves(residuals, machine) * steps >> 1)


def beyond(predicted: I64, away: I64) -> I64:
    """Log scales int64[n] in 1/65536 octave, within ±LIMIT, that far away from what is predicted."""
    return np.asarray(np.clip(predicted + away, -LIMIT, LIMIT))


def quantise_ratio(log_ratios: F64, steps: I64, machine: I64) -> U32:
    """Codes uint32[n] of the shortest axis over the middle one (log2, 1/65536 octave, <= 0 but for rounding)."""
    return np.asarray(quantise(ratios(log_ratios) / steps, machine).view(np.uint32))


def ratios(log_ratios: F64) -> F64:
    """In 1/65536, float64[n], from their logs in 1/65536 octave; at most MAX_RATIO."""
    return np.exp2(np.minimum(log_ratios / OCTAVE, 1.0)) * OCTAVE


def decode_ratio(codes: U32, steps: I64, machine: I64) -> I64:
    """Inverse of ``quantise_ratio``: the shortest axis over the middle one, int64[n] in 1/65536, 1 .. MAX_RATIO."""
    values = halves(codes, machine) * steps >> 1
    return np.asarray(np.minimum(np.maximum(values, least_ratios(steps)), MAX_RATIO))


def least_ratios(steps: I64) -> I64:
    """What a ratio is at least, int64[n] in 1/65536."""
    return np.asarray(np.maximum(steps // MIN_RATIO_SHARE, 1))


@nb.njit(cache=True, nogil=True)
def short_logs(ratios: I64, middle: I64) -> I64:
    """Log scales int64[n] of the shortest axis from ratios int64[n] to the middle one."""
    logs = np.empty(len(ratios), np.int64)
    for i in range(len(ratios)):
        logs[i] = min(max(middle[i] + log2_fixed(ratios[i] << 14), -LIMIT), LIMIT)
    return logs
