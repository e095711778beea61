"""What the encoder and the decoder of the lossless branch share: streams, groups, tables and the schema."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import StreamKind
from gscodec.cloud import SH_REST_COUNTS, CloudMeta
from gscodec.errors import CorruptStreamError
from gscodec.transform.reference_prediction import ACTIVITY_CLASSES

TILE_ROWS = 65536  # consecutive rows; the last tile has what is left

MODE_CONSTANT, MODE_CELLS, MODE_PALETTE = 0, 1, 2
MAX_PALETTE = 8192

# Bits of a row's copy mask: the group's floats are those of the reference, bit for bit.
COPY_RED, COPY_GREEN, COPY_BLUE, COPY_OPACITY, COPY_ROTATION, COPY_SCALES, COPY_POSITION = (1 << i for i in range(7))
COPY_COLOURS = (COPY_RED, COPY_GREEN, COPY_BLUE)
COPY_MASKS = 128

DISTANCE_TABLES = 18  # by the bit length of the row number, 0..16; then one for the masks
MASK_TABLE = 17

REFERENCES_HEAD = struct.Struct("<I")  # bytes of the tables; then tables, planes
FLOAT_PART = struct.Struct("<III")  # bytes of parameters, tables, planes; then these, then the low bits
FLOAT_PART_LENGTH = struct.Struct("<I")  # EXTRAS: bytes of the float part that follows
OTHER_COLUMN = struct.Struct("<BI")  # EXTRAS: coder and bytes of each column of another type

PLY_FORMATS = ("", "binary_little_endian", "binary_big_endian", "ascii")
SCHEMA_FIELDS = ("extras", "comments", "property_order", "ply_format")
EXTRA_TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")
MAX_EXTRAS = 1024
MAX_TEXTS = 1 << 18
MAX_SCHEMA_BYTES = 1 << 23


@dataclass(frozen=True)
class Column:
    """One float32 column of a group: which set of tables it uses, its copy bit (0: none), how many companions."""

    kind: int
    copy_bit: int
    companions: int


@dataclass(frozen=True)
class Group:
    """The float32 columns of one stream. ``kinds`` sets of residual tables, then one set of tail tables."""

    stream: StreamKind
    columns: tuple[Column, ...]
    kinds: int

    @property
    def table_count(self) -> int:
        """Tables of the stream."""
        return (self.kinds + 1) * ACTIVITY_CLASSES

    @property
    def tail_base(self) -> int:
        """The first tail table."""
        return self.kinds * ACTIVITY_CLASSES


@dataclass(frozen=True)
class Schema:
    """What the whole file says once: the SH degree, the extra properties and what CloudMeta keeps."""

    sh_degree: int
    extras: tuple[tuple[str, str], ...]
    meta: CloudMeta


def groups_of(sh_degree: int) -> tuple[Group, ...]:
    """The groups of every tile in file order, without the extras; AC is left out at degree 0."""

    def columns(count: int, copy_bit: int) -> tuple[Column, ...]:
        return tuple(Column(0, copy_bit, min(i, 2)) for i in range(count))

    def colours() -> tuple[Column, ...]:
        return tuple(Column(i, bit, i) for i, bit in enumerate(COPY_COLOURS))

    position = tuple(Column(i, COPY_POSITION, i) for i in range(3))
    groups = (
        Group(StreamKind.FLOAT_POSITIONS, position, 3),
        Group(StreamKind.FLOAT_SCALES, columns(3, COPY_SCALES), 1),
        Group(StreamKind.FLOAT_ROTATIONS, columns(4, COPY_ROTATION), 1),
        Group(StreamKind.FLOAT_OPACITY, columns(1, COPY_OPACITY), 1),
        Group(StreamKind.FLOAT_DC, colours(), 3),
        Group(StreamKind.FLOAT_AC, colours() * SH_REST_COUNTS[sh_degree], 3),
    )
    return groups if sh_degree else groups[:-1]


def extras_group(schema: Schema) -> Group:
    """The float32 extras, each predicted alone."""
    count = sum(code == "f4" for _, code in schema.extras)
    return Group(StreamKind.EXTRAS, (Column(0, 0, 0),) * count, 1)


def required_kinds(schema: Schema) -> tuple[StreamKind, ...]:
    """The streams that every tile must have."""
    kinds = (StreamKind.REFERENCES, *(group.stream for group in groups_of(schema.sh_degree)))
    return (*kinds, StreamKind.EXTRAS) if schema.extras else kinds


def unpacked_bytes(kind: StreamKind, schema: Schema, count: int) -> int:
    """Bytes of what a tile's stream decodes to, for ``count`` rows: the stream's raw length."""
    if kind == StreamKind.REFERENCES:
        return 5 * count  # an int32 and a mask
    if kind == StreamKind.EXTRAS:
        return count * sum(np.dtype(code).itemsize for _, code in schema.extras)
    (group,) = (group for group in groups_of(schema.sh_degree) if group.stream == kind)
    return 4 * count * len(group.columns)


def distance_contexts(count: int) -> npt.NDArray[np.uint16]:
    """uint16[count]: the bit length of each row number, 0..16."""
    return np.frexp(np.arange(count, dtype=np.float64))[1].astype(np.uint16)


def byte_planes(values: npt.NDArray[Any]) -> bytes:
    """The lowest byte of all values, then the next one of all, …"""
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little.view(np.uint8).reshape(len(values), -1).T).tobytes()


def from_byte_planes(raw: bytes, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    """Inverse of ``byte_planes``; ``raw`` has count · itemsize bytes."""
    planes = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, count)
    little = np.ascontiguousarray(planes.T).view(dtype.newbyteorder("<")).reshape(count)
    return little.astype(dtype, copy=False)


def weight_count(column: Column) -> int:
    """Weights that a column sends: two, and two more for each companion; the others are zero."""
    return 2 + 2 * column.companions


def format_schema(schema: Schema) -> bytes:
    """The schema as JSON in ASCII, keys in the order of the specification."""
    meta = schema.meta
    fields: dict[str, Any] = {
        "extras": [[name, code] for name, code in schema.extras],
        "comments": list(meta.comments),
        "property_order": list(meta.property_order),
        "ply_format": meta.ply_format,
    }
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def parse_schema(data: bytes, sh_degree: int, render_mode: str, coordinate_frame: str) -> Schema:
    """Inverse of ``format_schema``; degree, render mode and frame are the container header's.

    Raises CorruptStreamError for anything but a complete, well-typed schema.
    """
    fields = _json_object(data)
    if tuple(fields) != SCHEMA_FIELDS:
        raise CorruptStreamError("wrong schema fields", field="schema", found=list(fields)[:16], allowed=SCHEMA_FIELDS)
    extras = fields["extras"]
    if not isinstance(extras, list) or len(extras) > MAX_EXTRAS or not all(_is_extra(entry) for entry in extras):
        raise CorruptStreamError(
            "bad extras", field="schema.extras", found=repr(extras)[:80], allowed=f"up to {MAX_EXTRAS} of [name, type]"
        )
    if len({entry[0] for entry in extras}) != len(extras):
        raise CorruptStreamError("extra named twice", field="schema.extras", found=repr(extras)[:80])
    ply_format = fields["ply_format"]
    if not isinstance(ply_format, str) or ply_format not in PLY_FORMATS:
        raise CorruptStreamError(
            "unknown PLY format", field="schema.ply_format", found=repr(ply_format)[:80], allowed=PLY_FORMATS
        )
    comments, order = _texts(fields, "comments"), _texts(fields, "property_order")
    if not all(_is_line(comment) for comment in comments):
        raise CorruptStreamError("not one line", field="schema.comments", found=repr(comments)[:80], allowed="one line")
    if len(set(order)) != len(order) or not all(_is_name(name) for name in order):
        raise CorruptStreamError(
            "bad property names", field="schema.property_order", found=repr(order)[:80], allowed="words, each once"
        )
    meta = CloudMeta(
        coordinate_frame=coordinate_frame,
        render_mode=render_mode,
        comments=comments,
        property_order=order,
        ply_format=ply_format,
    )
    return Schema(sh_degree, tuple((name, code) for name, code in extras), meta)


def _json_object(data: bytes) -> dict[str, Any]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise CorruptStreamError("key given twice", field="schema", found=[key for key, _ in items][:16])
        return found

    try:
        fields = json.loads(data.decode("ascii"), object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise CorruptStreamError(f"schema is not JSON: {error}", field="schema") from error
    if not isinstance(fields, dict):
        raise CorruptStreamError("schema is not an object", field="schema", found=type(fields).__name__)
    return fields


def _is_extra(entry: Any) -> bool:
    if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str):
        return False
    return _is_name(entry[0]) and entry[1] in EXTRA_TYPES


def _is_line(text: str) -> bool:
    """Whether a PLY header can hold the text: one line, no half of a surrogate pair."""
    return "\n" not in text and not text.endswith("\r") and not any("\ud800" <= char <= "\udfff" for char in text)


def _is_name(text: str) -> bool:
    return text.split() == [text] and _is_line(text)


def _texts(fields: dict[str, Any], name: str) -> tuple[str, ...]:
    values = fields[name]
    if not isinstance(values, list) or len(values) > MAX_TEXTS or not all(isinstance(text, str) for text in values):
        raise CorruptStreamError("bad list of texts", field=f"schema.{name}", found=repr(values)[:80])
    return tuple(values)
