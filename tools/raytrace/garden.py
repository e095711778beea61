"""Things of an outdoor scene: walls with windows, fences, plants, grass, a bench, a wheel."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from gscodec_tools.raytrace.builder import Builder, Vector, turned
from gscodec_tools.raytrace.objects import PAPER, lively, solid_wood, wood
from gscodec_tools.raytrace.textures import FOLIAGE, GROWTH, PLAIN, STRIPES

F64 = npt.NDArray[np.float64]

UP = np.array([0.0, 0.0, 1.0])


def opening(
    b: Builder, centre: Vector, along: Vector, outwards: Vector, width: float, height: float, door: bool
) -> None:
    """A window with bars and a sill, or a panelled door, on the face of a wall; ``along`` and ``outwards`` are unit."""
    rng = b.rng
    middle, x, y = (np.asarray(v, np.float64) for v in (centre, along, outwards))
    turn = np.stack([x, y, UP], axis=1)
    paint = lively(rng, 0.5)
    frame = b.material(PLAIN, paint, 0.85 * np.asarray(paint), scale=7.0, specular=0.08)
    if door:
        boards = b.material(PLAIN, paint, 0.7 * np.asarray(paint), scale=5.0, specular=0.06)
        b.box(middle, (width, 0.06, height), boards, turn)
        for side in (-0.23, 0.23):
            for lift in (-0.24, 0.22):
                place = middle + side * width * x + lift * height * UP + 0.03 * y
                b.box(place, (0.36 * width, 0.03, 0.36 * height), frame, turn, edge=0.012)
        knob = b.material(PLAIN, (0.75, 0.6, 0.3), specular=0.5, shininess=60.0)
        b.sphere(middle + 0.4 * width * x - 0.02 * height * UP + 0.07 * y, 0.03, knob)
    else:
        glass = b.material(PLAIN, (0.12, 0.15, 0.18), (0.2, 0.23, 0.26), scale=2.0, mirror=0.12, specular=0.0)
        b.box(middle, (width, 0.02, height), glass, turn)
        b.box(middle + 0.035 * y, (0.035, 0.05, height), frame, turn)
        for lift in (-0.2, 0.2):
            b.box(middle + lift * height * UP + 0.035 * y, (width, 0.05, 0.03), frame, turn)
        stone = b.material(PLAIN, (0.7, 0.68, 0.63), (0.55, 0.53, 0.5), scale=12.0)
        b.box(middle - (0.5 * height + 0.03) * UP + 0.08 * y, (width + 0.16, 0.2, 0.06), stone, turn)
    for side in (-1.0, 1.0):
        b.box(middle + side * 0.5 * width * x + 0.03 * y, (0.07, 0.08, height + 0.07), frame, turn)
    b.box(middle + 0.5 * height * UP + 0.03 * y, (width + 0.07, 0.08, 0.07), frame, turn)


def fence(b: Builder, start: Vector, end: Vector, height: float) -> None:
    """Posts, three wires, and slim bars in every other field."""
    rng = b.rng
    first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
    fields = max(2, round(float(np.linalg.norm(last - first)) / 1.1))
    post = solid_wood(b)
    iron = b.material(PLAIN, (0.22, 0.22, 0.23), (0.42, 0.27, 0.18), scale=20.0, specular=0.2)
    t = np.linspace(0.0, 1.0, fields + 1)[:, None]
    feet = first + t * (last - first)
    for foot in feet:
        lean = np.array([*rng.normal(0.0, 0.015, 2), height])
        b.frustum(foot, foot + lean, 0.05, 0.04, post)
        b.sphere(foot + lean, 0.045, post)
    for number, (left, right) in enumerate(itertools.pairwise(feet)):
        for part in (0.2, 0.55, 0.9):
            b.cylinder(left + part * height * UP, right + part * height * UP, 0.007, iron, caps=0)
        if number % 2 == 0:
            for s in np.linspace(0.12, 0.88, 7):
                foot = left + s * (right - left)
                b.cylinder(foot + 0.08 * height * UP, foot + 0.95 * height * UP, 0.009, iron)


def green(b: Builder, tint: float) -> list[int]:
    """Three kinds of leaf, from fresh (0) to autumn (1)."""
    fresh, old = np.array([0.42, 0.58, 0.2]), np.array([0.75, 0.45, 0.14])
    base = fresh + tint * (old - fresh)
    return [
        b.material(FOLIAGE, f * base, 0.5 * f * base, specular=0.05, shininess=20.0, translucent=0.5)
        for f in (1.1, 0.85, 0.65)
    ]


def bush(b: Builder, centre: Vector, radii: Vector, leaves: int, size: float, looks: list[int]) -> None:
    """A cloud of leaves around a core that looks like leaves in the shade; most leaves near an ellipsoid's surface."""
    rng, middle = b.rng, np.asarray(centre, np.float64)
    core = b.material(GROWTH, (0.07, 0.12, 0.05), (0.3, 0.4, 0.16), (0.12, 0.17, 0.07), scale=0.45 / size, specular=0.0)
    b.sphere(middle, 0.8 * np.asarray(radii), core)
    for _ in range(leaves):
        way = rng.normal(size=3)
        way /= np.linalg.norm(way)
        place = middle + np.asarray(radii) * way * rng.uniform(0.74, 1.0)
        tip = place + size * (0.25 * way + 0.8 * rng.normal(size=3) * [1.0, 1.0, 0.6])
        b.leaf(place, tip, 0.6 * size, looks[rng.integers(len(looks))], way + 0.3 * rng.normal(size=3) + 0.3 * UP)


