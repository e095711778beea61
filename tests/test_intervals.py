"""Points as codes of intervals, against plain references."""

from __future__ import annotations

import numpy as np
import pytest

from bitstream_spec.tables import TRELLIS
from gscodec.transform.intervals import centres, interval_codes
from gscodec.transform.trellis import DEPENDENT, PLAIN


def slow_centres(codes: list[int], levels: list[int], dependent: bool) -> list[float]:
    """As FORMAT.md has it."""
    points, state = [], 0
    for v, n in zip(codes, levels, strict=True):
        if not dependent or n < 4:
            points.append((2 * v + 1 - n) / n)
            continue
        points.append((4 * v + 2 - 2 * n + (1 if state >= 4 else -1)) / (2 * n))
        state = TRELLIS[state][v & 1]
    return points


def slow_codes(points: list[float], levels: list[int]) -> list[int]:
    """Of dependent quantisation, trying all codes of each interval for the best way to each state."""
    ways: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for point, n in zip(points, levels, strict=True):
        after: dict[int, tuple[float, list[int]]] = {}
        for state, (cost, codes) in ways.items():
            for v in range(n):
                if n < 4:
                    if v != min(int((point + 1) / 2 * n), n - 1):
                        continue
                    to, error = state, 0.0
                else:
                    q = 1 if state >= 4 else -1
                    to, error = TRELLIS[state][v & 1], ((4 * v + 2 - 2 * n + q) / (2 * n) - point) * n / 2
                if to not in after or cost + error**2 < after[to][0] - 1e-12:
                    after[to] = (cost + error**2, [*codes, v])
        ways = after
    return min(ways.values())[1]


def levels_of(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([1, 2, 3, 4, 5, 7, 16, 8192], count)


@pytest.mark.parametrize("machine", [PLAIN, DEPENDENT])
def test_centres_are_exact(machine: np.ndarray) -> None:
    levels = levels_of(500, 0)
    codes = np.random.default_rng(1).integers(0, levels)
    expected = slow_centres(codes.tolist(), levels.tolist(), machine is DEPENDENT)
    assert centres(codes, levels, machine).tolist() == expected
    assert max(map(abs, expected)) < 1.0


def test_dependent_codes_are_those_of_least_error() -> None:
    rng = np.random.default_rng(2)
    levels = rng.choice([1, 2, 3, 4, 5, 7, 16], 120)
    points = np.concatenate([rng.uniform(-1, 1, 116), [-1.0, 1.0, 1.0, -1.0]])
    assert interval_codes(points, levels, DEPENDENT).tolist() == slow_codes(points.tolist(), levels.tolist())


def test_plain_codes_are_those_of_the_interval() -> None:
    levels = levels_of(1000, 3)
    points = np.random.default_rng(4).uniform(-1, 1, 1000)
    codes = interval_codes(points, levels, PLAIN)
    assert codes.tolist() == np.floor((points + 1) / 2 * levels).tolist()
    assert (np.abs(centres(codes, levels, PLAIN) - points) <= 1 / levels + 1e-12).all()


@pytest.mark.parametrize("machine", [PLAIN, DEPENDENT])
def test_points_outside_take_the_last_interval_or_one_beside_it(machine: np.ndarray) -> None:
    levels = np.full(4, 9, np.int64)
    codes = interval_codes(np.array([-7.0, 7.0, 1.0, -1.0]), levels, machine)
    assert (np.abs(codes - [0, 8, 8, 0]) <= 1).all()


@pytest.mark.parametrize(("levels", "gain"), [(4, 0.4), (16, 0.8)])
def test_dependent_points_are_nearer(levels: int, gain: float) -> None:
    points, own = np.random.default_rng(5).uniform(-1, 1, 50_000), np.full(50_000, levels, np.int64)
    errors = [np.mean((centres(interval_codes(points, own, m), own, m) - points) ** 2) for m in (PLAIN, DEPENDENT)]
    assert 10 * np.log10(errors[0] / errors[1]) > gain
