"""gsplat itself without a GPU, where it is installed: its Python functions, its signatures, its torch reference.

gsplat's reference knows no opacities: it bounds every splat at 3.33 sigma and takes none for too faint.
"""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

import numpy as np
import pytest
from cuda_checks import VIEW, tensors
from slow_renderer import random_cloud

from gscodec.cloud import SH_REST_COUNTS
from gscodec.render import cpu, cuda
from gscodec.render.cuda import requirements

torch = pytest.importorskip("torch", reason="gsplat needs PyTorch")
gsplat = pytest.importorskip("gsplat", reason="gsplat is not installed: pip install 'gscodec[cuda]'")
reference = pytest.importorskip("gsplat.cuda._torch_impl")
stand_in = pytest.importorskip("gsplat_stand_in")

FUNCTIONS = (
    "fully_fused_projection",
    "spherical_harmonics",
    "isect_tiles",
    "isect_offset_encode",
    "rasterize_to_pixels",
    "rasterize_to_indices_in_range",
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures(name: str) -> None:
    real = list(inspect.signature(getattr(gsplat, name)).parameters.values())
    ours = list(inspect.signature(getattr(stand_in, name)).parameters.values())
    assert [p.name for p in real][: len(ours)] == [p.name for p in ours]
    assert [p.default for p in real][: len(ours)] == [p.default for p in ours]


def test_rasterization_takes_what_load_gives() -> None:
    splats = random_cloud(1).to_torch() | {"rasterize_mode": "classic"}
    names = inspect.signature(gsplat.rasterization).parameters
    assert set(splats) | set(cuda.view_arguments(VIEW, "cpu")) <= set(names)
    assert {"means", "quats", "scales", "opacities", "colors", "viewmats", "Ks", "width", "height"} == {
        name for name, parameter in names.items() if parameter.default is parameter.empty
    }


@pytest.mark.parametrize("count", SH_REST_COUNTS)
def test_spherical_harmonics(count: int) -> None:
    rng = np.random.default_rng(1)
    directions = torch.from_numpy(rng.normal(size=(50, 3)).astype(np.float32))
    coefficients = torch.from_numpy(rng.normal(size=(50, count + 1, 3)).astype(np.float32))
    degree = SH_REST_COUNTS.index(count)
    expected = reference._spherical_harmonics(degree, directions, coefficients)
    np.testing.assert_allclose(stand_in.spherical_harmonics(degree, directions, coefficients), expected, atol=2e-6)


def projections() -> tuple[tuple, tuple]:
    """(gsplat's, the stand-in's) of the same opaque splats, with a principal point off the middle."""
    inputs = {name: tensor.detach() for name, tensor in tensors(random_cloud(0, count=300, seed=4)).items()}
    arguments = cuda.view_arguments(VIEW, "cpu")
    arguments["Ks"][0, 0, 2] = 17.0
    scales = inputs["log_scales"].exp()
    covariances, _ = reference._quat_scale_to_covar_preci(inputs["quats"], scales, compute_preci=False)
    options = {"near_plane": 0.2, "calc_compensations": True}
    expected = reference._fully_fused_projection(inputs["means"], covariances, **arguments, **options)
    opaque = torch.ones(len(scales))
    found = stand_in.fully_fused_projection(
        inputs["means"], None, inputs["quats"], scales, **arguments, **options, opacities=opaque
    )
    return expected, found


def test_projection() -> None:
    expected, found = projections()
    drawn = (found[0] > 0).all(2)
    # A compensation that makes a splat too faint is the stand-in's to know; the kernel knows it too.
    faint = found[0].sum(2) < expected[0].sum(2)
    assert int(drawn.sum()) > 100
    assert bool(((expected[0] > 0).all(2) | ~drawn).all())
    # Faint splats are bounded more tightly.
    assert int(faint.sum()) > 10
    assert bool((found[0] <= expected[0]).all())
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(ours[drawn], theirs[drawn], rtol=2e-3, atol=2e-5)


def test_binning() -> None:
    expected, _ = projections()
    radii, means2d, depths = expected[:3]
    tiles = (means2d, radii, depths, 16, 4, 3)
    found = stand_in.isect_tiles(*tiles)
    for ours, theirs in zip(found, reference._isect_tiles(*tiles), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    offsets = stand_in.isect_offset_encode(found[1], 1, 4, 3)
    np.testing.assert_array_equal(offsets, reference._isect_offset_encode(found[1], 1, 4, 3))


class CompiledStandIn:
    """gsplat's compiled module as its Python functions call it: positional arguments, forward passes only."""

    CameraModelType = None  # looked up, and then PINHOLE in the module, where gsplat exports it
    PINHOLE = "pinhole"

    def projection_ewa_3dgs_fused_fwd(self, means: Any, covars: Any, quats: Any, scales: Any, *rest: Any) -> Any:
        opacities, viewmats, intrinsics, width, height, eps2d, near, far, clip, compensate, model = rest
        return stand_in.fully_fused_projection(
            *(means, covars, quats, scales, viewmats, intrinsics, width, height, eps2d, near, far, clip),
            calc_compensations=compensate,
            camera_model=model,
            opacities=opacities,
        )

    def spherical_harmonics_fwd(self, *arguments: Any) -> Any:
        degree, directions, coefficients, masks = arguments
        return stand_in.spherical_harmonics(degree, directions, coefficients, masks)

    def intersect_tile(self, means2d: Any, radii: Any, depths: Any, *rest: Any) -> Any:
        _, _, images, *tiles, sort, segmented = rest
        assert images == 1
        return stand_in.isect_tiles(means2d, radii, depths, *tiles, sort, segmented)

    def intersect_offset(self, *arguments: Any) -> Any:
        return stand_in.isect_offset_encode(*arguments)

    def rasterize_to_pixels_3dgs_fwd(self, *arguments: Any) -> Any:
        means2d, conics, colours, opacities, background, masks, *rest = arguments
        images, alphas = stand_in.rasterize_to_pixels(
            means2d, conics, colours, opacities, *rest, backgrounds=background, masks=masks
        )
        return images, alphas, torch.zeros(alphas.shape[:-1], dtype=torch.int32)

    def rasterize_to_indices_3dgs(self, *arguments: Any) -> Any:
        return stand_in.rasterize_to_indices_in_range(*arguments)[:2]


@pytest.fixture
def python_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """gsplat's own functions, with all their checks, over a stand-in for what it compiles."""
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", types.SimpleNamespace(_C=CompiledStandIn()))
    monkeypatch.setattr(stand_in, "MAX_ALPHA", 0.99)
    monkeypatch.setattr(requirements, "kernels", lambda _: gsplat)


@pytest.mark.usefixtures("python_half")
@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_the_python_half_of_gsplat_takes_what_it_is_given(render_mode: str) -> None:
    cloud = random_cloud(3, count=150, seed=3, render_mode=render_mode)
    renderer = cuda.CudaRenderer("cpu")
    background = (0.2, 0.4, 0.6)
    expected = cpu.render(cloud, VIEW, background)
    np.testing.assert_allclose(renderer.render(cloud, VIEW, background), expected, atol=1e-5)
    np.testing.assert_array_equal(renderer.contributions(cloud, VIEW).hits, cpu.contributions(cloud, VIEW).hits)


@pytest.mark.usefixtures("python_half")
@pytest.mark.parametrize("render_mode", ["classic", "antialiased"])
def test_rasterization_by_gsplat_is_the_same_image(render_mode: str) -> None:
    cloud = random_cloud(3, count=150, seed=3, render_mode=render_mode)
    splats = cloud.to_torch() | {"rasterize_mode": cloud.meta.render_mode}
    # The documented way, with the near plane of the CPU renderer and its limit on centres lifted.
    arguments = cuda.view_arguments(VIEW, "cpu")
    images, _, _ = gsplat.rasterization(**splats, **arguments, near_plane=0.2, packed=False)
    np.testing.assert_allclose(images[0], cpu.render(cloud, VIEW, centre_limit=np.inf), atol=1e-5)
