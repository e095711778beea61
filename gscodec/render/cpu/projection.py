"""Splats to screen-space ellipses with a colour: the EWA projection of 3D Gaussian Splatting.

Kerbl et al. 2023, "3D Gaussian Splatting for Real-Time Radiance Field Rendering", section 4 and appendix A;
Zwicker et al. 2001, "EWA volume splatting", for the Jacobian; Yu et al. 2024, "Mip-Splatting", for the
opacity compensation of the antialiased mode.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.transform.harmonics import SH_DC, sh_basis

NEAR = float(np.float32(0.2))  # camera-space z, compared in single precision; not drawn at it or nearer
DILATION = 0.3  # pixels squared, added to both screen variances
GUARD = 1.3  # the Jacobian is taken at most at this multiple of the half field of view
CENTRE_LIMIT = 1.5  # splats whose centre lies beyond this multiple of it are not drawn
MIN_ALPHA = 1.0 / 255.0

Row = tuple[float, float, float]

# Columns of the screen-space table; depth is camera z, t bounds the ellipse: x' conic x <= t where alpha >= MIN_ALPHA.
X, Y, CONIC_XX, CONIC_XY, CONIC_YY, OPACITY, RED, GREEN, BLUE, DEPTH, VAR_X, VAR_Y, COV_XY, T = range(14)
COLUMNS = 14


@njit(cache=True, nogil=True)
def jacobian_row(view: npt.NDArray[np.float64], row: int, scale: float, slope: float) -> Row:
    """A row of J·W: what a world offset adds to the pixel; scale = focal length / z, slope = x / z or y / z."""
    return (
        scale * (view[row, 0] - slope * view[2, 0]),
        scale * (view[row, 1] - slope * view[2, 1]),
        scale * (view[row, 2] - slope * view[2, 2]),
    )


@njit(cache=True, nogil=True)
def rotation_matrix(w: float, x: float, y: float, z: float, k: float) -> tuple[Row, Row, Row]:
    """The rows of the rotation of a quaternion; k = 2 / its squared norm."""
    return (
        (1.0 - k * (y * y + z * z), k * (x * y - w * z), k * (x * z + w * y)),
        (k * (x * y + w * z), 1.0 - k * (x * x + z * z), k * (y * z - w * x)),
        (k * (x * z - w * y), k * (y * z + w * x), 1.0 - k * (x * x + y * y)),
    )


@njit(cache=True, nogil=True, parallel=True)
def project(
    positions: npt.NDArray[np.float32],
    log_scales: npt.NDArray[np.float32],
    quats: npt.NDArray[np.float32],
    logits: npt.NDArray[np.float32],
    sh_dc: npt.NDArray[np.float32],
    sh_rest: npt.NDArray[np.float32],
    view: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    intrinsics: npt.NDArray[np.float64],
    antialiased: bool,
    centre_limit: float,
    screen: npt.NDArray[np.float32],
    visible: npt.NDArray[np.uint8],
) -> None:
    """Fill ``screen`` [N, COLUMNS] and ``visible`` [N]; intrinsics = (width, height, fx, fy, cx, cy).

    With GUARD alone, a large splat far outside the view is drawn by a Jacobian taken elsewhere and smears into
    the border of the image; trainers differ in whether they keep it. Hence ``centre_limit``, infinite for all.
    """
    width, height, fx, fy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    # A pixel's index is its centre's coordinate less one half.
    cx, cy = intrinsics[4] - 0.5, intrinsics[5] - 0.5
    guard_x, guard_y = GUARD * 0.5 * width / fx, GUARD * 0.5 * height / fy
    limit_x, limit_y = centre_limit * 0.5 * width / fx, centre_limit * 0.5 * height / fy
    count = sh_rest.shape[1]
    blocks = (len(positions) + 1023) // 1024
    for block in prange(blocks):
        basis = np.empty(24, np.float64)
        for i in range(block * 1024, min(len(positions), block * 1024 + 1024)):
            visible[i] = 0
            px, py, pz = np.float64(positions[i, 0]), np.float64(positions[i, 1]), np.float64(positions[i, 2])
            z = view[2, 0] * px + view[2, 1] * py + view[2, 2] * pz + view[2, 3]
            if not z > NEAR or not z < 1e30:
                continue
            opacity = 1.0 / (1.0 + math.exp(-np.float64(logits[i])))
            if not opacity >= MIN_ALPHA:
                continue
            x = (view[0, 0] * px + view[0, 1] * py + view[0, 2] * pz + view[0, 3]) / z
            y = (view[1, 0] * px + view[1, 1] * py + view[1, 2] * pz + view[1, 3]) / z
            if not (abs(x) <= limit_x and abs(y) <= limit_y):
                continue
            # Rows of J·W: two 3-vectors that take a world offset to pixels.
            gx, gy = min(max(x, -guard_x), guard_x), min(max(y, -guard_y), guard_y)
            ux, uy, uz = jacobian_row(view, 0, fx / z, gx)
            vx, vy, vz = jacobian_row(view, 1, fy / z, gy)
            # The same in the splat's axes, scaled: J·W·R·S.
            qw, qx = np.float64(quats[i, 0]), np.float64(quats[i, 1])
            qy, qz = np.float64(quats[i, 2]), np.float64(quats[i, 3])
            norm = qw * qw + qx * qx + qy * qy + qz * qz
            if not norm > 0.0:
                continue
            s0, s1, s2 = math.exp(log_scales[i, 0]), math.exp(log_scales[i, 1]), math.exp(log_scales[i, 2])
            (r00, r01, r02), (r10, r11, r12), (r20, r21, r22) = rotation_matrix(qw, qx, qy, qz, 2.0 / norm)
            u0, u1, u2 = (
                s0 * (ux * r00 + uy * r10 + uz * r20),
                s1 * (ux * r01 + uy * r11 + uz * r21),
                s2 * (ux * r02 + uy * r12 + uz * r22),
            )
            v0, v1, v2 = (
                s0 * (vx * r00 + vy * r10 + vz * r20),
                s1 * (vx * r01 + vy * r11 + vz * r21),
                s2 * (vx * r02 + vy * r12 + vz * r22),
            )
            sxx, sxy, syy = u0 * u0 + u1 * u1 + u2 * u2, u0 * v0 + u1 * v1 + u2 * v2, v0 * v0 + v1 * v1 + v2 * v2
            cxx, cyy = sxx + DILATION, syy + DILATION
            det = cxx * cyy - sxy * sxy
            if not det > 0.0 or not det < 1e30:
                continue
            if antialiased:
                opacity *= math.sqrt(max(0.0, (sxx * syy - sxy * sxy) / det))
                if not opacity >= MIN_ALPHA:
                    continue
            # Slack keeps pixels whose alpha rounds up to the threshold inside the bounds.
            t = 2.0 * math.log(opacity / MIN_ALPHA) + 1e-3
            mx, my = fx * x + cx, fy * y + cy
            rx, ry = math.sqrt(t * cxx), math.sqrt(t * cyy)
            if not (mx + rx >= 0.0 and mx - rx <= width - 1.0 and my + ry >= 0.0 and my - ry <= height - 1.0):
                continue
            dx, dy, dz = px - centre[0], py - centre[1], pz - centre[2]
            inverse = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
            sh_basis(dx * inverse, dy * inverse, dz * inverse, count, basis)
            red = 0.5 + SH_DC * sh_dc[i, 0]
            green = 0.5 + SH_DC * sh_dc[i, 1]
            blue = 0.5 + SH_DC * sh_dc[i, 2]
            for c in range(count):
                red += basis[c] * sh_rest[i, c, 0]
                green += basis[c] * sh_rest[i, c, 1]
                blue += basis[c] * sh_rest[i, c, 2]
            screen[i, X], screen[i, Y], screen[i, DEPTH] = mx, my, z
            screen[i, CONIC_XX], screen[i, CONIC_XY], screen[i, CONIC_YY] = cyy / det, -sxy / det, cxx / det
            screen[i, OPACITY] = opacity
            screen[i, RED], screen[i, GREEN], screen[i, BLUE] = max(red, 0.0), max(green, 0.0), max(blue, 0.0)
            screen[i, VAR_X], screen[i, VAR_Y], screen[i, COV_XY], screen[i, T] = cxx, cyy, sxy, t
            visible[i] = 1
