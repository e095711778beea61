"""Dependent quantisation: the parities of the codes before a value decide which of two quantisers it has.

Trellis-coded quantisation (Marcellin and Fischer 1990) with quantisers that are unions of subsets, mirrored about
zero, for entropy coding, and a state that the parities of codes drive, as in VVC. Quantiser 0 has whole multiples of a
step, quantiser 1 zero and the halves between them. Both together lie half a step apart at the rate of one step: the
encoder chooses the path through the states whose errors are least (Viterbi's algorithm), and gains about 1 dB.

A *machine* int64[S,2] says which state follows each one for a code of parity 0, and of 1; the upper half of its states
have quantiser 1.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import TRELLIS

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

DEPENDENT: I64 = np.array(TRELLIS, np.int64)
PLAIN: I64 = np.zeros((1, 2), np.int64)  # one state, that of quantiser 0: each code by itself
MAX_CODE = float((1 << 31) - 2)  # so that its neighbour of the other parity fits an int32, too
MOST_ERROR = 4.0  # steps that count of an error: what is clipped is not for others to make up for
_NEVER = 1e300
_1 = np.uint64(1)


@nb.njit(cache=True, nogil=True)
def halves(codes: npt.NDArray[Any], machine: I64, state: int = 0) -> I64:
    """What codes int32[n] or uint32[n] stand for, int64[n] in halves of a step, if the first one has ``state``."""
    values = np.empty(len(codes), np.int64)
    upper = first_halved(machine)
    for i in range(len(codes)):
        code = np.int64(codes[i])
        half = np.int64(state >= upper and code != 0)
        values[i] = 2 * code - half if code > 0 else 2 * code + half
        state = machine[state, code & 1]
    return values


@nb.njit(cache=True, nogil=True)
def state_after(codes: I32, machine: I64, state: int) -> int:
    """The state that follows codes int32[n], the first of which has ``state``."""
    for i in range(len(codes)):
        state = machine[state, codes[i] & 1]
    return state


def quantise(values: F64, machine: I64) -> I32:
    """Codes int32[n] of values float64[n] in steps."""
    nothing, nobody = np.zeros(len(values)), np.zeros((len(values), 0), np.float32)
    return np.asarray(quantise_against(values, nothing, nobody, machine, 0))


@nb.njit(cache=True, nogil=True)
def quantise_against(values: F64, errors: F64, shares: F32, machine: I64, state: int) -> I32:
    """Codes int32[n] of values float64[n] in steps, the first with ``state``, that make up for other errors.

    errors float64[n]: those known before; shares float32[n,B]: how much of the error of each of the B values before it,
    the nearest first, a value is to make up for.
    """
    count, reach = shares.shape
    states, upper = len(machine), first_halved(machine)
    ways, cost = ways_to(machine), first_cost(states, state)
    came, codes = np.empty((count, states), np.uint8), np.empty((count, states), np.int32)
    branch, squared, error_of = np.empty(2 * states), np.empty((states, 2)), np.empty((states, 2))
    code_of = np.empty(2 * states, np.int32)
    recent, moved = np.zeros((states, reach), np.float32), np.zeros((states, reach), np.float32)
    for i in range(count):
        for s in range(states):
            alike = 0 if s < upper else upper
            if reach == 0 and alike < s:  # all states of a quantiser wait for the same value
                for parity in range(2):
                    code_of[2 * s + parity] = code_of[2 * alike + parity]
                    branch[2 * s + parity] = cost[s] + squared[alike, parity]
                continue
            around = errors[i]
            for b in range(reach):
                around += shares[i, b] * recent[s, b]
            wanted = min(max(values[i] - around, -MAX_CODE), MAX_CODE)
            for parity in range(2):
                code, error = _nearest(wanted, s >= upper, parity)
                code_of[2 * s + parity], error_of[s, parity] = np.int32(code), error - around
                squared[s, parity] = error * error
                branch[2 * s + parity] = cost[s] + squared[s, parity]
        survive(i, branch, code_of, ways, cost, came, codes)
        if reach > 0:
            for s in range(states):
                origin, error = came[i, s], error_of[came[i, s], codes[i, s] & 1]
                moved[s, 0] = min(max(error, -MOST_ERROR), MOST_ERROR)
                for b in range(1, reach):
                    moved[s, b] = recent[origin, b - 1]
            recent[:] = moved
    return best_path(cost, came, codes)


@nb.njit(forceinline=True)
def first_halved(machine: I64) -> Any:
    """The first state of quantiser 1."""
    return len(machine) >> 1 if len(machine) > 1 else 1


@nb.njit(forceinline=True)
def _nearest(value: Any, halved: Any, parity: Any) -> Any:
    """(code float64 of ``parity`` that comes next to a value in steps, its error), of quantiser 1 if ``halved``."""
    size, half = abs(value), 0.5 if halved else 0.0
    code = 2.0 * np.rint((size + half - parity) * 0.5) + parity
    if code <= 0.0:  # 0, -1 or -2: of quantiser 1, zero has no half less
        code = np.float64(parity)
    point = code - half if code > 0.0 else 0.0
    if code == 2.0 and size < point - size:
        code, point = 0.0, 0.0
    return (code, point - size) if value >= 0.0 else (-code, size - point)


@nb.njit(cache=True, nogil=True)
def ways_to(machine: I64) -> npt.NDArray[np.uint64]:
    """uint64[2,S]: the two ways that lead to each state, 2 * the state that they leave + the parity of the code."""
    ways, found = np.zeros((2, len(machine)), np.uint64), np.zeros(len(machine), np.int64)
    for s in range(len(machine)):
        for parity in range(2):
            to = machine[s, parity]
            ways[found[to], to] = 2 * s + parity
            found[to] += 1
    return ways


@nb.njit(forceinline=True)
def first_cost(states: Any, state: Any) -> Any:
    """float64[S]: of a path that begins with ``state``."""
    cost = np.full(states, _NEVER)
    cost[state] = 0.0
    return cost


@nb.njit(forceinline=True)
def survive(i: Any, branch: Any, code_of: Any, ways: Any, cost: Any, came: Any, codes: Any) -> None:
    """Keep the better way to each state at value i: where it came from, its code, and its cost above the least.

    branch float64[2 * S], code_of int32[2 * S]: cost so far, and code, of each way; ways uint64[2,S] of ``ways_to``;
    cost float64[S], came uint8[n,S], codes int32[n,S] by the state that is reached.
    """
    least = _NEVER
    for s in range(len(cost)):
        first, second = branch[ways[0, s]], branch[ways[1, s]]
        way = ways[0, s] if first <= second else ways[1, s]
        came[i, s], codes[i, s], cost[s] = way >> _1, code_of[way], min(first, second)
        least = min(least, cost[s])
    for s in range(len(cost)):
        cost[s] -= least


@nb.njit(cache=True, nogil=True)
def best_path(cost: F64, came: U8, codes: I32) -> I32:
    """The codes int32[n] of the path of least cost."""
    path, s = np.empty(len(codes), np.int32), np.int64(np.argmin(cost))
    for i in range(len(codes) - 1, -1, -1):
        path[i] = codes[i, s]
        s = np.int64(came[i, s])
    return path
