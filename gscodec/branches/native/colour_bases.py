"""Which bases a cloud's colours are coded in: encoder only, free to change.

With G the mean over the directions from which a region is seen of Y(d) Y(d)ᵀ, Y the harmonics, the squared error of
what is seen is eᵀ G e for an error e of SH coefficients. Components that are orthonormal in it may be quantised with
one step, and of all such the principal ones of the region's splats cost least (the Karhunen-Loève transform).

Where no view tells the directions, the colours do: training moves SH coefficients only by harmonics of directions that
photos were taken from, so that colours vary with the direction where they were seen, and little elsewhere.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from gscodec.branches.native.bases import UNIT, Bases
from gscodec.cloud import SH_REST_COUNTS
from gscodec.transform.colour import UNIT as COLOUR_UNIT
from gscodec.transform.energy import LIMIT
from gscodec.transform.harmonics import SH_DC, fibonacci_directions, sh_basis

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

SPLATS_PER_REGION = 1024
REGIONS = 128  # at most
FEWEST_SPLATS = 1024  # that are worth a matrix
CENTRE_SPLATS = 10_000  # regions are found with so many
DIRECTIONS = 256
SEEN_POWER = 2.0  # of the variance of colours in a direction: how likely it is to be looked from
ELSEWHERE = 0.07  # share of directions that are as likely as any other
PRIOR_SPLATS = 64.0  # of the whole cloud, that each region's statistics begin with
OUTLYING = 4.0  # times the SH of all but 1 % of splats: larger ones count as if they were so large
LARGEST = 127  # entries of a matrix, in 1/UNIT


@dataclass(frozen=True, eq=False)
class Sample:
    """Splats that stand for a cloud: positions float32[n,3], sh float32[n,K+1,3] with DC first, weight classes [n]."""

    positions: F32
    sh: F32
    weights: U8


@dataclass(frozen=True, eq=False)
class Directions:
    """From where some splats are seen: positions float32[S,3], camera centres float64[V,3], shown float32[V,S].

    ``shown`` and ``doubt`` as ``Visibility`` has them.
    """

    positions: F32
    centres: F64
    shown: F32
    doubt: float


@dataclass(frozen=True, eq=False)
class ColourTransform:
    """``bases`` for the decoder, and ``forward`` float64[max(R,1),K+1,K+1] as ``to_components`` has it."""

    bases: Bases
    forward: F64

    @classmethod
    def plain(cls, sh_degree: int) -> ColourTransform:
        """SH coefficients as they are."""
        return cls(Bases.plain(sh_degree), np.eye(SH_REST_COUNTS[sh_degree] + 1)[None])

    def holds(self, largest: float) -> bool:
        """Whether a decoder clamps no component of SH of magnitudes up to ``largest``, in an opponent channel."""
        return math.sqrt(3.0) * largest * float(np.abs(self.forward).sum(axis=1).max()) <= LIMIT * COLOUR_UNIT


def find_bases(sample: Sample, splats: int, directions: Directions | None = None) -> ColourTransform:
    """From a sample of a cloud of ``splats``, and the directions that views say, if any do."""
    count = sample.sh.shape[1]
    if splats < FEWEST_SPLATS or not np.any(sample.sh[:, 1:]):
        return ColourTransform.plain(math.isqrt(count) - 1)
    centres = _centres(sample.positions, min(max(splats // SPLATS_PER_REGION, 1), REGIONS))
    empty = Bases(centres, np.zeros((0, count - 1, count), np.int8))
    covariances = _covariances(sample, empty.regions(sample.positions), len(centres))
    basis = _harmonics(fibonacci_directions(DIRECTIONS), count)
    grams = [_likely_gram(covariance, basis) for covariance in covariances]
    if directions is not None:
        shown = _shown_grams(directions, empty.regions(directions.positions), len(centres), count)
        trust = 1.0 / (1.0 + directions.doubt)
        grams = [trust * a + (1.0 - trust) * b for a, b in zip(shown, grams, strict=True)]
    # With directions evenly spread, G would be the unit matrix: harmonics are orthonormal.
    even = np.eye(count)
    pairs = [
        _transform((1.0 - ELSEWHERE) * gram + ELSEWHERE * even, covariance)
        for gram, covariance in zip(grams, covariances, strict=True)
    ]
    return ColourTransform(Bases(centres, np.stack([pair[0] for pair in pairs])), np.stack([pair[1] for pair in pairs]))


def load_clustering() -> None:
    """Import what ``find_bases`` needs of scipy: decoding does without, and gsdec imports the package's front door."""
    import scipy.cluster.vq  # noqa: F401


