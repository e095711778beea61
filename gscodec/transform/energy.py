"""What the SH coefficients of a splat so far say about the size of its next one: contexts for entropy coding."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import ENERGY_STEPS

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]

STEPS: I64 = np.array(ENERGY_STEPS, np.int64)
BUCKETS = len(ENERGY_STEPS) + 1
CLIP = 40  # magnitudes above count as this


@nb.njit(cache=True, nogil=True)
def energy_contexts(energy: I32, channel: int, weights: U8) -> U16:
    """Contexts uint16[n]: (bucket * 16 + weight class // 2) * 3 + channel.

    energy int32[n,4]: running mean of all coefficients, then of each opponent channel, in 1/256.
    """
    contexts = np.empty(len(weights), np.uint16)
    for i in range(len(weights)):
        level = np.int64(energy[i, 0] + energy[i, 1 + channel]) >> 1
        bucket = 0
        while bucket < BUCKETS - 1 and level >= STEPS[bucket]:
            bucket += 1
        contexts[i] = (bucket * 16 + (weights[i] >> 1)) * 3 + channel
    return contexts


@nb.njit(cache=True, nogil=True)
def update_energy(energy: I32, channel: int, values: I32) -> None:
    """Take a coefficient int32[n] of ``channel`` into account."""
    for i in range(len(values)):
        value: Any = np.int64(values[i])  # int32 has no 2**31 for abs to give
        magnitude = np.int32(min(abs(value), CLIP) << 8)
        energy[i, 0] += (magnitude - energy[i, 0]) >> 3
        energy[i, 1 + channel] += (magnitude - energy[i, 1 + channel]) >> 2
