"""Bases of colour: what the coded components of a splat's colour mean as SH, region by region.

A splat is seen from some directions only. In each region of space the encoder chooses functions of direction that are
orthonormal over those, the first of them constant: component 0 is the mean colour that is seen, and few of the
others are large. Each component adds its row of a small matrix to the SH coefficients of the splat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.cloud import SH_REST_COUNTS
from gscodec.errors import CorruptStreamError
from gscodec.transform.colour import opponent_to_rgb

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int8]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

UNIT = 32  # entries of the matrices count in 1/32
MAX_REGIONS = 256
UNCODED = 3.0  # errors in what no component codes show a third as much as in directions evenly seen


@dataclass(frozen=True, eq=False)
class Bases:
    """``centres`` float32[R,3]: a splat belongs to the region whose centre is nearest, the first of equals.

    ``matrices`` int8[R,K,K+1]: what component j = 1..K adds to SH coefficient k = 0..K (0: DC), in 1/32. Component 0
    is added to DC. With R = 0, component k is coefficient k.
    """

    centres: F32
    matrices: I8

    def pack(self) -> bytes:
        """The BASES payload before compression."""
        return self.centres.astype("<f4").tobytes() + self.matrices.tobytes()

    @classmethod
    def unpack(cls, payload: bytes, sh_degree: int) -> Bases:
        """Inverse of ``pack`` for SH degree 1..4. Raises CorruptStreamError."""
        count, size = SH_REST_COUNTS[sh_degree], region_bytes(sh_degree)
        regions, rest = divmod(len(payload), size)
        if rest or regions > MAX_REGIONS:
            allowed = f"0..{MAX_REGIONS} regions of {size} bytes"
            raise CorruptStreamError("wrong size", field="BASES", found=len(payload), allowed=allowed)
        centres = np.frombuffer(payload, "<f4", 3 * regions).reshape(-1, 3).astype(np.float32)
        if not np.all(np.abs(centres) <= 2.0**100):
            raise CorruptStreamError("bad centre of a region", field="BASES", allowed="-2**100 .. 2**100")
        matrices = np.frombuffer(payload, np.int8, offset=12 * regions).reshape(regions, count, count + 1)
        return cls(centres, matrices)

    @classmethod
    def plain(cls, sh_degree: int) -> Bases:
        """No regions: the components are the SH coefficients."""
        count = SH_REST_COUNTS[sh_degree]
        return cls(np.zeros((0, 3), np.float32), np.zeros((0, count, count + 1), np.int8))

    def regions(self, positions: F32) -> U8:
        """Numbers uint8[n] of the regions of positions float32[n,3]; 0 where there are none."""
        return np.asarray(_nearest(positions, self.centres))

    def factors(self, coded: int, wanted: int) -> F64:
        """float64[max(R,1),Kc,Kw+1]: what components up to SH degree ``coded`` add to SH of degree ``wanted``.

        For a lower degree than the file's: the SH nearest to the colours that are seen.
        """
        count = self.matrices.shape[1]
        rows, columns = SH_REST_COUNTS[coded], SH_REST_COUNTS[wanted] + 1
        if len(self.centres) == 0:
            return np.ascontiguousarray(np.eye(count + 1)[None, 1 : rows + 1, :columns])
        if columns == count + 1:
            return self.matrices[:, :rows] / UNIT
        complete = np.stack([_completed(matrix / UNIT) for matrix in self.matrices])
        # SH (row vectors) are components times ``complete``; errors of components are seen alike.
        components_of_sh = np.linalg.pinv(complete)[:, :columns]
        factors = np.linalg.pinv(components_of_sh)[:, 1 : rows + 1]
        return np.ascontiguousarray(factors * self.matrices[:, :rows].any(axis=2, keepdims=True))


def _completed(rows: F64) -> F64:
    """float64[K+1,K+1] from the rows [K,K+1] of components 1..K; rows of zeros, in which nothing is coded, become what
    is orthogonal to the others, for errors there are seen, too.
    """
    complete = np.concatenate([np.eye(1, rows.shape[1]), rows])
    unused = ~rows.any(axis=1)
    if unused.any():
        _, _, turned = np.linalg.svd(complete[~np.append(False, unused)])
        complete[1:][unused] = UNCODED * turned[len(turned) - int(unused.sum()) :]
    return complete


def region_bytes(sh_degree: int) -> int:
    """Bytes that a region takes in BASES."""
    return 12 + SH_REST_COUNTS[sh_degree] * (SH_REST_COUNTS[sh_degree] + 1)


_INFINITY = np.uint64(0x7FF << 52)  # bits of a float64


@nb.njit(cache=True, nogil=True)
def _nearest(positions: F32, centres: F32) -> U8:
    count = len(centres)
    columns = np.empty((3, count))
    columns[:] = centres.T
    regions, squared = np.zeros(len(positions), np.uint8), np.empty(count)
    bits = squared.view(np.uint64)  # of squares in the order of these, NaN above all: their least is vectorised
    for i in range(len(positions)):
        px, py, pz = np.float64(positions[i, 0]), np.float64(positions[i, 1]), np.float64(positions[i, 2])
        for r in range(count):
            x, y, z = px - columns[0, r], py - columns[1, r], pz - columns[2, r]
            squared[r] = (x * x + y * y) + z * z
        least = _INFINITY
        for r in range(count):
            least = min(least, bits[r])
        if least < _INFINITY:
            while bits[regions[i]] != least:
                regions[i] += 1
    return regions


@nb.njit(cache=True, nogil=True)
def to_components(forward: F64, regions: U8, sh_dc: F32, sh_rest: F32) -> tuple[F32, F32]:
    """(component 0 float32[n,3], the others float32[n,K,3]) of SH.

    ``forward`` float64[max(R,1),K+1,K+1]: what SH coefficient k adds to component j, at [r,k,j].
    """
    n, count = len(sh_rest), sh_rest.shape[1] + 1
    first, others = np.empty((n, 3), np.float32), np.empty((n, count - 1, 3), np.float32)
    sums = np.empty(count)
    for i in range(n):
        matrix = forward[regions[i]]
        for c in range(3):
            value = np.float64(sh_dc[i, c])
            for j in range(count):
                sums[j] = value * matrix[0, j]
            for k in range(1, count):
                value = np.float64(sh_rest[i, k - 1, c])
                for j in range(count):
                    sums[j] += value * matrix[k, j]
            first[i, c] = sums[0]
            for j in range(1, count):
                others[i, j - 1, c] = sums[j]
    return first, others


@nb.njit(cache=True, nogil=True)
def from_components(factors: F64, regions: U8, base: I64, others: I64, sh_dc: F32, sh_rest: F32) -> None:
    """Inverse of ``to_components``, into sh_dc float32[n,3] and sh_rest float32[n,K,3].

    In 2**-20, base int64[n,3]: component 0 in opponent channels; others int64[3 * Kc,n]: the channels of a component
    side by side. Sums of products with whole 32nds are exact.
    """
    rows, columns = factors.shape[1], factors.shape[2]
    sums = np.empty((3, columns))
    for i in range(len(base)):
        sums[:] = 0.0
        matrix = factors[regions[i]]
        for c in range(3):
            sums[c, 0] = base[i, c]
            for j in range(rows):
                value = np.float64(others[3 * j + c, i])
                if value != 0.0:
                    for k in range(columns):
                        sums[c, k] += value * matrix[j, k]
        sh_dc[i, 0], sh_dc[i, 1], sh_dc[i, 2] = opponent_to_rgb(sums[0, 0], sums[1, 0], sums[2, 0])
        for k in range(1, columns):
            sh_rest[i, k - 1, 0], sh_rest[i, k - 1, 1], sh_rest[i, k - 1, 2] = opponent_to_rgb(
                sums[0, k], sums[1, k], sums[2, k]
            )
