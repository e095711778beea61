"""Lossless encoder: a cloud's rows, in their order, to the streams of one tile after the other."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import Coder, StreamKind
from gscodec.bitstream.entries import Stream
from gscodec.branches.lossless.fit import choose_parameters, float_values, sample_rows
from gscodec.branches.lossless.parameters import Parameters, order_keys, pack_parameters
from gscodec.branches.lossless.references import choose_references, near_earlier
from gscodec.branches.lossless.syntax import (
    COPY_BLUE,
    COPY_GREEN,
    COPY_OPACITY,
    COPY_POSITION,
    COPY_RED,
    COPY_ROTATION,
    COPY_SCALES,
    DISTANCE_TABLES,
    EXTRA_TYPES,
    FLOAT_PART,
    FLOAT_PART_LENGTH,
    MASK_TABLE,
    MAX_EXTRAS,
    MAX_SCHEMA_BYTES,
    MODE_CELLS,
    MODE_CONSTANT,
    OTHER_COLUMN,
    REFERENCES_HEAD,
    TILE_ROWS,
    Group,
    Schema,
    byte_planes,
    distance_contexts,
    extras_group,
    format_schema,
    groups_of,
    parse_schema,
    unpacked_bytes,
)
from gscodec.cloud import GaussianCloud
from gscodec.config import Progress, no_progress
from gscodec.entropy.bits import pack_bits
from gscodec.entropy.bytes import compress
from gscodec.entropy.planes import PlaneWriter
from gscodec.entropy.tables import FrequencyTables, normalise, pack
from gscodec.entropy.tokens import zigzag
from gscodec.errors import BadInputError, CorruptStreamError
from gscodec.transform.float_bits import low_bit_counts, low_bits, to_cells, to_tails
from gscodec.transform.reference_prediction import (
    ACTIVITY_CLASSES,
    ACTIVITY_START,
    activity_classes,
    predict,
    second_references,
    update_activity,
)

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
I32 = npt.NDArray[np.int32]
BOOL = npt.NDArray[np.bool_]

_FEATURES = (
    StreamKind.FLOAT_POSITIONS,
    StreamKind.FLOAT_SCALES,
    StreamKind.FLOAT_ROTATIONS,
    StreamKind.FLOAT_OPACITY,
    StreamKind.FLOAT_DC,
    StreamKind.FLOAT_AC,
)
_FEATURE_COLUMNS = 9  # the AC of degree 1
_EXTRAS_LEVEL = 12  # zstd level of byte planes; higher ones take minutes on columns of noise


def schema_of(cloud: GaussianCloud) -> Schema:
    """The cloud's schema. Raises BadInputError for what a lossless file cannot hold."""
    if cloud.meta.converted:
        raise BadInputError(
            "lossless coding keeps float32 properties, these had another type",
            field="converted",
            found=", ".join(cloud.meta.converted),
            allowed="standard properties of type float",
        )
    if len(cloud.extras) > MAX_EXTRAS:
        raise BadInputError("too many extra properties", field="extras", found=len(cloud.extras), allowed=MAX_EXTRAS)
    extras = tuple((name, f"{values.dtype.kind}{values.dtype.itemsize}") for name, values in cloud.extras.items())
    for name, code in extras:
        if code not in EXTRA_TYPES:
            raise BadInputError("type that PLY has not", field=f"extras[{name}]", found=code, allowed=EXTRA_TYPES)
    return Schema(cloud.sh_degree, extras, cloud.meta)


def encode_tiles(
    cloud: GaussianCloud, config: Any, pool: Executor, progress: Progress = no_progress
) -> tuple[list[range], list[Stream]]:
    """(rows of each tile, all streams but the common ones) of a cloud, in tiles of 65536 rows, the last one shorter.

    Tiles run on ``pool``, which must not be the one that the caller itself runs on.

    There is nothing to configure. Raises BadInputError (see ``schema_of``).
    """
    del config
    schema = schema_of(cloud)
    text = _schema_text(schema)
    coder, payload = compress(text)
    starts = range(0, len(cloud), TILE_ROWS)

    # The search for one tile's references runs while the tile before is being coded.
    tasks: list[Future[list[Stream]]] = []
    for number, start in enumerate(starts):
        rows = cloud.select(slice(start, start + TILE_ROWS))
        tasks.append(pool.submit(encode_tile, rows, near_earlier(rows.positions, pool), schema, number))
    streams = [Stream(StreamKind.SCHEMA, Coder(coder), payload, len(text))]
    for number, task in enumerate(tasks, start=1):
        streams += task.result()
        progress("coding", number / len(tasks))
    return [range(start, min(start + TILE_ROWS, len(cloud))) for start in starts], streams


