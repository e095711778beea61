"""What each splat adds to a view, on the GPU: gsplat lists the pairs of a splat and a pixel, torch sums over them.

gsplat sums per pixel only. Its ``rasterize_to_indices_in_range`` names the splats that are blended into each pixel,
front to back; their alphas and what they let pass are computed again from the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gscodec.render.cuda import requirements
from gscodec.render.cuda.projection import TILE, Projected, Splats, bin_tiles, project
from gscodec.render.protocol import Contributions
from gscodec.scene.camera import Camera

# Pixels listed at once. At most 2344 splats of alpha 1/255 or more fit into a pixel before 1e-4 of the light is left;
# about a hundred are usual. A pair takes about 100 bytes.
STRIP_PIXELS = 1 << 16
ALL_BATCHES = 1 << 30  # gsplat forgets between ranges that a pixel is closed: one range only


def contributions(splats: Splats, camera: Camera, antialiased: bool, centre_limit: float) -> Contributions:
    """What each splat adds to the view of ``camera``, in the order of the tensors.

    Sums run in no fixed order: their last bits vary. Raises BadInputError where gsplat cannot run.
    """
    gsplat = requirements.kernels(splats.means.device)
    count = len(splats.means)
    result = Contributions(
        np.zeros(count, np.float64), np.zeros(count, np.int32), np.zeros(count, np.float32), np.zeros(count, np.float64)
    )
    with torch.no_grad():
        projected = project(gsplat, splats, camera, antialiased, centre_limit)
        if projected is None:
            return result
        sums = _Sums(len(projected.index), splats.means.device)
        cap = alpha_cap(gsplat, splats.means.device)
        height = max(TILE, STRIP_PIXELS // camera.width // TILE * TILE)
        for top in range(0, camera.height, height):
            _add_strip(gsplat, projected, camera.width, top, min(height, camera.height - top), cap, sums)
        index = projected.index.cpu().numpy()
        result.weight_sum[index] = sums.weights.cpu().numpy()
        result.hits[index] = sums.hits.cpu().numpy()
        result.max_weight[index] = sums.peaks.cpu().numpy()
        # Where nothing was hit gsplat may have left any opacity, NaN too.
        opacities = torch.where(sums.hits > 0, projected.opacities[0], 0.0)
        result.transmittance_opacity[index] = (sums.light * opacities).cpu().numpy()
    return result


class _Sums:
    """Running sums of M splats; ``light``: of T over the pixels hit."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.weights = torch.zeros(count, dtype=torch.float64, device=device)
        self.light = torch.zeros(count, dtype=torch.float64, device=device)
        self.hits = torch.zeros(count, dtype=torch.int64, device=device)
        self.peaks = torch.zeros(count, dtype=torch.float32, device=device)

    def add(self, splat: torch.Tensor, weight: torch.Tensor, passed: torch.Tensor) -> None:
        """Pairs: int64 [P] splats, float64 [P] alpha·T and T."""
        self.weights.index_add_(0, splat, weight)
        self.light.index_add_(0, splat, passed)
        self.hits += torch.bincount(splat, minlength=len(self.hits))
        self.peaks.scatter_reduce_(0, splat, weight.float(), reduce="amax")


def _add_strip(gsplat: Any, projected: Projected, width: int, top: int, height: int, cap: float, sums: _Sums) -> None:
    """Add the pairs of the image rows from ``top``, a multiple of TILE."""
    means2d = projected.means2d - torch.tensor([0.0, top], device=projected.means2d.device)
    offsets, order = bin_tiles(gsplat, means2d, projected.radii, projected.depths, width, height)
    light = torch.ones((1, height, width), device=means2d.device)
    splat, pixel, _ = gsplat.rasterize_to_indices_in_range(
        0,
        ALL_BATCHES,
        light,
        means2d,
        projected.conics,
        projected.opacities,
        width,
        height,
        TILE,
        offsets,
        order,
    )
    if len(splat):
        alpha = pair_alphas(means2d[0], projected.conics[0], projected.opacities[0], splat, pixel, width, cap)
        passed = light_passed(alpha, pixel)
        sums.add(splat, alpha * passed, passed)


def pair_alphas(
    means2d: torch.Tensor,
    conics: torch.Tensor,
    opacities: torch.Tensor,
    splat: torch.Tensor,
    pixel: torch.Tensor,
    width: int,
    cap: float,
) -> torch.Tensor:
    """Alpha float64 [P] of splats int64 [P] at pixels int64 [P] (row-major), in gsplat's single precision."""
    dx = pixel % width + 0.5 - means2d[splat, 0]
    dy = pixel // width + 0.5 - means2d[splat, 1]
    xx, xy, yy = conics[splat].unbind(dim=1)
    power = -0.5 * (xx * dx * dx + yy * dy * dy) - xy * dx * dy
    return torch.clamp_max(opacities[splat] * torch.exp(power), cap).double()


def light_passed(alpha: torch.Tensor, pixel: torch.Tensor) -> torch.Tensor:
    """What the pairs before it in its pixel let pass, float64 [P]; pairs of a pixel adjoin, front to back."""
    # A running product per pixel: the difference of two running sums of logarithms.
    logs = torch.log1p(-alpha)
    before = torch.cumsum(logs, 0) - logs
    is_first = torch.ones_like(pixel, dtype=torch.bool)
    is_first[1:] = pixel[1:] != pixel[:-1]
    starts = before[is_first]
    return torch.exp(before - starts[torch.cumsum(is_first, 0) - 1])


def alpha_cap(gsplat: Any, device: torch.device) -> float:
    """The largest alpha that the installed gsplat blends: one opaque splat on one pixel. It differs by version."""
    centre = torch.full((1, 1, 2), 0.5, device=device)
    radii = torch.ones((1, 1, 2), dtype=torch.int32, device=device)
    ones = torch.ones((1, 1), device=device)
    offsets, order = bin_tiles(gsplat, centre, radii, ones, 1, 1)
    conics = torch.tensor([[[1.0, 0.0, 1.0]]], device=device)
    image, _ = gsplat.rasterize_to_pixels(centre, conics, ones[..., None], ones, 1, 1, TILE, offsets, order)
    return float(image)
