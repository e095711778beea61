"""The shapes that rays meet, each in its own unit frame: where a ray hits one, normal and texture coordinates there.

A primitive is a shape and an affine map from the world to its frame, so that a distance along a ray is the same number
in both. Torus and rounded box are met by sphere tracing (Hart 1996), the others in closed form.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

SPHERE = 0  # x² + y² + z² = 1
BOX = 1  # |x|, |y|, |z| <= 1
FRUSTUM = 2  # radius 1 at z = 0 to par[0] at z = 1; par[1] caps (1 bottom, 2 top); par[2:4] slopes of smooth normals
TORUS = 3  # ring of radius 1 in the plane z = 0, tube of radius par[0]
ROUND_BOX = 4  # half sides par[0:3], edges of radius par[3]; its frame keeps lengths
LEAF = 5  # flat, from (0,0) to (1,0), half width 1 at its widest; par[0] = 1: the whole rectangle |y| <= 1
SHAPES = 6
PARAMETERS = 4

NEVER = math.inf
STEPS = 96
CLOSE = 2e-5  # of a unit: where sphere tracing has arrived


@njit(cache=True, nogil=True)
def hit_shape(kind, par, ox, oy, oz, dx, dy, dz, near, far):
    """The smallest distance in (near, far) at which the ray o + t d meets the shape's surface, infinite if none."""
    if kind == SPHERE:
        return _hit_sphere(ox, oy, oz, dx, dy, dz, near, far)
    if kind == BOX:
        return _hit_box(ox, oy, oz, dx, dy, dz, near, far)
    if kind == FRUSTUM:
        return _hit_frustum(par, ox, oy, oz, dx, dy, dz, near, far)
    if kind == LEAF:
        return _hit_leaf(par, ox, oy, oz, dx, dy, dz, near, far)
    return _hit_distance_field(kind, par, ox, oy, oz, dx, dy, dz, near, far)


@njit(cache=True, nogil=True)
def _hit_sphere(ox, oy, oz, dx, dy, dz, near, far):
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - 1.0
    root = b * b - a * c
    if root < 0.0:
        return NEVER
    root = math.sqrt(root)
    for t in ((-b - root) / a, (-b + root) / a):
        if near < t < far:
            return t
    return NEVER


@njit(cache=True, nogil=True)
def slab(o, d, low, high, enter, leave):
    """The part of (enter, leave) in which o + t d lies between ``low`` and ``high``; empty if enter > leave."""
    if d == 0.0:
        return (enter, leave) if low <= o <= high else (1.0, 0.0)
    first, second = (low - o) / d, (high - o) / d
    return max(enter, min(first, second)), min(leave, max(first, second))


@njit(cache=True, nogil=True)
def _hit_box(ox, oy, oz, dx, dy, dz, near, far):
    enter, leave = slab(ox, dx, -1.0, 1.0, -NEVER, NEVER)
    enter, leave = slab(oy, dy, -1.0, 1.0, enter, leave)
    enter, leave = slab(oz, dz, -1.0, 1.0, enter, leave)
    if enter > leave:
        return NEVER
    if near < enter < far:
        return enter
    return leave if near < leave < far else NEVER


@njit(cache=True, nogil=True)
def _hit_frustum(par, ox, oy, oz, dx, dy, dz, near, far):
    slope = par[0] - 1.0
    radius, growth = 1.0 + slope * oz, slope * dz
    a = dx * dx + dy * dy - growth * growth
    b = ox * dx + oy * dy - radius * growth
    c = ox * ox + oy * oy - radius * radius
    best = far
    root = b * b - a * c
    if root >= 0.0 and abs(a) > 1e-14:
        root = math.sqrt(root)
        for t in ((-b - root) / a, (-b + root) / a):
            if near < t < best and 0.0 <= oz + t * dz <= 1.0 and radius + t * growth >= 0.0:
                best = t
    if par[1] > 0.0 and dz != 0.0:
        for cap in (0, 1):
            if int(par[1]) >> cap & 1:
                t = (cap - oz) / dz
                x, y, rim = ox + t * dx, oy + t * dy, par[0] if cap else 1.0
                if near < t < best and x * x + y * y <= rim * rim:
                    best = t
    return best if best < far else NEVER


@njit(cache=True, nogil=True)
def _hit_leaf(par, ox, oy, oz, dx, dy, dz, near, far):
    if dz == 0.0:
        return NEVER
    t = -oz / dz
    if not near < t < far:
        return NEVER
    x, y = ox + t * dx, abs(oy + t * dy)
    if not 0.0 <= x <= 1.0 or y > 1.0:
        return NEVER
    if par[0] == 0.0 and y > leaf_width(x):
        return NEVER
    return t


@njit(cache=True, nogil=True)
def leaf_width(x):
    """Half width of a leaf at x in 0..1: pointed at its tip, rounder at its stalk, 1 at its widest."""
    return 1.54 * math.sqrt(x) * (1.0 - x) * (1.0 + 0.7 * x)