def _schema_text(schema: Schema) -> bytes:
    text = format_schema(schema)
    if len(text) > MAX_SCHEMA_BYTES:
        raise BadInputError("too much text", field="meta", found=len(text), allowed=f"<= {MAX_SCHEMA_BYTES} bytes")
    try:
        parse_schema(text, schema.sh_degree, schema.meta.render_mode, schema.meta.coordinate_frame)
    except CorruptStreamError as error:  # what no decoder would take must not be written
        raise BadInputError(error.message, field=error.field, found=error.found, allowed=error.allowed) from error
    return text


def encode_tile(rows: GaussianCloud, near: I32, schema: Schema, number: int) -> list[Stream]:
    """The streams of one tile; ``near`` of ``near_earlier``."""
    columns = _columns(rows)
    references = choose_references(near, _features(columns), _colours(rows))
    mask = _copy_mask(columns, references)
    seconds = second_references(references)
    payloads = {StreamKind.REFERENCES: _pack_references(references, mask)}
    for group in groups_of(schema.sh_degree):
        payloads[group.stream] = _pack_group(group, columns[group.stream], references, seconds, mask)
    if schema.extras:
        payloads[StreamKind.EXTRAS] = _pack_extras(rows, schema, references, seconds, mask)
    return [
        Stream(kind, Coder.RANS, payload, unpacked_bytes(kind, schema, len(rows)), number)
        for kind, payload in payloads.items()
    ]


def _columns(rows: GaussianCloud) -> dict[StreamKind, list[U32]]:
    def bits(array: npt.NDArray[np.float32]) -> list[U32]:
        flat = array.reshape(len(rows), -1)
        return list(np.ascontiguousarray(flat.T).view(np.uint32))

    return {
        StreamKind.FLOAT_POSITIONS: bits(rows.positions),
        StreamKind.FLOAT_SCALES: bits(rows.log_scales),
        StreamKind.FLOAT_ROTATIONS: bits(rows.quats_wxyz),
        StreamKind.FLOAT_OPACITY: bits(rows.opacity_logits),
        StreamKind.FLOAT_DC: bits(rows.sh_dc),
        StreamKind.FLOAT_AC: bits(rows.sh_rest) if rows.sh_degree else [],
    }


def _colours(rows: GaussianCloud) -> tuple[U32, ...]:
    sh = np.concatenate([rows.sh_dc[:, None], rows.sh_rest], axis=1)
    return tuple(np.ascontiguousarray(sh[:, :, c]).view(np.uint32) for c in range(3))


def _features(columns: dict[StreamKind, list[U32]]) -> npt.NDArray[np.float64]:
    """What rows are compared by: everything but the SH of degree 2 and more, which adds time and little else."""
    bits = [bits for kind in _FEATURES for bits in columns[kind][:_FEATURE_COLUMNS]]
    return np.stack([float_values(column) for column in bits], axis=1)


def _copy_mask(columns: dict[StreamKind, list[U32]], references: I32) -> U8:
    def equal(*some: U32) -> BOOL:
        copied = references >= 0
        for bits in some:
            copied &= bits == bits[references]
        return copied

    dc, ac = columns[StreamKind.FLOAT_DC], columns[StreamKind.FLOAT_AC]
    parts = {
        COPY_RED: equal(*dc[0::3], *ac[0::3]),
        COPY_GREEN: equal(*dc[1::3], *ac[1::3]),
        COPY_BLUE: equal(*dc[2::3], *ac[2::3]),
        COPY_OPACITY: equal(*columns[StreamKind.FLOAT_OPACITY]),
        COPY_ROTATION: equal(*columns[StreamKind.FLOAT_ROTATIONS]),
        COPY_SCALES: equal(*columns[StreamKind.FLOAT_SCALES]),
        COPY_POSITION: equal(*columns[StreamKind.FLOAT_POSITIONS]),
    }
    mask = np.zeros(len(references), np.uint8)
    for bit, copied in parts.items():
        mask |= np.where(copied, np.uint8(bit), np.uint8(0))
    return mask


