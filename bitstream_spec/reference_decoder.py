"""Reference decoder of the .gsb format, written from FORMAT.md alone: slow, plain Python, in the order of that text.

python reference_decoder.py in.gsb -o out.ply [--force]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    __package__ = "bitstream_spec"

from . import reference_geometry as geometry
from . import reference_lossless as lossless
from . import reference_native as native
from . import reference_palette as palette
from . import reference_refinements as refinements
from .reference_common import FormatError, Table, no_constant, require, split, unpack_zstd
from .reference_geometry import Params
from .reference_lossless import Schema
from .reference_palette import Entries

MAGIC = bytes.fromhex("89 47 53 42 0D 0A 1A 0A")
VERSION = (0, 6)
WHOLE_FILE = 0xFFFFFFFF
NATIVE, LOSSLESS = 1, 2
RAW, ZSTD, RANS = 0, 1, 2
META, TILES, DIGESTS, PARAMS, TABLES = 1, 2, 3, 4, 5
GEOMETRY, BASES = 16, 25  # between them OPACITY, SCALE, ROTATION, DC, AC1 .. AC4
REFINEMENTS, REFINE1 = 26, 27  # then REFINE2, REFINE3
PALETTE, INDICES = 30, 31
KNOWN_KINDS = {*range(1, 6), *range(16, 41)}
SCHEMA, REFERENCES = 32, 33  # then FLOAT_POSITIONS .. FLOAT_AC, EXTRAS
LIMIT_SPLATS, LIMIT_BYTES = 1 << 26, 1 << 35  # limits of this reader (chapter "Limits")
PLY_TYPES = {"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint"}
PLY_TYPES |= {"f4": "float", "f8": "double"}


@dataclass(frozen=True)
class Header:
    """HEADER without its reserved field."""

    branch: int
    sh_degree: int
    render_mode: int
    splat_count: int
    tile_count: int
    stream_count: int

    @property
    def rest(self) -> int:
        """K, the SH coefficients beyond DC."""
        return (self.sh_degree + 1) ** 2 - 1


@dataclass(frozen=True)
class Stream:
    """TOC_ENTRY with the stored bytes; `tile` is -1 for the whole file."""

    kind: int
    coder: int
    tile: int
    raw_length: int
    data: bytes


@dataclass
class Scene:
    """The decoded arrays (chapter "Decoding a scene"): float32, little endian, C order."""

    header: Header
    schema: Schema  # of the lossless branch; otherwise only its comments
    positions: bytes
    log_scales: bytes
    quats_wxyz: bytes
    opacity_logits: bytes
    sh_dc: bytes
    sh_rest: bytes
    extras: list[bytes]  # each in its own type


Streams = dict[tuple[int, int], Stream]


# ---- The file on one page, PREFIX, HEADER, TOC_ENTRY


def read_prefix(data: bytes) -> int:
    """PREFIX; returns header_bytes."""
    require(data[:8] == MAGIC[: len(data)], "not a .gsb file")
    require(len(data) >= 24, "truncated: shorter than the prefix")
    major, minor, header_bytes, file_bytes = struct.unpack_from("<HHIQ", data, 8)
    found, own = f"{major}.{minor}", f"{VERSION[0]}.{VERSION[1]}"
    require((major, minor) == VERSION, f"format version {found} is not supported, this reader supports {own}")
    require(file_bytes <= len(data), f"truncated: {len(data)} bytes of {file_bytes}")
    require(file_bytes == len(data), f"foreign bytes after the end: {len(data)} bytes instead of {file_bytes}")
    require(52 <= header_bytes <= file_bytes, f"header_bytes is {header_bytes}")
    return int(header_bytes)


def read_header(data: bytes, header_bytes: int) -> Header:
    """header_crc32, then HEADER."""
    (crc,) = struct.unpack_from("<I", data, header_bytes - 4)
    require(zlib.crc32(data[: header_bytes - 4]) == crc, "checksum of the head differs")
    branch, degree, mode, frame, reserved, splats, tiles, streams = struct.unpack_from("<BBBBIQII", data, 24)
    require(header_bytes == 52 + 40 * streams, "header_bytes does not fit stream_count")
    require(branch in (NATIVE, LOSSLESS), f"branch {branch} is a feature that this reader lacks")
    require(degree <= 4, f"sh_degree is {degree}")
    require(mode <= 1, f"render_mode {mode} is a feature that this reader lacks")
    require(frame == 0, f"coordinate_frame {frame} is a feature that this reader lacks")
    require(reserved == 0, "reserved field of HEADER is not 0")
    return Header(branch, degree, mode, splats, tiles, streams)


def read_toc(data: bytes, header: Header, header_bytes: int) -> Streams:
    """TOC_ENTRY: all rules, and the checksum of every stream; returns the streams of known kinds."""
    entries = list(struct.iter_unpack("<HBBIQQQII", data[48 : header_bytes - 4]))
    check_places([entry[4:6] for entry in entries], header_bytes, len(data))
    streams: Streams = {}
    previous = (-2, 0)
    for number, (kind, coder, flags, tile, offset, length, raw_length, crc, reserved) in enumerate(entries):
        tile = -1 if tile == WHOLE_FILE else tile
        where = f"stream {number} (kind {kind})"
        require(flags <= 1 and reserved == 0, f"{where}: reserved bits are not 0")
        require(tile < header.tile_count, f"{where}: tile {tile} does not exist")
        require((tile, kind) > previous, f"{where}: not in order")
        known_raw = kind in KNOWN_KINDS and coder == RAW
        require(not known_raw or raw_length == length, f"{where}: raw_length is not length")
        require(kind in KNOWN_KINDS or flags == 0, f"{where}: critical stream of an unknown kind")
        require(kind not in KNOWN_KINDS or coder <= RANS, f"{where}: unknown coder {coder}")
        stored = data[offset : offset + length]
        require(zlib.crc32(stored) == crc, f"{where}: checksum differs")
        if kind in KNOWN_KINDS:
            streams[tile, kind] = Stream(kind, coder, tile, raw_length, stored)
        previous = (tile, kind)
    return streams


def check_places(places: list[tuple[int, ...]], header_bytes: int, file_bytes: int) -> None:
    """The rule "Place" for each stream's offset and length."""
    end = header_bytes
    for offset, length in sorted(places):
        require(offset == end, "the streams leave a gap or overlap")
        end += length
    require(end == file_bytes, "the streams do not end at file_bytes")


