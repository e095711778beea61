"""A courtyard in the sun: paved ground and grass, walls, a fence, plants, and things on and around a pedestal."""

from __future__ import annotations

import numpy as np
from gscodec_tools.raytrace import garden, objects
from gscodec_tools.raytrace.builder import Builder, Scene, sky
from gscodec_tools.raytrace.textures import BRICK, COBBLES, GROWTH, MARBLE, PLAIN, TILES

PATIO = 2.7  # half side, metres
BACK, SIDE, FRONT = 4.6, 5.2, -5.0  # where wall, wall and fence stand


def courtyard(rng: np.random.Generator, views: int) -> Scene:
    """The scene; cameras walk around the pedestal in three rings."""
    b = Builder(rng)
    _ground(b)
    _walls(b)
    _middle(b)
    _around(b)
    angle = rng.uniform(0.6, 2.6)
    warm = rng.uniform(0.78, 0.92)
    toward = (np.cos(angle + 2.6), np.sin(angle + 2.6), rng.uniform(0.8, 1.3))
    b.sun(toward, (1.9, 1.9 * (0.5 + 0.5 * warm), 1.9 * warm))
    dome = sky(rng, clouds=rng.uniform(0.5, 0.95), trees=rng.uniform(0.15, 0.28))
    world = b.world(dome, (-5.6, -5.4, -0.05), (5.6, 5.4, 3.4))
    eyes, targets = walk(rng, views, ((2.35, 1.55), (2.95, 1.25), (3.5, 1.75)), 0.7)
    return Scene(world, eyes, targets, 62.0)


def walk(
    rng: np.random.Generator, views: int, rings: tuple[tuple[float, float], ...], target: float
) -> tuple[np.ndarray, np.ndarray]:
    """Eyes and targets [V,3] on uneven rings (radius, height) around the origin, looking at about height ``target``."""
    eyes, targets = np.empty((views, 3)), np.empty((views, 3))
    ends = np.round(np.linspace(0, views, len(rings) + 1)).astype(int)
    for (radius, height), start, end in zip(rings, ends[:-1], ends[1:], strict=True):
        phase = rng.uniform(0.0, 6.28)
        for view in range(start, end):
            angle = phase + 2.0 * np.pi * (view - start) / max(end - start, 1) + rng.normal(0.0, 0.04)
            r = radius * (1.0 + 0.06 * np.sin(3.0 * angle) + rng.normal(0.0, 0.02))
            eyes[view] = r * np.cos(angle), r * np.sin(angle), height + rng.normal(0.0, 0.07)
            targets[view] = *rng.normal(0.0, 0.16, 2), target + rng.normal(0.0, 0.1)
    return eyes, targets


def _ground(b: Builder) -> None:
    rng = b.rng
    turf = b.material(GROWTH, (0.2, 0.28, 0.11), (0.46, 0.5, 0.24), (0.46, 0.38, 0.26), scale=2.6, specular=0.0)
    b.box((0.0, 0.0, -0.56), (50.0, 50.0, 1.0), turf)
    if rng.random() < 0.5:
        paving = b.material(
            TILES,
            (0.66, 0.59, 0.5),
            (0.5, 0.4, 0.33),
            (0.3, 0.28, 0.25),
            scale=rng.uniform(2.0, 3.0),
            grime=2.0,
            specular=0.03,
        )
    else:
        paving = b.material(
            COBBLES, (0.62, 0.58, 0.54), (0.42, 0.38, 0.36), (0.4, 0.35, 0.28), scale=6.5, specular=0.02
        )
    b.box((0.0, 0.0, -0.5), (2 * PATIO, 2 * PATIO, 1.0), paving)
    kerb = b.material(PLAIN, (0.66, 0.64, 0.6), (0.48, 0.46, 0.43), scale=9.0)
    for axis in range(2):
        for sign in (-1.0, 1.0):
            centre, sides = np.zeros(3), np.array([0.12, 0.12, 0.1])
            centre[axis], sides[1 - axis] = sign * (PATIO + 0.06), 2 * PATIO + 0.24
            b.box(centre, sides, kerb, edge=0.02)
    spots = rng.uniform(-4.4, 4.4, (190, 2))
    spots = spots[(np.abs(spots).max(axis=1) > PATIO + 0.15)]
    garden.tufts(b, spots, garden.green(b, 0.15))
    garden.litter(b, rng.uniform(-PATIO - 1.0, PATIO + 1.0, (130, 2)), garden.green(b, 0.9))


