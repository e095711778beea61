"""The forward pass: the tile-based alpha blending of 3D Gaussian Splatting.

Kerbl et al. 2023, section 6 and appendix C: tiles of 16x16 pixels, splats sorted by depth, front to back,
alpha = min(0.99, opacity * exp(power)), splats below 1/255 skipped, a pixel closed when less than 1e-4 would
pass. Results are the same bits for any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.render.cpu import pixels as px
from gscodec.render.cpu import projection as pj
from gscodec.render.cpu.tiles import TILE, TiledView, tile_view
from gscodec.render.protocol import BLACK
from gscodec.scene.camera import Camera


def render(
    cloud: GaussianCloud,
    camera: Camera,
    background: Sequence[float] = BLACK,
    *,
    centre_limit: float = pj.CENTRE_LIMIT,
) -> npt.NDArray[np.float32]:
    """The view of ``camera`` as float32 [height, width, 3], linear in the SH colours and not clamped.

    ``cloud.meta.render_mode`` "antialiased" scales opacities by sqrt(det / dilated det).
    ``centre_limit``: splats whose centre lies beyond this multiple of the half field of view are left out;
    math.inf keeps them all, as the published rasteriser does (projection.project says why not here).

    Raises BadInputError for a background that is not three numbers and for more than 2**30 splat-tile pairs.
    """
    ground = background_colour(background)
    return blend(tile_view(cloud, camera, centre_limit), camera, ground)


def background_colour(background: Sequence[float]) -> npt.NDArray[np.float32]:
    """Three numbers as float32 [3]. Raises BadInputError for anything else."""
    ground = np.array(background, np.float32)
    if ground.shape != (3,):
        raise BadInputError("wrong shape", field="background", found=ground.shape, allowed=(3,))
    return ground


def blend(view: TiledView, camera: Camera, ground: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The image float32 [height, width, 3] of a tiled view over the background colour ``ground`` [3]."""
    image = np.empty((camera.height, camera.width, 3), np.float32)
    _blend(view.screen, view.offsets, view.pairs, view.columns, ground, image)
    return image


@njit(cache=True, nogil=True, parallel=True, fastmath=True, error_model="numpy")
def _blend(
    screen: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.int64],
    pairs: npt.NDArray[np.int32],
    columns: int,
    ground: npt.NDArray[np.float32],
    image: npt.NDArray[np.float32],
) -> None:
    """Composite each tile's splats, front to back."""
    height, width = image.shape[0], image.shape[1]
    zero, one = np.float32(0.0), np.float32(1.0)
    pixel_x, pixel_y = px.pixel_grid()
    for tile in prange(len(offsets) - 1):
        left, top = (tile % columns) * TILE, (tile // columns) * TILE
        wide, high = min(TILE, width - left), min(TILE, height - top)
        passed = np.ones(px.PIXELS, np.float32)
        is_open = px.open_pixels(wide, high)
        red, green, blue = (
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
        )
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
                red[i] += weight * sr
                green[i] += weight * sg
                blue[i] += weight * sb
        for row in range(high):
            for column in range(wide):
                p = row * TILE + column
                out, t = image[top + row, left + column], passed[p]
                out[0], out[1], out[2] = red[p] + t * ground[0], green[p] + t * ground[1], blue[p] + t * ground[2]
