"""An orthonormal opponent basis for SH coefficients: brightness, red against blue, both against green.

Orthonormal, so that a squared error is the same in either basis and all three channels take one step.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

UNIT = 1.0 / (1 << 20)  # opponent values count in 2**-20
A = 0.5773502691896258  # 1 / sqrt(3)
B = 0.7071067811865476  # 1 / sqrt(2)
C = 0.4082482904638631  # 1 / sqrt(6)
C2 = 0.8164965809277261  # 2 / sqrt(6)


def to_opponent(rgb: F32) -> F64:
    """Opponent values in 2**-20, float64[...,3], of SH coefficients float32[...,3]."""
    forward = np.array([[A, A, A], [B, 0.0, -B], [C, -C2, C]])
    return np.asarray(rgb.astype(np.float64) @ forward.T / UNIT)


@nb.njit(cache=True, nogil=True)
def to_rgb(opponent: I64, rgb: F32) -> None:
    """Inverse of ``to_opponent``: int64[n,3] into float32[n,3]."""
    for i in range(len(opponent)):
        bright = np.float64(opponent[i, 0]) * UNIT * A
        red_blue = np.float64(opponent[i, 1]) * UNIT * B
        green = np.float64(opponent[i, 2]) * UNIT
        rgb[i, 0] = np.float32((bright + red_blue) + green * C)
        rgb[i, 1] = np.float32(bright - green * C2)
        rgb[i, 2] = np.float32((bright - red_blue) + green * C)
