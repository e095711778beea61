"""Octrees: occupancy level by level, and back."""

from __future__ import annotations

import numpy as np
import pytest

from gscodec.transform.octree import cells_of, level_occupancy, morton_codes, places_within, positions_of, split_nodes


def slow_morton(cell: tuple[int, int, int], depth: int) -> int:
    return sum((cell[axis] >> bit & 1) << (3 * bit + axis) for bit in range(depth) for axis in range(3))


def leaves(count: int, choice: list[int], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct leaves in coding order: (cells, depths, codes)."""
    rng = np.random.default_rng(seed)
    depths = rng.choice(choice, count).astype(np.uint8)
    cells = (rng.integers(0, 1 << 21, (count, 3)) % (1 << depths.astype(np.int64))[:, None]).astype(np.uint32)
    codes = morton_codes(cells, depths)
    order = sorted({(-int(depths[i]), int(codes[i])): i for i in range(count)}.items())
    index = [i for _, i in order]
    return cells[index], depths[index], codes[index]


def slow_levels(leaf_cells: list[tuple[int, int, int]], depths: list[int]) -> list[list[tuple[int, int, int]]]:
    """(occupancy, levels left, family) of every growing node by level, nodes by (depth descending, Morton)."""
    levels = []
    for level in range(max(depths)):
        nodes: dict[tuple[int, int], set[int]] = {}
        for cell, depth in zip(leaf_cells, depths, strict=True):
            if depth > level:
                code = slow_morton(cell, depth)
                nodes.setdefault((-depth, code >> 3 * (depth - level)), set()).add(code >> 3 * (depth - level - 1) & 7)
        levels.append([(sum(1 << child for child in nodes[key]), -key[0] - level, key) for key in sorted(nodes)])
    sizes = [{key: bin(byte).count("1") for byte, _, key in level} for level in levels]
    return [
        [(byte, left, sizes[number - 1][key[0], key[1] >> 3] if number else 0) for byte, left, key in level]
        for number, level in enumerate(levels)
    ]


@pytest.mark.parametrize("choice", [[3], [0], [21], [0, 1, 2, 5, 21]])
def test_morton_codes(choice: list[int]) -> None:
    cells, depths, codes = leaves(50, choice, 0)
    expected = [slow_morton(tuple(cell), depth) for cell, depth in zip(cells.tolist(), depths.tolist(), strict=True)]
    assert codes.tolist() == expected


@pytest.mark.parametrize(("count", "choice"), [(1, [21]), (300, [3]), (300, [0, 1, 4, 5, 7]), (40, [20, 21])])
def test_forest_comes_back(count: int, choice: list[int]) -> None:
    cells, depths, codes = leaves(count, choice, count)
    expected = slow_levels([tuple(cell) for cell in cells.tolist()], depths.tolist())
    parents = np.zeros(len(codes), np.uint8)
    found_depths = np.unique(depths)[::-1].copy()
    found_cells, family = np.zeros((len(found_depths), 3), np.uint32), np.zeros(len(found_depths), np.uint8)
    for level in range(int(depths.max())):
        occupancy, left, families = level_occupancy(codes, depths, level, parents)
        assert list(zip(occupancy.tolist(), left.tolist(), families.tolist(), strict=True)) == expected[level]
        growing = found_depths > level
        assert (found_depths[growing] - level).tolist() == left.tolist()
        assert family[growing].tolist() == families.tolist()
        found_cells, found_depths, family = split_nodes(found_cells, found_depths, level, occupancy, family)
    assert found_cells.tolist() == cells.tolist()
    assert found_depths.tolist() == depths.tolist()


def test_positions_are_places_within_cells() -> None:
    rng = np.random.default_rng(1)
    origin = np.array([-3.0, 100.0, 1e-3])
    depths = rng.integers(0, 12, 500).astype(np.uint8)
    sizes = 8.0 * 0.5**depths
    positions = origin + rng.uniform(0, 8, (500, 3))
    positions[0], positions[1] = origin, origin + 8.0
    cells = cells_of(positions, origin, sizes, depths)
    places = places_within(positions, cells, origin, sizes)
    assert (np.abs(places) <= 1 + 1e-9).all()
    np.testing.assert_allclose(positions_of(cells, places, origin, sizes), positions, rtol=1e-12, atol=1e-12)
    centres = positions_of(cells, np.zeros_like(places), origin, sizes)
    assert (np.abs(centres - positions) <= sizes[:, None] / 2 * (1 + 1e-9)).all()


def test_positions_outside_of_the_cube_take_the_nearest_cell() -> None:
    far = np.array([[-1e300, 1e300, 4.5]])
    cells = cells_of(far, np.zeros(3), np.array([1e-5]), np.array([3], np.uint8))
    assert cells.tolist() == [[0, 7, 7]]
