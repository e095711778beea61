"""Pinhole cameras, and the cameras.json that a scene folder holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError

MAX_SIDE = 1 << 16  # pixels; tile indices of a view of this size still fit the renderer's integers


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole view: sizes and intrinsics in pixels (pixel centres at +0.5), OpenCV axes.

    ``world_to_camera`` is float64 [4,4], row-major: camera = world_to_camera @ (x, y, z, 1).
    ``image`` is the photo's path relative to the folder of cameras.json.
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
        centre: npt.NDArray[np.float64] = np.linalg.solve(self.world_to_camera[:3, :3], -self.world_to_camera[:3, 3])
        return centre


def load_cameras(path: str | Path, split: str | None = None) -> list[Camera]:
    """The cameras of a cameras.json in its order, all or those of one split ("train", "test").

    Raises BadInputError if the file cannot be read, lacks a field, or has no camera of that split.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(f"cannot read cameras: {error}", field="cameras", found=str(path)) from error
    if not isinstance(entries, list):
        raise BadInputError("not a list", field="cameras", found=type(entries).__name__, allowed="a list of cameras")
    cameras = [_camera(entry, index) for index, entry in enumerate(entries)]
    chosen = [camera for camera in cameras if split is None or camera.split == split]
    if not chosen:
        found = sorted({camera.split for camera in cameras})
        raise BadInputError("no such camera", field="split", found=found, allowed=split)
    return chosen


def _camera(entry: Mapping[str, Any], index: int) -> Camera:
    try:
        return Camera(
            name=str(entry["name"]),
            image=str(entry["image"]),
            width=int(entry["width"]),
            height=int(entry["height"]),
            fx=float(entry["fx"]),
            fy=float(entry["fy"]),
            cx=float(entry["cx"]),
            cy=float(entry["cy"]),
            world_to_camera=np.array(entry["world_to_camera"], np.float64),
            split=str(entry.get("split", "train")),
        )
    except KeyError as error:
        raise BadInputError("missing field", field=f"cameras[{index}].{error.args[0]}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BadInputError(f"bad value: {error}", field=f"cameras[{index}]") from error
