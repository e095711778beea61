"""What a splat's SH coefficients so far, and its neighbours', say about its next one: contexts for entropy coding."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import ENERGY_STEPS, NEAR_STEPS

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

STEPS: I64 = np.array(ENERGY_STEPS, np.int64)
BUCKETS = len(ENERGY_STEPS) + 1
# Bucket of each level: means start with a uint16 and stay below the larger of it and CLIP * 256.
BUCKET_OF: U8 = np.searchsorted(STEPS, np.arange(1 << 16), side="right").astype(np.uint8)
NEAR: I64 = np.array(NEAR_STEPS, np.int64)
SHARE = 20  # NEAR counts in steps / SHARE
NEAR_BUCKETS = len(NEAR) + 1
LIMIT = 1 << 40  # decoded values stay within, whatever the file says
LOWEST = -(1 << 31)  # has no negation in 32 bits
CLIP = 40  # magnitudes above count as this


@nb.njit(forceinline=True)
def energy_context(mean: Any, own: Any, channel: Any, predicted: Any, step: Any) -> Any:
    """(bucket of energy * 9 + bucket of prediction) * 3 + channel, of one coefficient.

    mean, own: running means of all the splat's coefficients, and of those of this opponent channel, in 1/256;
    predicted: the mean of the neighbours' coefficients, in the unit of ``step``.
    """
    level = np.int64(mean + own) >> 1
    size, near = abs(predicted) * SHARE, 0
    while near < NEAR_BUCKETS - 1 and size >= NEAR[near] * step:
        near += 1
    return (np.int64(BUCKET_OF[level & 0xFFFF]) * NEAR_BUCKETS + near) * 3 + channel


@nb.njit(forceinline=True)
def take_energy(energy: I32, i: Any, channel: Any, code: Any) -> None:
    """Take the code int64 of a coefficient of splat i into account; energy int32[n,4]: all, then each channel."""
    magnitude = np.int32(min(abs(code), CLIP) << 8)
    energy[i, 0] += (magnitude - energy[i, 0]) >> 4
    energy[i, 1 + channel] += (magnitude - energy[i, 1 + channel]) >> 3
