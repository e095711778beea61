"""Valid palettes that gscodec's encoder does not write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from unittest import mock

import numpy as np

from bitstream_spec.layout import Coder, StreamKind
from conformance.assembly import Parts, patched
from conformance.cases import Case, native
from conformance.palettes import Coded, recoded
from conformance.sample_clouds import extremes, scene, with_shared_sh
from conformance.uncommon_bases import random_matrices
from gscodec.bitstream.entries import Stream
from gscodec.branches.native import encode as native_encode
from gscodec.branches.native import encode_palette, repeats
from gscodec.branches.native.bases import Bases
from gscodec.branches.native.colour_bases import ColourTransform
from gscodec.cloud import GaussianCloud
from gscodec.entropy.tables import TOTAL

ENTRIES = 6


def uncommon_palette_cases() -> list[Case]:
    """The cases, of the bin uncommon."""
    cases: list[Case] = []

    def add(name: str, sentence: str, build: Callable[[], bytes]) -> None:
        cases.append(Case("uncommon", name, sentence, build))

    add("palette-each-its-own", "As many entries as splats, each of one splat.", lambda: unshared(60))
    add("palette-of-one-splat", "One splat, one entry.", lambda: unshared(1))
    add("palette-of-two", "Two splats, two entries.", lambda: unshared(2))
    add("palette-entries-unused", "Entries that no splat has, some of them equal: as many entries as splats.", unused)
    add("palette-order-random", "Entries in an order without sense.", in_random_order)
    add("palette-weights-random", "Weight classes of entries, from 0 to 31, that have nothing to do with the splats.",
        lambda: with_classes(np.random.default_rng(502).integers(0, 32, ENTRIES)))  # fmt: skip
    add("palette-weights-smallest", "All entries of weight class 0: most codes are 0.",
        lambda: with_classes(np.zeros(ENTRIES)))  # fmt: skip
    add("palette-weights-largest", "All entries of weight class 31, SH up to 1e5: many extra bits.",
        lambda: with_classes(np.full(ENTRIES, 31), extremes(80, 503)))  # fmt: skip
    add("palette-in-regions", "Components of a palette in the bases of two regions.", in_regions)
    add("palette-tables-unused", "Tables for contexts that never occur; those of INDICES over 0 and 1.", unused_tables)
    add("palette-ancillary", "PALETTE and INDICES whose critical bit is clear.", ancillary)
    add("palette-degree-0", "A file of SH degree 0 with a PALETTE that is none, and REFINEMENTS, too: to be skipped.",
        lambda: Parts.of(native(scene(20, 0, 504), refinements=1)).plus(none(None)).file())  # fmt: skip
    add("palette-and-ac", "AC1 in each tile beside INDICES, to be skipped.",
        lambda: base().plus(*(replace(none(tile), kind=StreamKind.AC1) for tile in range(2))).file())  # fmt: skip
    add("palette-of-tiles-too", "A PALETTE in each tile, to be skipped, beside that of the whole file.",
        lambda: base().plus(none(0), none(1)).file())  # fmt: skip
    add("indices-without-palette", "INDICES in each tile of a file with AC1 and without PALETTE, to be skipped.",
        lambda: Parts.of(native(scene(20, 1, 505), tile_splats=10)).plus(
            *(replace(none(tile), kind=StreamKind.INDICES) for tile in range(2))).file())  # fmt: skip
    return cases


def none(tile: int | None) -> Stream:
    """A PALETTE that is none."""
    return Stream(StreamKind.PALETTE, Coder.RAW, b"none", 4, tile)


@cache
def base() -> Parts:
    """The file that most cases start from: two tiles of SH degree 1."""
    return Parts.of(native(shared(scene(24, 1, 500)), tile_splats=12, palette=True))


def shared(cloud: GaussianCloud) -> GaussianCloud:
    """With a palette's worth of SH."""
    return with_shared_sh(cloud, ENTRIES, 500)


def unshared(count: int) -> bytes:
    """A palette where nothing is shared."""
    with (
        patched(repeats, MOST_DISTINCT=1.0),
        patched(native_encode, find_shared=lambda sh, kept, pool: repeats.find_shared(sh, kept, pool) or alone(sh)),
    ):
        return native(scene(count, 2, 501), palette=True)


def alone(sh_rest: repeats.F32) -> repeats.SharedSh:
    """Each splat's own SH."""
    return repeats.SharedSh(sh_rest, np.arange(len(sh_rest)))


def with_entries(change: Callable[[repeats.SharedSh], repeats.SharedSh]) -> bytes:
    """A file of 40 splats with another palette of the same meaning."""
    real = repeats.find_shared

    def find(*given: object) -> repeats.SharedSh:
        return change(real(*given))  # type: ignore[arg-type]

    with patched(native_encode, find_shared=find):
        return native(shared(scene(40, 1, 506)), palette=True)


def unused() -> bytes:
    """34 more entries, before and behind those that splats have; classes are of those that have none, 0."""

    def more(found: repeats.SharedSh) -> repeats.SharedSh:
        rest = np.repeat(found.entries[:1], 17, axis=0) + np.float32(0.5)
        return repeats.SharedSh(np.concatenate([rest, found.entries, rest]), found.index + 17)

    with np.errstate(divide="ignore"):
        return with_entries(more)


def in_random_order() -> bytes:
    """Entries turned over."""
    order = np.random.default_rng(507).permutation(ENTRIES)
    return with_entries(lambda found: repeats.SharedSh(found.entries[order], np.argsort(order)[found.index]))


def with_classes(classes: np.ndarray, cloud: GaussianCloud | None = None) -> bytes:
    """Other weight classes of entries."""
    with patched(encode_palette, entry_classes=lambda *_: classes.astype(np.uint8)):
        return native(shared(cloud or scene(40, 1, 508)), palette=True)


def in_regions() -> bytes:
    """The entries are coded as SH and decoded as components: other colours, but a valid file."""
    centres = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], np.float32)
    colours = ColourTransform(Bases(centres, random_matrices(2, 1, 509)), np.eye(4)[None].repeat(2, axis=0))
    with mock.patch.object(ColourTransform, "plain", return_value=colours):
        return native(shared(scene(60, 1, 509)), palette=True)


def unused_tables() -> bytes:
    """Tables where the encoder has none."""

    def fill(coded: Coded) -> None:
        absent = ~coded.freqs.any(axis=1)
        coded.freqs[absent, :2] = TOTAL // 2

    return recoded(base(), fill).file()


def ancillary() -> bytes:
    """The bit has no effect, the reader knows the kinds."""
    parts = base()
    for kind, tile in ((StreamKind.PALETTE, None), (StreamKind.INDICES, 0), (StreamKind.INDICES, 1)):
        parts = parts.put(kind, tile, parts.payload(kind, tile), critical=False)
    return parts.file()
