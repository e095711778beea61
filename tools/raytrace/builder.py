"""Putting a scene together: shapes at places, in materials. Lengths in metres, z up, colours as seen (sRGB, 0..1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from gscodec_tools.raytrace import shapes
from gscodec_tools.raytrace.bake import bake, nothing_baked
from gscodec_tools.raytrace.bvh import Primitives, build_bvh
from gscodec_tools.raytrace.shading import LIGHT_COLUMNS, LIGHT_SAMPLES, World

from gscodec.transform.harmonics import fibonacci_directions

F64 = npt.NDArray[np.float64]
Vector = Sequence[float] | F64

BOTTOM, TOP = 1, 2  # caps


@dataclass(frozen=True, eq=False)
class Scene:
    """A world, where the eye may go, and what to look at.

    ``eyes`` [V,3] and ``targets`` [V,3] are in metres, z up; ``field`` is the horizontal field of view in degrees.
    """

    world: World
    eyes: F64
    targets: F64
    field: float


def linear(colour: Vector) -> F64:
    """sRGB to linear light."""
    values = np.asarray(colour, np.float64)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def turned(angle: float) -> F64:
    """The rotation [3,3] by ``angle`` radians about z."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def frame_along(direction: Vector, up: Vector = (0.0, 0.0, 1.0)) -> F64:
    """A rotation [3,3] whose third column points along ``direction``, its second as far as possible along ``up``."""
    third = np.asarray(direction, np.float64)
    third = third / np.linalg.norm(third)
    second = np.asarray(up, np.float64) - np.dot(up, third) * third
    if np.linalg.norm(second) < 1e-6:
        other = np.eye(3)[np.argmin(np.abs(third))]
        second = other - np.dot(other, third) * third
    second = second / np.linalg.norm(second)
    return np.stack([np.cross(second, third), second, third], axis=1)


