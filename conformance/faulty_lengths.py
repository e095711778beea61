"""Files that end too early or too late, and wrong lengths, counts and offsets in the head."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from bitstream_spec.layout import HEADER, PREFIX, StreamKind
from conformance.assembly import (
    edit_entry,
    edit_header,
    edit_prefix,
    entry_value,
    put_bytes,
    put_field,
    seal,
)
from conformance.cases import Case
from conformance.faulty_base import (
    CORRUPT,
    GEOMETRY_AT,
    LAST_AT,
    LIMIT,
    OPACITY_AT,
    SPLATS,
    STREAMS,
    TABLES_AT,
    TILES_AT,
    base,
    fault,
    parts,
    wrong_lengths,
)
from gscodec.bitstream.container import write_container


def length_cases() -> Iterator[Case]:
    """All of them."""
    yield from truncations()
    yield from lengths()
    yield from places()


def truncations() -> Iterator[Case]:
    """Files that end too early."""
    head = entry_value(base(), 0, "offset")
    points = [("empty", 0, "An empty file"), ("byte-1", 1, "Only the first byte"), ("magic", 8, "Cut after the magic"),
              ("version", 12, "Cut after the version"), ("prefix-1", 23, "Cut one byte before the end of PREFIX"),
              ("prefix", 24, "Cut after PREFIX"), ("header", 48, "Cut after HEADER"),
              ("entry", 48 + 60, "Cut inside the second entry of the table of contents"),
              ("toc", head - 4, "Cut after the table of contents"), ("head-1", head - 1, "Cut inside header_crc32"),
              ("head", head, "Cut before the first stream"),
              ("last-1", len(base()) - 1, "Without the last byte")]  # fmt: skip
    for number, stream in enumerate(parts().streams[:-1]):
        end = entry_value(base(), number, "offset") + entry_value(base(), number, "length")
        name = StreamKind(stream.kind).name + ("" if stream.tile is None else f" of tile {stream.tile}")
        points.append((name.lower().replace(" ", "-"), end, f"Cut after {name}"))
    for name, cut, sentence in points:
        about = "ends inside its prefix" if cut < PREFIX.size else "truncated"
        yield fault(f"truncated-{name}", sentence + ".", CORRUPT, about, lambda n=cut: base()[:n])
    for name, cut, about in (("header", 48, "impossible header length"), ("head", head, "ends behind the file"),
                             ("last-1", len(base()) - 1, "ends behind the file")):  # fmt: skip
        yield fault(
            f"truncated-resized-{name}",
            "As truncated, and file_bytes says so.",
            CORRUPT,
            about,
            lambda n=cut: resized(base()[:n]),
        )
    yield fault("trailing-byte", "A byte after the last stream.", CORRUPT, "foreign bytes", lambda: base() + b"\0")
    yield fault("trailing-resized", "A byte after the last stream that file_bytes counts.", CORRUPT,
                "bytes behind the last stream", lambda: resized(base() + b"\0"))  # fmt: skip


def resized(data: bytes) -> bytes:
    """``data`` with file_bytes as it is, the head's checksum right if the head is all there."""
    data = put_field(data, PREFIX, 0, "file_bytes", len(data))
    return seal(data) if len(data) >= entry_value(base(), 0, "offset") else data


def lengths() -> Iterator[Case]:
    """Lengths and counts of the head, checksums repaired."""
    data = base()
    for name, value in wrong_lengths(len(data), 64):
        yield fault(f"file-bytes-{name}", f"file_bytes is {value}.", CORRUPT, "field file_bytes",
                    lambda v=value: edit_prefix(base(), "file_bytes", v))  # fmt: skip
    head = entry_value(data, 0, "offset")
    for name, value in (*wrong_lengths(head, 32), ("less-40", head - 40), ("plus-40", head + 40), ("52", 52)):
        about = "" if 52 <= value <= len(data) else "impossible header length"
        yield fault(
            f"header-bytes-{name}", f"header_bytes is {value}.", CORRUPT, about, lambda v=value: with_header_bytes(v)
        )
    for name, value in wrong_lengths(SPLATS, 64):
        codes, about = (LIMIT, "max_splats") if value >= 1 << 31 else (CORRUPT, "tiles do not add up")
        yield fault(
            f"splat-count-{name}",
            f"splat_count is {value}, the tiles have {SPLATS}.",
            codes,
            about,
            lambda v=value: edit_header(base(), "splat_count", v),
        )
    for name, value in wrong_lengths(2, 32):
        about = "no such tile" if value < 2 else "wrong length of the tile table"
        yield fault(
            f"tile-count-{name}",
            f"tile_count is {value} instead of 2.",
            CORRUPT,
            about,
            lambda v=value: edit_header(base(), "tile_count", v),
        )
    for name, value in wrong_lengths(STREAMS, 32):
        yield fault(
            f"stream-count-{name}",
            f"stream_count is {value} instead of {STREAMS}.",
            CORRUPT,
            "stream count and header length disagree",
            lambda v=value: edit_header(base(), "stream_count", v),
        )
    yield fault("no-streams", f"{SPLATS} splats, 2 tiles, no streams.", CORRUPT, "missing",
                lambda: write_container(parts().header, []))  # fmt: skip


