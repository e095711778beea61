"""What training makes small: (1 - w) L1 + w (1 - SSIM) between a render and a photo (Kerbl et al. 2023, eq. 7)."""

from __future__ import annotations

from typing import Any

import torch

from gscodec.errors import BadInputError
from gscodec.train import ssim


def photometric_loss(image: torch.Tensor, photo: torch.Tensor, ssim_weight: float) -> torch.Tensor:
    """The loss as a scalar, differentiable by ``image`` [H,W,C]; ``photo`` has its shape and is constant.

    On the CPU in numba, the same bits for any number of threads; elsewhere with torch's convolution.
    Raises BadInputError for images of different shape.
    """
    if image.shape != photo.shape or image.ndim != 3:
        raise BadInputError("images of different shape", field="image", found=tuple(image.shape), allowed="the photo's")
    if image.device.type == "cpu":
        loss: torch.Tensor = _CpuLoss.apply(image, photo, ssim_weight)
        return loss
    l1 = (image - photo).abs().mean()
    return (1.0 - ssim_weight) * l1 + ssim_weight * (1.0 - torch_ssim(image, photo))


def torch_ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The SSIM of ``gscodec.train.ssim`` in torch operations, on any device; images [H,W,C]."""
    taps = torch.from_numpy(ssim.taps()).to(a)
    x, y = (image.permute(2, 0, 1)[:, None] for image in (a, b))
    stacked = torch.cat([x, y, x * x, y * y, x * y])
    rows = torch.nn.functional.conv2d(stacked, taps.view(1, 1, -1, 1), padding=(ssim.RADIUS, 0))
    blurred = torch.nn.functional.conv2d(rows, taps.view(1, 1, 1, -1), padding=(0, ssim.RADIUS))
    mean_x, mean_y, xx, yy, xy = blurred.chunk(5)
    numerator = (2 * mean_x * mean_y + ssim.C1) * (2 * (xy - mean_x * mean_y) + ssim.C2)
    squares = mean_x * mean_x + mean_y * mean_y
    return (numerator / ((squares + ssim.C1) * (xx + yy - squares + ssim.C2))).mean()


class _CpuLoss(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, image: torch.Tensor, photo: torch.Tensor, ssim_weight: float) -> torch.Tensor:
        l1, similarity, gradient = ssim.l1_and_ssim(image.detach().numpy(), photo.numpy(), ssim_weight)
        ctx.save_for_backward(torch.from_numpy(gradient))
        return image.new_tensor((1.0 - ssim_weight) * l1 + ssim_weight * (1.0 - similarity))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None
