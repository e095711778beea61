"""A laid table in a plain room: the things on it are what the cameras circle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gscodec_tools.raytrace import objects
from gscodec_tools.raytrace.builder import Builder, Scene, sky
from gscodec_tools.raytrace.courtyard import walk
from gscodec_tools.raytrace.interior import Walls, pictures, room_shell
from gscodec_tools.raytrace.textures import MARBLE, PLAID, PLAIN, TILES

TOP = 0.74  # height of the table, metres
RADIUS = 0.62


def table(rng: np.random.Generator, views: int) -> Scene:
    """The scene; cameras walk around the table in three rings."""
    b = Builder(rng)
    walls = Walls(3.2, 3.0, 2.7)
    room_shell(b, walls)
    pictures(b, walls, 4)
    timber = objects.wood(b, 8.0)
    b.cylinder((0.0, 0.0, TOP - 0.04), (0.0, 0.0, TOP), RADIUS, timber)
    b.torus((0.0, 0.0, TOP - 0.02), RADIUS, 0.02, timber)
    b.turned_profile(
        (0.0, 0.0, 0.0), [(0.3, 0.0), (0.27, 0.04), (0.08, 0.1), (0.06, 0.3), (0.09, 0.5), (0.2, 0.7)], timber
    )
    if rng.random() < 0.6:
        cloth = b.material(
            PLAID, objects.lively(rng, 0.4), (0.9, 0.88, 0.84), objects.lively(rng), scale=11.0, specular=0.0
        )
        b.box((0.0, 0.0, TOP + 0.002), (0.78, 0.78, 0.004), cloth)
    _things(b)
    chairs = objects.wood(b, 20.0)
    start = rng.uniform(0.0, 6.28)
    for turn in (0.0, 2.3, 4.0):
        angle = start + turn
        objects.chair(b, (0.82 * np.cos(angle), 0.82 * np.sin(angle), 0.0), angle + 0.5 * np.pi, chairs)
    objects.potted_plant(b, (-2.6, 2.4, 0.0), 1.5, 90)
    shelf = objects.wood(b, 6.0)
    b.box((2.95, 0.6, 0.45), (0.42, 1.6, 0.9), shelf)
    objects.vase(b, (2.95, 0.2, 0.9), 1.4)
    objects.book_row(b, (3.12, 0.5, 0.9), (0.0, 1.0, 0.0), 0.7, (-1.0, 0.0, 0.0))
    warm = np.array([1.0, 0.86, 0.66]) * rng.uniform(0.9, 1.4)
    b.lamp_light([(0.0, 0.3, 2.14)], 0.06, warm)  # below the globe, which would shade half of it
    shade = b.material(PLAIN, (1.0, 0.93, 0.8), emission=3.0)
    b.sphere((0.0, 0.3, 2.35), 0.12, shade)
    b.cylinder((0.0, 0.3, 2.48), (0.0, 0.3, 2.7), 0.006, b.material(PLAIN, (0.1, 0.1, 0.1)))
    world = b.world(sky(rng, glow=0.0), (-3.25, -3.05, -0.05), (3.25, 3.05, 2.75))
    eyes, targets = walk(rng, views, ((1.25, 1.45), (1.5, 1.2), (1.85, 1.65)), TOP + 0.08)
    targets[:, :2] *= 0.6
    return Scene(world, eyes, targets, 52.0)


def _things(b: Builder) -> None:
    """Ten or so things on the table, in a random order of places."""
    rng = b.rng
    tile = b.material(
        TILES, objects.lively(rng), objects.PAPER, (0.3, 0.3, 0.3), scale=40.0, specular=0.2, shininess=80.0
    )
    marble = b.material(MARBLE, (0.92, 0.9, 0.86), (0.3, 0.36, 0.4), scale=22.0, specular=0.25, shininess=90.0)
    steel = b.material(
        PLAIN, (0.55, 0.56, 0.58), (0.5, 0.5, 0.52), scale=5.0, mirror=0.5, specular=0.5, shininess=200.0
    )
    makers: list[tuple[float, Callable[[float, float], object]]] = [
        (0.15, lambda x, y: objects.fruit_bowl(b, (x, y, TOP + 0.004))),
        (0.15, lambda x, y: objects.book_stack(b, (x, y, TOP + 0.004), 4)),
        (0.10, lambda x, y: objects.vase(b, (x, y, TOP + 0.004), 0.8, 0.15)),
        (0.09, lambda x, y: objects.potted_plant(b, (x, y, TOP + 0.004), 0.4, 50)),
        (0.08, lambda x, y: objects.knot(b, (x, y, TOP + 0.095), 0.09, steel)),
        (0.07, lambda x, y: objects.mug(b, (x, y, TOP + 0.004))),
        (0.06, lambda x, y: objects.bottle(b, (x, y, TOP + 0.004), 1.0)),
        (0.07, lambda x, y: objects.blocks(b, (x, y, TOP + 0.004), 6, 0.045)),
        (0.06, lambda x, y: objects.candle(b, (x, y, TOP + 0.004))),
        (0.06, lambda x, y: b.sphere((x, y, TOP + 0.054), 0.05, tile)),
        (0.05, lambda x, y: b.sphere((x, y, TOP + 0.044), 0.04, marble)),
        (0.06, lambda x, y: objects.mug(b, (x, y, TOP + 0.004), 0.9)),
    ]
    spots = objects.scattered(rng, [size for size, _ in makers], 0.0, RADIUS - 0.12)
    for (x, y), (_, make) in zip(spots, makers, strict=True):
        make(x, y)
