"""Part of the reference decoder: the chapter "The lossless branch" of FORMAT.md, in its order."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .reference_common import FormatError, Planes, interleave, no_constant, read_tables, require, unpack_zstd

ALPHABET = 72
TILE_ROWS = 65536
SCHEMA_AT_MOST = 1 << 23  # bytes
RED, OPACITY_BIT, ROTATION_BIT, SCALES_BIT, POSITION_BIT = 1, 8, 16, 32, 64  # green 2, blue 4
TYPE_SIZES = {"i1": 1, "u1": 1, "i2": 2, "u2": 2, "i4": 4, "u4": 4, "f4": 4, "f8": 8}
PLY_FORMATS = ("", "binary_little_endian", "binary_big_endian", "ascii")


# ---- SCHEMA


@dataclass(frozen=True)
class Schema:
    """SCHEMA."""

    extras: list[tuple[str, str]]  # name, type
    comments: list[str]
    property_order: list[str]
    ply_format: str

    @property
    def extra_sizes(self) -> list[int]:
        """The size of each extra's type in bytes."""
        return [TYPE_SIZES[kind] for _, kind in self.extras]


def is_line(text: object) -> bool:
    """A text of one line without lone surrogates."""
    if not isinstance(text, str):
        return False
    return "\n" not in text and not text.endswith("\r") and not any("\ud800" <= letter <= "\udfff" for letter in text)


def is_name(text: object) -> bool:
    """A text that is not empty and has no white space."""
    return isinstance(text, str) and is_line(text) and text.split() == [text]


def read_schema(data: bytes) -> Schema:
    """SCHEMA and its rules."""
    try:
        pairs = json.loads(data.decode("ascii"), object_pairs_hook=tuple, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"SCHEMA: {error}") from error
    keys = ["extras", "comments", "property_order", "ply_format"]
    require(isinstance(pairs, tuple) and [key for key, _ in pairs] == keys, "SCHEMA: not an object with the right keys")
    extras, comments, order, ply_format = (value for _, value in pairs)
    require(all(isinstance(value, list) for value in (extras, comments, order)), "SCHEMA: not a list")
    require(len(extras) <= 1024 and max(len(comments), len(order)) <= 262144, "SCHEMA: a list is too long")
    for extra in extras:
        require(isinstance(extra, list) and len(extra) == 2, "SCHEMA: extra is not a pair")
        require(is_name(extra[0]) and isinstance(extra[1], str) and extra[1] in TYPE_SIZES, "SCHEMA: wrong extra")
    require(all(map(is_line, comments)) and all(map(is_name, order)), "SCHEMA: wrong comment or property")
    names = [name for name, _ in extras]
    require(len({*names}) == len(names) and len({*order}) == len(order), "SCHEMA: a name occurs twice")
    require(isinstance(ply_format, str) and ply_format in PLY_FORMATS, "SCHEMA: wrong ply_format")
    return Schema([(name, kind) for name, kind in extras], comments, order, ply_format)


# ---- REFERENCES


@dataclass(frozen=True)
class References:
    """For each row j(i), k(i) (-1: none) and the copy mask."""

    first: list[int]
    second: list[int]
    masks: list[int]


def decode_references(data: bytes, count: int) -> References:
    """REFERENCES."""
    tables, rest = cut(data, struct.unpack_from("<I", data)[0] if len(data) >= 4 else 0, 4)
    planes = Planes(rest, read_tables(tables, 18, ALPHABET))
    distances = planes.read([i.bit_length() for i in range(count)])
    require(all(d <= i for i, d in enumerate(distances)), "REFERENCES: distance beyond the first row")
    referring = [i for i, d in enumerate(distances) if d > 0]
    read = planes.read([17] * len(referring))
    planes.finish()
    require(all(mask < 128 for mask in read), "REFERENCES: wrong mask")
    masks, first = [0] * count, [-1] * count
    for i, mask in zip(referring, read, strict=True):
        masks[i], first[i] = mask, i - distances[i]
    second = [first[j] if j >= 0 and first[j] >= 0 else j for j in first]
    return References(first, second, masks)


