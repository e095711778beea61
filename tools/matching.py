"""Which splat of a source each decoded splat stands for, where a codec has changed their order.

Candidates are the nearest source splats by position. Each pair costs the squared difference of position (in
units of the splat's middle scale), sorted log scales, opacity and base colour, every one divided by what is
usual among splats of about the same visibility, since codecs are coarse where little is seen. Costs grow by
their logarithm, so that one large difference does not outweigh all the rest. Pairs are taken in order of cost;
what is left over is matched among itself, until no decoded or no source splat remains.
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.spatial import cKDTree

from gscodec.cloud import GaussianCloud
from gscodec.units import opacity_from_logit, rgb_from_dc

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

CANDIDATES = 32
CLASSES = 32  # of visibility
REFINEMENTS = 2
FLOOR = 1e-12  # of a usual squared difference: a lossless attribute has none


@dataclass(frozen=True)
class Match:
    """``index`` int64[n of decoded]: the source splat of each, -1 for none; ``uncertain`` bool[n].

    A match is uncertain where another candidate was cheaper for the decoded splat, or taken from the leftovers:
    among faint splats, of which a codec keeps little, no more can be told from the numbers alone.
    """

    index: I64
    uncertain: npt.NDArray[np.bool_]
    unmatched_source: int
    unmatched_decoded: int


@dataclass(frozen=True)
class _Features:
    positions: F32
    middle: F32
    attributes: tuple[F32, ...]
    visibility: F32


def match_splats(source: GaussianCloud, decoded: GaussianCloud) -> Match:
    """Match every decoded splat with at most one source splat, as cheaply as found."""
    if np.array_equal(source.positions, decoded.positions):
        return Match(np.arange(len(decoded)), np.zeros(len(decoded), bool), 0, 0)
    own, other = _features(source), _features(decoded)
    index = np.full(len(decoded), -1, np.int64)
    uncertain = np.zeros(len(decoded), bool)
    left, free = np.arange(len(decoded)), np.arange(len(source))
    first = True
    while len(left) and len(free):
        found, cheapest = _round(_pick(own, free), _pick(other, left))
        index[left[found >= 0]] = free[found[found >= 0]]
        uncertain[left] = ~cheapest if first else True
        left = np.flatnonzero(index < 0)
        taken = np.zeros(len(source), bool)
        taken[index[index >= 0]] = True
        free = np.flatnonzero(~taken)
        first = False
    return Match(index, uncertain & (index >= 0), len(free), len(left))


def _features(cloud: GaussianCloud) -> _Features:
    logs = np.sort(cloud.log_scales, axis=1)[:, ::-1]
    opacity = opacity_from_logit(cloud.opacity_logits)
    visibility = np.log(np.maximum(opacity, np.float32(1e-9))) + (logs[:, 0] + logs[:, 1]) / 2
    attributes = (np.ascontiguousarray(logs), opacity[:, None], rgb_from_dc(cloud.sh_dc))
    return _Features(cloud.positions, np.exp(logs[:, 1]), attributes, visibility)


def _pick(features: _Features, index: I64) -> _Features:
    attributes = tuple(values[index] for values in features.attributes)
    return _Features(features.positions[index], features.middle[index], attributes, features.visibility[index])


def _round(source: _Features, decoded: _Features) -> tuple[I64, npt.NDArray[np.bool_]]:
    """(source splat or -1 of each decoded one, whether it was the cheapest candidate) by one search."""
    count, near = len(decoded.positions), min(CANDIDATES, len(source.positions))
    distances, candidates = cKDTree(source.positions).query(decoded.positions, k=near, workers=-1)
    distances, candidates = distances.reshape(count, near), candidates.reshape(count, near)
    errors = [(np.square(distances / decoded.middle[:, None]) / 3).astype(np.float32)]
    errors += [_mean_squares(*pair, candidates) for pair in zip(source.attributes, decoded.attributes, strict=True)]
    sizes = [3.0] + [float(values.shape[1]) for values in decoded.attributes]
    edges = np.quantile(decoded.visibility, np.linspace(0.0, 1.0, CLASSES + 1)[1:-1])
    classes = np.searchsorted(edges, decoded.visibility)
    choice = np.zeros(count, np.int64)  # column of the candidate taken, at first the nearest
    found = np.empty(0, np.int64)
    rows = np.arange(count)
    for _ in range(REFINEMENTS):
        cost = np.zeros((count, near), np.float32)
        for size, squares in zip(sizes, errors, strict=True):
            usual = _class_medians(squares[rows, choice], classes)
            cost += np.float32(size) * np.log1p(squares / usual[classes][:, None])
        order = np.argsort(cost, axis=None, kind="stable")
        found, choice = _take(order, candidates, len(source.positions))
    return found, (found >= 0) & (choice == np.argmin(cost, axis=1))


def _class_medians(values: F32, classes: I64) -> F32:
    medians = np.full(CLASSES, FLOOR, np.float32)
    for number in np.unique(classes):
        medians[number] += np.median(values[classes == number])
    return medians


@njit(cache=True, nogil=True)
def _mean_squares(source: F32, decoded: F32, candidates: I64) -> F32:
    count, near = candidates.shape
    result = np.empty((count, near), np.float32)
    for i in range(count):
        for j in range(near):
            total = np.float32(0.0)
            for k in range(source.shape[1]):
                difference = decoded[i, k] - source[candidates[i, j], k]
                total += difference * difference
            result[i, j] = total / np.float32(source.shape[1])
    return result


@njit(cache=True, nogil=True)
def _take(order: I64, candidates: I64, sources: int) -> Any:
    """(source splat or -1, column or 0) of each decoded splat: pairs in ``order``, both ends once."""
    count, near = candidates.shape
    found, choice = np.full(count, -1, np.int64), np.zeros(count, np.int64)
    taken = np.zeros(sources, np.bool_)
    for edge in order:
        i, j = edge // near, edge % near
        a = candidates[i, j]
        if found[i] < 0 and not taken[a]:
            found[i], choice[i], taken[a] = a, j, True
    return found, choice
