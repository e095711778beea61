"""A cloud's tensors seen by a camera: gsplat's projection and binning, with the rules of the CPU renderer.

What gsplat has no option for is done before it: the near plane, the limit on centres, splats that have no shape.
Positions are handed over relative to the camera, so that a scene far from its origin keeps its precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from gscodec.cloud import SH_REST_COUNTS
from gscodec.errors import BadInputError
from gscodec.render.cpu.projection import DILATION, MIN_ALPHA, NEAR
from gscodec.scene.camera import Camera

TILE = 16  # pixels
FAR = 1e30  # camera-space z; as the CPU renderer has it


@dataclass(frozen=True, eq=False)
class Splats:
    """A cloud as float32 tensors on one device, in the units of GaussianCloud.

    means [N,3]; log_scales [N,3]; quats [N,4] wxyz, of any length; opacity_logits [N]; sh [N,K+1,3], DC first.
    Raises BadInputError for tensors of another shape or type, or on several devices.
    """

    means: torch.Tensor
    log_scales: torch.Tensor
    quats: torch.Tensor
    opacity_logits: torch.Tensor
    sh: torch.Tensor

    def __post_init__(self) -> None:
        count = len(self.means)
        counts = tuple(rest + 1 for rest in SH_REST_COUNTS)
        if self.sh.ndim != 3 or self.sh.shape[1] not in counts:
            allowed = f"({count}, K, 3), K in {counts}"
            raise BadInputError("wrong shape", field="sh", found=tuple(self.sh.shape), allowed=allowed)
        shapes = {
            "means": (count, 3),
            "log_scales": (count, 3),
            "quats": (count, 4),
            "opacity_logits": (count,),
            "sh": (count, self.sh.shape[1], 3),
        }
        for name, shape in shapes.items():
            tensor = getattr(self, name)
            if tuple(tensor.shape) != shape:
                raise BadInputError("wrong shape", field=name, found=tuple(tensor.shape), allowed=shape)
            if tensor.dtype != torch.float32 or tensor.device != self.means.device:
                found, allowed = f"{tensor.dtype} on {tensor.device}", f"float32 on {self.means.device}"
                raise BadInputError("wrong tensor", field=name, found=found, allowed=allowed)

    @property
    def sh_degree(self) -> int:
        return SH_REST_COUNTS.index(self.sh.shape[1] - 1)


@dataclass(frozen=True, eq=False)
class Projected:
    """The M splats that may be drawn, as gsplat has them for one image; those with a radius of 0 hold no values.

    ``index`` int64 [M]: which of the cloud they are; ``directions`` [M,3] from the camera, in the world; radii,
    means2d [1,M,2] pixels; depths, opacities [1,M], these compensated in antialiased mode; conics [1,M,3].
    """

    index: torch.Tensor
    directions: torch.Tensor
    radii: torch.Tensor
    means2d: torch.Tensor
    depths: torch.Tensor
    conics: torch.Tensor
    opacities: torch.Tensor

    @property
    def visible(self) -> torch.Tensor:
        """Bool [M]: the box around the splat, rounded up to whole pixels, reaches into the image."""
        return (self.radii[0] > 0).all(dim=1)


def view_arguments(camera: Camera, device: Any) -> dict[str, Any]:
    """A camera as ``gsplat.rasterization`` takes it: viewmats [1,4,4], Ks [1,3,3] in pixels, width, height."""
    intrinsics = [[camera.fx, 0.0, camera.cx], [0.0, camera.fy, camera.cy], [0.0, 0.0, 1.0]]
    return {
        "viewmats": torch.tensor(camera.world_to_camera[None], dtype=torch.float32, device=device),
        "Ks": torch.tensor([intrinsics], dtype=torch.float32, device=device),
        "width": camera.width,
        "height": camera.height,
    }


def project(gsplat: Any, splats: Splats, camera: Camera, antialiased: bool, centre_limit: float) -> Projected | None:
    """Differentiable by means, log_scales, quats and opacity_logits; None where no splat may be drawn."""
    index = drawable(splats, camera, centre_limit)
    if len(index) == 0:
        return None
    means, log_scales, quats, logits = (
        torch.index_select(tensor, 0, index)
        for tensor in (splats.means, splats.log_scales, splats.quats, splats.opacity_logits)
    )
    opacities = torch.sigmoid(logits)
    centre = torch.from_numpy(camera.centre).to(means.device)
    directions = (means.double() - centre).float()
    arguments = view_arguments(camera, means.device)
    arguments["viewmats"][:, :3, 3] = 0.0
    radii, means2d, depths, conics, compensations = gsplat.fully_fused_projection(
        directions,
        None,
        quats,
        torch.exp(log_scales),
        **arguments,
        eps2d=DILATION,
        near_plane=0.0,  # drawable() has applied ours, which gsplat would compare in another precision
        far_plane=FAR,
        radius_clip=0.0,
        packed=False,
        calc_compensations=antialiased,
        opacities=opacities.detach(),  # only to bound the splat
    )
    opacities = opacities[None] if compensations is None else opacities[None] * compensations
    return Projected(index, directions, radii, means2d, depths, conics, opacities)


@torch.no_grad()
def drawable(splats: Splats, camera: Camera, centre_limit: float) -> torch.Tensor:
    """Indices int64 of splats that the CPU renderer's rules let pass: cpu.projection.project, in its precision."""
    view = torch.from_numpy(camera.world_to_camera).to(splats.means.device)
    x, y, z = (splats.means.double() @ view[:3, :3].T + view[:3, 3]).unbind(dim=1)
    limit_x, limit_y = centre_limit * 0.5 * camera.width / camera.fx, centre_limit * 0.5 * camera.height / camera.fy
    length = splats.quats.square().sum(dim=1)
    keep = (z > NEAR) & (z < FAR) & ((x / z).abs() <= limit_x) & ((y / z).abs() <= limit_y)
    keep &= torch.sigmoid(splats.opacity_logits.double()) >= MIN_ALPHA
    # NaN fails every comparison.
    keep &= (length > 0.0) & (length < torch.inf) & (splats.log_scales.exp() < torch.inf).all(dim=1)
    return torch.nonzero(keep).squeeze(dim=1)


def bin_tiles(
    gsplat: Any, means2d: torch.Tensor, radii: torch.Tensor, depths: torch.Tensor, width: int, height: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(offsets [1,rows,columns], splats in the order of tiles and depths) of an image, for gsplat's rasterisers."""
    columns, rows = -(-width // TILE), -(-height // TILE)
    _, keys, splats = gsplat.isect_tiles(means2d, radii, depths, TILE, columns, rows)
    return gsplat.isect_offset_encode(keys, 1, columns, rows), splats