@njit(cache=True, nogil=True)
def _distance(kind, par, x, y, z):
    if kind == TORUS:
        ring = math.sqrt(x * x + y * y) - 1.0
        return math.sqrt(ring * ring + z * z) - par[0]
    edge = par[3]
    qx, qy, qz = abs(x) - par[0] + edge, abs(y) - par[1] + edge, abs(z) - par[2] + edge
    ax, ay, az = max(qx, 0.0), max(qy, 0.0), max(qz, 0.0)
    return math.sqrt(ax * ax + ay * ay + az * az) + min(max(qx, qy, qz), 0.0) - edge


@njit(cache=True, nogil=True)
def _hit_distance_field(kind, par, ox, oy, oz, dx, dy, dz, near, far):
    """Sphere tracing; from the inside the sign is turned."""
    if kind == TORUS:
        wide, deep, high = 1.0 + par[0], 1.0 + par[0], par[0]
    else:
        wide, deep, high = par[0], par[1], par[2]
    enter, leave = slab(ox, dx, -wide, wide, near, far)
    enter, leave = slab(oy, dy, -deep, deep, enter, leave)
    enter, leave = slab(oz, dz, -high, high, enter, leave)
    if enter > leave:
        return NEVER
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    t = enter
    inside = _distance(kind, par, ox + t * dx, oy + t * dy, oz + t * dz) < 0.0
    for _ in range(STEPS):
        gap = _distance(kind, par, ox + t * dx, oy + t * dy, oz + t * dz)
        if inside:
            gap = -gap
        if gap < CLOSE and t > near:
            return t
        t += max(gap, CLOSE) / length
        if t >= leave:
            break
    return NEVER


@njit(cache=True, nogil=True)
def normal_at(kind, par, x, y, z):
    """Outward normal of the shape's surface in its own frame at a point on it, of any length."""
    if kind == SPHERE:
        return x, y, z
    if kind == BOX:
        ax, ay, az = abs(x), abs(y), abs(z)
        if ax >= ay and ax >= az:
            return math.copysign(1.0, x), 0.0, 0.0
        return (0.0, math.copysign(1.0, y), 0.0) if ay >= az else (0.0, 0.0, math.copysign(1.0, z))
    if kind == FRUSTUM:
        caps = int(par[1])
        radius = 1.0 + (par[0] - 1.0) * z
        # a point of the rim belongs to the side unless it lies clearly inside the rim
        if x * x + y * y < radius * radius * (1.0 - 1e-9):
            if caps & 1 and z < 1e-6:
                return 0.0, 0.0, -1.0
            if caps & 2 and z > 1.0 - 1e-6:
                return 0.0, 0.0, 1.0
        return x, y, -(par[2] + (par[3] - par[2]) * z) * radius
    if kind == LEAF:
        return 0.0, 0.0, 1.0
    step = 1e-4
    return (
        _distance(kind, par, x + step, y, z) - _distance(kind, par, x - step, y, z),
        _distance(kind, par, x, y + step, z) - _distance(kind, par, x, y - step, z),
        _distance(kind, par, x, y, z + step) - _distance(kind, par, x, y, z - step),
    )


@njit(cache=True, nogil=True)
def texture_uv(kind, par, size, x, y, z, nx, ny, nz):
    """Texture coordinates in metres at a local point with a local normal; ``size`` is metres per local unit [3]."""
    mx, my, mz = x * size[0], y * size[1], z * size[2]
    if kind in (BOX, ROUND_BOX):
        ax, ay, az = abs(nx), abs(ny), abs(nz)
        if az >= ax and az >= ay:
            return mx, my
        return (my * math.copysign(1.0, nx), mz) if ax >= ay else (-mx * math.copysign(1.0, ny), mz)
    if kind == SPHERE:
        return math.atan2(y, x) * size[0], math.asin(min(max(z, -1.0), 1.0)) * size[2]
    if kind == FRUSTUM:
        if abs(nz) > 0.999 * math.sqrt(nx * nx + ny * ny + nz * nz):
            return mx, my
        return math.atan2(y, x) * size[0] * 0.5 * (1.0 + par[0]), mz
    if kind == TORUS:
        ring = math.sqrt(x * x + y * y) - 1.0
        return math.atan2(y, x) * size[0], math.atan2(z, ring) * par[0] * size[0]
    return mx, my


def local_bounds(kind: int, par: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (low, high) of the shape's box in its own frame."""
    if kind == FRUSTUM:
        wide = max(1.0, par[0])
        return np.array([-wide, -wide, 0.0]), np.array([wide, wide, 1.0])
    if kind == TORUS:
        high = np.array([1.0 + par[0], 1.0 + par[0], par[0]])
        return -high, high
    if kind == ROUND_BOX:
        return -par[:3], par[:3].copy()
    if kind == LEAF:
        return np.array([0.0, -1.0, 0.0]), np.array([1.0, 1.0, 0.0])
    return -np.ones(3), np.ones(3)
