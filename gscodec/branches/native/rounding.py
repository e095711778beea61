"""Rounding of SH AC so that the errors of splats that overlap cancel: encoder only, free to change.

What is seen at a pixel is a sum over splats. With errors u_i in steps, chosen so that every splat's step shows alike,
the squared error of the image is about the sum over i, j of R_ij u_i u_j, where R_ij is how much two splats
overlap. Rounding each value to nearest minimises the diagonal alone. Here values are rounded in turn, each against
what the errors of its neighbours leave (iterated conditional modes), which also says when a value may
become zero: not if its neighbours' errors have the same sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

OVERLAPS = 12  # neighbours that count
STRENGTH = 0.3  # splats that overlap in space do so in some views only
PASSES = 2
MAX_CODE = float((1 << 31) - 1)


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Of n splats: neighbours int32[n,k] and how much each overlaps, float64[n,k], 0 .. STRENGTH."""

    neighbours: I32
    shares: F64

    @classmethod
    def find(cls, positions: npt.NDArray[np.float32], sorted_scales: F64) -> Overlaps:
        """From positions float32[n,3] and log scales float64[n,3], long to short, natural log."""
        count = min(OVERLAPS, len(positions) - 1)
        if count < 1:
            return cls(np.zeros((len(positions), 0), np.int32), np.zeros((len(positions), 0)))
        from scipy.spatial import cKDTree  # decoding does without scipy, and gsdec imports the package's front door

        points = positions.astype(np.float64)
        distances, found = cKDTree(points).query(points, k=count + 1)
        distances, found = distances[:, 1:], found[:, 1:]
        sizes = np.exp(sorted_scales[:, :2].mean(axis=1))
        spread = np.maximum(sizes[:, None] ** 2 + sizes[found] ** 2, 1e-300)
        shares = np.exp(-(distances**2) / (2.0 * spread)) * (2.0 * sizes[:, None] * sizes[found] / spread)
        return cls(np.ascontiguousarray(found, np.int32), np.ascontiguousarray(STRENGTH * shares))


def round_together(wanted: F64, overlaps: Overlaps) -> I32:
    """Codes int32[M,n] of M values a splat, float64[n,M] in steps; each of the M is rounded by itself."""
    return np.asarray(_round(wanted, overlaps.neighbours, overlaps.shares))


@nb.njit(cache=True, nogil=True)
def _round(wanted: F64, neighbours: I32, shares: F64) -> I32:
    n, width = wanted.shape
    codes, errors, around = np.empty((width, n), np.int32), np.empty((n, width)), np.zeros(width)
    for i in range(n):
        for m in range(width):
            errors[i, m] = min(max(np.rint(wanted[i, m]), -MAX_CODE), MAX_CODE) - wanted[i, m]
    for number in range(PASSES):
        for i in range(n):
            around[:] = 0.0
            for j in range(neighbours.shape[1]):
                other, share = neighbours[i, j], shares[i, j]
                for m in range(width):
                    around[m] += share * errors[other, m]
            for m in range(width):
                code = min(max(np.rint(wanted[i, m] - around[m]), -MAX_CODE), MAX_CODE)
                errors[i, m] = code - wanted[i, m]
                if number == PASSES - 1:
                    codes[m, i] = np.int32(code)
    return codes
