"""Fisher information and gradients by covariance, against central differences of the slow renderer in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numba
import numpy as np
import pytest
from slow_renderer import Splats, camera, random_cloud, rotation, slow_render, splats

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.render.cpu import fisher_information, gradients, render

STEP = 1e-6
VIEW = camera(width=21, height=18, cx=10.2, cy=9.7, fx=20.0, fy=22.0)
UPPER = np.triu_indices(6)
COVARIANCE_ENTRIES = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def small_cloud(render_mode: str, degree: int = 0) -> GaussianCloud:
    """Four splats, all seen; no alpha is capped and no colour clamped."""
    cloud = random_cloud(degree, count=4, seed=11, render_mode=render_mode)
    return dataclasses.replace(
        cloud, positions=0.4 * cloud.positions, opacity_logits=0.3 * cloud.opacity_logits, sh_dc=0.2 * cloud.sh_dc + 2
    )


def image_of(scene: Splats) -> np.ndarray:
    return slow_render(scene, VIEW, centre_limit=1.5).image


def difference(change: Callable[[float], Splats]) -> np.ndarray:
    """Derivative of every value of the image."""
    return (image_of(change(STEP)) - image_of(change(-STEP))) / (2 * STEP)


def moved(scene: Splats, name: str, splat: int, column: int, step: float) -> Splats:
    values = getattr(scene, name).copy()
    values[splat, column] += step
    return dataclasses.replace(scene, **{name: values})


def with_covariance(scene: Splats, splat: int, change: np.ndarray) -> Splats:
    """The scene with ``change`` [3,3] added to the covariance of one splat."""
    axes = rotation(scene.quats[splat] / np.linalg.norm(scene.quats[splat])) * np.exp(scene.log_scales[splat])
    values, vectors = np.linalg.eigh(axes @ axes.T + change)
    vectors *= np.sign(np.linalg.det(vectors))
    # The quaternion of a rotation matrix, as the eigenvector of Bar-Itzhack's matrix.
    m = vectors
    k = np.array([
        [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
        [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
        [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], 0],
        [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], np.trace(m)],
    ])  # fmt: skip
    x, y, z, w = np.linalg.eigh(k, UPLO="L")[1][:, -1]
    quats, log_scales = scene.quats.copy(), scene.log_scales.copy()
    quats[splat], log_scales[splat] = (w, x, y, z), 0.5 * np.log(values)
    return dataclasses.replace(scene, quats=quats, log_scales=log_scales)


@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_fisher_information_is_the_sum_over_pixels_of_outer_products(render_mode: str) -> None:
    cloud = small_cloud(render_mode)
    scene, found = splats(cloud), fisher_information(cloud, VIEW)
    assert found.shape == (4, 21)
    assert found.dtype == np.float64
    for i in range(4):
        by_all = [
            difference(lambda step, i=i, name=name, column=column: moved(scene, name, i, column, step)).ravel()
            for name in ("means", "log_scales")
            for column in range(3)
        ]
        expected = np.array(by_all) @ np.array(by_all).T
        scale = np.sqrt(np.diag(expected))
        np.testing.assert_allclose(
            found[i] / np.outer(scale, scale)[UPPER], (expected / np.outer(scale, scale))[UPPER], rtol=0, atol=2e-4
        )


def test_fisher_information_at_the_guard_band() -> None:
    cloud = dataclasses.replace(
        small_cloud("classic").select(np.array([0])),
        positions=np.float32([[2.55, 0.2, 0.5]]),
        log_scales=np.float32([[0.3, -0.4, 0.1]]),
    )
    scene, found = splats(cloud), fisher_information(cloud, VIEW)
    by_all = [
        difference(lambda step, name=name, column=column: moved(scene, name, 0, column, step)).ravel()
        for name in ("means", "log_scales")
        for column in range(3)
    ]
    expected = np.array(by_all) @ np.array(by_all).T
    point = VIEW.world_to_camera[:3, :3] @ scene.means[0] + VIEW.world_to_camera[:3, 3]
    assert 1.3 < point[0] / point[2] * VIEW.fx / (VIEW.width / 2) < 1.5
    assert expected.max() > 1e-3
    np.testing.assert_allclose(found[0], expected[UPPER], rtol=2e-3, atol=1e-3 * expected.max())


def test_fisher_information_leaves_out_the_viewing_direction() -> None:
    """Of a splat whose SH rest only matters by the direction, the matrix is that of its colour held still."""
    cloud = small_cloud("classic", degree=3).select(np.array([0]))
    colour = render(cloud, VIEW) / np.maximum(render(white(cloud), VIEW), 1e-9)
    seen = colour[render(white(cloud), VIEW)[..., 0] > 0.1].mean(axis=0)
    still = dataclasses.replace(
        cloud, sh_rest=np.zeros((1, 0, 3), np.float32), sh_dc=np.float32([(seen - 0.5) / 0.28209479177387814])
    )
    np.testing.assert_allclose(fisher_information(cloud, VIEW), fisher_information(still, VIEW), rtol=1e-4)


def white(cloud: GaussianCloud) -> GaussianCloud:
    return dataclasses.replace(
        cloud,
        sh_rest=np.zeros((len(cloud), 0, 3), np.float32),
        sh_dc=np.full_like(cloud.sh_dc, 0.5 / 0.28209479177387814),
    )


@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_gradient_by_covariance(render_mode: str) -> None:
    cloud = small_cloud(render_mode, degree=1)
    scene, found = splats(cloud), gradients(cloud, VIEW)
    for i in range(4):
        expected = []
        for j, k in COVARIANCE_ENTRIES:
            change = np.zeros((3, 3))
            change[j, k] = change[k, j] = 1.0
            by_entry = difference(lambda step, i=i, change=change: with_covariance(scene, i, step * change))
            expected.append(by_entry.sum())
        np.testing.assert_allclose(
            found.covariances[i], expected, rtol=2e-3, atol=1e-3 * np.abs(expected).max(), err_msg=str(i)
        )


def test_gradient_of_the_sum_by_position_centre_and_harmonics() -> None:
    cloud = small_cloud("classic", degree=2)
    scene, found = splats(cloud), gradients(cloud, VIEW)
    for i in range(4):
        by_position = [
            difference(lambda s, i=i, column=column: moved(scene, "means", i, column, s)).sum() for column in range(3)
        ]
        np.testing.assert_allclose(found.positions[i], by_position, rtol=2e-3, atol=1e-3 * np.abs(by_position).max())
    weight = slow_render(scene, VIEW, centre_limit=1.5).weight_sum
    np.testing.assert_allclose(found.sh[:, 0], np.repeat(0.28209479177387814 * weight[:, None], 3, 1), rtol=1e-3)
    assert found.sh.shape == (4, 9, 3)
    assert found.screen_means.shape == (4, 2)


def test_gradient_of_the_error_against_a_photo() -> None:
    cloud = small_cloud("classic")
    scene, photo = splats(cloud), np.random.default_rng(1).uniform(0, 1, (18, 21, 3)).astype(np.float32)
    found = gradients(cloud, VIEW, photo)
    signs = np.sign(image_of(scene) - photo) / photo.size
    expected = [(difference(lambda s, k=k: moved(scene, "means", 2, k, s)) * signs).sum() for k in range(3)]
    np.testing.assert_allclose(found.positions[2], expected, rtol=2e-3, atol=1e-3 * np.abs(expected).max())
    with pytest.raises(BadInputError, match="photo"):
        gradients(cloud, VIEW, photo[:5])


def test_same_bits_for_any_number_of_threads() -> None:
    cloud = random_cloud(2, count=500, render_mode="antialiased")
    threads = numba.get_num_threads()
    results = []
    try:
        for count in range(1, threads + 1):
            numba.set_num_threads(count)
            found = gradients(cloud, camera())
            arrays = (fisher_information(cloud, camera()), *vars(found).values())
            results.append([array.tobytes() for array in arrays])
    finally:
        numba.set_num_threads(threads)
    assert all(result == results[0] for result in results)


def test_splats_that_are_not_seen_have_neither() -> None:
    cloud = random_cloud(1, count=10)
    behind = dataclasses.replace(cloud, positions=cloud.positions - np.float32([0, 0, 50]))
    assert not fisher_information(behind, camera()).any()
    assert not any(array.any() for array in vars(gradients(behind, camera())).values())
