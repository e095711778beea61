"""What each splat adds to a view, against the slow renderer."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from slow_renderer import camera, random_cloud, slow_render, splats, with_each_thread_count

from gscodec.render import Contributions, Renderer, cpu
from gscodec.render.cpu import contributions, render

FIELDS = [field.name for field in dataclasses.fields(Contributions)]


def test_the_module_is_a_renderer() -> None:
    assert isinstance(cpu, Renderer)


@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_equals_the_slow_renderer(render_mode: str) -> None:
    # A width and a height that are no multiple of the tile, and many closed pixels.
    view = camera(width=51, height=37, cx=22.3, cy=20.1)
    cloud = random_cloud(0, count=400, seed=3, render_mode=render_mode)
    expected = slow_render(splats(cloud), view, centre_limit=1.5)

    found = contributions(cloud, view)

    assert found.weight_sum.dtype == found.transmittance_opacity.dtype == np.float64
    assert (found.hits.dtype, found.max_weight.dtype) == (np.int32, np.float32)
    assert (found.hits == 0).any()
    np.testing.assert_allclose(found.weight_sum, expected.weight_sum, rtol=1e-4, atol=1e-5)
    # Single precision may take a pixel on the edge of 1/255 for one outside.
    np.testing.assert_allclose(found.hits, expected.hits, atol=1)
    np.testing.assert_allclose(found.max_weight, expected.max_weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.transmittance_opacity, expected.transmittance_opacity, rtol=1e-2, atol=1e-3)


def test_weights_are_those_of_the_image() -> None:
    cloud = random_cloud(0, count=300)
    white = dataclasses.replace(cloud, sh_dc=np.full_like(cloud.sh_dc, 0.5 / 0.28209479177387814))
    image = render(white, camera(), centre_limit=math.inf)
    weights = contributions(cloud, camera(), centre_limit=math.inf).weight_sum
    np.testing.assert_allclose(weights.sum(), image[..., 0].sum(dtype=np.float64), rtol=1e-5)


def test_same_bits_for_any_number_of_threads() -> None:
    cloud = random_cloud(0, count=500)

    def work() -> list[bytes]:
        found = contributions(cloud, camera())
        return [getattr(found, name).tobytes() for name in FIELDS]

    results = with_each_thread_count(work)
    assert all(result == results[0] for result in results)


def test_empty_cloud_has_no_contributions() -> None:
    found = contributions(random_cloud(0).select(np.zeros(0, np.int64)), camera())
    assert [len(getattr(found, name)) for name in FIELDS] == [0, 0, 0, 0]
