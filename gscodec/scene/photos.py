"""Photos of a capture, as float images. Needs pillow, which is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError
from gscodec.scene.camera import Camera

PHOTO_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def load_photo(
    camera: Camera, folder: str | Path, background: Sequence[float] = (0.0, 0.0, 0.0)
) -> npt.NDArray[np.float32]:
    """The photo of a camera as float32 [height, width, 3] in [0, 1]; what is transparent shows ``background``.

    It is looked for in ``folder`` by ``camera.image``, then by its file name alone, then with the usual endings.

    Raises BadInputError if it is missing, unreadable or of another size than the camera, for a background that is not
    three numbers, or without pillow.
    """
    ground = np.array(background, np.float32)
    if ground.shape != (3,):
        raise BadInputError("wrong shape", field="background", found=ground.shape, allowed=(3,))
    path = find_photo(camera, folder)
    with _open(path) as photo:
        if photo.size != (camera.width, camera.height):
            raise BadInputError(
                "photo of another size; load_capture(downscale=...) takes smaller photos",
                field=path.name,
                found=photo.size,
                allowed=(camera.width, camera.height),
            )
        try:
            pixels = np.asarray(photo.convert("RGBA"), np.float32) / np.float32(255.0)
        except (OSError, ValueError, SyntaxError) as error:
            raise BadInputError(f"cannot read photo: {error}", field="photo", found=str(path)) from error
    alpha = pixels[..., 3:]
    result: npt.NDArray[np.float32] = (
        pixels[..., :3] if (alpha == 1).all() else pixels[..., :3] * alpha + ground * (1 - alpha)
    )
    return np.ascontiguousarray(result)


def find_photo(camera: Camera, folder: str | Path) -> Path:
    """Where the photo of a camera lies. Raises BadInputError if it lies nowhere in ``folder``."""
    folder, image = Path(folder), Path(camera.image)
    for base in (folder / image, folder / image.name):
        for path in (base, *(base.with_name(base.name + ending) for ending in PHOTO_ENDINGS)):
            if path.is_file():
                return path
    raise BadInputError("cannot read photo: it is not there", field="photo", found=str(folder / image))


def photo_size(path: Path) -> tuple[int, int]:
    """Width and height of a photo in pixels. Raises BadInputError if it cannot be read, or without pillow."""
    with _open(path) as photo:
        width, height = photo.size
        return int(width), int(height)


def _open(path: Path) -> Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise BadInputError("photos need pillow: pip install 'gscodec[eval]'") from error
    try:
        return PIL.Image.open(path)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise BadInputError(f"cannot read photo: {error}", field="photo", found=str(path)) from error
