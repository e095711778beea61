"""PALETTE and INDICES of a file taken apart and put together again, rightly or wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import StreamKind
from conformance.assembly import Parts, Plane, put_tables, record, recorder_into, tables_of, writer_of
from conformance.plain_bands import decode_layer
from gscodec import decode
from gscodec.branches.native import palette as native_palette
from gscodec.branches.native.palette import pack_palette
from gscodec.branches.native.syntax import PALETTE_TABLES
from gscodec.entropy.tables import FrequencyTables, normalise
from gscodec.entropy.tokens import ALPHABET

U16 = npt.NDArray[np.uint16]


@dataclass
class Coded:
    """``count`` of entries; the planes of PALETTE, and of INDICES by tile; frequencies uint16[541,72] of both.

    These are the last of TABLES, from the group AC on.
    """

    count: int
    entries: list[Plane]
    indices: list[list[Plane]]
    freqs: U16

    def fitting(self) -> U16:
        """Frequencies for these planes."""
        counts = np.zeros((PALETTE_TABLES, ALPHABET), np.int64)
        for planes in (self.entries, *self.indices):
            writer_of(planes, PALETTE_TABLES).add_counts(counts)
        return normalise(counts)


def recoded(parts: Parts, change: Callable[[Coded], None]) -> Parts:
    """The file with what ``change`` makes of its palette and indices, coded in the tables that it leaves there."""
    made: list[list[Plane]] = []
    with (
        mock.patch.object(native_palette, "PlaneReader", recorder_into(made)),
        mock.patch.object(native_palette, "decode_layer", decode_layer),
    ):
        decode(parts.file(), threads=1)
    planes = record(parts.file())
    tiles = range(parts.header.tile_count)
    count = int.from_bytes(parts.payload(StreamKind.PALETTE)[:4], "little")
    coded = Coded(count, made[0], [planes[StreamKind.INDICES, tile] for tile in tiles], np.zeros((0, 0), np.uint16))
    coded.freqs = coded.fitting()
    change(coded)
    tables, freqs = FrequencyTables(coded.freqs), tables_of(parts)
    freqs[-PALETTE_TABLES:] = coded.freqs
    payload = pack_palette(coded.count, writer_of(coded.entries, PALETTE_TABLES).finish(tables))
    parts = put_tables(parts, freqs).put(StreamKind.PALETTE, None, payload)
    for tile in tiles:
        parts = parts.put(StreamKind.INDICES, tile, writer_of(coded.indices[tile], PALETTE_TABLES).finish(tables))
    return parts
