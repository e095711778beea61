"""A lived-in room, photographed from inside: sofa, shelves, low table, lamp, plants, pictures."""

from __future__ import annotations

import numpy as np
from gscodec_tools.raytrace import objects
from gscodec_tools.raytrace.builder import Builder, Scene, frame_along, sky, turned
from gscodec_tools.raytrace.interior import Walls, pictures, room_shell
from gscodec_tools.raytrace.textures import PLAIN, RUG


def room(rng: np.random.Generator, views: int) -> Scene:
    """The scene; cameras walk an oval inside of it and look across."""
    b = Builder(rng)
    walls = Walls(2.7, 2.3, 2.6)
    room_shell(b, walls)
    pictures(b, walls, 5)
    _sofa(b, walls)
    _shelf(b, walls)
    _low_table(b)
    _lamp(b, walls)
    objects.potted_plant(b, (walls.width - 0.45, -walls.depth + 0.5, 0.0), 1.35, 100)
    objects.potted_plant(b, (-0.7, -walls.depth + 0.03, 0.88), 0.34, 40)
    objects.chair(b, (-walls.width + 0.75, -walls.depth + 0.8, 0.0), rng.uniform(-1.2, -0.2), objects.wood(b, 20.0))
    t = np.linspace(0.0, 1.0, 24)
    cable = np.stack([-2.2 + 1.4 * t, 1.85 - 0.25 * np.sin(7.0 * t) * t, np.full(24, 0.006)], axis=1)
    b.tube(cable, 0.006, b.material(PLAIN, (0.1, 0.1, 0.1)))
    world = b.world(sky(rng, trees=0.2, glow=0.0), (-2.75, -2.35, -0.05), (2.75, 2.35, 2.65))
    eyes, targets = np.empty((views, 3)), np.empty((views, 3))
    heights = (1.5, 1.15, 1.7)
    for view in range(views):
        ring = view * len(heights) // views
        angle = 2.0 * np.pi * (view * len(heights) / views + 0.17 * ring) + rng.normal(0.0, 0.05)
        reach = 0.62 + 0.12 * np.sin(2.0 * angle) + 0.1 * ring
        lift = heights[ring] + rng.normal(0.0, 0.05)
        eyes[view] = 1.75 * reach * np.cos(angle), 1.45 * reach * np.sin(angle) - 0.1, lift
        turn = angle + np.pi + rng.normal(0.0, 0.35)
        targets[view] = 1.5 * np.cos(turn), 1.3 * np.sin(turn), 0.85 + rng.normal(0.0, 0.15)
    return Scene(world, eyes, targets, 74.0)


def _sofa(b: Builder, walls: Walls) -> None:
    rng, y = b.rng, walls.depth - 0.5
    cover = objects.cloth(b, 14.0) if rng.random() < 0.35 else _felt(b)
    b.box((0.2, y, 0.22), (1.9, 0.85, 0.26), cover, edge=0.05)
    b.box((0.2, y + 0.33, 0.55), (1.9, 0.2, 0.6), cover, edge=0.08)
    for sign in (-1.0, 1.0):
        b.box((0.2 + sign * 0.95, y, 0.38), (0.2, 0.88, 0.5), cover, edge=0.08)
        b.box((0.2 + sign * 0.43, y - 0.06, 0.41), (0.84, 0.7, 0.16), cover, edge=0.06)
        b.cylinder((0.2 + sign * 0.85, y - 0.35, 0.0), (0.2 + sign * 0.85, y - 0.35, 0.1), 0.025, objects.solid_wood(b))
    for x, lean in ((-0.45, 0.35), (0.0, -0.2), (0.8, 0.25)):
        tilt = frame_along((0.2 * lean, -1.0, 0.45), (lean, 0.0, 1.0))
        objects.cushion(b, (x, y + 0.12, 0.66), (0.38, 0.38, 0.13), tilt)


def _felt(b: Builder) -> int:
    colour = np.asarray(objects.lively(b.rng, 0.5))
    return b.material(PLAIN, colour, 0.7 * colour, scale=45.0, specular=0.0)


