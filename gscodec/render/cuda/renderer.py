"""Clouds in, numpy arrays out: the protocol of gscodec.render on a GPU. torch and gsplat are imported when called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.decoder import Data, decode
from gscodec.render.cpu.projection import CENTRE_LIMIT
from gscodec.render.cuda import requirements
from gscodec.render.protocol import BLACK, Contributions
from gscodec.scene.camera import Camera

if TYPE_CHECKING:
    from gscodec.render.cuda.projection import Splats

DEVICE = "cuda"


class CudaRenderer:
    """A renderer that keeps the last cloud on the device, for many views of one cloud.

    ``device`` is "cuda" or "cuda:N". Raises BadInputError where gsplat cannot run there (docs/cuda.md).
    """

    def __init__(self, device: str = DEVICE) -> None:
        requirements.kernels(device)
        self.device = device
        self._last: tuple[GaussianCloud, Splats] | None = None

    def render(
        self,
        cloud: GaussianCloud,
        camera: Camera,
        background: Sequence[float] = BLACK,
        *,
        centre_limit: float = CENTRE_LIMIT,
    ) -> npt.NDArray[np.float32]:
        """The view as float32 [height, width, 3], linear in the SH colours and not clamped.

        Arguments as ``gscodec.render.cpu.render``. Raises BadInputError for a background that is not three numbers.
        """
        import torch

        from gscodec.render.cuda import autograd

        splats = self._upload(cloud)
        tensors = (splats.means, splats.log_scales, splats.quats, splats.opacity_logits, splats.sh)
        antialiased = cloud.meta.render_mode == "antialiased"
        with torch.no_grad():
            image, _ = autograd.render(*tensors, camera, background, antialiased=antialiased, centre_limit=centre_limit)
        return np.asarray(image.cpu().numpy(), np.float32)

    def contributions(
        self, cloud: GaussianCloud, camera: Camera, *, centre_limit: float = CENTRE_LIMIT
    ) -> Contributions:
        """What each splat of ``cloud`` adds to the view of ``camera``."""
        from gscodec.render.cuda import pairs

        antialiased = cloud.meta.render_mode == "antialiased"
        return pairs.contributions(self._upload(cloud), camera, antialiased, centre_limit)

    def _upload(self, cloud: GaussianCloud) -> Splats:
        if self._last is None or self._last[0] is not cloud:
            self._last = None  # the old one's memory is free before the new one comes
            self._last = cloud, upload(cloud, self.device)
        return self._last[1]


def upload(cloud: GaussianCloud, device: Any = DEVICE) -> Splats:
    """The cloud's arrays as tensors on ``device``, in their own units. Raises BadInputError for a missing device."""
    place = requirements.torch_device(device)
    import torch

    from gscodec.render.cuda.projection import Splats

    sh = np.concatenate([cloud.sh_dc[:, None, :], cloud.sh_rest], axis=1)
    arrays = (cloud.positions, cloud.log_scales, cloud.quats_wxyz, cloud.opacity_logits, sh)
    return Splats(*(torch.from_numpy(np.array(array)).to(place) for array in arrays))


def render(
    cloud: GaussianCloud,
    camera: Camera,
    background: Sequence[float] = BLACK,
    *,
    centre_limit: float = CENTRE_LIMIT,
    device: str = DEVICE,
) -> npt.NDArray[np.float32]:
    """One view of a cloud, as ``CudaRenderer.render``; uploads the cloud each time."""
    return CudaRenderer(device).render(cloud, camera, background, centre_limit=centre_limit)


def contributions(
    cloud: GaussianCloud, camera: Camera, *, centre_limit: float = CENTRE_LIMIT, device: str = DEVICE
) -> Contributions:
    """What each splat adds to one view, as ``CudaRenderer.contributions``; uploads the cloud each time."""
    return CudaRenderer(device).contributions(cloud, camera, centre_limit=centre_limit)


def load(data: Data, device: str = DEVICE) -> dict[str, Any]:
    """Decode a .gsb file (bytes, path or Source) into the splats that ``gsplat.rasterization`` takes, on ``device``.

    means [N,3]; quats [N,4] wxyz, normalised; scales [N,3] linear; opacities [N] in 0..1; colors [N,K+1,3], SH with
    DC first; sh_degree; rasterize_mode, "classic" or "antialiased". With a camera:
    ``gsplat.rasterization(**load(path), **view_arguments(camera))``.

    Raises GsbError as ``gscodec.decode``, and BadInputError where there is no such device.
    """
    place = requirements.torch_device(device)
    cloud = decode(data)
    return cloud.to_torch(str(place)) | {"rasterize_mode": cloud.meta.render_mode}


def view_arguments(camera: Camera, device: str = DEVICE) -> dict[str, Any]:
    """A camera as ``gsplat.rasterization`` takes it: viewmats [1,4,4], Ks [1,3,3] in pixels, width, height."""
    place = requirements.torch_device(device)
    from gscodec.render.cuda import projection

    return projection.view_arguments(camera, place)
