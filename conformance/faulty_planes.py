"""Faults in the planes of a native file: coder states, bits and words left over, values out of range."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np

from bitstream_spec.layout import StreamKind
from conformance.assembly import Key, Parts, Plane, put_bytes, recode_native, record
from conformance.cases import Case
from conformance.faulty_base import CORRUPT, OF_TILE, base, fault, parts, wrong_lengths
from conformance.faulty_native import changed
from gscodec.branches.native.syntax import LEAF_COUNT, PART
from gscodec.entropy.tokens import split

GEOMETRY, OPACITY, SCALE, ROTATION, DC, AC1 = OF_TILE


def plane_cases() -> Iterator[Case]:
    """All of them."""
    yield from planes()
    yield from values()


def planes() -> Iterator[Case]:
    """Streams of planes that end wrongly."""
    payload = parts().payload(OPACITY, 0)
    (length,) = struct.unpack_from("<I", payload)
    for name, value in wrong_lengths(length, 32):
        yield fault(
            f"rans-length-{name}",
            f"The length of the rANS data of OPACITY is {value}.",
            CORRUPT,
            "",
            lambda v=value: changed(OPACITY, 0, lambda d: struct.pack("<I", v) + d[4:]),
        )
    yield fault(
        "rans-state",
        "A rANS state of 65535.",
        CORRUPT,
        "bad rANS state",
        lambda: changed(OPACITY, 0, lambda d: put_bytes(d, 4, struct.pack("<I", 65535))),
    )
    yield fault(
        "rans-state-0",
        "A rANS state of 0.",
        CORRUPT,
        "bad rANS state",
        lambda: changed(SCALE, 1, lambda d: put_bytes(d, 16, bytes(4))),
    )
    yield fault(
        "rans-word-left", "A rANS word too many.", CORRUPT, "left over", lambda: changed(DC, 0, lambda d: longer(d, 2))
    )
    yield fault(
        "rans-byte-left",
        "An odd number of bytes of rANS data.",
        CORRUPT,
        "bad rANS length",
        lambda: changed(DC, 0, lambda d: longer(d, 1)),
    )
    yield fault(
        "rans-word-missing", "A rANS word too few.", CORRUPT, "", lambda: changed(DC, 0, lambda d: longer(d, -2))
    )
    yield fault(
        "rans-symbol-left",
        "A symbol that nobody asks for: wrong states at the end.",
        CORRUPT,
        "rANS",
        lambda: revalued({AC1: lambda own: own.append(Plane(own[0].values[:1] + 1, own[0].contexts[:1]))}),
    )
    yield fault(
        "planes-empty",
        "ROTATION of no bytes.",
        CORRUPT,
        "truncated planes",
        lambda: changed(ROTATION, 0, lambda _: b""),
    )
    yield fault(
        "bits-left", "A byte of bits too many.", CORRUPT, "bits left over", lambda: changed(AC1, 1, lambda d: d + b"\0")
    )
    yield fault(
        "bits-missing",
        "A byte of bits too few.",
        CORRUPT,
        "bits run out",
        lambda: changed(*with_bits(), lambda d: d[:-1]),
    )
    yield fault("bits-padding", "A padding bit is set.", CORRUPT, "padding is not zero",
                lambda: changed(*with_bits(), lambda d: d[:-1] + bytes([d[-1] | 128])))  # fmt: skip


def with_bits() -> Key:
    """A stream whose bit part ends with padding."""
    for key, own in record(base()).items():
        count = sum(int(split(plane.values)[2].sum()) for plane in own)
        if count % 8:
            return key
    raise RuntimeError("no stream of the base file has padding bits")


def longer(payload: bytes, more: int) -> bytes:
    """rANS data with ``more`` zero bytes at its end, or fewer bytes."""
    (length,) = struct.unpack_from("<I", payload)
    data = payload[4 : 4 + length]
    data = data + bytes(more) if more > 0 else data[:more]
    return struct.pack("<I", len(data)) + data + payload[4 + length :]


def revalued(how: dict[StreamKind, Callable[[list[Plane]], object]]) -> bytes:
    """The base file with planes of tile 0 changed, coded again with tables that fit."""
    planes: dict[Key, list[Plane]] = record(base())
    for kind, change in how.items():
        change(planes[kind, 0])
    own: Parts = recode_native(parts(), planes)
    return own.file()


def values() -> Iterator[Case]:
    """Values in planes that a decoder must refuse. GEOMETRY: low and high by level, then leaf counts, then
    parts of x, y and z, then weights by level."""

    def put(plane: int, value: int, place: int = 0) -> Callable[[list[Plane]], None]:
        def change(own: list[Plane]) -> None:
            own[plane].values[place] = value

        return change

    def first_of(context: int, value: int) -> Callable[[list[Plane]], None]:
        def change(own: list[Plane]) -> None:
            next(plane for plane in own if plane.contexts[0] == context).values[0] = value

        return change

    def last_of(context: int, value: int) -> Callable[[list[Plane]], None]:
        def change(own: list[Plane]) -> None:
            next(plane for plane in reversed(own) if plane.contexts[0] == context).values[-1] = value

        return change

    large = (1 << 32) - 1
    wrong: tuple[tuple[str, str, StreamKind, Callable[[list[Plane]], None], str], ...] = (
        ("occupancy-low", "The low half of an occupancy is 16.", GEOMETRY, put(0, 16), "bad occupancy"),
        (
            "occupancy-low-2-32-1",
            "The low half of an occupancy is 4294967295.",
            GEOMETRY,
            put(0, large),
            "bad occupancy",
        ),
        ("occupancy-high", "The high half of an occupancy is 16.", GEOMETRY, put(1, 16), "bad occupancy"),
        ("occupancy-0", "An occupancy of 0.", GEOMETRY, lambda own: first_level(own, 0), "bad occupancy"),
        (
            "leaf-count",
            "The leaves hold a splat more than the tile.",
            GEOMETRY,
            first_of(LEAF_COUNT, 1),
            "leaves do not hold",
        ),
        (
            "leaf-count-2-32-1",
            "A leaf of 4294967296 splats.",
            GEOMETRY,
            first_of(LEAF_COUNT, large),
            "leaves do not hold",
        ),
        ("part-4", "A part of a cell that has four.", GEOMETRY, first_of(PART, 4), "no part of a cell"),
        ("part-z-4", "The same of the last splat along z.", GEOMETRY, last_of(PART, 4), "no part of a cell"),
        ("part-2-32-1", "Part 4294967295 of a cell.", GEOMETRY, first_of(PART, large), "no part of a cell"),
        ("weight-32", "Weight class 32.", GEOMETRY, put(-1, 32), "bad weight class"),
        ("weight-256", "Weight class 256, which is 0 in a byte.", GEOMETRY, put(-1, 256), "bad weight class"),
        ("weight-2-32-1", "Weight class 4294967295.", GEOMETRY, put(-1, large), "bad weight class"),
        (
            "rotation-a",
            "The first rotation code is far too large.",
            ROTATION,
            put(0, 8192),
            "beyond its levels",
        ),
        ("rotation-b", "The second rotation code is 4294967295.", ROTATION, put(1, large), "beyond its levels"),
        (
            "rotation-r",
            "The third rotation code is far too large.",
            ROTATION,
            put(2, 8192),
            "beyond its levels",
        ),
    )
    for name, sentence, kind, change, about in wrong:
        yield fault(f"value-{name}", sentence, CORRUPT, about, lambda k=kind, c=change: revalued({k: c}))
    yield fault(
        "value-leaves",
        "Octrees with more leaves than splats.",
        CORRUPT,
        "more leaves than splats",
        lambda: revalued({GEOMETRY: lambda own: first_level(own, 15)}),
    )
    yield fault(
        "value-opacity",
        "An opacity code of another value than the digest was made of.",
        CORRUPT,
        "",
        lambda: revalued({OPACITY: put(0, 999)}),
    )
    yield fault("value-ac", "An SH code of another value than the digest was made of.", CORRUPT, "",
                lambda: revalued({AC1: put(-1, large)}))  # fmt: skip


def first_level(own: list[Plane], half: int) -> None:
    """``half`` as both halves of all occupancies of the first level."""
    low, high = own[0], own[1]
    high.contexts = (high.contexts - low.values + half).astype(np.uint16)  # the low half is part of them
    low.values[:] = high.values[:] = half
