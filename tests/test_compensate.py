"""What stays takes over what was pruned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud
from scipy.spatial.transform import Rotation

from gscodec.cloud import ATTRIBUTES, GaussianCloud
from gscodec.importance.compensate import COVERED, DENSER, HEIRS, LARGER, MOST, OPAQUE, compensated
from gscodec.quality import psnr
from gscodec.render.cpu import render
from gscodec.scene import virtual_views
from gscodec.units import opacity_from_logit, xyzw_from_wxyz


def dense_cloud(count: int, seed: int) -> GaussianCloud:
    """Splats large enough to cover each other."""
    cloud = random_cloud(count, 1, seed)
    rng = np.random.default_rng(seed)
    return replace(cloud, log_scales=rng.normal(-0.5, 0.4, (count, 3)).astype(np.float32))


def slow(cloud: GaussianCloud, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Opacities, log scales and SH DC after pruning, splat by splat."""
    opacity = opacity_from_logit(cloud.opacity_logits.astype(np.float64))
    axes = np.sort(np.exp(cloud.log_scales.astype(np.float64)), axis=1)
    mass = opacity * axes[:, 1] * axes[:, 2]
    heirs = np.flatnonzero(kept)
    matrices = Rotation.from_quat(xyzw_from_wxyz(cloud.quats_wxyz)).as_matrix()
    inherited, colour = np.zeros(len(cloud)), np.zeros((len(cloud), 3))
    for lost in np.flatnonzero(~kept):
        distances = np.linalg.norm(cloud.positions[heirs].astype(float) - cloud.positions[lost], axis=1)
        nearest = heirs[np.argsort(distances)[:HEIRS]]
        covers = []
        for heir in nearest:
            local = matrices[heir].T @ (cloud.positions[lost].astype(float) - cloud.positions[heir])
            covers.append(np.exp(-0.5 * np.sum((local / np.exp(cloud.log_scales[heir].astype(float))) ** 2)))
        for heir, cover in zip(nearest, covers, strict=True):
            part = mass[lost] * cover / max(COVERED, sum(covers))
            inherited[heir] += part
            colour[heir] += part * (cloud.sh_dc[lost].astype(float) - cloud.sh_dc[heir])
    growth = np.minimum(inherited / mass, MOST)
    denser = 1.0 - (1.0 - opacity) ** (1.0 + DENSER * growth)
    larger = cloud.log_scales + 0.5 * np.log(1.0 + LARGER * growth)[:, None]
    return denser[kept], larger[kept], (cloud.sh_dc + colour / (mass + inherited)[:, None])[kept]


@pytest.mark.parametrize("count", [2, 5, 300])
def test_as_splat_by_splat(count: int) -> None:
    cloud = dense_cloud(count, 3)
    kept = np.random.default_rng(0).random(count) < 0.6
    kept[0], kept[-1] = True, False
    found = compensated(cloud, kept)
    opacity, scales, colours = slow(cloud, kept)
    np.testing.assert_allclose(opacity_from_logit(found.opacity_logits), np.minimum(opacity, OPAQUE), rtol=1e-5)
    np.testing.assert_allclose(found.log_scales, scales, atol=1e-5)
    np.testing.assert_allclose(found.sh_dc, colours, atol=1e-5)
    for name in ("positions", "quats_wxyz", "sh_rest"):
        np.testing.assert_array_equal(getattr(found, name), getattr(cloud, name)[kept])


def test_nothing_pruned_and_nothing_near() -> None:
    cloud = dense_cloud(50, 1)
    assert_same_arrays(compensated(cloud, np.ones(50, bool)), cloud)
    kept = np.arange(50) > 0
    far = cloud.positions.copy()
    far[0] += 1000.0
    cloud = replace(cloud, positions=far)
    assert_same_arrays(compensated(cloud, kept), cloud.select(kept))


def test_broken_and_saturated_splats() -> None:
    cloud = dense_cloud(40, 2)
    logits, quats, positions = cloud.opacity_logits.copy(), cloud.quats_wxyz.copy(), cloud.positions.copy()
    logits[:3] = np.inf, 80.0, -200.0
    quats[4] = 0.0
    positions[5], positions[35] = np.nan, np.inf
    cloud = replace(cloud, opacity_logits=logits, quats_wxyz=quats, positions=positions)
    kept = np.arange(40) < 30
    found = compensated(cloud, kept)
    for name in ATTRIBUTES:  # the splats that cannot be rendered, and the opaque, keep every bit
        np.testing.assert_array_equal(getattr(found, name)[[0, 4, 5]], getattr(cloud, name)[[0, 4, 5]])
    assert found.opacity_logits[1] == np.float32(80.0)
    assert np.isfinite(found.log_scales).all()
    assert np.isfinite(found.sh_dc).all()


def test_a_faint_heir_does_not_take_the_place_of_a_bright_one() -> None:
    cloud = dense_cloud(2, 0)
    at_one_place = replace(
        cloud,
        positions=np.zeros((2, 3), np.float32),
        log_scales=np.zeros((2, 3), np.float32),
        opacity_logits=np.array([-14.0, 3.0], np.float32),
    )
    heir = compensated(at_one_place, np.array([True, False]))
    assert heir.log_scales.max() == pytest.approx(0.5 * np.log1p(LARGER * MOST))
    assert opacity_from_logit(heir.opacity_logits)[0] < (1.0 + MOST) * opacity_from_logit(np.float32(-14.0))


def test_the_pruned_scene_looks_more_like_the_whole() -> None:
    cloud = dense_cloud(3000, 4)
    views = virtual_views(cloud, 3, 0, 96, 72)
    kept = np.random.default_rng(1).random(3000) < 0.7
    pairs = [(render(cloud, view), view) for view in views]
    plain = np.mean([psnr(image, render(cloud.select(kept), view)) for image, view in pairs])
    better = np.mean([psnr(image, render(compensated(cloud, kept), view)) for image, view in pairs])
    assert better > plain + 1.0
