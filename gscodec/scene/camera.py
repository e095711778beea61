"""The pinhole camera: one view of a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError

MAX_SIDE = 1 << 16  # pixels; tile indices of a view of this size still fit the renderer's integers


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole view: sizes and intrinsics in pixels (pixel centres at +0.5), OpenCV axes.

    ``world_to_camera`` is float64 [4,4], row-major: camera = world_to_camera @ (x, y, z, 1).
    ``image`` is the photo's path relative to the capture's image folder.
    """

    name: str
    image: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    world_to_camera: npt.NDArray[np.float64]
    split: str = "train"

    def __post_init__(self) -> None:
        for side in ("width", "height"):
            if not 1 <= getattr(self, side) <= MAX_SIDE:
                raise BadInputError("bad size", field=side, found=getattr(self, side), allowed=f"1..{MAX_SIDE}")
        for name in ("fx", "fy"):
            if not 0 < getattr(self, name) < np.inf:
                raise BadInputError("bad focal length", field=name, found=getattr(self, name), allowed="above 0")
        for name in ("cx", "cy"):
            if not np.isfinite(getattr(self, name)):
                raise BadInputError("bad principal point", field=name, found=getattr(self, name), allowed="finite")
        matrix = self.world_to_camera
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise BadInputError("bad matrix", field="world_to_camera", found=matrix.shape, allowed="finite (4, 4)")
        if abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
            raise BadInputError("singular matrix", field="world_to_camera", allowed="a rotation and a translation")

    @property
    def centre(self) -> npt.NDArray[np.float64]:
        """The camera's position in the world [3]."""
        matrix = self.world_to_camera
        return np.asarray(np.linalg.solve(matrix[:3, :3], -matrix[:3, 3]), np.float64)
