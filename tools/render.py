"""A CPU rasteriser for measuring: the tile-based alpha blending of 3D Gaussian Splatting.

Kerbl et al. 2023, section 6 and appendix C: tiles of 16x16 pixels, splats sorted by depth, front to back,
alpha = min(0.99, opacity * exp(power)), splats below 1/255 skipped, a pixel closed when less than 1e-4 would
pass. A splat is drawn on every pixel where it reaches 1/255, not only on the tiles within three sigma, so that
an image does not depend on where tiles begin. Results are the same bits for any number of threads.
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from gscodec_tools import projection as pj
from gscodec_tools.cameras import Camera
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError

TILE = 16
CHUNKS = 32  # parts in which splats are binned; fixed, so that nothing depends on the number of threads
MAX_ALPHA = 0.99
MIN_TRANSMITTANCE = 1e-4
LIVE_CHECK = 16  # splats between two looks at which rows still have open pixels
MAX_PAIRS = 1 << 30

# exp(8u) = p(u)^8 on [-0.7, 0]: a quintic by Chebyshev interpolation; no branch, so that the loop is vectorised.
_FIT = np.polynomial.Chebyshev.interpolate(np.exp, 5, domain=[-0.7, 0.0]).convert(kind=np.polynomial.Polynomial)
E0, E1, E2, E3, E4, E5 = (np.float32(c) for c in _FIT.coef)


def render(
    cloud: GaussianCloud,
    camera: Camera,
    background: Sequence[float] = (0.0, 0.0, 0.0),
    *,
    centre_limit: float = pj.CENTRE_LIMIT,
) -> npt.NDArray[np.float32]:
    """The view of ``camera`` as float32 [height, width, 3], linear in the SH colours and not clamped.

    ``cloud.meta.render_mode`` "antialiased" scales opacities by sqrt(det / dilated det).
    ``centre_limit``: splats whose centre lies beyond this multiple of the half field of view are left out;
    math.inf keeps them all, as the published rasteriser does (projection.project says why not here).

    Raises BadInputError for a background that is not three numbers and for more than 2**30 splat-tile pairs.
    """
    ground = np.array(background, np.float32)
    if ground.shape != (3,):
        raise BadInputError("wrong shape", field="background", found=ground.shape, allowed=(3,))
    count = len(cloud)
    screen = np.empty((count, pj.COLUMNS), np.float32)
    visible = np.empty(count, np.uint8)
    intrinsics = np.array([camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy], np.float64)
    arrays = (cloud.positions, cloud.log_scales, cloud.quats_wxyz, cloud.opacity_logits, cloud.sh_dc, cloud.sh_rest)
    pj.project(
        *(np.ascontiguousarray(array) for array in arrays),
        np.ascontiguousarray(camera.world_to_camera),
        camera.centre,
        intrinsics,
        float(centre_limit),
        cloud.meta.render_mode == "antialiased",
        screen,
        visible,
    )
    shown = np.flatnonzero(visible)
    # Depths are positive, so their bits sort as integers do.
    keys = screen[shown, pj.DEPTH].view(np.uint32)
    screen = screen[shown[np.argsort(keys, kind="stable")]]
    columns, rows = -(-camera.width // TILE), -(-camera.height // TILE)
    counts = np.zeros((CHUNKS, rows * columns), np.int64)
    none = np.empty(0, np.int32)
    _bin(screen, columns, rows, counts, none)
    offsets = np.concatenate([[0], np.cumsum(counts.T.ravel())])
    if offsets[-1] > MAX_PAIRS:
        raise BadInputError("too many splats per tile", field="pairs", found=int(offsets[-1]), allowed=MAX_PAIRS)
    starts = np.ascontiguousarray(offsets[:-1].reshape(-1, CHUNKS).T)
    pairs = np.empty(offsets[-1], np.int32)
    _bin(screen, columns, rows, starts, pairs)
    image = np.empty((camera.height, camera.width, 3), np.float32)
    _blend(screen, offsets[::CHUNKS], pairs, columns, ground, image)
    return image


@njit(cache=True, nogil=True, parallel=True)
def _bin(
    screen: npt.NDArray[np.float32],
    columns: int,
    rows: int,
    cursors: npt.NDArray[np.int64],
    pairs: npt.NDArray[np.int32],
) -> None:
    """Visit each tile that a splat's ellipse touches: count it in ``cursors``, or write the splat at the cursor."""
    write = len(pairs) > 0
    count = len(screen)
    for chunk in prange(CHUNKS):
        cursor = cursors[chunk]
        for i in range(chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS):
            mx, my = np.float64(screen[i, pj.X]), np.float64(screen[i, pj.Y])
            a, b, c = screen[i, pj.CONIC_XX], screen[i, pj.CONIC_XY], screen[i, pj.CONIC_YY]
            t = np.float64(screen[i, pj.T])
            ry = math.sqrt(t * screen[i, pj.VAR_Y])
            # The height at which the ellipse reaches farthest right; farthest left at its negative.
            turn = screen[i, pj.COV_XY] * math.sqrt(t / screen[i, pj.VAR_X])
            first = int(max(0.0, math.floor((my - ry) / TILE)))
            last = int(min(rows - 1.0, math.floor((my + ry) / TILE)))
            for row in range(first, last + 1):
                low = max(row * TILE - my, -ry)
                high = min(row * TILE + (TILE - 1.0) - my, ry)
                dy = min(max(turn, low), high)
                right = (math.sqrt(max(0.0, b * b * dy * dy - a * (c * dy * dy - t))) - b * dy) / a
                dy = min(max(-turn, low), high)
                left = (-math.sqrt(max(0.0, b * b * dy * dy - a * (c * dy * dy - t))) - b * dy) / a
                from_column = int(max(0.0, math.floor((mx + left - 0.01) / TILE)))
                to_column = int(min(columns - 1.0, math.floor((mx + right + 0.01) / TILE)))
                for tile in range(row * columns + from_column, row * columns + to_column + 1):
                    if write:
                        pairs[cursor[tile]] = i
                    cursor[tile] += 1


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
    zero, one, eighth = np.float32(0.0), np.float32(1.0), np.float32(0.125)
    floor, ceiling, closing = np.float32(pj.MIN_ALPHA), np.float32(MAX_ALPHA), np.float32(MIN_TRANSMITTANCE)
    lowest = np.float32(-0.7)
    # Pixels of a tile lie in one line, so that one loop over all rows of a splat is vectorised.
    pixel_x, pixel_y = np.empty(TILE * TILE, np.float32), np.empty(TILE * TILE, np.float32)
    for i in range(TILE * TILE):
        pixel_x[i], pixel_y[i] = i % TILE, i // TILE
    for tile in prange(len(offsets) - 1):
        left, top = (tile % columns) * TILE, (tile // columns) * TILE
        wide, high = min(TILE, width - left), min(TILE, height - top)
        passed = np.ones(TILE * TILE, np.float32)
        is_open = np.zeros(TILE * TILE, np.float32)
        for row in range(high):
            is_open[row * TILE : row * TILE + wide] = one
        red, green, blue = (
            np.zeros(TILE * TILE, np.float32),
            np.zeros(TILE * TILE, np.float32),
            np.zeros(TILE * TILE, np.float32),
        )
        first_open, last_open = 0, high - 1
        for n in range(offsets[tile], offsets[tile + 1]):
            if (n - offsets[tile]) % LIVE_CHECK == 0:
                while first_open <= last_open and is_open[first_open * TILE : first_open * TILE + TILE].sum() == zero:
                    first_open += 1
                while first_open <= last_open and is_open[last_open * TILE : last_open * TILE + TILE].sum() == zero:
                    last_open -= 1
                if first_open > last_open:
                    break
            s = screen[pairs[n]]
            half = -eighth / np.float32(2.0)
            a, b, c = half * s[pj.CONIC_XX], -eighth * s[pj.CONIC_XY], half * s[pj.CONIC_YY]
            mx, my, opacity = s[pj.X] - np.float32(left), s[pj.Y] - np.float32(top), s[pj.OPACITY]
            sr, sg, sb = s[pj.RED], s[pj.GREEN], s[pj.BLUE]
            ry = math.sqrt(s[pj.T] * s[pj.VAR_Y]) + np.float32(0.01)
            first = max(first_open, math.ceil(max(my - ry, np.float32(-1.0))))
            last = min(last_open, math.floor(min(my + ry, np.float32(TILE))))
            for k in range((last + 1 - first) * TILE):
                # Unsigned: an index that might count from the end would stop the vectoriser.
                i = np.uint64(first * TILE) + np.uint64(k)
                dx, dy = pixel_x[i] - mx, pixel_y[i] - my
                u = (a * dx + b * dy) * dx + c * dy * dy
                v = max(u, lowest)
                e = ((((E5 * v + E4) * v + E3) * v + E2) * v + E1) * v + E0
                e *= e
                e *= e
                e *= e
                alpha = min(opacity * e, ceiling)
                drawn = (alpha >= floor) & (u <= zero)
                alpha = alpha * is_open[i] if drawn else zero
                t = passed[i]
                rest = t * (one - alpha)
                closes = rest < closing
                weight = zero if closes else alpha * t
                is_open[i] = zero if closes else is_open[i]
                passed[i] = t if closes else rest
                red[i] += weight * sr
                green[i] += weight * sg
                blue[i] += weight * sb
        for row in range(high):
            for i in range(wide):
                t = passed[row * TILE + i]
                image[top + row, left + i, 0] = red[row * TILE + i] + t * ground[0]
                image[top + row, left + i, 1] = green[row * TILE + i] + t * ground[1]
                image[top + row, left + i, 2] = blue[row * TILE + i] + t * ground[2]