def payload(streams: Streams, tile: int, kind: int, coders: Iterable[int], least: int, at_most: int) -> bytes:
    """The bytes of a stream, unpacked where its coder is ZSTD; raw_length must lie in least .. at_most."""
    stream = streams.get((tile, kind))
    if stream is None:
        raise FormatError(f"tile {tile}: stream of kind {kind} is missing")
    where = f"tile {tile}, kind {kind}"
    require(stream.coder in coders, f"{where}: coder {stream.coder} is not permitted")
    require(least <= stream.raw_length <= at_most, f"{where}: raw_length is {stream.raw_length}")
    return unpack_zstd(stream.data, stream.raw_length) if stream.coder == ZSTD else stream.data


def whole_file(streams: Streams, kind: int, size: int) -> bytes:
    """The bytes of a stream of the whole file, coder RAW, of a known size."""
    return payload(streams, -1, kind, (RAW,), size, size)


# ---- TILE_RECORD, DIGESTS


def read_tiles(data: bytes, header: Header) -> list[tuple[int, tuple[float, ...]]]:
    """TILE_RECORD: splat count and box (min, max) of each tile."""
    tiles = []
    for count, reserved, *box in struct.iter_unpack("<II6f", data):
        require(count > 0 and reserved == 0, "TILES: record without splats or reserved field not 0")
        require(all(low <= high for low, high in zip(box[:3], box[3:], strict=True)), "TILES: box is not min <= max")
        tiles.append((count, tuple(box)))
    require(sum(count for count, _ in tiles) == header.splat_count, "TILES: splat counts do not add up")
    return tiles


def check_tile(arrays: list[bytes], box: tuple[float, ...], digest: bytes) -> None:
    """DIGESTS and the box of TILE_RECORD against a tile's arrays, positions first."""
    require(hashlib.sha256(b"".join(arrays)).digest() == digest, "digest of a tile differs")
    for number, axis in enumerate(split(arrays[0], 3)):
        values = [value for value in struct.unpack(f"<{len(axis) // 4}f", axis) if not math.isnan(value)]
        low, high = box[number], box[number + 3]
        require(not values or (low <= min(values) and max(values) <= high), "a splat lies outside of its tile's box")


# ---- Decoding a scene


def read_meta(streams: Streams) -> list[str]:
    """META: the comments."""
    if (-1, META) not in streams:
        return []
    data = payload(streams, -1, META, (RAW, ZSTD), 0, 1 << 24)
    try:
        meta = json.loads(data.decode("utf-8"), parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"META: {error}") from error
    require(isinstance(meta, dict), "META: not a JSON object")
    comments = meta.get("comments", [])
    require(isinstance(comments, list), "META: comments is not a list")
    for comment in comments:
        require(isinstance(comment, str) and not set(comment) & {"\n", "\r"}, "META: comment is not a line")
        require(not any("\ud800" <= letter <= "\udfff" for letter in comment), "META: lone surrogate")
    return [str(comment) for comment in comments]


