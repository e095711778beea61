"""Gradients of the CPU renderer, against finite differences of the slow one in float64."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from slow_renderer import Splats, camera, random_cloud, slow_render, splats, with_each_thread_count

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.render.cpu import render as plain_render

torch = pytest.importorskip("torch", reason="gradients are offered to torch")
autograd = pytest.importorskip("gscodec.render.cpu.autograd")

BACKGROUND = (0.2, 0.4, 0.6)
PARAMETERS = ("means", "log_scales", "quats", "opacity_logits", "sh")
STEP = 1e-6


def tensors(cloud: GaussianCloud) -> dict[str, torch.Tensor]:
    scene = splats(cloud)
    return {name: torch.tensor(getattr(scene, name), dtype=torch.float32, requires_grad=True) for name in PARAMETERS}


def gradients(cloud, view, weights, **options):
    """Gradients of sum(weights * image) by name, and the rendered view."""
    inputs = tensors(cloud)
    antialiased = cloud.meta.render_mode == "antialiased"
    image, seen = autograd.render(**inputs, camera=view, background=BACKGROUND, antialiased=antialiased, **options)
    (image * torch.from_numpy(weights)).sum().backward()
    return {name: tensor.grad.numpy() for name, tensor in inputs.items()}, seen


def differences(loss: Callable[[Splats], float], scene: Splats, name: str, rows: Sequence[int]) -> np.ndarray:
    """Central differences of ``loss`` by the rows of one array."""
    values = getattr(scene, name)
    result = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        if place[0] in rows:
            ends = []
            for step in (STEP, -STEP):
                moved = values.copy()
                moved[place] += step
                ends.append(loss(dataclasses.replace(scene, **{name: moved})))
            result[place] = (ends[0] - ends[1]) / (2 * STEP)
    return result


def image_weights(view, seed=5):
    return np.random.default_rng(seed).normal(size=(view.height, view.width, 3)).astype(np.float32)


@pytest.mark.parametrize(("degree", "render_mode"), [(0, "antialiased"), (3, "antialiased"), (4, "classic")])
def test_every_parameter_of_a_small_scene(degree, render_mode):
    view = camera(width=21, height=18, cx=10.2, cy=9.7, fx=20.0, fy=22.0)
    cloud = random_cloud(degree, count=4, seed=11, render_mode=render_mode)
    # No alpha is capped and no colour clamped.
    cloud = dataclasses.replace(
        cloud, positions=0.4 * cloud.positions, opacity_logits=0.3 * cloud.opacity_logits, sh_dc=0.2 * cloud.sh_dc + 2
    )
    weights = image_weights(view)
    found, seen = gradients(cloud, view, weights)
    assert bool(seen.visible.all())

    def loss(scene):
        return float((slow_render(scene, view, BACKGROUND).image * weights).sum())

    for name in PARAMETERS:
        expected = differences(loss, splats(cloud), name, range(4))
        assert np.abs(expected).max() > 1e-2
        np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_a_crowded_scene_with_capped_closed_and_clamped_values(render_mode):
    view = camera()
    cloud = random_cloud(1, count=64, seed=4, render_mode=render_mode)
    cloud = dataclasses.replace(cloud, opacity_logits=cloud.opacity_logits + 1.5)
    weights = image_weights(view)
    found, _ = gradients(cloud, view, weights, centre_limit=math.inf)
    rows = range(0, 64, 10)

    def loss(scene):
        return float((slow_render(scene, view, BACKGROUND).image * weights).sum())

    for name in PARAMETERS:
        expected = differences(loss, splats(cloud), name, rows)[rows].ravel()
        ours = found[name][rows].ravel()
        cosine = ours @ expected / (np.linalg.norm(ours) * np.linalg.norm(expected))
        assert cosine > 0.99999, name
        assert np.linalg.norm(ours) == pytest.approx(np.linalg.norm(expected), rel=1e-3), name


def test_screen_gradient_is_by_the_centre_in_pixels():
    view = camera()
    cloud = random_cloud(0, count=20, seed=7)
    weights = image_weights(view)
    _, seen = gradients(cloud, view, weights)

    # Moving the principal point moves every centre and changes nothing else.
    def moved(**change):
        return float((slow_render(splats(cloud), camera(**change), BACKGROUND, 1.5).image * weights).sum())

    by_x = (moved(cx=view.cx + STEP) - moved(cx=view.cx - STEP)) / (2 * STEP)
    by_y = (moved(cy=view.cy + STEP) - moved(cy=view.cy - STEP)) / (2 * STEP)
    np.testing.assert_allclose(seen.screen_gradient.sum(dim=0).numpy(), [by_x, by_y], rtol=1e-3)
    np.testing.assert_allclose(
        seen.screen_gradient_norm().numpy(), np.linalg.norm(seen.screen_gradient.numpy(), axis=1), rtol=1e-6
    )
    assert (seen.screen_gradient[~seen.visible] == 0).all()


def test_image_is_that_of_the_plain_renderer():
    cloud = random_cloud(3, render_mode="antialiased")
    image, seen = autograd.render(**tensors(cloud), camera=camera(), background=BACKGROUND, antialiased=True)
    assert image.detach().numpy().tobytes() == plain_render(cloud, camera(), BACKGROUND).tobytes()
    with pytest.raises(BadInputError, match="backward"):
        seen.screen_gradient_norm()


def test_same_bits_for_any_number_of_threads():
    cloud = random_cloud(3, count=500)

    def work():
        found, seen = gradients(cloud, camera(), image_weights(camera()))
        return [found[name].tobytes() for name in PARAMETERS] + [seen.screen_gradient.numpy().tobytes()]

    results = with_each_thread_count(work)
    assert all(result == results[0] for result in results)


def test_splats_that_are_not_seen_have_no_gradient():
    cloud = random_cloud(1, count=10)
    behind = dataclasses.replace(cloud, positions=cloud.positions - np.float32([0, 0, 50]))
    found, seen = gradients(behind, camera(), image_weights(camera()))
    assert not seen.visible.any()
    assert not any(found[name].any() for name in PARAMETERS)


def test_a_parameter_changed_before_backward_is_noticed():
    inputs = tensors(random_cloud(0))
    image, _ = autograd.render(**inputs, camera=camera())
    with torch.no_grad():
        inputs["means"] += 1
    with pytest.raises(RuntimeError, match="inplace"):
        image.sum().backward()


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("means", torch.zeros(60, 3, dtype=torch.float64)),
        ("means", torch.zeros(59, 3)),
        ("quats", torch.zeros(60, 3)),
        ("sh", torch.zeros(60, 3)),
        ("sh", torch.zeros(60, 0, 3)),
        ("sh", torch.zeros(60, 3, 3)),
    ],
)
def test_bad_tensors_are_refused(name, tensor):
    inputs = tensors(random_cloud(0)) | {name: tensor}
    with pytest.raises(BadInputError, match="wrong"):
        autograd.render(**inputs, camera=camera())
