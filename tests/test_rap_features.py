from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import numpy.typing as npt
import pytest
from clouds import random_cloud

from gscodec.cloud import ATTRIBUTES, SH_REST_COUNTS, GaussianCloud
from gscodec.importance import rap_distilled_features, rap_features
from gscodec.importance.rap_features import canonical_order, colour_anisotropy, features
from gscodec.importance.rap_neighbours import again, lists, neighbourhoods
from gscodec.importance.rap_tree import build
from gscodec.transform.harmonics import fibonacci_directions, sh_basis

BOTH = pytest.mark.parametrize("module", [rap_features, rap_distilled_features], ids=["rap", "rap-distilled"])


def slow_neighbours(
    positions: npt.NDArray[np.float32], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Numbers and distances of the k nearest others of each point, nearest first."""
    places = positions.astype(np.float64)
    distances = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    who = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return who, np.take_along_axis(distances, who, axis=1)


def slow_anisotropy(cloud: GaussianCloud) -> npt.NDArray[np.float64]:
    count = cloud.sh_rest.shape[1]
    colours = []
    for direction in fibonacci_directions(60):
        basis = np.zeros(24)
        sh_basis(*direction, count, basis)
        colour = 0.5 + 0.28209479177387814 * cloud.sh_dc.astype(np.float64)
        colours.append(np.clip(colour + np.einsum("k,nkc->nc", basis[:count], cloud.sh_rest.astype(float)), 0.0, 1.0))
    return np.maximum(np.std(colours, axis=0).mean(axis=1), 1e-5)


def slow_features(cloud: GaussianCloud) -> npt.NDArray[np.float64]:
    who, distances = slow_neighbours(cloud.positions, min(128, len(cloud) - 1))
    scales = np.exp(np.sort(cloud.log_scales.astype(np.float64), axis=1))
    raw = np.column_stack(
        [
            distances.mean(axis=1),
            slow_anisotropy(cloud),
            scales,
            scales.prod(axis=1),
            1.0 / (1.0 + np.exp(-cloud.opacity_logits.astype(np.float64))),
            np.clip(0.5 + 0.28209479177387814 * cloud.sh_dc.astype(np.float64), 0.0, 1.0).mean(axis=1),
        ]
    )
    around = raw[who]
    deviation = around.std(axis=1)
    varied = deviation > 1e-9 * np.abs(around.mean(axis=1))
    local = np.where(varied, (raw - around.mean(axis=1)) / np.where(varied, deviation, 1.0), 0.0)
    columns = np.concatenate([np.log(raw[:, :7]), local], axis=1)
    low, high = np.quantile(columns, [0.01, 0.99], axis=0)
    return (np.clip(columns, low, high) - low) / np.where(high > low, high - low, 1.0)


@pytest.mark.parametrize("degree", range(5))
def test_the_15_features_are_those_of_a_plain_implementation(degree: int) -> None:
    cloud = random_cloud(600, degree, degree)
    assert np.abs(features(cloud) - slow_features(cloud)).max() < 1e-6


@pytest.mark.parametrize("count", [2, 3, 24, 25, 129, 130])
def test_few_splats_are_each_others_neighbours(count: int) -> None:
    cloud = random_cloud(count, 1, 4)
    assert np.abs(features(cloud) - slow_features(cloud)).max() < 1e-6


@pytest.mark.parametrize("count", [30, 700, 3001])
@pytest.mark.parametrize("k", [1, 16, 128])
def test_neighbours_are_exact(count: int, k: int) -> None:
    k = min(k, count - 1)
    rng = np.random.default_rng(count + k)
    positions = rng.standard_normal((count, 3)).astype(np.float32)
    positions[: count // 3] *= 1e-3  # dense and sparse parts
    tree = build(positions)
    placed = positions[tree.order]
    assert np.array_equal(tree.points.T, placed)
    who, distances = slow_neighbours(placed, k)
    assert np.array_equal(lists(tree, k), who)
    values = rng.standard_normal((count, 2))
    found = neighbourhoods(tree, values, k)
    assert np.allclose(found.distance, distances.mean(axis=1), rtol=1e-12)
    assert np.allclose(found.mean, values[who].mean(axis=1), rtol=0, atol=1e-12)
    assert np.allclose(found.deviation, values[who].std(axis=1), rtol=0, atol=1e-12)
    mean, deviation = again(tree, found, values, k)
    assert np.allclose(mean, found.mean, rtol=0, atol=1e-12)
    assert np.allclose(deviation, found.deviation, rtol=0, atol=1e-12)


def test_equal_distances_are_told_apart_by_number() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), axis=-1).reshape(-1, 3).astype(np.float32)
    positions = np.concatenate([grid, grid[:100]])
    tree = build(positions)
    who, _ = slow_neighbours(tree.points.T, 20)
    assert np.array_equal(lists(tree, 20), who)
    values = np.arange(len(positions), dtype=np.float64)[:, None]
    found = neighbourhoods(tree, values, 20)
    assert np.allclose(found.mean, values[who].mean(axis=1), rtol=1e-12)
    assert np.allclose(again(tree, found, values, 20)[0], found.mean, rtol=1e-12)


@BOTH
def test_order_and_threads_do_not_matter(module: object) -> None:
    cloud = random_cloud(900, 2, 8)
    cloud = cloud.select(np.concatenate([np.arange(900), np.arange(200), np.arange(100)]))  # clones
    moved = cloud.positions.copy()
    moved[1000:1100] = moved[:100]
    shades = cloud.sh_dc.copy()
    shades[900:1000] += np.float32(0.5)  # at the same place, of other colour
    cloud = replace(cloud, positions=moved, sh_dc=shades)
    expected = module.features(cloud)  # type: ignore[attr-defined]
    order = np.random.default_rng(1).permutation(len(cloud))
    assert module.features(cloud.select(order)).tobytes() == expected[order].tobytes()  # type: ignore[attr-defined]
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert module.features(cloud).tobytes() == expected.tobytes()  # type: ignore[attr-defined]
    finally:
        numba.set_num_threads(threads)


def test_canonical_order_is_by_value() -> None:
    cloud = random_cloud(300, 1, 2).select(np.repeat(np.arange(300), 2))
    logits = cloud.opacity_logits.copy()
    logits[::2] += np.float32(1.0)
    cloud = replace(cloud, opacity_logits=logits)
    order = np.random.default_rng(0).permutation(600)
    everything = np.arange(600)
    first, second = cloud.select(canonical_order(cloud, everything)), cloud.select(order)
    second = second.select(canonical_order(second, everything))
    for name in ATTRIBUTES:
        assert np.array_equal(getattr(first, name), getattr(second, name)), name


def test_constant_columns_are_zero() -> None:
    cloud = random_cloud(300, 0, 5)
    same = replace(cloud, opacity_logits=np.zeros(300, np.float32), log_scales=np.full((300, 3), -3.0, np.float32))
    found = features(same)
    varied = {"distance, scene", "distance, neighbours", "colour, neighbours"}
    for name, column in zip(rap_features.NAMES, found.T, strict=True):
        assert (np.ptp(column) > 0.5) if name in varied else (column == 0).all(), name


@BOTH
@pytest.mark.parametrize("count", [0, 1, 2, 5, 16, 17, 200])
def test_all_at_one_place_is_defined(module: object, count: int) -> None:
    cloud = random_cloud(count, 1, 7)
    cloud = replace(cloud, positions=np.ones((count, 3), np.float32))
    found = module.features(cloud)  # type: ignore[attr-defined]
    assert found.shape == (count, len(module.NAMES))  # type: ignore[attr-defined]
    assert np.isfinite(found).all()


@BOTH
def test_extreme_numbers_stay_finite(module: object) -> None:
    cloud = random_cloud(200, 3, 9)
    logits, scales, places = cloud.opacity_logits.copy(), cloud.log_scales.copy(), cloud.positions.copy()
    logits[:6] = [1e30, -1e30, np.inf, -np.inf, 200.0, -200.0]
    scales[6:9] = [[1e30] * 3, [-1e30] * 3, [-1e30, 0.0, 1e30]]
    places[9:12] = [[3e38] * 3, [-3e38] * 3, [0.0, 0.0, 3e38]]
    turns = cloud.quats_wxyz.copy()
    turns[12:15] = [[0.0] * 4, [3e38] * 4, [1e-45, 0.0, 0.0, 0.0]]
    extreme = replace(cloud, opacity_logits=logits, log_scales=scales, positions=places, quats_wxyz=turns)
    assert np.isfinite(module.features(extreme)).all()  # type: ignore[attr-defined]


@BOTH
def test_broken_splats_are_left_out(module: object) -> None:
    cloud = random_cloud(300, 1, 3)
    places = cloud.positions.copy()
    places[[5, 70], [0, 2]] = np.nan, np.inf
    found = module.features(replace(cloud, positions=places))  # type: ignore[attr-defined]
    sound = np.ones(300, bool)
    sound[[5, 70]] = False
    assert np.isnan(found[~sound]).all()
    assert found[sound].tobytes() == module.features(cloud.select(sound)).tobytes()  # type: ignore[attr-defined]


@pytest.mark.parametrize("degree", range(5))
def test_anisotropy(degree: int) -> None:
    cloud = random_cloud(100, degree, 6)
    found = colour_anisotropy(cloud.sh_dc, cloud.sh_rest)
    assert np.allclose(np.maximum(found, 1e-5), slow_anisotropy(cloud), rtol=1e-9)
    assert degree == 0 or found.max() > 0.01


def test_fibonacci_directions_are_spread() -> None:
    directions = fibonacci_directions(60)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1.0)
    assert np.abs(directions.mean(axis=0)).max() < 0.01
    angles = directions @ directions.T - 2.0 * np.eye(60)
    assert angles.max() < np.cos(np.radians(20.0))


def slow_distilled(cloud: GaussianCloud, i: int) -> dict[str, float]:
    """Some features of splat i by their definition."""
    who = slow_neighbours(cloud.positions, 16)[0][i]
    opacity = 1.0 / (1.0 + np.exp(-cloud.opacity_logits.astype(np.float64)))
    scales = np.exp(cloud.log_scales.astype(np.float64))
    area = np.sort(scales, axis=1)[:, 1:].prod(axis=1)
    colour = np.clip(0.5 + 0.28209479177387814 * cloud.sh_dc.astype(np.float64), 0.0, 1.0)
    w, x, y, z = (cloud.quats_wxyz / np.linalg.norm(cloud.quats_wxyz, axis=1, keepdims=True)).astype(np.float64).T
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
    gap = cloud.positions[i].astype(np.float64) - cloud.positions[who]
    theirs = (np.einsum("nij,ni->nj", turn[who], gap) / scales[who]) ** 2
    weight = opacity[who] * np.exp(-0.125 * np.minimum(theirs.sum(axis=1), 60.0)) + 1e-6
    light = opacity[who] * np.exp(-0.5 * np.minimum(theirs.sum(axis=1), 60.0))
    tint = (weight[:, None] * colour[who]).sum(axis=0) / weight.sum()
    distance = np.linalg.norm(gap, axis=1).mean()
    return {
        "log opacity": np.log(opacity[i]),
        "size over distance, 16": np.log(np.sort(scales[i])[1] / distance),
        "opacity over neighbours, 16": np.log(opacity[i]) - np.log(opacity[who]).mean(),
        "mean opacity, 4": opacity[who[:4]].mean(),
        "cover density, 16": np.log((opacity * area)[who].mean() / distance**2),
        "footprint of neighbours over own, 16": np.log((opacity**2 * area)[who].mean() / (opacity[i] ** 2 * area[i])),
        "deviation of log area, 16": np.log(area[who]).std(),
        "cover at centre": np.log(light.sum() + 0.01),
        "colour difference to cover": np.log(np.linalg.norm(colour[i] - tint) + 0.01),
    }


def test_distilled_features_by_their_definition() -> None:
    cloud = random_cloud(250, 2, 12)
    cloud = replace(cloud, log_scales=cloud.log_scales * np.float32(0.5) + np.float32(1.5))  # so that they overlap
    found = rap_distilled_features.features(cloud)
    for i in (0, 17, 249):
        for name, value in slow_distilled(cloud, i).items():
            assert found[i, rap_distilled_features.NAMES.index(name)] == pytest.approx(value, abs=1e-4), name


def test_distilled_features_do_not_depend_on_the_unit_of_length() -> None:
    cloud = random_cloud(400, 1, 13)
    larger = replace(
        cloud, positions=cloud.positions * np.float32(8.0), log_scales=cloud.log_scales + np.float32(np.log(8.0))
    )
    difference = rap_distilled_features.features(larger) - rap_distilled_features.features(cloud)
    assert np.abs(difference).max() < 1e-4


def test_names_are_unique_and_degrees_known() -> None:
    assert len(set(rap_features.NAMES)) == 15
    assert len(set(rap_distilled_features.NAMES)) == 28
    assert len(SH_REST_COUNTS) == 5
