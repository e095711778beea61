"""The gradient of the projection: from screen-space ellipses and colours back to a splat's parameters.

What projection.project does, differentiated step by step in double precision. A clamped value (a colour at 0, the
Jacobian at the guard band) passes no gradient.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.render.cpu import projection as pj
from gscodec.transform.harmonics import SH_DC, sh_basis, sh_direction_gradient

# Columns of the gradients that the blending hands over; SUM_*: of the gradient by the power times powers of the
# pixel's offset from the splat's centre, summed over pixels.
RED, GREEN, BLUE, SUM, SUM_X, SUM_Y, SUM_XX, SUM_XY, SUM_YY = range(9)
COLUMNS = 9


@njit(cache=True, nogil=True, parallel=True)
def project_gradient(
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
    index: npt.NDArray[np.int64],
    screen_gradient: npt.NDArray[np.float64],
    positions_gradient: npt.NDArray[np.float32],
    log_scales_gradient: npt.NDArray[np.float32],
    quats_gradient: npt.NDArray[np.float32],
    logits_gradient: npt.NDArray[np.float32],
    sh_gradient: npt.NDArray[np.float32],
    means_gradient: npt.NDArray[np.float32],
) -> None:
    """Write the rows ``index`` [M] of the six gradients from ``screen_gradient`` [M, COLUMNS].

    The arguments up to ``antialiased`` are those of project; ``sh_gradient`` is [N, K+1, 3], DC first, and
    ``means_gradient`` [N, 2] is by the splat's centre in pixels.
    """
    width, height, fx, fy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    guard_x, guard_y = pj.GUARD * 0.5 * width / fx, pj.GUARD * 0.5 * height / fy
    count = sh_rest.shape[1]
    blocks = (len(index) + 1023) // 1024
    for block in prange(blocks):
        basis, by_basis = np.empty(24, np.float64), np.empty(24, np.float64)
        for n in range(block * 1024, min(len(index), block * 1024 + 1024)):
            i, g = index[n], screen_gradient[n]
            # Forward again.
            px, py, pz = np.float64(positions[i, 0]), np.float64(positions[i, 1]), np.float64(positions[i, 2])
            z = view[2, 0] * px + view[2, 1] * py + view[2, 2] * pz + view[2, 3]
            x = (view[0, 0] * px + view[0, 1] * py + view[0, 2] * pz + view[0, 3]) / z
            y = (view[1, 0] * px + view[1, 1] * py + view[1, 2] * pz + view[1, 3]) / z
            gx, gy = min(max(x, -guard_x), guard_x), min(max(y, -guard_y), guard_y)
            ux, uy, uz = pj.jacobian_row(view, 0, fx / z, gx)
            vx, vy, vz = pj.jacobian_row(view, 1, fy / z, gy)
            qw, qx = np.float64(quats[i, 0]), np.float64(quats[i, 1])
            qy, qz = np.float64(quats[i, 2]), np.float64(quats[i, 3])
            length = math.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
            qw, qx, qy, qz = qw / length, qx / length, qy / length, qz / length
            (r00, r01, r02), (r10, r11, r12), (r20, r21, r22) = pj.rotation_matrix(qw, qx, qy, qz, 2.0)
            s0, s1, s2 = math.exp(log_scales[i, 0]), math.exp(log_scales[i, 1]), math.exp(log_scales[i, 2])
            u0, v0 = s0 * (ux * r00 + uy * r10 + uz * r20), s0 * (vx * r00 + vy * r10 + vz * r20)
            u1, v1 = s1 * (ux * r01 + uy * r11 + uz * r21), s1 * (vx * r01 + vy * r11 + vz * r21)
            u2, v2 = s2 * (ux * r02 + uy * r12 + uz * r22), s2 * (vx * r02 + vy * r12 + vz * r22)
            sxx, sxy, syy = u0 * u0 + u1 * u1 + u2 * u2, u0 * v0 + u1 * v1 + u2 * v2, v0 * v0 + v1 * v1 + v2 * v2
            cxx, cyy = sxx + pj.DILATION, syy + pj.DILATION
            det = cxx * cyy - sxy * sxy
            a, b, c = cyy / det, -sxy / det, cxx / det

            # Centre and conic: power = -(a dx dx + c dy dy) / 2 - b dx dy, d the pixel less the centre.
            by_mx, by_my = a * g[SUM_X] + b * g[SUM_Y], b * g[SUM_X] + c * g[SUM_Y]
            by_a, by_b, by_c = -0.5 * g[SUM_XX], -g[SUM_XY], -0.5 * g[SUM_YY]
            # The derivative of an inverse: -K G K, with b's gradient shared by both sides of the diagonal.
            left, right = a * by_a + 0.5 * b * by_b, 0.5 * a * by_b + b * by_c
            low_left, low_right = b * by_a + 0.5 * c * by_b, 0.5 * b * by_b + c * by_c
            by_sxx, by_sxy = -(left * a + right * b), -2.0 * (left * b + right * c)
            by_syy = -(low_left * b + low_right * c)

            # Opacity; SUM is the gradient by its logarithm.
            opacity = 1.0 / (1.0 + math.exp(-np.float64(logits[i])))
            logits_gradient[i] = g[SUM] * (1.0 - opacity)
            if antialiased:
                # Half the logarithm of det before over det after dilation.
                by_det0, by_det = 0.5 * g[SUM] / (sxx * syy - sxy * sxy), -0.5 * g[SUM] / det
                by_sxx += syy * by_det0 + cyy * by_det
                by_syy += sxx * by_det0 + cxx * by_det
                by_sxy -= 2.0 * sxy * (by_det0 + by_det)

            # Covariance = (u, v)(u, v)^T; u = S R^T (row of J W).
            by_u0, by_v0 = 2.0 * by_sxx * u0 + by_sxy * v0, 2.0 * by_syy * v0 + by_sxy * u0
            by_u1, by_v1 = 2.0 * by_sxx * u1 + by_sxy * v1, 2.0 * by_syy * v1 + by_sxy * u1
            by_u2, by_v2 = 2.0 * by_sxx * u2 + by_sxy * v2, 2.0 * by_syy * v2 + by_sxy * u2
            log_scales_gradient[i, 0] = by_u0 * u0 + by_v0 * v0
            log_scales_gradient[i, 1] = by_u1 * u1 + by_v1 * v1
            log_scales_gradient[i, 2] = by_u2 * u2 + by_v2 * v2
            by_u0, by_u1, by_u2 = s0 * by_u0, s1 * by_u1, s2 * by_u2
            by_v0, by_v1, by_v2 = s0 * by_v0, s1 * by_v1, s2 * by_v2

            # Rotation, through the normalised quaternion and its normalisation.
            m00, m01, m02 = ux * by_u0 + vx * by_v0, ux * by_u1 + vx * by_v1, ux * by_u2 + vx * by_v2
            m10, m11, m12 = uy * by_u0 + vy * by_v0, uy * by_u1 + vy * by_v1, uy * by_u2 + vy * by_v2
            m20, m21, m22 = uz * by_u0 + vz * by_v0, uz * by_u1 + vz * by_v1, uz * by_u2 + vz * by_v2
            by_w = 2.0 * (qx * (m21 - m12) + qy * (m02 - m20) + qz * (m10 - m01))
            by_x = 2.0 * (qw * (m21 - m12) + qy * (m01 + m10) + qz * (m02 + m20)) - 4.0 * qx * (m11 + m22)
            by_y = 2.0 * (qw * (m02 - m20) + qx * (m01 + m10) + qz * (m12 + m21)) - 4.0 * qy * (m00 + m22)
            by_z = 2.0 * (qw * (m10 - m01) + qx * (m02 + m20) + qy * (m12 + m21)) - 4.0 * qz * (m00 + m11)
            along = by_w * qw + by_x * qx + by_y * qy + by_z * qz
            quats_gradient[i, 0], quats_gradient[i, 1] = (by_w - along * qw) / length, (by_x - along * qx) / length
            quats_gradient[i, 2], quats_gradient[i, 3] = (by_y - along * qy) / length, (by_z - along * qz) / length

            # Camera-space position: through the centre and through the Jacobian.
            by_ux, by_vx = r00 * by_u0 + r01 * by_u1 + r02 * by_u2, r00 * by_v0 + r01 * by_v1 + r02 * by_v2
            by_uy, by_vy = r10 * by_u0 + r11 * by_u1 + r12 * by_u2, r10 * by_v0 + r11 * by_v1 + r12 * by_v2
            by_uz, by_vz = r20 * by_u0 + r21 * by_u1 + r22 * by_u2, r20 * by_v0 + r21 * by_v1 + r22 * by_v2
            by_slope_x, by_slope_y = fx * by_mx, fy * by_my
            if abs(x) < guard_x:
                by_slope_x -= fx / z * (by_ux * view[2, 0] + by_uy * view[2, 1] + by_uz * view[2, 2])
            if abs(y) < guard_y:
                by_slope_y -= fy / z * (by_vx * view[2, 0] + by_vy * view[2, 1] + by_vz * view[2, 2])
            jacobian = by_ux * ux + by_uy * uy + by_uz * uz + by_vx * vx + by_vy * vy + by_vz * vz
            by_cx, by_cy = by_slope_x / z, by_slope_y / z
            by_cz = -(by_slope_x * x + by_slope_y * y + jacobian) / z
            means_gradient[i, 0], means_gradient[i, 1] = by_mx, by_my

            # Colour, clamped at 0 in each channel.
            dx, dy, dz = px - centre[0], py - centre[1], pz - centre[2]
            inverse = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
            dx, dy, dz = dx * inverse, dy * inverse, dz * inverse
            sh_basis(dx, dy, dz, count, basis)
            by_basis[:] = 0.0
            for channel in range(3):
                colour = 0.5 + SH_DC * sh_dc[i, channel]
                for k in range(count):
                    colour += basis[k] * sh_rest[i, k, channel]
                by_colour = g[RED + channel] if colour > 0.0 else 0.0
                sh_gradient[i, 0, channel] = SH_DC * by_colour
                for k in range(count):
                    sh_gradient[i, k + 1, channel] = basis[k] * by_colour
                    by_basis[k] += sh_rest[i, k, channel] * by_colour
            by_dx, by_dy, by_dz = sh_direction_gradient(dx, dy, dz, count, by_basis)
            along = by_dx * dx + by_dy * dy + by_dz * dz
            by_dx, by_dy, by_dz = (
                inverse * (by_dx - along * dx),
                inverse * (by_dy - along * dy),
                inverse * (by_dz - along * dz),
            )

            positions_gradient[i, 0] = view[0, 0] * by_cx + view[1, 0] * by_cy + view[2, 0] * by_cz + by_dx
            positions_gradient[i, 1] = view[0, 1] * by_cx + view[1, 1] * by_cy + view[2, 1] * by_cz + by_dy
            positions_gradient[i, 2] = view[0, 2] * by_cx + view[1, 2] * by_cy + view[2, 2] * by_cz + by_dz
