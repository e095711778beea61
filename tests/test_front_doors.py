"""encode and decode: what is read, what is refused, and what is reported."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud

import gscodec
from bitstream_spec.layout import Branch, StreamKind
from gscodec import DecodeLimits, EncodeConfig, GaussianCloud
from gscodec.bitstream.container import Container, write_container
from gscodec.bitstream.source import BytesSource, FileSource
from gscodec.bitstream.tiles import tiles_in_box
from gscodec.branches.native import decode as native
from gscodec.decoder import read_tiles
from gscodec.digest import DIGEST_BYTES, digest
from gscodec.encoder import encode_chunks

TILES = 8


@pytest.fixture(scope="module")
def data() -> bytes:
    """A native file of degree 1 with eight tiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gscodec.branches.native.tiling.TILE_SPLATS", 500)
        encoded = gscodec.encode(random_cloud(4000, 1, 0))
    assert Container.open(BytesSource(encoded)).header.tile_count == TILES
    return encoded


def joined(clouds: list[GaussianCloud]) -> GaussianCloud:
    whole = {name: np.concatenate([getattr(cloud, name) for cloud in clouds]) for name in gscodec.cloud.ATTRIBUTES}
    return GaussianCloud(**whole)


def rewritten(data: bytes, kind: StreamKind, payload: bytes | None, critical: bool = True) -> bytes:
    """The file with right checksums and another payload of a stream of the whole file; None leaves it out."""
    container = Container.open(BytesSource(data))
    streams = [container.read(entry.kind, entry.tile) for entry in container.entries]
    others = [stream for stream in streams if stream.kind != kind]
    if payload is not None:
        old = next(stream for stream in streams if stream.kind == kind)
        others.append(replace(old, payload=payload, raw_length=len(payload), critical=critical))
    return write_container(container.header, others)


def test_readme_example(tmp_path: Path) -> None:
    source, target = tmp_path / "scene.ply", tmp_path / "back.ply"
    gscodec.write_ply(source, random_cloud(300, 3, 1))
    cloud = gscodec.read_ply(source)
    encoded = gscodec.encode(cloud, EncodeConfig(quality=75))
    (tmp_path / "scene.gsb").write_bytes(encoded)
    gscodec.write_ply(target, gscodec.decode(tmp_path / "scene.gsb"))
    back = gscodec.read_ply(target)
    assert len(back) == 300
    assert back.sh_degree == 3
    assert len(encoded) < source.stat().st_size / 4
    assert_same_arrays(gscodec.decode(encoded), back)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, BytesSource])
def test_forms_of_data(data: bytes, kind: Any) -> None:
    assert len(gscodec.decode(kind(data), tiles=[0])) == 500


