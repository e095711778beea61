"""Faults behind the checksums of a lossless file."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import zstandard

from bitstream_spec.layout import Coder, StreamKind
from conformance.assembly import Parts, Plane, code_alone, edit_header, record
from conformance.cases import Case, lossless
from conformance.faulty_base import CORRUPT, fault, wrong_lengths
from conformance.sample_clouds import partial_copies, with_extras
from gscodec.branches.lossless.syntax import (
    DISTANCE_TABLES,
    FLOAT_PART,
    FLOAT_PART_LENGTH,
    MODE_CELLS,
    MODE_CONSTANT,
    MODE_PALETTE,
    OTHER_COLUMN,
    REFERENCES_HEAD,
    groups_of,
)
from gscodec.entropy.tables import pack, unpack
from gscodec.entropy.tokens import ALPHABET

SCHEMA, REFERENCES, EXTRAS = StreamKind.SCHEMA, StreamKind.REFERENCES, StreamKind.EXTRAS
POSITIONS, OPACITY, DC = StreamKind.FLOAT_POSITIONS, StreamKind.FLOAT_OPACITY, StreamKind.FLOAT_DC
Part = list[bytes]  # parameters, tables, planes, low bits
Change = Callable[[Part], object]
ROWS = 32


@cache
def base() -> bytes:
    """The file that is damaged: SH degree 0, extras of types i2 and f4; OPACITY has a palette, DC 1 is constant."""
    cloud = partial_copies(ROWS, 0, 500)
    quats = np.tile(np.array([1, 0, 0, 0], np.float32), (ROWS, 1))
    cloud = replace(cloud, quats_wxyz=quats, log_scales=np.full((ROWS, 3), -4, np.float32))
    return lossless(with_extras(cloud, 500, ("i2",)))


def parts() -> Parts:
    """Its parts."""
    return Parts.of(base())


def lossless_cases() -> Iterator[Case]:
    """All of them."""
    yield from (*streams(), *references(), *sections(), *parameters(), *values(), *extras())


def changed(kind: StreamKind, how: Callable[[bytes], bytes]) -> bytes:
    """The base file with the payload of a stream of tile 0 changed, all checksums right."""
    return parts().change(kind, 0, how).file()


def cut(payload: bytes) -> Part:
    """The sections of a group."""
    sections, at = [], FLOAT_PART.size
    for length in FLOAT_PART.unpack_from(payload):
        sections.append(payload[at : at + length])
        at += length
    return [*sections, payload[at:]]


def joined(sections: Part) -> bytes:
    """Inverse of ``cut``."""
    return FLOAT_PART.pack(*map(len, sections[:3])) + b"".join(sections)


def with_part(kind: StreamKind, change: Change) -> bytes:
    """The base file with the sections of a group changed."""

    def how(payload: bytes) -> bytes:
        sections = cut(payload)
        change(sections)
        return joined(sections)

    return changed(kind, how)


def put(section: int, data: Callable[[bytes], bytes]) -> Change:
    """Change one section."""

    def change(sections: Part) -> None:
        sections[section] = data(sections[section])

    return change


def streams() -> Iterator[Case]:
    """Missing streams, wrong coders, wrong raw lengths."""
    yield fault("lossless-missing-schema", "No SCHEMA.", CORRUPT, "missing", lambda: parts().without(SCHEMA).file())
    for kind in (REFERENCES, *(group.stream for group in groups_of(0)), EXTRAS):
        name = kind.name.lower().replace("_", "-")
        yield fault(
            f"lossless-missing-{name}",
            f"No {kind.name}.",
            CORRUPT,
            "missing",
            lambda k=kind: parts().without(k, 0).file(),
        )
    yield fault(
        "lossless-coder",
        "REFERENCES with coder RAW.",
        CORRUPT,
        "wrong coder",
        lambda: parts().put(REFERENCES, 0, parts().payload(REFERENCES, 0), coder=Coder.RAW).file(),
    )
    for name, length in wrong_lengths(12 * ROWS, 32):
        yield fault(
            f"lossless-raw-length-{name}",
            f"raw_length of FLOAT_POSITIONS is {length}.",
            CORRUPT,
            "wrong raw length",
            lambda n=length: parts().put(POSITIONS, 0, parts().payload(POSITIONS, 0), raw_length=n).file(),
        )
    yield fault(
        "lossless-degree-higher",
        "SH degree 1 without FLOAT_AC.",
        CORRUPT,
        "FLOAT_AC",
        lambda: edit_header(base(), "sh_degree", 1),
    )
    yield fault(
        "lossless-branch-other",
        "A lossless file that says NATIVE.",
        CORRUPT,
        "missing",
        lambda: edit_header(base(), "branch", 1),
    )
    yield fault("lossless-short-tile", "Tile 0 of two has fewer than 65536 rows.", CORRUPT, "size of tile", short_tile)
    yield fault("lossless-antialiased-2", "render_mode 2.", ("unsupported-feature",), "render_mode",
                lambda: edit_header(base(), "render_mode", 2))  # fmt: skip


def short_tile() -> bytes:
    """The base file twice, as two tiles."""
    own = parts()
    again = tuple(replace(stream, tile=1) for stream in own.streams if stream.tile == 0)
    header = replace(own.header, splat_count=2 * ROWS, tile_count=2)
    doubled = Parts(header, own.streams + again)
    for kind in (StreamKind.TILES, StreamKind.DIGESTS):
        doubled = doubled.change(kind, None, lambda payload: 2 * payload)
    return doubled.file()


def references() -> Iterator[Case]:
    """REFERENCES: its head, its tables, its values."""
    (length,) = REFERENCES_HEAD.unpack_from(parts().payload(REFERENCES, 0))
    for name, value in wrong_lengths(length, 32):
        yield fault(
            f"references-tables-{name}",
            f"The tables of REFERENCES are {value} bytes long.",
            CORRUPT,
            "",
            lambda v=value: changed(REFERENCES, lambda d: REFERENCES_HEAD.pack(v) + d[4:]),
        )
    yield fault("references-short", "REFERENCES of 3 bytes.", CORRUPT, "", lambda: changed(REFERENCES, lambda d: d[:3]))

    def recoded(plane: int, place: int, value: int) -> bytes:
        own: list[Plane] = record(base())[REFERENCES, 0]
        own[plane].values[place] = value
        tables, payload = code_alone(own, DISTANCE_TABLES)
        return changed(REFERENCES, lambda _: REFERENCES_HEAD.pack(len(tables)) + tables + payload)

    large = (1 << 32) - 1
    for name, place, value, sentence in (
        ("first", 0, 1, "Row 0 refers to row -1."),
        ("early", 5, 6, "Row 5 refers to row -1."),
        ("2-31", 15, 1 << 31, "Row 15 refers to row 15 - 2**31."),
        ("2-32-1", 20, large, "Row 20 refers to row 20 - (2**32 - 1), which wraps to 21."),
    ):
        yield fault(
            f"reference-{name}", sentence, CORRUPT, "reference before row 0", lambda p=place, v=value: recoded(0, p, v)
        )
    for value in (128, 256, large):
        yield fault(
            f"mask-{value}", f"A copy mask of {value}.", CORRUPT, "bad copy mask", lambda v=value: recoded(1, 0, v)
        )


def sections() -> Iterator[Case]:
    """Lengths of the sections of a group, what is left over, tables."""
    lengths = FLOAT_PART.unpack_from(parts().payload(POSITIONS, 0))
    for number, section in enumerate(("parameters", "tables", "planes")):
        for name, value in wrong_lengths(lengths[number], 32):
            yield fault(
                f"section-{section}-{name}",
                f"The {section} of FLOAT_POSITIONS are {value} bytes long.",
                CORRUPT,
                "",
                lambda n=number, v=value: changed(POSITIONS, lambda d: with_length(d, n, v)),
            )
    yield fault(
        "section-head", "FLOAT_POSITIONS of 11 bytes.", CORRUPT, "", lambda: changed(POSITIONS, lambda d: d[:11])
    )
    yield fault(
        "section-low-bits-left",
        "A byte of low bits too many.",
        CORRUPT,
        "bits left over",
        lambda: with_part(POSITIONS, put(3, lambda d: d + b"\0")),
    )
    yield fault(
        "section-low-bits-missing",
        "A byte of low bits too few.",
        CORRUPT,
        "bits run out",
        lambda: with_part(POSITIONS, put(3, lambda d: d[:-1])),
    )
    yield fault(
        "section-table-more",
        "A table too many.",
        CORRUPT,
        "after the last table",
        lambda: with_part(POSITIONS, put(1, lambda d: d + b"\0")),
    )
    yield fault(
        "section-table-sum",
        "Frequencies that do not sum to 16384.",
        CORRUPT,
        "bad frequencies",
        lambda: with_part(POSITIONS, put(1, lambda d: b"\x01\x01" + d[1:])),
    )
    yield fault("section-table-absent", "The tables that DC uses are absent.", CORRUPT, "without a table",
                lambda: with_part(DC, put(1, lambda d: pack(unpack(d, 48, ALPHABET) * np.uint16(0)))))  # fmt: skip


def with_length(payload: bytes, number: int, value: int) -> bytes:
    """One of the three lengths changed."""
    lengths = list(FLOAT_PART.unpack_from(payload))
    lengths[number] = value
    return FLOAT_PART.pack(*lengths) + payload[FLOAT_PART.size :]


def parameters() -> Iterator[Case]:
    """Parameters of columns. POSITIONS begins with a column of cells, OPACITY is a palette."""
    cells, palette = bytes([MODE_CELLS]), bytes([MODE_PALETTE])
    constant = bytes([MODE_CONSTANT])
    wrong: tuple[tuple[str, str, StreamKind, Callable[[bytes], bytes], str], ...] = (
        ("mode", "A column of mode 3.", POSITIONS, lambda d: b"\3" + d[1:], "unknown column mode"),
        ("base-0", "base 0.", POSITIONS, lambda d: cells + b"\0" + d[2:], "field base"),
        ("base-231", "base 231.", POSITIONS, lambda d: cells + b"\xe7" + d[2:], "field base"),
        ("dropped-24", "24 low bits dropped.", POSITIONS, lambda d: d[:2] + b"\x18" + d[3:], "field dropped"),
        ("cut", "Parameters cut short.", POSITIONS, lambda d: d[:-1], "cut short"),
        ("left", "A byte after the parameters.", POSITIONS, lambda d: d + b"\0", "after the last column"),
        ("none", "No parameters.", POSITIONS, lambda _: b"", "cut short"),
        ("constant", "A constant where there are cells.", POSITIONS, lambda d: constant + bytes(4) + d[7:], ""),
        ("palette-0", "A palette of no values.", OPACITY, lambda d: palette + bytes(2) + d[3:7], "palette size"),
        ("palette-8193", "A palette of 8193 values.", OPACITY, lambda d: palette + b"\x01\x20" + d[3:], "palette size"),
        (
            "palette-65535",
            "A palette of 65535 values.",
            OPACITY,
            lambda d: palette + b"\xff\xff" + d[3:],
            "palette size",
        ),
        (
            "palette-order",
            "A palette out of order.",
            OPACITY,
            lambda d: d[:7] + d[11:15] + d[7:11] + d[15:],
            "out of order",
        ),
        (
            "palette-twice",
            "A value twice in a palette.",
            OPACITY,
            lambda d: d[:7] + d[7:11] + d[7:11] + d[15:],
            "out of order",
        ),
        (
            "palette-short",
            "A palette with a value fewer than the cells use.",
            OPACITY,
            lambda d: palette + struct.pack("<H", len(d[7:]) // 4 - 1) + d[3:-4],
            "palette index",
        ),
    )
    for name, sentence, kind, how, about in wrong:
        yield fault(f"column-{name}", sentence, CORRUPT, about, lambda k=kind, h=how: with_part(k, put(0, h)))


def values() -> Iterator[Case]:
    """Values that lead to cells or tails which no float has."""

    def recoded(kind: StreamKind, place: int, value: int) -> bytes:
        group = next(group for group in groups_of(0) if group.stream == kind)
        own: list[Plane] = record(base())[kind, 0]
        own[0].values[place] = value
        tables, payload = code_alone(own, group.table_count)

        def change(sections: Part) -> None:
            sections[1], sections[2] = tables, payload

        return with_part(kind, change)

    for name, value in (("large", (1 << 32) - 2), ("small", (1 << 32) - 1), ("2-31", 1 << 31)):
        yield fault(f"cell-{name}", f"A residual of code {value}: a cell that no float has.", CORRUPT, "",
                    lambda v=value: recoded(POSITIONS, 0, v))  # fmt: skip
        yield fault(f"palette-index-{name}", f"A residual of code {value}: a place beyond the palette.", CORRUPT, "",
                    lambda v=value: recoded(OPACITY, 0, v))  # fmt: skip


def extras() -> Iterator[Case]:
    """EXTRAS: the float part, then the columns of other types."""
    payload = parts().payload(EXTRAS, 0)
    (length,) = FLOAT_PART_LENGTH.unpack_from(payload)
    for name, value in wrong_lengths(length, 32):
        yield fault(f"extras-float-{name}", f"The float part of EXTRAS is {value} bytes long.", CORRUPT, "",
                    lambda v=value: changed(EXTRAS, lambda d: FLOAT_PART_LENGTH.pack(v) + d[4:]))  # fmt: skip
    at = FLOAT_PART_LENGTH.size + length
    coder, size = OTHER_COLUMN.unpack_from(payload, at)
    for name, value in wrong_lengths(size, 32):
        yield fault(
            f"extras-column-{name}",
            f"A column of EXTRAS is {value} bytes long.",
            CORRUPT,
            "",
            lambda v=value: changed(EXTRAS, lambda d: d[:at] + OTHER_COLUMN.pack(coder, v) + d[at + 5 :]),
        )
    for value in (2, 255):
        yield fault(
            f"extras-coder-{value}",
            f"A column of EXTRAS with coder {value}.",
            CORRUPT,
            "unknown byte coder",
            lambda v=value: changed(EXTRAS, lambda d: d[:at] + bytes([v]) + d[at + 1 :]),
        )
    yield fault("extras-short", "EXTRAS of 3 bytes.", CORRUPT, "cut short", lambda: changed(EXTRAS, lambda d: d[:3]))
    yield fault("extras-cut", "EXTRAS without its last byte.", CORRUPT, "", lambda: changed(EXTRAS, lambda d: d[:-1]))
    yield fault("extras-left", "A byte after the last column of EXTRAS.", CORRUPT, "after the last column",
                lambda: changed(EXTRAS, lambda d: d + b"\0"))  # fmt: skip
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(64 << 20))
    yield fault(
        "extras-bomb",
        "A column of EXTRAS in a frame of 64 MiB.",
        CORRUPT,
        "zstd content size",
        lambda: changed(EXTRAS, lambda d: d[:at] + OTHER_COLUMN.pack(1, len(bomb)) + bomb + d[at + 5 + size :]),
    )
