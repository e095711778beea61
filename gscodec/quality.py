"""How far an image is from another: PSNR."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError

Image = npt.NDArray[np.floating[Any]]


def psnr(a: Image, b: Image) -> float:
    """PSNR in dB of two images [H,W,C] clamped to [0, 1], MSE over all pixels and channels; infinite for equal ones.

    Raises BadInputError for images that differ in shape, are empty or are not finite.
    """
    if a.shape != b.shape or a.size == 0:
        raise BadInputError("images of different shape", field="image", found=a.shape, allowed=b.shape)
    difference = np.clip(a, 0.0, 1.0).astype(np.float64) - np.clip(b, 0.0, 1.0)
    mse = float(np.square(difference).mean())
    if not math.isfinite(mse):
        raise BadInputError("image is not finite", field="image", found="NaN", allowed="finite values")
    return -10.0 * math.log10(mse) if mse > 0.0 else math.inf
