"""Faults of progressive files: of REFINEMENTS, and corrections out of range. The base file has two refinements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any
from unittest import mock

import numpy as np

from bitstream_spec.layout import NATIVE_PARAMS, NATIVE_REFINEMENT, Coder, StreamKind
from conformance.assembly import Parts, edit_entry, put_field, stream_count
from conformance.cases import Case, native
from conformance.faulty_base import CORRUPT, LIMIT, fault
from conformance.sample_clouds import scene
from gscodec import decode
from gscodec.bitstream.source import BytesSource
from gscodec.branches.native import decode as native_decode
from gscodec.branches.native.coefficients import code_correction
from gscodec.branches.native.refinement import KINDS, TABLE_COUNT, ComponentPlane, Refinements
from gscodec.decoder import Decoder
from gscodec.entropy.bytes import compress, decompress
from gscodec.entropy.planes import PlaneReader, PlaneWriter
from gscodec.entropy.tables import FrequencyTables
from gscodec.entropy.tokens import ALPHABET, zigzag

Change = Callable[[str, int, Any], Any]
SIZE = NATIVE_REFINEMENT.size
SCALE_BITS = 16384


@cache
def base() -> bytes:
    """The file that is damaged: one tile, SH degree 1, no regions."""
    return native(scene(8, 1, 410), 60, refinements=2)


def parts() -> Parts:
    """Its parts."""
    return Parts.of(base())


def refinement_cases() -> Iterator[Case]:
    """All of them."""
    raw = unpacked(parts())
    first, tables = raw[1 : 1 + SIZE], raw[1 + 2 * SIZE :]
    number_of = "number of refinements"
    for name, sentence, payload, about in (
        ("none", "REFINEMENTS of no bytes.", b"", number_of),
        ("zero", "No refinements in REFINEMENTS.", b"\0" + tables, number_of),
        ("four", "Four refinements.", b"\4" + first * 4 + tables, number_of),
        ("255", "255 refinements.", b"\xff" + first * 255 + tables, number_of),
        ("short", "REFINEMENTS ends within its second refinement.", raw[: 2 * SIZE], "truncated"),
        ("table-less", "A table less than there must be.", raw[:-1], "tables"),
        ("table-more", "A table more than there must be.", raw + b"\0", "tables"),
        ("prior", "An energy_prior is not the one that was coded with.", raw[:1] + b"\xff" * 64 + raw[65:], ""),
        ("fewer", "One refinement where the digests were made with two.", b"\1" + first + tables, "digest"),
    ):
        yield fault(f"refinements-{name}", sentence, CORRUPT, about, lambda p=payload: put(parts(), p).file())
    long = raw + bytes(1 << 20)
    yield fault("refinements-long", "REFINEMENTS of a megabyte.", LIMIT, "too long", lambda: put(parts(), long).file())
    for name, sentence, about, build in (
        ("coder", "REFINEMENTS with coder RANS.", "coder", lambda: coder(StreamKind.REFINEMENTS, 2)),
        ("of-tile", "REFINEMENTS as a stream of tile 0: the scene is the coarse one.", "digest", of_tile),
        ("swapped", "REFINE1 and REFINE2 are swapped.", "", swapped),
        ("dependent", "PARAMS says that quantisation is dependent.", "field dependent", dependent),
    ):
        yield fault(f"refinements-{name}", sentence, CORRUPT, about, build)
    for kind in KINDS[:2]:
        yield from corrections_cases(kind, kind.name)


def corrections_cases(kind: StreamKind, own: str) -> Iterator[Case]:
    """Of one refinement."""
    length = parts().find(kind, 0).raw_length
    for name, sentence, about, build in (
        ("missing", f"{own} is not there.", "missing", lambda: parts().without(kind, 0).file()),
        ("coder", f"{own} with coder ZSTD.", "coder", lambda: coder(kind, 1)),
        ("raw-length-less", f"raw_length of {own} is 4 too small.", "raw length", lambda: raw_length(kind, length - 4)),
        ("raw-length-more", f"raw_length of {own} is 4 too large.", "raw length", lambda: raw_length(kind, length + 4)),
        ("short", f"{own} is two bytes too short.", "", lambda: parts().change(kind, 0, lambda d: d[:-2]).file()),
        ("long", f"A byte follows {own}.", "", lambda: parts().change(kind, 0, lambda d: d + b"\1").file()),
    ):
        yield fault(f"{own.lower()}-{name}", sentence, CORRUPT, about, build)
    for axis, by in ((0, 2), (1, -2), (2, 1000)):
        sentence = f"{own} moves a position by {by} thirds of its part of a cell."
        build = partial(recode, kind, to("offsets", axis, by))
        yield fault(f"{own.lower()}-position-{axis}", sentence, CORRUPT, "leaves its part of a cell", build)
    for plane, name in enumerate("abr"):
        for side, by in (("above", 1 << 20), ("below", -(1 << 20))):
            sentence = f"{own} takes a rotation code {name} {side} the levels there are."
            build = partial(recode, kind, to("rotations", plane, by))
            yield fault(f"{own.lower()}-rotation-{name}-{side}", sentence, CORRUPT, "beyond its levels", build)


def coder(kind: StreamKind, value: int) -> bytes:
    """Another coder for a stream."""
    return edit_entry(base(), place(kind), "coder", value)


def place(kind: StreamKind) -> int:
    """Number of the first stream of a kind in the table of contents."""
    found = [number for number, stream in enumerate(parts().streams) if stream.kind == kind]
    if stream_count(base()) != len(parts().streams):
        raise RuntimeError("streams are not listed one by one")
    return found[0]


def unpacked(own: Parts) -> bytes:
    """The REFINEMENTS payload without compression."""
    stream = own.find(StreamKind.REFINEMENTS)
    return decompress(stream.coder, stream.payload, stream.raw_length, 1 << 20)


def put(own: Parts, payload: bytes) -> Parts:
    """Another REFINEMENTS."""
    coder, packed = compress(payload)
    return own.put(StreamKind.REFINEMENTS, None, packed, coder=Coder(coder), raw_length=len(payload))


def of_tile() -> bytes:
    """REFINEMENTS moved to tile 0."""
    own = parts()
    return own.without(StreamKind.REFINEMENTS).plus(replace(own.find(StreamKind.REFINEMENTS), tile=0)).file()


def raw_length(kind: StreamKind, value: int) -> bytes:
    """Another raw_length of a refinement of tile 0."""
    return edit_entry(base(), place(kind), "raw_length", value)


def swapped() -> bytes:
    """The two refinements in each other's place."""
    first, second = (parts().payload(kind, 0) for kind in KINDS[:2])
    return parts().put(KINDS[0], 0, second).put(KINDS[1], 0, first).file()


