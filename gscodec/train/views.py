"""The photos of a training, at the size of their cameras, and in which order they are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gscodec.config import Progress, no_progress
from gscodec.errors import BadInputError
from gscodec.scene.camera import Camera
from gscodec.scene.capture import Capture
from gscodec.scene.photos import find_photo, load_photo, photo_size

MEMORY = 4 << 30  # bytes of photos that are kept; beyond it each is read when its turn comes


@dataclass(eq=False)
class PhotoViews:
    """Cameras and their photos. ``stored``: uint8 [H,W,3] per camera on ``device``, empty if they do not fit."""

    cameras: tuple[Camera, ...]
    folder: Path
    background: tuple[float, float, float]
    device: str
    stored: list[torch.Tensor]

    def __len__(self) -> int:
        return len(self.cameras)

    def photo(self, number: int) -> torch.Tensor:
        """The photo of a camera, float32 [H,W,3] in 0..1. Raises BadInputError if it has become unreadable."""
        if self.stored:
            pixels = self.stored[number]
        else:
            pixels = torch.from_numpy(read_photo(self.cameras[number], self.folder, self.background))
        return pixels.to(self.device).float() * (1.0 / 255.0)


def load_views(
    capture: Capture,
    split: str | None,
    background: tuple[float, float, float],
    device: str = "cpu",
    progress: Progress = no_progress,
) -> PhotoViews:
    """The views of a split ("train", "test"; None for all), with their photos in memory if they fit in 4 GiB.

    Raises BadInputError if the capture has no photos or no camera of that split, and for a photo that is missing,
    unreadable or of the wrong size.
    """
    cameras = tuple(capture.views(split))
    folder = capture.image_folder
    if folder is None:
        raise BadInputError("the capture has no photos", field="images", allowed="a folder beside the cameras")
    views = PhotoViews(cameras, folder, background, device, [])
    if sum(3 * camera.width * camera.height for camera in cameras) > MEMORY:
        for camera in cameras:  # better now than in the middle of the training
            find_photo(camera, folder)
        return views
    for number, camera in enumerate(cameras):
        progress("photos", number / len(cameras))
        views.stored.append(torch.from_numpy(read_photo(camera, folder, background)).to(device))
    return views


def read_photo(camera: Camera, folder: Path, background: Sequence[float]) -> npt.NDArray[np.uint8]:
    """The photo over ``background`` as uint8 [H,W,3]; one that is larger by a whole factor is made smaller.

    Raises BadInputError as ``load_photo``.
    """
    width, height = photo_size(find_photo(camera, folder))
    factor = round(width / camera.width)
    sides = (width, camera.width), (height, camera.height)
    fits = factor > 1 and all(abs(found - factor * wanted) <= factor for found, wanted in sides)
    photo = load_photo(replace(camera, width=width, height=height) if fits else camera, folder, background)
    pixels = (photo * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    return _smaller(pixels, camera) if fits else pixels


def _smaller(pixels: npt.NDArray[np.uint8], camera: Camera) -> npt.NDArray[np.uint8]:
    import PIL.Image  # it has just decoded the photo

    resized: Any = PIL.Image.fromarray(pixels).resize((camera.width, camera.height), PIL.Image.Resampling.LANCZOS)
    return np.array(resized, np.uint8)


def shuffled(count: int, rng: np.random.Generator) -> Iterator[int]:
    """Numbers below ``count`` without end, each once before any comes again."""
    while True:
        yield from (int(number) for number in rng.permutation(count))
