"""Drop the splats that can neither be rendered nor coded lossily: broken numbers of a diverged training."""

from __future__ import annotations

from collections.abc import Iterator

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.cloud import ATTRIBUTES, GaussianCloud
from gscodec.errors import BadInputError

# Far outside of any trained scene, and far inside of what float32 can still square
LOG_SCALE_LIMIT = 30.0
POSITION_LIMIT = 1e12
VALUE_LIMIT = 4e5  # opacity logits and SH coefficients; what the native branch holds at any quality
QUAT_NORM_MIN = 1e-12  # below it (and above the maximum) a float32 normalisation does not give length 1
QUAT_NORM_MAX = 1e18

REASONS = ("non-finite", "rotation-norm", "scale-range", "position-range", "opacity-range", "sh-range")

_BLOCK_ROWS = 65536  # bounds the temporary arrays


def sanitise(cloud: GaussianCloud, strict: bool = False) -> tuple[GaussianCloud, dict[str, int]]:
    """The cloud without unusable splats, and how many were dropped for which reason.

    Nothing wrong: the same object. ``strict`` raises BadInputError with reasons, counts and the first index instead.
    """
    keep, counts = checked(cloud, strict)
    return (cloud.select(keep) if counts else cloud), counts


def checked(cloud: GaussianCloud, strict: bool = False) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """As ``usable``; ``strict`` raises BadInputError if a splat is not."""
    keep, counts = usable(cloud)
    if counts and strict:
        raise BadInputError(
            f"unusable splats, the first at index {int(np.argmin(keep))}",
            field="cloud",
            found=", ".join(f"{reason}: {count}" for reason, count in counts.items()),
            allowed="none",
        )
    return keep, counts


def usable(cloud: GaussianCloud) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """Mask bool[N] of the splats that ``sanitise`` keeps, and how many it drops for which reason.

    A splat counts under the first of REASONS that applies; reasons without a splat are left out.
    """
    keep = np.ones(len(cloud), bool)
    counts: dict[str, int] = {}
    for start in range(0, len(cloud), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        for reason, bad in _tests(cloud, block):
            fresh = bad & keep[block]
            if fresh.any():
                counts[reason] = counts.get(reason, 0) + int(np.count_nonzero(fresh))
                keep[block] &= ~bad
    return keep, {reason: counts[reason] for reason in REASONS if reason in counts}


def _tests(cloud: GaussianCloud, block: slice) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """(reason, bad [n]) in the order of REASONS for the splats of one block."""
    # The largest magnitude of each attribute says both: NaN and Inf pass through abs and max
    peak = {name: _peak(getattr(cloud, name)[block]) for name in ATTRIBUTES}
    finite = np.logical_and.reduce([np.isfinite(values) for values in peak.values()])
    yield "non-finite", ~finite
    quats = cloud.quats_wxyz[block].astype(np.float64)
    norm = np.sqrt(np.sum(quats * quats, axis=1))
    yield "rotation-norm", ~((norm >= QUAT_NORM_MIN) & (norm <= QUAT_NORM_MAX))
    yield "scale-range", peak["log_scales"] > LOG_SCALE_LIMIT
    yield "position-range", peak["positions"] > POSITION_LIMIT
    yield "opacity-range", peak["opacity_logits"] > VALUE_LIMIT
    yield "sh-range", np.maximum(peak["sh_dc"], peak["sh_rest"]) > VALUE_LIMIT


def _peak(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """max |value| per row [n]; 0 for rows of no values; NaN where a row holds one."""
    peaks = np.asarray(_row_peaks(values.reshape(len(values), -1).view(np.uint32)))
    return peaks.view(np.float32)


@nb.njit(cache=True, nogil=True)
def _row_peaks(rows: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Of the bits of floats, which without the sign are in the order of magnitudes, NaN above all."""
    peaks = np.zeros(len(rows), np.uint32)
    for i in range(len(rows)):
        peak = np.uint32(0)
        for j in range(rows.shape[1]):
            peak = max(peak, rows[i, j] & np.uint32(0x7FFFFFFF))
        peaks[i] = peak
    return peaks
