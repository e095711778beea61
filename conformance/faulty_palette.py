"""Faults of PALETTE and INDICES. The base file has two tiles of SH degree 1 and six entries."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import Coder, StreamKind
from conformance.assembly import Parts, put_bytes, put_tables, tables_of
from conformance.cases import Case, native
from conformance.faulty_base import CORRUPT, fault
from conformance.palettes import Coded, recoded
from conformance.sample_clouds import scene
from conformance.uncommon_palettes import ENTRIES, base
from gscodec.branches.native.syntax import ENTRY_WEIGHT, INDEX, PALETTE_TABLES
from gscodec.entropy.tables import TOTAL

U16 = npt.NDArray[np.uint16]
PALETTE, INDICES = StreamKind.PALETTE, StreamKind.INDICES


def palette_cases() -> Iterator[Case]:
    """All of them."""
    for name, sentence, about, payload in (
        ("empty", "PALETTE of no bytes.", "truncated", lambda _: b""),
        ("head", "PALETTE ends within its head.", "truncated", lambda d: d[:3]),
        ("head-only", "PALETTE ends after its head.", "truncated planes", lambda d: d[:4]),
        ("zero", "A palette of no entries.", "number of entries", lambda d: number(d, 0)),
        ("huge", "A palette of 262145 entries.", "number of entries", lambda d: number(d, 262145)),
        ("2-32", "A palette of 4294967295 entries.", "number of entries", lambda d: number(d, (1 << 32) - 1)),
        ("splats", "An entry more than splats.", "number of entries", lambda d: number(d, 25)),
        ("less", "An entry less than PALETTE has.", "raw length", lambda d: number(d, ENTRIES - 1)),
        ("more", "An entry more than PALETTE has.", "raw length", lambda d: number(d, ENTRIES + 1)),
        ("short", "PALETTE is two bytes too short.", "", lambda d: d[:-2]),
        ("long", "A byte follows PALETTE.", "", lambda d: d + b"\1"),
    ):
        yield fault(f"palette-{name}", sentence, CORRUPT, about,
                    lambda f=payload: base().change(PALETTE, None, f).file())  # fmt: skip
    for name, entries in (("splats", 24), ("more", ENTRIES + 1), ("less", ENTRIES - 1)):
        sentence = f"{entries} entries, also by raw_length, of which {ENTRIES} are there."
        yield fault(f"palette-raw-{name}", sentence, CORRUPT, "", lambda n=entries: of_entries(n))
    for coder in (Coder.RAW, Coder.ZSTD):
        sentence = f"PALETTE with coder {coder.name}."
        yield fault(f"palette-{coder.name.lower()}", sentence, CORRUPT, "coder", lambda c=coder: with_coder(PALETTE, c))
    for name, sentence, about, build in (
        ("missing", "INDICES but no PALETTE.", "missing", lambda: without_group(base().without(PALETTE)).file()),
        ("of-tile", "PALETTE as a stream of tile 0.", "missing", of_tile),
        ("refined", "A progressive file with a PALETTE.", "refinements cannot correct a palette", refined),
        ("weight-class", "Weight class 32 of an entry.", "weight class", lambda: changed(heavy)),
        ("bit-2", "A table of INDICES gives 2.", "neither 0 nor 1", lambda: changed(two)),
        ("bit-71", "A table of INDICES that is not used gives 71.", "neither 0 nor 1", lambda: changed(unused)),
        ("class-missing", "The weight class of an entry is missing.", "", lambda: changed(short)),
        ("six-groups", "TABLES have no group PALETTE.", "table", lambda: without_group(base()).file()),
        ("missing-tables", "PALETTE is not there, its group of TABLES is.", "table",
         lambda: base().without(PALETTE).file()),
        ("table-less", "A table less than there must be in TABLES.", "table",
         lambda: with_tables(lambda freqs: freqs[:-1])),
        ("table-more", "A table more than there must be in TABLES.", "table",
         lambda: with_tables(lambda freqs: np.concatenate([freqs, freqs[-1:]]))),
        ("no-table-class", "No table for the weight classes of entries.", "", lambda: without_table(ENTRY_WEIGHT)),
        ("no-table-bit", "No table for the first bits of INDICES.", "", lambda: without_table(INDEX + 4)),
        ("other", "Another code of an entry.", "digest", lambda: changed(other)),
    ):  # fmt: skip
        yield fault(f"palette-{name}", sentence, CORRUPT, about, build)
    for name, sentence, about, build in (
        ("missing", "INDICES of tile 1 are not there.", "missing", lambda: base().without(INDICES, 1).file()),
        ("ac", "AC1 in place of INDICES.", "missing", in_place_of_indices),
        ("coder", "INDICES with coder ZSTD.", "coder", lambda: with_coder(INDICES, Coder.ZSTD)),
        ("raw-length", "raw_length of INDICES is 4 too small.", "raw length", lambda: raw_length(-4)),
        ("raw-length-more", "raw_length of INDICES is 4 too large.", "raw length", lambda: raw_length(4)),
        ("empty", "INDICES of no bytes.", "", lambda: base().change(INDICES, 0, lambda _: b"").file()),
        ("short", "INDICES are two bytes too short.", "", lambda: base().change(INDICES, 0, lambda d: d[:-2]).file()),
        ("long", "A byte follows INDICES.", "", lambda: base().change(INDICES, 0, lambda d: d + b"\1").file()),
        ("swapped", "INDICES of two tiles are swapped.", "", swapped),
        ("bit-missing", "The last bit of INDICES is missing.", "", lambda: changed(bit_less)),
        ("bit-more", "INDICES have a bit too many.", "", lambda: changed(bit_more)),
        ("other", "Another bit at the end of INDICES.", "", lambda: changed(other_entry)),
    ):
        yield fault(f"indices-{name}", sentence, CORRUPT, about, build)


def number(data: bytes, entries: int) -> bytes:
    """PALETTE with another number of entries."""
    return put_bytes(data, 0, struct.pack("<I", entries))


def of_entries(entries: int) -> bytes:
    """Another number of entries, and the raw_length that belongs to it."""
    return base().put(PALETTE, None, number(base().payload(PALETTE), entries), raw_length=36 * entries).file()


def with_coder(kind: StreamKind, coder: Coder) -> bytes:
    """Another coder for a stream, the raw_length of which stays unless it is RAW."""
    tile = None if kind == PALETTE else 0
    return base().put(kind, tile, base().payload(kind, tile), coder=coder).file()


def of_tile() -> bytes:
    """PALETTE moved to tile 0."""
    return without_group(base().without(PALETTE).plus(replace(base().find(PALETTE), tile=0))).file()


def refined() -> bytes:
    """A palette beside refinements."""
    return Parts.of(native(scene(20, 1, 510), 60, refinements=1)).plus(base().find(PALETTE)).file()


def in_place_of_indices() -> bytes:
    """INDICES of tile 0 by another name."""
    indices = base().find(INDICES, 0)
    return base().without(INDICES, 0).plus(replace(indices, kind=StreamKind.AC1)).file()


def raw_length(by: int) -> bytes:
    """Another raw_length of INDICES of tile 0."""
    return base().put(INDICES, 0, base().payload(INDICES, 0), raw_length=base().find(INDICES, 0).raw_length + by).file()


def swapped() -> bytes:
    """INDICES of both tiles in each other's place."""
    first, second = (base().payload(INDICES, tile) for tile in (0, 1))
    return base().put(INDICES, 0, second).put(INDICES, 1, first).file()


