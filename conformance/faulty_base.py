"""What all faulty cases share: the file that most of them damage, and how a case is written down."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from bitstream_spec.layout import StreamKind
from conformance.assembly import (
    Parts,
)
from conformance.cases import Case, native
from conformance.sample_clouds import scene

CORRUPT, FEATURE, OTHER_VERSION, MAGIC, LIMIT = (
    ("corrupt-stream",),
    ("unsupported-feature",),
    ("unsupported-version",),
    ("bad-magic",),
    ("limit-exceeded",),
)

# Streams of the base file: META, TILES, DIGESTS, PARAMS, TABLES, BASES, then these of tile 0, then of tile 1.
OF_TILE = (
    StreamKind.GEOMETRY,
    StreamKind.OPACITY,
    StreamKind.SCALE,
    StreamKind.ROTATION,
    StreamKind.DC,
    StreamKind.AC1,
)
META_AT, TILES_AT, TABLES_AT, BASES_AT, GEOMETRY_AT, OPACITY_AT, LAST_AT = 0, 1, 4, 5, 6, 7, 17
STREAMS = 18

Build = Callable[[], bytes]
Codes = tuple[str, ...]
SPLATS = 4  # in two tiles


@cache
def base() -> bytes:
    """The file that is damaged: two tiles of SH degree 1, two regions."""
    return native(scene(SPLATS, 1, 400, ("base",)), 50, tile_splats=SPLATS // 2, splats_per_region=SPLATS // 2)


def parts() -> Parts:
    """Its parts."""
    return Parts.of(base())


def fault(name: str, sentence: str, codes: Codes, about: str, build: Build) -> Case:
    """A case of the bin faulty."""
    return Case("faulty", name, sentence, build, codes, about)


def wrong_lengths(true: int, bits: int) -> list[tuple[str, int]]:
    """(name, value) of what a length field may wrongly say."""
    values = [("less-1", true - 1), ("plus-1", true + 1), ("0", 0), ("2-31", 1 << 31), ("2-32-1", (1 << 32) - 1)]
    if bits == 64:
        values += [("2-63", 1 << 63), ("2-64-1", (1 << 64) - 1)]
    return [(name, value) for name, value in values if value != true]
