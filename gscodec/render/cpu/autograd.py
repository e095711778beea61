"""The CPU renderer as a torch function: an image that gradients flow through. The only module here with torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gscodec.cloud import CloudMeta, GaussianCloud
from gscodec.errors import BadInputError
from gscodec.render.cpu.backward import backward
from gscodec.render.cpu.forward import background_colour, blend
from gscodec.render.cpu.projection import CENTRE_LIMIT
from gscodec.render.cpu.tiles import TiledView, tile_view
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

    means [N,3]; log_scales [N,3]; quats [N,4] wxyz, normalised here; opacity_logits [N]; sh [N,K+1,3], DC first,
    K in {0,3,8,15,24}: float32 on the CPU. The rest is as ``gscodec.render.cpu.render`` has it, and so is the
    image, to the bit. Gradients are the same bits for any number of threads; a second derivative is not offered.

    Raises BadInputError for tensors of another shape, type or device, and as the plain renderer does.
    """
    tensors = {
        "means": means,
        "log_scales": log_scales,
        "quats": quats,
        "opacity_logits": opacity_logits,
        "sh": sh,
    }
    for name, tensor in tensors.items():
        if tensor.device.type != "cpu" or tensor.dtype != torch.float32:
            found = f"{tensor.dtype} on {tensor.device}"
            raise BadInputError("wrong tensor", field=name, found=found, allowed="float32 on the CPU")
    if sh.ndim != 3 or sh.shape[1] == 0:
        raise BadInputError("wrong shape", field="sh", found=tuple(sh.shape), allowed="(N, K + 1, 3)")
    positions, scales, rotations, logits, harmonics = (tensor.detach().numpy() for tensor in tensors.values())
    meta = CloudMeta(render_mode="antialiased" if antialiased else "classic")
    # The cloud shares the tensors' memory where it can, and checks their shapes.
    cloud = GaussianCloud(positions, scales, rotations, logits, harmonics[:, 0], harmonics[:, 1:], meta)
    tiled = tile_view(cloud, camera, centre_limit)
    visible = torch.zeros(len(cloud), dtype=torch.bool)
    visible[torch.from_numpy(tiled.index)] = True
    view = View(visible)
    image = _Blend.apply(*tensors.values(), cloud, camera, tiled, background_colour(background), view)
    return image, view


class _Blend(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(
        ctx: Any,
        means: torch.Tensor,
        log_scales: torch.Tensor,
        quats: torch.Tensor,
        opacity_logits: torch.Tensor,
        sh: torch.Tensor,
        cloud: GaussianCloud,
        camera: Camera,
        tiled: TiledView,
        ground: npt.NDArray[np.float32],
        view: View,
    ) -> torch.Tensor:
        image = torch.from_numpy(blend(tiled, camera, ground))
        # Saved so that torch notices a parameter, or the image, changed in place before backward.
        ctx.save_for_backward(means, log_scales, quats, opacity_logits, sh, image)
        ctx.cloud, ctx.camera, ctx.tiled, ctx.view = cloud, camera, tiled, view
        return image

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, image_gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        image = ctx.saved_tensors[-1].detach().numpy()
        upstream = np.ascontiguousarray(image_gradient.detach().numpy())
        gradient = backward(ctx.cloud, ctx.camera, ctx.tiled, image, upstream)
        ctx.view.screen_gradient = torch.from_numpy(gradient.screen_means)
        arrays = (
            gradient.positions,
            gradient.log_scales,
            gradient.quats_wxyz,
            gradient.opacity_logits,
            gradient.sh,
        )
        return (*(torch.from_numpy(array) for array in arrays), None, None, None, None, None)