def decode(data: bytes) -> Scene:
    """Decode a whole .gsb file; raises FormatError."""
    header_bytes = read_prefix(data)
    header = read_header(data, header_bytes)
    streams = read_toc(data, header, header_bytes)
    require(header.splat_count <= LIMIT_SPLATS, f"limit of this reader: at most {LIMIT_SPLATS} splats")
    records = read_tiles(whole_file(streams, TILES, 32 * header.tile_count), header)
    digests = whole_file(streams, DIGESTS, 32 * header.tile_count)
    counts = [count for count, _ in records]
    schema = lossless.Schema([], [], [], "")
    if header.branch == LOSSLESS:
        schema = lossless.read_schema(payload(streams, -1, SCHEMA, (RAW, ZSTD), 0, lossless.SCHEMA_AT_MOST))
        decoded = decode_lossless(streams, header, counts, schema)
    else:
        schema.comments.extend(read_meta(streams))
        decoded = decode_native(streams, header, counts)
    arrays: list[list[bytes]] = [[] for _ in range(6 + len(schema.extras))]
    for tile, part in enumerate(decoded):
        check_tile(part, records[tile][1], digests[32 * tile : 32 * tile + 32])
        for whole, array in zip(arrays, part, strict=True):
            whole.append(array)
    positions, log_scales, quats_wxyz, opacity_logits, sh_dc, sh_rest, *extras = (b"".join(whole) for whole in arrays)
    return Scene(header, schema, positions, log_scales, quats_wxyz, opacity_logits, sh_dc, sh_rest, extras)


def decode_native(streams: Streams, header: Header, counts: list[int]) -> Iterator[list[bytes]]:
    """The arrays of each tile of a file of the native branch."""
    params = geometry.read_params(whole_file(streams, PARAMS, geometry.PARAMS_BYTES))
    shared = has_palette(streams, header)
    groups = read_groups(streams, shared)
    most = geometry.REGIONS_AT_MOST * geometry.region_bytes(header.rest)
    stored = payload(streams, -1, BASES, (RAW, ZSTD), 0, most) if header.rest else b""
    bases = geometry.read_bases(stored, header.rest)
    entries = read_palette(streams, header, params, groups[5] + groups[6]) if shared else None
    stages, tables = read_refinements(streams, params)
    # GEOMETRY, OPACITY, SCALE, ROTATION, DC, and without a palette AC1 .. AC*d*
    layers = range(1, header.sh_degree + 1) if entries is None else ()
    sizes = [12, 4, 12, 16, 12, *(12 * (2 * degree + 1) for degree in layers)]
    for tile, count in enumerate(counts):
        require(count <= geometry.SPLATS_AT_MOST, f"tile {tile}: too many splats")
        parts = tile_streams(streams, tile, GEOMETRY, [count * size for size in sizes])
        decoded = native.decode_tile(parts, count, params, groups)
        if entries is not None:
            size = palette.entry_bytes(header.sh_degree) * count
            palette.decode_indices(payload(streams, tile, INDICES, (RANS,), size, size), entries, decoded)
        for data in tile_streams(streams, tile, REFINE1, [count * sum(sizes)] * (len(stages) - 1)):
            refinements.refine(data, tables, stages, decoded)
        yield native.tile_arrays(decoded, params.dependent, bases)


def has_palette(streams: Streams, header: Header) -> bool:
    """Whether the file has PALETTE; one that is skipped does not count."""
    found = header.sh_degree > 0 and (-1, PALETTE) in streams
    require(not found or (-1, REFINEMENTS) not in streams, "a file has both PALETTE and REFINEMENTS")
    return found


def read_groups(streams: Streams, shared: bool) -> list[list[Table]]:
    """TABLES: its groups; shared: whether the file has PALETTE."""
    sizes = geometry.GROUP_SIZES if shared else geometry.GROUP_SIZES[:-1]
    data = payload(streams, -1, TABLES, (RAW, ZSTD), 0, sum(sizes) * geometry.TABLE_AT_MOST)
    return geometry.read_groups(data, sizes)


def read_refinements(streams: Streams, params: Params) -> tuple[list[Params], list[Table]]:
    """PARAMS and the parameters of each refinement, and the tables of REFINEMENTS; a file may have none."""
    if (-1, REFINEMENTS) not in streams:
        return [params], []
    data = payload(streams, -1, REFINEMENTS, (RAW, ZSTD), 0, refinements.REFINEMENTS_AT_MOST)
    return refinements.read_refinements(data, params)