def _walls(b: Builder) -> None:
    rng = b.rng
    tone = rng.uniform(-0.06, 0.06)
    brick = b.material(
        BRICK, (0.66 + tone, 0.36, 0.27), (0.48 + tone, 0.27, 0.21), (0.72, 0.69, 0.63), scale=3.8, specular=0.01
    )
    b.box((0.0, BACK + 0.15, 1.5), (11.0, 0.3, 3.0), brick)
    coping = b.material(PLAIN, (0.62, 0.6, 0.56), (0.45, 0.44, 0.4), scale=7.0)
    b.box((0.0, BACK + 0.15, 3.04), (11.1, 0.42, 0.09), coping)
    front = (0.0, -1.0, 0.0)
    garden.opening(b, (rng.uniform(-3.4, -2.6), BACK - 0.02, 1.55), (1, 0, 0), front, 1.1, 1.3, False)
    garden.opening(b, (rng.uniform(-0.6, 0.4), BACK - 0.02, 1.05), (1, 0, 0), front, 1.0, 2.1, True)
    garden.opening(b, (rng.uniform(2.4, 3.2), BACK - 0.02, 1.55), (1, 0, 0), front, 1.1, 1.3, False)
    colour = np.array([0.86, 0.8, 0.68]) + rng.uniform(-0.1, 0.08, 3)
    plaster = b.material(PLAIN, colour, 0.82 * colour, scale=3.0, specular=0.0, grime=2.0)
    b.box((SIDE + 0.15, -0.2, 1.2), (0.3, 9.6, 2.4), plaster)
    b.box((SIDE + 0.15, -0.2, 2.44), (0.42, 9.7, 0.09), coping)
    garden.opening(b, (SIDE - 0.02, rng.uniform(-0.8, 1.2), 1.35), (0, 1, 0), (-1.0, 0.0, 0.0), 1.3, 1.1, False)
    garden.ladder(b, (SIDE - 0.75, -2.4, 0.0), (SIDE - 0.03, -2.3, 2.5), (0.0, 1.0, 0.0))
    garden.fence(b, (-5.2, FRONT, 0.0), (5.2, FRONT, 0.0), 1.1)
    looks = garden.green(b, rng.uniform(0.0, 0.35))
    for y in np.arange(-4.2, 4.3, 0.95):
        radii = (0.55, 0.6, 0.62 + rng.uniform(-0.1, 0.2))
        garden.bush(b, (-5.1 + rng.normal(0.0, 0.08), y, 0.6), radii, 240, 0.12, looks)
    autumn = garden.green(b, rng.uniform(0.0, 0.9))
    garden.tree(b, (rng.uniform(-4.2, -3.6), rng.uniform(2.9, 3.5), 0.0), 3.4, 700, autumn)
    garden.tree(b, (rng.uniform(6.5, 8.0), rng.uniform(-8.0, -6.5), 0.0), 5.5, 500, autumn)
    garden.tree(b, (rng.uniform(-9.0, -7.5), rng.uniform(-6.0, -3.0), 0.0), 5.0, 500, looks)
    garden.bunting(b, (-3.9, BACK - 0.1, 2.75), (SIDE, 3.2, 2.35), 15)