def cut(data: bytes, size: int, start: int = 0) -> tuple[bytes, bytes]:
    """The section of `size` bytes from `start` on and what stands behind it."""
    require(start + size <= len(data), "a section is longer than its stream")
    return data[start : start + size], data[start + size :]


# ---- Float part


@dataclass(frozen=True)
class Spec:
    """What a column is: its set of residual tables, its number of companions, its mask bit (0: never copied)."""

    table_set: int
    companions: int
    bit: int


CONSTANT, CELLS, PALETTE = 0, 1, 2


@dataclass(frozen=True)
class Column:
    """The parameters of a column."""

    mode: int
    base: int = 0
    dropped: int = 0
    weights: tuple[int, ...] = ()
    values: tuple[int, ...] = ()  # of CONSTANT (one) and PALETTE


def take(data: bytes, at: int, layout: str) -> tuple[tuple[int, ...], int]:
    """Unpack numbers of the parameters; returns the place behind them."""
    size = struct.calcsize(layout)
    require(at + size <= len(data), "float part: parameters are truncated")
    return struct.unpack_from(layout, data, at), at + size


def read_columns(data: bytes, specs: Sequence[Spec]) -> list[Column]:
    """Parameters of each column."""
    columns, at = [], 0
    for spec in specs:
        weight_layout = f"<{2 + 2 * spec.companions}h"
        (mode,), at = take(data, at, "<B")
        require(mode <= PALETTE, f"float part: mode {mode}")
        if mode == CONSTANT:
            values, at = take(data, at, "<I")
            columns.append(Column(mode, values=values))
        elif mode == CELLS:
            (base, dropped), at = take(data, at, "<BB")
            require(1 <= base <= 230 and dropped <= 23, "float part: base or dropped is out of bounds")
            weights, at = take(data, at, weight_layout)
            columns.append(Column(mode, base, dropped, weights))
        else:
            (count,), at = take(data, at, "<H")
            require(1 <= count <= 8192, "float part: size of a palette is out of bounds")
            weights, at = take(data, at, weight_layout)
            values, at = take(data, at, f"<{count}I")
            keys = [value ^ 0xFFFFFFFF if value >> 31 else value | 1 << 31 for value in values]
            require(all(keys[i] < keys[i + 1] for i in range(count - 1)), "float part: palette is not ascending")
            columns.append(Column(mode, weights=weights, values=values))
    require(at == len(data), "float part: parameters are left over")
    return columns


class BitString:
    """The bit string behind the planes."""

    def __init__(self, data: bytes) -> None:
        """Start at bit 0 of the first byte."""
        self.data, self.place = data, 0

    def take(self, size: int) -> int:
        """The next bits, lowest first."""
        start, end = self.place, self.place + size
        require(end <= 8 * len(self.data), "float part: bit string ends too soon")
        self.place = end
        return int.from_bytes(self.data[start >> 3 : (end + 7) >> 3], "little") >> (start & 7) & ((1 << size) - 1)

    def finish(self) -> None:
        """Fewer than 8 bits are left and they are 0."""
        left = 8 * len(self.data) - self.place
        require(left < 8 and self.take(left) == 0, "float part: bits left over")