class Builder:
    """Collects primitives, materials and lights; ``rng`` decides whatever nobody else does."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self._rows: list[tuple[int, F64, F64, F64, int]] = []
        self._materials: list[F64] = []
        self._lights: list[F64] = []

    def material(
        self,
        kind: int,
        first: Vector,
        second: Vector | None = None,
        third: Vector | None = None,
        *,
        scale: float = 1.0,
        specular: float = 0.03,
        shininess: float = 30.0,
        mirror: float = 0.0,
        emission: float = 0.0,
        grime: float = 1.0,
        translucent: float = 0.0,
    ) -> int:
        """A material: a texture of textures.py with up to three colours, ``scale`` repeats per metre; its number."""
        own = linear(first)
        row = [kind, scale, *own]
        row += [*(0.6 * own if second is None else linear(second))]
        row += [*(0.3 * own if third is None else linear(third))]
        row += [specular, shininess, mirror, emission, self.rng.integers(1, 1 << 20), grime, translucent]
        self._materials.append(np.array(row, np.float64))
        return len(self._materials) - 1

    def _add(self, kind: int, linear_map: F64, centre: Vector, size: Vector, material: int, par: Vector = ()) -> None:
        inverse = np.linalg.inv(linear_map)
        to_local = np.column_stack([inverse, -inverse @ np.asarray(centre, np.float64)])
        parameters = np.zeros(shapes.PARAMETERS)
        parameters[: len(par)] = par
        self._rows.append((kind, to_local, parameters, np.asarray(size, np.float64), material))

    def sphere(self, centre: Vector, radius: float | Vector, material: int, rotation: F64 | None = None) -> None:
        """A ball, or an ellipsoid of three radii."""
        radii = np.broadcast_to(np.asarray(radius, np.float64), 3)
        rotation = np.eye(3) if rotation is None else rotation
        self._add(shapes.SPHERE, rotation * radii, centre, radii, material)

    def box(self, centre: Vector, sides: Vector, material: int, rotation: F64 | None = None, edge: float = 0.0) -> None:
        """A box of full side lengths, with edges rounded to a radius ``edge``."""
        half = 0.5 * np.asarray(sides, np.float64)
        rotation = np.eye(3) if rotation is None else rotation
        if edge > 0.0:
            self._add(shapes.ROUND_BOX, rotation, centre, np.ones(3), material, [*half, min(edge, 0.999 * half.min())])
        else:
            self._add(shapes.BOX, rotation * half, centre, half, material)

    def frustum(
        self,
        start: Vector,
        end: Vector,
        radius: float,
        end_radius: float,
        material: int,
        caps: int = BOTTOM | TOP,
        slopes: tuple[float, float] | None = None,
    ) -> None:
        """A cylinder or cone between two points; ``slopes`` (growth of radius per length at both ends) bend normals."""
        axis = np.asarray(end, np.float64) - np.asarray(start, np.float64)
        height = float(np.linalg.norm(axis))
        size = np.array([radius, radius, height])
        flat = (end_radius - radius) / height
        first, last = (flat, flat) if slopes is None else slopes
        par = [end_radius / radius, caps, first * height / radius, last * height / radius]
        self._add(shapes.FRUSTUM, frame_along(axis, (0.0, 1.0, 0.0)) * size, start, size, material, par)

    def cylinder(self, start: Vector, end: Vector, radius: float, material: int, caps: int = BOTTOM | TOP) -> None:
        """A cylinder between two points."""
        self.frustum(start, end, radius, radius, material, caps)

    def torus(self, centre: Vector, radius: float, tube: float, material: int, axis: Vector = (0.0, 0.0, 1.0)) -> None:
        """A ring around ``axis``."""
        rotation = frame_along(axis, (0.0, 1.0, 0.0)) * radius
        self._add(shapes.TORUS, rotation, centre, np.full(3, radius), material, [tube / radius])

    def leaf(self, stalk: Vector, tip: Vector, width: float, material: int, normal: Vector = (0.0, 0.0, 1.0)) -> None:
        """A flat leaf from stalk to tip, ``width`` metres at its widest, facing about along ``normal``."""
        self._flat(stalk, tip, 0.5 * width, material, normal, 0.0)

    def sheet(self, start: Vector, end: Vector, width: float, material: int, normal: Vector) -> None:
        """A flat rectangle around the line from start to end, ``width`` metres wide."""
        self._flat(start, end, 0.5 * width, material, normal, 1.0)

    def _flat(self, start: Vector, end: Vector, half: float, material: int, normal: Vector, whole: float) -> None:
        along = np.asarray(end, np.float64) - np.asarray(start, np.float64)
        length = float(np.linalg.norm(along))
        frame = frame_along(along, normal)  # columns: across, normal, along
        size = np.array([length, half, 1.0])
        axes = np.stack([frame[:, 2], frame[:, 0], frame[:, 1]], axis=1)
        self._add(shapes.LEAF, axes * size, start, size, material, [whole])

    def tube(self, points: F64, radius: float, material: int, closed: bool = False) -> None:
        """A bent rod through ``points`` [J,3]: cylinders, with balls where they meet."""
        ends = np.roll(points, -1, axis=0) if closed else points[1:]
        for start, end in zip(points, ends, strict=False):
            self.frustum(start, end, radius, radius, material, caps=0)
        for point in points:
            self.sphere(point, radius, material)

    def turned_profile(self, base: Vector, profile: Sequence[tuple[float, float]], material: int) -> None:
        """A vessel turned on a lathe: ``profile`` is (radius, height) from the bottom up, joined smoothly."""
        knots = np.asarray(profile, np.float64)
        t = np.linspace(0.0, len(knots) - 1.0, 3 * (len(knots) - 1) + 1)
        radii, heights = (_spline(knots[:, axis], t) for axis in (0, 1))
        radii = np.maximum(radii, 1e-3)
        slopes = np.gradient(radii) / np.where(np.abs(np.gradient(heights)) < 1e-4, 1e-4, np.gradient(heights))
        for i in range(len(t) - 1):
            if heights[i + 1] - heights[i] > 1e-4:
                start, end = (np.asarray(base) + np.array([0.0, 0.0, heights[j]]) for j in (i, i + 1))
                self.frustum(start, end, radii[i], radii[i + 1], material, 0, (slopes[i], slopes[i + 1]))
        centre = np.asarray(base) + np.array([0.0, 0.0, heights[0]])
        self.cylinder(centre, centre + np.array([0.0, 0.0, 1e-3]), radii[0], material)

    def sun(self, direction: Vector, colour: Vector, softness: float = 0.012) -> None:
        """Light from a disc of ``softness`` radians around a direction; ``colour`` is linear irradiance over pi."""
        rotation = frame_along(direction)
        samples = np.zeros((LIGHT_SAMPLES, LIGHT_COLUMNS))
        for sample, (x, y) in zip(samples, _disc(LIGHT_SAMPLES) * softness, strict=True):
            toward = rotation @ np.array([x, y, 1.0])
            sample[1:4], sample[7:] = toward / np.linalg.norm(toward), colour
        self._lights.append(samples)

    def window_light(self, centre: Vector, across: Vector, up: Vector, colour: Vector) -> None:
        """Light from a rectangle of half sides ``across`` and ``up`` that faces across × up.

        ``colour`` is its linear radiance, that of the sky behind a window.
        """
        normal = np.cross(across, up) * 1.0
        area = 4.0 * np.linalg.norm(normal)
        normal /= np.linalg.norm(normal)
        samples = np.zeros((LIGHT_SAMPLES, LIGHT_COLUMNS))
        for index, sample in enumerate(samples):
            u, v = (index % 4 + 0.5) / 2.0 - 1.0, (index // 4 + 0.5) / 2.0 - 1.0
            sample[0] = 1.0
            sample[1:4] = np.asarray(centre) + u * np.asarray(across) + v * np.asarray(up)
            sample[4:7], sample[7:] = normal, np.asarray(colour) * area / np.pi
        self._lights.append(samples)

    def lamp_light(self, centres: Sequence[Vector], radius: float, colour: Vector) -> None:
        """Light from balls in all directions; ``colour`` is linear irradiance over pi at a metre, of all together."""
        samples = np.zeros((LIGHT_SAMPLES, LIGHT_COLUMNS))
        samples[:, 0] = 1.0
        samples[:, 1:4] = radius * fibonacci_directions(LIGHT_SAMPLES)
        samples[:, 1:4] += np.resize(np.asarray(centres, np.float64), (LIGHT_SAMPLES, 3))  # in turn
        samples[:, 7:] = colour
        self._lights.append(samples)

    def world(self, sky: F64, low: Vector, high: Vector) -> World:
        """The world of all that was added, its light computed in the box from ``low`` to ``high``."""
        kind, to_local, par, size, material = (list(column) for column in zip(*self._rows, strict=True))
        primitives = Primitives(
            np.array(kind, np.int64), np.array(to_local), np.array(par), np.array(size), np.array(material, np.int64)
        )
        lights = np.array(self._lights) if self._lights else np.zeros((0, LIGHT_SAMPLES, LIGHT_COLUMNS))
        world = World(primitives, build_bvh(primitives), np.array(self._materials), lights, sky, nothing_baked())
        return bake(world, np.asarray(low, np.float64), np.asarray(high, np.float64))


def sky(
    rng: np.random.Generator,
    *,
    radius: float = 26.0,
    zenith: Vector = (0.35, 0.55, 0.88),
    horizon: Vector = (0.86, 0.9, 0.94),
    clouds: float = 0.8,
    trees: float = 0.22,
    leaves: Vector = (0.30, 0.40, 0.20),
    glow: float = 1.0,
) -> F64:
    """The dome: its radius in metres, colours as seen, how cloudy, how high (sine of the angle) the trees reach.

    ``glow`` is how much it lights the scene: 0 where a window's light stands for it.
    """
    row = [radius, *linear(zenith), *linear(horizon), clouds, trees, *linear(leaves), rng.integers(1, 1 << 20), glow]
    return np.array(row, np.float64)


def _spline(values: F64, t: F64) -> F64:
    """Catmull-Rom interpolation of ``values`` at t in 0..len - 1; repeated values make a sharp edge."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    i = np.minimum(t.astype(np.int64), len(values) - 2)
    f = t - i
    a, b, c, d = (padded[i + k] for k in range(4))
    return 0.5 * (2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - a - 3 * c + d) * f**3)


def _disc(count: int) -> F64:
    """``count`` points evenly over the unit disc, [count,2]."""
    index = np.arange(count) + 0.5
    radius, angle = np.sqrt(index / count), np.pi * (1.0 + np.sqrt(5.0)) * index
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
