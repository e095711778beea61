"""Points of -1..1 as codes of equal intervals, each by itself or dependent on the codes before it."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.transform.trellis import best_path, first_cost, first_halved, survive, ways_to

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

LEAST_DEPENDENT = 4  # intervals from which dependent quantisation says more than it costs


@nb.njit(cache=True, nogil=True)
def centres(codes: npt.NDArray[Any], levels: I64, machine: I64) -> F64:
    """Points float64[n] in -1..1 of codes int64[n], each below its number of ``levels`` int64[n].

    Code c is the middle of interval c of so many equal ones, and a quarter of an interval below it or above where
    quantisation is dependent, by the quantiser: ``machine`` as in ``transform.trellis``. Few levels are not.
    """
    points, state, upper, dependent = np.empty(len(codes)), 0, first_halved(machine), len(machine) > 1
    for i in range(len(codes)):
        code, quarters = np.int64(codes[i]), 0
        if dependent and levels[i] >= LEAST_DEPENDENT:
            quarters = 1 if state >= upper else -1
            state = machine[state, code & 1]
        points[i] = np.float64(4 * code + 2 - 2 * levels[i] + quarters) / np.float64(2 * levels[i])
    return points


@nb.njit(cache=True, nogil=True)
def interval_codes(points: F64, levels: I64, machine: I64) -> I32:
    """Inverse of ``centres``: codes int32[n] of points float64[n]."""
    states, upper, dependent = len(machine), first_halved(machine), len(machine) > 1
    ways, cost = ways_to(machine), first_cost(states, 0)
    came, codes = np.empty((len(points), states), np.uint8), np.empty((len(points), states), np.int32)
    branch, code_of = np.empty(2 * states), np.empty(2 * states, np.int32)
    for i in range(len(points)):
        place, last = (min(max(points[i], -1.0), 1.0) + 1.0) * 0.5 * levels[i] - 0.5, levels[i] - 1
        if not dependent or levels[i] < LEAST_DEPENDENT:
            for s in range(states):
                came[i, s], codes[i, s] = s, np.int32(min(max(np.floor(place + 0.5), 0), last))
            continue
        for first in (0, upper):  # all states of a quantiser wait for the same place
            wanted = place - 0.25 if first else place + 0.25
            for parity in range(2):
                code = 2.0 * np.rint((wanted - parity) * 0.5) + parity
                code = code + 2.0 if code < 0.0 else code - 2.0 if code > last else code
                for s in range(first, first + upper):
                    code_of[2 * s + parity], branch[2 * s + parity] = np.int32(code), cost[s] + (code - wanted) ** 2
        survive(i, branch, code_of, ways, cost, came, codes)
    return best_path(cost, came, codes)
