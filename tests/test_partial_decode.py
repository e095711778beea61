"""Decoding with less: SH up to a degree, the first bytes of a file, a file that was cut; tile by tile."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud
from damage import repaired

import gscodec
from bitstream_spec.layout import StreamKind
from gscodec import BadInputError, CorruptStreamError, EncodeConfig, GaussianCloud, GsbError
from gscodec.bitstream.container import Container, write_container
from gscodec.bitstream.source import BytesSource
from gscodec.cloud import ATTRIBUTES, SH_REST_COUNTS, CloudMeta, empty_cloud
from gscodec.decoder import Decoder, read_tiles
from gscodec.formats.ply import ply_chunks, ply_chunks_of
from gscodec.selection import layer_ends

TILES, SPLATS, DEGREE = 4, 40, 2
BANDS = {StreamKind.AC1: 1, StreamKind.AC2: 2}


@pytest.fixture(scope="module")
def data() -> bytes:
    """A native file of four tiles of 40 splats, degree 2."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gscodec.branches.native.tiling.TILE_SPLATS", SPLATS)
        encoded = gscodec.encode(random_cloud(TILES * SPLATS, DEGREE, 0))
    assert [record.splat_count for record in read_tiles(opened(encoded))] == [SPLATS] * TILES
    return encoded


@pytest.fixture(scope="module")
def lossless() -> bytes:
    """A lossless file of two tiles with an extra property."""
    cloud = random_cloud(65536 + 7, 1, 1)
    extras = MappingProxyType({"label": np.arange(len(cloud), dtype=np.int32)})
    return gscodec.encode(replace(cloud, extras=extras), EncodeConfig(lossless=True))


def opened(data: bytes) -> Container:
    return Container.open(BytesSource(data))


def expected_of(container: Container, whole: list[GaussianCloud], length: int) -> tuple[list[GaussianCloud], list[int]]:
    """What the first bytes of the file hold, found without the code under test: tiles and their layers."""
    tiles, layers = [], []
    for number in range(TILES):
        ends = [
            max(e.offset + e.length for e in container.entries if e.tile == number and BANDS.get(e.kind, 0) <= degree)
            for degree in range(DEGREE + 1)
        ]
        own = [layer for layer, end in enumerate(ends) if end <= length]
        if own:
            tiles.append(up_to(whole[number], own[-1]))
            layers.append(own[-1])
    return tiles, layers


def up_to(cloud: GaussianCloud, layer: int) -> GaussianCloud:
    """The cloud without the layers above ``layer``: for so few splats, components are SH coefficients."""
    rest = cloud.sh_rest.copy()
    rest[:, SH_REST_COUNTS[layer] :] = 0
    return replace(cloud, sh_rest=rest)


def joined(clouds: list[GaussianCloud], degree: int) -> GaussianCloud:
    whole = {name: np.concatenate([getattr(cloud, name) for cloud in clouds]) for name in ATTRIBUTES}
    whole["sh_rest"] = np.ascontiguousarray(whole["sh_rest"][:, : SH_REST_COUNTS[degree]])
    return GaussianCloud(**whole)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_sh_degree_reads_only_its_bytes(data: bytes, degree: int) -> None:
    own = min(degree, DEGREE)
    source = BytesSource(data)
    found = gscodec.decode(source, sh_degree=degree)
    assert_same_arrays(found, joined([gscodec.decode(data)], own))
    above = sum(e.length for e in opened(data).entries if BANDS.get(e.kind, 0) > own)
    assert source.bytes_read == len(data) - above


def test_sh_degree_of_some_tiles(data: bytes) -> None:
    both = gscodec.decode(data, tiles=[3, 1], sh_degree=1)
    assert_same_arrays(both, joined([gscodec.decode(data, tiles=[n]) for n in (3, 1)], 1))
    box = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
    assert_same_arrays(gscodec.decode(data, box=box, sh_degree=0), joined([gscodec.decode(data, box=box)], 0))


@pytest.mark.parametrize("cut", [False, True])
def test_first_bytes(data: bytes, cut: bool) -> None:
    """At the ends of the streams that complete a layer of a tile, and one byte before."""
    container = opened(data)
    whole = [gscodec.decode(data, tiles=[number]) for number in range(TILES)]
    ends = {end for tile in layer_ends(container, BANDS, DEGREE)[1] for end in tile}
    seen: set[tuple[int, ...]] = set()
    for length in sorted(ends | {end - 1 for end in ends}):
        tiles, layers = expected_of(container, whole, length)
        source = BytesSource(data[:length] if cut else data)
        if not tiles:
            with pytest.raises(BadInputError, match="too few bytes"):
                gscodec.decode(source, max_bytes=length)
            continue
        found = gscodec.decode(source, max_bytes=length, threads=1)
        assert_same_arrays(found, joined(tiles, DEGREE if any(layers) else 0))
        assert source.bytes_read <= length
        seen.add(tuple(layers))
    # Layer by layer, tile by tile.
    assert (0,) in seen
    assert (1, 1, 0, 0) in seen
    assert (2,) * TILES in seen


