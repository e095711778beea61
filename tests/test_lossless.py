"""The lossless branch: every bit of every property comes back, and bad bytes are refused."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import zstandard
from clouds import assert_same_arrays, random_cloud

from bitstream_spec.layout import Branch, RenderMode, StreamKind
from gscodec.bitstream.entries import Header, Stream
from gscodec.branches.lossless.decode import decode_tile, empty, parse_shared
from gscodec.branches.lossless.encode import encode_tiles
from gscodec.branches.lossless.syntax import TILE_ROWS
from gscodec.cloud import ATTRIBUTES, CloudMeta, GaussianCloud
from gscodec.errors import BadInputError, CorruptStreamError, GsbError
from gscodec.formats.ply import read_ply

TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")


def encoded(cloud: GaussianCloud, threads: int = 2) -> tuple[list[int], list[Stream]]:
    """Rows of each tile, which are in order, and all streams."""
    with ThreadPoolExecutor(threads) as pool:
        rows, streams = encode_tiles(cloud, None, pool)
    assert [row for own in rows for row in own] == list(range(len(cloud)))
    return [len(own) for own in rows], streams


def of_tile(streams: list[Stream], tile: int | None) -> dict[StreamKind, Stream]:
    return {StreamKind(stream.kind): stream for stream in streams if stream.tile == tile}


def header_of(cloud: GaussianCloud, tiles: int) -> Header:
    mode = RenderMode[cloud.meta.render_mode.upper()]
    return Header(Branch.LOSSLESS, cloud.sh_degree, len(cloud), tiles, mode)


def decoded_tiles(cloud: GaussianCloud) -> list[GaussianCloud]:
    counts, streams = encoded(cloud)
    shared = parse_shared(of_tile(streams, None), header_of(cloud, len(counts)))
    return [decode_tile(of_tile(streams, i), shared, count) for i, count in enumerate(counts)]


def assert_round_trip(cloud: GaussianCloud) -> None:
    tiles = decoded_tiles(cloud)
    assert [len(tile) for tile in tiles] == [
        min(TILE_ROWS, len(cloud) - start) for start in range(0, len(cloud), TILE_ROWS)
    ]
    for i, tile in enumerate(tiles):
        assert_same_arrays(tile, cloud.select(slice(i * TILE_ROWS, (i + 1) * TILE_ROWS)))
        assert tile.meta == cloud.meta


def noise_cloud(count: int, sh_degree: int, seed: int) -> GaussianCloud:
    """Uniform bit patterns: NaN of any payload, infinities, denormals, −0.0."""
    rng = np.random.default_rng(seed)
    cloud = random_cloud(count, sh_degree, seed)

    def noise(array: np.ndarray) -> np.ndarray:
        bits = rng.integers(0, 1 << 32, array.shape, np.uint32)
        special = rng.choice(
            np.array([0, 1 << 31, 1, 0x7F800000, 0xFF800000, 0x7F800001, 0x7FC00000], np.uint32), array.shape
        )
        return np.where(rng.random(array.shape) < 0.5, bits, special).view(np.float32)

    return replace(cloud, **{name: noise(getattr(cloud, name)) for name in ATTRIBUTES})


def with_extras(cloud: GaussianCloud, seed: int = 0) -> GaussianCloud:
    rng = np.random.default_rng(seed)
    extras = {
        f"extra_{code}": rng.integers(0, 256, 8 * len(cloud), np.uint8).view(code)[: len(cloud)] for code in TYPES
    }
    extras |= {"nx": np.zeros(len(cloud), np.float32), "label": (np.arange(len(cloud)) % 7).astype(np.int32)}
    return replace(cloud, extras=MappingProxyType(extras))


@pytest.mark.parametrize("sh_degree", range(5))
def test_every_degree_comes_back(sh_degree: int) -> None:
    assert_round_trip(random_cloud(300, sh_degree, seed=sh_degree))


@pytest.mark.parametrize("sh_degree", [0, 1, 4])
def test_any_bit_pattern_comes_back(sh_degree: int) -> None:
    assert_round_trip(with_extras(noise_cloud(500, sh_degree, seed=sh_degree)))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17])
def test_few_splats_come_back(count: int) -> None:
    assert_round_trip(with_extras(noise_cloud(count, 1, seed=count)))


def test_equal_splats_cost_nothing() -> None:
    one = random_cloud(1, 3, seed=5)
    cloud = one.select(np.zeros(5000, np.int64))
    assert_round_trip(cloud)
    assert sum(len(stream.payload) for stream in encoded(cloud)[1]) < 5000


def test_copies_come_back_and_are_found() -> None:
    some = random_cloud(2000, 3, seed=6)
    index = np.concatenate([np.arange(2000), np.random.default_rng(6).integers(0, 2000, 2000)])
    cloud = some.select(index)
    cloud.positions[2000:] += np.float32(0.001)  # siblings stand beside each other, with equal colours
    assert_round_trip(cloud)
    size, alone = (sum(len(s.payload) for s in encoded(c)[1]) for c in (cloud, some))
    assert size < 1.15 * alone


def test_quantised_columns_come_back_and_are_found() -> None:
    cloud = random_cloud(4000, 1, seed=7)
    coarse = np.round(cloud.sh_rest * 64) / 64
    halves = cloud.log_scales.astype(np.float16).astype(np.float32)
    quantised = replace(cloud, sh_rest=coarse.astype(np.float32), log_scales=halves)
    assert_round_trip(quantised)
    sizes = {kind: len(stream.payload) for kind, stream in of_tile(encoded(quantised)[1], 0).items()}
    assert sizes[StreamKind.FLOAT_AC] < 4000 * 9  # 9 values of less than a byte each
    assert sizes[StreamKind.FLOAT_SCALES] < 4000 * 3 * 2  # 3 values of 16 bits


def test_columns_near_zero_come_back() -> None:
    rng = np.random.default_rng(8)
    cloud = random_cloud(3000, 2, seed=8)
    sparse = np.where(
        rng.random(cloud.sh_rest.shape) < 0.8, 0, cloud.sh_rest * np.exp2(-rng.integers(0, 150, cloud.sh_rest.shape))
    )
    negative = np.where(rng.random(3000) < 0.3, -0.0, cloud.opacity_logits)
    assert_round_trip(replace(cloud, sh_rest=sparse.astype(np.float32), opacity_logits=negative.astype(np.float32)))


def test_several_tiles_decode_alone() -> None:
    cloud = with_extras(random_cloud(2 * TILE_ROWS + 5, 0, seed=9))
    counts, streams = encoded(cloud)
    shared = parse_shared(of_tile(streams, None), header_of(cloud, 3))
    assert counts == [TILE_ROWS, TILE_ROWS, 5]
    last = decode_tile(of_tile(streams, 2), shared, 5)
    assert_same_arrays(last, cloud.select(slice(2 * TILE_ROWS, None)))
    assert_round_trip(cloud)


def test_bytes_do_not_depend_on_the_number_of_threads() -> None:
    cloud = random_cloud(TILE_ROWS + 100, 0, seed=10)
    assert encoded(cloud, threads=1) == encoded(cloud, threads=3)


def test_meta_comes_back() -> None:
    meta = CloudMeta(comments=("é", "two"), property_order=("x", "y"), ply_format="ascii", render_mode="antialiased")
    assert_round_trip(replace(random_cloud(10, 0, seed=1), meta=meta))


def test_the_pattern_of_a_file_has_its_extras() -> None:
    cloud = with_extras(random_cloud(5, 2, seed=2))
    pattern = empty(parse_shared(of_tile(encoded(cloud)[1], None), header_of(cloud, 1)))
    assert_same_arrays(pattern, cloud.select(slice(0, 0)))
    assert pattern.meta == cloud.meta


def test_converted_properties_are_refused() -> None:
    cloud = replace(random_cloud(3, 0, seed=3), meta=CloudMeta(converted=("opacity", "x")))
    with pytest.raises(BadInputError, match="opacity, x"):
        encoded(cloud)


def test_extra_types_that_ply_has_not_are_refused() -> None:
    cloud = replace(random_cloud(3, 0, seed=3), extras=MappingProxyType({"id": np.zeros(3, np.int64)}))
    with pytest.raises(BadInputError, match="i8"):
        encoded(cloud)


@pytest.mark.parametrize(
    "meta", [CloudMeta(ply_format="pdf"), CloudMeta(property_order=("x", "x")), CloudMeta(comments=("\ud800",))]
)
def test_meta_that_no_decoder_takes_is_refused(meta: CloudMeta) -> None:
    with pytest.raises(BadInputError):
        encoded(replace(random_cloud(3, 0, seed=3), meta=meta))


def schema_text(**changes: object) -> bytes:
    fields = {"extras": [["a", "f4"]], "comments": [], "property_order": [], "ply_format": ""}
    return json.dumps(fields | changes).encode()


BAD_SCHEMAS = (
    b"",
    b"[]",
    b"\xff",
    b"[" * 100000,
    b'{"extras":[],"extras":[]}',
    schema_text(more=1),
    schema_text(extras=[["a", "i8"]]),
    schema_text(extras=[["a", ["f4"]]]),
    schema_text(extras=[["a", "f4"], ["a", "u1"]]),
    schema_text(extras=[[1, "f4"]]),
    schema_text(extras=[[f"n{i}", "u1"] for i in range(2000)]),
    schema_text(comments="text"),
    schema_text(comments=["two\nlines"]),
    schema_text(comments=["\ud800"]),
    schema_text(extras=[["two words", "f4"]]),
    schema_text(property_order=["x", "x"]),
    schema_text(ply_format="pdf"),
)


@pytest.mark.parametrize("text", BAD_SCHEMAS, ids=range(len(BAD_SCHEMAS)))
def test_bad_schemas_are_refused(text: bytes) -> None:
    stream = Stream(StreamKind.SCHEMA, 0, text, len(text))
    with pytest.raises(CorruptStreamError):
        parse_shared({StreamKind.SCHEMA: stream}, Header(Branch.LOSSLESS, 0, 1, 1))


def test_missing_streams_and_wrong_counts_are_refused() -> None:
    cloud = random_cloud(50, 1, seed=4)
    _records, streams = encoded(cloud)
    shared = parse_shared(of_tile(streams, None), header_of(cloud, 1))
    with pytest.raises(CorruptStreamError, match="SCHEMA"):
        parse_shared({}, header_of(cloud, 1))
    whole = of_tile(streams, 0)
    for kind in whole:
        with pytest.raises(CorruptStreamError, match=kind.name):
            decode_tile({other: stream for other, stream in whole.items() if other != kind}, shared, 50)
    for count in (0, 49, 51, TILE_ROWS + 1):
        with pytest.raises(CorruptStreamError):
            decode_tile(whole, shared, count)


def test_damaged_streams_fail_in_the_family_of_errors() -> None:
    cloud = with_extras(random_cloud(200, 1, seed=11))
    _, streams = encoded(cloud)
    shared = parse_shared(of_tile(streams, None), header_of(cloud, 1))
    whole = of_tile(streams, 0)
    rng = np.random.default_rng(12)
    kinds = list(whole)
    refused = 0
    for _ in range(1500):
        kind = kinds[rng.integers(len(kinds))]
        data = bytearray(whole[kind].payload)
        limit = len(data) if rng.random() < 0.5 else min(len(data), 200)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(limit)] = rng.integers(256)
        cut = int(rng.integers(len(data))) if rng.random() < 0.2 else len(data)
        damaged = replace(whole[kind], payload=bytes(data[:cut]))
        try:
            assert len(decode_tile({**whole, kind: damaged}, shared, 200)) == 200
        except GsbError:
            refused += 1
    assert refused > 500


def test_samples_come_back(sample_plys: list[Path]) -> None:
    for path in sample_plys:
        assert_round_trip(read_ply(path))


@pytest.mark.slow
def test_scenes_come_back_smaller_than_zstd(scene_plys: list[Path]) -> None:
    for path in scene_plys:
        cloud = read_ply(path)
        assert_round_trip(cloud)
        size = sum(len(stream.payload) for stream in encoded(cloud)[1])
        assert size < 0.9 * len(zstandard.ZstdCompressor(level=19).compress(path.read_bytes()))