def with_header_bytes(value: int) -> bytes:
    """Another header_bytes, with a right checksum where the checksum would then be."""
    data = put_field(base(), PREFIX, 0, "header_bytes", value)
    if not PREFIX.size + HEADER.size + 4 <= value <= len(data):
        return seal(data)
    return put_bytes(data, value - 4, struct.pack("<I", zlib.crc32(data[: value - 4])))


def places() -> Iterator[Case]:
    """Lengths and offsets of the table of contents, checksums repaired."""
    data = base()
    for name, value in wrong_lengths(entry_value(data, GEOMETRY_AT, "length"), 64):
        about = "ends behind the file" if value >= 1 << 31 else "not contiguous"
        yield fault(
            f"length-{name}",
            f"The length of a GEOMETRY is {value}.",
            CORRUPT,
            about,
            lambda v=value: edit_entry(base(), GEOMETRY_AT, "length", v),
        )
    for name, value in wrong_lengths(entry_value(data, GEOMETRY_AT, "offset"), 64):
        yield fault(
            f"offset-{name}",
            f"The offset of a GEOMETRY is {value}.",
            CORRUPT,
            "ends behind the file" if value >= 1 << 31 else "not contiguous",
            lambda v=value: edit_entry(base(), GEOMETRY_AT, "offset", v),
        )
    for name, value in wrong_lengths(entry_value(data, GEOMETRY_AT, "raw_length"), 64):
        codes, about = (LIMIT, "max_memory") if value >= 1 << 63 else (CORRUPT, "wrong raw length")
        yield fault(
            f"raw-length-{name}",
            f"The raw_length of a GEOMETRY is {value}.",
            codes,
            about,
            lambda v=value: edit_entry(base(), GEOMETRY_AT, "raw_length", v),
        )
    for name, value in wrong_lengths(entry_value(data, TABLES_AT, "raw_length"), 64):
        codes = LIMIT if value >= 1 << 31 else CORRUPT
        yield fault(
            f"raw-length-zstd-{name}",
            f"The raw_length of the TABLES is {value}.",
            codes,
            "",
            lambda v=value: edit_entry(base(), TABLES_AT, "raw_length", v),
        )
    yield fault(
        "raw-length-raw",
        "raw_length of a RAW stream is not its length.",
        CORRUPT,
        "one length",
        lambda: edit_entry(base(), TILES_AT, "raw_length", 65),
    )
    yield fault(
        "overlap",
        "Two streams at one offset.",
        CORRUPT,
        "not contiguous",
        lambda: edit_entry(base(), OPACITY_AT, "offset", entry_value(base(), GEOMETRY_AT, "offset")),
    )
    yield fault(
        "order",
        "Entries of GEOMETRY and OPACITY the wrong way round.",
        CORRUPT,
        "out of order",
        lambda: edit_entry(edit_entry(base(), OPACITY_AT, "kind", 16), GEOMETRY_AT, "kind", 17),
    )
    yield fault(
        "twice",
        "Two streams of kind GEOMETRY in a tile.",
        CORRUPT,
        "out of order",
        lambda: edit_entry(base(), OPACITY_AT, "kind", 16),
    )
    yield fault("tile-unknown", "A stream of tile 2, there are 0 and 1.", CORRUPT, "no such tile",
                lambda: edit_entry(base(), LAST_AT, "tile", 2))  # fmt: skip
