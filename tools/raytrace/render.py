"""Photos of a world: supersampled pixels, exposure, a film curve, sRGB. And the exact geometry behind each pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from gscodec_tools.raytrace.bvh import nearest_hit
from gscodec_tools.raytrace.shading import FAR, LIGHT_SAMPLES, NEAR, World, dome_distance, radiance
from gscodec_tools.raytrace.threads import in_bands
from numba import njit

from gscodec.scene import Camera

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

FIRST_SAMPLES, ALL_SAMPLES = 4, 8  # of a pixel: the first, and where those differ
CONTRAST = 0.05  # of the square root of reflectance: from here on they differ
SHADOW = 0.4  # of the light: the same
MIDDLE_GREY = 0.19  # where exposure puts the mean logarithm of light


def photo(world: World, camera: Camera, exposure: float, threads: int | None = None) -> F32:
    """The picture [height,width,3] in sRGB, 0..1. The same for any number of threads."""
    picture = np.empty((camera.height, camera.width, 3), np.float32)
    pose, lens = _optics(camera)
    in_bands(camera.height, lambda start, end: _expose_rows(world, pose, lens, exposure, picture, start, end), threads)
    return picture


def exposure_for(world: World, cameras: Sequence[Camera], step: int = 12) -> float:
    """A factor for linear light that suits all the views, from every ``step``-th pixel in both directions."""
    logs = []
    for camera in cameras:
        rows, columns = np.mgrid[step // 2 : camera.height : step, step // 2 : camera.width : step]
        pixels = np.stack([columns.ravel(), rows.ravel()], axis=1) + 0.5
        light = _linear(world, *_optics(camera), pixels) @ np.array([0.2126, 0.7152, 0.0722])
        logs.append(np.log(light + 1e-4))
    return float(MIDDLE_GREY / np.exp(np.mean(np.concatenate(logs))))


def geometry(world: World, camera: Camera, pixels: F64) -> tuple[npt.NDArray[np.int64], F64]:
    """Of the rays through ``pixels`` [M,2] (x y, centres at +0.5): the primitive [M], -1 for the sky, and the point
    [M,3] in the world."""
    pose, lens = _optics(camera)
    found, points = np.empty(len(pixels), np.int64), np.empty((len(pixels), 3))
    _geometry(world, pose, lens, np.ascontiguousarray(pixels, np.float64), found, points)
    return found, points


def visible(world: World, camera: Camera, points: F64, tolerance: float = 1e-3) -> npt.NDArray[np.bool_]:
    """Whether nothing but the point itself is met on the way from the camera to each of ``points`` [M,3].

    What lies within ``tolerance`` of the way's length before the point counts as the point.
    """
    result = np.empty(len(points), np.bool_)
    _visible(world, camera.centre, np.ascontiguousarray(points, np.float64), 1.0 - tolerance, result)
    return result


def _optics(camera: Camera) -> tuple[F64, F64]:
    """Camera to world [3,4] and (fx, fy, cx, cy)."""
    pose = np.linalg.inv(camera.world_to_camera)[:3]
    return np.ascontiguousarray(pose), np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float64)


@njit(cache=True, nogil=True)
def _direction(pose, lens, px, py):
    x, y = (px - lens[2]) / lens[0], (py - lens[3]) / lens[1]
    dx = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2]
    dy = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2]
    dz = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2]
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    return dx / length, dy / length, dz / length


@njit(cache=True, nogil=True)
def film(light):
    """A camera's curve from linear light to sRGB, 0..1: straight in the shadows, a soft shoulder."""
    x = 1.0 - math.exp(-max(light, 0.0))
    return 12.92 * x if x <= 0.0031308 else 1.055 * x ** (1.0 / 2.4) - 0.055


@njit(cache=True, nogil=True)
def _sample(world, pose, lens, column, row, number, kept):
    """Sample ``number`` of a pixel: places in a 4 x 4 grid, both fours of them with one in each row and column."""
    order = (1, 7, 8, 14, 2, 4, 11, 13)[number]
    px, py = column + (order % 4 + 0.5) / 4.0, row + (order // 4 + 0.5) / 4.0
    dx, dy, dz = _direction(pose, lens, px, py)
    light = number * 5 % LIGHT_SAMPLES  # the first four are spread over the light
    return radiance(world, pose[0, 3], pose[1, 3], pose[2, 3], dx, dy, dz, 0.5 / lens[0], light, kept)


@njit(cache=True, nogil=True)
def _expose_rows(world, pose, lens, exposure, picture, start, end):
    most = 12.0 / exposure
    kept = np.empty((2, 7))
    for row in range(start, end):
        for column in range(picture.shape[1]):
            red = green = blue = 0.0
            low, high, dark, bright = 9.0, -9.0, 1.0, 0.0
            taken = FIRST_SAMPLES
            kept[:] = 0.0
            number = 0
            while number < taken:
                r, g, b, look, share = _sample(world, pose, lens, column, row, number, kept)
                # as a sensor counts it: at most four times what saturates the film
                red, green, blue = red + min(r, most), green + min(g, most), blue + min(b, most)
                low, high = min(low, look), max(high, look)
                dark, bright = min(dark, share), max(bright, share)
                number += 1
                if number == FIRST_SAMPLES and (high - low > CONTRAST or bright - dark > SHADOW):
                    taken = ALL_SAMPLES
            picture[row, column, 0] = film(exposure * red / taken)
            picture[row, column, 1] = film(exposure * green / taken)
            picture[row, column, 2] = film(exposure * blue / taken)


@njit(cache=True, nogil=True)
def _linear(world, pose, lens, pixels):
    result, kept = np.empty((len(pixels), 3)), np.empty((2, 7))
    for index in range(len(pixels)):
        dx, dy, dz = _direction(pose, lens, pixels[index, 0], pixels[index, 1])
        spread = 4.0 / lens[0]
        kept[:] = 0.0
        light = radiance(world, pose[0, 3], pose[1, 3], pose[2, 3], dx, dy, dz, spread, index % LIGHT_SAMPLES, kept)
        result[index, 0], result[index, 1], result[index, 2] = light[0], light[1], light[2]
    return result


@njit(cache=True, nogil=True)
def _geometry(world, pose, lens, pixels, found, points):
    ox, oy, oz = pose[0, 3], pose[1, 3], pose[2, 3]
    for index in range(len(pixels)):
        dx, dy, dz = _direction(pose, lens, pixels[index, 0], pixels[index, 1])
        primitive, t = nearest_hit(world.primitives, world.bvh, ox, oy, oz, dx, dy, dz, NEAR, FAR)
        if primitive < 0:
            t = dome_distance(world.sky, ox, oy, oz, dx, dy, dz)
        found[index] = primitive
        points[index, 0], points[index, 1], points[index, 2] = ox + t * dx, oy + t * dy, oz + t * dz


@njit(cache=True, nogil=True)
def _visible(world, eye, points, part, result):
    for index in range(len(points)):
        dx, dy, dz = points[index, 0] - eye[0], points[index, 1] - eye[1], points[index, 2] - eye[2]
        found, _ = nearest_hit(world.primitives, world.bvh, eye[0], eye[1], eye[2], dx, dy, dz, 1e-9, part)
        result[index] = found < 0