def test_paths_are_closed_again(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.gsb"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_arrays(gscodec.decode(path), gscodec.decode(str(path)))
        with FileSource(path) as source:
            assert len(gscodec.decode(source, tiles=[1])) == 500
            assert len(gscodec.decode(source, tiles=[2])) == 500  # a source that was given stays open


def test_tiles_come_as_asked_and_only_they_are_read(data: bytes) -> None:
    container = Container.open(BytesSource(data))
    own = {2, 5}
    of_others = sum(e.length for e in container.entries if e.tile is not None and e.tile not in own)
    source = BytesSource(data)
    found = gscodec.decode(source, tiles=[5, 2])
    assert source.bytes_read == len(data) - of_others
    assert_same_arrays(found, joined([gscodec.decode(data, tiles=[5]), gscodec.decode(data, tiles=[2])]))
    assert_same_arrays(gscodec.decode(data), joined([gscodec.decode(data, tiles=[n]) for n in range(TILES)]))
    assert len(gscodec.decode(data, tiles=[])) == 0


@pytest.mark.parametrize("box", [((0.5, -1, 0), (3, 0.5, 2)), ((0, 0, 0), (0, 0, 0)), ((50, 50, 50), (60, 60, 60))])
def test_box_gives_exactly_the_splats_inside(data: bytes, box: Any) -> None:
    whole = gscodec.decode(data)
    inside = np.all((whole.positions >= box[0]) & (whole.positions <= box[1]), axis=1)
    source = BytesSource(data)
    assert_same_arrays(gscodec.decode(source, box=box), whole.select(inside))
    container = Container.open(BytesSource(data))
    hit = tiles_in_box(read_tiles(container), box)
    of_others = sum(e.length for e in container.entries if e.tile is not None and e.tile not in hit)
    assert source.bytes_read == len(data) - of_others


def test_box_borders_belong_to_it_and_tiles_narrow_it(data: bytes) -> None:
    record = read_tiles(Container.open(BytesSource(data)))[3]
    box = (record.min, record.max)
    assert len(gscodec.decode(data, box=box)) >= record.splat_count
    assert_same_arrays(gscodec.decode(data, box=box, tiles=[3]), gscodec.decode(data, tiles=[3]))


def test_tile_records_and_digests_are_those_of_the_tiles(data: bytes) -> None:
    container = Container.open(BytesSource(data))
    digests = container.read(StreamKind.DIGESTS).payload
    for number, record in enumerate(read_tiles(container)):
        tile = gscodec.decode(data, tiles=[number])
        assert record.splat_count == len(tile)
        np.testing.assert_array_equal(tile.positions.min(axis=0), record.min)
        np.testing.assert_array_equal(tile.positions.max(axis=0), record.max)
        assert digest(tile) == digests[DIGEST_BYTES * number : DIGEST_BYTES * (number + 1)]


@pytest.mark.parametrize(
    "wrong",
    [{"tiles": [TILES]}, {"tiles": [-1]}, {"tiles": [1, 1]}, {"box": ((1, 0, 0), (0, 1, 1))},
     {"box": ((0, 0), (1, 1))}, {"box": ((0, 0, 0), (1, 1, float("nan")))}],
)  # fmt: skip
def test_wrong_wishes(data: bytes, wrong: dict[str, Any]) -> None:
    with pytest.raises(gscodec.BadInputError):
        gscodec.decode(data, **wrong)


def test_not_a_file_of_ours(tmp_path: Path) -> None:
    with pytest.raises(gscodec.BadInputError, match=r"missing\.gsb"):
        gscodec.decode(tmp_path / "missing.gsb")
    with pytest.raises(gscodec.BadMagicError):
        gscodec.decode(b"ply\nformat binary_little_endian 1.0\n")
    with pytest.raises(gscodec.CorruptStreamError):
        gscodec.decode(b"")


def test_digest_mismatch_names_the_tile(data: bytes) -> None:
    digests = bytearray(Container.open(BytesSource(data)).read(StreamKind.DIGESTS).payload)
    digests[3 * DIGEST_BYTES] ^= 1
    changed = rewritten(data, StreamKind.DIGESTS, bytes(digests))
    with pytest.raises(gscodec.CorruptStreamError, match="tile 3"):
        gscodec.decode(changed)
    assert len(gscodec.decode(changed, tiles=[2])) == 500
    with pytest.raises(gscodec.CorruptStreamError, match="DIGESTS"):
        gscodec.decode(rewritten(data, StreamKind.DIGESTS, bytes(digests[1:])))


@pytest.mark.parametrize("kind", [StreamKind.PARAMS, StreamKind.TABLES, StreamKind.TILES, StreamKind.DIGESTS])
def test_needed_streams(data: bytes, kind: StreamKind) -> None:
    with pytest.raises(gscodec.CorruptStreamError):
        gscodec.decode(rewritten(data, kind, None))


def test_meta_may_be_missing(data: bytes) -> None:
    assert_same_arrays(gscodec.decode(rewritten(data, StreamKind.META, None)), gscodec.decode(data))


def test_damage_in_a_skipped_stream_is_found_by_a_whole_decode_alone(data: bytes) -> None:
    # A kind of the other branch: known, not asked for.
    container = Container.open(BytesSource(data))
    streams = [container.read(entry.kind, entry.tile) for entry in container.entries]
    streams.append(
        replace(streams[0], kind=StreamKind.SCHEMA, payload=b"x" * 99, raw_length=99, coder=0, critical=False)
    )
    extended = write_container(container.header, streams)
    assert_same_arrays(gscodec.decode(extended), gscodec.decode(data))
    foreign = 1000
    skipped = replace(streams[-1], kind=foreign)
    extended = write_container(container.header, [*streams[:-1], skipped])
    damaged = bytearray(extended)
    damaged[extended.index(b"x" * 99) + 50] ^= 4
    with pytest.raises(gscodec.CorruptStreamError, match="checksum"):
        gscodec.decode(bytes(damaged))
    assert len(gscodec.decode(bytes(damaged), tiles=[0])) == 500


@pytest.mark.parametrize(
    ("limits", "field"),
    [(DecodeLimits(max_splats=3999), "splat_count"), (DecodeLimits(max_memory=4000 * 92 - 1), "decoded arrays"),
     (DecodeLimits(max_streams=10), "stream_count"), (DecodeLimits(max_header_bytes=100), "header_bytes")],
)  # fmt: skip
def test_limits_hold_before_anything_is_allocated(
    data: bytes, limits: DecodeLimits, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_args: object) -> None:
        raise AssertionError

    monkeypatch.setattr("gscodec.decoder.empty_cloud", forbidden)
    source = BytesSource(data)
    with pytest.raises(gscodec.LimitExceededError, match=field):
        gscodec.decode(source, limits=limits)
    assert source.bytes_read <= Container.open(BytesSource(data)).entries[0].offset


def broken_cloud() -> GaussianCloud:
    cloud = random_cloud(50, 0, 2)
    cloud.positions[3, 1] = np.nan
    cloud.log_scales[7] = 31
    cloud.quats_wxyz[9] = 0
    return cloud


def test_broken_splats_are_dropped_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="splats left out") as caught:
        data = gscodec.encode(broken_cloud())
    assert caught[0].filename == __file__
    assert len(gscodec.decode(data)) == 47


