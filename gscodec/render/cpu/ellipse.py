"""A splat's ellipse in the image as a function of its parameters, for derivatives; what projection.project computes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from gscodec.render.cpu import projection as pj

Row = tuple[float, float, float]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)
def camera_point(position: F32, view: F64) -> Row:
    """Slopes x/z and y/z, and the depth z, of a position in the world [3]."""
    px, py, pz = np.float64(position[0]), np.float64(position[1]), np.float64(position[2])
    z = view[2, 0] * px + view[2, 1] * py + view[2, 2] * pz + view[2, 3]
    x = (view[0, 0] * px + view[0, 1] * py + view[0, 2] * pz + view[0, 3]) / z
    y = (view[1, 0] * px + view[1, 1] * py + view[1, 2] * pz + view[1, 3]) / z
    return x, y, z


@njit(cache=True, nogil=True)
def guard_band(intrinsics: F64) -> tuple[float, float]:
    """The slopes at which the Jacobian stays; intrinsics as projection.project has them."""
    width, height, fx, fy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    return pj.GUARD * 0.5 * width / fx, pj.GUARD * 0.5 * height / fy


@njit(cache=True, nogil=True)
def pixel_rows(point: Row, view: F64, intrinsics: F64) -> tuple[Row, Row]:
    """Rows of J·W: what takes a world offset at ``point`` (from camera_point) to pixels x and y."""
    x, y, z = point
    guard_x, guard_y = guard_band(intrinsics)
    u = pj.jacobian_row(view, 0, intrinsics[2] / z, min(max(x, -guard_x), guard_x))
    v = pj.jacobian_row(view, 1, intrinsics[3] / z, min(max(y, -guard_y), guard_y))
    return u, v


@njit(cache=True, nogil=True)
def axes(log_scales: F32, quat: F32) -> tuple[Row, Row, Row]:
    """The rows of R·S: the splat's axes as columns, each as long as its scale."""
    w, x, y, z = np.float64(quat[0]), np.float64(quat[1]), np.float64(quat[2]), np.float64(quat[3])
    r0, r1, r2 = pj.rotation_matrix(w, x, y, z, 2.0 / (w * w + x * x + y * y + z * z))
    s0, s1, s2 = math.exp(log_scales[0]), math.exp(log_scales[1]), math.exp(log_scales[2])
    return (
        (r0[0] * s0, r0[1] * s1, r0[2] * s2),
        (r1[0] * s0, r1[1] * s1, r1[2] * s2),
        (r2[0] * s0, r2[1] * s1, r2[2] * s2),
    )


@njit(cache=True, nogil=True)
def along_axes(row: Row, splat: tuple[Row, Row, Row]) -> Row:
    """A row of J·W (or a derivative of one) times R·S."""
    (a0, a1, a2), (b0, b1, b2), (c0, c1, c2) = splat
    x, y, z = row
    return x * a0 + y * b0 + z * c0, x * a1 + y * b1 + z * c1, x * a2 + y * b2 + z * c2


@njit(cache=True, nogil=True)
def dot(a: Row, b: Row) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
