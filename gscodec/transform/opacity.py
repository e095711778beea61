"""Opacity in steps of its logarithm: an error δA counts as δA / A, like an error of colour."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.transform.fixed import LN2_PER_UNIT, OCTAVE, ONE, exp2_fixed, log2_fixed
from gscodec.transform.trellis import halves, quantise

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]

MIN_LOG = -24 * OCTAVE  # opacities below 2**-24 decode as that
MIN_REST = ONE >> 13  # opacities above 1 - 2**-13 decode as that


def log_opacities(opacity_logits: F32) -> npt.NDArray[np.float64]:
    """log2 of opacity in 1/65536 octave, float64[n], from logits float32[n]; at least MIN_LOG."""
    logs = -np.logaddexp(0.0, -opacity_logits.astype(np.float64)) / LN2_PER_UNIT
    return np.maximum(logs, MIN_LOG)


def quantise_opacity(logs: npt.NDArray[np.float64], steps: I64, machine: I64) -> U32:
    """Codes uint32[n] of logs float64[n] for steps int64[n]; ``machine`` as in ``trellis``."""
    return np.asarray(quantise(-logs / steps, machine).view(np.uint32))


def decode_opacity(codes: U32, steps: I64, machine: I64) -> I64:
    """Inverse of ``quantise_opacity``: log2 of opacity int64[n] in 1/65536 octave, MIN_LOG .. 0."""
    return np.asarray(np.maximum(-(halves(codes, machine) * steps >> 1), MIN_LOG))


@nb.njit(cache=True, nogil=True)
def opacity_logits(logs: I64) -> F32:
    """Inverse of ``log_opacities``: logits float32[n] of logs int64[n] in MIN_LOG .. 0."""
    logits = np.empty(len(logs), np.float32)
    for i in range(len(logs)):
        rest = max(ONE - exp2_fixed(logs[i]), MIN_REST)
        logits[i] = np.float32(np.float64(logs[i] - log2_fixed(rest)) * LN2_PER_UNIT)
    return logits
