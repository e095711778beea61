"""Values as steps from a prediction: the mean of their neighbours' values, or a part of it, level by level."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.transform.neighbours import (
    first_rank,
    levels,
    predict_level,
    put_ranked,
    rank_step,
    ranked_zeros,
    spread_level,
)
from gscodec.transform.trellis import MOST_ERROR, halves, quantise_against, state_after

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]

LIMIT = 1 << 40  # decoded values stay within, whatever the file says
WHOLE = 4  # quarters of the mean that predict a value


class Level(NamedTuple):
    """The m splats of a level before their values are known.

    ``own``: their place in coding order; predicted int64[m]; ``state`` of the quantisers before the first of them;
    mean int64[m] of the neighbours' values, which stand in ``ranked``.
    """

    number: int
    own: slice
    predicted: I64
    state: int
    mean: I64
    ranked: I64
    weights: I16

    @property
    def spread(self) -> I64:
        """How far the neighbours' values lie from their mean, int64[m]."""
        return np.asarray(spread_level(self.ranked, self.mean, self.weights, self.number, self.own.start))


def restore(
    residuals: Callable[[Level], I32], weights: I16, starts: I64, steps: I64, machine: I64, quarters: int = WHOLE
) -> I64:
    """Values int64[n] in coding order, within ±LIMIT, of the residuals int32[m] in ``steps`` that a level has.

    weights int16[n,8] and starts as in ``transform.neighbours``, ``machine`` as in ``transform.trellis``; so many
    ``quarters`` of the neighbours' mean predict a value.
    """
    values, ranked, state = np.empty(len(steps), np.int64), ranked_zeros(len(steps)), 0
    for number, start, stop in levels(starts):
        mean = predict_level(ranked, weights, starts, number)
        level = Level(number, slice(start, stop), mean * quarters >> 2, state, mean, ranked, weights)
        codes = residuals(level)
        values[level.own] = restored(level, codes, steps[level.own], machine)
        put_ranked(values[level.own], number, ranked)
        state = state_after(codes, machine, state)
    return values


def restored(level: Level, codes: I32, steps: I64, machine: I64) -> I64:
    """Values int64[m] of a level from its residuals int32[m] and steps int64[m]."""
    moved = level.predicted + (halves(codes, machine, level.state) * steps >> 1)
    return np.asarray(np.clip(moved, -LIMIT, LIMIT))


class Rounding:
    """Inverse of ``restore``: called level by level, the residuals of values float64[n]; keeps them all.

    shares float32[n,D]: how much the splat of a rank overlaps those of the next D ranks; a value is rounded against the
    errors, in steps, of those that it overlaps and that were coded before it.
    """

    def __init__(self, values: F64, steps: I64, machine: I64, shares: F32 | None = None) -> None:
        self.residuals = np.empty(len(values), np.int32)
        self._values, self._steps, self._machine = values, steps, machine
        self._shares = np.zeros((len(values), 0), np.float32) if shares is None else shares
        self._errors = np.zeros(len(values), np.float32)  # by rank

    def __call__(self, level: Level) -> I32:
        """Of the splats of a level."""
        values, steps = self._values[level.own], self._steps[level.own]
        around, before = _overlapping(self._shares, self._errors, level.number, len(values))
        codes = quantise_against((values - level.predicted) / steps, around, before, self._machine, level.state)
        errors = (restored(level, codes, steps, self._machine) - values) / steps
        self._errors[first_rank(level.number) :: rank_step(level.number)] = np.clip(errors, -MOST_ERROR, MOST_ERROR)
        self.residuals[level.own] = codes
        return codes


@nb.njit(cache=True, nogil=True)
def _overlapping(shares: F32, errors: F32, level: int, count: int) -> tuple[F64, F32]:
    """Of ``count`` splats of a level: what errors of higher levels add to each, float64[m], and how much it overlaps
    those of its level before it, the nearest first, float32[m,B].
    """
    reach, apart = shares.shape[1], rank_step(level)
    around, before = np.zeros(count), np.zeros((count, reach // apart), np.float32)
    for i in range(count):
        rank = first_rank(level) + i * apart
        for d in range(1, reach + 1):
            if rank + d < len(errors):
                around[i] += shares[rank, d - 1] * errors[rank + d]
            if rank >= d:
                around[i] += shares[rank - d, d - 1] * errors[rank - d]
                if d % apart == 0:
                    before[i, d // apart - 1] = shares[rank - d, d - 1]
    return around, before
