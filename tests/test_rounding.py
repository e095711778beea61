"""Rounding in view of the errors of splats that overlap."""

from __future__ import annotations

import numpy as np
import pytest

from gscodec.branches.native.rounding import (
    LEAST,
    MOST,
    PASSES,
    REACH,
    STRENGTH,
    Overlaps,
    balancing,
    round_together,
)


def test_splats_apart_are_rounded_to_nearest() -> None:
    positions = np.array([[0, 0, 0], [100, 0, 0], [0, 100, 0]], np.float32)
    overlaps = Overlaps.find(np.arange(3), positions, np.zeros((3, 3)))
    assert round_together(np.array([[1.4], [-2.6], [0.2]]), overlaps).tolist() == [[1, -3, 0]]
    assert overlaps.shares.max() == 0.0


def test_errors_of_clones_cancel() -> None:
    rng = np.random.default_rng(0)
    positions = np.repeat(rng.normal(0, 100, (200, 3)).astype(np.float32), 2, axis=0)
    overlaps = Overlaps.find(np.arange(400), positions, np.zeros((400, 3)))
    assert (overlaps.shares[::2, 0] == np.float32(STRENGTH)).all()
    wanted = np.repeat(rng.uniform(-3, 3, 200), 2)
    both = round_together(np.stack([wanted, -wanted], axis=1), overlaps)
    codes = both[0]
    np.testing.assert_array_equal(both[1], -codes)
    pairs = (codes - wanted).reshape(200, 2).sum(axis=1)
    apart = 2 * (np.rint(wanted) - wanted)[::2]
    assert (np.abs(codes - wanted) <= 0.5 + STRENGTH + 1e-6).all()
    assert (pairs**2).mean() < 0.75 * (apart**2).mean()


def shown_error(opacity: float, middle: float, long: float) -> float:
    """Squared error of a Gaussian whose opacity and two axes are off by such logs, over its square; by summing up."""
    x = np.linspace(-8, 8, 161)
    own = np.exp(-(x[:, None] ** 2 + x**2) / 2)
    other = np.exp(opacity - (x[:, None] / np.exp(middle)) ** 2 / 2 - (x / np.exp(long)) ** 2 / 2)
    return float(((other - own) ** 2).sum() / (own**2).sum())


@pytest.mark.parametrize("opacity", [0.02, -0.02])
def test_the_middle_axis_answers_an_error_of_opacity(opacity: float) -> None:
    unit = np.log(2) / 65536
    best = balancing(np.array([opacity / unit]))
    errors = []
    for change in (-2e-3, 0.0, 2e-3):
        middle = best + change / unit
        long = balancing(np.array([opacity / unit]), middle)
        errors.append(shown_error(opacity, middle[0] * unit, long[0] * unit))
    assert errors[1] < min(errors[0], errors[2])
    assert errors[1] < 0.6 * shown_error(opacity, 0.0, 0.0)


@pytest.mark.parametrize(("opacity", "middle"), [(0.02, -0.01), (-0.02, 0.02), (0.0, 0.02)])
def test_the_longest_axis_answers_both_errors(opacity: float, middle: float) -> None:
    unit = np.log(2) / 65536
    best = balancing(np.array([opacity / unit]), np.array([middle / unit]))[0] * unit
    errors = [shown_error(opacity, middle, best + change) for change in (-2e-3, 0.0, 2e-3)]
    assert errors[1] < min(errors[0], errors[2])


def test_balancing_is_bounded() -> None:
    errors = np.array([1e9, -1e9])
    assert balancing(errors).tolist() == balancing(errors, np.zeros(2)).tolist() == [-MOST, MOST]


def test_one_splat_has_no_neighbour() -> None:
    overlaps = Overlaps.find(np.zeros(1, np.int64), np.zeros((1, 3), np.float32), np.zeros((1, 3)))
    assert round_together(np.array([[2.2e9]]), overlaps).tolist() == [[2**31 - 1]]


def test_equals_a_plain_rounding_of_one_value_after_the_other() -> None:
    rng = np.random.default_rng(1)
    count = 60
    order = rng.permutation(count)
    positions = rng.normal(0, 2, (count, 3)).astype(np.float32)
    scales = np.sort(rng.normal(0, 0.3, (count, 3)))[:, ::-1]
    wanted = rng.normal(0, 2, (count, 2))
    sizes = np.exp(scales[:, :2].mean(axis=1))
    overlap = np.zeros((count, count))
    for i, own in enumerate(order):
        for other in order[i + 1 : i + 1 + REACH]:
            spread = sizes[own] ** 2 + sizes[other] ** 2
            apart = np.sum((positions[own].astype(float) - positions[other]) ** 2)
            share = np.exp(-apart / (2 * spread)) * 2 * sizes[own] * sizes[other] / spread
            overlap[own, other] = overlap[other, own] = STRENGTH * share if share >= LEAST else 0.0
    codes = np.rint(wanted)
    for _ in range(PASSES):
        for own in order:
            codes[own] = np.rint(wanted[own] - overlap[own] @ (codes - wanted))
    found = round_together(wanted, Overlaps.find(order, positions, scales))
    assert found.T.tolist() == codes.tolist()
