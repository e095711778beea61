"""Faults of BASES, the regions and their matrices. The base file has two regions, 48 bytes in RAW."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import zstandard

from bitstream_spec.layout import Coder, StreamKind
from conformance.assembly import Parts, edit_entry, put_bytes
from conformance.cases import Case
from conformance.faulty_base import BASES_AT, CORRUPT, base, fault, parts
from conformance.faulty_native import changed
from gscodec.branches.native.bases import region_bytes

BASES = StreamKind.BASES
TOO_MANY = 257 * region_bytes(1)


def bases_cases() -> Iterator[Case]:
    """All of them; that BASES is missing is among ``faulty_container``."""
    sizes = (
        ("short", "BASES is a byte too short.", lambda d: d[:-1]),
        ("long", "BASES is a byte too long.", lambda d: d + b"\0"),
        ("short-region", "BASES of half a region.", lambda d: d[: len(d) // 4]),
    )
    for name, sentence, how in sizes:
        yield fault(f"bases-{name}", sentence, CORRUPT, "field BASES", lambda f=how: changed(BASES, None, f))
    for name, coder in (("raw", Coder.RAW), ("zstd", Coder.ZSTD)):
        sentence = f"257 regions, in {coder.name}."
        yield fault(f"bases-257-regions-{name}", sentence, CORRUPT, "too many regions", lambda c=coder: of_zeros(c))
    beyond = float(np.nextafter(np.float32(2.0**100), np.float32(np.inf)))
    centres = (("nan", "NaN"), ("inf", "infinite"), ("-inf", "-infinite"), (beyond, "just above 2**100"),
               (-(2.0**101), "-2**101"))  # fmt: skip
    for number, (value, text) in enumerate(centres):
        centre = struct.pack("<f", float(value))
        sentence = f"The z of the second region's centre is {text}."
        yield fault(
            f"bases-centre-{number}",
            sentence,
            CORRUPT,
            "centre of a region",
            lambda v=centre: changed(BASES, None, lambda d: put_bytes(d, 20, v)),
        )
    yield fault("bases-centre-first", "The x of the first region's centre is NaN.", CORRUPT, "centre of a region",
                lambda: changed(BASES, None, lambda d: put_bytes(d, 0, struct.pack("<f", float("nan")))))  # fmt: skip
    yield fault(
        "bases-coder", "BASES with coder RANS.", CORRUPT, "coder", lambda: edit_entry(base(), BASES_AT, "coder", 2)
    )
    frame = zstandard.ZstdCompressor().compress(b"")
    for name, sentence, payload in (
        ("no-frame", "BASES in ZSTD, of no bytes at all, raw_length 0.", b""),
        ("zstd-empty", "BASES in ZSTD, a frame without content, raw_length 0.", frame),
    ):
        yield fault(f"bases-{name}", sentence, CORRUPT, "zstd", lambda p=payload: packed(p, 0))
    yield fault("bases-of-tile", "BASES as a stream of tile 0 and not of the whole file.", CORRUPT, "missing", of_tile)
    yield fault("bases-none", "BASES without the regions that the digests were made with.", CORRUPT, "digest",
                lambda: changed(BASES, None, lambda _: b""))  # fmt: skip
    yield fault("bases-centres-swapped", "The centres of the two regions are swapped, their matrices are not.",
                CORRUPT, "digest", lambda: changed(BASES, None, lambda d: d[12:24] + d[:12] + d[24:]))  # fmt: skip
    yield fault("bases-matrix", "An entry of a matrix is not the one that the digests were made with.", CORRUPT,
                "digest", lambda: changed(BASES, None, lambda d: put_bytes(d, 24, bytes([d[24] ^ 128]))))  # fmt: skip


def packed(payload: bytes, raw_length: int) -> bytes:
    """BASES with coder ZSTD."""
    return parts().put(BASES, None, payload, coder=Coder.ZSTD, raw_length=raw_length).file()


def of_zeros(coder: Coder) -> bytes:
    """A region more than there may be, all of zeros."""
    if coder == Coder.ZSTD:
        return packed(zstandard.ZstdCompressor(level=19).compress(bytes(TOO_MANY)), TOO_MANY)
    return changed(BASES, None, lambda _: bytes(TOO_MANY))


def of_tile() -> bytes:
    """BASES moved to tile 0."""
    own: Parts = parts()
    return own.without(BASES).plus(replace(own.find(BASES), tile=0)).file()
