"""The fixed parts of a .gsb file, declared once as data.

Everything is little endian and unpadded. FORMAT.md explains the same tables in words; a test compares
the two. This module knows bytes and integers only and imports nothing of the codec: bad data is a
``ValueError`` here, and the container turns it into an error of the codec's own family.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

VERSION = (0, 6)
MAGIC = b"\x89GSB\r\n\x1a\n"
WHOLE_FILE = 0xFFFFFFFF  # value of TOC_ENTRY.tile for a stream that belongs to no tile
FLAG_CRITICAL = 1  # bit 0 of TOC_ENTRY.flags
HEADER_CRC_BYTES = 4


class Branch(IntEnum):
    """The recipe that made the streams: HEADER.branch."""

    NATIVE = 1
    LOSSLESS = 2


class RenderMode(IntEnum):
    """How splats are meant to be rasterised: HEADER.render_mode."""

    CLASSIC = 0
    ANTIALIASED = 1


class CoordinateFrame(IntEnum):
    """Which way the axes point: HEADER.coordinate_frame."""

    UNKNOWN = 0


class Coder(IntEnum):
    """How the bytes of a stream are packed: TOC_ENTRY.coder."""

    RAW = 0
    ZSTD = 1
    RANS = 2


class StreamKind(IntEnum):
    """What a stream holds: TOC_ENTRY.kind."""

    META = 1
    TILES = 2
    DIGESTS = 3
    PARAMS = 4
    TABLES = 5
    GEOMETRY = 16
    OPACITY = 17
    SCALE = 18
    ROTATION = 19
    DC = 20
    AC1 = 21
    AC2 = 22
    AC3 = 23
    AC4 = 24
    BASES = 25
    REFINEMENTS = 26
    REFINE1 = 27
    REFINE2 = 28
    REFINE3 = 29
    PALETTE = 30
    INDICES = 31
    SCHEMA = 32
    REFERENCES = 33
    FLOAT_POSITIONS = 34
    FLOAT_SCALES = 35
    FLOAT_ROTATIONS = 36
    FLOAT_OPACITY = 37
    FLOAT_DC = 38
    FLOAT_AC = 39
    EXTRAS = 40


REGISTRIES: tuple[type[IntEnum], ...] = (Branch, RenderMode, CoordinateFrame, Coder, StreamKind)

_TYPE_NAMES = {
    "B": "u8",
    "H": "u16",
    "I": "u32",
    "Q": "u64",
    "h": "i16",
    "i": "i32",
    "f": "f32",
    "d": "f64",
    "s": "bytes",
}


@dataclass(frozen=True)
class Field:
    """One field: ``code`` in struct's letters ("I", "3f", "8s"); ``allowed`` None means any value of the type."""

    name: str
    code: str
    meaning: str
    allowed: range | bytes | type[IntEnum] | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return struct.calcsize("<" + self.code)

    @property
    def items(self) -> int:
        """How many Python values the field takes: 3 for "3f", 1 for "8s"."""
        return 1 if self.code.endswith("s") else int(self.code[:-1] or 1)

    @property
    def type_name(self) -> str:
        """The type as FORMAT.md writes it: u32, f32[3], bytes[8]."""
        count, letter = re.fullmatch(r"(\d*)([A-Za-z])", self.code).groups()  # type: ignore[union-attr]
        return _TYPE_NAMES[letter] + (f"[{count}]" if count else "")

    @property
    def allowed_text(self) -> str:
        """The permitted values as FORMAT.md and error messages write them."""
        if self.allowed is None:
            return "any"
        if isinstance(self.allowed, bytes):
            return self.allowed.hex(" ").upper()
        if isinstance(self.allowed, range):
            first, last = self.allowed[0], self.allowed[-1]
            return str(first) if first == last else f"{first}..{last}"
        return ", ".join(f"{member.value} {member.name}" for member in self.allowed)

    def permits(self, value: Any) -> bool:
        """Whether ``value`` is one of the allowed ones."""
        if self.allowed is None:
            return True
        if isinstance(self.allowed, bytes):
            return bool(value == self.allowed)
        if isinstance(self.allowed, range):
            # Not `in`: for anything but an exact int that walks the range, which may have 2³² members.
            return isinstance(value, int) and self.allowed[0] <= value <= self.allowed[-1]
        return any(value == member for member in self.allowed)


