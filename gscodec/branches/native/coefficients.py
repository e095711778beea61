"""Colours of a tile beyond the mean, component by component: the kernels where encoder and decoder spend most time.

What FORMAT.md says plane by plane is done splat by splat: prediction from the neighbours, context, symbol, value,
energy. Codes and values stand in order of rank, all else in coding order (see ``transform.neighbours``).
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.entropy.planes import PlaneCursor, with_extra_bits
from gscodec.entropy.rans import next_symbol
from gscodec.entropy.tokens import DIRECT
from gscodec.transform.colour import rgb_to_opponent
from gscodec.transform.energy import LIMIT, LOWEST, energy_context, take_energy
from gscodec.transform.neighbours import REACH, TOP_LEVEL, first_rank, rank_step, weighted_mean

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]

MAX_CODE = float((1 << 31) - 1)
_BLOCK = 256


@nb.njit(cache=True, nogil=True)
def decode_channel(
    cursor: PlaneCursor,
    weights: I16,
    starts: I64,
    steps: I64,
    energy: I32,
    factors: I64,
    channel: int,
    ranked: I64,
    values: I64,
) -> Any:
    """``values`` int64[n] of one opponent channel of a component, within ±LIMIT.

    ``ranked`` (of ``ranked_zeros``) holds them by rank, and may hold those of another plane before.
    weights int16[n,8]; steps int64[n]; energy int32[n,4] is updated; factors int64[2] of ``plane_factors``. Returns a
    context without a table, or -1: what ``PlaneReader.check`` wants to know.
    """
    rows, bounds, firsts, words, state = cursor.rans
    bits, bit_state = cursor.bits
    of_all, of_own = factors[0], factors[1]
    for level in range(TOP_LEVEL, -1, -1):
        at, step, gap = np.uint64(REACH + first_rank(level)), np.uint64(rank_step(level)), np.uint64(1 << level)
        for i in range(np.uint64(starts[TOP_LEVEL - level]), np.uint64(starts[TOP_LEVEL - level + 1])):
            predicted = weighted_mean(ranked, at, gap, weights, i) if level < TOP_LEVEL else np.int64(0)
            context = energy_context(energy, i, channel, of_all, of_own, predicted, steps[i])
            row = rows[np.uint64(context)]
            if row < 0:
                return context
            symbol = next_symbol(row, bounds, firsts, words, state)
            if symbol >= DIRECT:
                symbol = with_extra_bits(symbol, bits, bit_state)
            code: Any = (symbol >> 1) ^ -(symbol & 1)
            if predicted < 0 and code != LOWEST:
                code = -code
            take_energy(energy, i, channel, code)
            values[i] = min(max(code * steps[i], -LIMIT), LIMIT)
            ranked[at] = values[i]
            at += step
    return -1


@nb.njit(forceinline=True)
def _magnitude(value: Any, step: Any) -> Any:
    """In steps, to the nearest."""
    return (abs(value) + (step >> 1)) // step


@nb.njit(cache=True, nogil=True)
def decode_correction(
    cursor: PlaneCursor,
    weights: I16,
    starts: I64,
    before: I64,
    steps: I64,
    energy: I32,
    factors: I64,
    channel: int,
    ranked: I64,
    values: I64,
    first_context: int,
) -> Any:
    """Correct ``values`` int64[n], so far in steps ``before`` int64[n], by whole numbers of ``steps`` int64[n].

    All else as ``decode_channel`` has it.
    """
    rows, bounds, firsts, words, state = cursor.rans
    bits, bit_state = cursor.bits
    of_all, of_own = factors[0], factors[1]
    for level in range(TOP_LEVEL, -1, -1):
        at, rank, gap = np.uint64(REACH + first_rank(level)), np.uint64(rank_step(level)), np.uint64(1 << level)
        for i in range(np.uint64(starts[TOP_LEVEL - level]), np.uint64(starts[TOP_LEVEL - level + 1])):
            predicted = weighted_mean(ranked, at, gap, weights, i) if level < TOP_LEVEL else np.int64(0)
            value, step = values[i], steps[i]
            context = energy_context(energy, i, channel, of_all, of_own, predicted, step)
            context = first_context + 3 * context + min(_magnitude(value, before[i]), 2)
            row = rows[np.uint64(context)]
            if row < 0:
                return context
            symbol = next_symbol(row, bounds, firsts, words, state)
            if symbol >= DIRECT:
                symbol = with_extra_bits(symbol, bits, bit_state)
            code: Any = (symbol >> 1) ^ -(symbol & 1)
            if (value < 0 or (value == 0 and predicted < 0)) and code != LOWEST:
                code = -code
            value = min(max(value + code * step, -LIMIT), LIMIT)
            take_energy(energy, i, channel, _magnitude(value, step))
            values[i] = value
            ranked[at] = value
            at += rank
    return -1


@nb.njit(cache=True, nogil=True)
def code_correction(
    wanted: I64,
    weights: I16,
    starts: I64,
    before: I64,
    steps: I64,
    energy: I32,
    factors: I64,
    channel: int,
    ranked: I64,
    values: I64,
    first_context: int,
) -> tuple[U32, U16]:
    """Inverse of ``decode_correction``: symbols uint32[n] and contexts uint16[n] that take ``values`` to ``wanted``.

    ``values`` int64[n] become what the decoder has.
    """
    symbols, contexts = np.empty(len(values), np.uint32), np.empty(len(values), np.uint16)
    of_all, of_own = factors[0], factors[1]
    for level in range(TOP_LEVEL, -1, -1):
        at, rank, gap = np.uint64(REACH + first_rank(level)), np.uint64(rank_step(level)), np.uint64(1 << level)
        for i in range(np.uint64(starts[TOP_LEVEL - level]), np.uint64(starts[TOP_LEVEL - level + 1])):
            predicted = weighted_mean(ranked, at, gap, weights, i) if level < TOP_LEVEL else np.int64(0)
            value, step = values[i], steps[i]
            context = energy_context(energy, i, channel, of_all, of_own, predicted, step)
            contexts[i] = first_context + 3 * context + min(_magnitude(value, before[i]), 2)
            nearest = np.rint((wanted[i] - value) / step)
            code: Any = np.int64(min(max(nearest, -MAX_CODE), MAX_CODE))
            values[i] = min(max(value + code * step, -LIMIT), LIMIT)
            take_energy(energy, i, channel, _magnitude(values[i], step))
            ranked[at] = values[i]
            if value < 0 or (value == 0 and predicted < 0):
                code = -code
            symbols[i] = np.uint32((code << 1) ^ (code >> 63))
            at += rank
    return symbols, contexts


@nb.njit(cache=True, nogil=True)
def in_steps(sh_rest: F32, first: int, last: int, steps: I64) -> F64:
    """Opponent values float64[n, 3 * (last - first)] of coefficients first <= k < last, in ``steps`` int64[n]."""
    wanted = np.empty((len(sh_rest), 3 * (last - first)))
    for i in range(len(sh_rest)):
        for k in range(first, last):
            opponent = rgb_to_opponent(sh_rest[i, k, 0], sh_rest[i, k, 1], sh_rest[i, k, 2])
            for channel in range(3):
                wanted[i, 3 * (k - first) + channel] = opponent[channel] / steps[i]
    return wanted


@nb.njit(cache=True, nogil=True)
def round_alone(sh_rest: F32, first: int, last: int, steps: I64, round_up_from: float) -> I32:
    """Codes int32[3 * (last - first),n] of ``in_steps``; a magnitude rounds up from the fraction ``round_up_from``."""
    n = len(sh_rest)
    codes, values = np.empty((3 * (last - first), n), np.int32), np.empty((3, _BLOCK))
    for start in range(0, n, _BLOCK):  # what is read and written stays in the cache
        count = min(n - start, _BLOCK)
        for k in range(first, last):
            for i in range(count):
                rgb, step = sh_rest[start + i, k], steps[start + i]
                opponent = rgb_to_opponent(rgb[0], rgb[1], rgb[2])
                values[0, i], values[1, i], values[2, i] = opponent[0] / step, opponent[1] / step, opponent[2] / step
            for channel in range(3):
                row = codes[3 * (k - first) + channel]
                for i in range(count):
                    magnitude = min(np.floor(abs(values[channel, i]) + (1.0 - round_up_from)), MAX_CODE)
                    row[start + i] = np.int32(math.copysign(magnitude, values[channel, i]))
    return codes


@nb.njit(cache=True, nogil=True)
def code_channel(
    codes: I32, weights: I16, starts: I64, steps: I64, energy: I32, factors: I64, channel: int, ranked: I64
) -> tuple[U32, U16]:
    """Inverse of ``decode_channel``: symbols uint32[n] and contexts uint16[n] of codes int32[n] in coding order."""
    symbols, contexts = np.empty(len(codes), np.uint32), np.empty(len(codes), np.uint16)
    of_all, of_own = factors[0], factors[1]
    for level in range(TOP_LEVEL, -1, -1):
        at, step, gap = np.uint64(REACH + first_rank(level)), np.uint64(rank_step(level)), np.uint64(1 << level)
        for i in range(np.uint64(starts[TOP_LEVEL - level]), np.uint64(starts[TOP_LEVEL - level + 1])):
            predicted = weighted_mean(ranked, at, gap, weights, i) if level < TOP_LEVEL else np.int64(0)
            contexts[i] = energy_context(energy, i, channel, of_all, of_own, predicted, steps[i])
            code: Any = np.int64(codes[i])
            take_energy(energy, i, channel, code)
            ranked[at] = min(max(code * steps[i], -LIMIT), LIMIT)
            if predicted < 0 and code != LOWEST:
                code = -code
            symbols[i] = np.uint32((code << 1) ^ (code >> 63))
            at += step
    return symbols, contexts
