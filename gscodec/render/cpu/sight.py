"""How much of each splat views show, for an encoder: contributions in cells of several pixels.

Splats are blurred by a cell and keep the light that they take, so that cells tell nearly what pixels do, several times
as fast. Views are looked at on one thread each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import numpy.typing as npt
from numba import njit

from gscodec.cloud import GaussianCloud
from gscodec.config import Visibility, no_progress
from gscodec.render.cpu import pixels as px
from gscodec.render.cpu import projection as pj
from gscodec.sanitise import usable
from gscodec.scene.camera import Camera
from gscodec.scene.depths import rough_order

F32 = npt.NDArray[np.float32]

CELLS = 160  # across an image; no cell is smaller than a pixel
BLUR = 0.2  # variance of a cell, in cells
SAMPLE_SPLATS = 65536  # of which it is kept what each view alone shows
BEST_VIEWS = 3  # that tell how clear a splat is
FAINT = 0.05  # pixels of light below which a view does not tell how clear a splat is
FARTHEST, LONGEST = 1e15, 18.0  # world units, log scale: what is beyond overflows single precision
AT_ONCE = 1 << 26  # splats of all views that are looked at together, some 52 bytes each
WIDE = 16  # cells: broader ellipses are worth the search for the ends of each row
GATHERED = 256  # splats fetched at a time, so that waiting for memory overlaps

# Columns of what stays the same for all views ...
X, Y, Z, XX, XY, XZ, YY, YZ, ZZ, OPACITY = range(10)
# ... and of a splat in one view: its centre and how far it reaches, in cells, the largest alpha, and x' conic x where
# it is cut off; 1 / variance within a row, and how its middle moves from row to row.
AT_X, AT_Y, REACH_X, REACH_Y, PEAK, CUT, ROW, SLANT = range(8)
COLUMNS = 8


def visibility(
    cloud: GaussianCloud,
    views: Sequence[Camera],
    doubt: float,
    progress: Callable[[str, float], None] = no_progress,
) -> Visibility:
    """What ``views`` show of a cloud's splats, ``doubt`` as Visibility has it; nothing of splats that no file keeps.

    The same for any number of threads, of which it takes as many as numba has, but for very large clouds.

    ``progress``: called with ("looking", share of the views done). Raises BadInputError as Visibility.
    """
    count = len(cloud)
    table = np.zeros((count, 10), np.float32)
    _prepare(cloud.positions, cloud.log_scales, cloud.quats_wxyz, cloud.opacity_logits, table)
    table[~usable(cloud)[0], OPACITY] = 0.0
    sample = np.arange(0, count, max(-(-count // SAMPLE_SPLATS), 1))
    weights, of_sample = np.zeros(count), np.zeros((len(views), len(sample)), np.float32)
    best = np.zeros((count, min(BEST_VIEWS, len(views))), np.float32)
    known = np.zeros(count, np.bool_)
    threads = max(1, min(numba.get_num_threads(), AT_ONCE // max(count, 1)))
    antialiased = cloud.meta.render_mode == "antialiased"
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(views), threads):
            progress("looking", start / len(views))
            now = views[start : start + threads]
            seen = pool.map(lambda view: look(table, view, antialiased), now)
            for number, (shown, alone) in enumerate(seen, start):
                of_sample[number] = shown[sample]
                _add(shown, alone, weights, best, known)
    clear = best.mean(axis=1)
    clear[~known] = clear[known].mean() if known.any() else 1.0
    return Visibility(weights, doubt, np.array([view.centre for view in views]), sample, of_sample, clear)


def look(table: F32, camera: Camera, antialiased: bool, cells: float = CELLS, blur: float = BLUR) -> tuple[F32, F32]:
    """What a camera shows of each splat of a ``table`` [N,10]: float32 [N], the sum of alpha·T over pixels, and the
    same as if nothing were before it.
    """
    cell = max(1.0, camera.width / cells)
    shown, alone = np.zeros((2, len(table)), np.float32)
    intrinsics = np.array([camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy])
    splats, depths, index = _project(table, camera.world_to_camera, intrinsics, cell, np.float32(blur), antialiased)
    columns, rows = math.ceil(camera.width / cell), math.ceil(camera.height / cell)
    _blend(splats, index, rough_order(depths), columns, rows, np.float32(cell * cell), shown, alone)
    return shown, alone


@njit(cache=True, nogil=True)
def _prepare(positions: F32, log_scales: F32, quats: F32, logits: F32, table: F32) -> None:
    """Fill ``table`` with positions, covariances and opacities; opacity 0 for what is never drawn."""
    for i in range(len(table)):
        w, x, y, z = np.float64(quats[i, 0]), np.float64(quats[i, 1]), np.float64(quats[i, 2]), np.float64(quats[i, 3])
        norm = w * w + x * x + y * y + z * z
        opacity = 1.0 / (1.0 + math.exp(-np.float64(logits[i])))
        usable = norm > 0.0 and norm < 1e30 and opacity >= pj.MIN_ALPHA and logits[i] < np.inf
        for axis in range(3):
            usable &= abs(positions[i, axis]) < FARTHEST and -np.inf < log_scales[i, axis] < LONGEST
        if not usable:
            continue
        first, second, third = pj.rotation_matrix(w, x, y, z, 2.0 / norm)
        a, b, c = math.exp(2.0 * log_scales[i, 0]), math.exp(2.0 * log_scales[i, 1]), math.exp(2.0 * log_scales[i, 2])
        table[i, X], table[i, Y], table[i, Z] = positions[i, 0], positions[i, 1], positions[i, 2]
        table[i, XX] = a * first[0] * first[0] + b * first[1] * first[1] + c * first[2] * first[2]
        table[i, XY] = a * first[0] * second[0] + b * first[1] * second[1] + c * first[2] * second[2]
        table[i, XZ] = a * first[0] * third[0] + b * first[1] * third[1] + c * first[2] * third[2]
        table[i, YY] = a * second[0] * second[0] + b * second[1] * second[1] + c * second[2] * second[2]
        table[i, YZ] = a * second[0] * third[0] + b * second[1] * third[1] + c * second[2] * third[2]
        table[i, ZZ] = a * third[0] * third[0] + b * third[1] * third[1] + c * third[2] * third[2]
        table[i, OPACITY] = opacity


@njit(cache=True, nogil=True, error_model="numpy")
def _project(
    table: F32,
    view: npt.NDArray[np.float64],
    intrinsics: npt.NDArray[np.float64],
    cell: float,
    blur: np.float32,
    antialiased: bool,
) -> tuple[F32, F32, npt.NDArray[np.int32]]:
    """As projection.project. Of the splats in the image: what _blend needs [m,8], depths [m], which they are [m]."""
    width, height, fx, fy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    guard_x, guard_y = np.float32(pj.GUARD * 0.5 * width / fx), np.float32(pj.GUARD * 0.5 * height / fy)
    limit_x, limit_y = np.float32(pj.CENTRE_LIMIT * 0.5 * width / fx), np.float32(pj.CENTRE_LIMIT * 0.5 * height / fy)
    columns, rows = math.ceil(width / cell), math.ceil(height / cell)
    v, focal_x, focal_y = view.astype(np.float32), np.float32(fx / cell), np.float32(fy / cell)
    centre_x, centre_y = np.float32(intrinsics[4] / cell - 0.5), np.float32(intrinsics[5] / cell - 0.5)
    dilation = np.float32(pj.DILATION / (cell * cell))
    zero, one, two, most, least = np.float32(0), np.float32(1), np.float32(2), np.float32(1e30), np.float32(1e-9)
    floor = np.float32(pj.MIN_ALPHA)
    splats, depths = np.empty((len(table), COLUMNS), np.float32), np.empty(len(table), np.float32)
    index, count = np.empty(len(table), np.int32), 0
    for i in range(len(table)):
        s = table[i]
        z = v[2, 0] * s[X] + v[2, 1] * s[Y] + v[2, 2] * s[Z] + v[2, 3]
        if not z > pj.NEAR or not s[OPACITY] > zero:
            continue
        x = (v[0, 0] * s[X] + v[0, 1] * s[Y] + v[0, 2] * s[Z] + v[0, 3]) / z
        y = (v[1, 0] * s[X] + v[1, 1] * s[Y] + v[1, 2] * s[Z] + v[1, 3]) / z
        if not (abs(x) <= limit_x and abs(y) <= limit_y):
            continue
        gx, gy = min(max(x, -guard_x), guard_x), min(max(y, -guard_y), guard_y)
        kx, ky = focal_x / z, focal_y / z
        ux, uy, uz = kx * (v[0, 0] - gx * v[2, 0]), kx * (v[0, 1] - gx * v[2, 1]), kx * (v[0, 2] - gx * v[2, 2])
        wx, wy, wz = ky * (v[1, 0] - gy * v[2, 0]), ky * (v[1, 1] - gy * v[2, 1]), ky * (v[1, 2] - gy * v[2, 2])
        tx, ty = s[XX] * ux + s[XY] * uy + s[XZ] * uz, s[XY] * ux + s[YY] * uy + s[YZ] * uz
        tz = s[XZ] * ux + s[YZ] * uy + s[ZZ] * uz
        cxx, cxy = ux * tx + uy * ty + uz * tz, wx * tx + wy * ty + wz * tz
        tx, ty = s[XX] * wx + s[XY] * wy + s[XZ] * wz, s[XY] * wx + s[YY] * wy + s[YZ] * wz
        tz = s[XZ] * wx + s[YZ] * wy + s[ZZ] * wz
        cyy = wx * tx + wy * ty + wz * tz
        # The rasteriser's dilation adds light unless the splat's opacity makes up for it; a cell's blur does not.
        lit = cxx * cyy if antialiased else (cxx + dilation) * (cyy + dilation)
        cxx, cyy = cxx + dilation + blur, cyy + dilation + blur
        # Differences of large numbers: of a needle they keep nothing but the bounds that a covariance has.
        wider = dilation + blur
        det = max(cxx * cyy - cxy * cxy, wider * (cxx + cyy - wider))
        if not det > zero or not det < most:
            continue
        own = zero if antialiased else dilation
        area = max(lit - cxy * cxy, own * (cxx + cyy - two * wider + own))
        peak = s[OPACITY] * math.sqrt(min(area, det) / det)
        if not peak > least:
            continue
        cut = max(two * math.log(peak / floor), one)
        at_x, at_y = focal_x * x + centre_x, focal_y * y + centre_y
        reach_x, reach_y = math.sqrt(cut * cxx), math.sqrt(cut * cyy)
        if not (at_x + reach_x >= zero and at_x - reach_x <= columns - one):
            continue
        if not (at_y + reach_y >= zero and at_y - reach_y <= rows - one):
            continue
        found = splats[count]
        found[AT_X], found[AT_Y], found[PEAK], found[CUT] = at_x, at_y, peak, cut
        found[REACH_X], found[REACH_Y], found[ROW], found[SLANT] = reach_x, reach_y, cyy / det, cxy / cyy
        depths[count], index[count] = z, i
        count += 1
    return splats[:count], depths[:count], index[:count]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _blend(
    splats: F32,
    index: npt.NDArray[np.int32],
    order: npt.NDArray[np.int32],
    columns: int,
    rows: int,
    cell_area: np.float32,
    shown: F32,
    alone: F32,
) -> None:
    """Composite front to back; ``shown`` and ``alone`` [N] get the light of each splat in pixels."""
    zero, sixteenth = np.float32(0.0), np.float32(0.0625)
    # Cells beyond the image, which a loop over a row may touch, are dark.
    passed, inside = np.zeros((rows, columns + 8), np.float32), np.zeros(columns + 8, np.float32)
    passed[:, :columns], inside[:columns] = np.float32(1.0), np.float32(1.0)
    near = np.empty((GATHERED, COLUMNS), np.float32)
    for n in range(len(order)):
        if n % GATHERED == 0:
            for k in range(min(GATHERED, len(order) - n)):
                near[k] = splats[order[n + k]]
        s = near[n % GATHERED]
        at_x, at_y, peak, cut, inverse, slant = s[AT_X], s[AT_Y], s[PEAK], s[CUT], s[ROW], s[SLANT]
        top, bottom = max(math.ceil(at_y - s[REACH_Y]), 0), min(math.floor(at_y + s[REACH_Y]), rows - 1)
        left, right = max(math.ceil(at_x - s[REACH_X]), 0), min(math.floor(at_x + s[REACH_X]), columns - 1)
        first, last = left, right
        square, lowest = -sixteenth * inverse, max(-sixteenth * cut, px.LOWEST)
        down = cut / (s[REACH_Y] * s[REACH_Y])  # 1 / the variance of rows
        light, full = zero, zero
        for row in range(top, bottom + 1):
            dy = np.float32(row) - at_y
            middle, constant = at_x + slant * dy, -sixteenth * down * dy * dy
            if right - left > WIDE:
                half = math.sqrt(max(cut - down * dy * dy, zero) / inverse)
                first, last = max(math.ceil(middle - half), left), min(math.floor(middle + half), right)
            line, start = passed[row], np.float32(first) - middle
            # Whole groups of eight, as vector instructions take them; alpha is 0 beyond the ellipse.
            for k in range((last - first + 8) // 8 * 8):
                i = np.uint64(first) + np.uint64(k)
                dx = start + np.float32(k)
                u = square * dx * dx + constant
                alpha = min(peak * px.exp_eighths(u), px.CEILING)
                alpha = alpha if u > lowest else zero
                taken = alpha * line[i]
                light += taken
                full += alpha * inside[i]
                line[i] -= taken
        shown[index[order[n]]], alone[index[order[n]]] = light * cell_area, full * cell_area


@njit(cache=True, nogil=True)
def _add(shown: F32, alone: F32, weights: npt.NDArray[np.float64], best: F32, known: npt.NDArray[np.bool_]) -> None:
    """Add a view to the sums ``weights`` [N], and to the ``best`` shares [N, at most 3] of light that comes through."""
    for i in range(len(weights)):
        weights[i] += shown[i]
        if not alone[i] > FAINT:
            continue
        known[i] = True
        share = min(shown[i] / alone[i], np.float32(1.0))
        for place in range(best.shape[1]):
            share, best[i, place] = min(share, best[i, place]), max(share, best[i, place])