def _pack_references(references: I32, mask: U8) -> bytes:
    rows = np.arange(len(references), dtype=np.int32)
    writer = PlaneWriter(DISTANCE_TABLES)
    writer.put(np.where(references < 0, 0, rows - references).astype(np.uint32), distance_contexts(len(rows)))
    writer.put(mask[references >= 0].astype(np.uint32), MASK_TABLE)
    tables = normalise(writer.counts)
    packed = pack(tables)
    return REFERENCES_HEAD.pack(len(packed)) + packed + writer.finish(FrequencyTables(tables))


def _pack_group(group: Group, columns: list[U32], references: I32, seconds: I32, mask: U8) -> bytes:
    writer = PlaneWriter(group.table_count)
    activity = np.full(len(references), ACTIVITY_START, np.int32)
    parameters: list[bytes] = []
    low: list[U32] = []
    widths: list[U8] = []
    done: list[tuple[I32, tuple[npt.NDArray[np.float64], int]]] = []  # cells, and what a fit needs of them
    for column, bits in zip(group.columns, columns, strict=True):
        copied = (mask & np.uint8(column.copy_bit)) != 0
        near = done[len(done) - column.companions :][::-1]
        chosen = choose_parameters(bits, [fit for _, fit in near], sample_rows(references, copied), references, seconds)
        parameters.append(pack_parameters(chosen, column))
        cells, fit = _cells(chosen, bits)
        done.append((cells, fit))
        if chosen.mode == MODE_CONSTANT:
            continue
        companions = np.zeros((2, len(cells)), np.int32)
        for i, (own, _) in enumerate(near):
            companions[i] = own
        live = ~copied
        classes = activity_classes(activity)[live]
        residuals = predict(cells, references, seconds, companions, chosen.weights)[live]
        writer.put(zigzag(residuals), classes + np.uint16(column.kind * ACTIVITY_CLASSES))
        update_activity(activity, residuals, copied)
        if chosen.mode == MODE_CELLS:
            tails = _put_tails(writer, group, chosen, cells[live], bits[live], classes)
            widths.append(low_bit_counts(cells[live], tails, chosen.dropped))
            low.append(low_bits(bits[live], widths[-1], chosen.dropped))
    tables = normalise(writer.counts)
    sections = (b"".join(parameters), pack(tables), writer.finish(FrequencyTables(tables)))
    low_part = pack_bits(_joined(low, np.uint32), _joined(widths, np.uint8))
    return FLOAT_PART.pack(*map(len, sections)) + b"".join(sections) + low_part


def _put_tails(
    writer: PlaneWriter, group: Group, chosen: Parameters, cells: I32, bits: U32, classes: npt.NDArray[np.uint16]
) -> U32:
    tails = np.zeros(len(cells), np.uint32)
    zero = (cells == 0) | (cells == -1)
    tails[zero] = to_tails(bits[zero], chosen.base)
    writer.put(tails[zero], classes[zero] + np.uint16(group.tail_base))
    return tails


def _cells(chosen: Parameters, bits: U32) -> tuple[I32, tuple[npt.NDArray[np.float64], int]]:
    """Cells int32[n], and the values with the exponent of their unit that a later column is fitted to."""
    if chosen.mode == MODE_CELLS:
        return to_cells(bits, chosen.base), (float_values(bits), chosen.base - 127)
    if chosen.mode == MODE_CONSTANT:
        cells = np.zeros(len(bits), np.int32)
    else:
        cells = np.searchsorted(order_keys(chosen.palette), order_keys(bits)).astype(np.int32)
    return cells, (cells.astype(np.float64), 0)


def _pack_extras(rows: GaussianCloud, schema: Schema, references: I32, seconds: I32, mask: U8) -> bytes:
    floats, others = [], []
    for name, code in schema.extras:
        values = np.ascontiguousarray(rows.extras[name], np.dtype(code))
        if code == "f4":
            floats.append(values.view(np.uint32))
        else:
            raw = byte_planes(values)
            coder, stored = compress(raw, _EXTRAS_LEVEL)
            others.append(OTHER_COLUMN.pack(coder, len(stored)) + stored)
    part = _pack_group(extras_group(schema), floats, references, seconds, mask)
    return FLOAT_PART_LENGTH.pack(len(part)) + part + b"".join(others)


def _joined(parts: list[npt.NDArray[Any]], dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)
