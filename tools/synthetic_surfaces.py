"""Parametric surfaces of the synthetic scene and the seeded sampling of points on them.

A surface is any map of the unit square to space. Normal, area element and tangents come from its finite
differences, so that spheres, tubes, surfaces of revolution and planes need one formula each and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

F64 = npt.NDArray[np.float64]
UvMap = Callable[[F64], F64]

CANDIDATES = 5  # candidate points for each point that is kept
UV_STEP = 1e-4


@dataclass(frozen=True)
class Surface:
    """A textured piece of surface, and how many of the scene's splats it gets.

    ``point`` maps uv [M,2] in 0..1 to positions [M,3], with d/du x d/dv pointing outwards (inwards if ``flip``);
    ``albedo`` maps positions [M,3] to RGB [M,3]. ``share`` is a relative number of splats, ``gloss`` the strength of
    the mirror-like part, ``shine`` its exponent; ``density`` maps positions to relative densities [M]; ``step`` is the
    distance (world units) within which an edge of the texture is noticed, ``detail`` how much denser splats are there.
    No splat is longer than about ``longest`` (one sigma): on a strong curve it would stick out.
    """

    point: UvMap
    albedo: UvMap
    share: float
    gloss: float = 0.0
    shine: float = 8.0
    flip: bool = False
    emissive: bool = False
    two_sided: bool = False
    density: UvMap | None = None
    step: float = 0.015
    detail: float = 6.0
    longest: float = 1.0


@dataclass(frozen=True)
class Points:
    """Points [n]: positions, normals, tangents along the texture's contours, rgb [n,3]; spacing, edge strength [n]."""

    positions: F64
    normals: F64
    tangents: F64
    rgb: F64
    spacing: F64
    edge: F64


def unit(vectors: F64) -> F64:
    """Vectors [...,3] at length 1; a zero vector stays zero."""
    result: F64 = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return result


