"""What an image says of each splat's colour: the transpose of blending, which is linear in the colours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.render.cpu import pixels as px
from gscodec.render.cpu import projection as pj
from gscodec.render.cpu.backward import _sum_tiles
from gscodec.render.cpu.forward import background_colour, blend
from gscodec.render.cpu.tiles import TILE, tile_view
from gscodec.render.protocol import BLACK
from gscodec.scene.camera import Camera

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def colour_residuals(cloud: GaussianCloud, camera: Camera, wanted: F32) -> F64:
    """What the cloud's view lacks of the image ``wanted`` [height, width, 3], told to the splats.

    float64 [N,4]: sums over pixels of alpha·T times what is lacking, of red, green and blue, and of alpha·T. What is
    above 1 shows as 1, in both; a colour that is clamped at 0 is told nothing. The same bits for any number of threads.

    Raises BadInputError for an image of another shape and for more than 2**30 splat-tile pairs. Needs 16 bytes for each
    such pair.
    """
    if wanted.shape != (camera.height, camera.width, 3):
        shape = (camera.height, camera.width, 3)
        raise BadInputError("wrong shape", field="wanted", found=wanted.shape, allowed=shape)
    view = tile_view(cloud, camera, pj.CENTRE_LIMIT)
    image = blend(view, camera, background_colour(BLACK))
    lacking = np.minimum(wanted, np.float32(1.0)) - np.minimum(image, np.float32(1.0))
    per_pair, sums = np.zeros((len(view.pairs), 4), np.float32), np.zeros((len(cloud), 4), np.float64)
    _gather(view.screen, view.offsets, view.pairs, view.columns, lacking, per_pair)
    per_splat = np.zeros((len(view.index), 4), np.float64)
    _sum_tiles(view.pairs, per_pair, per_splat)
    per_splat[:, :3][view.screen[:, pj.RED : pj.BLUE + 1] <= 0.0] = 0.0
    sums[view.index] = per_splat
    return sums


@njit(cache=True, nogil=True, parallel=True, fastmath=True, error_model="numpy")
def _gather(
    screen: F32,
    offsets: npt.NDArray[np.int64],
    pairs: npt.NDArray[np.int32],
    columns: int,
    lacking: F32,
    per_pair: F32,
) -> None:
    """Fill ``per_pair`` [pairs, 4]; the walk is that of forward._blend."""
    height, width = lacking.shape[0], lacking.shape[1]
    zero, one = np.float32(0.0), np.float32(1.0)
    pixel_x, pixel_y = px.pixel_grid()
    for tile in prange(len(offsets) - 1):
        left, top = (tile % columns) * TILE, (tile // columns) * TILE
        wide, high = min(TILE, width - left), min(TILE, height - top)
        passed = np.ones(px.PIXELS, np.float32)
        is_open = px.open_pixels(wide, high)
        of_red, of_green, of_blue = (
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
        )
        for row in range(high):
            for column in range(wide):
                p, here = row * TILE + column, lacking[top + row, left + column]
                of_red[p], of_green[p], of_blue[p] = here[0], here[1], here[2]
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
            red, green, blue, weights = zero, zero, zero, zero
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
                red += weight * of_red[i]
                green += weight * of_green[i]
                blue += weight * of_blue[i]
                weights += weight
            out = per_pair[n]
            out[0], out[1], out[2], out[3] = red, green, blue, weights
