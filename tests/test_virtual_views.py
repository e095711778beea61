"""Views placed from the cloud alone."""

import itertools
from dataclasses import replace

import numba
import numpy as np
import pytest
from clouds import random_cloud
from gscodec_tools.synthetic_cloud import main as write_synthetic

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.formats.ply import read_ply
from gscodec.scene import load_cameras, probe, virtual, virtual_views
from gscodec.scene.probe import glance, subject
from gscodec.scene.virtual import look_at


def cloud_of(positions, size):
    count = len(positions)
    return GaussianCloud(
        positions=positions.astype(np.float32),
        log_scales=np.broadcast_to(np.log(size), (count, 3)).astype(np.float32),
        quats_wxyz=np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        opacity_logits=np.full(count, 4.0, np.float32),
        sh_dc=np.zeros((count, 3), np.float32),
        sh_rest=np.zeros((count, 0, 3), np.float32),
    )


def directions(count):
    points = np.random.default_rng(3).standard_normal((count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_look_at_has_the_target_in_the_middle_and_up_above():
    eye, target, up = np.array([3.0, -1.0, 2.0]), np.array([0.0, 1.0, 0.5]), np.array([0.0, -1.0, 0.0])
    camera = look_at(eye, target, up, 64, 48)
    np.testing.assert_allclose(camera.centre, eye, atol=1e-12)
    local = camera.world_to_camera[:3] @ [*target, 1.0]
    np.testing.assert_allclose(local[:2], 0.0, atol=1e-12)
    assert local[2] > 0
    assert camera.world_to_camera[1, :3] @ up < 0
    np.testing.assert_allclose(np.linalg.det(camera.world_to_camera[:3, :3]), 1.0)


def test_views_are_the_same_for_the_same_arguments():
    cloud = random_cloud(3000, 3, seed=1)
    views = virtual_views(cloud, 5, seed=2, width=320, height=200)
    assert [view.name for view in views] == [f"virtual_{i:04d}" for i in range(5)]
    assert {(view.width, view.height, view.split) for view in views} == {(320, 200, "test")}
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        again = virtual_views(cloud, 5, seed=2, width=320, height=200)
    finally:
        numba.set_num_threads(threads)
    assert [view.world_to_camera.tobytes() for view in again] == [view.world_to_camera.tobytes() for view in views]
    other = virtual_views(cloud, 5, seed=3, width=320, height=200)
    assert other[0].world_to_camera.tobytes() != views[0].world_to_camera.tobytes()


def test_an_object_is_looked_at_from_outside():
    cloud = cloud_of(directions(4000) * 2.0 + [10.0, 0.0, 0.0], 0.05)
    for view in virtual_views(cloud, 6):
        assert np.linalg.norm(view.centre - [10.0, 0.0, 0.0]) > 2.2
        u, v, depth = view.world_to_camera[:3] @ [10.0, 0.0, 0.0, 1.0]
        assert depth > 0
        assert abs(view.fx * u / depth) < view.width / 2
        assert abs(view.fy * v / depth) < view.height / 2


def test_cameras_stay_within_a_far_shell():
    core, shell = directions(5000) * 1.0, directions(4000) * 15.0
    sizes = np.repeat([0.04, 0.5], [5000, 4000])
    cloud = cloud_of(np.concatenate([core, shell]), sizes[:, None])
    distances = [np.linalg.norm(view.centre) for view in virtual_views(cloud, 6)]
    assert min(distances) > 1.0
    assert max(distances) < 10.0


def test_cameras_stand_inside_a_furnished_room():
    rng = np.random.default_rng(5)
    walls = rng.uniform(-1.0, 1.0, (12000, 3))
    axis = rng.integers(0, 3, 12000)
    walls[np.arange(12000), axis] = np.sign(walls[np.arange(12000), axis])
    room, table = np.array([4.0, 1.5, 3.0]), rng.uniform(-1.0, 1.0, (9000, 3)) * [0.6, 0.3, 0.6] + [0.0, 1.2, 0.0]
    cloud = cloud_of(np.concatenate([walls * room, table]), np.repeat([0.1, 0.03], [12000, 9000])[:, None])
    inside = [bool((np.abs(view.centre) < room).all()) for view in virtual_views(cloud, 8)]
    assert sum(inside) >= 5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_alcove_is_looked_into_through_its_opening(seed):
    """As captures from one corner have it: most places show walls from behind."""
    rng = np.random.default_rng(7)
    walls, side = rng.uniform(-1.0, 1.0, (12000, 3)), rng.choice(5, 12000)
    for wall, (axis, place) in enumerate([(0, -1.0), (0, 1.0), (1, -1.0), (1, 1.0), (2, 1.0)]):
        walls[side == wall, axis] = place
    things = rng.uniform(-1.0, 1.0, (6000, 3)) * [0.5, 0.3, 0.2] + [0.0, 0.6, 0.7]
    places = np.concatenate([walls, things]) * [2.0, 1.2, 1.0]
    views = virtual_views(cloud_of(places, np.repeat([0.04, 0.02], [12000, 6000])[:, None]), 8, seed)
    eyes = np.array([view.centre for view in views])
    assert (eyes[:, 2] < 0.0).sum() >= 7  # one of 8 may be behind the back, which is at 1
    apart = np.linalg.norm(eyes[:, None] - eyes, axis=2)
    assert apart[~np.eye(8, dtype=bool)].min() > 0.5  # the best alone would be within 0.2
    assert sum(view.world_to_camera[2, 2] > 0.0 for view in views) >= 7


def test_the_synthetic_scene_is_seen_from_where_its_cameras_are(tmp_path):
    assert write_synthetic([str(tmp_path), "--splats", "5000"]) == 0
    cloud = read_ply(tmp_path / "point_cloud.ply")
    real = np.array([camera.centre for camera in load_cameras(tmp_path / "cameras.json")])
    views = virtual_views(cloud, 8)
    distances = np.linalg.norm(np.array([view.centre for view in views]) - real.mean(axis=0), axis=1)
    assert np.median(distances) < 1.5 * np.linalg.norm(real - real.mean(axis=0), axis=1).max()
    # y is down, and people stand above the ground; the rounds about the best places may take one high up
    assert np.median([view.world_to_camera[1, 1] for view in views]) > 0.7
    assert all(view.world_to_camera[1, 1] > 0.0 for view in views)


@pytest.mark.parametrize("count", [1, 2, 30])
def test_few_and_odd_splats(count):
    cloud = random_cloud(count, 1, seed=4)
    assert len(virtual_views(cloud, 3)) == 3
    places = np.zeros((count, 3), np.float32), np.full((count, 3), 1e7, np.float32)
    for positions, log_scale in itertools.product(places, (0.0, -20.0, -30.0)):
        scales = np.full((count, 3), log_scale, np.float32)
        one_place = replace(cloud, positions=positions, log_scales=scales)
        assert all(np.isfinite(view.world_to_camera).all() for view in virtual_views(one_place, 3))


def test_splats_that_are_not_finite_are_passed_over():
    cloud = random_cloud(500, 1, seed=4)
    positions = cloud.positions.copy()
    positions[:50] = np.nan
    broken = replace(cloud, positions=positions, log_scales=cloud.log_scales.copy())
    broken.log_scales[50] = 31.0  # so large that no file keeps it
    views, expected = virtual_views(broken, 2), virtual_views(cloud.select(slice(51, None)), 2)
    assert [view.world_to_camera.tolist() for view in views] == [view.world_to_camera.tolist() for view in expected]


def test_bad_arguments_are_refused():
    cloud = random_cloud(10, 0, seed=4)
    for arguments in ({"count": 0}, {"count": 1001}, {"seed": -1}, {"width": 0}):
        with pytest.raises(BadInputError):
            virtual_views(cloud, **arguments)
    for empty in (random_cloud(0, 0, seed=4), replace(cloud, opacity_logits=np.full(10, -20, np.float32))):
        with pytest.raises(BadInputError, match="no visible splat"):
            virtual_views(empty)


def test_trained_is_what_views_have_pulled_at():
    """Harmonics that vary towards one side, as seen from there and from beside."""
    rng = np.random.default_rng(0)
    cloud = cloud_of(rng.normal(0.0, 0.2, (500, 3)), np.full((500, 3), 0.03))
    cloud = replace(cloud, sh_rest=np.zeros((500, 3, 3), np.float32))
    cloud.sh_rest[:, 1] = 0.3  # along z
    seen = subject(cloud, rng)
    every = np.ones(500, bool)
    for eye, energy in (([0, 0, -5], 3.0), ([0, 0, 5], 3.0), ([5, 0, 0], 0.0), ([0, 4, 3], 3 * 0.36)):
        camera = look_at(np.array(eye, float), np.zeros(3), np.array([0.6, 0.8, 0.0]), 640, 480)
        assert glance(seen, camera, every).trained == pytest.approx(energy, abs=0.1)
    plain = subject(replace(cloud, sh_rest=np.zeros((500, 0, 3), np.float32)), rng)
    assert glance(plain, camera, every).trained == 0.0


@pytest.mark.parametrize("turned", [0.0, np.pi / 2, np.pi])
def test_a_floor_is_seen_from_above_whichever_axis_is_up(turned):
    """y down, z up, y up: a floor of large splats below, things of small ones on it."""
    rng = np.random.default_rng(3)
    floor = np.c_[rng.uniform(-2, 2, 3000), np.full(3000, 0.5), rng.uniform(-2, 2, 3000)]
    things = np.c_[rng.uniform(-1, 1, 6000), rng.uniform(-0.3, 0.45, 6000), rng.uniform(-1, 1, 6000)]
    c, s = np.cos(turned), np.sin(turned)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    scales = np.repeat([[0.15, 0.01, 0.15], [0.02, 0.02, 0.02]], [3000, 6000], axis=0)
    quats = np.tile([np.cos(turned / 2), np.sin(turned / 2), 0.0, 0.0], (9000, 1))
    cloud = replace(cloud_of(np.concatenate([floor, things]) @ turn.T, scales), quats_wxyz=quats.astype(np.float32))
    up = turn @ [0.0, -1.0, 0.0]
    eyes = np.array([view.centre for view in virtual_views(cloud, 12, 5)])
    assert (eyes @ up > -0.5).mean() > 0.8


def test_a_glance_is_what_splats_add_up_to(monkeypatch):
    """Against every splat in every cell, from the front."""
    monkeypatch.setattr(probe, "ORDERED", 1 << 22)  # so fine that no two splats change places
    rng = np.random.default_rng(3)
    cloud = cloud_of(rng.uniform(-1.0, 1.0, (400, 3)), 0.08)
    seen = subject(cloud, rng)
    camera = look_at(np.array([0.3, -0.2, -4.0]), np.zeros(3), np.array([0.0, -1.0, 0.0]), 480, 360)
    scale = np.array([probe.COLUMNS / camera.width, probe.ROWS / camera.height])
    at = seen.positions @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    order = np.argsort(at[:, 2])
    rows, columns = np.mgrid[: probe.ROWS, : probe.COLUMNS] + 0.5
    passed, light = np.ones(rows.shape), np.zeros(len(at))
    depths = np.full(rows.shape, np.inf)
    for i in order:
        column, row = (at[i, :2] / at[i, 2] * [camera.fx, camera.fy] + [camera.cx, camera.cy]) * scale
        reach = seen.radii[i] * camera.fx * scale[0] / at[i, 2]
        variance = reach * reach + 0.1
        limit = min(3.0 * np.sqrt(variance), probe.MAX_REACH)
        square = (columns - column) ** 2 + (rows - row) ** 2
        alpha = seen.opacities[i] * reach * reach / variance * np.exp(-0.5 * square / variance)
        near = (abs(columns - column) <= limit) & (abs(rows - row) <= limit)
        taken = np.where(near, alpha, 0.0) * passed
        light[i] = taken.sum()
        passed -= taken
        depths[(passed < 0.5) & np.isinf(depths)] = at[i, 2]
    assert probe.light(seen, camera) == pytest.approx(light, rel=1e-4, abs=1e-3)
    look = glance(seen, camera, np.ones(len(at), bool))
    assert look.cover == pytest.approx(1.0 - passed.mean(), abs=1e-3)
    assert np.isclose(look.depths, depths, atol=1e-4).mean() > 0.99


def test_a_direction_that_shows_little_is_given_up(monkeypatch):
    """It gets no further tries, and the others' views are those that they have without it."""
    rng = np.random.default_rng(5)
    ground = rng.uniform(-3.0, 3.0, (6000, 3)) * [1.0, 0.0, 1.0]
    things = rng.uniform(-1.0, 1.0, (3000, 3)) - [0.0, 1.0, 0.0]
    cloud = cloud_of(np.concatenate([ground, things]), 0.04)
    tried = []
    monkeypatch.setattr(virtual, "_come_closer", lambda tries, *_: tried.append(tries.up))
    virtual_views(cloud, 6)
    assert any(up @ [0.0, -1.0, 0.0] > 0.9 for up in tried)
    monkeypatch.setattr(virtual, "HOPELESS", 1.0)
    tried.clear()
    virtual_views(cloud, 6)
    assert len(tried) == 1
