"""The clouds that conformance files are made from: small, seeded, nothing from outside."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.cloud import ATTRIBUTES, SH_REST_COUNTS, CloudMeta, GaussianCloud

EXTRA_TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")


def scene(count: int, sh_degree: int, seed: int, comments: tuple[str, ...] = ()) -> GaussianCloud:
    """Discs on a wavy surface, smooth colours: statistics like those of a trained scene."""
    rng = np.random.default_rng(seed)
    turn, height = rng.uniform(0, 2 * np.pi, count), rng.uniform(-1, 1, count)
    radius = 2.0 + 0.3 * np.sin(3 * turn) + 0.02 * rng.standard_normal(count)
    positions = np.stack([radius * np.cos(turn), radius * np.sin(turn), 1.5 * height], axis=1)
    scales = rng.normal(-4.0, 0.8, (count, 1)) + rng.normal(0, 0.4, (count, 3)) - np.array([0.0, 0.0, 1.5])
    colour = np.stack([np.cos(turn), np.sin(turn), height], axis=1) + 0.1 * rng.standard_normal((count, 3))
    rest = rng.laplace(0, 0.05, (count, SH_REST_COUNTS[sh_degree], 3))
    return cloud_of(positions, scales, rng.standard_normal((count, 4)), rng.normal(0, 2.5, count), colour, rest,
                    CloudMeta(comments=comments))  # fmt: skip


def cloud_of(positions: Any, scales: Any, quats: Any, opacity: Any, dc: Any, rest: Any,
             meta: CloudMeta | None = None) -> GaussianCloud:  # fmt: skip
    """A cloud from arrays of any float type."""
    arrays = [np.ascontiguousarray(array, np.float32) for array in (positions, scales, quats, opacity, dc, rest)]
    return GaussianCloud(*arrays, meta or CloudMeta())


def repeated(cloud: GaussianCloud, times: int) -> GaussianCloud:
    """The cloud ``times`` times over."""
    return cloud.select(np.tile(np.arange(len(cloud)), times))


def with_shared_sh(cloud: GaussianCloud, entries: int, seed: int) -> GaussianCloud:
    """The cloud with SH of so many of its splats only, neighbours often with the same; each of them occurs."""
    rng, count = np.random.default_rng(seed), len(cloud)
    along = np.argsort(cloud.positions[:, 2]).argsort() * entries // count  # runs along z ...
    pick = np.where(rng.random(count) < 0.5, along, rng.integers(0, entries, count))  # ... and others
    pick[rng.permutation(count)[:entries]] = np.arange(entries)
    return replace(cloud, sh_rest=np.ascontiguousarray(cloud.sh_rest[pick]))


def wide(count: int, seed: int) -> GaussianCloud:
    """Distances from 1e-3 to 1e6 and sizes to match, with a few tiny splats far outside."""
    rng = np.random.default_rng(seed)
    cloud = scene(count, 1, seed)
    distance = 10.0 ** rng.uniform(-3, 6, count)
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    scales = np.log(distance)[:, None] + cloud.log_scales
    scales[: count // 20] = -12.0
    distance[: count // 20] = 1e6
    return replace(cloud, positions=(direction * distance[:, None]).astype(np.float32),
                   log_scales=scales.astype(np.float32))  # fmt: skip


def extremes(count: int, seed: int) -> GaussianCloud:
    """Needles, discs and spheres, from invisible to opaque, with SH values up to 1e5."""
    rng = np.random.default_rng(seed)
    cloud = scene(count, 2, seed)
    scales = cloud.log_scales.copy()
    scales[0::4] = np.sort(rng.uniform(-14, 3, scales[0::4].shape))  # needles along z
    scales[1::4, 2] = -20.0  # discs
    scales[2::4] = scales[2::4, :1]  # spheres
    opacity = cloud.opacity_logits.copy()
    opacity[0::5], opacity[1::5] = 60.0, -60.0
    sh_dc, sh_rest = cloud.sh_dc.copy(), cloud.sh_rest.copy()
    sh_dc[0::6] *= 1e5
    sh_rest[1::6] *= 1e6
    return replace(cloud, log_scales=scales, opacity_logits=opacity, sh_dc=sh_dc, sh_rest=sh_rest)


def on_grid(count: int, seed: int) -> GaussianCloud:
    """Positions on few places of one plane, so that many splats share one; other values differ."""
    rng = np.random.default_rng(seed)
    positions = rng.integers(-3, 4, (count, 3)).astype(np.float32)
    positions[:, 1] = 0.25
    return replace(scene(count, 1, seed), positions=positions)


def noise(count: int, sh_degree: int, seed: int) -> GaussianCloud:
    """Random bit patterns: NaN of any payload, infinities, denormals, -0.0, mixed with ordinary rows."""
    rng = np.random.default_rng(seed)
    special = np.array([0, 1 << 31, 1, 0x80000001, 0x7F800000, 0xFF800000, 0x7F800001, 0x7FC00000, 0xFFFFFFFF,
                        0x7F7FFFFF], np.uint32)  # fmt: skip

    def damage(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        kind = rng.integers(0, 3, array.shape)
        bits = np.where(kind == 0, rng.integers(0, 1 << 32, array.shape, np.uint32), array.view(np.uint32))
        return np.where(kind == 1, rng.choice(special, array.shape), bits).astype(np.uint32).view(np.float32)

    cloud = scene(count, sh_degree, seed)
    return replace(cloud, **{name: damage(getattr(cloud, name)) for name in ATTRIBUTES})


def with_extras(cloud: GaussianCloud, seed: int, types: tuple[str, ...] = EXTRA_TYPES) -> GaussianCloud:
    """Extras nx, ny, nz, one of random bits for each type, and a label."""
    rng, count = np.random.default_rng(seed), len(cloud)
    extras: dict[str, npt.NDArray[Any]] = {name: np.zeros(count, np.float32) for name in ("nx", "ny", "nz")}
    extras |= {f"extra_{code}": rng.integers(0, 256, 8 * count, np.uint8).view(code)[:count].copy() for code in types}
    extras["label"] = (np.arange(count) % 7).astype(np.int32)
    return replace(cloud, extras=MappingProxyType(extras))


def with_meta(cloud: GaussianCloud, **values: Any) -> GaussianCloud:
    """The cloud with other values in its meta."""
    return replace(cloud, meta=replace(cloud.meta, **values))


def partial_copies(count: int, sh_degree: int, seed: int) -> GaussianCloud:
    """Each row takes each attribute from one of 12 earlier rows or has its own; opacity has four values, DC 1 one."""
    rng = np.random.default_rng(seed)
    cloud = scene(count, sh_degree, seed)

    def mixed(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        pick = np.where(rng.random(count) < 0.6, rng.integers(0, 12, count), np.arange(count))
        return np.ascontiguousarray(array[pick])

    arrays = {name: mixed(getattr(cloud, name)) for name in ATTRIBUTES}
    arrays["opacity_logits"] = rng.choice(np.array([-2.0, 0.5, 3.0, 7.0], np.float32), count)
    arrays["sh_dc"][:, 1] = 0.125
    return replace(cloud, **arrays)
