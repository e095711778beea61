"""What the loops over a tile's pixels share: forward, contributions, adjoint, backward and others.

The pixels of a tile lie in one line of TILE * TILE, so that one loop over all rows of a splat is vectorised. The
loops themselves differ only in what they sum, and each is written out: whatever is shared must be inlined.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from gscodec.render.cpu import projection as pj
from gscodec.render.cpu.tiles import TILE

PIXELS = TILE * TILE
FLOOR = np.float32(pj.MIN_ALPHA)  # an alpha below it is not blended
CEILING = np.float32(0.99)  # an alpha above it is capped
CLOSING = np.float32(1e-4)  # a pixel is closed when less light than this would pass
LIVE_CHECK = 16  # splats between two looks at which rows still have open pixels
LOWEST = np.float32(-0.7)  # eighths of the power, at which alpha is below FLOOR for any opacity

# exp(8u) = p(u)^8 on [LOWEST, 0]: a quintic by Chebyshev interpolation; no branch, so that loops are vectorised.
_FIT = np.polynomial.Chebyshev.interpolate(np.exp, 5, domain=[-0.7, 0.0]).convert(kind=np.polynomial.Polynomial)
E0, E1, E2, E3, E4, E5 = (np.float32(c) for c in _FIT.coef)


@njit(cache=True, nogil=True, fastmath=True)
def exp_eighths(u: np.float32) -> Any:
    """exp(8u) for u <= 0; no smaller than exp(8 LOWEST)."""
    v = max(u, LOWEST)
    e = ((((E5 * v + E4) * v + E3) * v + E2) * v + E1) * v + E0
    e *= e
    e *= e
    e *= e
    return e


@njit(cache=True, nogil=True)
def pixel_grid() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """x and y of a tile's pixels."""
    x, y = np.empty(PIXELS, np.float32), np.empty(PIXELS, np.float32)
    for i in range(PIXELS):
        x[i], y[i] = i % TILE, i // TILE
    return x, y


@njit(cache=True, nogil=True)
def open_pixels(wide: int, high: int) -> npt.NDArray[np.float32]:
    """1 for pixels inside the image, 0 for the others."""
    is_open = np.zeros(PIXELS, np.float32)
    for row in range(high):
        is_open[row * TILE : row * TILE + wide] = np.float32(1.0)
    return is_open


@njit(cache=True, nogil=True)
def open_rows(is_open: npt.NDArray[np.float32], first: int, last: int) -> tuple[int, int]:
    """The rows first..last less the closed ones at both ends; first > last when none is left."""
    while first <= last and not is_open[first * TILE : first * TILE + TILE].any():
        first += 1
    while first <= last and not is_open[last * TILE : last * TILE + TILE].any():
        last -= 1
    return first, last


@njit(cache=True, nogil=True)
def touched_rows(splat: npt.NDArray[np.float32], my: np.float32, first: int, last: int) -> tuple[int, int]:
    """The rows among first..last that the ellipse reaches; ``my`` is its centre's y in the tile."""
    ry = math.sqrt(splat[pj.T] * splat[pj.VAR_Y]) + np.float32(0.01)
    above = max(first, math.ceil(max(my - ry, np.float32(-1.0))))
    below = min(last, math.floor(min(my + ry, np.float32(TILE))))
    return above, below


@njit(cache=True, nogil=True)
def power_eighths(splat: npt.NDArray[np.float32]) -> tuple[np.float32, np.float32, np.float32]:
    """a, b, c with power / 8 = (a dx + b dy) dx + c dy dy."""
    eighth = np.float32(0.125)
    half = -eighth / np.float32(2.0)
    return half * splat[pj.CONIC_XX], -eighth * splat[pj.CONIC_XY], half * splat[pj.CONIC_YY]
