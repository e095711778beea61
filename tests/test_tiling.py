"""Tiles: every splat in one of them, small enough, deep enough where cuts can achieve it."""

from __future__ import annotations

import numpy as np
import pytest

from bitstream_spec.tables import MAX_DEPTH
from gscodec.branches.native import tiling
from gscodec.branches.native.tiling import (
    MIN_CUTS,
    SPLATS_PER_CUT,
    TILE_SPLATS,
    cut,
    tile_exponent,
)


def check(positions: np.ndarray, places: np.ndarray, cell_size: float = 1.0) -> list[np.ndarray]:
    tiles = cut(positions, places, cell_size)
    index = np.concatenate(tiles) if tiles else np.zeros(0, np.int64)
    assert sorted(index.tolist()) == list(range(len(positions)))
    for tile in tiles:
        assert 1 <= len(tile) <= TILE_SPLATS
        assert (np.diff(tile) > 0).all()
    return tiles


def depth(positions: np.ndarray, places: np.ndarray, tile: np.ndarray) -> int:
    return tile_exponent(float(np.ptp(positions[tile], axis=0).max()), 1.0, places[tile]) + int(places[tile].max())


def test_no_splats() -> None:
    assert check(np.zeros((0, 3), np.float32), np.zeros(0, np.int32)) == []


@pytest.mark.parametrize(
    ("extent", "cell_size", "exponent"),
    [(1.0, 1.0, 0), (1.01, 1.0, 1), (0.5, 1.0, -1), (3.0, 0.25, 4), (0.0, 1.0, -7), (1e20, 1e-200, 512)],
)
def test_tile_exponent(extent: float, cell_size: float, exponent: int) -> None:
    assert tile_exponent(extent, cell_size, np.array([3, 7, -2], np.int32)) == exponent


def test_the_exponent_of_a_point_is_one_that_a_file_can_hold() -> None:
    assert tile_exponent(0.0, 1.0, np.array([4000], np.int32)) == -512


def test_many_splats_are_cut_at_the_median_of_the_longest_side() -> None:
    rng = np.random.default_rng(0)
    positions = (rng.normal(size=(TILE_SPLATS + 2, 3)) * [1, 5, 1]).astype(np.float32)
    low, high = check(positions, np.zeros(len(positions), np.int32))
    assert len(low) == len(high)
    assert positions[low, 1].max() <= positions[high, 1].min()


def test_many_splats_at_one_place() -> None:
    tiles = check(np.ones((TILE_SPLATS + 5, 3), np.float32), np.zeros(TILE_SPLATS + 5, np.int32))
    assert sorted(len(tile) for tile in tiles) == [5, TILE_SPLATS]


def test_a_distant_splat_does_not_cost_the_others_their_precision() -> None:
    positions = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    positions[77] = 1e9
    places = np.full(500, 10, np.int32)
    tiles = check(positions, places)
    assert [77] in [tile.tolist() for tile in tiles]
    assert all(depth(positions, places, tile) <= MAX_DEPTH for tile in tiles)


def test_tiles_come_low_side_first() -> None:
    positions = np.zeros((8, 3), np.float32)
    positions[:, 0] = [5e8, -3e8, 7e8, -1e9, 1e9, 1e8, -2e8, 3e8]
    tiles = check(positions, np.full(8, 20, np.int32))
    assert positions[np.concatenate(tiles), 0].tolist() == sorted(positions[:, 0].tolist())


@pytest.mark.parametrize("count", [2000, 20000])
def test_hopeless_precision_does_not_make_a_tile_of_every_splat(count: int) -> None:
    positions = np.random.default_rng(2).uniform(-1e9, 1e9, (count, 3)).astype(np.float32)
    tiles = check(positions, np.full(count, 60, np.int32))
    assert len(tiles) == 1 + MIN_CUTS + count // SPLATS_PER_CUT


def test_cuts_go_where_most_levels_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "MIN_CUTS", 2)
    positions = np.zeros((40, 3), np.float32)
    positions[:, 0] = np.concatenate([np.linspace(0, 1, 20), 1e6 + np.arange(20)])
    places = np.repeat(np.array([22, 40], np.int32), 20)
    # The first cut parts the two heaps; the second goes to the finer one.
    assert [len(tile) for tile in check(positions, places)] == [20, 10, 10]
