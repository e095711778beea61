"""The scenes that a score is learned from: a trained cloud and the capture that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gscodec.cloud import GaussianCloud
from gscodec.config import Progress, no_progress
from gscodec.errors import BadInputError
from gscodec.formats.ply import read_ply
from gscodec.importance.seen import finite_splats
from gscodec.scene.camera import Camera
from gscodec.scene.capture import Capture, load_capture
from gscodec.train.views import PhotoViews, load_views

CLOUD = "point_cloud.ply"


@dataclass(frozen=True, eq=False)
class Scene:
    """``cloud`` without splats that are not finite, and the ``capture`` that shows it; ``name`` that of its folder."""

    name: str
    cloud: GaussianCloud
    capture: Capture

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """The views to learn from."""
        return tuple(self.capture.views("train"))

    def photos(self, split: str, progress: Progress = no_progress) -> PhotoViews:
        """The views of a split with their photos, over black. Raises BadInputError as ``load_views``."""
        return load_views(self.capture, split, (0.0, 0.0, 0.0), progress=progress)


def load_scene(text: str, downscale: int = 1) -> Scene:
    """From "FOLDER", which holds a capture and point_cloud.ply, or "CAPTURE:CLOUD.ply".

    Views and photos are ``downscale`` times smaller.

    Raises BadInputError if either cannot be read, or for a cloud of fewer than two finite splats.
    """
    folder, colon, ply = text.rpartition(":")
    if not colon or not ply.lower().endswith(".ply"):
        folder, ply = text, str(Path(text) / CLOUD)
    cloud = read_ply(ply)
    sound = finite_splats(cloud)
    if np.count_nonzero(sound) < 2:
        raise BadInputError("too few finite splats", field=ply, found=np.count_nonzero(sound), allowed="2 or more")
    name = Path(folder).resolve().name
    return Scene(name, cloud.select(sound), load_capture(folder, downscale=downscale))
