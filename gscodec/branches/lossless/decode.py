"""Lossless decoder: the streams of one tile back to its rows, bit for bit. Safe for any bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import Coder, CoordinateFrame, RenderMode, StreamKind
from gscodec.bitstream.entries import Header, Stream
from gscodec.branches.lossless.parameters import ParameterReader, Parameters
from gscodec.branches.lossless.syntax import (
    COPY_MASKS,
    DISTANCE_TABLES,
    FLOAT_PART,
    FLOAT_PART_LENGTH,
    MASK_TABLE,
    MAX_SCHEMA_BYTES,
    MODE_CELLS,
    MODE_CONSTANT,
    OTHER_COLUMN,
    REFERENCES_HEAD,
    TILE_ROWS,
    Group,
    Schema,
    distance_contexts,
    extras_group,
    from_byte_planes,
    groups_of,
    parse_schema,
    required_kinds,
    unpacked_bytes,
)
from gscodec.cloud import GaussianCloud, empty_cloud
from gscodec.entropy.bits import BitReader
from gscodec.entropy.bytes import decompress
from gscodec.entropy.planes import PlaneReader
from gscodec.entropy.tables import FrequencyTables, unpack
from gscodec.entropy.tokens import ALPHABET, unzigzag
from gscodec.errors import CorruptStreamError
from gscodec.transform.float_bits import from_cells, low_bit_counts
from gscodec.transform.reference_prediction import (
    ACTIVITY_CLASSES,
    ACTIVITY_START,
    activity_classes,
    copy_rows,
    restore,
    second_references,
    update_activity,
)

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
I32 = npt.NDArray[np.int32]
BOOL = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Shared:
    """What all tiles of a file need."""

    schema: Schema
    tile_count: int


def parse_shared(streams: Mapping[StreamKind, Stream], header: Header) -> Shared:
    """From the streams of the whole file. Raises CorruptStreamError."""
    stream = _need(streams, StreamKind.SCHEMA)
    text = decompress(stream.coder, stream.payload, stream.raw_length, MAX_SCHEMA_BYTES)
    mode, frame = RenderMode(header.render_mode), CoordinateFrame(header.coordinate_frame)
    return Shared(parse_schema(text, header.sh_degree, mode.name.lower(), frame.name.lower()), header.tile_count)


def layers_of(_sh_degree: int, _of_file: Collection[int]) -> dict[int, int]:
    """No layers: all SH beyond DC is one stream, a tile is decoded whole."""
    return {}


def highest_layer(_shared: Shared) -> int:
    """The last layer of a file."""
    return 0


def reduced(shared: Shared, _layers: int, _sh_degree: int) -> Shared:
    """What a decode of so few layers needs: nothing less."""
    return shared


def empty(shared: Shared) -> GaussianCloud:
    """A cloud of no splats as the file has them: degree, meta, extras."""
    extras = {name: np.zeros(0, code) for name, code in shared.schema.extras}
    return replace(empty_cloud(0, shared.schema.sh_degree, shared.schema.meta), extras=MappingProxyType(extras))


def decode_tile(
    streams: Mapping[StreamKind, Stream], shared: Shared, count: int, into: GaussianCloud | None = None
) -> GaussianCloud:
    """The ``count`` rows of a tile, extras included, in the arrays of ``into`` if given. Raises CorruptStreamError."""
    schema = shared.schema
    last = _need(streams, StreamKind.REFERENCES).tile == shared.tile_count - 1
    if not (1 if last else TILE_ROWS) <= count <= TILE_ROWS:
        allowed = f"{TILE_ROWS}, or less in the last tile"
        raise CorruptStreamError("wrong size of tile", field="splat_count", found=count, allowed=allowed)
    payloads = {kind: _payload(streams, kind, schema, count) for kind in required_kinds(schema)}
    rows = _Rows.read(payloads[StreamKind.REFERENCES], count)
    columns = {
        group.stream: _unpack_group(group, payloads[group.stream], rows) for group in groups_of(schema.sh_degree)
    }

    cloud = empty_cloud(count, schema.sh_degree, schema.meta) if into is None else into
    for kind, values in (
        (StreamKind.FLOAT_POSITIONS, cloud.positions),
        (StreamKind.FLOAT_SCALES, cloud.log_scales),
        (StreamKind.FLOAT_ROTATIONS, cloud.quats_wxyz),
        (StreamKind.FLOAT_OPACITY, cloud.opacity_logits),
        (StreamKind.FLOAT_DC, cloud.sh_dc),
        (StreamKind.FLOAT_AC, cloud.sh_rest),
    ):
        if kind in columns:
            values.view(np.uint32).reshape(count, -1)[:] = columns[kind].T
    if not schema.extras:
        return cloud
    extras = _unpack_extras(payloads[StreamKind.EXTRAS], schema, rows)
    if into is None:
        return replace(cloud, extras=MappingProxyType(extras))
    for name, own in into.extras.items():
        own[:] = extras[name]
    return into


@dataclass(frozen=True, eq=False)
class _Rows:
    """References int32[n], the references of these, copy masks uint8[n]."""

    references: I32
    seconds: I32
    mask: U8

    @classmethod
    def read(cls, payload: bytes, count: int) -> _Rows:
        head, data = payload[: REFERENCES_HEAD.size], payload[REFERENCES_HEAD.size :]
        (length,) = REFERENCES_HEAD.unpack(_whole(head, REFERENCES_HEAD.size, "REFERENCES"))
        packed, planes = _cut(data, (length,), "REFERENCES")
        reader = PlaneReader(planes, _tables(packed, DISTANCE_TABLES))
        distances = reader.get(distance_contexts(count))
        rows = np.arange(count, dtype=np.uint32)
        if np.any(distances > rows):
            bad = int(np.argmax(distances > rows))
            raise CorruptStreamError(
                "reference before row 0", field=f"distance[{bad}]", found=int(distances[bad]), allowed=f"<= {bad}"
            )
        has = distances > 0
        masks = reader.get(MASK_TABLE, int(np.count_nonzero(has)))
        reader.finish()
        if len(masks) and int(masks.max()) >= COPY_MASKS:
            raise CorruptStreamError("bad copy mask", field="mask", found=int(masks.max()), allowed=f"< {COPY_MASKS}")
        references = np.where(has, (rows - distances).astype(np.int32), np.int32(-1)).astype(np.int32)
        mask = np.zeros(count, np.uint8)
        mask[has] = masks.astype(np.uint8)
        return cls(references, second_references(references), mask)


def _unpack_group(group: Group, payload: bytes, rows: _Rows) -> U32:
    """Float bits uint32[columns, n] of a group."""
    name = group.stream.name
    head, data = payload[: FLOAT_PART.size], payload[FLOAT_PART.size :]
    lengths = FLOAT_PART.unpack(_whole(head, FLOAT_PART.size, name))
    packed, tables, planes, low = _cut(data, lengths, name)
    parameters = ParameterReader(packed)
    reader = PlaneReader(planes, _tables(tables, group.table_count))
    bit_reader = BitReader(low)
    count = len(rows.references)
    activity = np.full(count, ACTIVITY_START, np.int32)
    out = np.empty((len(group.columns), count), np.uint32)
    done: list[I32] = []
    for number, column in enumerate(group.columns):
        chosen = parameters.read(column)
        companions = np.zeros((2, count), np.int32)
        for i in range(column.companions):
            companions[i] = done[-1 - i]
        if chosen.mode == MODE_CONSTANT:
            out[number] = chosen.constant
            done.append(np.zeros(count, np.int32))
            continue
        copied = (rows.mask & np.uint8(column.copy_bit)) != 0
        live = ~copied
        classes = activity_classes(activity)[live]
        residuals = unzigzag(reader.get(classes + np.uint16(column.kind * ACTIVITY_CLASSES)))
        cells = restore(residuals, copied, rows.references, rows.seconds, companions, chosen.weights)
        update_activity(activity, residuals, copied)
        if chosen.mode == MODE_CELLS:
            bits = _from_cells(group, chosen, cells[live], classes, reader, bit_reader)
        else:
            bits = _from_palette(chosen, cells[live])
        out[number][live] = bits
        copy_rows(out[number], copied, rows.references)
        done.append(cells)
    parameters.finish()
    reader.finish()
    bit_reader.finish()
    return out


def _from_cells(
    group: Group,
    chosen: Parameters,
    cells: I32,
    classes: npt.NDArray[np.uint16],
    reader: PlaneReader,
    bit_reader: BitReader,
) -> U32:
    zero = (cells == 0) | (cells == -1)
    tails = np.zeros(len(cells), np.uint32)
    tails[zero] = reader.get(classes[zero] + np.uint16(group.tail_base))
    low = bit_reader.read(low_bit_counts(cells, tails, chosen.dropped))
    return from_cells(cells, tails, low, chosen.base, chosen.dropped)


def _from_palette(chosen: Parameters, cells: I32) -> U32:
    size = len(chosen.palette)
    if len(cells) and not (int(cells.min()) >= 0 and int(cells.max()) < size):
        raise CorruptStreamError(
            "palette index out of range", field="cells", found=(int(cells.min()), int(cells.max())), allowed=f"< {size}"
        )
    return chosen.palette[cells]


def _unpack_extras(payload: bytes, schema: Schema, rows: _Rows) -> dict[str, npt.NDArray[Any]]:
    count, name = len(rows.references), "EXTRAS"
    head, data = payload[: FLOAT_PART_LENGTH.size], payload[FLOAT_PART_LENGTH.size :]
    (length,) = FLOAT_PART_LENGTH.unpack(_whole(head, FLOAT_PART_LENGTH.size, name))
    part, data = _cut(data, (length,), name)
    floats: Iterator[U32] = iter(_unpack_group(extras_group(schema), part, rows))
    extras: dict[str, npt.NDArray[Any]] = {}
    for key, code in schema.extras:
        if code == "f4":
            extras[key] = next(floats).view(np.float32)
            continue
        dtype = np.dtype(code)
        head, data = data[: OTHER_COLUMN.size], data[OTHER_COLUMN.size :]
        coder, length = OTHER_COLUMN.unpack(_whole(head, OTHER_COLUMN.size, name))
        stored, data = _cut(data, (length,), name)
        raw = decompress(coder, stored, count * dtype.itemsize, count * dtype.itemsize)
        extras[key] = from_byte_planes(raw, dtype, count)
    if data:
        raise CorruptStreamError("bytes after the last column", field=name, found=len(data), allowed=0)
    return extras


def _need(streams: Mapping[StreamKind, Stream], kind: StreamKind) -> Stream:
    if kind not in streams:
        raise CorruptStreamError("a needed stream is missing", field="kind", found=kind.name)
    return streams[kind]


def _payload(streams: Mapping[StreamKind, Stream], kind: StreamKind, schema: Schema, count: int) -> bytes:
    stream = _need(streams, kind)
    if stream.coder != Coder.RANS:
        raise CorruptStreamError("wrong coder", field=kind.name, found=stream.coder, allowed=Coder.RANS.value)
    expected = unpacked_bytes(kind, schema, count)
    if stream.raw_length != expected:
        raise CorruptStreamError("wrong raw length", field=kind.name, found=stream.raw_length, allowed=expected)
    return stream.payload


def _tables(packed: bytes, count: int) -> FrequencyTables:
    return FrequencyTables(unpack(packed, count, ALPHABET))


def _cut(data: bytes, lengths: tuple[int, ...], field: str) -> list[bytes]:
    """The sections of these lengths, and what is left."""
    if sum(lengths) > len(data):
        raise CorruptStreamError("sections cut short", field=field, found=len(data), allowed=f">= {sum(lengths)}")
    sections = []
    for length in lengths:
        sections.append(data[:length])
        data = data[length:]
    return [*sections, data]


def _whole(head: bytes, size: int, field: str) -> bytes:
    if len(head) != size:
        raise CorruptStreamError("stream cut short", field=field, found=len(head), allowed=f">= {size}")
    return head
