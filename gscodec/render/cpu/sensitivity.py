"""Gradients of one number made of a view, by what importance scores look at. Plain numpy in and out: no torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.render.cpu import ellipse as el
from gscodec.render.cpu import projection as pj
from gscodec.render.cpu import projection_gradient as pg
from gscodec.render.cpu.backward import _blend_gradient, _sum_tiles
from gscodec.render.cpu.forward import background_colour, blend
from gscodec.render.cpu.tiles import projection_arguments, tile_view
from gscodec.render.measuring import Gradients
from gscodec.render.protocol import BLACK
from gscodec.scene.camera import Camera

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def gradients(
    cloud: GaussianCloud, camera: Camera, photo: F32 | None = None, *, centre_limit: float = pj.CENTRE_LIMIT
) -> Gradients:
    """The gradient of the sum of all values of the view, on black; with ``photo``, of the mean absolute error.

    ``photo``: float32 [height, width, 3]. The same bits for any number of threads. Raises BadInputError for a photo
    of another shape and for more than 2**30 splat-tile pairs. Needs 40 bytes for each such pair.
    """
    view = tile_view(cloud, camera, centre_limit)
    image = blend(view, camera, background_colour(BLACK))
    if photo is None:
        by_image = np.ones_like(image)
    else:
        if photo.shape != image.shape:
            raise BadInputError("wrong shape", field="photo", found=photo.shape, allowed=image.shape)
        by_image = np.sign(image - photo).astype(np.float32) / np.float32(image.size)
    per_pair = np.zeros((len(view.pairs), pg.COLUMNS), np.float32)
    _blend_gradient(view.screen, view.offsets, view.pairs, view.columns, image, by_image, per_pair)
    per_splat = np.zeros((len(view.index), pg.COLUMNS), np.float64)
    _sum_tiles(view.pairs, per_pair, per_splat)
    count = len(cloud)

    def zeros(*shape: int) -> F32:
        return np.zeros((count, *shape), np.float32)

    found = Gradients(zeros(3), zeros(2), zeros(cloud.sh_rest.shape[1] + 1, 3), zeros(6))
    arguments = projection_arguments(cloud, camera)
    not_used = zeros(3), zeros(4), zeros()
    results = (found.positions, *not_used, found.sh, found.screen_means)
    backward_arguments = (*arguments, view.index, per_splat, *results)
    pg.project_gradient(*backward_arguments)
    positions, log_scales, quats, _, _, _, matrix, _, intrinsics, antialiased = arguments
    _by_covariance(
        positions, log_scales, quats, matrix, intrinsics, antialiased, view.index, per_splat, found.covariances
    )
    return found


@njit(cache=True, nogil=True, parallel=True)
def _by_covariance(
    positions: F32,
    log_scales: F32,
    quats: F32,
    view: F64,
    intrinsics: F64,
    antialiased: bool,
    index: npt.NDArray[np.int64],
    screen_gradient: F64,
    result: F32,
) -> None:
    """Write the rows ``index`` [M] of ``result`` [N,6] from ``screen_gradient`` [M, projection_gradient.COLUMNS]."""
    for block in prange((len(index) + 1023) // 1024):
        for n in range(block * 1024, min(len(index), block * 1024 + 1024)):
            i, g = index[n], screen_gradient[n]
            row_u, row_v = el.pixel_rows(el.camera_point(positions[i], view), view, intrinsics)
            splat = el.axes(log_scales[i], quats[i])
            u, v = el.along_axes(row_u, splat), el.along_axes(row_v, splat)
            xx, xy, yy = el.dot(u, u), el.dot(u, v), el.dot(v, v)
            wide, high = xx + pj.DILATION, yy + pj.DILATION
            det = wide * high - xy * xy
            a, b, c = high / det, -xy / det, wide / det
            # power = -(offset K offset) / 2 with K the inverse of the covariance: by the covariance, half of K times
            # the sums of the offsets' products times K.
            left, right = a * g[pg.SUM_XX] + b * g[pg.SUM_XY], a * g[pg.SUM_XY] + b * g[pg.SUM_YY]
            low_left, low_right = b * g[pg.SUM_XX] + c * g[pg.SUM_XY], b * g[pg.SUM_XY] + c * g[pg.SUM_YY]
            by_xx, by_yy = 0.5 * (left * a + right * b), 0.5 * (low_left * b + low_right * c)
            by_xy = left * b + right * c
            sharp = xx * yy - xy * xy
            if antialiased and sharp > 0.0:
                by_sharp, by_det = 0.5 * g[pg.SUM] / sharp, -0.5 * g[pg.SUM] / det
                by_xx += yy * by_sharp + high * by_det
                by_yy += xx * by_sharp + wide * by_det
                by_xy -= 2.0 * xy * (by_sharp + by_det)
            entry = 0
            for j in range(3):
                for k in range(j, 3):
                    both = by_xx * row_u[j] * row_u[k] + by_yy * row_v[j] * row_v[k]
                    both += 0.5 * by_xy * (row_u[j] * row_v[k] + row_u[k] * row_v[j])
                    result[i, entry] = both if j == k else 2.0 * both
                    entry += 1
