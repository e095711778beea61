"""What a splat's colour components so far, and its neighbours', say about its next one: contexts for entropy coding.

The *profile* is the mean magnitude of each component, in each opponent channel. A splat's recent magnitudes over what
the profile expects of them, times what it expects of the next one, is the level that is to be expected.
"""

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
# Bucket of each level, in 1/256.
BUCKET_OF: U8 = np.searchsorted(STEPS, np.arange(1 << 16), side="right").astype(np.uint8)
NEAR: I64 = np.array(NEAR_STEPS, np.int64)
SHARE = 20  # NEAR counts in steps / SHARE
NEAR_BUCKETS = len(NEAR) + 1
LIMIT = 1 << 40  # decoded values stay within, whatever the file says
LOWEST = -(1 << 31)  # has no negation in 32 bits
CLIP = 40  # magnitudes above count as this
FADING = 2  # a sum of magnitudes loses 1/4 of itself with each that is added
PRIOR = 4  # magnitudes that the expectation of the weight class counts as
PROFILE_UNIT = 1024


def plane_factors(profile: I64) -> I64:
    """int64[K,3,2] from a profile int64[K,3] in 1/1024: what sums of all, and of a channel's, are multiplied by.

    In 2**-17: the sums are in 1/256, and each makes up half of the level.
    """
    expected = [PRIOR * PROFILE_UNIT] * 4
    factors = np.empty((*profile.shape, 2), np.int64)
    for k, channels in enumerate(profile.tolist()):
        for channel, own in enumerate(channels):
            for number, place in enumerate((0, 1 + channel)):
                factors[k, channel, number] = (own << 16) // expected[place]
                expected[place] += own - (expected[place] >> FADING)
    return factors


@nb.njit(forceinline=True)
def energy_context(energy: I32, i: Any, channel: Any, of_all: Any, of_own: Any, predicted: Any, step: Any) -> Any:
    """(bucket of the level * 9 + bucket of prediction) * 3 + channel, of one component of splat i.

    energy int32[n,4] as ``take_energy`` has it; of_all, of_own: the component's ``plane_factors``; predicted: the mean
    of the neighbours' values, in the unit of ``step``.
    """
    level = min((energy[i, 0] * of_all + energy[i, 1 + channel] * of_own) >> 17, 0xFFFF)
    size, near = abs(predicted) * SHARE, 0
    while near < NEAR_BUCKETS - 1 and size >= NEAR[near] * step:
        near += 1
    return (np.int64(BUCKET_OF[level]) * NEAR_BUCKETS + near) * 3 + channel


@nb.njit(forceinline=True)
def take_energy(energy: I32, i: Any, channel: Any, code: Any) -> None:
    """Take the code int64 of a component of splat i into account.

    energy int32[n,4]: fading sums of magnitudes in 1/256, of all and of each channel.
    """
    magnitude = np.int32(min(abs(code), CLIP) << 8)
    energy[i, 0] += magnitude - (energy[i, 0] >> FADING)
    energy[i, 1 + channel] += magnitude - (energy[i, 1 + channel] >> FADING)