class FloatPart:
    """The decoder of a float part."""

    def __init__(self, data: bytes, specs: Sequence[Spec], sets: int, references: References) -> None:
        """Cut the sections."""
        require(len(data) >= 12, "float part: truncated")
        sizes = struct.unpack_from("<3I", data)
        parameters, rest = cut(data, sizes[0], 12)
        tables, rest = cut(rest, sizes[1])
        planes, rest = cut(rest, sizes[2])
        self.specs, self.columns, self.references = specs, read_columns(parameters, specs), references
        self.planes = Planes(planes, read_tables(tables, 12 * (sets + 1), ALPHABET))
        self.bits = BitString(rest)
        self.tail_tables = 12 * sets
        self.rows = len(references.first)
        self.activity = [40] * self.rows
        self.cells: list[list[int]] = []  # B(cells) of the columns so far, each with a 0 at place -1: no reference

    def decode(self) -> list[bytes]:
        """All columns, as float32."""
        floats = [self.decode_column(spec, column) for spec, column in zip(self.specs, self.columns, strict=True)]
        self.planes.finish()
        self.bits.finish()
        return floats

    def decode_column(self, spec: Spec, column: Column) -> bytes:
        """Steps 1 to 8."""
        if column.mode == CONSTANT:
            self.cells.append([0] * (self.rows + 1))
            return struct.pack("<I", column.values[0]) * self.rows
        live = [i for i, mask in enumerate(self.references.masks) if not mask & spec.bit]
        classes = [min(self.activity[i] >> 3, 11) for i in live]
        residuals = self.planes.read_signed([12 * spec.table_set + number for number in classes])
        cells = self.decode_cells(spec, column, live, residuals)
        for i, residual in zip(live, residuals, strict=True):
            self.activity[i] = (3 * self.activity[i] + 4 * activity_level(residual)) >> 2
        own = [cells[i] for i in live]
        values = self.from_cells(column, own, classes) if column.mode == CELLS else from_palette(column, own)
        floats = [-1] * self.rows
        for i, value in zip(live, values, strict=True):
            floats[i] = value
        if len(live) < self.rows:
            first = self.references.first
            for i, value in enumerate(floats):
                if value < 0:
                    floats[i] = floats[first[i]]
        return struct.pack(f"<{self.rows}I", *floats)

    def companion_sums(self, spec: Spec, weights: Sequence[int]) -> list[int]:
        """The part of S that comes from the companions a and b, for all rows."""
        sums = [0] * self.rows
        for back in range(spec.companions):
            cells, own, other = self.cells[-1 - back], weights[2 + 2 * back], weights[3 + 2 * back]
            rows = zip(sums, cells, self.references.first, strict=False)  # cells has one more
            sums = [total + own * cell + other * cells[j] for total, cell, j in rows]
        return sums

    def decode_cells(self, spec: Spec, column: Column, live: list[int], residuals: list[int]) -> list[int]:
        """Step 4: the cells of all rows."""
        w0, w1 = column.weights[:2]
        first, second = self.references.first, self.references.second
        sums = self.companion_sums(spec, column.weights)
        source = dict(zip(live, residuals, strict=True))
        cells, bounded = [0] * self.rows, [0] * (self.rows + 1)
        for i, (total, j, k) in enumerate(zip(sums, first, second, strict=True)):
            residual = source.get(i)
            if residual is None:
                cell = cells[j]
            else:
                predicted = (total + w0 * bounded[j] + w1 * bounded[k] + 2048) >> 12
                predicted = min(max(predicted, -(1 << 24)), 1 << 24)
                cell = (predicted + residual + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
            cells[i] = cell
            bounded[i] = min(max(cell, -(1 << 24)), 1 << 24)
        self.cells.append(bounded)
        return cells

    def from_cells(self, column: Column, cells: list[int], classes: list[int]) -> list[int]:
        """Step 6: the float bits of the live rows."""
        near = [number for cell, number in zip(cells, classes, strict=True) if cell in (0, -1)]
        tails = self.planes.read([self.tail_tables + number for number in near])
        require(max(tails, default=0) <= column.base, "float part: tail above base")
        next_tail = iter(tails)
        high = (column.base + 24) << 23
        values = []
        for cell in cells:
            sign, m = (1 << 31, -cell - 1) if cell < 0 else (0, cell)
            require(m <= (1 << 24) + 0x7FFFFFFF - high, "float part: cell too large")
            if m == 0:
                t = next(next_tail)
                value = (column.base - t) << 23 | self.low_bits(23, column.dropped) if t > 0 else 0
            elif m < 1 << 24:
                u = m.bit_length() - 1
                value = (column.base + u) << 23 | (m << (23 - u)) & 0x7FFFFF | self.low_bits(23 - u, column.dropped)
            else:
                value = m - (1 << 24) + high
            values.append(sign | value)
        return values

    def low_bits(self, width: int, dropped: int) -> int:
        """The value q of step 6."""
        return self.bits.take(width - dropped) << dropped if width > dropped else 0


def activity_level(residual: int) -> int:
    """The level of step 5."""
    s = abs(residual) + 1
    o = s.bit_length() - 1
    return 4 * o + ((4 * s >> o) & 3)


def from_palette(column: Column, cells: list[int]) -> list[int]:
    """Step 7: the float bits of the live rows."""
    require(all(0 <= cell < len(column.values) for cell in cells), "float part: cell outside the palette")
    return [column.values[cell] for cell in cells]


# ---- A tile


def float_stream(data: bytes, specs: Sequence[Spec], sets: int, references: References) -> bytes:
    """A FLOAT stream: the array of its columns."""
    return interleave(FloatPart(data, specs, sets, references).decode())


def decode_tile(streams: Sequence[bytes], count: int, rest: int, schema: Schema) -> list[bytes]:
    """The tile's arrays in the order of "Decoding a scene", then the extras, from the streams in the order of kind."""
    references = decode_references(streams[0], count)
    colour = [Spec(channel, channel, RED << channel) for channel in range(3)]
    positions = [Spec(i, i, POSITION_BIT) for i in range(3)]
    scales = [Spec(0, i, SCALES_BIT) for i in range(3)]
    rotations = [Spec(0, min(i, 2), ROTATION_BIT) for i in range(4)]
    arrays = [
        float_stream(streams[1], positions, 3, references),
        float_stream(streams[2], scales, 1, references),
        float_stream(streams[3], rotations, 1, references),
        float_stream(streams[4], [Spec(0, 0, OPACITY_BIT)], 1, references),
        float_stream(streams[5], colour, 3, references),
        float_stream(streams[6], colour * rest, 3, references) if rest else b"",
    ]
    return arrays + (decode_extras(streams[-1], schema, references) if schema.extras else [])


# ---- EXTRAS


def decode_extras(data: bytes, schema: Schema, references: References) -> list[bytes]:
    """EXTRAS: the extra columns, little endian, in the order of SCHEMA."""
    require(len(data) >= 4, "EXTRAS: truncated")
    part, data = cut(data, struct.unpack_from("<I", data)[0], 4)
    specs = [Spec(0, 0, 0)] * [kind for _, kind in schema.extras].count("f4")
    floats = iter(FloatPart(part, specs, 1, references).decode())
    extras = []
    for (_, kind), size in zip(schema.extras, schema.extra_sizes, strict=True):
        if kind == "f4":
            extras.append(next(floats))
        else:
            extra, data = read_extra(data, len(references.first), size)
            extras.append(extra)
    require(not data, "EXTRAS: bytes left over")
    return extras


def read_extra(data: bytes, count: int, size: int) -> tuple[bytes, bytes]:
    """An extra that is not f4, and what stands behind it."""
    require(len(data) >= 5, "EXTRAS: truncated")
    coder, length = struct.unpack_from("<BI", data)
    stored, data = cut(data, length, 5)
    require(coder <= 1, f"EXTRAS: coder {coder}")
    raw = unpack_zstd(stored, count * size) if coder == 1 else stored
    require(len(raw) == count * size, "EXTRAS: wrong length")
    column = bytearray(len(raw))
    for byte in range(size):
        column[byte::size] = raw[byte * count : (byte + 1) * count]
    return bytes(column), data