def _centres(positions: F32, regions: int) -> F32:
    from scipy.cluster.vq import kmeans2  # see ``load_clustering``

    points = positions[:: -(-len(positions) // CENTRE_SPLATS)].astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of clusters without points, which keep their place
        found, _ = kmeans2(points, regions, minit="++", rng=np.random.default_rng(0))
    return np.ascontiguousarray(found, np.float32)


def _covariances(sample: Sample, regions: U8, count: int) -> list[F64]:
    """Weighted mean of x xᵀ over splats and channels in each region, x the SH of a channel."""
    terms = sample.sh.shape[1]
    sums = np.zeros((count, terms, terms))
    squares = np.exp2(sample.weights - float(sample.weights.max()))  # a class is half an octave of the weight
    squares = squares * _without_outliers(sample.sh[:, 1:])
    _add_squares(sums, sample.sh, regions, squares)
    sums = _symmetric(sums)
    totals = 3.0 * np.bincount(regions, squares, count)
    prior = PRIOR_SPLATS * 3.0 * squares.mean()
    whole = sums.sum(axis=0) / totals.sum()
    return [(own + prior * whole) / (total + prior) for own, total in zip(sums, totals, strict=True)]


@nb.njit(cache=True, nogil=True)
def _add_squares(sums: F64, sh: F32, regions: U8, weights: F64) -> None:
    """x xᵀ of each channel's SH x, weighted, into float64[R,C,C], of which the upper triangles count.

    Whole rows, for that is what compilers vectorise.
    """
    terms = sums.shape[1]
    own = np.empty(terms)
    for i in range(len(sh)):
        region = sums[regions[i]]
        for c in range(3):
            for k in range(terms):
                own[k] = sh[i, k, c]
            for k in range(terms):
                scaled, row = weights[i] * own[k], region[k]
                for m in range(terms):
                    row[m] += scaled * own[m]


def _symmetric(upper: F64) -> F64:
    """Matrices float64[R,C,C] from their upper triangles."""
    return np.asarray(np.triu(upper) + np.triu(upper, 1).transpose(0, 2, 1))


def _without_outliers(sh_rest: F32) -> F64:
    """Factors float64[n] of the squares of SH float32[n,K,3], 1 for most: a broken splat is not to rule the others."""
    squared = np.einsum("nkc,nkc->n", sh_rest, sh_rest, dtype=np.float64)
    limit = OUTLYING**2 * float(np.quantile(squared, 0.99))
    return np.minimum(limit / np.maximum(squared, limit), 1.0) if limit > 0.0 else np.ones(len(squared))


def _harmonics(directions: F64, count: int) -> F64:
    """Y [n,count] of unit directions [n,3]."""
    values = np.full((len(directions), count), SH_DC)
    for row, (x, y, z) in zip(values, directions, strict=True):
        sh_basis(x, y, z, count - 1, row[1:])
    return values


def _likely_gram(covariance: F64, basis: F64) -> F64:
    """G of a region, by how much its colours vary with the direction: ``basis`` [D,C], Y of even directions."""
    varying = basis[:, 1:]
    variance = np.einsum("dk,kl,dl->d", varying, covariance[1:, 1:], varying)
    largest = float(variance.max())
    likely = (variance / largest) ** SEEN_POWER if largest > 0.0 else np.ones(len(basis))
    return _normalised((basis * likely[:, None]).T @ basis)


def _normalised(gram: F64) -> F64:
    """Of mean 1 on the diagonal, as evenly spread directions have it."""
    return gram * (len(gram) / float(np.trace(gram)))


def _shown_grams(directions: Directions, regions: U8, count: int, terms: int) -> list[F64]:
    """G of each region as the views show it; that of all where they do not show the region."""
    sums = np.zeros((count, terms, terms))
    _add_outer(sums, directions.positions, regions, directions.centres, directions.shown)
    sums = _symmetric(sums)
    whole = sums.sum(axis=0)
    if not np.trace(whole) > 0.0:
        return [np.eye(terms)] * count
    return [_normalised(own if np.trace(own) > 0.0 else whole) for own in sums]


@nb.njit(cache=True, nogil=True)
def _add_outer(sums: F64, positions: F32, regions: U8, centres: F64, shown: F32) -> None:
    """Upper triangles of Y Yᵀ times what view v shows of splat i, float32[V,n], into float64[R,C,C]."""
    terms = sums.shape[1]
    basis = np.full(terms, SH_DC)
    for v in range(len(centres)):
        for i in range(len(positions)):
            if shown[v, i] <= 0.0:
                continue
            x, y, z = positions[i, 0] - centres[v, 0], positions[i, 1] - centres[v, 1], positions[i, 2] - centres[v, 2]
            length = np.sqrt(x * x + y * y + z * z)
            if length == 0.0:
                continue
            sh_basis(x / length, y / length, z / length, terms - 1, basis[1:])
            for k in range(terms):
                scaled = shown[v, i] * basis[k]
                for m in range(k, terms):
                    sums[regions[i], k, m] += scaled * basis[m]


def _transform(gram: F64, covariance: F64) -> tuple[npt.NDArray[np.int8], F64]:
    """(int8[K,K+1] as ``Bases.matrices`` has it, float64[K+1,K+1] as ``to_components`` has it) of a region."""
    to_orthonormal = np.linalg.cholesky(gram).T  # upper: the first component is the mean colour seen
    spread = to_orthonormal @ covariance @ to_orthonormal.T
    _, vectors = np.linalg.eigh(spread[1:, 1:])
    turn = np.eye(len(gram))
    turn[1:, 1:] = vectors[:, ::-1].T  # the component that varies most comes first
    inverse = np.linalg.inv(turn @ to_orthonormal)
    # What the decoder has is the rounded matrix: its own inverse leaves no error.
    matrix = np.clip(np.rint(inverse[:, 1:].T * UNIT), -LARGEST, LARGEST).astype(np.int8)
    rounded = np.eye(len(gram))
    rounded[1:] = matrix / UNIT
    return matrix, np.asarray(np.linalg.inv(rounded), np.float64)
