"""The bin uncommon: valid files that gscodec's encoder does not write."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import zstandard

from bitstream_spec.layout import TILE_RECORD, Coder, StreamKind
from conformance.assembly import Parts, patched, put_tables, tables_of
from conformance.cases import Case, lossless, native
from conformance.sample_clouds import noise, repeated, scene, with_extras
from gscodec.bitstream.entries import Stream
from gscodec.branches.lossless import encode as lossless_encode
from gscodec.branches.lossless.parameters import Parameters
from gscodec.branches.lossless.syntax import MODE_CELLS
from gscodec.branches.native import encode as native_encode
from gscodec.branches.native.footprint import Classes, Zone
from gscodec.branches.native.tiling import tile_exponent
from gscodec.cloud import GaussianCloud
from gscodec.config import StepOffsets
from gscodec.digest import DIGEST_BYTES
from gscodec.entropy.bytes import decompress
from gscodec.entropy.tables import TOTAL

UNKNOWN_KIND = 0x7000


def uncommon_cases() -> list[Case]:
    """The bin uncommon."""
    cases: list[Case] = []

    def add(name: str, sentence: str, build: Callable[[], bytes]) -> None:
        cases.append(Case("uncommon", name, sentence, build))

    extra = Stream(UNKNOWN_KIND, Coder.RAW, b"private data of some tool", 25, None, critical=False)
    add(
        "unknown-ancillary",
        "An ancillary stream of unknown kind for the whole file.",
        lambda: four_tiles().plus(extra).file(),
    )
    add(
        "unknown-ancillary-tiles",
        "An ancillary stream of unknown kind in each tile, coder RANS but no such data.",
        lambda: four_tiles().plus(*(replace(extra, tile=i, coder=Coder.RANS, raw_length=999) for i in range(4))).file(),
    )
    add(
        "unknown-ancillary-empty",
        "Ancillary streams of unknown kind and length 0, one the last of the file.",
        lambda: four_tiles().plus(*(replace(extra, tile=i, payload=b"", raw_length=0) for i in (None, 3))).file(),
    )
    add(
        "foreign-kind",
        "A native file with an ancillary SCHEMA, a kind that the native branch does not name.",
        lambda: four_tiles().plus(Stream(StreamKind.SCHEMA, Coder.RAW, b"{}", 2, None, critical=False)).file(),
    )
    add("no-meta", "A native file without META.", lambda: four_tiles().without(StreamKind.META).file())
    add("meta-empty", "META is an empty object.", lambda: plain_meta(b"{}"))
    add("meta-members", "META with further members, in RAW.", other_meta)
    add("tables-unused", "Tables for contexts that never occur, over all symbols.", unused_tables)
    add("tables-raw", "TABLES in RAW.", lambda: repacked(four_tiles(), StreamKind.TABLES, None).file())
    add(
        "tables-zstd-checksum",
        "TABLES in a Zstandard frame with a checksum and no compression to speak of.",
        lambda: repacked(
            four_tiles(), StreamKind.TABLES, zstandard.ZstdCompressor(level=-5, write_checksum=True)
        ).file(),
    )
    add("streams-reversed", "The streams lie in the file in the reverse of the usual order.", streams_reversed)
    add("tiles-permuted", "The tiles in another order.", permuted)
    add("infinite-bounds", "Tiles with infinite bounds.", infinite_bounds)
    add("depth-0", "All splats of a tile in one leaf, the tile's cube, though they differ.", lambda: octree(0))
    add("depth-21", "Octrees of the greatest depth.", lambda: octree(21))
    add("depths-all", "One tile with octrees of 22 depths.", lambda: octree(None))
    add("steps-smallest", "All base steps are 1: codes with many extra bits.", lambda: with_steps(1))
    add("steps-largest", "All base steps are 16777215.", lambda: with_steps((1 << 24) - 1))
    add("not-dependent", "Quantisation is not dependent, at the default quality.", lambda: with_values(dependent=0))
    add(
        "dependent-coarsest",
        "Quantisation is dependent at quality 1: codes of 0 and 1.",
        lambda: with_values(quality=1, dependent=1),
    )
    add("weights-random", "Weight classes that have nothing to do with the splats.", random_weights)
    add(
        "rotation-finest",
        "Rotation codes of 8192 levels throughout.",
        lambda: with_values(direction_offset=1 << 22, roll_offset=1 << 22),
    )
    add(
        "rotation-coarsest",
        "Rotation codes of one level throughout.",
        lambda: with_values(direction_offset=-(1 << 22), roll_offset=-(1 << 22)),
    )
    add("cell-smallest", "cell_size 2**-100, so that the tiles' exponents are large.", lambda: with_cells(2.0**-100))
    add("cell-largest", "cell_size 2**100, so that the tiles' exponents are small.", lambda: with_cells(2.0**100))
    add(
        "zone-far",
        "A viewing zone at the edge of the permitted range.",
        lambda: with_values(zone_centre=(2.0**100, -(2.0**100), 0.0), zone_radius=2.0**-100),
    )
    add("predictors-wild", "Predictors of no use, with factors up to the limit.", wild_predictors)
    add(
        "lossless-schema-recoded",
        "SCHEMA packed the other way: RAW for ZSTD.",
        lambda: repacked(Parts.of(lossless(with_extras(scene(30, 0, 300), 300))), StreamKind.SCHEMA, None).file(),
    )
    add("lossless-no-references", "No row refers to another.", lambda: with_references(lambda rows: np.full(rows, -1)))
    add(
        "lossless-first-row",
        "Every row refers to the first one.",
        lambda: with_references(lambda rows: np.where(np.arange(rows) > 0, 0, -1)),
    )
    add(
        "lossless-chain",
        "Every row refers to the one before.",
        lambda: with_references(lambda rows: np.arange(rows) - 1),
    )
    add("lossless-weights", "Prediction weights at the limits of their type: sums that must be clamped and wrapped.",
        wild_weights)  # fmt: skip
    return cases


def four_tiles() -> Parts:
    """The file that most cases start from."""
    return Parts.of(native(scene(24, 1, 301, ("four tiles",)), tile_splats=6))


def streams_reversed() -> bytes:
    """The last entry's stream first."""
    parts = four_tiles()
    turned = (replace(stream, layer=-number) for number, stream in enumerate(parts.streams))
    return Parts(parts.header, tuple(turned)).file()


