"""Light that is the same from everywhere, computed once for a scene: distances to surfaces, and indirect light."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import numpy.typing as npt
from gscodec_tools.raytrace.bvh import nearest_hit
from gscodec_tools.raytrace.shading import (
    FAR,
    LIGHT_SAMPLES,
    RADIUS,
    SKY_GLOW,
    Baked,
    World,
    direct_light,
    indirect_light,
    sky_radiance,
    surface_at,
)
from gscodec_tools.raytrace.shapes import LEAF
from gscodec_tools.raytrace.textures import EMISSION, albedo
from gscodec_tools.raytrace.threads import in_bands
from numba import njit
from scipy.ndimage import distance_transform_edt, uniform_filter

from gscodec.transform.harmonics import fibonacci_directions

F64 = npt.NDArray[np.float64]

GAP_STEP = 0.05  # metres
INDIRECT_STEP = 0.25
BOUNCES = 2
DIRECTIONS = (64, 384)  # least and most from a grid point
RAYS = 1_000_000  # about so many for all of them


def nothing_baked() -> Baked:
    """Grids without any light, for a world whose light is still to be computed."""
    frame, ones = np.array([0.0, 0.0, 0.0, 1.0]), np.ones((2, 2, 2), np.float32)
    return Baked(ones, frame, np.zeros((2, 2, 2, 6, 3), np.float32), ones, frame)


def bake(world: World, low: F64, high: F64) -> World:
    """The world with its light computed in the box from ``low`` to ``high`` [3] (metres)."""
    gap, frame = _gaps(world, low, high)
    world = world._replace(baked=world.baked._replace(gap=gap, gap_frame=frame))
    size = np.maximum(np.ceil((high - low) / INDIRECT_STEP).astype(np.int64) + 1, 2)
    frame = np.array([*low, INDIRECT_STEP])
    directions = fibonacci_directions(int(np.clip(RAYS // size.prod(), *DIRECTIONS)))
    for _ in range(BOUNCES):
        valid, indirect = np.ones(tuple(size), np.float32), np.zeros((*size, 6, 3), np.float32)
        in_bands(int(size[0]), partial(_gather, world, frame, directions, indirect, valid))
        indirect = _smoothed(indirect, valid)
        world = world._replace(baked=world.baked._replace(indirect=indirect, valid=valid, indirect_frame=frame))
    return world


def _smoothed(indirect: npt.NDArray[np.float32], valid: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Each grid point's mean with its neighbours outside of things: hides that its directions are few."""
    weight = uniform_filter(valid, 3, mode="nearest")
    total = uniform_filter(indirect * valid[..., None, None], (3, 3, 3, 1, 1), mode="nearest")
    return np.asarray(total / np.maximum(weight, 1e-6)[..., None, None], np.float32)


def _gaps(world: World, low: F64, high: F64) -> tuple[npt.NDArray[np.float32], F64]:
    """Distances to the nearest surface point; the points are where axis-parallel rays, half a step apart, hit."""
    frame = np.array([*low, GAP_STEP])
    size = np.maximum(np.ceil((high - low) / GAP_STEP).astype(np.int64) + 1, 2)
    points = np.full((*size, 3), np.nan)
    for axis in range(3):
        _mark(world.primitives, world.bvh, frame, axis, points)
    empty = np.isnan(points[..., 0])
    if empty.all():
        return np.ones(tuple(size), np.float32), frame
    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    nodes = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), axis=-1) * GAP_STEP + low
    return np.linalg.norm(points[tuple(nearest)] - nodes, axis=-1).astype(np.float32), frame


