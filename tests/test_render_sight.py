"""What views show of splats in cells, against the slow renderer and against contributions of every pixel."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from slow_renderer import camera, random_cloud, slow_render, splats, with_each_thread_count

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.render.cpu import contributions, sight, visibility
from gscodec.scene.depths import rough_order


def views() -> list:
    moved = camera().world_to_camera.copy()
    moved[:3, 3] += [0.4, 0.1, 0.3]
    return [camera(), camera(world_to_camera=moved), camera(width=30, height=20), camera(fx=60.0, fy=60.0)]


def table_of(cloud: GaussianCloud) -> np.ndarray:
    table = np.zeros((len(cloud), 10), np.float32)
    sight._prepare(cloud.positions, cloud.log_scales, cloud.quats_wxyz, cloud.opacity_logits, table)
    return table


@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_cells_of_a_pixel_equal_the_slow_renderer(render_mode: str) -> None:
    view = camera(width=51, height=37, cx=22.3, cy=20.1)
    cloud = random_cloud(0, count=400, seed=3, render_mode=render_mode)
    expected = slow_render(splats(cloud), view, centre_limit=1.5).weight_sum
    shown, alone = sight.look(table_of(cloud), view, render_mode == "antialiased", cells=51, blur=0.0)
    # The slow renderer cuts alpha at 1/255, and closes a pixel when less than 1e-4 passes.
    np.testing.assert_allclose(shown, expected, rtol=0.06, atol=0.02)
    assert np.all(alone >= shown * (1.0 - 1e-6))


def test_needles_are_as_bright_as_in_pixels() -> None:
    rng = np.random.default_rng(1)
    view = camera(width=640, height=480, fx=560.0, fy=560.0, cx=320.0, cy=240.0, world_to_camera=np.eye(4))
    for length, error in ((1.0, 0.05), (10.0, 0.25)):  # the last is 700 cells long; single precision ends soon after
        for _ in range(20):
            angle = rng.uniform(0.0, math.pi)
            cloud = random_cloud(0, count=1)
            cloud.positions[:], cloud.opacity_logits[:] = [0.0, 0.0, 2.0], 0.0
            cloud.log_scales[:] = np.log([length, 1e-3, 1e-3])
            cloud.quats_wxyz[:] = [math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2)]
            exact = contributions(cloud, view).weight_sum[0]
            assert visibility(cloud, [view], 1.0).weights[0] == pytest.approx(exact, rel=error)


def test_a_splat_that_no_file_keeps_hides_nothing() -> None:
    cloud = random_cloud(1, count=60)
    without = visibility(cloud.select(np.arange(1, 60)), views(), 1.0)
    cloud.sh_dc[0, 1] = np.nan
    np.testing.assert_array_equal(visibility(cloud, views(), 1.0).weights[1:], without.weights)


def test_a_splat_before_all_others_hides_them() -> None:
    cloud = random_cloud(0, count=50)
    front = camera().world_to_camera[:3, :3].T @ (np.array([0.0, 0.0, 0.5]) - camera().world_to_camera[:3, 3])
    for name, value in (("positions", front), ("log_scales", 2.0), ("opacity_logits", 20.0)):
        getattr(cloud, name)[0] = value
    shown, alone = sight.look(table_of(cloud), camera(), antialiased=False)
    # Its alpha is capped at 0.99.
    assert shown[0] > 0.9 * 48 * 32
    behind = alone[1:] > 0.1
    assert behind.sum() > 20
    np.testing.assert_allclose(shown[1:][behind] / alone[1:][behind], 0.01, atol=0.01)


def test_cells_tell_nearly_what_pixels_do() -> None:
    rng = np.random.default_rng(5)
    cloud = random_cloud(0, count=4000, seed=2)
    cloud.log_scales[:] = rng.normal(-3.5, 0.5, cloud.log_scales.shape)
    large = [camera(width=640, height=427, fx=533.0, fy=560.0, cx=320.0, cy=213.5)]
    found = visibility(cloud, large, 1.0)
    exact = contributions(cloud, large[0]).weight_sum
    assert np.corrcoef(np.sqrt(found.weights), np.sqrt(exact))[0, 1] > 0.99
    np.testing.assert_allclose(found.weights.sum(), exact.sum(), rtol=0.03)


@pytest.mark.parametrize("samples", [1000, 40])
def test_sums_over_views(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "SAMPLE_SPLATS", samples)
    cloud = random_cloud(0, count=130, seed=0)
    each = [sight.look(table_of(cloud), view, antialiased=False) for view in views()]
    shown, alone = np.array([part[0] for part in each]), np.array([part[1] for part in each])
    told: list[tuple[str, float]] = []

    found = visibility(cloud, views(), 0.25, lambda stage, share: told.append((stage, share)))

    assert found.doubt == 0.25
    np.testing.assert_array_equal(found.centres, [view.centre for view in views()])
    assert found.sample.tolist() == list(range(0, 130, 1 if samples > 130 else 4))
    np.testing.assert_array_equal(found.weights, shown.sum(axis=0, dtype=np.float64))
    np.testing.assert_array_equal(found.shown, shown[:, found.sample])
    known = (alone > sight.FAINT).any(axis=0)
    shares = np.where(alone > sight.FAINT, shown / np.maximum(alone, sight.FAINT), 0.0)
    clear = np.sort(shares, axis=0)[-3:].mean(axis=0)
    np.testing.assert_allclose(found.clear[known], clear[known], rtol=1e-6)
    np.testing.assert_allclose(found.clear[~known], clear[known].mean(), rtol=1e-5)
    assert 0 < known.sum() < 130
    assert told[0] == ("looking", 0.0)
    assert all(stage == "looking" and 0.0 <= share < 1.0 for stage, share in told)


def test_same_bits_for_any_number_of_threads() -> None:
    cloud = random_cloud(0, count=500)

    def work() -> list[bytes]:
        found = visibility(cloud, views(), 1.0)
        return [found.weights.tobytes(), found.shown.tobytes(), found.clear.tobytes()]

    results = with_each_thread_count(work)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38])
@pytest.mark.parametrize("name", ["positions", "log_scales", "quats_wxyz", "opacity_logits"])
def test_a_broken_splat_shows_nothing_and_hides_nothing(name: str, value: float) -> None:
    cloud = random_cloud(0, count=60)
    without = visibility(cloud.select(np.arange(1, 60)), views(), 1.0)
    array = getattr(cloud, name)
    array[0] = value
    found = visibility(cloud, views(), 1.0)
    assert found.weights[0] == 0.0
    np.testing.assert_array_equal(found.weights[1:], without.weights)
    np.testing.assert_array_equal(found.clear[1:], without.clear)


def test_a_cloud_that_no_view_shows() -> None:
    cloud = random_cloud(0, count=20)
    cloud.positions[:] += 1e6
    found = visibility(cloud, views(), 1.0)
    assert not found.weights.any()
    assert (found.clear == 1.0).all()


def test_an_empty_cloud() -> None:
    found = visibility(random_cloud(0).select(np.arange(0)), views(), 1.0)
    assert (len(found.weights), found.shown.shape) == (0, (4, 0))


def test_no_doubt_is_refused() -> None:
    with pytest.raises(BadInputError, match="doubt"):
        visibility(random_cloud(0), views(), 0.0)


def test_rough_order_is_that_of_a_sort_but_for_near_equals() -> None:
    numbers = np.exp(np.random.default_rng(0).normal(0.0, 2.0, 5000)).astype(np.float32)
    order = rough_order(numbers)
    assert sorted(order) == list(range(5000))
    ratio = math.log(numbers.max() / numbers.min()) / 65535
    steps = np.diff(np.log(numbers[order]))
    assert steps.min() > -1.01 * ratio
    assert (steps < 0).mean() < 0.1


@pytest.mark.parametrize("numbers", [[], [3.0], [2.0, 2.0, 2.0], [1e-30, 1e30], [1.0, np.nextafter(np.float32(1), 2)]])
def test_rough_order_of_few(numbers: list[float]) -> None:
    array = np.array(numbers, np.float32)
    assert rough_order(array).tolist() == np.argsort(array, kind="stable").tolist()


def test_a_cloud_is_only_looked_at() -> None:
    cloud = random_cloud(0)
    before = [np.copy(getattr(cloud, field.name)) for field in dataclasses.fields(cloud) if field.name != "meta"]
    visibility(cloud, views(), 1.0)
    after = [getattr(cloud, field.name) for field in dataclasses.fields(cloud) if field.name != "meta"]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
