"""Rotation of a splat with sorted axes (sigma1 >= sigma2 >= sigma3), each turn as precise as it shows.

A Gaussian is the same under a half turn about any of its axes. A needle (sigma1 at least twice
sigma2 on screen) gives the direction of its long axis and the roll about it; any other splat gives its normal (the
shortest axis) and the turn in its plane. Directions are points of an octahedron's upper half unfolded to a
square; the angle is a number in -1..1. Both are divided into as many levels as the error is worth: a turn
that mixes axes of ratio r shows as (r - 1/r), a sphere's not at all.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import ROTATION_LEVELS, WEIGHT_ZERO
from gscodec.transform.fixed import OCTAVE, ONE, exp2_fixed, log2_fixed
from gscodec.transform.intervals import centres, interval_codes

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]

LEVELS: I64 = np.array(ROTATION_LEVELS, np.int64)
TOP = len(ROTATION_LEVELS) - 1
DILATION = 322122547  # 0.3 px² in 2**-30: what a rasteriser adds to every splat's covariance
NEEDLE = OCTAVE  # x from which a splat counts as a needle
TILT_CAP = OCTAVE  # turning a disc about its edge never shows more than a ratio of two in its plane
SCREEN_LIMIT = 64 * OCTAVE
TAN1 = 0.7853981633974483  # tan(pi/4 * t) is about t * (TAN1 + TAN3 * t²)
TAN3 = 0.2146018366025517


@nb.njit(cache=True, nogil=True)
def _dilated(log_size: int) -> Any:
    """log2 of sqrt(size² + 0.3), both logs in 1/65536 octave, sizes in pixels."""
    if log_size < 0:
        return log2_fixed(exp2_fixed(2 * log_size) + DILATION) >> 1
    return log_size + (log2_fixed(ONE + (DILATION * exp2_fixed(-2 * log_size) >> 30)) >> 1)


@nb.njit(cache=True, nogil=True)
def _shear(ratio: int) -> Any:
    """log2 of (r - 1/r) from log2 of r >= 1, in 1/65536 octave."""
    return ratio + log2_fixed(ONE - exp2_fixed(-2 * ratio))


@nb.njit(cache=True, nogil=True)
def _on_screen(log_scale: int, pixel_log: int) -> Any:
    return _dilated(min(max(log_scale + pixel_log, -SCREEN_LIMIT), SCREEN_LIMIT))


@nb.njit(cache=True, nogil=True)
def needles(log_scales: I64, pixel_logs: I64) -> U8:
    """Which splats are needles, uint8[n]; arguments as ``rotation_levels`` has them."""
    found = np.empty(len(log_scales), np.uint8)
    for i in range(len(found)):
        long, middle = _on_screen(log_scales[i, 0], pixel_logs[i]), _on_screen(log_scales[i, 1], pixel_logs[i])
        found[i] = long - middle >= NEEDLE
    return found


@nb.njit(cache=True, nogil=True)
def rotation_levels(
    log_scales: I64, pixel_logs: I64, weights: U8, needle: U8, direction_offset: int, roll_offset: int
) -> tuple[U8, U8]:
    """(direction, roll) uint8[n] each: indices into ROTATION_LEVELS.

    log_scales int64[n,3] long, middle, short; pixel_logs int64[n] log2 of pixels per world unit at each
    splat; weights uint8[n] weight classes; needle uint8[n], which form; all logs in 1/65536 octave.
    """
    n = len(weights)
    direction, roll = np.empty(n, np.uint8), np.empty(n, np.uint8)
    for i in range(n):
        e1 = _on_screen(log_scales[i, 0], pixel_logs[i])
        e2 = _on_screen(log_scales[i, 1], pixel_logs[i])
        e3 = _on_screen(log_scales[i, 2], pixel_logs[i])
        x = max(e1 - e2, 0)
        y = max(e2 - e3, 0)
        weight = (int(weights[i]) - WEIGHT_ZERO) * (OCTAVE // 2)
        if needle[i]:
            spread = log2_fixed(ONE + (min(y, 3 * OCTAVE) << 14)) >> 1
            first, second = _shear(x) + spread, min(_shear(y), TILT_CAP)
        else:
            first, second = min(_shear(x + y), TILT_CAP), _shear(x)
        direction[i] = min(max((first + weight + direction_offset) >> 14, 0), TOP)
        roll[i] = min(max((second + weight + roll_offset) >> 14, 0), TOP)
    return direction, roll


@nb.njit(cache=True, nogil=True)
def _tilt(a: float, b: float) -> tuple[float, float, float]:
    """The quaternion (w, x, y, 0), not normalised, that takes the z axis to the octahedron point (a, b)."""
    px = (a + b) * 0.5
    py = (a - b) * 0.5
    pz = 1.0 - max(abs(a), abs(b))
    length = math.sqrt((px * px + py * py) + pz * pz)
    return length + pz, -py, px


def quantise_rotation(axes: F64, needle: U8, direction: I64, roll: I64, machine: I64) -> tuple[U32, U32, U32]:
    """Codes uint32[n] (a, b, roll) of rotations given as axes float64[n,3,3], column j the unit axis of sigma_j.

    direction, roll int64[n]: numbers of levels; ``machine`` as in ``centres``.
    """
    a, b = (interval_codes(points, direction, machine) for points in _directions(axes, needle))
    # The angle is taken in the frame of the decoded direction, so that its error is not added twice.
    turns = _rolls(axes, needle, centres(a, direction, machine), centres(b, direction, machine))
    return a.view(np.uint32), b.view(np.uint32), interval_codes(turns, roll, machine).view(np.uint32)


@nb.njit(cache=True, nogil=True)
def _directions(axes: F64, needle: U8) -> tuple[F64, F64]:
    """Octahedron points (a, b) float64[n] of the main axes."""
    a, b = np.empty(len(needle)), np.empty(len(needle))
    for i in range(len(needle)):
        main = 0 if needle[i] else 2
        sign = -1.0 if axes[i, 2, main] < 0.0 else 1.0
        x, y, z = sign * axes[i, 0, main], sign * axes[i, 1, main], sign * axes[i, 2, main]
        norm = abs(x) + abs(y) + z
        a[i], b[i] = (x + y) / norm, (x - y) / norm
    return a, b


@nb.njit(cache=True, nogil=True)
def _rolls(axes: F64, needle: U8, a: F64, b: F64) -> F64:
    """t float64[n] of the turns about main axes that decode from (a, b) float64[n]."""
    turns = np.empty(len(needle))
    for i in range(len(needle)):
        side = 1 if needle[i] else 0
        w, qx, qy = _tilt(a[i], b[i])
        scale = 2.0 / (w * w + qx * qx + qy * qy)
        sx, sy, sz = axes[i, 0, side], axes[i, 1, side], axes[i, 2, side]
        along_x = (1.0 - scale * qy * qy) * sx + scale * qx * qy * sy - scale * w * qy * sz
        along_y = scale * qx * qy * sx + (1.0 - scale * qx * qx) * sy + scale * w * qx * sz
        angle = math.atan2(along_y, along_x)
        if angle >= math.pi / 2:
            angle -= math.pi
        elif angle < -math.pi / 2:
            angle += math.pi
        target = math.tan(angle * 0.5)
        t = angle / (math.pi / 2)
        for _ in range(3):  # Newton on t * (TAN1 + TAN3 t²) = target
            t -= (t * (TAN1 + TAN3 * t * t) - target) / (TAN1 + 3.0 * TAN3 * t * t)
        turns[i] = t
    return turns


@nb.njit(cache=True, nogil=True)
def decode_rotation(a: F64, b: F64, roll: F64, needle: U8, quats: F32) -> None:
    """Inverse of ``quantise_rotation``, from its ``centres`` float64[n] into unit quaternions float32[n,4] wxyz."""
    for i in range(len(needle)):
        w, x, y = _tilt(a[i], b[i])
        t = roll[i]
        u = t * (TAN1 + TAN3 * (t * t))
        # (w, x, y, 0) * (1, 0, 0, u)
        qw, qx, qy, qz = w, x + y * u, y - x * u, w * u
        if needle[i]:  # * (1, -1, -1, -1): the long axis where the normal was
            qw, qx, qy, qz = (
                ((qw + qx) + qy) + qz,
                ((qx - qw) - qy) + qz,
                ((qy - qw) - qz) + qx,
                ((qz - qw) - qx) + qy,
            )
        norm = math.sqrt(((qw * qw + qx * qx) + qy * qy) + qz * qz)
        quats[i, 0] = np.float32(qw / norm)
        quats[i, 1] = np.float32(qx / norm)
        quats[i, 2] = np.float32(qy / norm)
        quats[i, 3] = np.float32(qz / norm)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def sorted_axes(log_scales: F32, quats: F32) -> tuple[F64, F64]:
    """(log scales float64[n,3] long to short, axes float64[n,3,3] as columns in that order; NaN of a quaternion 0)."""
    n = len(quats)
    scales, axes = np.empty((n, 3)), np.empty((n, 3, 3))
    matrix, order = np.empty((3, 3)), np.empty(3, np.int64)
    for i in range(n):
        w, x, y, z = np.float64(quats[i, 0]), np.float64(quats[i, 1]), np.float64(quats[i, 2]), np.float64(quats[i, 3])
        norm = math.sqrt(w * w + x * x + y * y + z * z)
        w, x, y, z = w / norm, x / norm, y / norm, z / norm
        matrix[0] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
        matrix[1] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
        matrix[2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
        for axis in range(3):  # insertion sort: equal axes stay in their order
            place = axis
            while place > 0 and log_scales[i, order[place - 1]] < log_scales[i, axis]:
                order[place] = order[place - 1]
                place -= 1
            order[place] = axis
        for place in range(3):
            scales[i, place] = log_scales[i, order[place]]
            for row in range(3):
                axes[i, row, place] = matrix[row, order[place]]
    return scales, axes