def _middle(b: Builder) -> None:
    """A stone pedestal with a mirror ball, or a crate with a vase, and the things at its foot."""
    rng = b.rng
    stone = b.material(MARBLE, (0.82, 0.8, 0.76), (0.6, 0.58, 0.56), scale=5.0, specular=0.08)
    profile = ((0.34, 0.0), (0.34, 0.08), (0.27, 0.12), (0.22, 0.3), (0.2, 0.45), (0.25, 0.62), (0.33, 0.66))
    b.turned_profile((0.0, 0.0, 0.0), (*profile, (0.33, 0.74)), stone)
    b.cylinder((0.0, 0.0, 0.73), (0.0, 0.0, 0.745), 0.33, stone)
    if rng.random() < 0.5:
        colour = np.asarray(objects.lively(rng))
        ball = b.material(
            PLAIN, 0.4 * colour + 0.05, 0.3 * colour, scale=3.0, mirror=0.22, specular=0.3, shininess=300.0
        )
        b.torus((0.0, 0.0, 0.76), 0.1, 0.03, stone)
        b.sphere((0.0, 0.0, 1.0), 0.24, ball)
    else:
        brass = b.material(
            PLAIN, (0.8, 0.6, 0.3), (0.6, 0.4, 0.18), scale=9.0, mirror=0.25, specular=0.6, shininess=60.0
        )
        objects.knot(b, (0.0, 0.0, 1.02), 0.3, brass)
    radii = [0.4, 0.36, 0.3, 0.3, 0.24, 0.22, 0.2, 0.2, 0.17]
    spots = objects.scattered(rng, radii, 0.75, 1.65)
    angle = rng.uniform(0.0, 6.28, len(spots))
    objects.crate(b, (*spots[0], 0.0), (0.6, 0.4, 0.36), angle[0])
    objects.vase(b, (*spots[0], 0.36), 1.0, 0.12)
    barrel = objects.wood(b, 12.0)
    hoop = b.material(PLAIN, (0.3, 0.3, 0.3), (0.42, 0.28, 0.18), scale=20.0, specular=0.15)
    x, y = spots[1]
    b.turned_profile((x, y, 0.0), [(0.24, 0.0), (0.285, 0.15), (0.3, 0.3), (0.285, 0.45), (0.24, 0.6)], barrel)
    b.cylinder((x, y, 0.56), (x, y, 0.58), 0.24, barrel)
    for z, r in ((0.06, 0.262), (0.19, 0.294), (0.41, 0.294), (0.54, 0.262)):
        b.torus((x, y, z), r, 0.012, hoop)
    objects.book_stack(b, (x, y, 0.58), 3)
    for spot, height in ((2, 0.9), (3, 0.75), (7, 0.6)):
        objects.potted_plant(b, (*spots[spot], 0.0), height, 70)
    balls = (
        b.material(TILES, (0.85, 0.25, 0.2), PAPER_WHITE, (0.2, 0.3, 0.6), scale=5.5, specular=0.15, shininess=60.0),
        b.material(MARBLE, (0.9, 0.88, 0.84), (0.35, 0.38, 0.4), scale=8.0, specular=0.2, shininess=80.0),
    )
    b.sphere((*spots[4], 0.22), 0.22, balls[0])
    b.sphere((*spots[5], 0.17), 0.17, balls[1])
    can = b.material(PLAIN, (0.5, 0.56, 0.58), (0.4, 0.42, 0.42), scale=14.0, specular=0.4, shininess=60.0)
    x, y = spots[6]
    b.frustum((x, y, 0.0), (x, y, 0.26), 0.13, 0.11, can)
    b.frustum((x + 0.1, y, 0.06), (x + 0.32, y, 0.3), 0.025, 0.016, can)
    b.torus((x - 0.08, y, 0.2), 0.11, 0.011, can, (0.0, 1.0, 0.0))
    objects.blocks(b, (*spots[8], 0.0), 7, 0.1)


PAPER_WHITE = (0.93, 0.92, 0.88)


def _around(b: Builder) -> None:
    """What stands along the edges, behind the cameras' way."""
    rng = b.rng
    garden.bench(b, (rng.uniform(-2.2, -1.2), BACK - 0.55, 0.0), np.pi)
    objects.potted_plant(b, (rng.uniform(1.5, 2.0), BACK - 0.45, 0.0), 1.2, 84)
    objects.potted_plant(b, (SIDE - 0.5, rng.uniform(1.8, 2.6), 0.0), 1.0, 70)
    objects.crate(b, (SIDE - 0.5, 0.3, 0.0), (0.7, 0.5, 0.45), 1.4)
    objects.crate(b, (SIDE - 0.48, 0.25, 0.45), (0.5, 0.4, 0.35), 1.7)
    garden.wheel(b, (SIDE - 0.2, -1.1, 0.36), (0.95, 0.1, 0.28), 0.34)
    objects.chair(b, (rng.uniform(3.6, 4.0), 3.4, 0.0), rng.uniform(1.5, 3.0), objects.wood(b, 20.0))
