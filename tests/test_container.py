"""The container: round trip, every rule's rejection, and how little a partial read reads."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bitstream_spec.layout import HEADER, MAGIC, PREFIX, TOC_ENTRY, Branch, Coder, RenderMode, StreamKind
from gscodec.bitstream.container import Container, Header, Stream, container_chunks, write_container
from gscodec.bitstream.source import BytesSource, FileSource
from gscodec.bitstream.tiles import TileRecord, pack_tiles, tiles_in_box, unpack_tiles
from gscodec.config import DecodeLimits
from gscodec.errors import (
    BadInputError,
    BadMagicError,
    CorruptStreamError,
    GsbError,
    LimitExceededError,
    UnsupportedFeatureError,
    UnsupportedVersionError,
)

SKIPPED_KIND = 999
HEAD = Header(Branch.NATIVE, sh_degree=3, splat_count=5, tile_count=2, render_mode=RenderMode.ANTIALIASED)
TILES = (TileRecord(2, (0.0,) * 3, (1.0,) * 3), TileRecord(3, (2.0,) * 3, (float("inf"),) * 3))
STREAMS = [
    Stream(StreamKind.GEOMETRY, Coder.RANS, b"geometry one", 60, tile=1),
    Stream(StreamKind.GEOMETRY, Coder.RANS, b"geometry nil", 40, tile=0),
    Stream(StreamKind.DC, Coder.ZSTD, b"colour", 24, tile=0),
    Stream(StreamKind.TILES, Coder.RAW, pack_tiles(TILES), 64),
    Stream(StreamKind.META, Coder.RAW, b"", 0, critical=False),
    Stream(SKIPPED_KIND, Coder.RAW, b"of a later version", 18, critical=False),
]
FILE = write_container(HEAD, STREAMS)
HEAD_BYTES = 24 + 24 + 40 * len(STREAMS) + 4
ORDER = [(None, 1), (None, 2), (None, SKIPPED_KIND), (0, 16), (0, 20), (1, 16)]


def patch(data: bytes, layout: Any, at: int, seal: bool = True, **values: Any) -> bytes:
    """``data`` with fields of the layout at ``at`` replaced and the header's checksum made right again."""
    changed = bytearray(data)
    for name, value in values.items():
        field = next(field for field in layout.fields if field.name == name)
        struct.pack_into("<" + field.code, changed, at + layout.offsets[name], value)
    if seal:
        end = PREFIX.unpack(data)["header_bytes"] - 4
        changed[end : end + 4] = struct.pack("<I", zlib.crc32(changed[:end]))
    return bytes(changed)


def entry_at(number: int) -> int:
    return PREFIX.size + HEADER.size + number * TOC_ENTRY.size


def read_all(data: bytes, **options: Any) -> list[Stream]:
    container = Container.open(BytesSource(data), **options)
    streams = [container.read(entry.kind, entry.tile) for entry in container.entries if entry.known]
    container.verify_unread()
    return streams


def test_round_trip() -> None:
    container = Container.open(BytesSource(FILE))
    assert container.header == HEAD
    assert [(entry.tile, entry.kind) for entry in container.entries] == ORDER
    for stream in STREAMS:
        if stream.kind != SKIPPED_KIND:
            assert container.read(stream.kind, stream.tile) == stream
    assert unpack_tiles(container.read(StreamKind.TILES).payload, HEAD.tile_count, HEAD.splat_count) == TILES
    container.verify_unread()


def test_order_of_streams_does_not_matter_and_payloads_are_not_copied() -> None:
    chunks = container_chunks(HEAD, reversed(STREAMS))
    assert b"".join(chunks) == FILE
    assert chunks[-1] is STREAMS[0].payload


def test_empty_scene_without_streams() -> None:
    header = Header(Branch.LOSSLESS, sh_degree=0, splat_count=0, tile_count=0)
    data = write_container(header, [])
    assert len(data) == 52
    assert Container.open(BytesSource(data)).header == header
    assert read_all(data) == []


@pytest.mark.parametrize("checksums", [True, False])
def test_every_truncation_is_an_error(checksums: bool) -> None:
    for length in range(len(FILE)):
        with pytest.raises(GsbError):
            read_all(FILE[:length], ignore_checksums=not checksums)


def test_every_bit_flip_is_an_error() -> None:
    for bit in range(8 * len(FILE)):
        flipped = bytearray(FILE)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(GsbError):
            read_all(bytes(flipped))