def tree(b: Builder, base: Vector, height: float, leaves: int, looks: list[int]) -> None:
    """A trunk with a few limbs and three clouds of leaves."""
    rng, foot = b.rng, np.asarray(base, np.float64)
    bark = b.material(PLAIN, (0.42, 0.34, 0.26), (0.22, 0.17, 0.13), scale=16.0, specular=0.0)
    fork = foot + np.array([*rng.normal(0.0, 0.05 * height, 2), 0.5 * height])
    b.frustum(foot, fork, 0.05 * height, 0.032 * height, bark)
    for i in range(3):
        angle = 2.1 * i + rng.uniform(0.0, 1.0)
        end = fork + height * np.array([0.17 * np.cos(angle), 0.17 * np.sin(angle), rng.uniform(0.18, 0.32)])
        b.frustum(fork, end, 0.028 * height, 0.012 * height, bark)
        radii = height * np.array([0.2, 0.2, 0.15]) * rng.uniform(0.85, 1.15)
        bush(b, end, radii, leaves // 3, 0.055 * height, looks)


def tufts(b: Builder, places: F64, looks: list[int], height: float = 0.16) -> None:
    """Seven blades of grass at each of ``places`` [M,2]."""
    rng = b.rng
    for x, y in places:
        for _ in range(7):
            foot = np.array([x, y, 0.0]) + np.array([*rng.normal(0.0, 0.03, 2), 0.0])
            lean = np.array([*rng.normal(0.0, 0.4, 2), 1.0])
            tip = foot + height * rng.uniform(0.5, 1.2) * lean
            b.leaf(foot, tip, 0.016, looks[rng.integers(len(looks))], np.array([*rng.normal(size=2), 0.1]))


def litter(b: Builder, places: F64, looks: list[int]) -> None:
    """Fallen leaves at ``places`` [M,2], curled up a little."""
    rng = b.rng
    for x, y in places:
        angle, size = rng.uniform(0.0, 6.28), rng.uniform(0.04, 0.09)
        foot = np.array([x, y, rng.uniform(0.002, 0.012)])
        tip = foot + size * np.array([np.cos(angle), np.sin(angle), rng.uniform(0.0, 0.3)])
        b.leaf(foot, tip, 0.55 * size, looks[rng.integers(len(looks))], UP + 0.25 * rng.normal(size=3))


def bench(b: Builder, base: Vector, angle: float) -> None:
    """A garden bench of slats on iron feet."""
    centre, turn = np.asarray(base, np.float64), turned(angle)
    slats = wood(b, 12.0)
    iron = b.material(PLAIN, (0.13, 0.16, 0.15), (0.2, 0.22, 0.2), scale=15.0, specular=0.2)

    def at(x: float, y: float, z: float) -> F64:
        return centre + turn @ np.array([x, y, z])

    for x in (-0.6, 0.6):
        for y, top in ((-0.2, 0.85), (0.22, 0.42)):
            b.box(at(x, y, 0.5 * top), (0.05, 0.05, top), iron, turn)
        b.box(at(x, 0.0, 0.4), (0.05, 0.44, 0.04), iron, turn)
    for y in (-0.15, -0.03, 0.09, 0.21):
        b.box(at(0.0, y, 0.435), (1.45, 0.095, 0.03), slats, turn)
    for z in (0.58, 0.7, 0.82):
        b.box(at(0.0, -0.17, z), (1.45, 0.025, 0.09), slats, turn)


def wheel(b: Builder, hub: Vector, axis: Vector, radius: float) -> None:
    """A spoked wheel with a rubber tyre."""
    centre, way = np.asarray(hub, np.float64), np.asarray(axis, np.float64)
    rubber = b.material(PLAIN, (0.12, 0.12, 0.12), (0.2, 0.2, 0.19), scale=30.0, specular=0.05)
    steel = b.material(PLAIN, (0.72, 0.73, 0.75), (0.5, 0.45, 0.42), scale=20.0, specular=0.5, shininess=80.0)
    b.torus(centre, radius, 0.07 * radius, rubber, way)
    b.torus(centre, 0.9 * radius, 0.03 * radius, steel, way)
    b.cylinder(centre - 0.05 * way, centre + 0.05 * way, 0.07 * radius, steel)
    side = np.cross(way, UP)
    side /= np.linalg.norm(side)
    other = np.cross(way, side)
    for i in range(18):
        angle = 2.0 * np.pi * i / 18
        rim = centre + 0.9 * radius * (np.cos(angle) * side + np.sin(angle) * other)
        b.cylinder(centre + 0.03 * (-1.0) ** i * way, rim, 0.0035, steel, caps=0)


def ladder(b: Builder, foot: Vector, top: Vector, across: Vector) -> None:
    """A leaning ladder with rungs every 28 cm."""
    timber = solid_wood(b)
    low, high, side = (np.asarray(v, np.float64) for v in (foot, top, across))
    for sign in (-1.0, 1.0):
        b.cylinder(low + sign * 0.2 * side, high + sign * 0.18 * side, 0.022, timber)
    for t in np.arange(0.28, float(np.linalg.norm(high - low)), 0.28) / np.linalg.norm(high - low):
        rung = low + t * (high - low)
        b.cylinder(rung - 0.2 * side, rung + 0.2 * side, 0.013, timber)


def bunting(b: Builder, start: Vector, end: Vector, flags: int) -> None:
    """A sagging cord with pennants."""
    first, last = np.asarray(start, np.float64), np.asarray(end, np.float64)
    cord = b.material(PLAIN, (0.25, 0.22, 0.2))

    def at(t: float) -> F64:
        return first + t * (last - first) - 0.9 * t * (1.0 - t) * UP

    b.tube(np.array([at(t) for t in np.linspace(0.0, 1.0, 30)]), 0.005, cord)
    along = (last - first) / np.linalg.norm(last - first)
    looks = [
        b.material(STRIPES, lively(b.rng), PAPER, lively(b.rng), scale=22.0, specular=0.0, translucent=0.3)
        for _ in range(4)
    ]
    for i in range(flags):
        place = at((i + 0.5) / flags)
        tip = place - 0.26 * UP + 0.05 * b.rng.normal(size=3)
        b.leaf(place, tip, 0.2, looks[i % 4], np.cross(along, UP) + 0.2 * b.rng.normal(size=3))
