"""Reverse water-filling against brute force, and Table I of GETA-3DGS."""

import itertools

import numpy as np
import pytest

from gscodec.errors import BadInputError
from gscodec.rate.bounds import COMPETITIVE, COMPRESSIVE, VALUES
from gscodec.rate.waterfilling import allocate_bits, bits_at_slope

UNBOUNDED = (-np.inf, np.inf)


def distortion(bits, sensitivities, variances, values):
    """The sum that equation 14 makes least."""
    bits, sensitivities, variances, values = map(np.asarray, (bits, sensitivities, variances, values))
    return np.sum(values * sensitivities**2 * variances / 12.0 * np.exp2(-2.0 * bits), axis=-1)


def test_equation_14():
    sensitivities, variances = np.array([1.0, 2.0, 8.0]), np.array([4.0, 1.0, 0.25])
    own = np.log2(sensitivities**2 * variances) / 2.0
    found = allocate_bits(sensitivities, variances, np.full(3, 5.0), 90.0, UNBOUNDED)
    np.testing.assert_allclose(found, 6.0 + own - own.mean(), atol=1e-12)


@pytest.mark.parametrize("budget", [8.0, 21.5, 35.0])
@pytest.mark.parametrize("bounds", [(0.0, 6.0), [(2.0, 3.0), (0.0, 6.0), (1.0, 1.0)]])
def test_nothing_on_a_grid_is_better(budget, bounds):
    case = np.array([0.3, 5.0, 1.0]), np.array([1.0, 2.0, 0.01]), np.array([1.0, 3.0, 4.0])
    limits = np.broadcast_to(np.array(bounds), (3, 2))
    least, most = case[2] @ limits
    budget = min(max(budget, least), most)
    found = allocate_bits(*case, budget, bounds)
    assert case[2] @ found == pytest.approx(budget, abs=1e-9)
    assert np.all((found >= limits[:, 0]) & (found <= limits[:, 1]))
    grid = np.array(list(itertools.product(*(np.arange(low, high + 0.01, 0.125) for low, high in limits))))
    grid = grid[grid @ case[2] <= budget + 1e-9]
    assert distortion(found, *case) <= distortion(grid, *case).min() * (1.0 + 1e-9)


def test_bits_that_a_bound_frees_go_to_the_others():
    case = [1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 2.0]
    found = allocate_bits(*case, 40.0, [(0.0, 4.0), (12.0, 16.0), (0.0, 20.0)])
    np.testing.assert_allclose(found, [4.0, 12.0, 12.0], atol=1e-12)


@pytest.mark.parametrize("bounds", [UNBOUNDED, (2.0, 9.0)])
def test_slope_and_budget_agree(bounds):
    case = np.array([0.5, 30.0, 1e-3, 4.0]), np.array([1.0, 2.0, 0.5, 3.0])
    values = np.array([3.0, 1.0, 45.0, 4.0])
    by_slope = bits_at_slope(*case, 1e-4, bounds)
    np.testing.assert_allclose(allocate_bits(*case, values, float(values @ by_slope), bounds), by_slope, atol=1e-9)
    inside = (by_slope > bounds[0]) & (by_slope < bounds[1])
    finer = distortion(by_slope[:, None], case[0][:, None], case[1][:, None], np.ones((4, 1)))
    coarser = distortion(by_slope[:, None] - 1e-6, case[0][:, None], case[1][:, None], np.ones((4, 1)))
    np.testing.assert_allclose((coarser - finer)[inside] / 1e-6, 1e-4, rtol=1e-4)


def test_budgets_at_the_ends():
    case = [1.0, 9.0], [1.0, 1.0], [2.0, 1.0]
    bounds = [(1.0, 3.0), (2.0, 8.0)]
    np.testing.assert_allclose(allocate_bits(*case, 4.0, bounds), [1.0, 2.0], rtol=1e-12)
    np.testing.assert_allclose(allocate_bits(*case, 14.0, bounds), [3.0, 8.0], rtol=1e-12)
    assert allocate_bits([], [], [], 0.0).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (([1.0], [1.0], [1.0], -1.0), "budget"),
        (([1.0], [1.0], [1.0], np.inf), "budget"),
        (([1.0], [1.0], [1.0], 9.0, (0.0, 8.0)), "budget"),
        (([0.0], [1.0], [1.0], 1.0), "sensitivities"),
        (([1.0], [np.nan], [1.0], 1.0), "variances"),
        (([1.0], [1.0], [1.0, 2.0], 1.0), "values"),
        (([1.0], [1.0], [1.0], 1.0, (3.0, 2.0)), "bounds"),
        (([1.0], [1.0], [1.0], 1.0, (0.0, 1.0, 2.0)), "bounds"),
    ],
)
def test_bad_arguments(arguments, field):
    with pytest.raises(BadInputError, match=field):
        allocate_bits(*arguments)


@pytest.mark.parametrize("slope", [0.0, -1.0, np.nan, np.inf])
def test_bad_slope(slope):
    with pytest.raises(BadInputError, match="slope"):
        bits_at_slope([1.0], [1.0], slope)


@pytest.mark.parametrize(("preset", "bits"), [(COMPRESSIVE, 7.41), (COMPETITIVE, 63.7 * 8 / 59)])
def test_mean_bits_of_the_paper_are_those_of_the_lower_bounds(preset, bits):
    assert sum(VALUES.values()) == 59
    mean = sum(VALUES[name] * low for name, (low, _) in preset.items()) / 59
    assert mean == pytest.approx(bits, abs=0.01)