def read_palette(streams: Streams, header: Header, params: Params, tables: list[Table]) -> Entries:
    """PALETTE; tables: the groups AC and PALETTE."""
    size = palette.entry_bytes(header.sh_degree)
    data = payload(streams, -1, PALETTE, (RANS,), size, size * palette.ENTRIES_AT_MOST)
    raw_length = streams[-1, PALETTE].raw_length
    return palette.decode_palette(data, raw_length, header.splat_count, header.sh_degree, params, tables)


def decode_lossless(streams: Streams, header: Header, counts: list[int], schema: Schema) -> Iterator[list[bytes]]:
    """The arrays of each tile of a file of the lossless branch, with the extras."""
    row = sum(schema.extra_sizes) + 4 * (14 + 3 * header.rest)
    require(header.splat_count * row <= LIMIT_BYTES, f"limit of this reader: at most {LIMIT_BYTES} bytes")
    require(all(count == lossless.TILE_ROWS for count in counts[:-1]), "TILES: a tile before the last is not full")
    require(all(count <= lossless.TILE_ROWS for count in counts), "TILES: the last tile has too many rows")
    # REFERENCES, FLOAT_POSITIONS, FLOAT_SCALES, FLOAT_ROTATIONS, FLOAT_OPACITY, FLOAT_DC, FLOAT_AC, EXTRAS; 0: absent
    sizes = [5, 12, 12, 16, 4, 12, 12 * header.rest, sum(schema.extra_sizes)]
    for tile, count in enumerate(counts):
        parts = tile_streams(streams, tile, REFERENCES, [count * size for size in sizes])
        yield lossless.decode_tile(parts, count, header.rest, schema)


def tile_streams(streams: Streams, tile: int, first: int, sizes: list[int]) -> list[bytes]:
    """The streams of a tile with the kinds from `first` on and these raw_length; none where it is 0."""
    return [payload(streams, tile, first + i, (RANS,), s, s) if s else b"" for i, s in enumerate(sizes)]


# ---- PLY


def ply(scene: Scene) -> bytes:
    """The scene as a binary PLY: its properties in the order of the source file, where that is known."""
    rest, extras = scene.header.rest, scene.schema.extras
    names = ["x", "y", "z", *(f"f_dc_{i}" for i in range(3)), *(f"f_rest_{i}" for i in range(3 * rest))]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    coefficients = split(scene.sh_rest, 3 * rest)
    columns = [*split(scene.positions, 3), *split(scene.sh_dc, 3)]
    columns += [column for channel in range(3) for column in coefficients[channel::3]]
    columns += [scene.opacity_logits, *split(scene.log_scales, 3), *split(scene.quats_wxyz, 4), *scene.extras]
    kinds = dict.fromkeys(names, "f4") | dict(extras)
    names += [name for name, _ in extras]
    require(len(kinds) == len(names), "an extra has the name of a standard property; no PLY can hold both")
    by_name = dict(zip(names, columns, strict=True))
    order = scene.schema.property_order if sorted(scene.schema.property_order) == sorted(names) else names
    big = scene.schema.ply_format == "binary_big_endian"
    head = ["ply", f"format binary_{'big' if big else 'little'}_endian 1.0"]
    head += [f"comment {comment}" for comment in scene.schema.comments]
    head += [f"element vertex {scene.header.splat_count}"]
    head += [*(f"property {PLY_TYPES[kinds[name]]} {name}" for name in order), "end_header", ""]
    rows = interleave_bytes([(by_name[name], lossless.TYPE_SIZES[kinds[name]]) for name in order], big)
    return "\n".join(head).encode() + rows


def interleave_bytes(columns: list[tuple[bytes, int]], big: bool) -> bytes:
    """Rows from columns of values of the given sizes in bytes, little endian, turned to big endian if wanted."""
    row = sum(size for _, size in columns)
    rows, at = bytearray(sum(len(column) for column, _ in columns)), 0
    for column, size in columns:
        for byte in range(size):
            rows[at + (size - 1 - byte if big else byte) :: row] = column[byte::size]
        at += size
    return bytes(rows)


def write_file(path: Path, data: bytes, force: bool) -> None:
    """Write a file, whole or not at all."""
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists; --force overwrites it")
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="reference_decoder", description="Decode a .gsb file to a PLY file.")
    parser.add_argument("source", type=Path, metavar="in.gsb")
    parser.add_argument("-o", dest="target", type=Path, metavar="out.ply", required=True)
    parser.add_argument("--force", action="store_true", help="overwrite the output file")
    options = parser.parse_args(arguments)
    try:
        write_file(options.target, ply(decode(options.source.read_bytes())), options.force)
    except (FormatError, OSError) as error:
        print(f"reference_decoder: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
