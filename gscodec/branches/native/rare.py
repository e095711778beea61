"""Components that a quality hardly codes: their rows of the bases cost more than they show. Encoder only."""

from __future__ import annotations

from concurrent.futures import Executor

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.branches.native.bases import Bases
from gscodec.branches.native.colour_bases import ColourTransform
from gscodec.branches.native.settings import AC_ROUND_UP
from gscodec.branches.native.syntax import Params, ac_range
from gscodec.cloud import GaussianCloud
from gscodec.transform.colour import rgb_to_opponent

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

RARE = 32.0  # sum of the squared codes of a region in one component; its row costs about a hundred bits
BLOCK = 65_536  # splats that are looked at together


def without_rare(
    colours: ColourTransform, params: Params, cloud: GaussianCloud, kept: I64 | None, weights: U8, pool: Executor
) -> ColourTransform:
    """``colours`` with the rows of rare components 0, and what splats have of these left out.

    Of all splats of a cloud, or of those ``kept`` int64[n], with weight classes uint8[n], for a sample may miss the few
    that a row is there for. ``params`` with the finest steps.
    """
    bases = colours.bases
    if len(bases.centres) == 0:
        return colours
    degrees = range(1, cloud.sh_degree + 1)
    steps = np.concatenate([[params.ac_steps(degree)] * (2 * degree + 1) for degree in degrees])
    assert len(steps) == ac_range(cloud.sh_degree)[1]

    def squared(start: int) -> F64:
        stop = min(start + BLOCK, len(weights))
        own = np.arange(start, stop) if kept is None else kept[start:stop]
        numbers = bases.regions(cloud.positions[own])
        sums = np.zeros(bases.matrices.shape[:2])
        _add_squares(sums, colours.forward, numbers, own, weights[start:stop], steps, cloud.sh_dc, cloud.sh_rest)
        return sums

    total = np.zeros(bases.matrices.shape[:2])
    for sums in pool.map(squared, range(0, len(weights), BLOCK)):
        total += sums
    rare = total < RARE
    matrices = np.where(rare[:, :, None], np.int8(0), bases.matrices)
    forward = colours.forward.copy()
    forward[:, :, 1:] *= ~rare[:, None, :]
    return ColourTransform(Bases(bases.centres, matrices), forward)


@nb.njit(cache=True, nogil=True)
def _add_squares(
    sums: F64, forward: F64, numbers: U8, rows: I64, weights: U8, steps: I64, sh_dc: F32, sh_rest: F32
) -> None:
    """Add the squared codes of splats, as if each was rounded alone, to float64[R,K], up to RARE and what goes beyond.

    steps int64[K,WEIGHT_CLASSES]; numbers uint8[n] of regions; all else as ``to_components`` has it.
    """
    count = sums.shape[1]
    rgb = np.empty(3, np.float32)
    for i in range(len(rows)):
        region, row = numbers[i], rows[i]
        for j in range(count):
            if sums[region, j] >= RARE:
                continue  # most are soon
            for c in range(3):
                value = np.float64(sh_dc[row, c]) * forward[region, 0, j + 1]
                for k in range(count):
                    value += np.float64(sh_rest[row, k, c]) * forward[region, k + 1, j + 1]
                rgb[c] = value
            for value in rgb_to_opponent(rgb[0], rgb[1], rgb[2]):
                code = np.floor(abs(value / steps[j, weights[i]]) + (1.0 - AC_ROUND_UP))
                sums[region, j] += code * code