def test_the_least_bytes_are_named_and_enough(data: bytes) -> None:
    container = opened(data)
    head = container.entries[0].offset
    needed = layer_ends(container, BANDS, DEGREE)[1][0][0]
    for length, named in ((-1, 52), (0, 52), (23, 52), (24, head), (head - 1, head), (head, needed)):
        with pytest.raises(BadInputError, match=rf"max_bytes.*>= {named}\)"):
            gscodec.decode(data, max_bytes=length)
    assert len(gscodec.decode(data, max_bytes=needed)) == SPLATS
    with pytest.raises(BadInputError, match=f">= {layer_ends(container, BANDS, DEGREE)[1][3][0]}"):
        gscodec.decode(data, max_bytes=needed, tiles=[3])
    assert len(gscodec.decode(data, max_bytes=needed, tiles=[3, 0])) == SPLATS


def test_regions_of_the_first_bytes(data: bytes) -> None:
    (_, of_all, _), ends = layer_ends(opened(data), BANDS, DEGREE)
    some = gscodec.decode(data, max_bytes=ends[1][1], tiles=[2, 1])
    parts = [up_to(gscodec.decode(data, tiles=[2]), 0), up_to(gscodec.decode(data, tiles=[1]), 1)]
    assert_same_arrays(some, joined(parts, DEGREE))
    box = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
    inside = up_to(gscodec.decode(data, box=box), 1)
    assert_same_arrays(gscodec.decode(data, max_bytes=of_all, box=box), joined([inside], DEGREE))
    assert_same_arrays(gscodec.decode(data, max_bytes=len(data) - 1, sh_degree=1), gscodec.decode(data, sh_degree=1))


def test_a_cut_file_is_an_error_unless_asked_for(data: bytes) -> None:
    cut = data[:-1]
    for options in ({}, {"max_bytes": len(data)}, {"max_bytes": len(cut) + 1}, {"sh_degree": 0}, {"tiles": [0]}):
        with pytest.raises(CorruptStreamError, match="truncated"):
            gscodec.decode(cut, **options)
    assert len(gscodec.decode(cut, max_bytes=len(cut))) == TILES * SPLATS
    for length in (len(data), len(data) + 1, 1 << 60):
        assert_same_arrays(gscodec.decode(data, max_bytes=length), gscodec.decode(data))
    with pytest.raises(CorruptStreamError, match="foreign"):
        gscodec.decode(data + b"\0", max_bytes=len(data))


def test_damage_in_what_is_there_is_found(data: bytes) -> None:
    """Checksums hold for every stream, digests for tiles that have all their streams."""
    container = opened(data)
    end = layer_ends(container, BANDS, DEGREE)[0][1]
    entry = container.find(StreamKind.DC, 2)
    assert entry is not None
    damaged = bytearray(data)
    damaged[entry.offset + 30] ^= 4
    with pytest.raises(CorruptStreamError, match="checksum of DC of tile 2"):
        gscodec.decode(bytes(damaged[:end]), max_bytes=end)
    streams = [replace(container.read(e.kind, e.tile), layer=BANDS.get(e.kind, 0)) for e in container.entries]
    wrong = [replace(s, payload=bytes(len(s.payload))) if s.kind == StreamKind.DIGESTS else s for s in streams]
    undigested = write_container(container.header, wrong)
    assert len(gscodec.decode(undigested, max_bytes=end)) == TILES * SPLATS
    with pytest.raises(CorruptStreamError, match="digest of tile 0"):
        gscodec.decode(undigested, max_bytes=len(data) - 1)


def test_what_is_verified_is_counted(data: bytes) -> None:
    (_, _, of_all), ends = layer_ends(opened(data), BANDS, DEGREE)
    for length, verified, tiles in ((ends[0][2], 1, 4), (of_all, 4, 4), (ends[0][1], 0, 4), (ends[1][0], 0, 2)):
        decoder = Decoder(BytesSource(data), max_bytes=length)
        selection = decoder.select()
        assert (decoder.verified(selection), len(selection.layers), selection.asked) == (verified, tiles, TILES)
        assert decoder.splat_count(selection) == tiles * SPLATS


