"""Rounding in view of the errors of splats that overlap."""

from __future__ import annotations

import numpy as np

from gscodec.branches.native.rounding import STRENGTH, Overlaps, round_together


def test_splats_apart_are_rounded_to_nearest() -> None:
    positions = np.array([[0, 0, 0], [100, 0, 0], [0, 100, 0]], np.float32)
    overlaps = Overlaps.find(positions, np.zeros((3, 3)))
    assert round_together(np.array([[1.4], [-2.6], [0.2]]), overlaps).tolist() == [[1, -3, 0]]
    assert overlaps.shares.max() < 1e-6


def test_errors_of_clones_cancel() -> None:
    rng = np.random.default_rng(0)
    positions = np.repeat(rng.normal(0, 100, (200, 3)).astype(np.float32), 2, axis=0)
    overlaps = Overlaps.find(positions, np.zeros((400, 3)))
    assert (overlaps.shares[:, 0] == STRENGTH).all()
    wanted = np.repeat(rng.uniform(-3, 3, 200), 2)
    both = round_together(np.stack([wanted, -wanted], axis=1), overlaps)
    codes = both[0]
    np.testing.assert_array_equal(both[1], -codes)
    pairs = (codes - wanted).reshape(200, 2).sum(axis=1)
    apart = 2 * (np.rint(wanted) - wanted)[::2]
    assert (np.abs(codes - wanted) <= 0.5 + STRENGTH).all()
    assert (pairs**2).mean() < 0.75 * (apart**2).mean()


def test_one_splat_has_no_neighbour() -> None:
    overlaps = Overlaps.find(np.zeros((1, 3), np.float32), np.zeros((1, 3)))
    assert round_together(np.array([[2.2e9]]), overlaps).tolist() == [[2**31 - 1]]
