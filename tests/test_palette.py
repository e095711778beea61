"""Palettes of components that splats share: found, ordered, coded, chosen, and what a decode of a part has of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from damage import flips, truncations  # which also puts the folder of ``conformance`` on the path

from bitstream_spec.layout import StreamKind
from conformance import plain_bands
from conformance.sample_clouds import scene, with_shared_sh
from gscodec import EncodeConfig, decode
from gscodec.bitstream.container import Container
from gscodec.bitstream.source import BytesSource
from gscodec.branches.native import decode as native_decode
from gscodec.branches.native import encode_palette, repeats
from gscodec.branches.native import palette as native
from gscodec.branches.native.encode_palette import ERROR_PER_BIT, PaletteEncoder, cost, entry_classes
from gscodec.branches.native.placement import Neighbours
from gscodec.branches.native.repeats import SharedSh, find_shared, halving_order
from gscodec.branches.native.settings import AC_ROUND_UP
from gscodec.branches.native.syntax import MAX_ENTRIES, PALETTE_TABLES, Params, ac_range
from gscodec.cloud import GaussianCloud
from gscodec.encoder import encode_chunks
from gscodec.entropy.planes import PlaneReader, PlaneWriter
from gscodec.entropy.tables import FrequencyTables, normalise
from gscodec.errors import CorruptStreamError
from gscodec.rate.codec import CloudCodec
from gscodec.rate.model import Choice
from gscodec.transform.neighbours import level_order, ranked_zeros

I64 = npt.NDArray[np.int64]


def coded_indices(count: int, entries: int) -> tuple[I64, bytes, native.Palette, Neighbours]:
    """Indices that often follow from where splats are, their payload, and what decodes it."""
    rng = np.random.default_rng(count * 1000 + entries)
    near = Neighbours.find(rng.integers(0, 50, (count, 3)), rng.integers(0, 9, (count, 2)))
    indices = np.where(rng.random(count) < 0.7, np.arange(count) % 7 % entries, rng.integers(0, entries, count))
    writer = PlaneWriter(PALETTE_TABLES)
    writer.put(*native.code_indices(indices, near.weights, near.starts, entries, ranked_zeros(count)))
    tables = FrequencyTables(normalise(writer.counts))
    return indices, writer.finish(tables), native.Palette(np.zeros((9, entries), np.int64), tables), near


def shared_cloud(splats: int, degree: int, entries: int) -> GaussianCloud:
    return with_shared_sh(scene(splats, degree, 7), entries, 8)


def encoded(cloud: GaussianCloud, **config: object) -> tuple[bytes, dict[str, int]]:
    """The file, and bytes by stream kind."""
    chunks, report = encode_chunks(cloud, EncodeConfig(**config))  # type: ignore[arg-type]
    return b"".join(chunks), dict(report.stream_bytes)


@pytest.mark.parametrize("entries", [1, 2, 3, 12, 64, 65, MAX_ENTRIES])
@pytest.mark.parametrize("count", [1, 2, 130, 900])
def test_indices_come_back_as_in_the_plain_reference(count: int, entries: int) -> None:
    indices, payload, palette, near = coded_indices(count, entries)
    for read in (native.read_indices, plain_bands.read_indices):
        reader = PlaneReader(payload, palette.tables)
        np.testing.assert_array_equal(read(reader, palette, near), indices)
        reader.finish()


def test_damaged_indices_are_judged_alike() -> None:
    _, payload, palette, near = coded_indices(60, 20)
    noticed = 0
    for damaged in [*truncations(payload), *flips(payload, step=3)]:
        fast, slow = (taken(read, damaged, palette, near) for read in (native.read_indices, plain_bands.read_indices))
        assert (fast is None) == (slow is None)
        noticed += fast is None
        if fast is not None and slow is not None:
            np.testing.assert_array_equal(fast, slow)
    assert noticed > len(payload)


def taken(read: Any, payload: bytes, palette: native.Palette, near: Neighbours) -> I64 | None:
    """What is read, None where the reader says that the payload is corrupt."""
    try:
        reader = PlaneReader(payload, palette.tables)
        indices: I64 = read(reader, palette, near)
        reader.finish()
    except CorruptStreamError:
        return None
    return indices


def test_votes_make_indices_shorter() -> None:
    points = np.zeros((4000, 3), np.int64)
    points[:, 0] = level_order(4000)
    near = Neighbours.find(points, np.zeros((4000, 0), np.int64))
    indices = points[:, 0] * 64 // 4000  # alike along the curve, all 64 as frequent
    writer = PlaneWriter(PALETTE_TABLES)
    writer.put(*native.code_indices(indices, near.weights, near.starts, 64, ranked_zeros(4000)))
    size = len(writer.finish(FrequencyTables(normalise(writer.counts))))
    assert size * 8 < 0.2 * 6 * 4000


@pytest.mark.parametrize("rows", [np.arange(900), np.arange(0, 900, 3)])
def test_shared_sh_is_found(rows: I64) -> None:
    cloud = shared_cloud(900, 2, 40)
    kept = None if len(rows) == len(cloud) else rows
    with ThreadPoolExecutor(2) as pool:
        found = find_shared(cloud.sh_rest, kept, pool)
    assert found is not None
    np.testing.assert_array_equal(found.entries[found.index], cloud.sh_rest[rows])
    assert len(np.unique(found.entries, axis=0)) == len(found.entries) == len(np.unique(cloud.sh_rest[rows], axis=0))


def test_nothing_shared_is_found_where_there_is_nothing() -> None:
    with ThreadPoolExecutor(2) as pool:
        assert find_shared(scene(900, 2, 9).sh_rest, None, pool) is None
        assert find_shared(scene(900, 0, 9).sh_rest, None, pool) is None
        assert find_shared(scene(1, 2, 9).sh_rest, None, pool) is None


def test_signs_of_zero_are_told_apart() -> None:
    rest = np.zeros((4, 3, 3), np.float32)
    rest[1] = -0.0
    with ThreadPoolExecutor(1) as pool:
        found = find_shared(rest, None, pool)
    assert found is not None
    assert found.entries[found.index].tobytes() == rest.tobytes()


def test_halves_are_apart() -> None:
    rng = np.random.default_rng(5)
    centres = 100.0 * np.eye(4)[:, :3] @ rng.standard_normal((3, 6))
    entries = (centres[np.arange(32) % 4] + rng.standard_normal((32, 6))).astype(np.float32)
    counts = np.where(np.arange(32) % 4 < 2, 1.0, 5.0)
    order = halving_order(entries, counts)
    np.testing.assert_array_equal(np.sort(order), np.arange(32))
    for quarter in order.reshape(4, 8):
        assert len(set((quarter % 4).tolist())) == 1
    for half in (order[:16], order[16:]):  # the part that more splats have comes first
        assert counts[half[:8]].sum() >= counts[half[8:]].sum()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_half_of_more_splats_comes_first(sign: float) -> None:
    entries = np.stack([sign * np.arange(6.0), np.zeros(6)], axis=1).astype(np.float32)
    np.testing.assert_array_equal(halving_order(entries, np.array([1.0, 1, 1, 9, 1, 1]))[:3] // 3, [1, 1, 1])
    np.testing.assert_array_equal(halving_order(entries, np.array([1.0, 9, 1, 1, 1, 1]))[:3] // 3, [0, 0, 0])


def test_two_vectors_of_one_hash_are_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_hashes", lambda _, rows: np.zeros(len(rows), np.uint64))
    with ThreadPoolExecutor(1) as pool:
        assert find_shared(shared_cloud(60, 1, 6).sh_rest, None, pool) is None


def test_too_many_entries_are_not_a_palette(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MAX_ENTRIES", 39)
    with ThreadPoolExecutor(1) as pool:
        assert find_shared(shared_cloud(900, 1, 40).sh_rest, None, pool) is None
        assert find_shared(shared_cloud(900, 1, 39).sh_rest, None, pool) is not None


def test_classes_of_entries_add_up_errors_of_splats() -> None:
    shared = SharedSh(np.zeros((3, 3, 3), np.float32), np.array([0, 1, 1, 2, 2, 2, 2]))
    classes = entry_classes(shared, np.array([9, 9, 9, 4, 4, 4, 31], np.uint8))
    np.testing.assert_array_equal(classes, [9, 10, 31])


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_a_palette_is_chosen_where_it_is_shorter(degree: int) -> None:
    cloud = shared_cloud(3000, degree, 20)
    data, streams = encoded(cloud, quality=80.0)
    assert {"PALETTE", "INDICES"} <= set(streams)
    assert not {f"AC{layer}" for layer in range(1, 5)} & set(streams)
    _, others = encoded(scene(3000, degree, 7), quality=80.0)
    assert not {"PALETTE", "INDICES"} & set(others)
    assert streams["PALETTE"] + streams["INDICES"] < 0.5 * sum(others[f"AC{layer}"] for layer in range(1, degree + 1))
    assert len(np.unique(decode(data).sh_rest, axis=0)) <= 20


def test_components_are_chosen_where_a_palette_is_longer() -> None:
    _, streams = encoded(shared_cloud(200, 3, 170), quality=20.0)
    assert "PALETTE" not in streams


def test_a_palette_can_be_declined() -> None:
    _, streams = encoded(shared_cloud(3000, 2, 20), quality=80.0, palette=False)
    assert "PALETTE" not in streams
    assert {"AC1", "AC2"} <= set(streams)


def test_cost_counts_bits_errors_and_the_share_of_a_tile() -> None:
    indices, _, _, near = coded_indices(900, 12)
    cloud = shared_cloud(900, 1, 12)
    with ThreadPoolExecutor(1) as pool:
        shared = find_shared(cloud.sh_rest, None, pool)
    assert shared is not None
    palette = PaletteEncoder(shared, np.full(900, 20, np.uint8), params_of(cloud), lambda *_: {})
    writer = PlaneWriter(PALETTE_TABLES)
    writer.put(*native.code_indices(indices, near.weights, near.starts, 12, ranked_zeros(900)))
    alone = cost([writer])
    assert alone == 8.0 * len(writer.finish(FrequencyTables(normalise(writer.counts))))
    assert cost([writer], 2.0) - alone == pytest.approx(2.0 / ERROR_PER_BIT)
    whole, third = (palette.cost(writer, splats) - alone for splats in (900, 300))
    assert whole > 8.0 * len(palette.writer.finish(FrequencyTables(normalise(palette.writer.counts))))  # errors, too
    assert third == pytest.approx(whole / 3.0)


def params_of(cloud: GaussianCloud) -> Params:
    """Those of a file of the cloud."""
    data, _ = encoded(cloud, quality=60.0, palette=False)
    return Params.unpack(Container.open(BytesSource(data)).read(StreamKind.PARAMS).payload)


def test_parameters_are_fitted_to_the_entries() -> None:
    cloud = shared_cloud(3000, 2, 20)
    data, _ = encoded(cloud, quality=80.0)
    params = Params.unpack(Container.open(BytesSource(data)).read(StreamKind.PARAMS).payload)
    others = params_of(cloud)
    assert params.values["profile"] != others.values["profile"]
    prior = np.array(params.values["energy_prior"])
    assert not prior[:20].any()  # 150 splats share an entry: seven classes above their own
    assert prior[20:].any()


def test_sizes_by_degree_count_a_palette_for_the_first() -> None:
    cloud = shared_cloud(3000, 2, 20)
    codec = CloudCodec(cloud, EncodeConfig())
    trial, _ = codec.encode(Choice(0.0, 2, 80.0))
    streams = encoded(cloud, quality=80.0)[1]
    assert trial.degree_bytes == (streams["PALETTE"] + streams["INDICES"], 0)
    progressive = CloudCodec(cloud, EncodeConfig(progressive=True))
    trial, _ = progressive.encode(Choice(0.0, 2, 80.0))
    assert min(trial.degree_bytes) > 0


def test_colours_err_by_half_a_step_of_the_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode_palette, "entry_classes", lambda shared, _: np.full(len(shared.entries), 20, np.uint8))
    cloud = shared_cloud(3000, 2, 15)
    chunks, report = encode_chunks(cloud, EncodeConfig(quality=85.0))
    container = Container.open(BytesSource(b"".join(chunks)))
    assert container.read(StreamKind.PALETTE).raw_length == 12 * 8 * 15
    params = Params.unpack(container.read(StreamKind.PARAMS).payload)
    errors = np.abs(decode(b"".join(chunks)).sh_rest - cloud.sh_rest[np.concatenate(report.rows)])
    for layer in (1, 2):
        most = params.ac_steps(layer)[20] / (1 << 20) * (1.0 - AC_ROUND_UP) * np.sqrt(3.0)  # of three opponent channels
        assert 0.0 < errors[:, slice(*ac_range(layer))].max() <= 1.0001 * most


def test_progressive_files_have_no_palette() -> None:
    _, streams = encoded(shared_cloud(3000, 2, 20), quality=80.0, progressive=True)
    assert "PALETTE" not in streams
    assert "AC1" in streams


def test_parts_of_a_file_with_a_palette() -> None:
    cloud = shared_cloud(3000, 2, 20)
    data, _ = encoded(cloud, quality=80.0)
    whole = decode(data)
    assert decode(data, layers=0).sh_degree == 0
    first = decode(data, layers=1)
    np.testing.assert_array_equal(first.sh_rest[:, :3], whole.sh_rest[:, :3])
    assert not first.sh_rest[:, 3:].any()
    lower = decode(data, sh_degree=1)
    np.testing.assert_array_equal(lower.sh_rest, whole.sh_rest[:, :3])
    np.testing.assert_array_equal(decode(data, layers=2).sh_rest, whole.sh_rest)


def test_a_file_cut_before_indices_still_shows_colours() -> None:
    data, _ = encoded(shared_cloud(3000, 1, 20), quality=80.0)
    container = Container.open(BytesSource(data))
    last = max(entry.end for entry in container.entries if entry.kind != StreamKind.INDICES)
    assert last < len(data)
    cut = decode(data[:last], max_bytes=last)
    assert cut.sh_degree == 0
    np.testing.assert_array_equal(cut.sh_dc, decode(data, layers=0).sh_dc)


def test_a_sample_of_tiles_counts_the_palette_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = []

    def recorded(*given: Any) -> Any:
        reports.append(encode_chunks(*given)[1])
        return [], reports[-1]

    monkeypatch.setattr("gscodec.rate.codec.LARGE", 1000)
    monkeypatch.setattr("gscodec.rate.codec.SAMPLE_TILES", 3)
    monkeypatch.setattr("gscodec.branches.native.tiling.TILE_SPLATS", 500)
    monkeypatch.setattr("gscodec.rate.codec.encode_chunks", recorded)
    sampled = CloudCodec(shared_cloud(6000, 2, 300), EncodeConfig()).sample(Choice(0.0, 2, 80.0))
    assert sampled is not None
    (report,) = reports
    palette, times = report.stream_bytes["PALETTE"], 6000 / report.splats
    assert times > 3.0
    assert sampled.size == round(times * (report.bytes - palette) + palette)
    assert sampled.degree_bytes == (round(times * report.stream_bytes["INDICES"] + palette), 0)


def test_streams_that_are_skipped_hold_no_layers() -> None:
    skipped = native_decode.NO_LAYER
    plain = native_decode.layers_of(2, [])
    assert (plain[StreamKind.AC2], plain[StreamKind.INDICES], plain[StreamKind.REFINE1]) == (2, skipped, skipped)
    shared = native_decode.layers_of(2, [StreamKind.PALETTE])
    assert (shared[StreamKind.AC1], shared[StreamKind.INDICES]) == (skipped, 1)
    assert native_decode.layers_of(0, [StreamKind.PALETTE])[StreamKind.INDICES] == skipped


def test_threads_make_the_same_file() -> None:
    cloud = shared_cloud(3000, 2, 20)
    assert encoded(cloud, threads=1)[0] == encoded(cloud, threads=3)[0]


def test_pruned_clouds_have_the_palette_of_what_is_kept() -> None:
    cloud = shared_cloud(3000, 1, 20)
    wanted = np.arange(3000) % 2 == 0
    chunks, report = encode_chunks(cloud, EncodeConfig(quality=80.0), wanted=wanted)
    assert "PALETTE" in report.stream_bytes
    decoded = decode(b"".join(chunks))
    order = np.concatenate(report.rows)
    assert wanted[order].all()
    assert np.abs(decoded.sh_rest - cloud.sh_rest[order]).max() < 0.05
