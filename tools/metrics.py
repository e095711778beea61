"""How far two images are from each other: PSNR and SSIM, as the tables of 3DGS papers have them.

All take images [H,W,C], nominally in [0, 1], and clamp both to it. A mean over views is the caller's to take.
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy.ndimage import correlate1d

from gscodec.errors import BadInputError

Image = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

SSIM_RADIUS = 5
SSIM_SIGMA = 1.5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


def psnr_float(a: Image, b: Image) -> float:
    """PSNR in dB without rounding, MSE over all pixels and channels, as gsplat has it; infinite for equal images.

    Raises BadInputError for images that differ in shape or are not finite.
    """
    check_images(a, b)
    mse = _row_errors(a.astype(np.float32, copy=False), b.astype(np.float32, copy=False)).sum() / a.size
    return -10.0 * math.log10(mse) if mse > 0.0 else math.inf


def psnr_8bit(a: Image, b: Image) -> float:
    """PSNR in dB after rounding both images to 8 bits, as metrics.py of 3DGS has it, which measures saved PNGs.

    Infinite for images that are equal after rounding. Raises BadInputError as ``psnr_float``.
    """
    check_images(a, b)
    difference = _to_8bit(a).astype(np.int64) - _to_8bit(b)
    squares = int(np.square(difference).sum())
    return 10.0 * math.log10(255.0 * 255.0 * a.size / squares) if squares else math.inf


def ssim(a: Image, b: Image) -> float:
    """Structural similarity as in 3DGS: 11×11 Gaussian of sigma 1.5, zeros beyond the border, mean of all values.

    Each channel by itself, C1 = 0.01², C2 = 0.03². 3DGS takes float32; this takes float64, so that the variances, which
    are differences of nearly equal numbers, are not noise. Other libraries leave the border out and differ there.
    Raises BadInputError as ``psnr_float``.
    """
    check_images(a, b)
    x, y = (np.clip(image, 0.0, 1.0).astype(np.float64) for image in (a, b))
    mean_x, mean_y = _blur(x), _blur(y)
    mean_xx, mean_yy, mean_xy = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    variance_x, variance_y = _blur(x * x) - mean_xx, _blur(y * y) - mean_yy
    covariance = _blur(x * y) - mean_xy
    similarity = (2.0 * mean_xy + SSIM_C1) * (2.0 * covariance + SSIM_C2)
    similarity /= (mean_xx + mean_yy + SSIM_C1) * (variance_x + variance_y + SSIM_C2)
    return float(similarity.mean())


def check_images(a: Image, b: Image) -> None:
    """Raise BadInputError unless both are finite arrays [H,W,C] of one shape, with at least one value."""
    if a.shape != b.shape or a.ndim != 3 or a.size == 0:
        raise BadInputError("images of different shape", field="image", found=a.shape, allowed=b.shape)
    for image in (a, b):
        if not np.isfinite(image).all():
            raise BadInputError("image is not finite", field="image", found="NaN or infinity", allowed="finite values")


def _to_8bit(image: Image) -> npt.NDArray[np.uint8]:
    """Rounded half up, as torchvision's save_image does."""
    pixels: npt.NDArray[np.uint8] = np.floor(np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return pixels


def _blur(image: F64) -> F64:
    offsets = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    taps = np.exp(-np.square(offsets) / (2.0 * SSIM_SIGMA**2))
    taps /= taps.sum()
    rows = correlate1d(image, taps, axis=0, mode="constant")
    result: F64 = correlate1d(rows, taps, axis=1, mode="constant")
    return result


@njit(cache=True, nogil=True, parallel=True)
def _row_errors(a: Image, b: Image) -> F64:
    sums = np.zeros(a.shape[0], np.float64)
    for row in prange(a.shape[0]):
        total = 0.0
        for column in range(a.shape[1]):
            for channel in range(a.shape[2]):
                x, y = a[row, column, channel], b[row, column, channel]
                difference = np.float64(min(max(x, 0.0), 1.0)) - np.float64(min(max(y, 0.0), 1.0))
                total += difference * difference
        sums[row] = total
    return sums
