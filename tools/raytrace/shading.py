"""Light that leaves a point towards the eye: direct light with shadows, baked light, gloss, one mirror bounce."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from gscodec_tools.raytrace.bvh import Bvh, Primitives, is_blocked, nearest_hit
from gscodec_tools.raytrace.noise import octaves, smooth
from gscodec_tools.raytrace.shapes import LEAF, normal_at, texture_uv
from gscodec_tools.raytrace.textures import (
    EMISSION,
    FOLIAGE,
    KIND,
    MIRROR,
    SHININESS,
    SPECULAR,
    TRANSLUCENT,
    albedo,
)
from numba import njit

F64 = npt.NDArray[np.float64]

NEAR = 1e-4  # metres: a ray does not meet the surface that it leaves
FAR = 1e4
LIGHT_SAMPLES = 16  # points on each light; a pixel's samples share them out
LIGHT_COLUMNS = 10  # 0 for a direction, 1 for a place; x y z; normal x y z (0 0 0: shines everywhere); r g b
# columns of the sky
RADIUS, ZENITH, HORIZON, CLOUDS, TREES, TREE_RGB, SKY_SEED, SKY_GLOW, SKY_COLUMNS = 0, 1, 4, 7, 8, 9, 12, 13, 14


class Baked(NamedTuple):
    """Light computed in advance on two grids, each with its frame (origin x y z, step).

    ``gap`` float32 [X,Y,Z]: distance to the nearest surface in metres; ``indirect`` float32 [X,Y,Z,6,3]: irradiance of
    a surface that faces +x, -x, +y, -y, +z, -z; ``valid`` [X,Y,Z]: 0 inside of things.
    """

    gap: npt.NDArray[np.float32]
    gap_frame: F64
    indirect: npt.NDArray[np.float32]
    valid: npt.NDArray[np.float32]
    indirect_frame: F64


class World(NamedTuple):
    """All that a ray may ask for: ``materials`` [M,COLUMNS], ``lights`` [G,LIGHT_SAMPLES,LIGHT_COLUMNS], ``sky``
    [SKY_COLUMNS]."""

    primitives: Primitives
    bvh: Bvh
    materials: F64
    lights: F64
    sky: F64
    baked: Baked


@njit(cache=True, nogil=True)
def sky_radiance(sky, ox, oy, oz, dx, dy, dz, footprint):
    """Colour of the dome around the scene: clouds, a hazy horizon, a line of trees. It hangs at a finite distance."""
    b = ox * dx + oy * dy + oz * dz
    t = dome_distance(sky, ox, oy, oz, dx, dy, dz) if sky[RADIUS] > 0.0 else -b
    r = max(sky[RADIUS], 1.0)
    x, y, z = (ox + t * dx) / r, (oy + t * dy) / r, (oz + t * dz) / r
    seed = int(sky[SKY_SEED])
    f = footprint / r
    lift = max(z, 0.0) ** 0.55
    cloud = sky[CLOUDS] * smooth(0.42, 0.72, octaves(3.0 * x, 3.0 * y, 6.5 * z, 5, 6.0 * f, seed))
    line = sky[TREES] * (0.35 + 0.9 * octaves(5.0 * x, 5.0 * y, 0.0, 4, 5.0 * f, seed + 1))
    coarse = octaves(16.0 * x, 16.0 * y, 16.0 * z, 3, 16.0 * f, seed + 2)
    leaves = 0.55 * coarse + 0.45 * octaves(70.0 * x, 70.0 * y, 70.0 * z, 3, 70.0 * f, seed + 3)
    wood = smooth(0.0, 0.006 + f, line + 0.03 * (leaves - 0.5) - z)
    shade_of_trees = 0.25 + 1.5 * leaves + 0.8 * max(z, 0.0)
    red = _above(sky[HORIZON], sky[ZENITH], lift, cloud)
    green = _above(sky[HORIZON + 1], sky[ZENITH + 1], lift, cloud)
    blue = _above(sky[HORIZON + 2], sky[ZENITH + 2], lift, cloud)
    return (
        red + wood * (sky[TREE_RGB] * shade_of_trees - red),
        green + wood * (sky[TREE_RGB + 1] * shade_of_trees - green),
        blue + wood * (sky[TREE_RGB + 2] * shade_of_trees - blue),
    )


@njit(cache=True, nogil=True)
def _above(horizon, zenith, lift, cloud):
    clear = horizon + lift * (zenith - horizon)
    return clear + cloud * (1.05 - clear)


@njit(cache=True, nogil=True)
def dome_distance(sky, ox, oy, oz, dx, dy, dz):
    """Distance along a unit direction to the dome, a sphere around the origin."""
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - sky[RADIUS] ** 2
    return -b + math.sqrt(max(b * b - c, 0.0))


@njit(cache=True, nogil=True)
def surface_at(world, index, x, y, z, dx, dy, dz):
    """(normal that faces against d, whether d meets the back, local point, texture u v) of a point on a primitive."""
    primitives = world.primitives
    kind, par, size = primitives.kind[index], primitives.par[index], primitives.size[index]
    m = primitives.to_local[index]
    lx = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
    ly = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
    lz = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
    ax, ay, az = normal_at(kind, par, lx, ly, lz)
    nx = m[0, 0] * ax + m[1, 0] * ay + m[2, 0] * az
    ny = m[0, 1] * ax + m[1, 1] * ay + m[2, 1] * az
    nz = m[0, 2] * ax + m[1, 2] * ay + m[2, 2] * az
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    nx, ny, nz = nx / length, ny / length, nz / length
    back = nx * dx + ny * dy + nz * dz > 0.0
    if back:
        nx, ny, nz = -nx, -ny, -nz
    if kind == LEAF and world.materials[primitives.material[index], KIND] == FOLIAGE:
        u, v = lx, ly
    else:
        u, v = texture_uv(kind, par, size, lx, ly, lz, ax, ay, az)
    return nx, ny, nz, back, lx * size[0], ly * size[1], lz * size[2], u, v


@njit(cache=True, nogil=True)
def direct_light(world, material, x, y, z, nx, ny, nz, dx, dy, dz, sample):
    """Irradiance (over pi) and highlight [2 x rgb] from one sample of every light."""
    red = green = blue = shine_red = shine_green = shine_blue = 0.0
    through, power = material[TRANSLUCENT], material[SHININESS]
    ox, oy, oz = x + NEAR * nx, y + NEAR * ny, z + NEAR * nz
    for group in range(world.lights.shape[0]):
        light = world.lights[group, sample % LIGHT_SAMPLES]
        lx, ly, lz, far, strength = light[1], light[2], light[3], FAR, 1.0
        if light[0] > 0.0:
            lx, ly, lz = lx - x, ly - y, lz - z
            distance = math.sqrt(lx * lx + ly * ly + lz * lz) + 1e-9
            lx, ly, lz, far = lx / distance, ly / distance, lz / distance, distance - 1e-3
            strength = 1.0 / (distance * distance)
            if light[4] != 0.0 or light[5] != 0.0 or light[6] != 0.0:
                strength *= max(-(lx * light[4] + ly * light[5] + lz * light[6]), 0.0)
        facing = nx * lx + ny * ly + nz * lz
        side = 1.0
        if facing < 0.0:
            facing, side = -facing * through, -1.0
        if facing * strength <= 0.0:
            continue
        # light that comes through a leaf starts on its far side
        sx, sy, sz = (ox, oy, oz) if side > 0.0 else (x - NEAR * nx, y - NEAR * ny, z - NEAR * nz)
        if is_blocked(world.primitives, world.bvh, sx, sy, sz, lx, ly, lz, NEAR, far):
            continue
        red += strength * facing * light[7]
        green += strength * facing * light[8]
        blue += strength * facing * light[9]
        if material[SPECULAR] > 0.0 and side > 0.0:
            hx, hy, hz = lx - dx, ly - dy, lz - dz
            half = (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz + 1e-12)
            lobe = material[SPECULAR] * strength * facing * max(half, 0.0) ** power * (power + 8.0) / 8.0
            shine_red += lobe * light[7]
            shine_green += lobe * light[8]
            shine_blue += lobe * light[9]
    return red, green, blue, shine_red, shine_green, shine_blue


@njit(cache=True, nogil=True)
def indirect_light(baked, x, y, z, nx, ny, nz):
    """Irradiance (over pi) from everything but the lights, from the grid: three axes weighed by the normal squared."""
    frame = baked.indirect_frame
    step = frame[3]
    # half a step off the surface, so that the grid points inside of it count less
    gx = (x + 0.5 * step * nx - frame[0]) / step
    gy = (y + 0.5 * step * ny - frame[1]) / step
    gz = (z + 0.5 * step * nz - frame[2]) / step
    shape = baked.valid.shape
    gx = min(max(gx, 0.0), shape[0] - 1.001)
    gy = min(max(gy, 0.0), shape[1] - 1.001)
    gz = min(max(gz, 0.0), shape[2] - 1.001)
    i, j, k = int(gx), int(gy), int(gz)
    u, v, w = gx - i, gy - j, gz - k
    ax, ay, az = (0 if nx >= 0.0 else 1), (2 if ny >= 0.0 else 3), (4 if nz >= 0.0 else 5)
    red = green = blue = total = 0.0
    for corner in range(8):
        a, b, c = corner & 1, corner >> 1 & 1, corner >> 2
        weight = (u if a else 1.0 - u) * (v if b else 1.0 - v) * (w if c else 1.0 - w)
        weight *= baked.valid[i + a, j + b, k + c]
        if weight <= 0.0:
            continue
        cube = baked.indirect[i + a, j + b, k + c]
        total += weight
        red += weight * (nx * nx * cube[ax, 0] + ny * ny * cube[ay, 0] + nz * nz * cube[az, 0])
        green += weight * (nx * nx * cube[ax, 1] + ny * ny * cube[ay, 1] + nz * nz * cube[az, 1])
        blue += weight * (nx * nx * cube[ax, 2] + ny * ny * cube[ay, 2] + nz * nz * cube[az, 2])
    if total < 1e-6:
        return 0.0, 0.0, 0.0
    return red / total, green / total, blue / total


@njit(cache=True, nogil=True)
def _gap(baked, x, y, z):
    """Distance to the nearest surface, linear between grid points; far away beyond the grid."""
    frame = baked.gap_frame
    gx, gy, gz = (x - frame[0]) / frame[3], (y - frame[1]) / frame[3], (z - frame[2]) / frame[3]
    grid = baked.gap
    if not (0.0 <= gx < grid.shape[0] - 1 and 0.0 <= gy < grid.shape[1] - 1 and 0.0 <= gz < grid.shape[2] - 1):
        return 1.0
    i, j, k = int(gx), int(gy), int(gz)
    u, v, w = gx - i, gy - j, gz - k
    low = (grid[i, j, k] * (1 - u) + grid[i + 1, j, k] * u) * (1 - v) + (
        grid[i, j + 1, k] * (1 - u) + grid[i + 1, j + 1, k] * u
    ) * v
    high = (grid[i, j, k + 1] * (1 - u) + grid[i + 1, j, k + 1] * u) * (1 - v) + (
        grid[i, j + 1, k + 1] * (1 - u) + grid[i + 1, j + 1, k + 1] * u
    ) * v
    return low * (1 - w) + high * w


@njit(cache=True, nogil=True)
def openness(baked, x, y, z, nx, ny, nz):
    """How much of the indirect light reaches a point past its near neighbours, 0..1, from distances along cones."""
    if _gap(baked, x + 0.3 * nx, y + 0.3 * ny, z + 0.3 * nz) > 0.285:
        return 1.0  # a ball of air rests on the surface
    # any two directions across the normal
    tx, ty, tz = (0.0, -nz, ny) if abs(nx) < 0.6 else (nz, 0.0, -nx)
    length = math.sqrt(tx * tx + ty * ty + tz * tz)
    tx, ty, tz = tx / length, ty / length, tz / length
    bx, by, bz = ny * tz - nz * ty, nz * tx - nx * tz, nx * ty - ny * tx
    covered = 0.0
    for cone in range(5):
        along = 1.0 if cone == 0 else 0.64
        side = 0.0 if cone == 0 else 0.77
        a = side * (1.0 if cone == 1 else -1.0 if cone == 2 else 0.0)
        b = side * (1.0 if cone == 3 else -1.0 if cone == 4 else 0.0)
        ex, ey, ez = along * nx + a * tx + b * bx, along * ny + a * ty + b * by, along * nz + a * tz + b * bz
        worst = 0.0
        for h in (0.08, 0.24):
            free = h * along
            seen = _gap(baked, x + h * ex, y + h * ey, z + h * ez)
            worst = max(worst, (free - 0.012 - seen) / free * (1.0 - 1.6 * h))
        covered += (0.36 if cone == 0 else 0.16) * worst
    return 1.0 - 0.85 * min(max(covered, 0.0), 1.0)


@njit(cache=True, nogil=True)
def _ambient(baked, index, x, y, z, nx, ny, nz, kept):
    """Indirect light that reaches a point past its neighbours. It hardly changes within a pixel: ``kept`` [7] holds
    primitive (plus 1), normal and result of the last sample, which serves again where those are the same."""
    if kept[0] == index + 1.0 and nx * kept[1] + ny * kept[2] + nz * kept[3] > 0.98:
        return kept[4], kept[5], kept[6]
    red, green, blue = indirect_light(baked, x, y, z, nx, ny, nz)
    free = openness(baked, x, y, z, nx, ny, nz)
    kept[0], kept[1], kept[2], kept[3] = index + 1.0, nx, ny, nz
    kept[4], kept[5], kept[6] = free * red, free * green, free * blue
    return kept[4], kept[5], kept[6]


@njit(cache=True, nogil=True)
def shade(world, index, x, y, z, dx, dy, dz, footprint, sample, kept):
    """Radiance towards -d of a point on a primitive, without what it mirrors; its normal; look and share of light."""
    nx, ny, nz, _, px, py, pz, u, v = surface_at(world, index, x, y, z, dx, dy, dz)
    material = world.materials[world.primitives.material[index]]
    grazing = max(-(nx * dx + ny * dy + nz * dz), 0.12)
    base = albedo(material, px, py, pz, u, v, footprint / math.sqrt(grazing))
    look = math.sqrt(max(base[1], 0.0)) * (0.7 + 0.11 * nx + 0.14 * ny + 0.24 * nz)
    if material[EMISSION] > 0.0:
        glow = material[EMISSION]
        return glow * base[0], glow * base[1], glow * base[2], nx, ny, nz, look, 0.0
    r, g, b, sr, sg, sb = direct_light(world, material, x, y, z, nx, ny, nz, dx, dy, dz, sample)
    ir, ig, ib = _ambient(world.baked, index, x, y, z, nx, ny, nz, kept)
    red, green, blue = base[0] * (r + ir), base[1] * (g + ig), base[2] * (b + ib)
    return red + sr, green + sg, blue + sb, nx, ny, nz, look, g / (g + ig + 1e-9)


@njit(cache=True, nogil=True)
def radiance(world, ox, oy, oz, dx, dy, dz, spread, sample, kept):
    """Linear RGB that arrives along a ray of unit direction; ``spread`` is the width of its pixel at distance 1.

    And its look, a number that says what texture and form are there whatever the light, and the share of its light
    that is direct: a pixel whose samples hardly differ in both needs no more of them. ``kept`` [2,7] starts as zeros
    in each pixel and is handed from sample to sample: see ``_ambient``.
    """
    index, t = nearest_hit(world.primitives, world.bvh, ox, oy, oz, dx, dy, dz, NEAR, FAR)
    if index < 0:
        red, green, blue = sky_radiance(world.sky, ox, oy, oz, dx, dy, dz, spread * world.sky[RADIUS])
        return red, green, blue, math.sqrt(green), 0.0
    x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
    red, green, blue, nx, ny, nz, look, share = shade(world, index, x, y, z, dx, dy, dz, spread * t, sample, kept[0])
    mirror = world.materials[world.primitives.material[index], MIRROR]
    if mirror > 0.0:
        facing = -(nx * dx + ny * dy + nz * dz)
        part = mirror + (1.0 - mirror) * (1.0 - facing) ** 5  # Schlick's Fresnel term
        rx, ry, rz = reflected(dx, dy, dz, nx, ny, nz)
        x, y, z = x + NEAR * nx, y + NEAR * ny, z + NEAR * nz
        other, s = nearest_hit(world.primitives, world.bvh, x, y, z, rx, ry, rz, NEAR, FAR)
        if other < 0:
            a, b, c = sky_radiance(world.sky, x, y, z, rx, ry, rz, 4.0 * spread * world.sky[RADIUS])
            seen = math.sqrt(b)
        else:
            x, y, z, spread = x + s * rx, y + s * ry, z + s * rz, spread * (t + 4.0 * s)
            a, b, c, _, _, _, seen, _ = shade(world, other, x, y, z, rx, ry, rz, spread, sample, kept[1])
        look += part * seen
        red, green, blue = red + part * (a - red), green + part * (b - green), blue + part * (c - blue)
    return red, green, blue, look, share


@njit(cache=True, nogil=True)
def reflected(dx, dy, dz, nx, ny, nz):
    """Direction d mirrored at a surface of unit normal n."""
    twice = 2.0 * (dx * nx + dy * ny + dz * nz)
    return dx - twice * nx, dy - twice * ny, dz - twice * nz
