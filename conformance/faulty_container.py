"""Faults of the container: magic, version, registries, checksums, and the streams that all branches have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import zstandard

from bitstream_spec.layout import TILE_RECORD, VERSION, Coder, StreamKind
from conformance.assembly import (
    edit_entry,
    edit_header,
    edit_prefix,
    entry_value,
    put_bytes,
    put_field,
    stream_entry_at,
)
from conformance.cases import Case
from conformance.faulty_base import (
    CORRUPT,
    FEATURE,
    GEOMETRY_AT,
    LAST_AT,
    MAGIC,
    META_AT,
    OF_TILE,
    OTHER_VERSION,
    SPLATS,
    STREAMS,
    TABLES_AT,
    base,
    fault,
    parts,
)
from gscodec.bitstream.entries import Stream


def container_cases() -> Iterator[Case]:
    """All of them."""
    yield from heads()
    yield from checksums()
    yield from common_streams()


def heads() -> Iterator[Case]:
    """Magic, version, registries, reserved bits."""
    damage: tuple[tuple[str, str, str, Callable[[bytes], bytes]], ...] = (
        ("crlf-to-lf", "Text-mode transfer: 0D 0A became 0A.", "text-mode", lambda d: d.replace(b"\r\n", b"\n")),
        ("lf-to-crlf", "Text-mode transfer: 0A became 0D 0A.", "text-mode", lambda d: d.replace(b"\n", b"\r\n")),
        ("7-bit", "Every byte cut to 7 bits.", "text-mode", lambda d: bytes(b & 127 for b in d)),
        ("utf-8", "Taken for Latin-1 and stored as UTF-8.", "text-mode", lambda d: d.decode("latin-1").encode()),
        ("byte-order", "The magic backwards.", "not a .gsb", lambda d: d[7::-1] + d[8:]),
        ("ply", "A PLY file.", "not a .gsb", lambda _: b"ply\nformat ascii 1.0\nelement vertex 0\nend_header\n"),
        ("gzip", "The file in a gzip member.", "not a .gsb", lambda d: b"\x1f\x8b\x08\0\0\0\0\0\0\3" + d),
        ("shifted", "A byte in front of the file.", "not a .gsb", lambda d: b"\0" + d),
    )
    for name, sentence, about, how in damage:
        yield fault(f"magic-{name}", sentence, MAGIC, about, lambda f=how: f(base()))
    own, after = VERSION
    others = ((own, after - 1), (own, after + 1), (own + 1, 0), (own + 1, after), (own + 256, after), (65535, 65535))
    for major, minor in others:
        yield fault(
            f"version-{major}-{minor}",
            f"Version {major}.{minor}, nothing else unusual.",
            OTHER_VERSION,
            "",
            lambda a=major, b=minor: edit_prefix(edit_prefix(base(), "version_major", a), "version_minor", b),
        )
    yield fault(
        "version-strange",
        "The next major version and nothing behind it that this version could read.",
        OTHER_VERSION,
        "",
        lambda: base()[:8] + (VERSION[0] + 1).to_bytes(4, "little") + b"\xff" * 40,
    )
    for field, value, codes in (("branch", 0, FEATURE), ("branch", 3, FEATURE), ("branch", 255, FEATURE),
                                ("sh_degree", 5, CORRUPT), ("sh_degree", 255, CORRUPT), ("render_mode", 2, FEATURE),
                                ("coordinate_frame", 1, FEATURE), ("reserved", 1, CORRUPT),
                                ("reserved", 1 << 31, CORRUPT)):  # fmt: skip
        name = field.replace("_", "-")
        yield fault(
            f"header-{name}-{value}",
            f"{field} of HEADER is {value}.",
            codes,
            f"field {field}",
            lambda f=field, v=value: edit_header(base(), f, v),
        )
    yield fault(
        "branch-other",
        "A native file that says LOSSLESS.",
        CORRUPT,
        "missing",
        lambda: edit_header(base(), "branch", 2),
    )
    yield fault(
        "degree-higher",
        "SH degree 2 without AC2.",
        CORRUPT,
        "AC2",
        lambda: edit_header(parts().put(StreamKind.BASES, None, b"").file(), "sh_degree", 2),
    )
    yield fault(
        "degree-higher-bases",
        "SH degree 2 with BASES of degree 1.",
        CORRUPT,
        "BASES",
        lambda: edit_header(base(), "sh_degree", 2),
    )
    yield fault(
        "degree-lower",
        "SH degree 0 though the digests are of degree 1.",
        CORRUPT,
        "digest",
        lambda: edit_header(base(), "sh_degree", 0),
    )
    for flags in (2, 3, 129):
        yield fault(
            f"flags-{flags}",
            f"flags of an entry are {flags}.",
            CORRUPT,
            "reserved bits",
            lambda v=flags: edit_entry(base(), GEOMETRY_AT, "flags", v),
        )
    yield fault(
        "entry-reserved",
        "The reserved field of an entry is 1.",
        CORRUPT,
        "reserved bits",
        lambda: edit_entry(base(), LAST_AT, "reserved", 1),
    )
    yield fault(
        "critical-unknown",
        "A critical stream of unknown kind for the whole file.",
        FEATURE,
        "unknown kind",
        lambda: edit_entry(base(), TABLES_AT, "kind", 0x7000),
    )
    yield fault(
        "critical-unknown-tile",
        "A critical stream of unknown kind in a tile.",
        FEATURE,
        "unknown kind",
        lambda: edit_entry(base(), LAST_AT, "kind", 0x7000),
    )
    yield fault(
        "coder-unknown",
        "GEOMETRY with an unknown coder.",
        FEATURE,
        "unknown coder",
        lambda: edit_entry(base(), GEOMETRY_AT, "coder", 3),
    )
    yield fault("coder-unknown-meta", "META, ancillary, with an unknown coder.", FEATURE, "unknown coder",
                lambda: edit_entry(base(), META_AT, "coder", 255))  # fmt: skip


def checksums() -> Iterator[Case]:
    """Checksums that do not match."""
    crc_at = stream_entry_at(STREAMS)
    yield fault(
        "crc-head",
        "header_crc32 has a bit flipped.",
        CORRUPT,
        "checksum of the header",
        lambda: put_bytes(base(), crc_at, bytes([base()[crc_at] ^ 1])),
    )
    yield fault(
        "crc-head-0",
        "header_crc32 is 0.",
        CORRUPT,
        "checksum of the header",
        lambda: put_bytes(base(), crc_at, bytes(4)),
    )
    for number, stream in enumerate(parts().streams[: GEOMETRY_AT + len(OF_TILE)]):
        name = StreamKind(stream.kind).name
        yield fault(
            f"crc-{name.lower()}",
            f"A bit of {name} is flipped.",
            CORRUPT,
            f"checksum of {name}",
            lambda n=number: flipped(entry_value(base(), n, "offset")),
        )
    yield fault("crc-entry", "The crc32 of the last stream is 0.", CORRUPT, "checksum of AC1",
                lambda: edit_entry(base(), LAST_AT, "crc32", 0))  # fmt: skip
    unknown = Stream(0x7000, Coder.RAW, b"skipped", 7, None, critical=False)
    yield fault("crc-skipped", "The crc32 of a stream that is skipped does not match.", CORRUPT, "checksum of kind",
                lambda: edit_entry(parts().plus(unknown).file(), GEOMETRY_AT, "crc32", 0))  # fmt: skip


def flipped(at: int) -> bytes:
    """The base file with the lowest bit of a byte flipped."""
    return put_bytes(base(), at, bytes([base()[at] ^ 1]))


def common_streams() -> Iterator[Case]:
    """TILES, DIGESTS, missing streams, wrong coders."""
    for kind in (StreamKind.TILES, StreamKind.DIGESTS, StreamKind.PARAMS, StreamKind.TABLES, StreamKind.BASES):
        yield fault(
            f"missing-{kind.name.lower()}",
            f"No {kind.name}.",
            CORRUPT,
            "missing",
            lambda k=kind: parts().without(k).file(),
        )
    for kind in OF_TILE:
        yield fault(
            f"missing-{kind.name.lower()}",
            f"No {kind.name} in tile 1.",
            CORRUPT,
            "missing",
            lambda k=kind: parts().without(k, 1).file(),
        )
    for kind in (StreamKind.TILES, StreamKind.DIGESTS, StreamKind.PARAMS):
        yield fault(
            f"coder-{kind.name.lower()}",
            f"{kind.name} in ZSTD instead of RAW.",
            CORRUPT,
            "wrong coder",
            lambda k=kind: zipped(k),
        )
    yield fault(
        "coder-tables", "TABLES with coder RANS.", CORRUPT, "coder", lambda: edit_entry(base(), TABLES_AT, "coder", 2)
    )
    yield fault(
        "coder-geometry",
        "GEOMETRY with coder RAW.",
        CORRUPT,
        "wrong coder",
        lambda: parts().put(StreamKind.GEOMETRY, 0, parts().payload(StreamKind.GEOMETRY, 0), coder=Coder.RAW).file(),
    )

    def record(name: str, sentence: str, about: str, **values: object) -> Case:
        return fault(f"tile-record-{name}", sentence, CORRUPT, about,
                     lambda: parts().change(StreamKind.TILES, None, lambda d: changed(d, values)).file())  # fmt: skip

    def changed(payload: bytes, values: dict[str, object]) -> bytes:
        for field, value in values.items():
            payload = put_field(payload, TILE_RECORD, 0, field, value)
        return payload

    nan, inf = float("nan"), float("inf")
    yield record("empty", "A tile of 0 splats.", "field splat_count", splat_count=0)
    yield record("count-2-32-1", "A tile of 4294967295 splats.", "do not add up", splat_count=(1 << 32) - 1)
    yield record("reserved", "The reserved field of a tile record is 1.", "field reserved", reserved=1)
    yield record("nan", "A tile's min is NaN.", "bad bounds", min=(nan, 0.0, 0.0))
    yield record("nan-max", "A tile's max is NaN.", "bad bounds", max=(9.0, 9.0, nan))
    yield record("small", "A tile's box leaves splats out.", "outside", max=(-100.0,) * 3, min=(-100.0,) * 3)
    yield record("crossed", "A tile's min is above its max.", "bad bounds", min=(inf, 0.0, 0.0))
    yield fault(
        "tile-record-moved",
        "A splat too many in tile 0 and one too few in tile 1.",
        CORRUPT,
        "",
        lambda: (
            parts()
            .change(
                StreamKind.TILES,
                None,
                lambda d: put_field(
                    put_field(d, TILE_RECORD, 0, "splat_count", SPLATS // 2 + 1),
                    TILE_RECORD,
                    32,
                    "splat_count",
                    SPLATS // 2 - 1,
                ),
            )
            .file()
        ),
    )
    for kind, what in ((StreamKind.TILES, "wrong length"), (StreamKind.DIGESTS, "wrong size")):
        name = kind.name.lower()
        for cut, label in ((1, "byte"), (32, "record")):
            yield fault(f"{name}-short-{label}", f"{kind.name} is {cut} bytes too short.", CORRUPT, what,
                        lambda k=kind, n=cut: parts().change(k, None, lambda d: d[:-n]).file())  # fmt: skip
        yield fault(
            f"{name}-long",
            f"{kind.name} has a record too many.",
            CORRUPT,
            what,
            lambda k=kind: parts().change(k, None, lambda d: d + d[:32]).file(),
        )
    yield fault(
        "digest",
        "A bit of a digest is flipped.",
        CORRUPT,
        "digest of tile 0",
        lambda: parts().change(StreamKind.DIGESTS, None, lambda d: bytes([d[0] ^ 1]) + d[1:]).file(),
    )
    yield fault(
        "digests-swapped",
        "The digests of the two tiles are swapped.",
        CORRUPT,
        "digest of tile",
        lambda: parts().change(StreamKind.DIGESTS, None, lambda d: d[32:] + d[:32]).file(),
    )
    yield fault("tiles-swapped", "The streams of the two tiles are swapped, their records and digests are not.",
                CORRUPT, "digest of tile", swapped)  # fmt: skip


def zipped(kind: StreamKind) -> bytes:
    """A RAW stream as a Zstandard frame."""
    raw = parts().payload(kind)
    packed = zstandard.ZstdCompressor(level=19).compress(raw)
    return parts().put(kind, None, packed, coder=Coder.ZSTD, raw_length=len(raw)).file()


def swapped() -> bytes:
    """Tile 0 as tile 1 and the reverse."""
    own = parts()
    streams = (s if s.tile is None else replace(s, tile=1 - s.tile) for s in own.streams)
    return replace(own, streams=tuple(streams)).file()
