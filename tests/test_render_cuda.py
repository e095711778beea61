"""The CUDA renderer on a GPU, against the CPU renderer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from clouds import shared_files, shared_folder
from cuda_checks import BACKGROUND, PARAMETERS, VIEW, cosine, gradients, psnr, tensors
from slow_renderer import camera, random_cloud

from gscodec.errors import BadInputError
from gscodec.formats.ply import read_ply
from gscodec.render import cpu, cuda
from gscodec.render.cuda import requirements
from gscodec.scene import load_cameras

torch = pytest.importorskip("torch", reason="gsplat needs PyTorch")
cpu_autograd = pytest.importorskip("gscodec.render.cpu.autograd")
cuda_autograd = pytest.importorskip("gscodec.render.cuda.autograd")

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]

LARGE = camera(width=333, height=251, cx=166.5, cy=125.5, fx=260.0, fy=270.0)


@pytest.fixture(scope="module")
def gpu() -> None:
    """Skips where gsplat cannot run, and says why."""
    try:
        requirements.kernels("cuda")
    except BadInputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def scenes() -> list[tuple[Any, list[Any]]]:
    """(cloud, test cameras) of each real scene; skips where there are none."""
    plys = shared_files("scenes/*/point_cloud.ply")
    if not plys:
        pytest.skip(f"no scenes/*/point_cloud.ply below {shared_folder()}; set GSCODEC_SHARED")
    return [(read_ply(ply), load_cameras(ply.with_name("cameras.json"), "test")) for ply in plys]


@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_images_of_random_clouds(degree: int, render_mode: str) -> None:
    cloud = random_cloud(degree, count=1000, seed=3, render_mode=render_mode)
    for view in (VIEW, LARGE):
        found, expected = cuda.render(cloud, view, BACKGROUND), cpu.render(cloud, view, BACKGROUND)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert psnr(found, expected) > 50


def test_images_of_scenes(scenes: list[tuple[Any, list[Any]]]) -> None:
    renderer = cuda.CudaRenderer()
    worst = min(
        psnr(renderer.render(cloud, view), cpu.render(cloud, view)) for cloud, views in scenes for view in views
    )
    assert worst > 50


@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_gradients(render_mode: str) -> None:
    cloud = random_cloud(3, count=500, seed=7, render_mode=render_mode)
    expected, found = gradients(cpu_autograd, cloud, view=LARGE), gradients(cuda_autograd, cloud, "cuda", LARGE)
    for name in (*PARAMETERS, "screen"):
        assert np.isfinite(found[name]).all(), name
        assert cosine(found[name], expected[name]) > 0.999, name
        assert np.linalg.norm(found[name]) == pytest.approx(np.linalg.norm(expected[name]), rel=0.01), name


def same_contributions(found: Any, expected: Any) -> None:
    for name in ("weight_sum", "max_weight", "transmittance_opacity", "hits"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype, name
        assert cosine(ours, theirs) > 0.9999, name
        assert ours.sum(dtype=np.float64) == pytest.approx(theirs.sum(dtype=np.float64), rel=5e-3), name


@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_contributions(render_mode: str) -> None:
    cloud = random_cloud(0, count=1000, seed=3, render_mode=render_mode)
    same_contributions(cuda.contributions(cloud, LARGE), cpu.contributions(cloud, LARGE))


def test_contributions_of_scenes(scenes: list[tuple[Any, list[Any]]]) -> None:
    renderer = cuda.CudaRenderer()
    for cloud, views in scenes:
        same_contributions(renderer.contributions(cloud, views[0]), cpu.contributions(cloud, views[0]))


def test_weights_are_gradients_by_colour() -> None:
    # The gradient of the sum of an image by a splat's colour is its weight: another kernel, the same sum.
    cloud = random_cloud(0, count=500, seed=5)
    grey = dataclasses.replace(cloud, sh_dc=np.zeros_like(cloud.sh_dc))  # no colour is clamped
    inputs = tensors(grey, "cuda")
    image, _ = cuda_autograd.render(**inputs, camera=LARGE)
    image[..., 0].sum().backward()
    by_colour = inputs["sh"].grad[:, 0, 0].double().cpu().numpy() / 0.28209479177387814
    np.testing.assert_allclose(cuda.contributions(grey, LARGE).weight_sum, by_colour, rtol=1e-3, atol=1e-3)


def test_nothing_in_view() -> None:
    cloud = random_cloud(1, count=5)
    behind = dataclasses.replace(cloud, positions=cloud.positions - np.float32([0, 0, 100]))
    for empty in (behind, cloud.select(np.zeros(0, np.int64))):
        np.testing.assert_array_equal(cuda.render(empty, VIEW), np.zeros((37, 51, 3), np.float32))
        assert not cuda.contributions(empty, VIEW).hits.any()
        assert all((values == 0).all() for values in gradients(cuda_autograd, empty, "cuda").values())


def test_a_splat_that_is_handed_over_and_not_drawn() -> None:
    # Within 1.5 half fields of view, beside the image: gsplat leaves its rows as they were in memory.
    cloud = random_cloud(2, count=400, seed=2, render_mode="antialiased")
    cloud = dataclasses.replace(cloud, positions=3 * cloud.positions, log_scales=cloud.log_scales - 2)
    found = gradients(cuda_autograd, cloud, "cuda", LARGE)
    assert all(np.isfinite(values).all() for values in found.values())
    assert (found["screen"] == 0).all(axis=1).any()


def test_a_few_steps_of_training() -> None:
    target = torch.from_numpy(cpu.render(random_cloud(1, count=300, seed=1), LARGE)).cuda()
    inputs = tensors(random_cloud(1, count=300, seed=2), "cuda")
    optimiser = torch.optim.Adam(inputs.values(), lr=0.02)
    losses = []
    for _ in range(50):
        optimiser.zero_grad()
        image, view = cuda_autograd.render(**inputs, camera=LARGE)
        loss = (image - target).abs().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        assert view.screen_gradient_norm().shape == (300,)
    assert losses[-1] < 0.7 * losses[0]


def test_load_renders_with_gsplat(tmp_path: Any) -> None:
    import gsplat

    from gscodec import EncodeConfig, encode

    cloud = random_cloud(3, count=500, render_mode="antialiased")
    path = tmp_path / "scene.gsb"
    path.write_bytes(encode(cloud, EncodeConfig(lossless=True)))
    images, _, _ = gsplat.rasterization(**cuda.load(path), **cuda.view_arguments(LARGE), near_plane=0.2)
    assert psnr(images[0].cpu().numpy(), cpu.render(cloud, LARGE, centre_limit=np.inf)) > 50
