"""Real spherical harmonics to degree 4, in the order and signs of 3D Gaussian Splatting, their gradient, directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

SH_DC = 0.28209479177387814  # the constant harmonic
A0 = 0.4886025119029199
B0, B1, B2 = 1.0925484305920792, 0.31539156525252005, 0.5462742152960396
C0, C1, C2, C3, C4 = (
    0.5900435899266435,
    2.890611442640554,
    0.4570457994644658,
    0.3731763325901154,
    1.445305721320277,
)
D0, D1, D2, D3, D4, D5, D6 = (
    2.5033429417967046,
    1.7701307697799304,
    0.9461746957575601,
    0.6690465435572892,
    0.10578554691520431,
    0.47308734787878004,
    0.6258357354491761,
)


def fibonacci_directions(count: int) -> npt.NDArray[np.float64]:
    """Unit directions [count,3], evenly spread over the sphere along a Fibonacci spiral."""
    index = np.arange(count) + 0.5
    height = 1.0 - 2.0 * index / count
    angle = np.pi * (1.0 + np.sqrt(5.0)) * index
    ring = np.sqrt(1.0 - height**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=1)


@njit(cache=True, nogil=True)
def sh_basis(x: float, y: float, z: float, count: int, out: npt.NDArray[Any]) -> None:
    """Real spherical harmonics 1..count (DC left out) at a unit direction, in the order and signs of 3DGS."""
    if count >= 3:
        out[0] = -A0 * y
        out[1] = A0 * z
        out[2] = -A0 * x
    if count >= 8:
        out[3] = B0 * x * y
        out[4] = -B0 * y * z
        out[5] = B1 * (3.0 * z * z - 1.0)
        out[6] = -B0 * x * z
        out[7] = B2 * (x * x - y * y)
    if count >= 15:
        out[8] = -C0 * y * (3.0 * x * x - y * y)
        out[9] = C1 * x * y * z
        out[10] = -C2 * y * (5.0 * z * z - 1.0)
        out[11] = C3 * z * (5.0 * z * z - 3.0)
        out[12] = -C2 * x * (5.0 * z * z - 1.0)
        out[13] = C4 * z * (x * x - y * y)
        out[14] = -C0 * x * (x * x - 3.0 * y * y)
    if count >= 24:
        zz = z * z
        out[15] = D0 * x * y * (x * x - y * y)
        out[16] = -D1 * y * z * (3.0 * x * x - y * y)
        out[17] = D2 * x * y * (7.0 * zz - 1.0)
        out[18] = -D3 * y * z * (7.0 * zz - 3.0)
        out[19] = D4 * (zz * (35.0 * zz - 30.0) + 3.0)
        out[20] = -D3 * x * z * (7.0 * zz - 3.0)
        out[21] = D5 * (x * x - y * y) * (7.0 * zz - 1.0)
        out[22] = -D1 * x * z * (x * x - 3.0 * y * y)
        out[23] = D6 * (x * x * (x * x - 3.0 * y * y) - y * y * (3.0 * x * x - y * y))


@njit(cache=True, nogil=True)
def sh_direction_gradient(
    x: float, y: float, z: float, count: int, w: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """Gradient of sum(w * sh_basis) by the direction, as polynomials have it: only its tangent part has a meaning."""
    gx, gy, gz = 0.0, 0.0, 0.0
    if count >= 3:
        gx, gy, gz = -A0 * w[2], -A0 * w[0], A0 * w[1]
    if count >= 8:
        gx += B0 * (y * w[3] - z * w[6]) + 2.0 * B2 * x * w[7]
        gy += B0 * (x * w[3] - z * w[4]) - 2.0 * B2 * y * w[7]
        gz += 6.0 * B1 * z * w[5] - B0 * (y * w[4] + x * w[6])
    if count >= 15:
        xx_yy, xy, zz5 = x * x - y * y, x * y, 5.0 * z * z - 1.0
        gx += C1 * y * z * w[9] - C2 * zz5 * w[12] + 2.0 * C4 * x * z * w[13]
        gx -= C0 * (6.0 * xy * w[8] + 3.0 * xx_yy * w[14])
        gy += C1 * x * z * w[9] - C2 * zz5 * w[10] - 2.0 * C4 * y * z * w[13]
        gy += C0 * (6.0 * xy * w[14] - 3.0 * xx_yy * w[8])
        gz += C1 * xy * w[9] - 10.0 * C2 * z * (y * w[10] + x * w[12])
        gz += C3 * (15.0 * z * z - 3.0) * w[11] + C4 * xx_yy * w[13]
    if count >= 24:
        xx_yy, xy, zz = x * x - y * y, x * y, z * z
        xx3, yy3 = 3.0 * x * x - y * y, x * x - 3.0 * y * y
        zz7, zz73, zz21 = 7.0 * zz - 1.0, z * (7.0 * zz - 3.0), 21.0 * zz - 3.0
        gx += D0 * y * xx3 * w[15] - D1 * z * (6.0 * xy * w[16] + 3.0 * xx_yy * w[22]) + D2 * y * zz7 * w[17]
        gx += 2.0 * D5 * x * zz7 * w[21] - D3 * zz73 * w[20] + 4.0 * D6 * x * yy3 * w[23]
        gy += D0 * x * yy3 * w[15] + D1 * z * (6.0 * xy * w[22] - 3.0 * xx_yy * w[16]) + D2 * x * zz7 * w[17]
        gy -= 2.0 * D5 * y * zz7 * w[21] + D3 * zz73 * w[18] + 4.0 * D6 * y * xx3 * w[23]
        gz += 14.0 * z * (D2 * xy * w[17] + D5 * xx_yy * w[21]) - D1 * (y * xx3 * w[16] + x * yy3 * w[22])
        gz += D4 * z * (140.0 * zz - 60.0) * w[19] - D3 * zz21 * (y * w[18] + x * w[20])
    return gx, gy, gz
