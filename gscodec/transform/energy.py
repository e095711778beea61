"""What a splat's SH coefficients so far, and its neighbours', say about its next one: contexts for entropy coding."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import ENERGY_STEPS, NEAR_STEPS

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U16 = npt.NDArray[np.uint16]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]

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


@nb.njit(cache=True, nogil=True)
def energy_contexts(energy: I32, channel: int, predicted: I64, steps: I64) -> U16:
    """Contexts uint16[n]: (bucket of energy * 6 + bucket of prediction) * 3 + channel.

    energy int32[n,4]: running mean of all coefficients, then of each opponent channel, in 1/256; predicted
    int64[n], the mean of the neighbours' coefficients, in the unit of ``steps`` int64[n].
    """
    contexts = np.empty(len(predicted), np.uint16)
    for i in range(len(predicted)):
        level = np.int64(energy[i, 0] + energy[i, 1 + channel]) >> 1
        bucket = np.int64(BUCKET_OF[level & 0xFFFF])
        size, near = abs(predicted[i]) * SHARE, 0
        while near < NEAR_BUCKETS - 1 and size >= NEAR[near] * steps[i]:
            near += 1
        contexts[i] = (bucket * NEAR_BUCKETS + near) * 3 + channel
    return contexts


@nb.njit(cache=True, nogil=True)
def align(codes: I32, predicted: I64) -> I32:
    """Codes int32[n] with the sign turned where the prediction is negative; its own inverse."""
    turned = np.empty(len(codes), np.int32)
    for i in range(len(codes)):
        turned[i] = -codes[i] if predicted[i] < 0 else codes[i]
    return turned


@nb.njit(cache=True, nogil=True)
def update_energy(energy: I32, channel: int, values: I32) -> None:
    """Take a coefficient int32[n] of ``channel`` into account."""
    for i in range(len(values)):
        value: Any = np.int64(values[i])  # int32 has no 2**31 for abs to give
        magnitude = np.int32(min(abs(value), CLIP) << 8)
        energy[i, 0] += (magnitude - energy[i, 0]) >> 4
        energy[i, 1 + channel] += (magnitude - energy[i, 1 + channel]) >> 3


@nb.njit(cache=True, nogil=True)
def decode_codes(symbols: U32, predicted: I64, steps: I64, energy: I32, channel: int, values: I64) -> None:
    """Coefficients into ``values`` int64[n], within ±LIMIT, from zigzag symbols uint32[n]; updates ``energy``.

    One pass for what ``unzigzag``, ``align``, ``update_energy`` and a multiplication do.
    """
    for i in range(len(symbols)):
        symbol = np.int64(symbols[i])
        code: Any = (symbol >> 1) ^ -(symbol & 1)
        if predicted[i] < 0 and code != LOWEST:
            code = -code
        magnitude = np.int32(min(abs(code), CLIP) << 8)
        energy[i, 0] += (magnitude - energy[i, 0]) >> 4
        energy[i, 1 + channel] += (magnitude - energy[i, 1 + channel]) >> 3
        values[i] = min(max(code * steps[i], -LIMIT), LIMIT)
