"""Things that stand on tables, floors and shelves: each function builds one at a place, with its own random looks."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from gscodec_tools.raytrace.builder import TOP, Builder, Vector, frame_along, turned
from gscodec_tools.raytrace.textures import FOLIAGE, MARBLE, PLAID, PLAIN, PRINT, STRIPES, WOOD

F64 = npt.NDArray[np.float64]

PAPER = (0.93, 0.91, 0.86)
INK = (0.12, 0.12, 0.15)
WOODS = (
    ((0.76, 0.58, 0.38), (0.52, 0.34, 0.19)),
    ((0.56, 0.38, 0.24), (0.33, 0.20, 0.12)),
    ((0.86, 0.75, 0.58), (0.69, 0.54, 0.36)),
    ((0.45, 0.27, 0.17), (0.24, 0.13, 0.08)),
)


def lively(rng: np.random.Generator, strength: float = 0.75) -> tuple[float, float, float]:
    """A random colour that is neither grey nor glaring."""
    return colorsys.hsv_to_rgb(rng.random(), strength * rng.uniform(0.6, 1.0), rng.uniform(0.45, 0.9))


def wood(b: Builder, scale: float = 9.0, kind: int | None = None, grime: float = 1.0) -> int:
    """Planks of a random wood, ``scale`` per metre; a negative ``grime`` makes it one piece."""
    light, dark = WOODS[b.rng.integers(len(WOODS)) if kind is None else kind]
    return b.material(WOOD, light, dark, scale=scale, specular=0.05, shininess=40.0, grime=grime)


def solid_wood(b: Builder, kind: int | None = None) -> int:
    """Wood without joints."""
    return wood(b, 7.0, kind, -1.0)


def cloth(b: Builder, scale: float = 12.0) -> int:
    """Striped or chequered cloth."""
    rng = b.rng
    pattern = PLAID if rng.random() < 0.5 else STRIPES
    return b.material(pattern, lively(rng, 0.5), lively(rng, 0.5), lively(rng, 0.3), scale=scale, specular=0.0)


def book(b: Builder, base: Vector, sides: Vector, angle: float) -> None:
    """A lying book: pages between two covers, and a printed front."""
    rng, (x, y, z) = b.rng, np.asarray(base, np.float64)
    width, depth, height = sides
    turn = turned(angle)
    colour = lively(rng)
    cover = b.material(PLAIN, colour, 0.75 * np.asarray(colour), scale=9.0, specular=0.05)
    front = b.material(
        PRINT, colour, PAPER if sum(colour) < 1.5 else INK, lively(rng), scale=1.0 / depth, specular=0.05
    )
    pages = b.material(STRIPES, PAPER, 0.86 * np.asarray(PAPER), PAPER, scale=300.0, specular=0.0)
    thick = 0.08 * height + 0.001
    for low in (0.0, height - thick):
        b.box((x, y, z + low + 0.5 * thick), (width, depth, thick), front if low else cover, turn)
    b.box((x, y, z + 0.5 * height), (0.97 * width, 0.95 * depth, height - 2.0 * thick), pages, turn)
    spine = np.array([x, y, z + 0.5 * height]) - turn @ [0.49 * width, 0.0, 0.0]
    b.box(spine, (0.02 * width, depth, height), cover, turn)


def book_stack(b: Builder, base: Vector, count: int) -> float:
    """Books on top of each other, none quite straight; the height of the pile."""
    rng, height = b.rng, 0.0
    for _ in range(count):
        thick = rng.uniform(0.02, 0.045)
        place = np.asarray(base) + np.array([*rng.normal(0.0, 0.008, 2), height])
        book(b, place, (rng.uniform(0.14, 0.19), rng.uniform(0.2, 0.26), thick), rng.normal(0.0, 0.25) + 0.5)
        height += thick
    return height


def book_row(b: Builder, start: Vector, along: Vector, length: float, front: Vector) -> None:
    """Standing books side by side along a direction, spines towards ``front``."""
    rng, used = b.rng, 0.0
    rotation = frame_along((0.0, 0.0, 1.0), front)
    rotation = np.stack([np.asarray(along), np.asarray(front), np.array([0.0, 0.0, 1.0])], axis=1)
    while used < length - 0.05:
        thick, high, deep = rng.uniform(0.018, 0.05), rng.uniform(0.19, 0.27), rng.uniform(0.14, 0.18)
        colour = lively(rng, rng.uniform(0.2, 0.9))
        ink = PAPER if sum(colour) < 1.6 else INK
        cover = b.material(PRINT, colour, ink, lively(rng), scale=1.0 / rng.uniform(0.06, 0.12), specular=0.05)
        if rng.random() < 0.1:
            used += rng.uniform(0.03, 0.12)  # someone is reading it
            continue
        centre = np.asarray(start) + (used + 0.5 * thick) * np.asarray(along) + 0.5 * deep * np.asarray(front)
        b.box(centre + np.array([0.0, 0.0, 0.5 * high]), (thick - 0.001, deep, high), cover, rotation)
        used += thick


def mug(b: Builder, base: Vector, size: float = 1.0) -> None:
    """A mug with a handle, coffee in it."""
    rng, centre = b.rng, np.asarray(base, np.float64)
    colour = lively(rng)
    glaze = b.material(STRIPES, colour, PAPER, lively(rng), scale=25.0, specular=0.25, shininess=90.0)
    coffee = b.material(PLAIN, (0.2, 0.11, 0.06), specular=0.2, shininess=200.0)
    radius, height = 0.042 * size, 0.1 * size
    up = np.array([0.0, 0.0, 1.0])
    b.cylinder(centre, centre + height * up, radius, glaze, caps=1)
    b.cylinder(centre + 0.01 * up, centre + height * up, 0.9 * radius, glaze, caps=0)
    b.torus(centre + height * up, 0.95 * radius, 0.06 * radius, glaze)
    b.cylinder(centre + 0.8 * height * up, centre + 0.81 * height * up, 0.9 * radius, coffee, caps=TOP)
    side = turned(rng.uniform(0.0, 6.28)) @ np.array([1.0, 0.0, 0.0])
    b.torus(centre + 0.5 * height * up + 1.05 * radius * side, 0.32 * height, 0.006 * size, glaze, np.cross(side, up))


VASES = (
    ((0.05, 0.0), (0.085, 0.03), (0.11, 0.1), (0.10, 0.17), (0.06, 0.23), (0.04, 0.27), (0.05, 0.31)),
    ((0.045, 0.0), (0.05, 0.05), (0.075, 0.14), (0.09, 0.22), (0.07, 0.29), (0.045, 0.31), (0.06, 0.34)),
    ((0.09, 0.0), (0.12, 0.04), (0.135, 0.1), (0.12, 0.16), (0.08, 0.2), (0.085, 0.22)),
    ((0.035, 0.0), (0.036, 0.08), (0.036, 0.17), (0.03, 0.2), (0.014, 0.23), (0.013, 0.29), (0.015, 0.3)),
)


def vase(b: Builder, base: Vector, size: float = 1.0, mirror: float = 0.0, kind: int | None = None) -> float:
    """A vessel; with ``mirror`` it reflects its surroundings. Returns its height."""
    rng = b.rng
    profile = VASES[rng.integers(len(VASES)) if kind is None else kind]
    colour = np.asarray(lively(rng, 0.9))
    pattern = MARBLE if rng.random() < 0.5 else PLAIN
    glaze = b.material(
        pattern, 0.55 * colour if mirror else colour, 0.35 * colour + 0.1, scale=11.0,
        specular=0.3, shininess=150.0, mirror=mirror,
    )  # fmt: skip
    b.turned_profile(base, [(r * size, h * size) for r, h in profile], glaze)
    return profile[-1][1] * size


def bottle(b: Builder, base: Vector, size: float = 1.0) -> None:
    """A bottle with a printed label and a cork."""
    rng, centre = b.rng, np.asarray(base, np.float64)
    height = vase(b, centre, size, 0.04, 3)
    label = b.material(PRINT, PAPER, INK, lively(rng), scale=14.0 / size, specular=0.02)
    b.cylinder(
        centre + np.array([0, 0, 0.04 * size]), centre + np.array([0, 0, 0.13 * size]), 0.0372 * size, label, caps=0
    )
    cork = b.material(PLAIN, (0.75, 0.6, 0.42), (0.5, 0.36, 0.22), scale=60.0)
    b.cylinder(centre + np.array([0, 0, height]), centre + np.array([0, 0, height + 0.02 * size]), 0.013 * size, cork)


def fruit_bowl(b: Builder, base: Vector, size: float = 1.0) -> None:
    """A wooden bowl of apples and oranges."""
    rng, centre = b.rng, np.asarray(base, np.float64)
    timber = solid_wood(b)
    outside = [(0.05, 0.0), (0.09, 0.012), (0.125, 0.035), (0.145, 0.07)]
    b.turned_profile(centre, [(r * size, h * size) for r, h in outside], timber)
    b.torus(centre + np.array([0, 0, 0.07 * size]), 0.143 * size, 0.004 * size, timber)
    looks = [
        b.material(PLAIN, (0.8, 0.16, 0.1), (0.85, 0.62, 0.2), scale=18.0, specular=0.15, shininess=60.0),
        b.material(PLAIN, (0.93, 0.55, 0.1), (0.85, 0.42, 0.06), scale=90.0, specular=0.08),
        b.material(PLAIN, (0.55, 0.68, 0.18), (0.75, 0.76, 0.34), scale=20.0, specular=0.15, shininess=60.0),
    ]
    stalk = b.material(PLAIN, (0.3, 0.2, 0.1))
    for layer, (count, ring, lift) in enumerate(((6, 0.085, 0.055), (3, 0.042, 0.098))):
        for i in range(count):
            angle = 6.2832 * i / count + 0.4 * layer + rng.normal(0.0, 0.1)
            place = centre + size * np.array([ring * np.cos(angle), ring * np.sin(angle), lift])
            radius = size * rng.uniform(0.036, 0.041)
            b.sphere(place, (radius, radius, 0.92 * radius), looks[rng.integers(3)])
            tip = rng.normal(0.0, 0.3, 3) + np.array([0, 0, 1])
            b.cylinder(place + 0.8 * radius * tip, place + 1.25 * radius * tip, 0.002 * size, stalk)


def blocks(b: Builder, base: Vector, count: int, side: float = 0.06) -> None:
    """Toy blocks, some stacked."""
    rng, centre = b.rng, np.asarray(base, np.float64)
    for i in range(count):
        colour = lively(rng, 1.0)
        block = b.material(PLAIN, colour, 0.8 * np.asarray(colour), scale=30.0, specular=0.08)
        level, spot = divmod(i, 3)
        offset = turned(2.1 * spot + 0.3 * level) @ np.array([0.75 * side, 0.0, 0.0])
        place = centre + offset * (1.0 if level == 0 else 0.62) + np.array([0.0, 0.0, side * (level + 0.5)])
        b.box(place, (side, side, side), block, turned(rng.uniform(0.0, 1.57)), edge=0.08 * side)


def candle(b: Builder, base: Vector, size: float = 1.0) -> None:
    """A candle on a brass holder."""
    centre = np.asarray(base, np.float64)
    brass = b.material(PLAIN, (0.78, 0.6, 0.3), (0.6, 0.42, 0.18), scale=25.0, specular=0.4, shininess=60.0)
    wax = b.material(PLAIN, (0.94, 0.9, 0.8), (0.86, 0.8, 0.68), scale=30.0, specular=0.06)
    profile = [(0.055, 0.0), (0.05, 0.008), (0.015, 0.02), (0.011, 0.05), (0.02, 0.07), (0.024, 0.09)]
    b.turned_profile(centre, [(r * size, h * size) for r, h in profile], brass)
    b.cylinder(centre + np.array([0, 0, 0.08 * size]), centre + np.array([0, 0, 0.24 * size]), 0.017 * size, wax)
    wick = b.material(PLAIN, (0.1, 0.1, 0.1))
    b.cylinder(centre + np.array([0, 0, 0.24 * size]), centre + np.array([0.002, 0, 0.252 * size]), 0.0015 * size, wick)


def knot(b: Builder, centre: Vector, size: float, material: int, tilt: float = 1.2) -> None:
    """A trefoil knot of bent rod, ``size`` metres in radius."""
    t = np.linspace(0.0, 2.0 * np.pi, 90, endpoint=False)
    ring = 2.0 + np.cos(3.0 * t)
    curve = np.stack([ring * np.cos(2.0 * t), ring * np.sin(2.0 * t), np.sin(3.0 * t)], axis=1) / 3.0
    cos, sin = np.cos(tilt), np.sin(tilt)
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    b.tube(np.asarray(centre) + size * curve @ turn.T, 0.13 * size, material, closed=True)


def potted_plant(b: Builder, base: Vector, height: float, leaves: int = 60) -> None:
    """A clay pot, stems and leaves that hang out over its rim."""
    rng, centre = b.rng, np.asarray(base, np.float64)
    if rng.random() < 0.5:
        clay = b.material(PLAIN, (0.74, 0.43, 0.3), (0.6, 0.33, 0.22), scale=14.0, specular=0.02)
    else:
        clay = b.material(STRIPES, lively(rng, 0.5), PAPER, lively(rng), scale=9.0 / height, specular=0.12)
    soil = b.material(PLAIN, (0.22, 0.16, 0.11), (0.36, 0.27, 0.19), scale=50.0, specular=0.0)
    pot, radius = 0.34 * height, 0.17 * height
    b.frustum(centre, centre + np.array([0, 0, pot]), 0.72 * radius, radius, clay, caps=1)
    b.torus(centre + np.array([0, 0, pot]), radius, 0.09 * radius, clay)
    b.cylinder(centre + np.array([0, 0, 0.85 * pot]), centre + np.array([0, 0, 0.9 * pot]), 0.94 * radius, soil)
    light, dark = (0.46, 0.62, 0.22), (0.16, 0.34, 0.12)
    foliage = [
        b.material(FOLIAGE, light, dark, specular=0.06, shininess=25.0, translucent=0.45),
        b.material(FOLIAGE, (0.34, 0.52, 0.2), (0.12, 0.28, 0.12), specular=0.06, shininess=25.0, translucent=0.45),
    ]
    stem = b.material(PLAIN, (0.32, 0.4, 0.16), (0.25, 0.25, 0.12), scale=30.0)
    top = centre + np.array([0, 0, 0.88 * pot])
    per_stem = 7
    for _ in range(max(1, leaves // per_stem)):
        lean = rng.normal(0.0, 0.34, 2)
        reach = (height - pot) * rng.uniform(0.6, 1.0)
        t = np.linspace(0.0, 1.0, 6)[:, None]
        bend = np.array([*(lean * reach), 0.0])
        curve = top + bend * t**1.6 + np.array([0.0, 0.0, reach]) * (t - 0.22 * t**2 * np.hypot(*lean) * 3.0)
        b.tube(curve, 0.008 * height, stem)
        for _ in range(per_stem):
            at = rng.uniform(0.35, 1.0)
            root = np.array([np.interp(at, t[:, 0], curve[:, c]) for c in range(3)])
            away = np.array([*rng.normal(0.0, 1.0, 2), rng.normal(0.25, 0.45)])
            away /= np.linalg.norm(away)
            size = height * rng.uniform(0.13, 0.24)
            normal = np.array([*rng.normal(0.0, 0.35, 2), 1.0])
            b.leaf(root, root + size * away, 0.45 * size, foliage[rng.integers(2)], normal)


def chair(b: Builder, base: Vector, angle: float, material: int) -> None:
    """A wooden chair with thin legs and rails."""
    centre, turn = np.asarray(base, np.float64), turned(angle)

    def at(x: float, y: float, z: float) -> F64:
        return centre + turn @ np.array([x, y, z])

    for x in (-0.19, 0.19):
        b.frustum(at(x, 0.18, 0.0), at(0.95 * x, 0.17, 0.44), 0.014, 0.019, material)
        b.frustum(at(x, -0.2, 0.0), at(x, -0.18, 0.45), 0.015, 0.019, material)
        b.frustum(at(x, -0.18, 0.45), at(0.98 * x, -0.25, 0.92), 0.019, 0.014, material)
    for y in (-0.19, 0.175):
        b.cylinder(at(-0.19, y, 0.2), at(0.19, y, 0.2), 0.009, material)
    b.box(at(0.0, 0.0, 0.455), (0.42, 0.42, 0.03), material, turn, edge=0.012)
    b.box(at(0.0, -0.245, 0.88), (0.42, 0.022, 0.1), material, turn, edge=0.01)
    for x in np.linspace(-0.13, 0.13, 4):
        b.cylinder(at(x, -0.19, 0.46), at(x, -0.245, 0.86), 0.008, material)


def crate(b: Builder, base: Vector, sides: Vector, angle: float) -> None:
    """A box of boards with a printed label on two sides."""
    centre, turn = np.asarray(base, np.float64), turned(angle)
    width, depth, height = sides
    boards = wood(b, 8.0)
    middle = centre + np.array([0.0, 0.0, 0.5 * height])
    b.box(middle, sides, boards, turn)
    edge = 0.035
    for x in (-1.0, 1.0):
        for y in (-1.0, 1.0):
            post = middle + turn @ np.array([x * 0.5 * width, y * 0.5 * depth, 0.0])
            b.box(post, (edge, edge, height + 0.01), boards, turn)
    label = b.material(PRINT, PAPER, INK, lively(b.rng), scale=2.4 / width, specular=0.02)
    for y in (-1.0, 1.0):
        place = middle + turn @ np.array([0.0, y * (0.5 * depth + 0.004), 0.0])
        b.box(place, (0.62 * width, 0.006, 0.5 * height), label, turn)


def cushion(b: Builder, centre: Vector, sides: Vector, rotation: F64) -> None:
    """A soft box of patterned cloth."""
    b.box(centre, sides, cloth(b), rotation, edge=0.45 * min(sides))


def scattered(
    rng: np.random.Generator, sizes: Sequence[float], inner: float, outer: float, tries: int = 400
) -> list[tuple[float, float]]:
    """Places (x, y) in a ring around the origin for round things of these radii that do not touch."""
    places: list[tuple[float, float]] = []
    for number, size in enumerate(sizes):
        for attempt in range(tries):
            radius = np.sqrt(rng.uniform(inner**2, outer**2))
            angle = rng.uniform(0.0, 2.0 * np.pi)
            x, y = radius * np.cos(angle), radius * np.sin(angle)
            # where all is full, things move closer together
            room = 1.0 - attempt / tries
            if all(np.hypot(x - p, y - q) > room * (size + sizes[i]) for i, (p, q) in enumerate(places[:number])):
                break
        places.append((float(x), float(y)))
    return places
