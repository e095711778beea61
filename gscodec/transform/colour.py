"""An orthonormal opponent basis for SH coefficients: brightness, red against blue, both against green.

Orthonormal, so that a squared error is the same in either basis and all three channels take one step.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

UNIT = 1.0 / (1 << 20)  # opponent values count in 2**-20
A = 0.5773502691896258  # 1 / sqrt(3)
B = 0.7071067811865476  # 1 / sqrt(2)
C = 0.4082482904638631  # 1 / sqrt(6)
C2 = 0.8164965809277261  # 2 / sqrt(6)


@nb.njit(forceinline=True)
def rgb_to_opponent(red: Any, green: Any, blue: Any) -> tuple[Any, Any, Any]:
    """Opponent values in 2**-20, float64, of one coefficient."""
    r, g, b = np.float64(red), np.float64(green), np.float64(blue)
    return (
        ((r * A + g * A) + b * A) / UNIT,
        (r * B - b * B) / UNIT,
        ((r * C - g * C2) + b * C) / UNIT,
    )


@nb.njit(cache=True, nogil=True)
def _to_opponent(rgb: F32, opponent: F64) -> None:
    for i in range(len(rgb)):
        opponent[i, 0], opponent[i, 1], opponent[i, 2] = rgb_to_opponent(rgb[i, 0], rgb[i, 1], rgb[i, 2])


def to_opponent(rgb: F32) -> F64:
    """Opponent values in 2**-20, float64[...,3], of SH coefficients float32[...,3]."""
    opponent = np.empty(rgb.shape)
    _to_opponent(np.ascontiguousarray(rgb).reshape(-1, 3), opponent.reshape(-1, 3))
    return opponent


@nb.njit(forceinline=True)
def opponent_to_rgb(brightness: Any, red_blue: Any, green: Any) -> tuple[Any, Any, Any]:
    """Inverse of ``to_opponent`` for one coefficient, to float32."""
    bright = np.float64(brightness) * UNIT * A
    other = np.float64(red_blue) * UNIT * B
    last = np.float64(green) * UNIT
    return (
        np.float32((bright + other) + last * C),
        np.float32(bright - last * C2),
        np.float32((bright - other) + last * C),
    )
