"""What each splat adds to a view: the forward pass again, summed per splat instead of per pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.render.cpu import pixels as px
from gscodec.render.cpu import projection as pj
from gscodec.render.cpu.tiles import TILE, tile_view
from gscodec.render.protocol import Contributions
from gscodec.scene.camera import Camera

PARTS = 8  # of the splats, each summed by one thread; fixed, and every sum runs over the tiles in order
WEIGHT, HITS, LIGHT = range(3)  # columns of what a splat adds in one tile


def contributions(cloud: GaussianCloud, camera: Camera, *, centre_limit: float = pj.CENTRE_LIMIT) -> Contributions:
    """What each splat of ``cloud`` adds to the view of ``camera``; ``centre_limit`` as ``render`` has it.

    Raises BadInputError for more than 2**30 splat-tile pairs. Needs 16 bytes for each such pair.
    """
    view = tile_view(cloud, camera, centre_limit)
    sums, peaks = np.zeros((len(view.pairs), 3), np.float32), np.zeros(len(view.pairs), np.int32)
    _weigh(view.screen, view.offsets, view.pairs, view.columns, camera.width, camera.height, sums, peaks)
    count = len(cloud)
    result = Contributions(
        np.zeros(count, np.float64), np.zeros(count, np.int32), np.zeros(count, np.float32), np.zeros(count, np.float64)
    )
    _sum_tiles(
        view.pairs,
        view.index,
        sums,
        peaks.view(np.float32),
        result.weight_sum,
        result.hits,
        result.max_weight,
        result.transmittance_opacity,
    )
    return result


@njit(cache=True, nogil=True, parallel=True, fastmath=True, error_model="numpy")
def _weigh(
    screen: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.int64],
    pairs: npt.NDArray[np.int32],
    columns: int,
    width: int,
    height: int,
    sums: npt.NDArray[np.float32],
    peaks: npt.NDArray[np.int32],
) -> None:
    """Fill ``sums`` [pairs, 3] and ``peaks`` [pairs], the bits of the largest weights; walks as forward._blend does."""
    zero, one = np.float32(0.0), np.float32(1.0)
    pixel_x, pixel_y = px.pixel_grid()
    for tile in prange(len(offsets) - 1):
        left, top = (tile % columns) * TILE, (tile // columns) * TILE
        wide, high = min(TILE, width - left), min(TILE, height - top)
        passed = np.ones(px.PIXELS, np.float32)
        is_open = px.open_pixels(wide, high)
        added = np.zeros(px.PIXELS, np.float32)
        added_bits = added.view(np.int32)
        first_open, last_open = 0, high - 1
        for n in range(offsets[tile], offsets[tile + 1]):
            if (n - offsets[tile]) % px.LIVE_CHECK == 0:
                first_open, last_open = px.open_rows(is_open, first_open, last_open)
                if first_open > last_open:
                    break
            s = screen[pairs[n]]
            a, b, c = px.power_eighths(s)
            mx, my, opacity = s[pj.X] - np.float32(left), s[pj.Y] - np.float32(top), s[pj.OPACITY]
            first, last = px.touched_rows(s, my, first_open, last_open)
            weights, hits, light, peak = zero, zero, zero, np.int32(0)
            for k in range((last + 1 - first) * TILE):
                # Unsigned: an index that might count from the end would stop the vectoriser.
                i = np.uint64(first * TILE) + np.uint64(k)
                dx, dy = pixel_x[i] - mx, pixel_y[i] - my
                u = (a * dx + b * dy) * dx + c * dy * dy
                alpha = min(opacity * px.exp_eighths(u), px.CEILING)
                drawn = (alpha >= px.FLOOR) & (u <= zero)
                alpha = alpha * is_open[i] if drawn else zero
                t = passed[i]
                rest = t * (one - alpha)
                closes = rest < px.CLOSING
                weight = zero if closes else alpha * t
                is_open[i] = zero if closes else is_open[i]
                passed[i] = t if closes else rest
                hit = one if weight > zero else zero
                weights += weight
                hits += hit
                added[k] = weight
                light += hit * t
            # Bits of positive floats sort as integers do, and a largest integer is found by vector instructions.
            for k in range((last + 1 - first) * TILE):
                peak = max(peak, added_bits[k])
            peaks[n] = peak
            sums[n, WEIGHT], sums[n, HITS], sums[n, LIGHT] = weights, hits, light * opacity


@njit(cache=True, nogil=True, parallel=True)
def _sum_tiles(
    pairs: npt.NDArray[np.int32],
    index: npt.NDArray[np.int64],
    sums: npt.NDArray[np.float32],
    peaks: npt.NDArray[np.float32],
    weight_sum: npt.NDArray[np.float64],
    hits: npt.NDArray[np.int32],
    max_weight: npt.NDArray[np.float32],
    transmittance_opacity: npt.NDArray[np.float64],
) -> None:
    """Add up each splat's pairs, in the order of the tiles."""
    for part in prange(PARTS):
        low, high = part * len(index) // PARTS, (part + 1) * len(index) // PARTS
        for n in range(len(pairs)):
            if low <= pairs[n] < high:
                i = index[pairs[n]]
                weight_sum[i] += sums[n, WEIGHT]
                hits[i] += np.int32(sums[n, HITS])
                max_weight[i] = max(max_weight[i], peaks[n])
                transmittance_opacity[i] += sums[n, LIGHT]
