"""Each splat's Fisher information of position and log-scale: the 6x6 sum over pixels and channels of g gᵀ.

A pixel's value depends on a splat's shape through its power alone, alpha = opacity·exp(power), so that g is
q·d(power)/d(parameters), where q = d(value)/d(power) is known from the backward walk. With e the pixel's offset
from the centre in units of the ellipse's own axes (offset = L e, L Lᵀ the screen covariance), power = -|e|²/2 and

    d(power) = e·(L⁻¹ dm) + eᵀ(L⁻¹ dC L⁻ᵀ)e / 2        (m the centre, C the screen covariance)

Hence all pixels enter through the fifteen moments of q² up to the fourth degree in e: they are summed per splat, and
one Jacobian per splat turns them into the matrix. In these units the moments are of like size, so that their sums
over a tile may be of single precision; sums over tiles are of double precision.

Left out: a colour's dependence on the direction from which the splat is seen, hence on its position. In antialiased
mode opacity depends on the covariance, which is not left out. A capped alpha has no gradient.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.render.cpu import ellipse as el
from gscodec.render.cpu import pixels as px
from gscodec.render.cpu import projection as pj
from gscodec.render.cpu.forward import background_colour, blend
from gscodec.render.cpu.tiles import TILE, projection_arguments, tile_view
from gscodec.render.protocol import BLACK
from gscodec.scene.camera import Camera

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

MOMENTS = 15  # of e_x^i e_y^j, by degree i + j, then by j: 1, x, y, xx, xy, yy, xxx, ...
ENTRIES = 21  # of the upper triangle of a symmetric 6x6 matrix
# What d(power) is a combination of: x, y, xx/2, xy, yy/2, and 1, which stands for d(log opacity).
POWERS_X, POWERS_Y = np.array([1, 0, 2, 1, 0, 0]), np.array([0, 1, 0, 1, 2, 0])
FACTORS = np.array([1.0, 1.0, 0.5, 1.0, 0.5, 1.0])
PARTS = 8  # of the splats, each summed by one thread; fixed, and every sum runs over the tiles in order


def fisher_information(cloud: GaussianCloud, camera: Camera, *, centre_limit: float = pj.CENTRE_LIMIT) -> F64:
    """Upper triangles, row by row, float64 [N,21]: rows and columns are x, y, z (world units) and three log-scales.

    All zero for a splat that is not seen. The same bits for any number of threads. Raises BadInputError for more
    than 2**30 splat-tile pairs. Needs 64 bytes for each such pair.
    """
    view = tile_view(cloud, camera, centre_limit)
    image = blend(view, camera, background_colour(BLACK))
    per_pair = np.zeros((len(view.pairs), MOMENTS), np.float32)
    _sum_moments(view.screen, view.offsets, view.pairs, view.columns, image, per_pair)
    moments = np.zeros((len(view.index), MOMENTS), np.float64)
    _sum_tiles(view.pairs, per_pair, moments)
    result = np.zeros((len(cloud), ENTRIES), np.float64)
    positions, log_scales, quats, _, _, _, matrix, _, intrinsics, antialiased = projection_arguments(cloud, camera)
    _to_parameters(positions, log_scales, quats, matrix, intrinsics, antialiased, view.index, moments, result)
    return result


@njit(cache=True, nogil=True, parallel=True, fastmath=True, error_model="numpy")
def _sum_moments(screen: F32, offsets: I64, pairs: I32, columns: int, image: F32, per_pair: F32) -> None:
    """Fill ``per_pair`` [pairs, MOMENTS]; the walk is that of backward._blend_gradient, for each channel."""
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
            l00, l10, l11 = factor(s[pj.VAR_X], s[pj.COV_XY], s[pj.VAR_Y])
            to_x, to_y, skew = np.float32(1.0 / l00), np.float32(1.0 / l11), np.float32(-l10 / (l00 * l11))
            first, last = px.touched_rows(s, my, first_open, last_open)
            m0, mx1, my1, mxx, mxy, myy = zero, zero, zero, zero, zero, zero
            mxxx, mxxy, mxyy, myyy = zero, zero, zero, zero
            mxxxx, mxxxy, mxxyy, mxyyy, myyyy = zero, zero, zero, zero, zero
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
                alpha = zero if closes else alpha
                is_open[i] = zero if closes else is_open[i]
                passed[i] = t if closes else rest
                weight, shown = alpha * t, alpha / (one - alpha)
                own_r, own_g, own_b = weight * sr, weight * sg, weight * sb
                behind_r, behind_g, behind_b = red[i] - own_r, green[i] - own_g, blue[i] - own_b
                red[i], green[i], blue[i] = behind_r, behind_g, behind_b
                by_r, by_g, by_b = own_r - behind_r * shown, own_g - behind_g * shown, own_b - behind_b * shown
                square = by_r * by_r + by_g * by_g + by_b * by_b if full < px.CEILING else zero
                x = to_x * dx
                y = skew * dx + to_y * dy
                xx, xy, yy = square * x * x, square * x * y, square * y * y
                m0 += square
                mx1 += square * x
                my1 += square * y
                mxx += xx
                mxy += xy
                myy += yy
                mxxx += xx * x
                mxxy += xx * y
                mxyy += xy * y
                myyy += yy * y
                mxxxx += xx * x * x
                mxxxy += xx * x * y
                mxxyy += xx * y * y
                mxyyy += xy * y * y
                myyyy += yy * y * y
            out = per_pair[n]
            out[0], out[1], out[2], out[3], out[4], out[5] = m0, mx1, my1, mxx, mxy, myy
            out[6], out[7], out[8], out[9] = mxxx, mxxy, mxyy, myyy
            out[10], out[11], out[12], out[13], out[14] = mxxxx, mxxxy, mxxyy, mxyyy, myyyy


@njit(cache=True, nogil=True, parallel=True)
def _sum_tiles(pairs: I32, per_pair: F32, per_splat: F64) -> None:
    """Add up each splat's pairs, in the order of the tiles."""
    for part in prange(PARTS):
        low, high = part * len(per_splat) // PARTS, (part + 1) * len(per_splat) // PARTS
        for n in range(len(pairs)):
            splat = pairs[n]
            if low <= splat < high:
                for column in range(per_pair.shape[1]):
                    per_splat[splat, column] += per_pair[n, column]


