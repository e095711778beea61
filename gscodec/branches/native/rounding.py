"""Rounding so that errors cancel, in colours of splats that overlap, in opacity and sizes of each: encoder only.

What is seen at a pixel is a sum over splats. With errors u_i in steps, chosen so that every splat's step shows alike,
the squared error of the image is about the sum over i, j of R_ij u_i u_j, where R_ij is how much two splats
overlap. Rounding each value to nearest minimises the diagonal alone. Here values are rounded in turn, each against
what the errors of its neighbours leave (iterated conditional modes), which also says when a value may
become zero: not if its neighbours' errors have the same sign. Neighbours are those along the Morton curve, which need
no search and find as many overlaps as the nearest in space do. DC, coded as steps from a prediction, is rounded in the
order of coding, against what has been coded (``transform.residuals``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.branches.native.coefficients import MAX_CODE
from gscodec.transform.fixed import OCTAVE

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

REACH = 16  # neighbours that count, either way along the curve
STRENGTH = 0.2  # splats that overlap in space do so in some views only
LEAST = 0.02  # share below which two splats are taken for apart
PASSES = 2
MOST = OCTAVE / 2  # that a log scale is moved by


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Of n splats: ``order`` int64[n] along the curve, and how much the splat at each place of it overlaps the next
    ones, ``shares`` float32[n,REACH], 0 .. STRENGTH.
    """

    order: I64
    shares: F32

    @classmethod
    def find(cls, order: I64, positions: F32, sorted_scales: F64) -> Overlaps:
        """From positions float32[n,3] and log scales float64[n,3], long to short, natural log."""
        sizes = np.exp(sorted_scales[:, :2].mean(axis=1))
        return cls(order, _shares(positions[order].astype(np.float64), sizes[order]))


def balancing(opacity: F64, middle: F64 | None = None) -> F64:
    """How far to move the middle log scale, float64[n], for errors float64[n] of log opacity; given the errors of that
    one, too, the longest. All in 1/65536 octave.

    With errors o, m, l of the logs of opacity and of the two axes seen, the squared error of a Gaussian is in
    proportion to o² + o (m + l) + 3/4 (m² + l²) + m l / 2: what is too faint is to be larger. That is least at
    l = -(2 o + m) / 3, and, if this is what follows, at m = -o / 2.
    """
    moved = opacity / -2.0 if middle is None else (2.0 * opacity + middle) / -3.0
    return np.asarray(np.clip(moved, -MOST, MOST))


def round_together(wanted: F64, overlaps: Overlaps) -> I32:
    """Codes int32[M,n] of M values a splat, float64[n,M] in steps; each of the M is rounded by itself."""
    return np.asarray(_round(wanted, overlaps.order, overlaps.shares))


@nb.njit(cache=True, nogil=True)
def _shares(points: F64, sizes: F64) -> F32:
    """Of splats along the curve: what the product of two round Gaussians has of that of two alike at one place."""
    shares = np.zeros((len(points), REACH), np.float32)
    for p in range(len(points)):
        for d in range(min(REACH, len(points) - 1 - p)):
            q = p + 1 + d
            x, y, z = points[p, 0] - points[q, 0], points[p, 1] - points[q, 1], points[p, 2] - points[q, 2]
            spread = max(sizes[p] * sizes[p] + sizes[q] * sizes[q], 1e-300)
            share = math.exp(-(x * x + y * y + z * z) / (2.0 * spread)) * (2.0 * sizes[p] * sizes[q] / spread)
            shares[p, d] = STRENGTH * share if share >= LEAST else 0.0
    return shares


@nb.njit(cache=True, nogil=True)
def _round(wanted: F64, order: I64, shares: F32) -> I32:
    n, width = wanted.shape
    codes, errors = np.empty((width, n), np.int32), np.empty((n, width), np.float32)
    around = np.zeros(width, np.float32)
    for p in range(n):
        value, error = wanted[order[p]], errors[p]
        for m in range(width):
            error[m] = min(max(np.rint(value[m]), -MAX_CODE), MAX_CODE) - value[m]
    for number in range(PASSES):
        for p in range(n):
            around[:] = np.float32(0.0)
            for d in range(1, REACH + 1):
                if shares[p, d - 1] > 0.0:
                    _add(around, shares[p, d - 1], errors[p + d])
                if p >= d and shares[p - d, d - 1] > 0.0:
                    _add(around, shares[p - d, d - 1], errors[p - d])
            value, error = wanted[order[p]], errors[p]
            for m in range(width):
                code = min(max(np.rint(value[m] - around[m]), -MAX_CODE), MAX_CODE)
                error[m] = code - value[m]
                if number == PASSES - 1:
                    codes[m, order[p]] = np.int32(code)
    return codes


@nb.njit(forceinline=True)
def _add(around: F32, share: np.float32, errors: F32) -> None:
    for m in range(len(around)):
        around[m] += share * errors[m]
