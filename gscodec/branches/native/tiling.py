"""Cutting a cloud into tiles: median cuts until a tile is small enough, middle cuts until one octree can hold it."""

from __future__ import annotations

import heapq
import math

import numba as nb
import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import MAX_DEPTH

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

TILE_SPLATS = 65536  # a tile has at most that many
MIN_CUTS = 64  # cuts for the sake of depth: as many for any cloud,
SPLATS_PER_CUT = 256  # and one more for so many splats; beyond them precision is given up


def tile_exponent(extent: float, cell_size: float, places: I32) -> int:
    """The cube's edge as an exponent of two over ``cell_size``: the smallest that holds ``extent``."""
    exponent = math.ceil(math.log2(extent / cell_size) - 1e-12) if extent > 0.0 else -int(places.max())
    return min(max(exponent, -512), 512)


def cut(positions: F32, places: I32, cell_size: float) -> list[I64]:
    """Index arrays int64 of the tiles of positions float32[n,3] with position classes int32[n].

    Tiles come in spatial order, low side first. Where splats are so fine and so far apart that cuts run out, the
    tiles that miss the most octree levels are cut first.
    """
    small: list[tuple[int, str, I64]] = []  # (missing levels, negative; path of low and high sides; splats)

    def add(path: str, index: I64) -> None:
        _, low, high = _longest_side(positions, index)
        depth = tile_exponent(high - low, cell_size, places[index]) + int(places[index].max())
        heapq.heappush(small, (min(MAX_DEPTH - depth, 0) if high > low else 0, path, index))

    large = [("", np.arange(len(positions)))] if len(positions) else []
    while large:
        path, index = large.pop()
        if len(index) <= TILE_SPLATS:
            add(path, index)
            continue
        values, low, high = _longest_side(positions, index)
        half = len(index) // 2 if high > low else TILE_SPLATS
        order = np.argpartition(values, half) if high > low else np.arange(len(index))
        large += [(path + "0", index[order[:half]]), (path + "1", index[order[half:]])]
    for _ in range(MIN_CUTS + len(positions) // SPLATS_PER_CUT):
        if not small or small[0][0] == 0:
            break
        _, path, index = heapq.heappop(small)
        values, low, high = _longest_side(positions, index)
        right = values > (low + high) / 2
        add(path + "0", index[~right])
        add(path + "1", index[right])
    return [np.sort(index) for _, path, index in sorted(small, key=lambda tile: tile[1])]


def _longest_side(positions: F32, index: I64) -> tuple[F64, float, float]:
    """Coordinates float64[n] along the longest side of the splats' box, and its ends."""
    low, high = _box(positions, index)
    axis = int(np.argmax(high - low))
    return positions[index, axis].astype(np.float64), float(low[axis]), float(high[axis])


@nb.njit(cache=True, nogil=True)
def _box(positions: F32, index: I64) -> tuple[F64, F64]:
    """Smallest and largest coordinates, float64[3] each."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for i in index:
        for axis in range(3):
            value = np.float64(positions[i, axis])
            low[axis], high[axis] = min(low[axis], value), max(high[axis], value)
    return low, high