def test_bit_flips_without_checksums_raise_nothing_else() -> None:
    outcomes = {"error": 0, "read": 0}
    for bit in range(8 * len(FILE)):
        flipped = bytearray(FILE)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            read_all(bytes(flipped), ignore_checksums=True)
            outcomes["read"] += 1
        except GsbError:
            outcomes["error"] += 1
    assert min(outcomes.values()) > 0


def test_appended_byte() -> None:
    with pytest.raises(CorruptStreamError, match="followed by foreign bytes"):
        read_all(FILE + b"\0")


@pytest.mark.parametrize("length", range(len(MAGIC)))
def test_file_shorter_than_its_magic(length: int) -> None:
    with pytest.raises(CorruptStreamError, match="ends inside its prefix"):
        read_all(MAGIC[:length])


@pytest.mark.parametrize("data", [b"ply\n", b"ply\nformat binary_little_endian 1.0\n", b"\x1f\x8b" + bytes(50)])
def test_other_files(data: bytes) -> None:
    with pytest.raises(BadMagicError, match=r"not a \.gsb file"):
        read_all(data)


@pytest.mark.parametrize(
    "magic",
    [
        MAGIC.replace(b"\r\n", b"\n"),
        MAGIC.replace(b"\r\n", b"\r"),
        MAGIC.replace(b"\n", b"\r\n"),
        b"\x09" + MAGIC[1:],
        MAGIC.decode("latin-1").encode("utf-8"),
        MAGIC.decode("utf-8", "replace").encode("utf-8"),
    ],
)
def test_text_mode_transfer_is_named(magic: bytes) -> None:
    with pytest.raises(BadMagicError, match="text-mode transfer"):
        read_all(magic + FILE[8:])


@pytest.mark.parametrize("version", [(0, 0), (0, 5), (0, 7), (1, 6), (65535, 65535)])
@pytest.mark.parametrize("rest", [b"", b"\xff", b"\xff" * 100])
def test_version_comes_before_everything_else(version: tuple[int, int], rest: bytes) -> None:
    found = "{}.{}".format(*version)
    with pytest.raises(UnsupportedVersionError, match=f"found {found}, allowed 0.6"):
        read_all(MAGIC + struct.pack("<HH", *version) + rest)


@pytest.mark.parametrize("header_bytes", [0, 51, HEAD_BYTES - 40, HEAD_BYTES + 1, len(FILE) + 1, 2**32 - 1])
def test_header_bytes(header_bytes: int) -> None:
    with pytest.raises(CorruptStreamError):
        read_all(patch(FILE, PREFIX, 0, seal=False, header_bytes=header_bytes), ignore_checksums=True)


@pytest.mark.parametrize("file_bytes", [0, len(FILE) - 1, len(FILE) + 1, 2**64 - 1])
def test_file_bytes(file_bytes: int) -> None:
    with pytest.raises(CorruptStreamError, match="field file_bytes"):
        read_all(patch(FILE, PREFIX, 0, file_bytes=file_bytes))


@pytest.mark.parametrize("field", ["branch", "render_mode", "coordinate_frame"])
def test_unregistered_header_value(field: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=f"field {field}, found 7"):
        read_all(patch(FILE, HEADER, 24, **{field: 7}))


@pytest.mark.parametrize(
    ("field", "value"), [("sh_degree", 5), ("reserved", 1), ("stream_count", 5), ("stream_count", 2**32 - 1)]
)
def test_corrupt_header(field: str, value: int) -> None:
    with pytest.raises(CorruptStreamError, match=f"field {field}, found {value}"):
        read_all(patch(FILE, HEADER, 24, **{field: value}))


@pytest.mark.parametrize(
    ("number", "values", "message"),
    [
        (3, {"flags": 3}, "field flags"),
        (3, {"flags": 0x80}, "field flags"),
        (3, {"reserved": 1}, "field reserved"),
        (3, {"tile": 2}, "no such tile"),
        (3, {"tile": 2**32 - 2}, "no such tile"),
        (3, {"tile": 1}, "out of order"),
        (4, {"kind": 16}, "out of order or twice"),
        (3, {"kind": 24}, "out of order"),
        (5, {"tile": 2**32 - 1}, "out of order"),
        (0, {"offset": HEAD_BYTES + 1}, "not contiguous"),
        (0, {"offset": 0}, "not contiguous"),
        (4, {"offset": 2**64 - 1}, "ends behind the file"),
        (4, {"length": 5}, "not contiguous"),
        (5, {"length": 11}, "bytes behind the last stream"),
        (5, {"length": 13}, "ends behind the file"),
        (5, {"length": 2**64 - 1}, "ends behind the file"),
        (1, {"raw_length": 63}, "raw stream has one length"),
    ],
)
def test_corrupt_entry(number: int, values: dict[str, int], message: str) -> None:
    with pytest.raises(CorruptStreamError, match=message):
        Container.open(BytesSource(patch(FILE, TOC_ENTRY, entry_at(number), **values)))


