"""The backward pass: the gradient of an image's loss by every parameter of the cloud.

The published rasteriser walks each pixel's splats back to front from a stored T and last index. Here they are walked
front to back once more, with the forward pass's own arithmetic: T and the decisions (skipped, capped, closed) are
then those of the forward pass to the bit, nothing is stored but the image, and the light from behind a splat is the
image less what lay in front.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.render.cpu import pixels as px
from gscodec.render.cpu import projection as pj
from gscodec.render.cpu import projection_gradient as pg
from gscodec.render.cpu.tiles import TILE, TiledView, projection_arguments
from gscodec.scene.camera import Camera

PARTS = 8  # of the splats, each summed by one thread; fixed, and every sum runs over the tiles in order
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CloudGradient:
    """Gradients float32 by a cloud's arrays, in their shapes; ``sh`` [N,K+1,3] is by DC and rest together.

    ``screen_means`` [N,2]: by the splat's centre in the image, in pixels, which densification goes by. All zero for
    a splat that is not seen.
    """

    positions: F32
    log_scales: F32
    quats_wxyz: F32
    opacity_logits: F32
    sh: F32
    screen_means: F32


def backward(cloud: GaussianCloud, camera: Camera, view: TiledView, image: F32, image_gradient: F32) -> CloudGradient:
    """The gradient of a loss from its gradient by the image, float32 [height, width, 3].

    ``view`` and ``image`` are those of the forward pass, the image with its background. The cuts at 1/255 and at
    T < 1e-4 add no gradient, as published; a capped alpha passes none, where the published code ignores the cap.
    Needs 36 bytes for each pair of a splat and a tile.
    """
    per_pair = np.zeros((len(view.pairs), pg.COLUMNS), np.float32)
    _blend_gradient(view.screen, view.offsets, view.pairs, view.columns, image, image_gradient, per_pair)
    per_splat = np.zeros((len(view.index), pg.COLUMNS), np.float64)
    _sum_tiles(view.pairs, per_pair, per_splat)
    count = len(cloud)
    gradient = CloudGradient(
        positions=np.zeros((count, 3), np.float32),
        log_scales=np.zeros((count, 3), np.float32),
        quats_wxyz=np.zeros((count, 4), np.float32),
        opacity_logits=np.zeros(count, np.float32),
        sh=np.zeros((count, cloud.sh_rest.shape[1] + 1, 3), np.float32),
        screen_means=np.zeros((count, 2), np.float32),
    )
    arguments = (
        *projection_arguments(cloud, camera),
        view.index,
        per_splat,
        gradient.positions,
        gradient.log_scales,
        gradient.quats_wxyz,
        gradient.opacity_logits,
        gradient.sh,
        gradient.screen_means,
    )
    pg.project_gradient(*arguments)
    return gradient


@njit(cache=True, nogil=True, parallel=True, fastmath=True, error_model="numpy")
def _blend_gradient(
    screen: F32,
    offsets: npt.NDArray[np.int64],
    pairs: npt.NDArray[np.int32],
    columns: int,
    image: F32,
    image_gradient: F32,
    per_pair: F32,
) -> None:
    """Fill ``per_pair`` [pairs, projection_gradient.COLUMNS]; the walk is that of forward._blend."""
    height, width = image.shape[0], image.shape[1]
    zero, one = np.float32(0.0), np.float32(1.0)
    pixel_x, pixel_y = px.pixel_grid()
    for tile in prange(len(offsets) - 1):
        left, top = (tile % columns) * TILE, (tile // columns) * TILE
        wide, high = min(TILE, width - left), min(TILE, height - top)
        passed = np.ones(px.PIXELS, np.float32)
        is_open = px.open_pixels(wide, high)
        # The loss by the image, and that gradient's product with the light that is not yet accounted for.
        by_red, by_green, by_blue, behind = (
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
        )
        for row in range(high):
            for column in range(wide):
                p = row * TILE + column
                g, light = image_gradient[top + row, left + column], image[top + row, left + column]
                by_red[p], by_green[p], by_blue[p] = g[0], g[1], g[2]
                behind[p] = g[0] * light[0] + g[1] * light[1] + g[2] * light[2]
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
            red, green, blue = zero, zero, zero
            sum_1, sum_x, sum_y, sum_xx, sum_xy, sum_yy = zero, zero, zero, zero, zero, zero
            for k in range((last + 1 - first) * TILE):
                # Unsigned: an index that might count from the end would stop the vectoriser.
                i = np.uint64(first * TILE) + np.uint64(k)
                dx, dy = pixel_x[i] - mx, pixel_y[i] - my
                u = (a * dx + b * dy) * dx + c * dy * dy
                full = opacity * px.exp_eighths(u)
                alpha = min(full, px.CEILING)
                drawn = (alpha >= px.FLOOR) & (u <= zero)
                alpha = alpha * is_open[i] if drawn else zero
                t = passed[i]
                rest = t * (one - alpha)
                closes = rest < px.CLOSING
                weight = zero if closes else alpha * t
                is_open[i] = zero if closes else is_open[i]
                passed[i] = t if closes else rest
                red += weight * by_red[i]
                green += weight * by_green[i]
                blue += weight * by_blue[i]
                own = weight * (sr * by_red[i] + sg * by_green[i] + sb * by_blue[i])
                left_over = behind[i] - own
                behind[i] = left_over
                # By the power: alpha times the gradient by alpha, which dims all that lies behind.
                passes = (weight > zero) & (full < px.CEILING)
                g_power = own - left_over * alpha / (one - alpha) if passes else zero
                g_x, g_y = g_power * dx, g_power * dy
                sum_1 += g_power
                sum_x += g_x
                sum_y += g_y
                sum_xx += g_x * dx
                sum_xy += g_x * dy
                sum_yy += g_y * dy
            out = per_pair[n]
            out[pg.RED], out[pg.GREEN], out[pg.BLUE] = red, green, blue
            out[pg.SUM], out[pg.SUM_X], out[pg.SUM_Y] = sum_1, sum_x, sum_y
            out[pg.SUM_XX], out[pg.SUM_XY], out[pg.SUM_YY] = sum_xx, sum_xy, sum_yy


@njit(cache=True, nogil=True, parallel=True)
def _sum_tiles(pairs: npt.NDArray[np.int32], per_pair: F32, per_splat: npt.NDArray[np.float64]) -> None:
    """Add up each splat's pairs, in the order of the tiles."""
    for part in prange(PARTS):
        low, high = part * len(per_splat) // PARTS, (part + 1) * len(per_splat) // PARTS
        for n in range(len(pairs)):
            splat = pairs[n]
            if low <= splat < high:
                for column in range(per_pair.shape[1]):
                    per_splat[splat, column] += per_pair[n, column]
