"""Pictures read, cropped, compared and packed into the page."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError

Picture = npt.NDArray[np.uint8]

FACTORS = (1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Window:
    """A square of a picture: left, top and edge in pixels."""

    left: int
    top: int
    edge: int

    def covers(self, other: Window) -> bool:
        """Whether more than half of another of the same size lies in this one."""
        wide = self.edge - abs(self.left - other.left)
        high = self.edge - abs(self.top - other.top)
        return wide > 0 and high > 0 and 2 * wide * high > self.edge**2

    def of(self, picture: Picture) -> Picture:
        """The pixels in it."""
        return picture[self.top : self.top + self.edge, self.left : self.left + self.edge]


def read_picture(path: Path, like: Picture | None = None) -> Picture:
    """A picture as uint8 [H,W,3]. Raises BadInputError if it is unreadable or of another size than ``like``."""
    image_module = _pillow()
    try:
        with image_module.open(path) as file:
            picture = np.asarray(file.convert("RGB"))
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
        raise BadInputError(f"cannot read picture: {error}", field="picture", found=str(path)) from error
    if like is not None and picture.shape != like.shape:
        sizes = {"found": picture.shape[1::-1], "allowed": like.shape[1::-1]}
        raise BadInputError("picture of another size than the source's", field=str(path), **sizes)
    return picture


def worst_window(source: Picture, picture: Picture, edge: int) -> Window:
    """The square with the largest sum of squared differences."""
    height, width = source.shape[:2]
    edge = min(edge, height, width)
    errors = np.square(source.astype(np.int64) - picture).sum(axis=2)
    sums = np.zeros((height + 1, width + 1), np.int64)
    sums[1:, 1:] = errors.cumsum(axis=0).cumsum(axis=1)
    windows = sums[edge:, edge:] - sums[:-edge, edge:] - sums[edge:, :-edge] + sums[:-edge, :-edge]
    top, left = np.unravel_index(int(windows.argmax()), windows.shape)
    return Window(int(left), int(top), edge)


def amplification(source: Picture, picture: Picture) -> int:
    """The largest of FACTORS with which 99.5 % of the differences stay within 0..255."""
    high = float(np.percentile(_distance(source, picture), 99.5))
    fitting = [factor for factor in FACTORS if factor * high <= 255.0]
    return max(fitting, default=FACTORS[0])


def difference(source: Picture, picture: Picture, factor: int) -> Picture:
    """Absolute differences of each channel, amplified, clipped at 255."""
    amplified: Picture = np.minimum(factor * _distance(source, picture), 255).astype(np.uint8)
    return amplified


def psnr(source: Picture, picture: Picture) -> float:
    """PSNR in dB of these 8-bit pixels; infinite for equal ones."""
    mean = float(np.square(source.astype(np.int64) - picture).mean())
    return 10.0 * math.log10(255.0**2 / mean) if mean > 0.0 else math.inf


def webp_uri(picture: Picture) -> str:
    """Without loss, for what is compared pixel by pixel; a quarter smaller than PNG."""
    return _uri(picture, "webp", "WEBP", lossless=True, quality=90, method=4)


def jpeg_uri(picture: Picture, width: int) -> str:
    """A view scaled down to ``width`` pixels, to see where one is."""
    image = _pillow().fromarray(picture)
    if image.width > width:
        image = image.resize((width, max(1, round(image.height * width / image.width))), _pillow().Resampling.LANCZOS)
    return _uri(np.asarray(image), "jpeg", "JPEG", quality=85, optimize=True)


def _distance(source: Picture, picture: Picture) -> npt.NDArray[np.int16]:
    result: npt.NDArray[np.int16] = np.abs(source.astype(np.int16) - picture)
    return result


def _uri(picture: Picture, ending: str, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    _pillow().fromarray(np.ascontiguousarray(picture)).save(buffer, kind, **options)
    return f"data:image/{ending};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise BadInputError("the pictures of a report need pillow: pip install 'gscodec[eval]'") from error
    return PIL.Image
