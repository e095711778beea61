"""Float bits ⇄ cells, tails and low bits."""

from __future__ import annotations

import numpy as np
import pytest

from gscodec.errors import CorruptStreamError
from gscodec.transform.float_bits import (
    MAX_BASE,
    MIN_BASE,
    from_cells,
    last_cell,
    low_bit_counts,
    low_bits,
    to_cells,
    to_tails,
    trailing_zeros,
)

EDGES = np.array(
    [0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC12345, 0x7FFFFFFF], np.uint32
)


def all_kinds() -> np.ndarray:
    """Bit patterns of every exponent, uniform, and the edges, in both signs."""
    bits = np.random.default_rng(1).integers(0, 1 << 32, 20000, np.uint32)
    return np.concatenate([bits, EDGES, EDGES | np.uint32(1 << 31)])


def round_trip(bits: np.ndarray, base: int, dropped: int) -> np.ndarray:
    cells = to_cells(bits, base)
    zero = (cells == 0) | (cells == -1)
    tails = np.where(zero, to_tails(bits, base), np.uint32(0)).astype(np.uint32)
    counts = low_bit_counts(cells, tails, dropped)
    return from_cells(cells, tails, low_bits(bits, counts, dropped), base, dropped)


@pytest.mark.parametrize("base", [MIN_BASE, 2, 100, 127, 140, MAX_BASE])
def test_every_bit_pattern_comes_back(base: int) -> None:
    bits = all_kinds()
    assert np.array_equal(round_trip(bits, base, 0), bits)


@pytest.mark.parametrize("dropped", [1, 10, 22, 23])
def test_dropped_zero_bits_come_back(dropped: int) -> None:
    bits = all_kinds() >> np.uint32(dropped) << np.uint32(dropped)
    assert trailing_zeros(bits) == dropped
    assert np.array_equal(round_trip(bits, 120, dropped), bits)


def test_cells_are_linear_near_zero_and_ordered() -> None:
    values = np.array([-2.5, -1.0, -0.2, -0.0, 0.0, 0.9, 1.0, 7.75, 1e6], np.float32)
    assert to_cells(values.view(np.uint32), 127).tolist() == [-3, -2, -1, -1, 0, 0, 1, 7, 1000000]
    numbers = np.sort(all_kinds().view(np.float32)[np.isfinite(all_kinds().view(np.float32))])
    assert np.all(np.diff(to_cells(numbers.view(np.uint32), 127).astype(np.int64)) >= 0)


def test_trailing_zeros_of_nothing() -> None:
    assert trailing_zeros(np.zeros(3, np.uint32)) == 23
    assert trailing_zeros(np.array([0x3F800000, 0x3F800400], np.uint32)) == 10


@pytest.mark.parametrize(("cell", "tail"), [(last_cell(127) + 1, 0), (-last_cell(127) - 2, 0), (0, 128)])
def test_impossible_cells_are_refused(cell: int, tail: int) -> None:
    with pytest.raises(CorruptStreamError):
        from_cells(np.array([cell], np.int32), np.array([tail], np.uint32), np.zeros(1, np.uint32), 127, 0)
