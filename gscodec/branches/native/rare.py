"""Components that a quality hardly codes: their rows of the bases cost more than they show. Encoder only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gscodec.branches.native.bases import Bases
from gscodec.branches.native.coefficients import in_steps, round_alone
from gscodec.branches.native.colour_bases import ColourTransform
from gscodec.branches.native.settings import AC_ROUND_UP
from gscodec.branches.native.syntax import Params, ac_range
from gscodec.cloud import GaussianCloud

F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

RARE = 32.0  # sum of the squared codes of a region in one component; its row costs about a hundred bits


def without_rare(
    colours: ColourTransform, params: Params, sample: GaussianCloud, weights: U8, splats: int
) -> ColourTransform:
    """``colours`` with the rows of rare components 0, and what splats have of these left out.

    ``sample`` in components, of a cloud of ``splats``, and its weight classes; ``params`` with the finest steps.
    """
    regions = len(colours.bases.centres)
    if regions == 0 or len(sample) == 0:
        return colours
    squares = _squared_codes(colours.bases.regions(sample.positions), regions, params, sample, weights)
    rare = squares * (splats / len(sample)) < RARE
    matrices = np.where(rare[:, :, None], np.int8(0), colours.bases.matrices)
    forward = colours.forward.copy()
    forward[:, :, 1:] *= ~rare[:, None, :]
    return ColourTransform(Bases(colours.bases.centres, matrices), forward)


def _squared_codes(numbers: U8, regions: int, params: Params, sample: GaussianCloud, weights: U8) -> F64:
    """float64[R,K]: sums over the splats of each region, whose numbers are uint8[n]."""
    sums = np.zeros((regions, sample.sh_rest.shape[1]))
    for degree in range(1, sample.sh_degree + 1):
        first, last = ac_range(degree)
        codes = round_alone(in_steps(sample.sh_rest, first, last, params.ac_steps(degree)[weights]), AC_ROUND_UP)
        for k in range(first, last):
            squares = np.square(codes[3 * (k - first) : 3 * (k - first) + 3], dtype=np.float64).sum(axis=0)
            sums[:, k] = np.bincount(numbers, squares, regions)
    return sums
