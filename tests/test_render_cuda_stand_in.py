"""The CUDA renderer without a GPU: gsplat replaced by plain torch, against the CPU renderer.

This checks all that is ours: what is handed to gsplat and what is made of its answers. It runs none of its kernels.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_checks import BACKGROUND, PARAMETERS, VIEW, cosine, gradients, tensors
from slow_renderer import camera, random_cloud

from gscodec import EncodeConfig, encode
from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.render import Contributions, Renderer, cpu, cuda
from gscodec.render.cuda import requirements

pytest.importorskip("torch", reason="the stand-in for gsplat is written in torch")

import gsplat_stand_in

from gscodec.render.cuda import autograd as cuda_autograd

FIELDS = [field.name for field in dataclasses.fields(Contributions)]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """gsplat replaced, with the CPU for a device; the cap on alpha is that of the CPU renderer."""
    monkeypatch.setattr(requirements, "kernels", lambda _: gsplat_stand_in)
    monkeypatch.setattr(gsplat_stand_in, "MAX_ALPHA", 0.99)
    return gsplat_stand_in


def white(cloud: GaussianCloud) -> GaussianCloud:
    return dataclasses.replace(cloud, sh_dc=np.full_like(cloud.sh_dc, 0.5 / 0.28209479177387814))


@pytest.mark.usefixtures("stand_in")
def test_it_is_a_renderer() -> None:
    assert isinstance(cuda, Renderer)
    assert isinstance(cuda.CudaRenderer("cpu"), Renderer)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_the_image_is_that_of_the_cpu(degree: int, render_mode: str) -> None:
    cloud = random_cloud(degree, count=150, seed=3, render_mode=render_mode)
    found = cuda.CudaRenderer("cpu").render(cloud, VIEW, BACKGROUND)
    expected = cpu.render(cloud, VIEW, BACKGROUND)
    assert (found.dtype, found.shape) == (np.float32, (37, 51, 3))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("cap", [0.99, 0.999])
def test_the_cap_on_alpha_is_that_of_gsplat(stand_in: Any, monkeypatch: pytest.MonkeyPatch, cap: float) -> None:
    from gscodec.render.cuda import pairs

    monkeypatch.setattr(stand_in, "MAX_ALPHA", cap)
    cloud = random_cloud(0, count=1)
    # One opaque splat, so large that it is capped all over the image.
    cloud = dataclasses.replace(
        cloud,
        positions=np.zeros((1, 3), np.float32),
        log_scales=np.full((1, 3), 6, np.float32),
        opacity_logits=np.float32([20]),
        sh_dc=np.zeros((1, 3), np.float32),
    )
    renderer = cuda.CudaRenderer("cpu")
    image, weights = renderer.render(cloud, VIEW, (1.0, 1.0, 1.0)), renderer.contributions(cloud, VIEW)
    np.testing.assert_allclose(image, 0.5 * cap + (1 - cap), rtol=1e-5)
    assert pairs.alpha_cap(stand_in, "cpu") == pytest.approx(cap)
    assert weights.max_weight[0] == pytest.approx(cap)
    assert weights.weight_sum[0] == pytest.approx(cap * 51 * 37)
    assert weights.hits[0] == weights.transmittance_opacity[0] == 51 * 37


@pytest.mark.usefixtures("stand_in")
def test_a_principal_point_off_the_middle() -> None:
    view = camera(width=51, height=37, cx=20.0, cy=21.0)
    cloud = random_cloud(1, count=150, seed=3)
    inner = cuda.CudaRenderer("cpu").render(cloud, view, centre_limit=1.0)
    np.testing.assert_allclose(inner, cpu.render(cloud, view, centre_limit=1.0), atol=1e-5)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_gradients_are_those_of_the_cpu(render_mode: str) -> None:
    from gscodec.render.cpu import autograd as cpu_autograd

    cloud = random_cloud(3, count=80, seed=7, render_mode=render_mode)
    expected, found = gradients(cpu_autograd, cloud), gradients(cuda_autograd, cloud)
    for name in (*PARAMETERS, "screen"):
        assert np.isfinite(found[name]).all(), name
        assert cosine(found[name], expected[name]) > 0.999999, name
        assert np.linalg.norm(found[name]) == pytest.approx(np.linalg.norm(expected[name]), rel=1e-4), name


@pytest.mark.usefixtures("stand_in")
def test_the_view_is_the_class_of_the_cpu_renderer() -> None:
    from gscodec.render.cpu import autograd as cpu_autograd

    cloud = random_cloud(0, count=200, seed=2)
    cloud = dataclasses.replace(cloud, positions=3 * cloud.positions)
    _, expected = cpu_autograd.render(**tensors(cloud), camera=VIEW)
    _, found = cuda_autograd.render(**tensors(cloud), camera=VIEW)
    assert type(found) is type(expected) is cpu_autograd.View
    assert found.screen_gradient is None
    # gsplat rounds boxes up: it may count a splat beside the image, but misses none.
    assert not bool((expected.visible & ~found.visible).any())
    assert 0 < int(expected.visible.sum()) <= int(found.visible.sum()) < len(cloud)


@pytest.mark.parametrize("cap", [0.99, 0.999])
@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_contributions_are_those_of_the_cpu(
    stand_in: Any, monkeypatch: pytest.MonkeyPatch, render_mode: str, cap: float
) -> None:
    monkeypatch.setattr(stand_in, "MAX_ALPHA", cap)
    cloud = random_cloud(0, count=300, seed=3, render_mode=render_mode)
    found, expected = cuda.CudaRenderer("cpu").contributions(cloud, VIEW), cpu.contributions(cloud, VIEW)
    assert (found.hits == 0).any()
    for name in FIELDS:
        assert getattr(found, name).dtype == getattr(expected, name).dtype, name
    np.testing.assert_array_equal(found.hits, expected.hits)
    for name in ("weight_sum", "max_weight", "transmittance_opacity"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("cap", [0.99, 0.999])
def test_weights_are_those_of_the_image_whatever_the_cap(
    stand_in: Any, monkeypatch: pytest.MonkeyPatch, cap: float
) -> None:
    monkeypatch.setattr(stand_in, "MAX_ALPHA", cap)
    cloud = random_cloud(0, count=100)
    cloud = white(dataclasses.replace(cloud, opacity_logits=cloud.opacity_logits + 6))
    renderer = cuda.CudaRenderer("cpu")
    image, weights = renderer.render(cloud, VIEW), renderer.contributions(cloud, VIEW)
    np.testing.assert_allclose(weights.weight_sum.sum(), image[..., 0].sum(dtype=np.float64), rtol=1e-5)


@pytest.mark.usefixtures("stand_in")
def test_contributions_do_not_depend_on_the_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    from gscodec.render.cuda import pairs

    cloud = random_cloud(0, count=150)
    whole = cuda.CudaRenderer("cpu").contributions(cloud, VIEW)
    monkeypatch.setattr(pairs, "STRIP_PIXELS", 16 * VIEW.width)
    strips = cuda.CudaRenderer("cpu").contributions(cloud, VIEW)
    np.testing.assert_array_equal(strips.hits, whole.hits)
    for name in ("weight_sum", "max_weight", "transmittance_opacity"):
        np.testing.assert_allclose(getattr(strips, name), getattr(whole, name), rtol=1e-5, err_msg=name)


@pytest.mark.usefixtures("stand_in")
def test_light_passed_restarts_at_each_pixel() -> None:
    import torch

    from gscodec.render.cuda import pairs

    alpha = torch.tensor([0.5, 0.25, 0.999, 0.1, 0.2, 0.3], dtype=torch.float64)
    pixel = torch.tensor([0, 0, 3, 7, 7, 7])
    expected = [1.0, 0.5, 1.0, 1.0, 0.9, 0.72]
    np.testing.assert_allclose(pairs.light_passed(alpha, pixel).numpy(), expected, rtol=1e-12)


@pytest.mark.usefixtures("stand_in")
def test_what_the_cpu_does_not_draw_is_not_handed_over() -> None:
    from gscodec.render.cuda import projection

    cloud = random_cloud(1, count=9)
    positions = np.tile(np.float32([0.0, 0.0, 2.0]), (9, 1))
    positions[1, 2], positions[2, 2] = 0.2, np.nextafter(np.float32(0.2), np.float32(1))  # at the near plane, behind it
    positions[3] = [1.49 * 2 * 0.5 * 51 / 40, 0, 2]  # inside and outside 1.5 half fields of view
    positions[4] = [1.51 * 2 * 0.5 * 51 / 40, 0, 2]
    positions[5, 0] = np.nan
    scales, quats, logits = cloud.log_scales.copy(), cloud.quats_wxyz.copy(), np.full(9, 2.0, np.float32)
    scales[6], quats[7], logits[8] = np.nan, 0.0, -6.0
    cloud = dataclasses.replace(cloud, positions=positions, log_scales=scales, quats_wxyz=quats, opacity_logits=logits)
    view = camera(width=51, height=37, cx=25.5, cy=18.5, world_to_camera=np.eye(4))

    splats = cuda.renderer.upload(cloud, "cpu")
    assert projection.drawable(splats, view, 1.5).tolist() == [0, 2, 3]
    assert projection.drawable(splats, view, np.inf).tolist() == [0, 2, 3, 4]
    np.testing.assert_allclose(cuda.CudaRenderer("cpu").render(cloud, view), cpu.render(cloud, view), atol=1e-5)
    assert all(np.isfinite(values).all() for values in gradients(cuda_autograd, cloud, view=view).values())


@pytest.mark.usefixtures("stand_in")
def test_nothing_in_view() -> None:
    cloud = random_cloud(1, count=5)
    behind = dataclasses.replace(cloud, positions=cloud.positions - np.float32([0, 0, 100]))
    for empty in (behind, cloud.select(np.zeros(0, np.int64))):
        image = cuda.CudaRenderer("cpu").render(empty, VIEW, BACKGROUND)
        np.testing.assert_array_equal(image, np.broadcast_to(np.float32(BACKGROUND), (37, 51, 3)))
        found = cuda.CudaRenderer("cpu").contributions(empty, VIEW)
        assert [getattr(found, name).tolist() for name in FIELDS] == [[0] * len(empty)] * 4
        by_name = gradients(cuda_autograd, empty)
        assert by_name["screen"].shape == (len(empty), 2)
        assert all((values == 0).all() for values in by_name.values())


@pytest.mark.usefixtures("stand_in")
def test_far_from_the_origin() -> None:
    shift = np.float32([40000, -30000, 5000])
    cloud = random_cloud(2, count=100)
    moved = dataclasses.replace(cloud, positions=cloud.positions + shift)
    to_camera = VIEW.world_to_camera.copy()
    to_camera[:3, 3] -= to_camera[:3, :3] @ shift
    view = dataclasses.replace(VIEW, world_to_camera=to_camera)
    np.testing.assert_allclose(cuda.CudaRenderer("cpu").render(moved, view), cpu.render(moved, view), atol=1e-4)


@pytest.mark.usefixtures("stand_in")
def test_the_last_cloud_stays_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded = []
    upload = cuda.renderer.upload
    monkeypatch.setattr(cuda.renderer, "upload", lambda *a: uploaded.append(a[0]) or upload(*a))
    renderer = cuda.CudaRenderer("cpu")
    one, two = random_cloud(0, seed=1), random_cloud(0, seed=2)
    for cloud in (one, one, two):
        renderer.render(cloud, VIEW)
    renderer.contributions(two, VIEW)
    assert [cloud is one for cloud in uploaded] == [True, False]


# What is handed to gsplat


def test_arguments_of_the_projection(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, tuple[Any, dict[str, Any]]] = {}
    for name in ("fully_fused_projection", "spherical_harmonics", "isect_tiles", "rasterize_to_pixels"):
        real = getattr(stand_in, name)

        def call(*args: Any, _name: str = name, _real: Any = real, **options: Any) -> Any:
            calls[_name] = args, options
            return _real(*args, **options)

        monkeypatch.setattr(stand_in, name, call)
    cloud = random_cloud(2, count=40, render_mode="antialiased")
    cuda.CudaRenderer("cpu").render(cloud, VIEW, BACKGROUND)

    (means, covars, quats, scales), options = calls["fully_fused_projection"]
    from gscodec.render.cuda import projection

    index = projection.drawable(cuda.renderer.upload(cloud, "cpu"), VIEW, 1.5).numpy()
    assert covars is None
    np.testing.assert_allclose(means, cloud.positions[index] - VIEW.centre, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(quats, cloud.quats_wxyz[index])
    np.testing.assert_allclose(scales, np.exp(cloud.log_scales[index]), rtol=1e-6)
    np.testing.assert_allclose(options["opacities"], 1 / (1 + np.exp(-cloud.opacity_logits[index])), rtol=1e-5)
    np.testing.assert_allclose(options["viewmats"][0, :3, :3], VIEW.world_to_camera[:3, :3], rtol=1e-6)
    np.testing.assert_array_equal(options["viewmats"][0, :, 3], [0, 0, 0, 1])
    np.testing.assert_array_equal(options["Ks"][0], [[VIEW.fx, 0, VIEW.cx], [0, VIEW.fy, VIEW.cy], [0, 0, 1]])
    assert (options["width"], options["height"], options["eps2d"]) == (51, 37, 0.3)
    assert options["calc_compensations"] is True
    (degree, directions, sh), options = calls["spherical_harmonics"]
    assert degree == 2
    np.testing.assert_array_equal(directions, means)
    np.testing.assert_array_equal(sh[:, 0], cloud.sh_dc[index])
    np.testing.assert_array_equal(sh[:, 1:], cloud.sh_rest[index])
    assert options["masks"].dtype.is_floating_point is False
    assert calls["isect_tiles"][0][3:] == (16, 4, 3)
    np.testing.assert_array_equal(calls["rasterize_to_pixels"][1]["backgrounds"], np.float32([BACKGROUND]))


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sh": (60, 5, 3)}, "field sh"),
        ({"quats": (60, 3)}, "field quats"),
        ({"opacity_logits": (60, 1)}, "field opacity_logits"),
        ({"log_scales": (59, 3)}, "field log_scales"),
        ({"means": "float64"}, "field means"),
    ],
)
def test_wrong_tensors(changes: dict[str, Any], message: str) -> None:
    import torch

    inputs = tensors(random_cloud(1))
    for name, shape in changes.items():
        inputs[name] = inputs[name].double() if shape == "float64" else torch.zeros(shape)
    with pytest.raises(BadInputError, match=message):
        cuda_autograd.render(**inputs, camera=VIEW)


@pytest.mark.usefixtures("stand_in")
def test_a_background_of_two_numbers() -> None:
    with pytest.raises(BadInputError, match="field background"):
        cuda.CudaRenderer("cpu").render(random_cloud(0), VIEW, (0.0, 1.0))


def test_load_gives_what_rasterization_takes(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="load gives tensors")
    cloud = random_cloud(2, count=50, render_mode="antialiased")
    path = tmp_path / "scene.gsb"
    path.write_bytes(encode(cloud, EncodeConfig(lossless=True)))

    for source in (path, path.read_bytes()):
        found = cuda.load(source, "cpu")
        assert (found.pop("sh_degree"), found.pop("rasterize_mode")) == (2, "antialiased")
        np.testing.assert_array_equal(found["means"], cloud.positions)
        np.testing.assert_allclose(found["scales"], np.exp(cloud.log_scales), rtol=1e-6)
        np.testing.assert_allclose(found["opacities"], 1 / (1 + np.exp(-cloud.opacity_logits)), rtol=1e-5)
        np.testing.assert_array_equal(found["colors"][:, 0], cloud.sh_dc)
        np.testing.assert_array_equal(found["colors"][:, 1:], cloud.sh_rest)
        lengths = np.linalg.norm(cloud.quats_wxyz, axis=1, keepdims=True)
        np.testing.assert_allclose(found["quats"], cloud.quats_wxyz / lengths, rtol=1e-5, atol=1e-6)
        assert set(found) == {"means", "scales", "opacities", "colors", "quats"}


def test_view_arguments() -> None:
    pytest.importorskip("torch", reason="the arguments are tensors")
    found = cuda.view_arguments(VIEW, "cpu")
    assert (found["width"], found["height"]) == (51, 37)
    np.testing.assert_allclose(found["viewmats"], VIEW.world_to_camera[None], rtol=1e-6)
    assert tuple(found["Ks"].shape) == (1, 3, 3)