def dependent() -> bytes:
    """PARAMS of a file that is not progressive."""
    return parts().change(StreamKind.PARAMS, None, lambda d: put_field(d, NATIVE_PARAMS, 0, "dependent", 1)).file()


def to(name: str, column: int, by: int) -> Change:
    """The fifth correction of a plane is another one."""

    def change(own: str, own_column: int, codes: Any) -> Any:
        return np.where(np.arange(len(codes)) == 4, by, codes) if (own, own_column) == (name, column) else codes

    return change


def recode(kind: StreamKind, change: Change) -> bytes:
    """The base file with other corrections in one refinement, in tables that code any."""
    return recoded(parts(), kind, change).file()


def recoded(own: Parts, kind: StreamKind, change: Change) -> Parts:
    """The refinements of a file of one tile coded again, with what ``change`` makes of those of ``kind``."""
    refinements: Refinements = Decoder(BytesSource(own.file()))._shared.refinements
    tables = FrequencyTables(
        np.repeat((SCALE_BITS // ALPHABET + (np.arange(ALPHABET) < SCALE_BITS % ALPHABET))[None], TABLE_COUNT, axis=0)
        .astype(np.uint16)
    )  # fmt: skip
    writers = [PlaneWriter(TABLE_COUNT) for _ in refinements.params]
    made: list[native_decode.Reading] = []

    class Copying(native_decode.Reading):
        """Reads what is there, and writes what ``change`` makes of it."""

        def __init__(self, reader: PlaneReader) -> None:
            super().__init__(reader)
            self.number = len(made)
            made.append(self)

        def plane(self, name: str, column: int, values: Any, steps: Any, contexts: Any, start: int = 0, /) -> Any:
            codes = super().plane(name, column, values, steps, contexts, start)
            written = change(name, column, codes) if KINDS[self.number] == kind else codes
            writers[self.number].put(zigzag(written.astype(np.int32)), contexts)
            return codes

        def component(self, plane: ComponentPlane) -> None:
            corrected = plane._replace(values=plane.values.copy(), energy=plane.energy.copy())
            super().component(corrected)
            writers[self.number].put(*code_correction(corrected.values, *plane.given))

    with mock.patch.object(native_decode, "Reading", Copying):
        decode(own.file(), threads=1)
    for number, writer in enumerate(writers):
        own = own.put(KINDS[number], 0, writer.finish(tables))
    return put(own, replace(refinements, tables=tables).pack())