def test_any_cut_of_a_small_file() -> None:
    """Either the splats or an error of ours, and never a byte behind the cut."""
    for config in (EncodeConfig(), EncodeConfig(lossless=True)):
        small = gscodec.encode(random_cloud(4, 1, 7), config)
        whole = gscodec.decode(small)
        for length in range(0, len(small), 7):
            for name, cut in (("as it was", small[:length]), ("sealed", repaired(small[:length]))):
                source = BytesSource(cut)
                try:
                    found = gscodec.decode(source, max_bytes=length, threads=1)
                except GsbError:
                    continue
                assert name == "as it was"
                assert_same_arrays(found, joined([up_to(whole, found.sh_degree)], found.sh_degree))
                assert source.bytes_read <= length


def test_a_claim_of_many_tiles_takes_no_memory(data: bytes) -> None:
    container = opened(data)
    stream = container.read(StreamKind.TILES)
    claimed = write_container(replace(container.header, tile_count=(1 << 32) - 1), [stream])
    with pytest.raises(BadInputError, match=f">= {len(claimed)}"):
        gscodec.decode(claimed[:-1], max_bytes=len(claimed) - 1)
    with pytest.raises(CorruptStreamError, match="tile table"):
        gscodec.decode(claimed, max_bytes=len(claimed))


def test_lossless_by_whole_tiles(lossless: bytes) -> None:
    whole = gscodec.decode(lossless)
    container = opened(lossless)
    of_all, ends = layer_ends(container, {}, 0)
    assert (of_all, ends[1]) == ((len(lossless),), (len(lossless),))
    for length, rows in ((ends[0][0], 65536), (ends[1][0] - 1, 65536), (len(lossless), 65543)):
        assert_same_arrays(gscodec.decode(lossless[:length], max_bytes=length), whole.select(slice(rows)))
    with pytest.raises(BadInputError, match=f">= {ends[0][0]}"):
        gscodec.decode(lossless, max_bytes=ends[0][0] - 1)


def test_lossless_has_no_degrees(lossless: bytes) -> None:
    with pytest.raises(BadInputError, match="one stream"):
        gscodec.decode(lossless, tiles=[1], sh_degree=0)
    assert gscodec.decode(lossless, tiles=[1], sh_degree=1).sh_degree == 1


@pytest.mark.parametrize("wrong", [{"sh_degree": -1}, {"max_bytes": -5}])
def test_wrong_wishes(data: bytes, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        gscodec.decode(data, **wrong)


def test_nothing_in_the_file() -> None:
    empty = gscodec.encode(random_cloud(0, 1, 0))
    assert len(gscodec.decode(empty, max_bytes=len(empty))) == 0
    with pytest.raises(BadInputError, match=f">= {len(empty)}"):
        gscodec.decode(empty, max_bytes=len(empty) - 1)


# Tile by tile


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_few_tiles_are_begun_ahead(data: bytes, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    decode_tile = Decoder._decode_tile

    def counted(self: Decoder, number: int, *args: Any) -> GaussianCloud:
        begun.append(number)
        return decode_tile(self, number, *args)

    monkeypatch.setattr(Decoder, "_decode_tile", counted)
    decoder = Decoder(BytesSource(data))
    tiles = []
    for number, tile in enumerate(decoder.decode_tiles(decoder.select(), threads), start=1):
        assert len(begun) <= number + threads
        tiles.append(tile)
    assert sorted(begun) == list(range(TILES))
    assert_same_arrays(joined(tiles, DEGREE), gscodec.decode(data))


def test_decoding_into_a_cloud(data: bytes) -> None:
    decoder = Decoder(BytesSource(data))
    whole = decoder.select()
    room = empty_cloud(decoder.splat_count(whole), DEGREE)
    parts = list(decoder.decode_tiles(whole, 2, into=room))
    assert_same_arrays(room, gscodec.decode(data))
    assert all(np.shares_memory(part.positions, room.positions) for part in parts)
    for selection, into in ((whole, room.select(slice(1, None))), (decoder.select(box=((-9,) * 3, (9,) * 3)), room)):
        with pytest.raises(BadInputError, match="into"):
            next(decoder.decode_tiles(selection, 2, into=into))


def test_ending_early(data: bytes) -> None:
    decoder = Decoder(BytesSource(data))
    parts = decoder.decode_tiles(decoder.select(), 2)
    assert len(next(parts)) == SPLATS
    parts.close()
    assert list(parts) == []


@pytest.mark.parametrize("sizes", [[700], [0, 300, 1, 399], [350, 350, 0]])
def test_parts_give_the_same_bytes(sizes: list[int]) -> None:
    cloud = replace(
        random_cloud(700, 2, 5),
        extras=MappingProxyType({"label": np.arange(700, dtype=np.uint16)}),
        meta=CloudMeta(comments=("kept",), render_mode="antialiased"),
    )
    starts = np.cumsum([0, *sizes])
    parts = (cloud.select(slice(start, stop)) for start, stop in pairwise(starts))
    chunks = ply_chunks_of(cloud.select(slice(0, 0)), 700, parts)
    assert b"".join(chunks) == b"".join(ply_chunks(cloud))