class Noise:
    """Periodic, smooth random field in space, values about 0..1, from a seeded lattice."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.lattice = rng.random((32, 32, 32))

    def __call__(self, positions: F64, frequency: float | tuple[float, float, float], octaves: int = 1) -> F64:
        """Value noise [M] at positions [M,3]; each octave doubles the frequency (cycles per world unit) and halves."""
        total = np.zeros(len(positions))
        amplitude, norm = 1.0, 0.0
        lattice_position = positions * np.asarray(frequency)
        for octave in range(octaves):
            cell = np.floor(lattice_position)
            fraction = lattice_position - cell
            smooth = cell + fraction * fraction * (3.0 - 2.0 * fraction) + 7.3 * octave
            total += amplitude * map_coordinates(self.lattice, smooth.T, order=1, mode="grid-wrap")
            norm += amplitude
            amplitude *= 0.5
            lattice_position = lattice_position * 2.0
        return total / norm


def sample_surface(surface: Surface, counts: tuple[int, ...], rng: np.random.Generator) -> list[Points]:
    """Layers of ``counts`` points on the surface, denser where the texture has detail; later layers more so.

    Candidates are sorted along a Morton curve in uv and taken at equal steps of summed weight: an even cover
    without holes, which independent random points would leave.
    """
    side = max(2, int(np.sqrt(CANDIDATES * max(counts))))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 2)
    uv = (grid[np.argsort(_morton(grid))] + rng.random((side * side, 2))) / side
    positions = surface.point(uv)
    along_u = (surface.point(uv + np.array([UV_STEP, 0.0])) - positions) / UV_STEP
    along_v = (surface.point(uv + np.array([0.0, UV_STEP])) - positions) / UV_STEP
    cross = np.cross(along_u, along_v)
    area = np.linalg.norm(cross, axis=-1)
    normals = unit(-cross if surface.flip else cross)
    tangent = unit(along_u)
    bitangent = np.cross(normals, tangent)

    slope_t, slope_b = (
        (surface.albedo(positions + surface.step * way) - surface.albedo(positions - surface.step * way)).mean(axis=1)
        for way in (tangent, bitangent)
    )
    edge = np.minimum(np.hypot(slope_t, slope_b) / 0.25, 1.0)
    angle = np.where(edge > 0.15, np.arctan2(slope_t, -slope_b), rng.uniform(0.0, np.pi, len(uv)))
    contour = np.cos(angle)[:, None] * tangent + np.sin(angle)[:, None] * bitangent

    density = np.ones(len(uv)) if surface.density is None else surface.density(positions)
    layers = []
    for layer, count in enumerate(counts):
        wanted = density * (1.0 + surface.detail * (1.0 + layer) * edge)
        summed = np.cumsum(wanted * area)
        pick = np.searchsorted(summed, (np.arange(count) + rng.random()) / max(count, 1) * summed[-1])
        pick = np.minimum(pick, len(uv) - 1)
        spacing = np.sqrt(summed[-1] / (max(count, 1) * len(uv) * wanted[pick]))
        # candidates may repeat where the weight is concentrated; the jitter keeps such splats apart
        shift = rng.normal(0.0, 0.1, (count, 2)) * spacing[:, None]
        moved = positions[pick] + shift[:, :1] * tangent[pick] + shift[:, 1:] * bitangent[pick]
        layers.append(Points(moved, normals[pick], contour[pick], surface.albedo(moved), spacing, edge[pick]))
    return layers


def _morton(grid: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    code = np.zeros(len(grid), np.int64)
    for bit in range(12):
        code |= ((grid[:, 0] >> bit) & 1) << (2 * bit) | ((grid[:, 1] >> bit) & 1) << (2 * bit + 1)
    return code


def plane(origin: tuple[float, ...], edge_u: tuple[float, ...], edge_v: tuple[float, ...]) -> UvMap:
    """A parallelogram."""
    return lambda uv: np.asarray(origin) + uv[:, :1] * np.asarray(edge_u) + uv[:, 1:] * np.asarray(edge_v)


def triangle(a: F64, b: F64, c: F64) -> UvMap:
    """A triangle with base a-b and apex c."""
    return lambda uv: (1.0 - uv[:, 1:]) * ((1.0 - uv[:, :1]) * a + uv[:, :1] * b) + uv[:, 1:] * c


def disc(radius: float) -> UvMap:
    """The horizontal disc of that radius around the origin, facing up."""

    def point(uv: F64) -> F64:
        angle = 2.0 * np.pi * uv[:, 1]
        ring = radius * uv[:, 0]
        return np.stack([ring * np.cos(angle), ring * np.sin(angle), np.zeros(len(uv))], axis=1)

    return point


def sphere(centre: tuple[float, float, float], radius: float, lowest: float = -1.0) -> UvMap:
    """A sphere, from height ``lowest`` (in radii) up."""

    def point(uv: F64) -> F64:
        height = np.clip(lowest + (1.0 - lowest) * uv[:, 1], -1.0, 1.0)
        ring = np.sqrt(1.0 - height**2)
        angle = 2.0 * np.pi * uv[:, 0]
        return np.asarray(centre) + radius * np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=1)

    return point


def revolution(centre: tuple[float, float, float], heights: list[float], radii: list[float]) -> UvMap:
    """A surface of revolution about the vertical through ``centre``; the profile is smooth between its knots."""
    knots = np.linspace(0.0, 1.0, len(heights))
    fine = np.linspace(0.0, 1.0, 400)

    def smooth(values: list[float]) -> F64:
        dense = np.interp(fine, knots, values)
        padded = np.pad(dense, 20, mode="reflect", reflect_type="odd")
        return np.convolve(padded, np.hanning(43)[1:-1] / np.hanning(43).sum(), mode="valid")

    height, ring = smooth(heights), smooth(radii)

    def point(uv: F64) -> F64:
        angle = 2.0 * np.pi * uv[:, 0]
        radius = np.maximum(np.interp(uv[:, 1], fine, ring), 1e-4)
        up = np.interp(uv[:, 1], fine, height)
        return np.asarray(centre) + np.stack([radius * np.cos(angle), radius * np.sin(angle), up], axis=1)

    return point


def tube(curve: Callable[[F64], F64], radius: Callable[[F64], F64], across: Callable[[F64], F64]) -> UvMap:
    """A tube around curve(t) [M,3]; ``across`` [M,3] names a direction that is never along the curve."""

    def point(uv: F64) -> F64:
        t = uv[:, 0]
        centre = curve(t)
        forward = unit(curve(t + 1e-3) - curve(t - 1e-3))
        side = unit(np.cross(forward, across(t)))
        other = np.cross(forward, side)
        angle = -2.0 * np.pi * uv[:, 1:]
        return centre + radius(t)[:, None] * (np.cos(angle) * side + np.sin(angle) * other)

    return point


def torus_knot(centre: tuple[float, float, float], size: float, tilt: float) -> Callable[[F64], F64]:
    """The (2,3) torus knot as a closed curve of t in 0..1, tilted about x by ``tilt`` radians."""
    cos, sin = np.cos(tilt), np.sin(tilt)
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])

    def curve(t: F64) -> F64:
        angle = 2.0 * np.pi * t
        ring = 2.0 + np.cos(3.0 * angle)
        flat = np.stack([ring * np.cos(2.0 * angle), ring * np.sin(2.0 * angle), np.sin(3.0 * angle)], axis=1)
        return np.asarray(centre) + size * flat @ turn.T

    return curve
