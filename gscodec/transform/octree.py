"""Positions as a forest of octrees: one tree per precision, all of them coded together, level by level.

A splat of depth d lies in one of 8**d leaf cells of the tile's cube. Nodes stand in the order of
decreasing depth of their tree, then Morton order (child number = x + 2y + 4z). Level by level each node whose tree
goes deeper is replaced by its occupied children, which the set bits of one occupancy byte name. GEOMETRY
has splats in the order of their leaves; all else has them in coding order (``syntax.curve_order``).
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

POPULATION: U8 = np.array([bin(i).count("1") for i in range(256)], np.uint8)


@nb.njit(cache=True, nogil=True)
def morton_codes(cells: U32, depths: U8) -> U64:
    """Morton code uint64[n] of cells uint32[n,3], of which the low ``depths`` bits count."""
    codes = np.empty(len(cells), np.uint64)
    for i in range(len(cells)):
        code = np.uint64(0)
        for bit in range(depths[i]):
            for axis in range(3):
                code |= np.uint64((cells[i, axis] >> np.uint32(bit)) & np.uint32(1)) << np.uint64(3 * bit + axis)
        codes[i] = code
    return codes


@nb.njit(cache=True, nogil=True)
def level_occupancy(codes: U64, depths: U8, level: int, parents: U8) -> tuple[U8, U8, U8]:
    """Occupancy, levels left and children of the parent (0 at the root), uint8[m] each, of the nodes to split.

    ``codes`` and ``depths`` are the distinct leaves in order; ``parents`` uint8[leaves] carries the number of
    children of each leaf's node from level to level and is updated.
    """
    n = len(codes)
    occupancy, left, family = np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty(n, np.uint8)
    nodes = 0
    i = 0
    while i < n:
        depth = np.int64(depths[i])
        if depth <= level:
            i += 1
            continue
        shift = np.uint64(3 * (depth - level))
        prefix = codes[i] >> shift
        start, byte, children = i, np.int64(0), 0
        while i < n and depths[i] == depth and codes[i] >> shift == prefix:
            bit = np.int64(1) << np.int64((codes[i] >> (shift - np.uint64(3))) & np.uint64(7))
            if not byte & bit:
                children += 1
            byte |= bit
            i += 1
        occupancy[nodes], left[nodes], family[nodes] = byte, depth - level, parents[start]
        nodes += 1
        for leaf in range(start, i):
            parents[leaf] = children
    return occupancy[:nodes], left[:nodes], family[:nodes]


@nb.njit(cache=True, nogil=True)
def split_nodes(cells: U32, depths: U8, level: int, occupancy: U8, family: U8) -> tuple[U32, U8, U8]:
    """Inverse of one ``level_occupancy``: the nodes of the next level, as (cells, depths, family).

    ``occupancy`` has one byte for each node with depth > level, none of them zero.
    """
    total = 0
    at = 0
    for i in range(len(depths)):
        if depths[i] > level:
            total += POPULATION[occupancy[at]]
            at += 1
        else:
            total += 1
    new_cells, new_depths = np.empty((total, 3), np.uint32), np.empty(total, np.uint8)
    new_family = np.empty(total, np.uint8)
    at, out = 0, 0
    for i in range(len(depths)):
        if depths[i] <= level:
            new_cells[out], new_depths[out], new_family[out] = cells[i], depths[i], family[i]
            out += 1
            continue
        byte = np.int64(occupancy[at])
        at += 1
        for child in range(8):
            if byte >> child & 1:
                for axis in range(3):
                    new_cells[out, axis] = cells[i, axis] << np.uint32(1) | np.uint32(child >> axis & 1)
                new_depths[out], new_family[out] = depths[i], POPULATION[byte]
                out += 1
    return new_cells, new_depths, new_family


def cells_of(positions: F64, origin: F64, cell_sizes: F64, depths: U8) -> U32:
    """The leaf cells uint32[n,3] that hold positions float64[n,3]; ``cell_sizes`` float64[n]."""
    cells = np.floor((positions - origin) / cell_sizes[:, None])
    last = (1 << depths.astype(np.int64)) - 1
    return np.ascontiguousarray(np.clip(cells, 0, last[:, None]).astype(np.uint32))


def places_within(positions: F64, cells: U32, origin: F64, cell_sizes: F64) -> F64:
    """Where in their cells positions float64[n,3] lie, float64[n,3], -1..1 along each axis."""
    return np.asarray((positions - origin) / cell_sizes[:, None] * 2.0 - (cells.astype(np.float64) * 2.0 + 1.0))


def positions_of(cells: U32, places: F64, origin: F64, cell_sizes: F64) -> F64:
    """Inverse of ``places_within``: float64[n,3], origin + ((2 * cell + 1) + place) * (cell size / 2)."""
    odd = cells.astype(np.float64) * 2.0 + 1.0
    return np.asarray(origin + (odd + places) * (cell_sizes * 0.5)[:, None])
