"""The ray tracer: hits, shadows and mirrors against closed forms, and pictures that threads do not change."""

import numpy as np
import pytest
from gscodec_tools.raytrace import shapes
from gscodec_tools.raytrace.builder import Builder, sky
from gscodec_tools.raytrace.bvh import is_blocked, nearest_hit
from gscodec_tools.raytrace.noise import noise, octaves
from gscodec_tools.raytrace.render import exposure_for, film, geometry, photo, visible
from gscodec_tools.raytrace.scenes import KINDS, build_scene
from gscodec_tools.raytrace.shading import direct_light, radiance, reflected, sky_radiance
from gscodec_tools.raytrace.shapes import hit_shape, normal_at
from gscodec_tools.raytrace.textures import COLUMNS, MARBLE, PLAIN, RUG, albedo

from gscodec.errors import BadInputError
from gscodec.scene import Camera
from gscodec.scene.virtual import look_at

CENTRE, RADIUS = np.array([0.2, -0.1, 1.0]), 0.6


def world_of(build, seed=0):
    builder = Builder(np.random.default_rng(seed))
    build(builder)
    return builder.world(sky(np.random.default_rng(seed)), (-1.0, -1.0, 0.0), (1.0, 1.0, 2.0))


def ball_over_floor(b):
    b.sphere(CENTRE, RADIUS, b.material(MARBLE, (0.8, 0.7, 0.6), (0.3, 0.3, 0.4), scale=5.0))
    b.box((0.0, 0.0, -0.5), (20.0, 20.0, 1.0), b.material(RUG, (0.5, 0.5, 0.5), (0.2, 0.3, 0.4), (0.9, 0.9, 0.9)))
    b.sun((0.0, 0.0, 1.0), (2.0, 1.5, 1.0), softness=0.0)


def camera() -> Camera:
    return look_at(np.array([3.0, -2.5, 1.7]), np.array([0.0, 0.0, 0.6]), np.array([0.0, 0.0, 1.0]), 60, 40)


def pixel_rays(view):
    rows, columns = np.mgrid[: view.height, : view.width]
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5
    local = np.column_stack([(pixels - [view.cx, view.cy]) / [view.fx, view.fy], np.ones(len(pixels))])
    ways = local @ view.world_to_camera[:3, :3]
    return pixels, ways / np.linalg.norm(ways, axis=1, keepdims=True)


def test_silhouette_and_depth_of_a_ball():
    world = world_of(lambda b: b.sphere(CENTRE, RADIUS, b.material(PLAIN, (0.5, 0.5, 0.5))))
    view = camera()
    pixels, ways = pixel_rays(view)
    found, points = geometry(world, view, pixels)
    offset = view.centre - CENTRE
    b, c = ways @ offset, offset @ offset - RADIUS**2
    hit = b * b >= c
    assert 20 < hit.sum() < len(hit)
    np.testing.assert_array_equal(found == 0, hit)
    distance = -b[hit] - np.sqrt(b[hit] ** 2 - c)
    np.testing.assert_allclose(np.linalg.norm(points[hit] - view.centre, axis=1), distance, rtol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(points[~hit], axis=1), world.sky[0], rtol=1e-9)


def test_the_far_side_of_a_ball_is_hidden():
    world = world_of(lambda b: b.sphere(CENTRE, RADIUS, b.material(PLAIN, (0.5, 0.5, 0.5))))
    view = camera()
    toward = (view.centre - CENTRE) / np.linalg.norm(view.centre - CENTRE)
    assert visible(world, view, CENTRE + RADIUS * np.stack([toward, -toward])).tolist() == [True, False]


SHAPES = {
    shapes.SPHERE: [],
    shapes.BOX: [],
    shapes.FRUSTUM: [0.6, 3, -0.4, -0.4],
    shapes.TORUS: [0.3],
    shapes.ROUND_BOX: [0.5, 0.4, 0.3, 0.1],
    shapes.LEAF: [0.0],
}


@pytest.mark.parametrize("kind", SHAPES)
def test_hits_lie_on_the_surface_and_nothing_lies_before_them(kind):
    assert len(SHAPES) == shapes.SHAPES
    par = np.zeros(shapes.PARAMETERS)
    par[: len(SHAPES[kind])] = SHAPES[kind]
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        eye = rng.normal(size=3)
        eye *= 3.0 / np.linalg.norm(eye)
        way = rng.uniform(-0.6, 0.6, 3) - eye
        t = hit_shape(kind, par, *eye, *way, 0.0, 10.0)
        if t == np.inf:
            continue
        hits += 1
        point = eye + t * way
        low, high = shapes.local_bounds(kind, par)
        assert (point >= low - 1e-6).all()
        assert (point <= high + 1e-6).all()
        # it is met again from nearby, and from the other side at the same place
        assert abs(hit_shape(kind, par, *(point - 0.1 * way), *way, 0.0, 10.0) - 0.1) < 1e-4
        assert abs(hit_shape(kind, par, *eye, *way, t - 1e-3, t + 1e-3) - t) < 1e-4
        if kind != shapes.LEAF:
            assert np.dot(normal_at(kind, par, *point), way) < 1e-3  # outward, so against the ray
    assert hits > 30


