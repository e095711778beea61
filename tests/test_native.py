"""The native branch: what comes back, how near, and from hard or hostile input."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud

from bitstream_spec.layout import NATIVE_PARAMS, Coder, StreamKind
from bitstream_spec.tables import CELL_PARTS, ROTATION_LEVELS
from gscodec import BadInputError, CloudMeta, CorruptStreamError, EncodeConfig, GaussianCloud, decode, encode
from gscodec.bitstream.container import Container
from gscodec.bitstream.entries import Header, Stream
from gscodec.bitstream.source import BytesSource
from gscodec.branches.native import decode as native
from gscodec.branches.native.meta import pack_meta, unpack_meta
from gscodec.branches.native.rounding import balancing
from gscodec.branches.native.settings import AC_ROUND_UP
from gscodec.branches.native.syntax import AC_KINDS, Params, distance_logs
from gscodec.branches.native.values import levels_of
from gscodec.cloud import ATTRIBUTES
from gscodec.errors import GsbError
from gscodec.transform.colour import to_opponent
from gscodec.transform.fixed import LN2_PER_UNIT, OCTAVE
from gscodec.transform.opacity import log_opacities
from gscodec.transform.rotation import needles, sorted_axes
from gscodec.transform.scales import short_logs


def shared_of(data: bytes) -> tuple[Container, native.Shared]:
    container = Container.open(BytesSource(data))
    kinds = {StreamKind(entry.kind) for entry in container.entries if entry.tile is None}
    kinds -= {StreamKind.TILES, StreamKind.DIGESTS}
    return container, native.parse_shared({kind: container.read(kind) for kind in kinds}, container.header)


def grid_cloud(sh_degree: int, seed: int = 0) -> GaussianCloud:
    """Splats so far apart that each decoded one is nearest to its own source."""
    cloud = random_cloud(6**3, sh_degree, seed)
    grid = np.stack(np.meshgrid(*[np.arange(6)] * 3), axis=-1).reshape(-1, 3)
    jitter = np.random.default_rng(seed).uniform(-0.3, 0.3, grid.shape)
    return replace(cloud, positions=(grid + jitter).astype(np.float32))


def nearest(found: GaussianCloud, source: GaussianCloud) -> np.ndarray:
    """For each found splat the source splat nearest to it; every one is taken once."""
    gaps = np.linalg.norm(found.positions[:, None].astype(np.float64) - source.positions[None], axis=2)
    index = gaps.argmin(axis=1)
    assert len(set(index.tolist())) == len(source)
    return index


def covariances(cloud: GaussianCloud) -> np.ndarray:
    scales, axes = sorted_axes(cloud.log_scales, cloud.quats_wxyz)
    shape = axes * np.exp(scales)[:, None, :]
    return shape @ shape.transpose(0, 2, 1)


def relative_errors(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.linalg.norm(found - expected, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))


@pytest.mark.parametrize("quality", [10.0, 40.0, 75.0, 95.0])
@pytest.mark.parametrize("sh_degree", range(5))
def test_every_attribute_is_within_its_step(sh_degree: int, quality: float) -> None:
    source = grid_cloud(sh_degree, sh_degree)
    data = encode(source, EncodeConfig(quality=quality))
    found = decode(data)
    assert found.sh_degree == sh_degree
    container, shared = shared_of(data)
    params = shared.params
    place = native.decode_geometry(
        container.read(StreamKind.GEOMETRY, 0).payload, params, shared.tables[StreamKind.GEOMETRY], len(source)
    )
    source = source.select(nearest(found, source))
    weights = place.weights
    # A dependent code is chosen among those of one parity, which lie two steps apart, at the ends of intervals further.
    reach, end_reach = (1.0, 1.75) if params.values["dependent"] else (0.5, 0.5)

    # A part of a cell of the position class; the last bit of float32.
    parts = params.values["cell_size"] / CELL_PARTS * 2.0 ** (-place.places / OCTAVE)
    error = np.abs(found.positions.astype(np.float64) - source.positions)
    assert (error <= parts[:, None] * end_reach * (1 + 1e-6) + np.spacing(np.float32(8))).all()

    logs = log_opacities(source.opacity_logits)
    coded = native.decode_opacities(container.read(StreamKind.OPACITY, 0).payload, shared, place)
    assert (np.abs(coded - logs) <= params.opacity_steps[weights] * reach + 1).all()

    long, middle, ratio = native.decode_scales(container.read(StreamKind.SCALE, 0).payload, shared, place, coded)
    scales = np.stack([long, middle, short_logs(ratio, middle)], axis=1)
    wanted = sorted_axes(source.log_scales, source.quats_wxyz)[0] / LN2_PER_UNIT
    # Log scales make up for errors of opacity, the longest one also for that of the middle one.
    halves = params.scale_steps[weights] * reach + 1
    assert (np.abs(middle - wanted[:, 1] - balancing(coded - logs)) <= halves).all()
    assert (np.abs(long - wanted[:, 0] - balancing(coded - logs, middle - wanted[:, 1])) <= halves).all()
    own = 2.0 ** ((wanted[:, 2] - middle) / OCTAVE)
    assert (np.abs(ratio / OCTAVE - own) <= (params.ratio_steps[weights] * reach + 1) / OCTAVE).all()
    np.testing.assert_allclose(found.log_scales, scales * LN2_PER_UNIT, rtol=1e-6)

    needle = needles(scales, place.pixel_logs(params))
    direction, _ = levels_of(params, place, scales, needle)
    main = np.where(needle, 0, 2)
    axes, own_axes = (
        sorted_axes(np.tile(np.array([[0, -1, -2]], np.float32), (len(found), 1)), found.quats_wxyz)[1],
        sorted_axes(source.log_scales, source.quats_wxyz)[1],
    )
    rows = np.arange(len(found))
    u, v = axes[rows, :, main], own_axes[rows, :, main]
    tilt = np.arctan2(np.linalg.norm(np.cross(u, v), axis=1), np.abs((u * v).sum(axis=1)))
    # See test_rotation; with few levels the angle itself is the bound.
    bound = 2 * end_reach * np.sqrt(6) / np.array(ROTATION_LEVELS)[direction]
    assert (tilt <= np.minimum(bound, np.pi / 2) + 1e-5).all()

    dc_error = np.abs(to_opponent(found.sh_dc) - to_opponent(source.sh_dc))
    assert (dc_error <= params.dc_steps[weights, None] * reach + 2).all()
    for degree in range(1, sh_degree + 1):
        band = slice(degree**2 - 1, (degree + 1) ** 2 - 1)
        error = np.abs(to_opponent(found.sh_rest[:, band]) - to_opponent(source.sh_rest[:, band]))
        assert (error <= params.ac_steps(degree)[weights, None, None] * max(AC_ROUND_UP, 1 - AC_ROUND_UP) + 2).all()


def test_the_last_quality_keeps_covariances() -> None:
    cloud = replace(grid_cloud(0), opacity_logits=np.full(216, 3.0, np.float32))
    cloud = replace(cloud, log_scales=cloud.log_scales + np.float32(2))
    found = decode(encode(cloud, EncodeConfig(quality=100)))
    errors = relative_errors(covariances(found), covariances(cloud.select(nearest(found, cloud))))
    assert np.median(errors) < 0.01
    assert errors.max() < 0.1


def test_finer_quality_is_larger_and_nearer() -> None:
    source = grid_cloud(2)
    sizes, errors = [], []
    for quality in (1.0, 20.0, 40.0, 60.0, 80.0, 100.0):
        data = encode(source, EncodeConfig(quality=quality))
        found = decode(data)
        own = source.select(((found.positions[:, None] - source.positions[None]) ** 2).sum(axis=2).argmin(axis=1))
        sizes.append(len(data))
        errors.append(
            [
                np.abs(found.positions - own.positions).mean(),
                np.abs(found.sh_dc - own.sh_dc).mean(),
                np.abs(found.sh_rest - own.sh_rest).mean(),
                relative_errors(covariances(found), covariances(own)).mean(),
                np.abs(log_opacities(found.opacity_logits) - log_opacities(own.opacity_logits)).mean(),
            ]
        )
    assert sizes == sorted(sizes)
    assert (np.diff(errors, axis=0) <= 0).all()


def equivalents(cloud: GaussianCloud) -> dict[str, GaussianCloud]:
    w, x, y, z = cloud.quats_wxyz.T
    half = np.float32(np.sqrt(0.5))
    # q * (1, 0, 0, 1)/sqrt(2): the x axis becomes the y axis, the y axis minus the x axis.
    turned = np.stack([w - z, x + y, y - x, z + w], axis=1) * half
    return {
        "negated": replace(cloud, quats_wxyz=-cloud.quats_wxyz),
        "scaled": replace(cloud, quats_wxyz=cloud.quats_wxyz * np.float32(37.0)),
        "permuted": replace(cloud, quats_wxyz=turned, log_scales=cloud.log_scales[:, [1, 0, 2]].copy()),
    }


@pytest.mark.parametrize("name", ["negated", "scaled", "permuted"])
def test_other_names_of_the_same_gaussian_decode_alike(name: str) -> None:
    cloud = random_cloud(500, 0, 3)
    other = equivalents(cloud)[name]
    np.testing.assert_allclose(covariances(other), covariances(cloud), rtol=1e-3, atol=1e-5)
    first, second = decode(encode(cloud)), decode(encode(other))
    for attribute in ("positions", "opacity_logits", "sh_dc", "log_scales"):
        assert getattr(first, attribute).tobytes() == getattr(second, attribute).tobytes()
    # Rounding of the turned quaternion may move a few codes by one.
    same = (np.abs(first.quats_wxyz - second.quats_wxyz) < 1e-6).all(axis=1)
    assert same.mean() > 0.98


def test_order_of_splats_is_nobodys_business() -> None:
    cloud = random_cloud(3000, 1, 4)
    shuffled = cloud.select(np.random.default_rng(0).permutation(3000))
    first, second = decode(encode(cloud)), decode(encode(shuffled))
    np.testing.assert_array_equal(first.positions, second.positions)  # one tile, and its order is that of places
    for attribute in ("log_scales", "sh_dc"):
        np.testing.assert_allclose(getattr(first, attribute), getattr(second, attribute), atol=0.5)


def test_bytes_do_not_depend_on_threads_or_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gscodec.branches.native.tiling.TILE_SPLATS", 500)
    cloud = random_cloud(3000, 2, 5)
    data = encode(cloud, EncodeConfig(threads=1))
    assert Container.open(BytesSource(data)).header.tile_count > 4
    assert data == encode(cloud, EncodeConfig(threads=2)) == encode(cloud, EncodeConfig(threads=1))
    assert_same_arrays(decode(data, threads=1), decode(data, threads=2))


def finite(cloud: GaussianCloud) -> bool:
    return all(np.isfinite(getattr(cloud, name)).all() for name in ATTRIBUTES)


def there_and_back(cloud: GaussianCloud, quality: float = 75.0) -> GaussianCloud:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = decode(encode(cloud, EncodeConfig(quality=quality)))
    assert len(found) == len(cloud)
    assert finite(found)
    return found


@pytest.mark.parametrize("sh_degree", range(5))
@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_splats(count: int, sh_degree: int) -> None:
    found = there_and_back(random_cloud(count, sh_degree, 6))
    assert found.sh_degree == sh_degree


@pytest.mark.parametrize("count", [5, 70_000])
def test_equal_splats(count: int) -> None:
    cloud = random_cloud(1, 0, 7).select(np.zeros(count, np.int64))
    found = there_and_back(cloud)
    np.testing.assert_allclose(found.positions, cloud.positions, atol=1e-6)
    np.testing.assert_allclose(found.sh_dc, cloud.sh_dc, atol=0.5)


@pytest.mark.parametrize("scale", [-30.0, 30.0])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_extreme_scales(scale: float, count: int) -> None:
    cloud = random_cloud(count, 0, 8)
    cloud = replace(cloud, log_scales=np.full((count, 3), scale, np.float32))
    np.testing.assert_allclose(there_and_back(cloud).log_scales, scale, atol=0.6)


def test_scales_of_all_sizes_in_one_cloud() -> None:
    rng = np.random.default_rng(9)
    cloud = replace(random_cloud(2000, 0, 9), log_scales=rng.uniform(-30, 30, (2000, 3)).astype(np.float32))
    assert np.abs(there_and_back(cloud).log_scales).max() < 45


@pytest.mark.parametrize("log_scale", [-20.0, -4.0])
def test_huge_extents(log_scale: float) -> None:
    rng = np.random.default_rng(10)
    direction = rng.normal(size=(4000, 3))
    radius = 10 ** rng.uniform(-3, 9, 4000)
    direction *= (radius / np.linalg.norm(direction, axis=1))[:, None]
    cloud = replace(
        random_cloud(4000, 0, 10),
        positions=direction.astype(np.float32),
        log_scales=np.full((4000, 3), log_scale, np.float32),
    )
    data = encode(cloud)
    assert Container.open(BytesSource(data)).header.tile_count < 100
    found = decode(data)
    assert finite(found)
    # In each octave of distance as many as before: no shell has collapsed into another.
    before, after = (np.log10(np.linalg.norm(c.positions.astype(np.float64), axis=1)) for c in (cloud, found))
    np.testing.assert_allclose(np.sort(after)[2000:], np.sort(before)[2000:], atol=0.05)


def test_one_splat_far_away_leaves_the_others_where_they_are() -> None:
    cloud = grid_cloud(0)
    positions = cloud.positions.copy()
    positions[7] = 1e9, -1e9, 1e9
    found = there_and_back(replace(cloud, positions=positions))
    gaps = np.linalg.norm(found.positions[:, None].astype(np.float64) - positions[None], axis=2)
    near = gaps.min(axis=0)
    assert np.delete(near, 7).max() < 0.2
    assert near[7] < 1e-3 * 1e9  # seen from afar, its cell is as large on screen as those of the others


def test_saturated_opacities() -> None:
    cloud = random_cloud(400, 0, 11)
    logits = np.where(np.arange(400) % 2, 40.0, -40.0).astype(np.float32)
    found = there_and_back(replace(cloud, opacity_logits=logits))
    assert (np.sort(found.opacity_logits)[:200] < -16).all()
    assert (np.sort(found.opacity_logits)[200:] > 3).all()


@pytest.mark.parametrize("quality", [1.0, 75.0, 100.0])
def test_huge_coefficients(quality: float) -> None:
    cloud = random_cloud(400, 1, 12)
    signs = np.where(np.random.default_rng(12).random((400, 3)) < 0.5, -4e5, 4e5).astype(np.float32)
    found = there_and_back(replace(cloud, sh_rest=np.repeat(signs[:, None], 3, axis=1)), quality)
    np.testing.assert_allclose(np.abs(found.sh_rest), 4e5, rtol=1e-3)


@pytest.mark.parametrize("quality", [1.0, 75.0, 100.0])
def test_a_huge_base_colour_harms_no_other(quality: float) -> None:
    cloud = random_cloud(400, 0, 13)
    dc = cloud.sh_dc.copy()
    dc[200] = 4e5
    found = np.sort(np.abs(there_and_back(replace(cloud, sh_dc=dc), quality).sh_dc).max(axis=1))
    np.testing.assert_allclose(found[-1], 4e5, rtol=1e-3)
    assert found[-2] < 15


def test_meta_comes_back() -> None:
    meta = CloudMeta(render_mode="antialiased", comments=("made by hand", "", "größer \t \u2028"))
    cloud = replace(random_cloud(3, 0, 14), meta=meta)
    assert decode(encode(cloud)).meta == meta


@pytest.mark.parametrize("comment", ["two\nlines", "carriage\rreturn", "half \ud800 pair"])
def test_comments_that_no_decoder_takes_are_refused(comment: str) -> None:
    with pytest.raises(BadInputError, match="comments"):
        pack_meta(CloudMeta(comments=(comment,)))


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b'{"comments": "text"}', b'{"comments": {"a": 1}}', b'{"comments": [1]}', b"\xff",
     b'{"comments": ["a\\nb"]}', b'{"comments": ["\\ud800"]}', '{"comments": []}'.encode("utf-16"), b"[" * 100000],
)  # fmt: skip
def test_bad_meta_is_refused(text: bytes) -> None:
    header = Container.open(BytesSource(encode(random_cloud(0, 0, 0)))).header
    with pytest.raises(CorruptStreamError):
        unpack_meta(Stream(StreamKind.META, Coder.RAW, text, len(text), critical=False), header)


@pytest.mark.parametrize(
    ("name", "value"),
    [("zone_radius", float("nan")), ("zone_radius", 0.0), ("cell_size", float("inf")), ("cell_size", -1.0),
     ("zone_centre", (0.0, 2.0**101, 0.0)), ("ac_step", (1, 1, 1, 0)),
     ("pixel_log", (1 << 22) + 1), ("roll_offset", -(1 << 22) - 1), ("long_predictor", (0,) * 5 + (1 << 23,))],
)  # fmt: skip
def test_bad_parameters_are_refused(name: str, value: Any) -> None:
    _, shared = shared_of(encode(random_cloud(1, 0, 0)))
    payload = NATIVE_PARAMS.pack({**shared.params.values, name: value})
    with pytest.raises(CorruptStreamError, match=name):
        Params.unpack(payload)
    with pytest.raises(CorruptStreamError, match="PARAMS"):
        Params.unpack(payload + b"\0")


@pytest.mark.parametrize("value", [2, (1 << 32) - 1])
def test_dependent_is_yes_or_no(value: int) -> None:
    _, shared = shared_of(encode(random_cloud(1, 0, 0)))
    payload = bytearray(shared.params.pack())
    at = NATIVE_PARAMS.offsets["dependent"]
    payload[at : at + 4] = value.to_bytes(4, "little")
    with pytest.raises(CorruptStreamError, match="dependent"):
        Params.unpack(bytes(payload))


def test_distances_of_infinite_positions_are_those_of_the_format() -> None:
    _, shared = shared_of(encode(random_cloud(1, 0, 0)))
    params = Params({**shared.params.values, "zone_centre": (0.0, 0.0, 0.0), "zone_radius": 1.0})
    positions = np.array([[0, 0, 0], [np.inf, 0, -np.inf], [3e38, 0, 0], [0, 1, 0]], np.float32)
    # 1 = 0.5 * 2**1: e = 1, q = -4. 9e76 = 0.777… * 2**256: e = 256, q = -2. 2 = 0.5 * 2**2.
    assert (distance_logs(positions, params) // 8192).tolist() == [0, -1, 1022, 4]


def tile_streams(container: Container) -> dict[StreamKind, Stream]:
    return {StreamKind(e.kind): container.read(e.kind, 0) for e in container.entries if e.tile == 0}


def test_damaged_streams_fail_in_the_family_of_errors() -> None:
    cloud = random_cloud(40, 1, 15)
    container, shared = shared_of(encode(cloud))
    streams = tile_streams(container)
    rng = np.random.default_rng(15)
    failed = 0
    for kind, stream in streams.items():
        for _ in range(60):
            damaged = bytearray(stream.payload)
            damaged[rng.integers(len(damaged))] = rng.integers(256)
            payload = bytes(damaged[: rng.integers(len(damaged))]) if rng.random() < 0.2 else bytes(damaged)
            changed = Stream(kind, stream.coder, payload, stream.raw_length, 0)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    assert len(native.decode_tile({**streams, kind: changed}, shared, 40)) == 40
                except GsbError:
                    failed += 1
    assert failed > 100


@pytest.mark.parametrize("count", [0, 39, 41, (1 << 20) + 1])
def test_wrong_counts_are_refused(count: int) -> None:
    container, shared = shared_of(encode(random_cloud(40, 1, 16)))
    with pytest.raises(CorruptStreamError):
        native.decode_tile(tile_streams(container), shared, count)


def test_missing_streams_and_wrong_coders_are_refused() -> None:
    container, shared = shared_of(encode(random_cloud(4, 1, 17)))
    streams = tile_streams(container)
    assert set(streams) >= {StreamKind.GEOMETRY, AC_KINDS[0]}
    for kind, stream in streams.items():
        with pytest.raises(CorruptStreamError, match=kind.name):
            native.decode_tile({k: v for k, v in streams.items() if k != kind}, shared, 4)
        other = Stream(kind, Coder.RAW, stream.payload, stream.raw_length, 0)
        with pytest.raises(CorruptStreamError, match=kind.name):
            native.decode_tile({**streams, kind: other}, shared, 4)
    header = container.header
    with pytest.raises(CorruptStreamError, match="PARAMS"):
        native.parse_shared({}, Header(header.branch, 1, 4, 1))
