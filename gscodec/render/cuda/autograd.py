"""The CUDA renderer as a torch function: gscodec.render.cpu.autograd's call, on tensors of a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gscodec.render.cpu.forward import background_colour
from gscodec.render.cpu.projection import CENTRE_LIMIT
from gscodec.render.cuda import requirements
from gscodec.render.cuda.projection import TILE, Projected, Splats, bin_tiles, project
from gscodec.render.protocol import BLACK
from gscodec.render.view import View
from gscodec.scene.camera import Camera

__all__ = ["View", "render"]


def render(
    means: torch.Tensor,
    log_scales: torch.Tensor,
    quats: torch.Tensor,
    opacity_logits: torch.Tensor,
    sh: torch.Tensor,
    camera: Camera,
    background: Sequence[float] = BLACK,
    *,
    antialiased: bool = False,
    centre_limit: float = CENTRE_LIMIT,
) -> tuple[torch.Tensor, View]:
    """The view as a float32 tensor [height, width, 3], differentiable by the first five arguments.

    means [N,3]; log_scales [N,3]; quats [N,4] wxyz, normalised by gsplat; opacity_logits [N]; sh [N,K+1,3], DC
    first, K in {0,3,8,15,24}: float32 on one CUDA device. The image is that of ``gscodec.render.cpu.autograd.render``
    but for what docs/cuda.md lists. gsplat adds gradients up in no fixed order: their last bits vary.

    Of the View, ``visible`` goes by boxes that gsplat rounds up to whole pixels, and ``screen_gradient`` needs a loss
    differentiated by means, log_scales or quats.

    Raises BadInputError for tensors of another shape, type or device, for a background that is not three numbers, and
    where gsplat cannot run (``requirements.kernels``).
    """
    splats = Splats(means, log_scales, quats, opacity_logits, sh)
    gsplat = requirements.kernels(means.device)
    ground = torch.from_numpy(background_colour(background)).to(means.device)
    view = View(torch.zeros(len(means), dtype=torch.bool, device=means.device))
    projected = project(gsplat, splats, camera, antialiased, centre_limit)
    if projected is None:
        # Nothing is drawn, yet the image depends on the tensors, with gradients of zero.
        nothing = sum(tensor[:0].sum() for tensor in (means, log_scales, quats, opacity_logits, sh))
        image = ground.expand(camera.height, camera.width, 3) + nothing
        if image.requires_grad:
            image.register_hook(lambda _: _keep_screen_gradient(view, None, None))
        return image, view
    view.visible[projected.index] = projected.visible
    if projected.means2d.requires_grad:
        projected.means2d.register_hook(lambda gradient: _keep_screen_gradient(view, projected, gradient))
    coefficients = torch.index_select(sh, 0, projected.index)
    colours = gsplat.spherical_harmonics(splats.sh_degree, projected.directions, coefficients, masks=projected.visible)
    offsets, order = bin_tiles(
        gsplat, projected.means2d, projected.radii, projected.depths, camera.width, camera.height
    )
    images, _ = gsplat.rasterize_to_pixels(
        projected.means2d,
        projected.conics,
        torch.clamp_min(colours + 0.5, 0.0)[None],
        projected.opacities,
        camera.width,
        camera.height,
        TILE,
        offsets,
        order,
        backgrounds=ground[None],
    )
    return images[0], view


def _keep_screen_gradient(view: View, projected: Projected | None, gradient: torch.Tensor | None) -> None:
    """Called when the loss is differentiated."""
    screen = torch.zeros((len(view.visible), 2), dtype=torch.float32, device=view.visible.device)
    if projected is not None and gradient is not None:
        screen[projected.index] = gradient[0]
    view.screen_gradient = screen