def test_the_hierarchy_finds_what_a_search_through_all_finds():
    rng = np.random.default_rng(2)

    def many(b):
        look = b.material(PLAIN, (0.5, 0.5, 0.5))
        for _ in range(40):
            place = rng.uniform(-2.0, 2.0, 3)
            b.sphere(place, rng.uniform(0.05, 0.3, 3), look)
            b.cylinder(place, place + rng.normal(size=3), 0.05, look)
            b.leaf(place, place + rng.normal(size=3), 0.4, look)

    world = world_of(many)
    found = 0
    for _ in range(300):
        eye, way = rng.uniform(-3.0, 3.0, 3), rng.normal(size=3)
        best = (np.inf, -1)
        for index in range(len(world.primitives.kind)):
            m = world.primitives.to_local[index]
            local = m[:, :3] @ eye + m[:, 3], m[:, :3] @ way
            t = hit_shape(world.primitives.kind[index], world.primitives.par[index], *local[0], *local[1], 0.0, 50.0)
            best = min(best, (t, index))
        index, t = nearest_hit(world.primitives, world.bvh, *eye, *way, 0.0, 50.0)
        assert (t, index) == (pytest.approx(best[0], rel=1e-9), best[1])
        assert is_blocked(world.primitives, world.bvh, *eye, *way, 0.0, 50.0) == (index >= 0)
        found += index >= 0
    assert found > 50


def test_the_ball_casts_its_shadow():
    world = world_of(ball_over_floor)
    floor = world.materials[1]

    def light(x, y):
        return direct_light(world, floor, x, y, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0)[:3]

    for angle in np.linspace(0.0, 6.0, 7):
        way = np.array([np.cos(angle), np.sin(angle)])
        assert light(*(CENTRE[:2] + 0.99 * RADIUS * way)) == (0.0, 0.0, 0.0)
        assert light(*(CENTRE[:2] + 1.01 * RADIUS * way)) == (2.0, 1.5, 1.0)


def test_mirrors():
    way, normal = np.array([0.6, 0.0, -0.8]), np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(reflected(*way, *normal), [0.6, 0.0, 0.8], atol=1e-15)
    tilted = np.array([0.48, 0.6, 0.64])
    out = np.array(reflected(*way, *tilted))
    assert np.dot(out, tilted) == pytest.approx(-np.dot(way, tilted))
    np.testing.assert_allclose(np.cross(out - way, tilted), 0.0, atol=1e-12)
    world = world_of(lambda b: b.sphere((0.0, 0.0, 0.0), 1.0, b.material(PLAIN, (0.5, 0.5, 0.5), mirror=1.0)))
    eye, at = np.array([3.0, 0.0, 2.0]), np.array([0.6, 0.0, 0.8])
    way = (at - eye) / np.linalg.norm(at - eye)
    seen = radiance(world, *eye, *way, 1e-3, 0, np.zeros((2, 7)))[:3]
    expected = sky_radiance(world.sky, *at, *reflected(*way, *at), 4e-3 * world.sky[0])
    np.testing.assert_allclose(seen, expected, rtol=0.02)


def test_a_picture_is_the_same_for_any_number_of_threads_and_every_time():
    view = camera()
    pictures = []
    for threads in (1, 2):
        world = world_of(ball_over_floor)
        pictures.append(photo(world, view, exposure_for(world, [view]), threads))
    assert pictures[0].tobytes() == pictures[1].tobytes()
    assert pictures[0].std() > 0.05
    assert 0.0 <= pictures[0].min() < pictures[0].max() <= 1.0


def test_noise_and_film_stay_in_range():
    rng = np.random.default_rng(3)
    places = rng.uniform(-50.0, 50.0, (2000, 3))
    values = np.array([noise(*place, 5) for place in places])
    assert 0.0 <= values.min() < 0.2
    assert 0.8 < values.max() <= 1.0
    assert abs(values.mean() - 0.5) < 0.02
    assert octaves(1.2, 3.4, 5.6, 4, 100.0, 1) == pytest.approx(0.5)  # finer than the footprint: the mean
    assert (film(0.0), film(1e6)) == (0.0, pytest.approx(1.0))


@pytest.mark.parametrize("kind", range(RUG + 1))
def test_textures_have_detail_and_colours_within_reason(kind):
    b = Builder(np.random.default_rng(4))
    b.material(kind, (0.8, 0.6, 0.5), (0.3, 0.2, 0.3), (0.1, 0.4, 0.2), scale=4.0)
    row = b._materials[0]
    assert len(row) == COLUMNS
    rng = np.random.default_rng(5)
    colours = np.array([albedo(row, *place, place[0], place[2], 1e-3) for place in rng.uniform(-1.0, 1.0, (400, 3))])
    assert np.isfinite(colours).all()
    assert colours.min() >= -0.05
    assert colours.max() < 1.6
    assert colours.std(axis=0).max() > 0.005


def test_bad_arguments():
    for arguments, field in (((-1, "table"), "seed"), ((0, "cave"), "kind"), ((0, "table", 0), "views")):
        with pytest.raises(BadInputError) as caught:
            build_scene(*arguments)
        assert caught.value.field == field


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_scenes_differ_by_seed_and_can_be_walked_in(kind):
    scenes = [build_scene(seed, kind, 8) for seed in (0, 0, 1)]
    materials = [scene.world.materials.tobytes() for scene in scenes]
    assert materials[0] == materials[1] != materials[2]
    assert scenes[0].world.baked.indirect.tobytes() == scenes[1].world.baked.indirect.tobytes()
    world = scenes[0].world
    for eye, target in zip(scenes[0].eyes, scenes[0].targets, strict=True):
        way = (target - eye) / np.linalg.norm(target - eye)
        assert not is_blocked(world.primitives, world.bvh, *eye, *way, 0.0, 0.3)  # nothing right before the eye