@njit(cache=True, nogil=True)
def _mark(primitives, bvh, frame, axis, points):
    """Write into each grid point's cell the hit closest to it along rays parallel to ``axis``."""
    step = frame[3]
    a, b = (axis + 1) % 3, (axis + 2) % 3
    way = np.zeros(3)
    way[axis] = 1.0
    length = (points.shape[axis] - 1) * step
    origin = np.empty(3)
    hit = np.empty(3)
    cell = np.empty(3, np.int64)
    for i in range(2 * points.shape[a] - 1):
        for j in range(2 * points.shape[b] - 1):
            origin[axis] = frame[axis]
            origin[a], origin[b] = frame[a] + 0.5 * step * i + 1e-5, frame[b] + 0.5 * step * j + 1e-5
            reached = 0.0
            for _ in range(64):
                x, y, z = origin
                index, t = nearest_hit(primitives, bvh, x, y, z, way[0], way[1], way[2], reached, length)
                if index < 0:
                    break
                hit[:] = origin + t * way
                for c in range(3):
                    cell[c] = min(math.floor((hit[c] - frame[c]) / step + 0.5), points.shape[c] - 1)
                kept = points[cell[0], cell[1], cell[2]]
                node = frame[:3] + cell * step
                if not np.sum((kept - node) ** 2) <= np.sum((hit - node) ** 2):
                    kept[:] = hit
                reached = t + 0.2 * step


@njit(cache=True, nogil=True)
def _gather(world, frame, directions, indirect, valid, start, end):
    """Irradiance of the six sides of each grid point's cube from what is seen from there, lit as baked so far."""
    _, ny, nz = valid.shape
    for cell in range(start * ny * nz, end * ny * nz):
        i, j, k = cell // (ny * nz), cell // nz % ny, cell % nz
        x, y, z = frame[0] + i * frame[3], frame[1] + j * frame[3], frame[2] + k * frame[3]
        inside = 0
        for number in range(len(directions)):
            dx, dy, dz = directions[number]
            red, green, blue, back = _seen(world, x, y, z, dx, dy, dz, number)
            inside += back
            for axis in range(3):
                cosine = directions[number, axis]
                side = 2 * axis + (0 if cosine > 0.0 else 1)
                weight = 4.0 * abs(cosine) / len(directions)
                indirect[i, j, k, side, 0] += np.float32(weight * red)
                indirect[i, j, k, side, 1] += np.float32(weight * green)
                indirect[i, j, k, side, 2] += np.float32(weight * blue)
        valid[i, j, k] = 0.0 if 5 * inside > len(directions) else 1.0


@njit(cache=True, nogil=True)
def _seen(world, x, y, z, dx, dy, dz, number):
    """Radiance from a direction, without highlights and mirrors; 1 if the back of something solid was hit, else 0."""
    index, t = nearest_hit(world.primitives, world.bvh, x, y, z, dx, dy, dz, 0.0, FAR)
    if index < 0:
        red, green, blue = sky_radiance(world.sky, x, y, z, dx, dy, dz, 0.1 * world.sky[RADIUS])
        glow = world.sky[SKY_GLOW]
        return glow * red, glow * green, glow * blue, 0
    x, y, z = x + t * dx, y + t * dy, z + t * dz
    nx, ny, nz, back, px, py, pz, u, v = surface_at(world, index, x, y, z, dx, dy, dz)
    if back and world.primitives.kind[index] != LEAF:
        return 0.0, 0.0, 0.0, 1
    material = world.materials[world.primitives.material[index]]
    base = albedo(material, px, py, pz, u, v, 0.1 * t)
    if material[EMISSION] > 0.0:
        return material[EMISSION] * base[0], material[EMISSION] * base[1], material[EMISSION] * base[2], 0
    ir, ig, ib = indirect_light(world.baked, x, y, z, nx, ny, nz)
    r, g, b = 0.0, 0.0, 0.0
    for part in range(2):
        sample = (number + part * (LIGHT_SAMPLES // 2)) % LIGHT_SAMPLES
        lr, lg, lb, _, _, _ = direct_light(world, material, x, y, z, nx, ny, nz, dx, dy, dz, sample)
        r, g, b = r + 0.5 * lr, g + 0.5 * lg, b + 0.5 * lb
    return base[0] * (r + ir), base[1] * (g + ig), base[2] * (b + ib), 0
