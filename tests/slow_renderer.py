"""A slow renderer in plain numpy and float64, written from the published rules, and the scenes it is compared on."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np

from gscodec.cloud import SH_REST_COUNTS, CloudMeta, GaussianCloud
from gscodec.scene.camera import Camera

WIDTH, HEIGHT = 48, 32


def camera(**changes: Any) -> Camera:
    angle = 0.3
    turn = np.eye(4)
    turn[:3, :3] = [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]]
    turn[:3, 3] = [0.1, -0.2, 4.0]
    view = Camera("a.png", "images/a.png", WIDTH, HEIGHT, 40.0, 42.0, 24.0, 16.0, turn, "test")
    return replace(view, **changes)


def random_cloud(degree: int, count: int = 60, seed: int = 1, render_mode: str = "classic") -> GaussianCloud:
    """Large splats in front of ``camera()``, many of them overlapping."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 1.0, mean: float = 0.0) -> np.ndarray:
        return rng.normal(mean, scale, (count, *shape)).astype(np.float32)

    return GaussianCloud(
        positions=normal(3, scale=1.5),
        log_scales=normal(3, scale=0.7, mean=-1.5),
        quats_wxyz=normal(4),
        opacity_logits=normal(scale=2.0, mean=1.0),
        sh_dc=normal(3),
        sh_rest=normal(SH_REST_COUNTS[degree], 3, scale=0.2),
        meta=CloudMeta(render_mode=render_mode),
    )


def with_each_thread_count(work: Callable[[], Any]) -> list[Any]:
    """What ``work`` returns with one thread, with two, up to all that numba has."""
    threads = numba.get_num_threads()
    results = []
    try:
        for count in range(1, threads + 1):
            numba.set_num_threads(count)
            results.append(work())
    finally:
        numba.set_num_threads(threads)
    return results


@dataclass(frozen=True)
class Splats:
    """A cloud in float64, for finite differences; ``sh`` [N,K+1,3] is DC and rest together."""

    means: np.ndarray
    log_scales: np.ndarray
    quats: np.ndarray
    opacity_logits: np.ndarray
    sh: np.ndarray
    antialiased: bool


def splats(cloud: GaussianCloud) -> Splats:
    arrays = (cloud.positions, cloud.log_scales, cloud.quats_wxyz, cloud.opacity_logits)
    sh = np.concatenate([cloud.sh_dc[:, None], cloud.sh_rest], axis=1)
    return Splats(*(a.astype(np.float64) for a in (*arrays, sh)), cloud.meta.render_mode == "antialiased")


@dataclass(frozen=True)
class SlowView:
    image: np.ndarray
    weight_sum: np.ndarray
    hits: np.ndarray
    max_weight: np.ndarray
    transmittance_opacity: np.ndarray


def slow_render(scene: Splats, view: Camera, background: Any = (0, 0, 0), centre_limit: float = math.inf) -> SlowView:
    """The published rules, splat by splat over the whole image."""
    world = view.world_to_camera[:3, :3]
    points = scene.means @ world.T + view.world_to_camera[:3, 3]
    half = np.array([view.width / 2 / view.fx, view.height / 2 / view.fy])
    pixel_x, pixel_y = np.arange(view.width) + 0.5, np.arange(view.height)[:, None] + 0.5
    image = np.zeros((view.height, view.width, 3))
    passed = np.ones((view.height, view.width))
    is_open = np.ones((view.height, view.width), bool)
    weight_sum, hits, max_weight, transmittance_opacity = np.zeros((4, len(points)))
    for i in np.argsort(points[:, 2].astype(np.float32), kind="stable"):
        z = points[i, 2]
        slope = points[i, :2] / z
        if z <= 0.2 or (abs(slope) > centre_limit * half).any():
            continue
        u, v = np.clip(slope, -1.3 * half, 1.3 * half)
        jacobian = np.array([[view.fx / z, 0, -view.fx * u / z], [0, view.fy / z, -view.fy * v / z]])
        quaternion = scene.quats[i]
        axes = rotation(quaternion / np.linalg.norm(quaternion)) * np.exp(scene.log_scales[i])
        footprint = jacobian @ world @ axes
        covariance = footprint @ footprint.T
        dilated = covariance + 0.3 * np.eye(2)
        opacity = 1 / (1 + math.exp(-scene.opacity_logits[i]))
        if scene.antialiased:
            opacity *= math.sqrt(max(0, np.linalg.det(covariance) / np.linalg.det(dilated)))
        dx = pixel_x - (view.fx * slope[0] + view.cx)
        dy = pixel_y - (view.fy * slope[1] + view.cy)
        conic = np.linalg.inv(dilated)
        power = -0.5 * (conic[0, 0] * dx**2 + conic[1, 1] * dy**2) - conic[0, 1] * dx * dy
        alpha = np.minimum(0.99, opacity * np.exp(power))
        alpha[(alpha < 1 / 255) | ~is_open] = 0
        closes = passed * (1 - alpha) < 1e-4
        is_open &= ~closes
        alpha[closes] = 0
        direction = scene.means[i] - view.centre
        basis = harmonics(direction / np.linalg.norm(direction), math.isqrt(scene.sh.shape[1]) - 1)
        colour = np.maximum(basis @ scene.sh[i] + 0.5, 0)
        weight = passed * alpha
        weight_sum[i], hits[i], max_weight[i] = weight.sum(), (alpha > 0).sum(), weight.max()
        transmittance_opacity[i] = passed[alpha > 0].sum() * opacity
        image += weight[..., None] * colour
        passed *= 1 - alpha
    image += passed[..., None] * np.array(background)
    return SlowView(image, weight_sum, hits, max_weight, transmittance_opacity)


def harmonics(direction: np.ndarray, degree: int) -> np.ndarray:
    """Real spherical harmonics from associated Legendre polynomials, with the Condon-Shortley phase."""
    x, y, z = direction
    phi = math.atan2(y, x)
    values = []
    for band in range(degree + 1):
        for order in range(-band, band + 1):
            m = abs(order)
            legendre = np.polyval(_legendre(band, m), z) * (-1) ** m * (1 - z * z) ** (m / 2)
            scale = math.sqrt((2 * band + 1) / (4 * math.pi) * math.factorial(band - m) / math.factorial(band + m))
            turn = 1.0 if order == 0 else math.sqrt(2) * (math.sin(m * phi) if order < 0 else math.cos(m * phi))
            values.append(scale * legendre * turn)
    return np.array(values)


@functools.cache
def _legendre(band: int, derivative: int) -> np.ndarray:
    polynomial = np.polynomial.Legendre.basis(band).convert(kind=np.polynomial.Polynomial).deriv(derivative)
    return polynomial.coef[::-1]


def rotation(quaternion: np.ndarray) -> np.ndarray:
    w, v = quaternion[0], quaternion[1:]
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross
