"""The squared error of removing a splat, against removing it and rendering again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from slow_renderer import camera, random_cloud, slow_render, splats, with_each_thread_count

from gscodec.cloud import GaussianCloud
from gscodec.render.cpu import removal_error, render


def without(cloud: GaussianCloud, number: int) -> GaussianCloud:
    return cloud.select(np.delete(np.arange(len(cloud)), number))


def squared(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a.astype(np.float64) - b) ** 2).sum())


@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_equals_really_removing_each_splat(render_mode: str) -> None:
    # Opacities of at most one half, so that no pixel of the twelve splats closes: 0.5^12 > 1e-4.
    view = camera(width=51, height=37, cx=22.3, cy=20.1)
    cloud = random_cloud(2, count=12, seed=5, render_mode=render_mode)
    cloud = dataclasses.replace(cloud, opacity_logits=-np.abs(cloud.opacity_logits))
    image = slow_render(splats(cloud), view, centre_limit=1.5).image
    expected = [squared(slow_render(splats(without(cloud, i)), view, centre_limit=1.5).image, image) for i in range(12)]
    found = removal_error(cloud, view)
    assert found.dtype == np.float64
    assert np.count_nonzero(found) >= 8
    # Single precision may take a pixel on the edge of 1/255 for one outside.
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * max(expected))


def test_a_single_splat_is_its_own_image() -> None:
    cloud = random_cloud(1, count=12, seed=5).select(
        np.array([int(np.argmax(removal_error(random_cloud(1, 12, 5), camera())))])
    )
    image = render(cloud, camera()).astype(np.float64)
    np.testing.assert_allclose(removal_error(cloud, camera()), [(image**2).sum()], rtol=1e-5)


def test_crowded_pixels_differ_by_what_a_closed_pixel_hides() -> None:
    """Many splats, many of alpha 0.99: pixels close, and opening one shows what the walk never reached."""
    view, cloud = camera(), random_cloud(0, count=300, seed=3)
    image = render(cloud, view)
    rows = np.argsort(-removal_error(cloud, view))[::20]
    found = removal_error(cloud, view)[rows]
    expected = np.array([squared(render(without(cloud, i), view), image) for i in rows])
    # Light of at most 1e-4 / (1 - 0.99) of the brightest colour, in every pixel and channel.
    brightest = max(1.0, float(image.max()))
    bound = np.sqrt(view.width * view.height * 3) * 1e-2 * brightest
    assert (np.abs(np.sqrt(found) - np.sqrt(expected)) < bound).all()
    assert np.corrcoef(np.sqrt(found), np.sqrt(expected))[0, 1] > 0.999


def test_what_is_not_seen_costs_nothing() -> None:
    cloud = random_cloud(1, count=10)
    behind = dataclasses.replace(cloud, positions=cloud.positions - np.float32([0, 0, 50]))
    assert not removal_error(behind, camera()).any()
    assert removal_error(cloud.select(np.zeros(0, np.int64)), camera()).shape == (0,)


def test_same_bits_for_any_number_of_threads() -> None:
    cloud = random_cloud(1, count=500)
    results = with_each_thread_count(lambda: removal_error(cloud, camera()).tobytes())
    assert len(set(results)) == 1