def changed(change: Callable[[Coded], None]) -> bytes:
    """The base file with other planes, in tables that fit."""
    return recoded(base(), change).file()


def without_group(parts: Parts) -> Parts:
    """TABLES as in a file without a palette."""
    return put_tables(parts, tables_of(base())[: ENTRY_WEIGHT - PALETTE_TABLES])


def with_tables(change: Callable[[U16], U16]) -> bytes:
    """The base file with other TABLES; nothing is coded anew."""
    return put_tables(base(), change(tables_of(base()))).file()


def without_table(context: int) -> bytes:
    """The base file with a table less than there must be; ``context`` as PALETTE counts."""

    def cut(freqs: U16) -> U16:
        freqs[len(freqs) - PALETTE_TABLES + context] = 0
        return freqs

    return with_tables(cut)


def heavy(coded: Coded) -> None:
    """A weight class too high."""
    coded.entries[0].values[3] = 32
    coded.freqs = coded.fitting()


def two(coded: Coded) -> None:
    """A bit that is none."""
    coded.indices[0][5].values[:] = 2
    coded.freqs = coded.fitting()


def unused(coded: Coded) -> None:
    """A table for contexts that do not occur."""
    coded.freqs[-1, 71] = TOTAL


def short(coded: Coded) -> None:
    """The first plane is cut."""
    first = coded.entries[0]
    first.values, first.contexts = first.values[:-1], first.contexts[:-1]


def other(coded: Coded) -> None:
    """A code of the last plane, which has no influence on contexts, is one more."""
    coded.entries[-1].values[-1] += 1
    coded.freqs = coded.fitting()


def bit_less(coded: Coded) -> None:
    """Of tile 1."""
    coded.indices[1].pop()


def bit_more(coded: Coded) -> None:
    """Of tile 1, the last one twice."""
    coded.indices[1].append(coded.indices[1][-1])


def other_entry(coded: Coded) -> None:
    """The last bit of a tile is another one."""
    last = coded.indices[1][-1]
    last.values = np.asarray(1 - last.values, np.uint32)
    coded.freqs = coded.fitting()
