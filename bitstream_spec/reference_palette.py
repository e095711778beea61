"""Part of the reference decoder: "Palette" in the chapter "Colours" of FORMAT.md, in its order."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .reference_common import Planes, Table, require
from .reference_geometry import Ints, Params, Tile, ranks_and_levels, read
from .reference_native import read_components

ENTRIES_AT_MOST = 262144
WEIGHT_TABLE, INDEX_TABLE = 378, 379  # the tables before WEIGHT_TABLE are those of components


# ---- PALETTE


@dataclass(frozen=True)
class Entries:
    """PALETTE."""

    components: Ints  # [K, 3, M]: o of components 1 .. K
    tables: list[Table]  # the groups AC and PALETTE


def entry_bytes(degree: int) -> int:
    """What an entry, or a splat's index, adds to raw_length; degree: the SH degree."""
    return 12 * ((degree + 1) ** 2 - 1)


def decode_palette(
    data: bytes, raw_length: int, splats: int, degree: int, params: Params, tables: list[Table]
) -> Entries:
    """PALETTE and its rules; splats: splat_count of HEADER; tables: the groups AC and PALETTE."""
    require(len(data) >= 4, "PALETTE: truncated")
    (count,) = struct.unpack_from("<I", data)
    require(1 <= count <= min(ENTRIES_AT_MOST, splats), f"PALETTE: {count} entries")
    require(raw_length == entry_bytes(degree) * count, "PALETTE: raw_length does not fit the number of entries")
    require(all(len(t.frequencies) <= 2 for t in tables[INDEX_TABLE:]), "TABLES: table of INDICES is not of bits")
    return Entries(decode_entries(Planes(data[4:], tables), count, degree, params), tables)


def decode_entries(planes: Planes, count: int, degree: int, params: Params) -> Ints:
    """The components of the entries, [K, 3, M]."""
    ranks, levels = ranks_and_levels(count)
    weight = read(planes, np.full(count, WEIGHT_TABLE))
    require(weight.max() <= 31, "PALETTE: weight class above 31")
    q = np.array([2 * ranks + 1, np.zeros_like(ranks), np.zeros_like(ranks)])
    known = [(level, level.weights(q)) for level in levels]
    coded = np.array(read_components([planes] * degree, params, weight, known))
    planes.finish()
    return coded[:, :, np.argsort(ranks)]


# ---- INDICES


def decode_indices(data: bytes, entries: Entries, tile: Tile) -> None:
    """INDICES: components 1 .. K of the tile's splats."""
    planes, count = Planes(data, entries.tables), entries.components.shape[2]
    indices: list[int] = []
    for level, weights in zip(tile.levels, tile.alike, strict=True):
        indices += [
            read_index(planes, count, [(indices[j], w) for j, w in zip(neighbours, own, strict=True)])
            for neighbours, own in zip(level.neighbours.T.tolist(), weights.T.tolist(), strict=True)
        ]
    planes.finish()
    tile.components = np.concatenate([tile.components, entries.components[:, :, indices]])


def read_index(planes: Planes, count: int, neighbours: Sequence[tuple[int, int]]) -> int:
    """The entry of a splat; neighbours: their entries and weights, weight 0 of those that do not exist."""
    low, high, h = 0, count, 0
    while high - low > 1:
        middle = (low + high) >> 1
        vote = sum(w if entry >= middle else -w for entry, w in neighbours if low <= entry < high)
        (bit,) = planes.read([INDEX_TABLE + 9 * h + vote_context(vote)])
        low, high = (middle, high) if bit else (low, middle)
        h += 1
    return low


def vote_context(vote: int) -> int:
    """The context b of a bit, 0 .. 8."""
    size = 1 + min(abs(vote) >> 10, 3) if vote else 0
    return 4 + size if vote > 0 else 4 - size
