"""Volumes of splats, for scores that favour large ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError

F64 = npt.NDArray[np.float64]


def log_volumes(cloud: GaussianCloud) -> F64:
    """Natural logarithm [N] of the product of the three scales, world units cubed; never overflows."""
    return np.asarray(cloud.log_scales.sum(axis=1, dtype=np.float64), np.float64)


def relative_volumes(cloud: GaussianCloud, beta: float) -> F64:
    """(V / V_ref)^beta [N], V_ref the volume at index int(0.9 N) of the descending order.

    As LightGaussian's code has it, whose text calls that the 90 % largest: it is the 10th percentile from below, and
    the ratio is not clamped to 1. A volume that is not a number gives NaN. Raises BadInputError for a ``beta``
    that is not finite.
    """
    if not np.isfinite(beta):
        raise BadInputError("bad power of the volume", field="beta", found=beta, allowed="a finite number")
    logs = log_volumes(cloud)
    known = np.sort(logs[~np.isnan(logs)])[::-1]
    if len(known) == 0 or beta == 0:
        return np.where(np.isnan(logs), np.nan, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.exp(beta * (logs - known[int(0.9 * len(known))])), np.float64)
