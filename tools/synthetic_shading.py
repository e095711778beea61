"""Light on the synthetic scene: baked diffuse light with shadows, and mirror-like parts as spherical harmonics."""

from __future__ import annotations

import numpy as np
from gscodec_tools.synthetic_scene import SUN, mix, rgb
from gscodec_tools.synthetic_surfaces import F64

from gscodec.cloud import SH_REST_COUNTS
from gscodec.transform.harmonics import fibonacci_directions, sh_basis
from gscodec.units import SH_C0

FIT_DIRECTIONS = 256
SUN_RGB = np.array([1.0, 0.94, 0.82])
SKY_RGB = np.array([0.53, 0.57, 0.64])


def sh_matrix(directions: F64, degree: int) -> F64:
    """The SH basis [M, 1+K] at unit directions [M,3] in the order and signs of 3DGS, constant first."""
    count = SH_REST_COUNTS[degree]
    basis = np.empty((len(directions), 1 + count))
    basis[:, 0] = SH_C0
    for row, (x, y, z) in zip(basis, directions, strict=True):
        sh_basis(x, y, z, count, row[1:])
    return basis


def light(positions: F64, normals: F64, blockers: F64, two_sided: bool) -> F64:
    """Light [M,3] that multiplies the albedo: sun with soft shadows, sky with ambient occlusion.

    ``blockers`` [B,4] are spheres: centre and radius. A point inside or on a sphere is not shaded by it where
    the sphere lies behind the point's own surface.
    """
    toward_sun = normals @ SUN
    toward_sun = np.abs(toward_sun) if two_sided else np.maximum(toward_sun, 0.0)
    lit = np.ones(len(positions))
    open_sky = np.ones(len(positions))
    near = np.flatnonzero(np.linalg.norm(positions, axis=1) < 4.0)
    for centre_x, centre_y, centre_z, radius in blockers:
        offset = np.array([centre_x, centre_y, centre_z]) - positions[near]
        along = offset @ SUN
        squared = np.einsum("ij,ij->i", offset, offset)
        across = np.sqrt(np.maximum(squared - along**2, 0.0))
        soft = 0.02 + 0.09 * np.maximum(along, 0.0)
        covered = np.clip((radius - across) / soft + 0.5, 0.0, 1.0)
        # half a radius of grace keeps the spheres that stand for an object from shading its own lit side
        lit[near] *= 1.0 - covered * np.clip((along - 0.5 * radius) / (0.3 * radius), 0.0, 1.0)
        facing = np.einsum("ij,ij->i", offset, normals[near]) / np.sqrt(np.maximum(squared, 1e-9))
        close = np.minimum(radius * radius / np.maximum(squared, 1e-9), 1.0)
        open_sky[near] *= 1.0 - 0.6 * close * np.maximum(facing, 0.0)
    sky_part = (0.62 + 0.38 * normals[:, 2]) * open_sky
    return (lit * toward_sun)[:, None] * SUN_RGB + sky_part[:, None] * SKY_RGB


def mirror_sh(normals: F64, tint: F64, gloss: float, shine: float, turn: F64, degree: int) -> F64:
    """SH coefficients [M,1+K,3] of what a glossy surface mirrors: the sun as a lobe, sky above, ground below.

    The reflected light is a function of the viewing direction; it is fitted by least squares over evenly spread
    directions. ``turn`` [3,3] takes the axes of ``normals`` to those of the file.
    """
    seen_from = fibonacci_directions(FIT_DIRECTIONS)  # from the surface to the eye, in the scene's axes
    solve = np.linalg.pinv(sh_matrix(-seen_from @ turn.T, degree))
    result = np.empty((len(normals), solve.shape[0], 3))
    for start in range(0, len(normals), 4096):
        part = normals[start : start + 4096]
        cosine = part @ seen_from.T
        facing = np.abs(cosine)  # the back is never seen: Fresnel's factor as in front keeps the fit smooth
        height = 2.0 * cosine * part[:, 2:] - seen_from[:, 2]  # of the reflected direction
        toward_sun = 2.0 * cosine * (part @ SUN)[:, None] - (seen_from @ SUN)[None, :]
        lobe = np.exp(shine * (toward_sun - 1.0))
        fresnel = 0.25 + 0.75 * (1.0 - facing) ** 3
        bright = fresnel * np.clip(0.5 + 1.5 * height, 0.0, 1.0)
        env = np.einsum("md,kd->mk", bright - bright.mean(axis=1, keepdims=True) * 0.6, solve)
        sun = np.einsum("md,kd->mk", lobe, solve)
        colour = tint[start : start + 4096]
        result[start : start + 4096] = gloss * (
            0.32 * env[:, :, None] * (0.5 * colour + 0.35)[:, None, :] + 1.2 * sun[:, :, None] * SUN_RGB
        )
    return result


def coefficient_noise(count: int, degree: int, rng: np.random.Generator) -> F64:
    """AC coefficients [count,K,3] as training leaves them: Laplace, alike in all channels, each splat its own size.

    One splat in eleven is nearly without; the energy per coefficient falls slowly with the degree.
    """
    size = 0.0180 * np.exp(rng.normal(0.0, 0.38, count))
    size *= np.where(rng.random(count) < 0.09, 0.02, 1.0)
    terms = SH_REST_COUNTS[degree]
    band = np.sqrt(np.arange(1, terms + 1)).astype(np.int64)  # the degree of each coefficient
    grey = rng.laplace(0.0, 1.0, (count, terms, 1))
    own = rng.laplace(0.0, 0.48, (count, terms, 3))
    return (grey + own) * (size[:, None] * 0.95 ** (band - 1)[None, :])[:, :, None]


def grass_light(heights: F64) -> F64:
    """Light [M,3] on thin blades and wires, darker towards the ground."""
    return mix(rgb(0.5, 0.5, 0.55), rgb(1.05, 1.02, 0.92), heights / 0.2)
