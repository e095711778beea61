"""The shell of a room: floor, walls, a window to the outside, a door, pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gscodec_tools.raytrace.builder import Builder
from gscodec_tools.raytrace.garden import opening
from gscodec_tools.raytrace.objects import lively, solid_wood, wood
from gscodec_tools.raytrace.textures import PICTURE, PLAIN, STRIPES, TILES


@dataclass(frozen=True)
class Walls:
    """Half width, half depth and height of a room in metres; the window is in the wall at -depth."""

    width: float
    depth: float
    height: float


WINDOW = (1.05, 0.7, 1.55)  # half width, half height, height of its middle


def room_shell(b: Builder, walls: Walls) -> None:
    """Floor, ceiling, four walls with a skirting board, a window with light behind it, a door."""
    rng = b.rng
    w, d, h = walls.width, walls.depth, walls.height
    thick = 0.3
    floor = wood(b, 7.5) if rng.random() < 0.6 else _tiled(b)
    b.box((0.0, 0.0, -0.5), (2 * w + 1, 2 * d + 1, 1.0), floor)
    white = b.material(PLAIN, (0.93, 0.92, 0.9), (0.87, 0.86, 0.84), scale=2.5, specular=0.0)
    b.box((0.0, 0.0, h + 0.1), (2 * w + 1, 2 * d + 1, 0.2), white)
    tone = np.array([0.82, 0.8, 0.75]) + rng.uniform(-0.14, 0.1, 3)
    plain = b.material(PLAIN, tone, 0.9 * tone, scale=4.0, specular=0.0, grime=1.5)
    paper = b.material(STRIPES, tone, 0.86 * tone, lively(rng, 0.4), scale=rng.uniform(4.0, 7.0), specular=0.0)
    b.box((0.0, d + 0.5 * thick, 0.5 * h), (2 * w + 2 * thick, thick, h), plain)
    b.box((-w - 0.5 * thick, 0.0, 0.5 * h), (thick, 2 * d, h), plain)
    b.box((w + 0.5 * thick, 0.0, 0.5 * h), (thick, 2 * d, h), paper)
    half, tall, middle = WINDOW
    y = -d - 0.5 * thick
    for sign in (-1.0, 1.0):
        b.box((sign * 0.5 * (half + w), y, 0.5 * h), (w - half, thick, h), plain)
    b.box((0.0, y, 0.5 * (middle - tall)), (2 * half, thick, middle - tall), plain)
    b.box((0.0, y, 0.5 * (middle + tall + h)), (2 * half, thick, h - middle - tall), plain)
    frame = b.material(PLAIN, (0.93, 0.93, 0.91), (0.85, 0.85, 0.83), scale=8.0, specular=0.08)
    for x in (-half, 0.0, half):
        b.box((x, y, middle), (0.06, 0.07, 2 * tall), frame)
    for z in (middle - tall, middle + 0.25, middle + tall):
        b.box((0.0, y, z), (2 * half, 0.06, 0.05), frame)
    b.box((0.0, -d + 0.02, middle - tall - 0.02), (2 * half + 0.2, 0.22, 0.035), solid_wood(b))
    for x, y, sx, sy in ((0.0, d, 2 * w, 0.03), (0.0, -d, 2 * w, 0.03), (-w, 0.0, 0.03, 2 * d), (w, 0.0, 0.03, 2 * d)):
        b.box((x, y, 0.05), (sx, sy, 0.1), frame)
    curtain = b.material(STRIPES, lively(rng, 0.5), (0.86, 0.83, 0.78), lively(rng, 0.4), scale=9.0, specular=0.0)
    for sign in (-1.0, 1.0):
        for fold in range(7):
            x = sign * (half + 0.28 - 0.085 * fold)
            b.cylinder((x, -d + 0.07 + 0.025 * (fold % 2), 0.12), (x, -d + 0.07, h - 0.3), 0.05, curtain)
    b.cylinder((-half - 0.5, -d + 0.08, h - 0.28), (half + 0.5, -d + 0.08, h - 0.28), 0.016, solid_wood(b))
    opening(b, (-w + 0.02, rng.uniform(-0.8, 0.6), 1.02), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), 0.9, 2.0, True)
    daylight = np.array([0.92, 0.97, 1.05]) * rng.uniform(1.6, 2.2)
    b.window_light((0.0, -d - thick, middle), (-half, 0.0, 0.0), (0.0, 0.0, tall), daylight)
    b.sun((rng.uniform(-0.5, 0.5), -1.0, rng.uniform(0.55, 0.8)), np.array([1.0, 0.88, 0.7]) * 2.4)


def _tiled(b: Builder) -> int:
    return b.material(
        TILES, (0.8, 0.76, 0.7), (0.5, 0.36, 0.28), (0.42, 0.4, 0.37), scale=b.rng.uniform(3.0, 4.5), specular=0.12,
        shininess=60.0,
    )  # fmt: skip


def pictures(b: Builder, walls: Walls, count: int) -> None:
    """Framed paintings on the wall opposite the window and the one to its right."""
    rng = b.rng
    for number in range(count):
        size = rng.uniform(0.45, 0.8)
        paint = b.material(
            PICTURE, lively(rng, 0.5), (0.9, 0.85, 0.75), lively(rng, 0.8), scale=1.0 / size, specular=0.05
        )
        timber = solid_wood(b)
        lift = 1.55 + rng.uniform(-0.12, 0.12)
        if number % 2 == 0:
            x = -0.55 * walls.width + 1.1 * walls.width * number / max(count - 1, 1)
            b.box((x, walls.depth - 0.015, lift), (size + 0.08, 0.035, 0.75 * size + 0.08), timber)
            b.box((x, walls.depth - 0.02, lift), (size, 0.04, 0.75 * size), paint)
        else:
            y = -0.5 * walls.depth + walls.depth * number / count
            b.box((walls.width - 0.015, y, lift + 0.15), (0.035, size + 0.08, 0.75 * size + 0.08), timber)
            b.box((walls.width - 0.02, y, lift + 0.15), (0.04, size, 0.75 * size), paint)