def other_meta() -> bytes:
    """META as another writer might have it."""
    text = json.dumps({"generator": "another encoder", "comments": ["one"], "list": [1, {"a": None}]}).encode()
    return plain_meta(text)


def plain_meta(text: bytes) -> bytes:
    """Another META, in RAW."""
    return four_tiles().put(StreamKind.META, None, text, coder=Coder.RAW).file()


def unused_tables() -> bytes:
    """A table for every context."""
    parts = four_tiles()
    freqs = tables_of(parts)
    even = np.full(72, TOTAL // 72, np.uint16)
    even[0] += TOTAL - int(even.sum())
    freqs[freqs.max(axis=1) == 0] = even
    return put_tables(parts, freqs).file()


def repacked(parts: Parts, kind: StreamKind, packer: zstandard.ZstdCompressor | None) -> Parts:
    """A stream of plain bytes stored RAW, or packed by ``packer``."""
    stream = parts.find(kind)
    raw = decompress(stream.coder, stream.payload, stream.raw_length, stream.raw_length)
    if packer is None:
        return parts.put(kind, None, raw, coder=Coder.RAW)
    return parts.put(kind, None, packer.compress(raw), coder=Coder.ZSTD, raw_length=len(raw))


def permuted() -> bytes:
    """Tile 0..3 become 2, 0, 3, 1."""
    parts, order = four_tiles(), (1, 3, 0, 2)  # new tile i is old tile order[i]

    def shuffled(size: int) -> Callable[[bytes], bytes]:
        return lambda data: b"".join(data[size * old : size * (old + 1)] for old in order)

    parts = parts.change(StreamKind.TILES, None, shuffled(TILE_RECORD.size))
    parts = parts.change(StreamKind.DIGESTS, None, shuffled(DIGEST_BYTES))
    moved = (replace(s, tile=None if s.tile is None else order.index(s.tile)) for s in parts.streams)
    return replace(parts, streams=tuple(moved)).file()


def infinite_bounds() -> bytes:
    """Tile 0 unbounded in all, tile 1 in one direction."""

    def widen(data: bytes) -> bytes:
        records = [TILE_RECORD.unpack(data, i * TILE_RECORD.size) for i in range(4)]
        inf = float("inf")
        records[0] |= {"min": (-inf,) * 3, "max": (inf,) * 3}
        records[1]["max"] = (*records[1]["max"][:2], inf)
        return b"".join(TILE_RECORD.pack(record) for record in records)

    return four_tiles().change(StreamKind.TILES, None, widen).file()


def octree(depth: int | None) -> bytes:
    """One tile with octrees of one depth, or of all depths."""
    real = native_encode.classify

    def classify(zone: Zone, positions: Any, *rest: Any) -> Classes:
        classes = real(zone, positions, *rest)
        cell = native_encode.base_steps(75.0, zone, StepOffsets())["cell_size"]
        extent = float(np.ptp(positions.astype(np.float64), axis=0).max())
        exponent = tile_exponent(extent, cell, classes.places)
        depths = np.arange(len(positions)) % 22 if depth is None else np.full(len(positions), depth)
        return replace(classes, places=(depths - exponent).astype(np.int32))

    with patched(native_encode, classify=classify):
        return native(scene(66, 1, 302))


def random_weights() -> bytes:
    """All 32 weight classes at random."""
    real = native_encode.classify

    def classify(zone: Zone, positions: Any, *rest: Any) -> Classes:
        classes = real(zone, positions, *rest)
        drawn = np.random.default_rng(303).integers(0, 32, len(positions)).astype(np.uint8)
        return replace(classes, weights=drawn)

    with patched(native_encode, classify=classify):
        return native(scene(100, 3, 303))


def with_values(cloud: GaussianCloud | None = None, quality: float = 75, **values: Any) -> bytes:
    """Other values in PARAMS, and a file that fits them."""
    real = native_encode.base_steps
    with patched(native_encode, base_steps=lambda *given: real(*given) | values):
        return native(cloud or scene(60, 2, 304), quality)


def with_cells(cell_size: float) -> bytes:
    """Another cell_size, the leaves as large as ever."""
    real = native_encode.classify

    def classify(zone: Zone, *rest: Any) -> Classes:
        classes = real(zone, *rest)
        shift = round(math.log2(cell_size / usual(75.0, zone, StepOffsets())["cell_size"]))
        return replace(classes, places=(classes.places + shift).astype(np.int32))

    usual = native_encode.base_steps
    with patched(native_encode, classify=classify):
        return with_values(cell_size=cell_size)


def with_steps(step: int) -> bytes:
    """One base step for all attributes."""
    names = ("scale_step", "ratio_step", "opacity_step", "dc_step")
    return with_values(**dict.fromkeys(names, step), ac_step=(step,) * 4)


def wild_predictors() -> bytes:
    """Predictors that no fit gives."""
    limit = 1 << 22
    factors = {5: [-limit, 70000, -65536, 4096, limit], 6: [limit, -4096, 12345, -limit, 8192, 3]}
    with patched(
        native_encode,
        fit_predictor=lambda _target, features: factors[1 + features.shape[1]],
        _expected_energy=lambda *_: {
            "energy_prior": tuple(2114 * i for i in range(32)),
            "profile": tuple(911 * (71 - i) for i in range(72)),
        },
    ):
        return native(scene(60, 1, 305))


def with_references(choose: Callable[[int], Any]) -> bytes:
    """References int32[rows] as ``choose`` gives them."""
    with patched(lossless_encode, choose_references=lambda near, *_rest: choose(len(near)).astype(np.int32)):
        return lossless(repeated(scene(20, 1, 307), 2))


def wild_weights() -> bytes:
    """Weights -32768 and 32767 in all columns."""
    weights = np.array([32767, -32768, 32767, -32768, -32768, 32767], np.int64)
    with patched(lossless_encode, choose_parameters=lambda *_: Parameters(MODE_CELLS, base=1, weights=weights)):
        return lossless(noise(40, 1, 308))
