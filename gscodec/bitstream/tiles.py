"""Payload of the TILES stream: how many splats each tile has and the box around them."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from bitstream_spec.layout import TILE_RECORD
from gscodec.errors import BadInputError, CorruptStreamError

Point = tuple[float, float, float]
Box = tuple[Point, Point]


@dataclass(frozen=True, slots=True)
class TileRecord:
    """One tile: ``splat_count`` >= 1 and the corners of its box, float32 values in world units.

    The box holds the positions of the splats, not their extent. Infinite corners are allowed, NaN is not.
    """

    splat_count: int
    min: Point
    max: Point


def pack_tiles(tiles: Sequence[TileRecord]) -> bytes:
    """The TILES payload, 32 bytes a tile; BadInputError for a record that ``unpack_tiles`` would refuse."""
    parts = []
    for number, tile in enumerate(tiles):
        _check_box((tile.min, tile.max), f"tile {number}", BadInputError)
        if not all(_is_float32(x) for x in (*tile.min, *tile.max)):
            # Rounding here could move a splat out of its tile's box.
            raise BadInputError(f"tile {number}: bounds are not float32 values", found=(tile.min, tile.max))
        try:
            values = {"splat_count": tile.splat_count, "reserved": 0, "min": tile.min, "max": tile.max}
            parts.append(TILE_RECORD.pack(values))
        except ValueError as error:
            raise BadInputError(f"tile {number}: {error}") from error
    return b"".join(parts)


def unpack_tiles(payload: bytes, tile_count: int, splat_count: int) -> tuple[TileRecord, ...]:
    """The records of a TILES payload; ``tile_count`` and ``splat_count`` are the header's.

    CorruptStreamError if the payload has another number of records, a bad bound or count, or if the
    counts do not add up to ``splat_count``.
    """
    if len(payload) != tile_count * TILE_RECORD.size:
        allowed = f"{tile_count} records of {TILE_RECORD.size} bytes"
        raise CorruptStreamError("wrong length of the tile table", field="TILES", found=len(payload), allowed=allowed)
    tiles = []
    for number in range(tile_count):
        values = TILE_RECORD.unpack(payload, number * TILE_RECORD.size)
        fault = TILE_RECORD.first_fault(values)
        if fault is not None:
            raise CorruptStreamError(
                f"tile {number}", field=fault.name, found=values[fault.name], allowed=fault.allowed_text
            )
        tile = TileRecord(values["splat_count"], values["min"], values["max"])
        _check_box((tile.min, tile.max), f"tile {number}", CorruptStreamError)
        tiles.append(tile)
    total = sum(tile.splat_count for tile in tiles)
    if total != splat_count:
        raise CorruptStreamError("tiles do not add up", field="splat_count", found=total, allowed=splat_count)
    return tuple(tiles)


def tiles_in_box(tiles: Sequence[TileRecord], box: Box) -> list[int]:
    """Numbers of the tiles whose boxes touch ``box`` = ((x0, y0, z0), (x1, y1, z1)), borders included.

    BadInputError for a box with a NaN or with a minimum above its maximum.
    """
    _check_box(box, "box", BadInputError)
    low, high = box
    return [
        number
        for number, tile in enumerate(tiles)
        if all(tile.min[i] <= high[i] and low[i] <= tile.max[i] for i in range(3))
    ]


def box_around(tiles: Sequence[TileRecord]) -> Box | None:
    """The box around all tiles; None without tiles."""
    if not tiles:
        return None
    x, y, z = (min(tile.min[axis] for tile in tiles) for axis in range(3))
    far_x, far_y, far_z = (max(tile.max[axis] for tile in tiles) for axis in range(3))
    return (x, y, z), (far_x, far_y, far_z)


def _check_box(box: Box, what: str, error: type[BadInputError] | type[CorruptStreamError]) -> None:
    low, high = box
    if len(low) != 3 or len(high) != 3 or not all(a <= b for a, b in zip(low, high, strict=True)):
        raise error(f"{what}: bad bounds", field="min, max", found=box, allowed="min <= max, 3 numbers each, no NaN")


def _is_float32(value: float) -> bool:
    if math.isinf(value):
        return True
    try:
        return bool(struct.unpack("<f", struct.pack("<f", value))[0] == value)
    except OverflowError:
        return False
