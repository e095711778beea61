"""Faults behind the checksums of a native file: META, PARAMS, TABLES and the head of GEOMETRY."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import zstandard

from bitstream_spec.layout import NATIVE_PARAMS, TILE_GEOMETRY, Coder, StreamKind
from conformance.assembly import put_field, tables_of
from conformance.cases import Case
from conformance.faulty_base import CORRUPT, LIMIT, fault, parts
from gscodec.branches.native.syntax import TABLE_COUNTS
from gscodec.entropy.bytes import compress, decompress

META, PARAMS, TABLES = StreamKind.META, StreamKind.PARAMS, StreamKind.TABLES
GEOMETRY = StreamKind.GEOMETRY


def native_cases() -> Iterator[Case]:
    """All of them."""
    yield from meta()
    yield from zstd()
    yield from params()
    yield from tables()
    yield from geometry_heads()


def changed(kind: StreamKind, tile: int | None, how: Callable[[bytes], bytes]) -> bytes:
    """The base file with one payload changed and all checksums right."""
    return parts().change(kind, tile, how).file()


def meta() -> Iterator[Case]:
    """META that is no JSON object with a list of comments."""
    texts: tuple[tuple[str, str, bytes], ...] = (
        ("empty", "META of no bytes.", b""),
        ("not-json", "META is not JSON.", b'{"comments": ['),
        ("not-utf-8", "META is not UTF-8.", b'{"comments": ["\xff"]}'),
        ("utf-16", "META is UTF-16.", '{"comments": []}'.encode("utf-16")),
        ("array", "META is a JSON array.", b"[]"),
        ("number", "META is a number.", b"1e999"),
        ("nan", "A member is NaN, which JSON has not.", b'{"comments": [], "x": NaN}'),
        ("comments-object", "comments is an object.", b'{"comments": {"a": 1}}'),
        ("comments-string", "comments is a string.", b'{"comments": "abc"}'),
        ("comments-number", "A comment is a number.", b'{"comments": [1]}'),
        ("comments-null", "A comment is null.", b'{"comments": ["a", null]}'),
        ("comments-line-end", "A comment with a line end.", json.dumps({"comments": ["a\nend_header"]}).encode()),
        ("surrogate", "A comment with half of a surrogate pair.", b'{"comments": ["\\ud800"]}'),
    )
    for name, sentence, text in texts:
        yield fault(
            f"meta-{name}", sentence, CORRUPT, "META", lambda t=text: parts().put(META, None, t, coder=Coder.RAW).file()
        )
    yield fault("meta-nested", "META with a million brackets.", CORRUPT, "META",
                lambda: with_frame(META, zstandard.ZstdCompressor().compress(b"[" * 1_000_000), 1_000_000))  # fmt: skip


def with_frame(kind: StreamKind, frame: bytes, raw_length: int) -> bytes:
    """A Zstandard frame as the payload of a stream."""
    return parts().put(kind, None, frame, coder=Coder.ZSTD, raw_length=raw_length).file()


@cache
def packed_tables() -> bytes:
    """TABLES unpacked."""
    stream = parts().find(TABLES)
    return decompress(stream.coder, stream.payload, stream.raw_length, stream.raw_length)


def zstd() -> Iterator[Case]:
    """Frames that promise or hold something else than raw_length bytes."""
    raw = packed_tables()
    size = len(raw)
    good = zstandard.ZstdCompressor(level=19).compress(raw)
    checked = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(raw)
    unsized = zstandard.ZstdCompressor(level=19, write_content_size=False).compress(raw)
    other = zstandard.ZstdCompressor(level=19).compress(raw[:-1] + b"\0\0")
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(64 << 20))
    endless = zstandard.ZstdCompressor(level=19, write_content_size=False).compress(bytes(64 << 20))
    # Magic, then a header that is not a single segment: window 2**40, content size 8 bytes.
    huge_window = b"\x28\xb5\x2f\xfd\xc0" + bytes([30 << 3]) + struct.pack("<Q", size) + good[-20:]
    frames: tuple[tuple[str, str, tuple[str, ...], bytes, int], ...] = (
        ("bomb", "A frame of 64 MiB for TABLES, and raw_length says so.", LIMIT, bomb, 64 << 20),
        ("bomb-hidden", "A frame of 64 MiB, raw_length says otherwise.", CORRUPT, bomb, size),
        ("bomb-unsized", "A frame of 64 MiB that does not state its size.", CORRUPT, endless, size),
        ("unsized", "A frame without a content size.", CORRUPT, unsized, size),
        ("other-size", "A frame of one byte more than raw_length.", CORRUPT, other, size),
        ("two-frames", "Two frames.", CORRUPT, good + good, size),
        ("trailing", "A byte after the frame.", CORRUPT, good + b"\0", size),
        ("skippable", "A skippable frame in front.", CORRUPT, b"\x50\x2a\x4d\x18\1\0\0\0x" + good, size),
        ("cut", "A frame cut short.", CORRUPT, good[:-9], size),
        ("magic", "The frame's magic is wrong.", CORRUPT, b"\x27" + good[1:], size),
        (
            "reserved",
            "The reserved bit of the frame header is set.",
            CORRUPT,
            good[:4] + bytes([good[4] | 8]) + good[5:],
            size,
        ),
        (
            "dictionary",
            "A frame that needs a dictionary.",
            CORRUPT,
            good[:4] + bytes([good[4] | 1]) + b"\7" + good[5:],
            size,
        ),
        ("checksum", "The frame's own checksum is wrong.", CORRUPT, checked[:-1] + bytes([checked[-1] ^ 1]), size),
        ("window", "A frame with a window of 2**40 bytes.", (*LIMIT, *CORRUPT), huge_window, size),
        ("empty", "No frame at all, raw_length 0.", CORRUPT, b"", 0),
    )
    for name, sentence, codes, frame, length in frames:
        yield fault(f"zstd-{name}", sentence, codes, "", lambda f=frame, n=length: with_frame(TABLES, f, n))


def params() -> Iterator[Case]:
    """PARAMS of a wrong size or with a value that is not allowed."""
    nan, inf = float("nan"), float("inf")
    limit = 1 << 22
    wrong: tuple[tuple[str, str, object], ...] = (
        ("zone_centre", "NaN", (0.0, nan, 0.0)),
        ("zone_centre", "infinite", (inf, 0.0, 0.0)),
        ("zone_centre", "2**101", (0.0, 0.0, 2.0**101)),
        ("zone_radius", "NaN", nan),
        ("zone_radius", "0", 0.0),
        ("zone_radius", "-1", -1.0),
        ("zone_radius", "infinite", inf),
        ("cell_size", "NaN", nan),
        ("cell_size", "0", 0.0),
        ("cell_size", "2**-101", 2.0**-101),
        ("cell_size", "2**101", 2.0**101),
        ("pixel_log", "2**22 + 1", limit + 1),
        ("pixel_log", "-2**31", -(1 << 31)),
        ("scale_step", "0", 0),
        ("ratio_step", "2**24", 1 << 24),
        ("opacity_step", "0", 0),
        ("dc_step", "2**32 - 1", (1 << 32) - 1),
        ("ac_step", "0 for degree 4", (1, 1, 1, 0)),
        ("ac_step", "2**24 for degree 1", (1 << 24, 1, 1, 1)),
        ("dependent", "2", 2),
        ("dependent", "2**32 - 1", (1 << 32) - 1),
        ("direction_offset", "2**22 + 1", limit + 1),
        ("roll_offset", "-2**22 - 1", -limit - 1),
        ("middle_predictor", "2**31 - 1", (0, 0, 0, 0, (1 << 31) - 1)),
        ("long_predictor", "-2**31", (-(1 << 31), 0, 0, 0, 0, 0)),
        ("long_predictor", "2**22 + 1", (0, 0, 0, 0, 0, limit + 1)),
    )
    for number, (name, text, value) in enumerate(wrong):
        yield fault(
            f"params-{number:02}-{name.replace('_', '-')}",
            f"{name} is {text}.",
            CORRUPT,
            f"field {name}",
            lambda n=name, v=value: changed(PARAMS, None, lambda d: put_field(d, NATIVE_PARAMS, 0, n, v)),
        )
    yield fault(
        "params-short",
        "PARAMS is a byte too short.",
        CORRUPT,
        "PARAMS",
        lambda: changed(PARAMS, None, lambda d: d[:-1]),
    )
    yield fault(
        "params-long",
        "PARAMS is a byte too long.",
        CORRUPT,
        "PARAMS",
        lambda: changed(PARAMS, None, lambda d: d + b"\0"),
    )
    yield fault(
        "params-without-profile",
        "PARAMS without profile, as version 0.2 had it.",
        CORRUPT,
        "PARAMS",
        lambda: changed(PARAMS, None, without_profile),
    )
    yield fault("params-empty", "PARAMS is empty.", CORRUPT, "PARAMS", lambda: changed(PARAMS, None, lambda _: b""))


def without_profile(payload: bytes) -> bytes:
    """PARAMS without its field ``profile``."""
    at = NATIVE_PARAMS.offsets["profile"]
    return payload[:at] + payload[NATIVE_PARAMS.offsets["middle_predictor"] :]


def leb128(*numbers: int) -> bytes:
    """The shortest LEB128 of each number."""
    out = bytearray()
    for number in numbers:
        while number >= 128:
            out.append(number & 127 | 128)
            number >>= 7
        out.append(number)
    return bytes(out)


def tables() -> Iterator[Case]:
    """TABLES that break a rule of frequency tables, most of them in the first one."""
    count = sum(TABLE_COUNTS.values())
    rest = bytes(count - 1)  # all other tables absent
    firsts: tuple[tuple[str, str, bytes], ...] = (
        ("sum-low", "Frequencies that sum to 16383.", leb128(2, 16000, 383) + rest),
        ("sum-high", "Frequencies that sum to 16385.", leb128(2, 16000, 385) + rest),
        ("sum-2-15", "Frequencies that sum to 32768.", leb128(2, 16384, 16384) + rest),
        ("sum-0", "A table of zero frequencies only.", leb128(3, 0, 0, 0) + rest),
        ("last-0", "The last frequency of a table is 0.", leb128(2, 16384, 0) + rest),
        ("wide", "A table of 73 symbols.", leb128(73, *[1] * 72, 16312) + rest),
        ("wide-2-20", "A table of 1048576 symbols.", leb128(1 << 20, 16384) + rest),
        ("leb-long", "A number in two bytes that fits one.", leb128(1) + b"\x80\x80\x81\x00" + rest),
        ("leb-zero", "0 in two bytes.", b"\x80\x00" + rest),
        ("leb-4-bytes", "A number of four bytes.", leb128(1) + b"\x80\x80\x81\x80\x00" + rest),
        ("leb-cut", "The last number is cut off.", bytes(count - 1) + b"\x80"),
        ("few", "The last table is missing.", bytes(count - 1)),
        ("many", "A table too many.", bytes(count + 1)),
        ("cut", "The last table is cut off.", bytes(count - 1) + leb128(2, 16000)),
        ("none", "No tables at all.", b""),
    )
    for name, sentence, raw in firsts:
        yield fault(f"tables-{name}", sentence, CORRUPT, "tables", lambda r=raw: with_tables(r))
    yield fault("tables-all-absent", "All tables are absent.", CORRUPT, "without a table",
                lambda: with_tables(bytes(count)))  # fmt: skip
    groups = np.cumsum([0, *TABLE_COUNTS.values()])
    for number, kind in enumerate(TABLE_COUNTS):
        first, end = int(groups[number]), int(groups[number + 1])
        sentence = f"The tables of {kind.name} that the file uses are absent."
        yield fault(
            f"tables-absent-{kind.name.lower()}",
            sentence,
            CORRUPT,
            "without a table",
            lambda a=first, b=end: absent(a, b),
        )


def absent(first: int, end: int) -> bytes:
    """TABLES with some of them absent."""
    freqs = tables_of(parts())
    freqs[first:end] = 0
    packed = b"".join(leb128(len(np.trim_zeros(row, "b")), *np.trim_zeros(row, "b").tolist()) for row in freqs)
    return with_tables(packed)


def with_tables(packed: bytes) -> bytes:
    """Other TABLES."""
    coder, payload = compress(packed)
    return parts().put(TABLES, None, payload, coder=Coder(coder), raw_length=len(packed)).file()


def geometry_heads() -> Iterator[Case]:
    """TILE_GEOMETRY with values that are not allowed."""
    nan, inf = float("nan"), float("inf")
    wrong: tuple[tuple[str, str, str, object], ...] = (
        ("origin", "nan", "NaN", (nan, 0.0, 0.0)),
        ("origin", "infinite", "infinite", (0.0, -inf, 0.0)),
        ("origin", "large", "2**101", (0.0, 0.0, 2.0**101)),
        ("exponent", "high", "513", 513),
        ("exponent", "low", "-513", -513),
        ("reserved", "1", "1", 1),
        ("depth_mask", "0", "0", 0),
        ("depth_mask", "22", "2**22", 1 << 22),
        ("depth_mask", "31", "2**31", 1 << 31),
    )
    for field, label, text, value in wrong:
        yield fault(
            f"geometry-{field.replace('_', '-')}-{label}",
            f"{field} of a tile is {text}.",
            CORRUPT,
            f"field {field}",
            lambda f=field, v=value: changed(GEOMETRY, 0, lambda d: put_field(d, TILE_GEOMETRY, 0, f, v)),
        )
    yield fault(
        "geometry-trees",
        "More octrees than splats.",
        CORRUPT,
        "",
        lambda: changed(GEOMETRY, 0, lambda d: put_field(d, TILE_GEOMETRY, 0, "depth_mask", (1 << 22) - 1)),
    )
    yield fault(
        "geometry-short",
        "GEOMETRY ends inside its head.",
        CORRUPT,
        "GEOMETRY",
        lambda: changed(GEOMETRY, 0, lambda d: d[:31]),
    )
    yield fault("geometry-moved", "exponent is one more than the digest was made with.", CORRUPT, "", moved)


def moved() -> bytes:
    """A tile of twice the edge."""

    def twice(payload: bytes) -> bytes:
        exponent = TILE_GEOMETRY.unpack(payload)["exponent"]
        return put_field(payload, TILE_GEOMETRY, 0, "exponent", exponent + 1)

    return changed(GEOMETRY, 0, twice)