def _shelf(b: Builder, walls: Walls) -> None:
    """Shelves along the wall to the right, full of books and odds and ends."""
    rng = b.rng
    timber = objects.wood(b, 5.0)
    x, low, high = walls.width - 0.16, -0.6, 1.5
    for y in (low, 0.5 * (low + high), high):
        b.box((x, y, 0.95), (0.3, 0.03, 1.9), timber)
    for level, z in enumerate((0.08, 0.46, 0.84, 1.22, 1.6, 1.9)):
        b.box((x, 0.5 * (low + high), z), (0.3, high - low, 0.025), timber)
        if z > 1.65:
            continue
        for side in range(2):
            start = low + 0.03 + side * 0.5 * (high - low)
            room_left = 0.5 * (high - low) - 0.06
            if (level + side) % 4 == 3:
                objects.vase(b, (x, start + 0.25, z + 0.013), 0.8, 0.1)
                objects.blocks(b, (x, start + 0.65, z + 0.013), 4, 0.07)
            else:
                part = room_left * rng.uniform(0.6, 1.0)
                objects.book_row(b, (x + 0.13, start, z + 0.013), (0.0, 1.0, 0.0), part, (-1.0, 0.0, 0.0))
                if room_left - part > 0.14:
                    objects.candle(b, (x - 0.03, start + part + 0.07, z + 0.013), 0.8)


def _low_table(b: Builder) -> None:
    rng = b.rng
    rug = b.material(
        RUG,
        objects.lively(rng, 0.8),
        objects.lively(rng, 0.6),
        objects.PAPER,
        scale=rng.uniform(2.2, 3.2),
        specular=0.0,
    )
    turn = turned(rng.normal(0.0, 0.06))
    b.box((0.1, 0.2, 0.008), (2.3, 1.6, 0.016), rug, turn)
    timber = objects.wood(b, 7.0)
    top = 0.4
    b.box((0.1, 0.35, top - 0.02), (1.0, 0.55, 0.04), timber, edge=0.012)
    for x in (-0.42, 0.42):
        for y in (-0.2, 0.2):
            b.frustum((0.1 + 1.04 * x, 0.35 + 1.06 * y, 0.0), (0.1 + x, 0.35 + y, top - 0.03), 0.014, 0.022, timber)
    objects.fruit_bowl(b, (-0.15, 0.4, top), 0.85)
    height = objects.book_stack(b, (0.38, 0.42, top), 3)
    objects.mug(b, (0.38, 0.42, top + height))
    objects.vase(b, (0.1, 0.25, top), 0.7, 0.45)
    objects.candle(b, (0.22, 0.5, top))
    x, y = rng.uniform(-1.3, -0.9), rng.uniform(-1.0, -0.6)
    objects.crate(b, (x, y, 0.0), (0.45, 0.34, 0.28), rng.uniform(0.0, 1.0))
    colour = objects.lively(rng)
    ball = b.material(PLAIN, colour, 0.6 * np.asarray(colour), scale=5.0, specular=0.15, shininess=50.0)
    b.sphere((1.35, -0.75, 0.14), 0.14, ball)
    objects.blocks(b, (0.75, -1.0, 0.016), 8, 0.08)


def _lamp(b: Builder, walls: Walls) -> None:
    """A standing lamp that is on."""
    x, y = -walls.width + 0.5, walls.depth - 0.45
    iron = b.material(PLAIN, (0.15, 0.15, 0.16), specular=0.25)
    b.cylinder((x, y, 0.0), (x, y, 0.025), 0.15, iron)
    b.cylinder((x, y, 0.02), (x, y, 1.5), 0.012, iron)
    shade = b.material(PLAIN, (1.0, 0.87, 0.66), (0.95, 0.8, 0.58), scale=18.0, emission=0.7)
    b.frustum((x, y, 1.36), (x, y, 1.66), 0.2, 0.14, shade, caps=0)
    b.lamp_light([(x, y, 1.3), (x, y, 1.72)], 0.09, np.array([1.0, 0.78, 0.5]) * 0.2)