def test_unknown_critical_kind() -> None:
    with pytest.raises(UnsupportedFeatureError, match="field kind, found 999"):
        read_all(patch(FILE, TOC_ENTRY, entry_at(2), flags=1))


def test_unknown_coder_of_a_known_kind() -> None:
    with pytest.raises(UnsupportedFeatureError, match="field coder, found 77"):
        read_all(patch(FILE, TOC_ENTRY, entry_at(5), coder=77))


def test_unknown_ancillary_stream_is_skipped_but_checked() -> None:
    data = patch(FILE, TOC_ENTRY, entry_at(2), coder=77)
    assert len(read_all(data)) == len(STREAMS) - 1
    with pytest.raises(CorruptStreamError, match="checksum of kind 999"):
        read_all(data.replace(b"later version", b"LATER version"))
    with pytest.raises(UnsupportedFeatureError):
        Container.open(BytesSource(data)).read(SKIPPED_KIND)


def test_checksum_is_verified_before_a_stream_is_handed_out() -> None:
    container = Container.open(BytesSource(FILE.replace(b"colour", b"colouR")))
    container.read(StreamKind.GEOMETRY, 0)
    with pytest.raises(CorruptStreamError, match="checksum of DC of tile 0"):
        container.read(StreamKind.DC, 0)
    with pytest.raises(CorruptStreamError, match="checksum of DC of tile 0"):
        container.verify_unread()


def test_checksum_of_the_header() -> None:
    with pytest.raises(CorruptStreamError, match="checksum of the header"):
        read_all(patch(FILE, HEADER, 24, seal=False, splat_count=6))


def test_missing_stream() -> None:
    container = Container.open(BytesSource(FILE))
    assert container.find(StreamKind.OPACITY, 0) is None
    with pytest.raises(CorruptStreamError, match="a needed stream is missing"):
        container.read(StreamKind.OPACITY, 0)


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        (DecodeLimits(max_splats=4), "splat_count"),
        (DecodeLimits(max_memory=5 * 236 - 1), "decoded arrays"),
        (DecodeLimits(max_streams=5), "stream_count"),
        (DecodeLimits(max_header_bytes=HEAD_BYTES - 1), "header_bytes"),
    ],
)
def test_limits(limits: DecodeLimits, field: str) -> None:
    with pytest.raises(LimitExceededError, match=field):
        Container.open(BytesSource(FILE), limits)


def test_limits_that_just_suffice() -> None:
    limits = DecodeLimits(max_splats=5, max_memory=5 * 236, max_streams=6, max_header_bytes=HEAD_BYTES)
    assert Container.open(BytesSource(FILE), limits).header == HEAD


@pytest.mark.parametrize(
    ("layout", "at", "values"),
    [
        (HEADER, 24, {"splat_count": 2**64 - 1}),
        (TOC_ENTRY, entry_at(4), {"raw_length": 2**64 - 1}),
        (TOC_ENTRY, entry_at(4), {"raw_length": 16 << 30}),
    ],
)
def test_bombs_meet_the_default_limits(layout: Any, at: int, values: dict[str, int]) -> None:
    with pytest.raises(LimitExceededError):
        Container.open(BytesSource(patch(FILE, layout, at, **values)))