@njit(cache=True, nogil=True)
def factor(xx: float, xy: float, yy: float) -> tuple[float, float, float]:
    """L of L Lᵀ: its entries 00, 10, 11."""
    l00 = math.sqrt(xx)
    l10 = xy / l00
    return l00, l10, math.sqrt(max(yy - l10 * l10, 1e-12))


@njit(cache=True, nogil=True, parallel=True)
def _to_parameters(
    positions: F32,
    log_scales: F32,
    quats: F32,
    view: F64,
    intrinsics: F64,
    antialiased: bool,
    index: I64,
    moments: F64,
    result: F64,
) -> None:
    """Write the rows ``index`` [M] of ``result`` [N, ENTRIES] from ``moments`` [M, MOMENTS]."""
    for block in prange((len(index) + 1023) // 1024):
        information, product, jacobian = np.empty((6, 6)), np.empty((6, 6)), np.empty((6, 6))
        for n in range(block * 1024, min(len(index), block * 1024 + 1024)):
            i = index[n]
            for j in range(6):
                for k in range(6):
                    x, y = POWERS_X[j] + POWERS_X[k], POWERS_Y[j] + POWERS_Y[k]
                    place = (x + y) * (x + y + 1) // 2 + y
                    information[j, k] = FACTORS[j] * FACTORS[k] * moments[n, place]
            _power_jacobian(positions[i], log_scales[i], quats[i], view, intrinsics, antialiased, jacobian)
            for j in range(6):
                for k in range(6):
                    product[j, k] = 0.0
                    for m in range(6):
                        product[j, k] += information[j, m] * jacobian[m, k]
            entry = 0
            for j in range(6):
                for k in range(j, 6):
                    for m in range(6):
                        result[i, entry] += jacobian[m, j] * product[m, k]
                    entry += 1


@njit(cache=True, nogil=True)
def _power_jacobian(
    position: F32, log_scales: F32, quat: F32, view: F64, intrinsics: F64, antialiased: bool, out: F64
) -> None:
    """Fill ``out`` [6,6]: what d(power) is a combination of, by position (columns 0..2) and log-scales (3..5)."""
    point = el.camera_point(position, view)
    x, y, z = point
    guard_x, guard_y = el.guard_band(intrinsics)
    row_u, row_v = el.pixel_rows(point, view, intrinsics)
    splat = el.axes(log_scales, quat)
    u, v = el.along_axes(row_u, splat), el.along_axes(row_v, splat)
    xx, xy, yy = el.dot(u, u), el.dot(u, v), el.dot(v, v)
    wide, high = xx + pj.DILATION, yy + pj.DILATION
    l00, l10, l11 = factor(wide, xy, high)
    to_x, to_y, skew = 1.0 / l00, 1.0 / l11, -l10 / (l00 * l11)
    # By the position, the centre moves along the rows of the Jacobian that is not held at the guard band.
    mean_x = pj.jacobian_row(view, 0, intrinsics[2] / z, x)
    mean_y = pj.jacobian_row(view, 1, intrinsics[3] / z, y)
    turn_x = 1.0 / z if abs(x) < guard_x else 0.0
    turn_y = 1.0 / z if abs(y) < guard_y else 0.0
    forward = (view[2, 0], view[2, 1], view[2, 2])
    forward_along = el.along_axes(forward, splat)
    for k in range(6):
        if k < 3:
            away = -forward[k] / z
            by_mx, by_my = mean_x[k], mean_y[k]
            by_xx = 2.0 * (away * xx - turn_x * mean_x[k] * el.dot(forward_along, u))
            by_yy = 2.0 * (away * yy - turn_y * mean_y[k] * el.dot(forward_along, v))
            by_xy = 2.0 * away * xy - turn_x * mean_x[k] * el.dot(forward_along, v)
            by_xy -= turn_y * mean_y[k] * el.dot(forward_along, u)
        else:
            by_mx, by_my = 0.0, 0.0
            by_xx, by_xy, by_yy = 2.0 * u[k - 3] * u[k - 3], 2.0 * u[k - 3] * v[k - 3], 2.0 * v[k - 3] * v[k - 3]
        out[0, k], out[1, k] = to_x * by_mx, skew * by_mx + to_y * by_my
        out[2, k] = to_x * to_x * by_xx
        out[3, k] = to_x * (skew * by_xx + to_y * by_xy)
        out[4, k] = skew * skew * by_xx + 2.0 * skew * to_y * by_xy + to_y * to_y * by_yy
        out[5, k] = 0.0
        sharp, dilated = xx * yy - xy * xy, wide * high - xy * xy
        if antialiased and sharp > 0.0:
            by_sharp = yy * by_xx + xx * by_yy - 2.0 * xy * by_xy
            by_dilated = high * by_xx + wide * by_yy - 2.0 * xy * by_xy
            out[5, k] = 0.5 * (by_sharp / sharp - by_dilated / dilated)
