"""What stands in the synthetic scene: a tiled patio in a meadow, a lettered crate, a teapot, a knot, spheres, bunting.

World axes here: z up, origin in the middle of the patio, one unit about a metre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from gscodec_tools.synthetic_surfaces import (
    F64,
    Noise,
    Surface,
    disc,
    plane,
    revolution,
    sphere,
    torus_knot,
    triangle,
    tube,
    unit,
)

PATIO = 1.9  # half side
SHELL = 9.0  # radius of the background
CRATE = (0.62, 0.36, 0.56)  # half width, half depth, height
KNOT = (1.22, -0.35, 0.47)
SUN = np.array([-0.48, -0.52, 0.71]) / np.linalg.norm([-0.48, -0.52, 0.71])

GLYPHS = {  # 5 x 7 bitmaps, rows from the top
    "G": (14, 17, 16, 23, 17, 17, 14),
    "S": (15, 16, 16, 14, 1, 1, 30),
    "C": (14, 17, 16, 16, 16, 17, 14),
    "O": (14, 17, 17, 17, 17, 17, 14),
    "D": (30, 17, 17, 17, 17, 17, 30),
    "E": (31, 16, 16, 30, 16, 16, 31),
}


@dataclass(frozen=True)
class Strands:
    """Thin structures: polylines [S,J,3] from root to tip, thickness (world units) and RGB at root and at tip."""

    lines: F64
    thickness: float
    root_rgb: F64
    tip_rgb: F64


@dataclass(frozen=True)
class Scene:
    """Surfaces, strands, and spheres [B,4] (centre, radius) that stand for the objects when shadows are cast."""

    surfaces: list[Surface]
    strands: list[Strands]
    blockers: F64


def mix(first: F64, second: F64, amount: F64) -> F64:
    """Colours between ``first`` and ``second`` by amount [M] in 0..1."""
    weight = np.clip(amount, 0.0, 1.0)[:, None]
    return first * (1.0 - weight) + second * weight


def rgb(red: float, green: float, blue: float) -> F64:
    """One colour as an array."""
    return np.array([red, green, blue])


def sky(directions: F64, noise: Noise) -> F64:
    """Background colour [M,3] towards unit directions [M,3]: clouds above a line of trees."""
    height = directions[:, 2]
    clear = mix(rgb(0.83, 0.88, 0.93), rgb(0.27, 0.5, 0.83), np.maximum(height, 0.0) ** 0.6)
    clouds = noise(directions * [1.0, 1.0, 2.2], 2.6, 4)
    above = mix(clear, rgb(0.97, 0.96, 0.95), (clouds - 0.5) * 4.5)
    line = 0.05 + 0.2 * noise(directions * [1.0, 1.0, 0.0], 3.0, 3)
    leaves = noise(directions, 14.0, 2)
    trees = mix(rgb(0.07, 0.15, 0.06), rgb(0.33, 0.46, 0.17), leaves * 1.5 - 0.35 + height)
    return mix(trees, above, (height - line) * 60.0 + 0.5)


def lettering(across: F64, up: F64, cell: float, text: str) -> F64:
    """Coverage [M] (0 or 1) of ``text`` centred on the origin, each bit of a glyph ``cell`` units wide."""
    column = np.floor(across / cell + 3.0 * len(text)).astype(np.int64)
    row = np.floor(3.5 - up / cell).astype(np.int64)
    inside = (column >= 0) & (column < 6 * len(text)) & (row >= 0) & (row < 7)
    table = np.array([GLYPHS[letter] for letter in text])
    rows = table[np.clip(column // 6, 0, len(text) - 1), np.clip(row, 0, 6)]
    bit = 4 - column % 6
    return np.where(inside & (bit >= 0), (rows >> np.maximum(bit, 0)) & 1, 0).astype(np.float64)


def ground_texture(noise: Noise) -> Callable[[F64], F64]:
    """Stone tiles on the patio, a meadow around it."""

    def texture(p: F64) -> F64:
        tile = np.floor(p[:, :2] / 0.38 + 0.5)
        in_tile = np.abs(p[:, :2] / 0.38 + 0.5 - tile - 0.5).max(axis=1)
        stone = np.where((tile.sum(axis=1) % 2 == 0)[:, None], rgb(0.86, 0.8, 0.7), rgb(0.55, 0.4, 0.34))
        stone = stone * (0.72 + 0.45 * noise(p, 7.0, 4))[:, None]
        stone = np.where((in_tile > 0.47)[:, None], rgb(0.27, 0.26, 0.25), stone)
        meadow = mix(rgb(0.2, 0.34, 0.1), rgb(0.66, 0.72, 0.32), noise(p, 9.0, 3) * 2.0 - 0.5)
        meadow = mix(meadow, rgb(0.53, 0.44, 0.28), (noise(p, 0.9, 2) - 0.62) * 6.0)
        return np.where((np.abs(p[:, :2]).max(axis=1) < PATIO)[:, None], stone, meadow)

    return texture


def wood_texture(noise: Noise, light: F64, dark: F64) -> Callable[[F64], F64]:
    """Planks along x with grain."""

    def texture(p: F64) -> F64:
        plank = p[:, 2] / 0.14
        grain = noise(p + np.floor(plank)[:, None] * [3.1, 1.7, 0.0], (1.6, 16.0, 34.0), 2)
        board = mix(dark, light, grain * 1.5 - 0.2)
        return np.where((np.abs(plank - np.floor(plank) - 0.5) > 0.455)[:, None], dark * 0.35, board)

    return texture


def crate(noise: Noise) -> list[Surface]:
    """Five faces of a wooden crate, and a lettered board on each of its long sides."""
    wood = wood_texture(noise, rgb(0.86, 0.66, 0.4), rgb(0.52, 0.33, 0.17))
    w, d, h = CRATE

    def lid(p: F64) -> F64:
        return wood(p[:, [0, 2, 1]])  # its planks lie side by side

    def board(p: F64) -> F64:
        across = np.where(p[:, 1] < 0.0, p[:, 0], -p[:, 0])
        ink = lettering(across, p[:, 2] - 0.5 * h, 0.0255, "GSCODEC")
        return mix(rgb(0.97, 0.95, 0.9), rgb(0.07, 0.1, 0.28), ink)

    faces = [
        plane((-w, -d, 0.0), (2 * w, 0.0, 0.0), (0.0, 0.0, h)),
        plane((w, d, 0.0), (-2 * w, 0.0, 0.0), (0.0, 0.0, h)),
        plane((w, -d, 0.0), (0.0, 2 * d, 0.0), (0.0, 0.0, h)),
        plane((-w, d, 0.0), (0.0, -2 * d, 0.0), (0.0, 0.0, h)),
    ]
    front = plane((-0.57, -d - 0.012, 0.5 * h - 0.13), (1.14, 0.0, 0.0), (0.0, 0.0, 0.26))
    back = plane((0.57, d + 0.012, 0.5 * h - 0.13), (-1.14, 0.0, 0.0), (0.0, 0.0, 0.26))
    return [
        *(Surface(face, wood, share, longest=0.03) for face, share in zip(faces, (5.5, 5.5, 3.2, 3.2), strict=True)),
        Surface(plane((-w, -d, h), (2 * w, 0.0, 0.0), (0.0, 2 * d, 0.0)), lid, 4.5, longest=0.03),
        *(Surface(side, board, 9.0, step=0.008, longest=0.008) for side in (front, back)),
    ]


def teapot(noise: Noise) -> list[Surface]:
    """A glazed teapot on the crate: body with lid, handle and spout."""
    base = CRATE[2]
    glaze, cream = rgb(0.08, 0.24, 0.52), rgb(0.93, 0.9, 0.82)

    def texture(p: F64) -> F64:
        up = p[:, 2] - base
        angle = np.arctan2(p[:, 1], p[:, 0])
        wave = 0.155 + 0.028 * np.sin(10.0 * angle)
        band = (np.abs(up - wave) < 0.022) | (np.abs(up - 0.255) < 0.008) | (np.abs(up - 0.055) < 0.008)
        dots = ((10.0 * angle / (2.0 * np.pi) + 0.25) % 1.0 - 0.5) ** 2 * 0.03 + (up - 0.215) ** 2 < 0.00022
        return np.where((band | dots)[:, None], cream, glaze * (0.85 + 0.4 * noise(p, 12.0, 2))[:, None])

    heights = [0.0, 0.0, 0.04, 0.12, 0.2, 0.27, 0.3, 0.315, 0.335, 0.35, 0.37, 0.39, 0.41, 0.41]
    radii = [0.0, 0.15, 0.2, 0.25, 0.245, 0.19, 0.14, 0.13, 0.09, 0.04, 0.035, 0.05, 0.03, 0.0]
    body = revolution((0.0, 0.0, base), heights, radii)

    def handle(t: F64) -> F64:
        angle = -0.42 * np.pi + 0.84 * np.pi * t
        return np.stack([-0.22 - 0.15 * np.cos(angle), np.zeros(len(t)), base + 0.18 + 0.1 * np.sin(angle)], axis=1)

    def spout(t: F64) -> F64:
        bend = t * t * (3.0 - 2.0 * t)
        return np.stack([0.2 + 0.2 * t, np.zeros(len(t)), base + 0.1 + 0.2 * bend], axis=1)

    def sideways(t: F64) -> F64:
        return np.tile([0.0, 1.0, 0.0], (len(t), 1))

    return [
        Surface(body, texture, 9.0, gloss=0.5, shine=14.0, longest=0.03),
        Surface(tube(handle, lambda t: np.full(len(t), 0.02), sideways), texture, 1.2, 0.4, 12.0, longest=0.016),
        Surface(tube(spout, lambda t: 0.052 - 0.028 * t, sideways), texture, 1.4, 0.4, 12.0, longest=0.016),
    ]


def bunting(noise: Noise) -> tuple[list[Surface], list[Strands]]:
    """Two posts, a sagging wire between them and flags on it."""
    top = 2.0  # behind the circle of cameras, so that it hides nothing
    ends = np.array([[-2.9, 3.6, top], [2.9, 3.6, top]])

    def wire(t: F64) -> F64:
        line = ends[0] + t[:, None] * (ends[1] - ends[0])
        line[:, 2] -= 2.2 * t * (1.0 - t)
        return line

    wood = wood_texture(noise, rgb(0.62, 0.55, 0.47), rgb(0.35, 0.28, 0.22))
    surfaces = []
    for x, y, _ in ends:
        post = revolution((x, y, 0.0), [0.0, top, top + 0.03], [0.055, 0.05, 0.0])
        surfaces.append(Surface(post, lambda p: wood(p[:, [2, 0, 1]]), 1.3, longest=0.06))
    colours = (rgb(0.85, 0.2, 0.17), rgb(0.95, 0.75, 0.18), rgb(0.2, 0.52, 0.75), rgb(0.93, 0.92, 0.88))
    count = 11
    for flag in range(count):
        left, right = wire(np.array([(flag + 0.12) / count, (flag + 0.88) / count]))
        apex = 0.5 * (left + right) + [0.0, 0.05 * (-1.0) ** flag, -0.42]
        colour = colours[flag % 4]
        stripe = colours[(flag + 3) % 4]

        def texture(p: F64, colour: F64 = colour, stripe: F64 = stripe, edge: F64 = left) -> F64:
            dropped = edge[2] - p[:, 2]
            cloth = np.where((np.abs(dropped - 0.14) < 0.025)[:, None], stripe, colour)
            return cloth * (0.85 + 0.3 * noise(p, 40.0))[:, None]

        surfaces.append(Surface(triangle(left, right, apex), texture, 0.4, two_sided=True, longest=0.022))
    rope = wire(np.linspace(0.0, 1.0, 110))
    lines = np.stack([rope, rope + np.array([0.0, 0.0, 0.03])])
    return surfaces, [Strands(lines, 0.006, rgb(0.16, 0.15, 0.14), rgb(0.16, 0.15, 0.14))]


def grass(rng: np.random.Generator, blades: int) -> Strands:
    """Bent blades around the patio, in tufts."""
    tufts = rng.uniform(-3.6, 3.6, (400, 2))
    tufts = tufts[np.abs(tufts).max(axis=1) > PATIO + 0.06]
    root = tufts[rng.integers(0, len(tufts), blades)] + rng.normal(0.0, 0.07, (blades, 2))
    root = root[np.abs(root).max(axis=1) > PATIO + 0.02]
    lean = rng.normal(0.0, 0.09, root.shape)
    height = rng.gamma(6.0, 0.028, len(root))
    t = np.linspace(0.0, 1.0, 6)
    flat = root[:, None, :] + lean[:, None, :] * (t**2)[None, :, None]
    up = height[:, None] * (t * (1.0 - 0.15 * t))[None, :]
    return Strands(np.concatenate([flat, up[..., None]], axis=2), 0.0075, rgb(0.13, 0.26, 0.06), rgb(0.62, 0.74, 0.25))


def build_scene(rng: np.random.Generator, noise: Noise, splats: int) -> Scene:
    """The scene; ``splats`` only sets how many blades of grass it can afford."""

    def marble(p: F64) -> F64:
        vein = np.abs(np.sin(9.0 * (p[:, 0] + p[:, 2]) + 9.0 * noise(p, 5.0, 3)))
        return mix(rgb(0.24, 0.3, 0.3), rgb(0.93, 0.93, 0.9), vein**0.5 * 1.15)

    def lacquer(p: F64) -> F64:
        return rgb(0.72, 0.07, 0.08) * (0.9 + 0.2 * noise(p, 6.0, 2))[:, None]

    def ball(p: F64) -> F64:
        wedge = np.floor(np.arctan2(p[:, 1] + 1.18, p[:, 0] - 0.42) / (np.pi / 3.0)) % 2 == 0
        return np.where((wedge ^ (p[:, 2] > 0.17))[:, None], rgb(0.95, 0.7, 0.12), rgb(0.1, 0.42, 0.4))

    def sparser(p: F64) -> F64:
        return (1.0 + (np.linalg.norm(p[:, :2], axis=1) / 1.9) ** 4) ** -1.0

    def brass(p: F64) -> F64:
        return rgb(0.8, 0.56, 0.2) * (0.8 + 0.35 * noise(p, 9.0, 3))[:, None]

    curve = torus_knot(KNOT, 0.145, 1.25)
    knot = tube(curve, lambda t: np.full(len(t), 0.062), lambda t: unit(curve(t) - np.asarray(KNOT)) + 1e-6)
    flags, wires = bunting(noise)
    surfaces = [
        Surface(disc(SHELL), ground_texture(noise), 46.0, density=sparser, detail=4.0),
        *crate(noise),
        *teapot(noise),
        Surface(knot, brass, 8.0, gloss=0.6, shine=10.0, longest=0.022),
        Surface(sphere((-1.12, -0.42, 0.34), 0.34), lacquer, 4.5, gloss=0.6, shine=18.0, longest=0.07),
        Surface(sphere((-0.52, -1.0, 0.21), 0.21), marble, 4.0, gloss=0.25, shine=10.0, longest=0.04),
        Surface(sphere((0.42, -1.18, 0.17), 0.17), ball, 3.0, gloss=0.1, longest=0.035),
        *flags,
        Surface(
            sphere((0.0, 0.0, -0.2), SHELL, -0.02),
            lambda p: sky(unit(p), noise),
            8.0, flip=True, emissive=True, density=lambda p: np.exp(-0.5 * p[:, 2]), step=0.15, detail=4.0,
        ),
    ]  # fmt: skip
    w, d, h = CRATE
    beads = curve(np.linspace(0.0, 1.0, 60, endpoint=False))
    rows = (np.linspace(-0.8 * w, 0.8 * w, 7), np.linspace(-0.7 * d, 0.7 * d, 4), np.array([0.12, 0.28, 0.44]))
    box = np.stack(np.meshgrid(*rows), axis=-1)
    blockers = np.concatenate(
        [
            np.column_stack([beads, np.full(len(beads), 0.065)]),
            np.column_stack([box.reshape(-1, 3), np.full(box.size // 3, 0.12)]),
            [[-1.12, -0.42, 0.34, 0.34], [-0.52, -1.0, 0.21, 0.21], [0.42, -1.18, 0.17, 0.17]],
            [[0.0, 0.0, h + 0.15, 0.23], [0.0, 0.0, h + 0.33, 0.07], [0.36, 0.0, h + 0.26, 0.04]],
        ]
    )
    return Scene(surfaces, [*wires, grass(rng, splats // 50)], blockers)