@dataclass(frozen=True)
class Layout:
    """A fixed sequence of fields, little endian, without padding."""

    name: str
    fields: tuple[Field, ...]

    @cached_property
    def packer(self) -> struct.Struct:
        """All fields as one struct, for tables too long for a dict per row."""
        return struct.Struct("<" + "".join(field.code for field in self.fields))

    @cached_property
    def _restricted(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.allowed is not None)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.packer.size

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Byte offset of each field within the layout."""
        sizes = [field.size for field in self.fields]
        return {field.name: sum(sizes[:i]) for i, field in enumerate(self.fields)}

    def first_fault(self, values: Mapping[str, Any]) -> Field | None:
        """The first field whose value is not allowed, or None."""
        return next((field for field in self._restricted if not field.permits(values[field.name])), None)

    def pack(self, values: Mapping[str, Any]) -> bytes:
        """The bytes of ``values``; ValueError for a missing, surplus, wrongly typed or not allowed value."""
        names = [field.name for field in self.fields]
        if set(values) != set(names):
            raise ValueError(f"{self.name} has the fields {names}, got {sorted(values)}")
        fault = self.first_fault(values)
        if fault is not None:
            found = values[fault.name]
            raise ValueError(f"{self.name}.{fault.name} is {found!r}, allowed {fault.allowed_text}")
        flat: list[Any] = []
        for field in self.fields:
            value = values[field.name]
            if field.items > 1 and len(value) != field.items:
                raise ValueError(f"{self.name}.{field.name} has {len(value)} values, allowed {field.items}")
            flat.extend(value if field.items > 1 else (value,))
        try:
            return self.packer.pack(*flat)
        except (struct.error, OverflowError) as error:
            raise ValueError(f"{self.name}: {error}") from error

    def unpack(self, data: bytes | memoryview, offset: int = 0) -> dict[str, Any]:
        """The values at ``offset``; a field of several numbers is a tuple.

        ValueError if the bytes end too early. Whether the values are allowed is ``first_fault``'s to say,
        so that a reader can choose the error that fits.
        """
        if offset < 0 or offset + self.size > len(data):
            raise ValueError(f"{self.name} needs {self.size} bytes at byte {offset}, there are {len(data)} in all")
        flat = self.packer.unpack_from(data, offset)
        if len(flat) == len(self.fields):
            return {field.name: value for field, value in zip(self.fields, flat, strict=True)}
        values: dict[str, Any] = {}
        at = 0
        for field in self.fields:
            values[field.name] = flat[at] if field.items == 1 else flat[at : at + field.items]
            at += field.items
        return values


_ZERO = range(1)

PREFIX = Layout(
    "PREFIX",
    (
        Field("magic", "8s", "says what the file is; the line ends in it reveal a text-mode transfer", MAGIC),
        Field("version_major", "H", "format version, before the point", range(VERSION[0], VERSION[0] + 1)),
        Field("version_minor", "H", "format version, after the point", range(VERSION[1], VERSION[1] + 1)),
        Field("header_bytes", "I", "size of all that stands before the streams"),
        Field("file_bytes", "Q", "size of the whole file"),
    ),
)

HEADER = Layout(
    "HEADER",
    (
        Field("branch", "B", "recipe that made the streams", Branch),
        Field("sh_degree", "B", "SH degree; K = (sh_degree + 1)² - 1 coefficients beyond DC", range(5)),
        Field("render_mode", "B", "how the splats are meant to be rasterised", RenderMode),
        Field("coordinate_frame", "B", "which way the axes point", CoordinateFrame),
        Field("reserved", "I", "reserved", _ZERO),
        Field("splat_count", "Q", "splats in the file"),
        Field("tile_count", "I", "tiles; a tile is numbered 0 .. tile_count - 1"),
        Field("stream_count", "I", "entries of the table of contents"),
    ),
)

TOC_ENTRY = Layout(
    "TOC_ENTRY",
    (
        Field("kind", "H", "what the stream holds; see StreamKind"),
        Field("coder", "B", "how its bytes are packed; see Coder"),
        Field("flags", "B", "bit 0: critical; bits 1..7: reserved, 0", range(2)),
        Field("tile", "I", "tile that the stream belongs to; 4294967295: the whole file"),
        Field("offset", "Q", "of the stream's first byte in the file"),
        Field("length", "Q", "stored bytes of the stream"),
        Field("raw_length", "Q", "bytes of the stream after unpacking"),
        Field("crc32", "I", "CRC-32 of the stored bytes"),
        Field("reserved", "I", "reserved", _ZERO),
    ),
)

TILE_RECORD = Layout(
    "TILE_RECORD",
    (
        Field("splat_count", "I", "splats in the tile", range(1, 2**32)),
        Field("reserved", "I", "reserved", _ZERO),
        Field("min", "3f", "smallest x, y, z of the splats' decoded positions"),
        Field("max", "3f", "largest x, y, z of the splats' decoded positions"),
    ),
)

NATIVE_PARAMS = Layout(
    "NATIVE_PARAMS",
    (
        Field("zone_centre", "3d", "centre of the viewing zone, world units"),
        Field("zone_radius", "d", "distance at which the zone is seen at least, world units, > 0"),
        Field("cell_size", "d", "edge of an octree cell of position class 0, world units, > 0"),
        Field("pixel_log", "i", "log2 of the pixels that 1 world unit covers at distance 1, 1/65536 octave"),
        Field("scale_step", "I", "base step of the two longer log scales, 1/65536 octave", range(1, 1 << 24)),
        Field("ratio_step", "I", "base step of the shortest axis over the middle one, 1/65536", range(1, 1 << 24)),
        Field("opacity_step", "I", "base step of log2 opacity, 1/65536 octave", range(1, 1 << 24)),
        Field("dc_step", "I", "base step of component 0, 1/1048576", range(1, 1 << 24)),
        Field("ac_step", "4I", "base steps of AC1..AC4, 1/1048576; each 1 .. 16777215"),
        Field("direction_offset", "i", "log2 of the levels of the first rotation code, 1/65536 octave"),
        Field("roll_offset", "i", "log2 of the levels of the second rotation code, 1/65536 octave"),
        Field("dependent", "I", "1: quantisation is dependent, by TRELLIS", range(2)),
        Field("energy_prior", "32H", "magnitude of component codes by weight class, over that of all, in 1/256"),
        Field(
            "profile", "72H", "expected magnitude of the codes of component 1..24, for each channel 0, 1, 2, in 1/1024"
        ),
        Field("middle_predictor", "5i", "middle log scale: bias, then factors / 4096"),
        Field("long_predictor", "6i", "longest log scale: bias, then factors / 4096"),
    ),
)

NATIVE_REFINEMENT = Layout(
    "NATIVE_REFINEMENT",
    (
        Field("energy_prior", "32H", "as in NATIVE_PARAMS, in the steps of this refinement"),
        Field("profile", "72H", "as in NATIVE_PARAMS, in the steps of this refinement"),
    ),
)

TILE_GEOMETRY = Layout(
    "TILE_GEOMETRY",
    (
        Field("origin", "3d", "corner of the tile's cube with the smallest x, y, z, world units"),
        Field("exponent", "h", "the cube's edge is cell_size * 2**exponent", range(-512, 513)),
        Field("reserved", "H", "reserved", _ZERO),
        Field("depth_mask", "I", "bit d is set if the tile has an octree of depth d", range(1, 1 << 22)),
    ),
)

LAYOUTS = (PREFIX, HEADER, TOC_ENTRY, TILE_RECORD, NATIVE_PARAMS, NATIVE_REFINEMENT, TILE_GEOMETRY)