def test_strict_raises_instead() -> None:
    with pytest.raises(gscodec.BadInputError, match="index 3"):
        gscodec.encode(broken_cloud(), EncodeConfig(strict=True))


def test_lossless_keeps_what_is_broken() -> None:
    cloud = broken_cloud()
    assert_same_arrays(gscodec.decode(gscodec.encode(cloud, EncodeConfig(lossless=True))), cloud)


@pytest.mark.parametrize("lossless", [False, True])
def test_report_adds_up(lossless: bool) -> None:
    cloud = replace(broken_cloud(), extras=MappingProxyType({"id": np.arange(50, dtype=np.uint8)}))
    stages = []
    chunks, report = encode_chunks(
        cloud, EncodeConfig(lossless=lossless), lambda stage, share: stages.append((stage, share))
    )
    container = Container.open(BytesSource(b"".join(chunks)))
    assert report.bytes == sum(map(len, chunks)) == container.source.size
    assert report.bytes == container.entries[0].offset + sum(report.stream_bytes.values())
    for name, count in report.stream_bytes.items():
        assert count == sum(entry.length for entry in container.entries if entry.kind == StreamKind[name])
    assert report.splats_in == 50
    assert report.splats == container.header.splat_count == report.splats_in - sum(report.dropped.values())
    assert dict(report.dropped) == ({} if lossless else {"non-finite": 1, "rotation-norm": 1, "scale-range": 1})
    assert report.lost_properties == (() if lossless else ("id",))
    assert report.tiles == container.header.tile_count == 1
    assert report.seconds > 0
    assert container.header.branch == (Branch.LOSSLESS if lossless else Branch.NATIVE)
    assert stages[0] == ("encoding", 0.0)
    assert stages[-1] == ("checking", 1.0)


def test_progress_of_decoding(data: bytes) -> None:
    shares: list[float] = []
    gscodec.decode(data, progress=lambda _stage, share: shares.append(share))
    assert shares == [(n + 1) / TILES for n in range(TILES)]


@pytest.mark.parametrize("options", [{"quality": 0.5}, {"quality": float("nan")}, {"quality": 101}, {"threads": 0}])
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(gscodec.BadInputError):
        EncodeConfig(**options)


def test_unknown_frame_is_refused() -> None:
    cloud = random_cloud(1, 0, 0)
    with pytest.raises(gscodec.BadInputError, match="coordinate_frame"):
        gscodec.encode(replace(cloud, meta=replace(cloud.meta, coordinate_frame="sideways")))


def test_a_fault_in_one_tile_ends_the_decode(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> GaussianCloud:
        raise gscodec.CorruptStreamError("broken on purpose")

    monkeypatch.setattr(native, "decode_tile", broken)
    with pytest.raises(gscodec.CorruptStreamError, match="on purpose"):
        gscodec.decode(data, threads=2)


def test_to_torch() -> None:
    torch = pytest.importorskip("torch")
    cloud = random_cloud(5, 2, 3)
    tensors = cloud.to_torch()
    assert tensors["sh_degree"] == 2
    assert tuple(tensors["colors"].shape) == (5, 9, 3)
    assert torch.allclose(tensors["quats"].norm(dim=1), torch.ones(5))
    assert torch.allclose(tensors["scales"], torch.exp(torch.from_numpy(cloud.log_scales)))
