"""The squared error that removing a splat alone would cause, for all splats of a view at once.

A pixel is linear in each alpha: a splat of colour c, before which the light T passes, adds T·alpha·c and takes
alpha of what lies behind it. With B the colour composited behind the splat, as the image has it, removing the splat
changes the pixel by B·alpha/(1 - alpha) - T·alpha·c. That is P_i - P_{i+1}/(1 - alpha) + P_K·alpha/(1 - alpha) of
POTR, where P_i is what is composited before splat i and P_K the final colour. One walk gives the final colours, a
second one, front to back again, the P_i.

Against really removing the splat, two things differ. A pixel that the splat helped to close below T < 1e-4 would
stay open for longer: at most 1e-4/(1 - alpha) of light is missed, a hundredth where alpha is capped at 0.99. And
values are not clamped to [0, 1], as the renderer's are not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.render.cpu import pixels as px
from gscodec.render.cpu import projection as pj
from gscodec.render.cpu.forward import background_colour, blend
from gscodec.render.cpu.tiles import TILE, tile_view
from gscodec.render.protocol import BLACK
from gscodec.scene.camera import Camera

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def removal_error(cloud: GaussianCloud, camera: Camera, *, centre_limit: float = pj.CENTRE_LIMIT) -> F64:
    """Squared change of the image without the splat float64 [N], summed over pixels and channels; black background.

    Zero for a splat that is not seen. The same bits for any number of threads. Raises BadInputError for more than
    2**30 splat-tile pairs. Needs 8 bytes for each such pair.
    """
    view = tile_view(cloud, camera, centre_limit)
    image = blend(view, camera, background_colour(BLACK))
    per_pair = np.zeros(len(view.pairs), np.float32)
    _remove(view.screen, view.offsets, view.pairs, view.columns, image, per_pair)
    # bincount adds in the order of the pairs, that is, of the tiles.
    per_splat = np.bincount(view.pairs, per_pair, len(view.index))
    result = np.zeros(len(cloud), np.float64)
    result[view.index] = per_splat
    return result


@njit(cache=True, nogil=True, parallel=True, fastmath=True, error_model="numpy")
def _remove(
    screen: F32,
    offsets: npt.NDArray[np.int64],
    pairs: npt.NDArray[np.int32],
    columns: int,
    image: F32,
    per_pair: F32,
) -> None:
    """Fill ``per_pair`` [pairs]; the walk is that of forward._blend."""
    height, width = image.shape[0], image.shape[1]
    zero, one = np.float32(0.0), np.float32(1.0)
    pixel_x, pixel_y = px.pixel_grid()
    for tile in prange(len(offsets) - 1):
        left, top = (tile % columns) * TILE, (tile // columns) * TILE
        wide, high = min(TILE, width - left), min(TILE, height - top)
        passed = np.ones(px.PIXELS, np.float32)
        is_open = px.open_pixels(wide, high)
        # What is composited from here to the end of the pixel.
        red, green, blue = (
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
        )
        for row in range(high):
            for column in range(wide):
                p, light = row * TILE + column, image[top + row, left + column]
                red[p], green[p], blue[p] = light[0], light[1], light[2]
        first_open, last_open = 0, high - 1
        for n in range(offsets[tile], offsets[tile + 1]):
            if (n - offsets[tile]) % px.LIVE_CHECK == 0:
                first_open, last_open = px.open_rows(is_open, first_open, last_open)
                if first_open > last_open:
                    break
            s = screen[pairs[n]]
            a, b, c = px.power_eighths(s)
            mx, my, opacity = s[pj.X] - np.float32(left), s[pj.Y] - np.float32(top), s[pj.OPACITY]
            sr, sg, sb = s[pj.RED], s[pj.GREEN], s[pj.BLUE]
            first, last = px.touched_rows(s, my, first_open, last_open)
            error = zero
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
                alpha = zero if closes else alpha
                is_open[i] = zero if closes else is_open[i]
                passed[i] = t if closes else rest
                weight, shown = alpha * t, alpha / (one - alpha)
                own_r, own_g, own_b = weight * sr, weight * sg, weight * sb
                behind_r, behind_g, behind_b = red[i] - own_r, green[i] - own_g, blue[i] - own_b
                red[i], green[i], blue[i] = behind_r, behind_g, behind_b
                by_r, by_g, by_b = behind_r * shown - own_r, behind_g * shown - own_g, behind_b * shown - own_b
                error += by_r * by_r + by_g * by_g + by_b * by_b
            per_pair[n] = error
