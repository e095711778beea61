"""Which way is up: nothing in a splat file says it, so what lies flat has to tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

CONE = 30.0  # degrees: how far the first camera of a capture, which sets the axes, is tilted
ENOUGH = 0.1  # part of all flat area that must agree before an axis of the file is corrected
# Structure from motion has the axes of a camera, y down; nerfstudio turns them to z up; viewers to y up.
AXES = ((0.0, -1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0))


def up_directions(normals: F64, weights: F64) -> list[F64]:
    """Unit vectors [3] that may be up, the likeliest first; ``normals`` [n,3] thinnest axes, ``weights`` [n] areas."""
    return [_corrected(np.array(axis), normals, weights) for axis in AXES]


def _corrected(up: F64, normals: F64, weights: F64) -> F64:
    """The axis turned to where what lies flat across it points."""
    for _ in range(4):
        flat = np.abs(normals @ up) > np.cos(np.radians(CONE))
        if weights[flat].sum() <= ENOUGH * weights.sum():
            break
        # Normals have no sign: the main axis of their second moments has none either.
        moments = (normals[flat] * weights[flat, None]).T @ normals[flat]
        axis = np.linalg.eigh(moments)[1][:, 2]
        up = np.asarray(axis * np.sign(axis @ up), np.float64)
    return up
