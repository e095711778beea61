"""The photometric loss with its gradient, in numba: fast enough for training on a CPU, the same bits on any threads.

SSIM (Wang et al. 2004) as 3DGS takes it: 11x11 Gaussian of sigma 1.5, zeros beyond the border, mean of all values.
With E the Gaussian mean, S depends on an image x through E[x], E[xx], E[xy]; since the filter is symmetric, the
gradient is E[dS/dE[x]] + 2 x E[dS/dE[xx]] + y E[dS/dE[xy]].
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange

Image = npt.NDArray[np.floating[Any]]

RADIUS = 5
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2


def taps() -> npt.NDArray[np.float64]:
    """The Gaussian filter [11], of sum 1."""
    values = np.exp(-np.square(np.arange(-RADIUS, RADIUS + 1)) / (2.0 * SIGMA**2))
    weights: npt.NDArray[np.float64] = values / values.sum()
    return weights


def l1_and_ssim(image: Image, photo: Image, ssim_weight: float) -> tuple[float, float, Image]:
    """Mean |image - photo|, SSIM, and the gradient of (1 - w) L1 + w (1 - SSIM) by ``image``, w = ``ssim_weight``.

    ``image`` and ``photo`` [H,W,C] of one float type, which is that of the gradient too.
    """
    height, width, channels = image.shape
    x, y = (np.ascontiguousarray(array).reshape(height, width * channels) for array in (image, photo))
    weights = taps().astype(image.dtype)
    maps = np.empty((3, *x.shape), x.dtype)
    sums = np.empty((height, 2), np.float64)
    _compare(x, y, weights, channels, maps, sums)
    gradient = np.empty_like(x)
    steps = np.array([(1.0 - ssim_weight) / x.size, -ssim_weight / x.size], x.dtype)
    _gradient(x, y, maps, weights, channels, steps, gradient)
    total = sums.sum(axis=0) / x.size
    return float(total[0]), float(total[1]), gradient.reshape(image.shape)


# "contract" lets the compiler fuse a product with a sum, the same way for every row.
@njit(cache=True, nogil=True, fastmath={"contract"})
def _add_moments(columns: Image, border: int, weight: float, xs: Image, ys: Image) -> None:
    """Add a row's x, y, xx, yy, xy to ``columns`` [5, border + n + border]."""
    length = len(xs)
    x, y, xx, yy, xy = (
        columns[0, border : border + length],
        columns[1, border : border + length],
        columns[2, border : border + length],
        columns[3, border : border + length],
        columns[4, border : border + length],
    )
    for i in range(length):
        a, b = xs[i], ys[i]
        weighted_a, weighted_b = weight * a, weight * b
        x[i] += weighted_a
        y[i] += weighted_b
        xx[i] += weighted_a * a
        yy[i] += weighted_b * b
        xy[i] += weighted_a * b


@njit(cache=True, nogil=True, fastmath={"contract"})
def _add(out: Image, weight: float, values: Image) -> None:
    for i in range(len(out)):
        out[i] += weight * values[i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _blur_row(out: Image, weights: Image, row: Image, step: int) -> None:
    """Filter a row that has RADIUS zeros of each channel, ``step`` of them, on both sides."""
    w0, w1, w2, w3, w4, w5 = weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]
    s0, s1, s2, s3, s4, s5 = row, row[step:], row[2 * step :], row[3 * step :], row[4 * step :], row[5 * step :]
    s6, s7, s8, s9, s10 = row[6 * step :], row[7 * step :], row[8 * step :], row[9 * step :], row[10 * step :]
    for i in range(len(out)):
        near = w5 * s5[i] + w4 * (s4[i] + s6[i]) + w3 * (s3[i] + s7[i])
        out[i] = near + w2 * (s2[i] + s8[i]) + w1 * (s1[i] + s9[i]) + w0 * (s0[i] + s10[i])


@njit(cache=True, nogil=True, parallel=True, fastmath={"contract"}, error_model="numpy")
def _compare(x: Image, y: Image, weights: Image, channels: int, maps: Image, sums: npt.NDArray[np.float64]) -> None:
    """Per row the sums of |x - y| and of SSIM; ``maps`` [3,H,W*C]: SSIM by E[x], by E[xx], by E[xy]."""
    height, length = x.shape
    border = RADIUS * channels
    for row in prange(height):
        columns = np.zeros((5, length + 2 * border), x.dtype)
        blurred = np.empty((5, length), x.dtype)
        for tap in range(max(0, RADIUS - row), min(2 * RADIUS + 1, height + RADIUS - row)):
            _add_moments(columns, border, weights[tap], x[row + tap - RADIUS], y[row + tap - RADIUS])
        for k in range(5):
            _blur_row(blurred[k], weights, columns[k], channels)
        l1 = similarity = 0.0
        for i in range(length):
            mean_x, mean_y = blurred[0, i], blurred[1, i]
            a1 = 2 * mean_x * mean_y + x.dtype.type(C1)
            a2 = 2 * (blurred[4, i] - mean_x * mean_y) + x.dtype.type(C2)
            b1 = mean_x * mean_x + mean_y * mean_y + x.dtype.type(C1)
            b2 = blurred[2, i] - mean_x * mean_x + blurred[3, i] - mean_y * mean_y + x.dtype.type(C2)
            one = x.dtype.type(1.0)
            inverse = one / (b1 * b2)
            s = a1 * a2 * inverse
            maps[0, row, i] = 2 * (mean_y * (a2 - a1) * inverse + mean_x * s * (one / b2 - one / b1))
            maps[1, row, i] = -s / b2
            maps[2, row, i] = 2 * a1 * inverse
            similarity += s
            l1 += abs(x[row, i] - y[row, i])
        sums[row, 0], sums[row, 1] = l1, similarity


@njit(cache=True, nogil=True, parallel=True, fastmath={"contract"}, error_model="numpy")
def _gradient(x: Image, y: Image, maps: Image, weights: Image, channels: int, steps: Image, out: Image) -> None:
    """``steps[0]`` times the sign of x - y, plus ``steps[1]`` times the gradient of the sum of SSIM."""
    height, length = x.shape
    border = RADIUS * channels
    for row in prange(height):
        columns = np.zeros((3, length + 2 * border), x.dtype)
        blurred = np.empty((3, length), x.dtype)
        for tap in range(max(0, RADIUS - row), min(2 * RADIUS + 1, height + RADIUS - row)):
            for k in range(3):
                _add(columns[k, border : border + length], weights[tap], maps[k, row + tap - RADIUS])
        for k in range(3):
            _blur_row(blurred[k], weights, columns[k], channels)
        for i in range(length):
            a, b = x[row, i], y[row, i]
            l1 = steps[0] if a > b else (-steps[0] if a < b else steps[0] - steps[0])
            out[row, i] = l1 + steps[1] * (blurred[0, i] + 2 * a * blurred[1, i] + b * blurred[2, i])
