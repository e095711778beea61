"""Dependent quantisation, against plain references."""

from __future__ import annotations

import numpy as np
import pytest

from bitstream_spec.tables import TRELLIS
from gscodec.transform.trellis import DEPENDENT, MOST_ERROR, PLAIN, halves, quantise, quantise_against, state_after


def slow_halves(codes: list[int], state: int) -> tuple[list[int], int]:
    """As FORMAT.md has it: the values, and the state after them."""
    values = []
    for v in codes:
        q = 1 if state >= 4 else 0
        values.append(2 * v - q if v > 0 else 2 * v + q if v < 0 else 0)
        state = TRELLIS[state][v & 1]
    return values, state


def slow_points(machine: list[list[int]], state: int, parity: int) -> np.ndarray:
    """Codes of that parity within ±40, and what they stand for in steps: rows of (code, value)."""
    half = 0.5 if len(machine) > 1 and state >= len(machine) // 2 else 0.0
    codes = np.array([v for v in range(-40, 41) if v % 2 == parity])
    return np.stack([codes, codes - half * np.sign(codes)], axis=1)


def slow_path(values: np.ndarray, known: np.ndarray, shares: np.ndarray, machine: np.ndarray, state: int) -> list[int]:
    """The codes of the path of least cost, keeping for each state the best way to it."""
    ways: dict[int, tuple[float, list[int], list[float]]] = {state: (0.0, [], [])}
    for value, other, row in zip(values, known, shares, strict=True):
        after: dict[int, tuple[float, list[int], list[float]]] = {}
        for s, (cost, codes, errors) in ways.items():
            around = other + sum(share * error for share, error in zip(row, errors[::-1], strict=False))
            for parity in (0, 1):
                points = slow_points(machine.tolist(), s, parity)
                code, point = points[np.argmin(np.abs(points[:, 1] - (value - around)))]
                total, to = cost + (point - value + around) ** 2, int(machine[s, parity])
                if to not in after or total < after[to][0]:
                    own = min(max(point - value, -MOST_ERROR), MOST_ERROR)
                    after[to] = (total, [*codes, int(code)], [*errors, own])
        ways = after
    return min(ways.values(), key=lambda way: way[0])[1]


def test_halves_are_exact() -> None:
    rng = np.random.default_rng(0)
    codes = np.concatenate([rng.integers(-3, 4, 300), rng.integers(-(2**31), 2**31, 100)])
    for state in range(8):
        values, after = slow_halves(codes.tolist(), state)
        assert halves(codes.astype(np.int32), DEPENDENT, state).tolist() == values
        assert state_after(codes.astype(np.int32), DEPENDENT, state) == after
    unsigned = rng.integers(0, 2**32, 100).astype(np.uint32)
    assert halves(unsigned, DEPENDENT).tolist() == slow_halves(unsigned.tolist(), 0)[0]
    assert halves(codes.astype(np.int32), PLAIN).tolist() == (2 * codes).tolist()


def test_two_ways_lead_to_each_state_and_to_two_from_it() -> None:
    targets = np.array(TRELLIS).ravel()
    assert sorted(targets.tolist()) == sorted(list(range(8)) * 2)
    assert all(a != b for a, b in TRELLIS)


@pytest.mark.parametrize("machine", [PLAIN, DEPENDENT])
@pytest.mark.parametrize("reach", [0, 1, 4])
@pytest.mark.parametrize("state", [0, 5])
def test_the_path_is_that_of_least_error(machine: np.ndarray, reach: int, state: int) -> None:
    rng = np.random.default_rng(reach)
    values = np.concatenate([rng.normal(0, 3, 60), [0.0, 0.5, -0.5, 1.5, 0.75, -0.25, 20.3, -19.9]])
    shares = rng.uniform(0, 0.2, (len(values), reach)).astype(np.float32)
    first = state if machine is DEPENDENT else 0
    known = rng.uniform(-0.3, 0.3, len(values))
    assert quantise_against(values, known, shares, machine, first).tolist() == slow_path(
        values, known, shares, machine, first
    )


def test_plain_codes_round_to_the_nearest() -> None:
    values = np.concatenate([np.random.default_rng(1).normal(0, 10, 500), [0.5, 1.5, -0.5, -1.5, -0.0]])
    assert quantise(values, PLAIN).tolist() == np.rint(values).tolist()


def test_values_without_a_sign_have_codes_without_one() -> None:
    values = np.abs(np.random.default_rng(2).normal(0, 0.7, 2000))
    assert quantise(values, DEPENDENT).min() == 0


def test_dependent_codes_gain_a_decibel_at_the_rate_of_plain_ones() -> None:
    values = np.random.default_rng(3).normal(0, 20, 50_000)
    found = {}
    for name, machine in (("plain", PLAIN), ("dependent", DEPENDENT)):
        codes = quantise(values, machine)
        error = halves(codes, machine) / 2 - values
        shares = np.unique(codes, return_counts=True)[1] / len(codes)
        found[name] = 10 * np.log10(np.mean(error**2)), -(shares * np.log2(shares)).sum()
    assert np.abs(error).max() <= 1.0
    assert found["plain"][0] - found["dependent"][0] > 1.0
    assert found["dependent"][1] - found["plain"][1] < 0.03


def test_values_that_no_code_reaches_are_clipped() -> None:
    codes = quantise(np.array([1e300, -1e300, 3.0, 2.0**31]), DEPENDENT)
    assert (np.abs(codes[[0, 1, 3]].astype(np.int64)) >= 2**31 - 4).all()
    assert np.sign(codes).tolist() == [1, -1, 1, 1]


def test_no_values_have_no_codes() -> None:
    assert len(quantise(np.zeros(0), DEPENDENT)) == 0