@pytest.mark.parametrize("value", [-1, 1.5, None, True])
def test_limits_are_whole_numbers(value: Any) -> None:
    with pytest.raises(BadInputError, match="max_memory"):
        DecodeLimits(max_memory=value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": 2}, "tile 2"),
        ({"tile": -1}, "tile -1"),
        ({"tile": 0}, "two streams"),
        ({"coder": 9}, "coder 9"),
        ({"kind": 700}, "kind 700"),
        ({"coder": Coder.RAW}, "raw_length 60"),
        ({"raw_length": -1}, "TOC_ENTRY"),
        ({"kind": 70000, "critical": False}, "TOC_ENTRY"),
    ],
)
def test_writer_refuses_stream(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        write_container(HEAD, [replace(STREAMS[0], **change), *STREAMS[1:]])


@pytest.mark.parametrize("change", [{"sh_degree": 5}, {"splat_count": -1}, {"branch": 9}, {"tile_count": 2**32}])
def test_writer_refuses_header(change: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match="HEADER"):
        write_container(replace(HEAD, **change), STREAMS)


def test_partial_read_reads_only_what_it_needs(tmp_path: Path) -> None:
    big = Stream(StreamKind.AC1, Coder.RAW, bytes(3_000_000), 3_000_000, tile=1)
    path = tmp_path / "a.gsb"
    path.write_bytes(write_container(HEAD, [*STREAMS, big]))
    with FileSource(path) as source:
        container = Container.open(source)
        assert source.bytes_read == HEAD_BYTES + 40
        container.read(StreamKind.DC, 0)
        assert source.bytes_read == HEAD_BYTES + 40 + len(b"colour")
        container.verify_unread()
        assert source.bytes_read == source.size == path.stat().st_size


def test_file_source_refuses(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="No such file"):
        FileSource(tmp_path / "absent.gsb")
    with pytest.raises(BadInputError, match="not a regular file"):
        FileSource(tmp_path)


def test_file_that_shrinks_while_read(tmp_path: Path) -> None:
    path = tmp_path / "a.gsb"
    path.write_bytes(FILE)
    with FileSource(path) as source:
        container = Container.open(source)
        path.write_bytes(FILE[:HEAD_BYTES])
        with pytest.raises(CorruptStreamError, match="became shorter"):
            container.read(StreamKind.DC, 0)


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1), (0, len(FILE) + 1), (len(FILE), 1), (2**64, 2**64)])
def test_sources_refuse_ranges_outside_the_file(tmp_path: Path, offset: int, length: int) -> None:
    path = tmp_path / "a.gsb"
    path.write_bytes(FILE)
    with FileSource(path) as source:
        for one in (source, BytesSource(FILE)):
            with pytest.raises(CorruptStreamError, match="ends too early"):
                one.read_at(offset, length)


def record(count: int = 5, reserved: int = 0, low: float = 0.0, high: float = 1.0) -> bytes:
    return struct.pack("<II6f", count, reserved, low, 0, 0, high, 1, 1)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "wrong length"),
        (record()[:-1], "wrong length"),
        (record() + b"\0", "wrong length"),
        (record(count=4), "do not add up"),
        (record(count=0), "splat_count, found 0"),
        (record(reserved=1), "reserved, found 1"),
        (record(low=2.0), "bad bounds"),
        (record(low=float("nan")), "bad bounds"),
        (record(high=float("nan")), "bad bounds"),
    ],
)
def test_corrupt_tiles(payload: bytes, message: str) -> None:
    with pytest.raises(CorruptStreamError, match=message):
        unpack_tiles(payload, tile_count=1, splat_count=5)


@pytest.mark.parametrize(
    "tile",
    [
        TileRecord(0, (0.0,) * 3, (1.0,) * 3),
        TileRecord(1, (2.0,) * 3, (1.0,) * 3),
        TileRecord(1, (float("nan"),) * 3, (1.0,) * 3),
        TileRecord(1, (0.0,) * 3, (0.1,) * 3),  # 0.1 is not a float32
        TileRecord(1, (0.0,) * 3, (1e300,) * 3),
    ],
)
def test_pack_tiles_refuses(tile: TileRecord) -> None:
    with pytest.raises(BadInputError, match="tile 0"):
        pack_tiles([tile])


def test_tiles_in_box() -> None:
    assert tiles_in_box(TILES, ((0.5,) * 3, (0.6,) * 3)) == [0]
    assert tiles_in_box(TILES, ((1.0,) * 3, (2.0,) * 3)) == [0, 1]
    assert tiles_in_box(TILES, ((0.5, 0.5, 1.5), (3.0, 3.0, 3.0))) == [1]
    assert tiles_in_box(TILES, ((1.25,) * 3, (1.75,) * 3)) == []
    with pytest.raises(BadInputError, match="bad bounds"):
        tiles_in_box(TILES, ((1.0,) * 3, (0.0,) * 3))
