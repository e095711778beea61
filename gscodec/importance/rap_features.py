"""The 15 features of RAP: what a splat is by itself, and how it differs from its neighbours. No rendering.

Source: Yang et al. 2026, "RAP", arXiv 2602.19753, section 4.1. Eight raw values: mean distance to the 128 nearest
splats, colour anisotropy, the three scales in ascending order, volume, opacity, mean DC colour. Seven of them enter by
their standing in the scene (logarithms: they span decades), all eight by their z-score among the neighbours. Each
column is clipped to its 1 % and 99 % quantiles over the scene and scaled to 0..1; a z-score over the scene, which
the paper takes before, would change nothing after that.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.cloud import ATTRIBUTES, GaussianCloud
from gscodec.importance.rap_neighbours import again, neighbourhoods
from gscodec.importance.rap_tree import build
from gscodec.importance.seen import finite_splats
from gscodec.transform.harmonics import SH_DC, fibonacci_directions, sh_basis

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

NEIGHBOURS = 128
DIRECTIONS = 60
QUANTILES = (0.01, 0.99)
RAW = ("distance", "anisotropy", "scale 0", "scale 1", "scale 2", "volume", "opacity", "colour")
NAMES = (*(f"{name}, scene" for name in RAW[:7]), *(f"{name}, neighbours" for name in RAW))
FAINTEST = 1e-5  # anisotropy of a colour in 0..1 below which it is taken for none
LOG_SCALE_LIMIT = 100.0  # natural logarithm; beyond it a volume's square would overflow
LOGIT_LIMIT = 40.0  # an infinite logit is an opacity of 0 or 1 like others
CONSTANT = 1e-9  # deviation over mean below which neighbours are taken for equal: rounding, not variation


def features(cloud: GaussianCloud) -> F32:
    """The features float32 [N, 15] in 0..1, columns as NAMES has them; a row of NaN for a splat that is not finite.

    Such splats are nobody's neighbours. A column that is the same for all splats is 0, a z-score among equal
    neighbours too. Fewer than 129 splats are each other's neighbours, all of them. A splat's features are the same bits
    for any order of the splats and any number of threads; they are relative to the whole scene, not to a part of it.
    """
    result = np.full((len(cloud), len(NAMES)), np.nan, np.float32)
    finite = np.flatnonzero(finite_splats(cloud))
    if len(finite):
        rows = canonical_order(cloud, finite)
        tree_rows, columns = _columns(cloud.select(rows))
        result[rows[tree_rows]] = columns
        clones, firsts = first_of_clones(cloud, rows)
        result[clones] = result[firsts]
    return result


def canonical_order(cloud: GaussianCloud, rows: I64) -> I64:
    """Splats ``rows`` int64 [n] of a cloud in an order by their values only: position, then all bits."""
    x, y, z = cloud.positions[rows].T
    rows = rows[np.lexsort((z, y, x))]
    placed = cloud.positions[rows]
    same = (placed[1:] == placed[:-1]).all(axis=1)
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        group = np.cumsum(~np.append(False, same))[tied]
        few = cloud.select(rows[tied])
        keys = [getattr(few, name).reshape(len(few), -1).view(np.uint32).T for name in ATTRIBUTES]
        rows[tied] = rows[tied][np.lexsort((*np.concatenate(keys), group))]
    return np.asarray(rows, np.int64)


def first_of_clones(cloud: GaussianCloud, rows: I64) -> tuple[I64, I64]:
    """Which of the splats ``rows``, in canonical order, equal one before in every bit, and the first that they equal.

    Both int64 [m]. Clones get the features of the first: their own could differ by rounding, as each leaves out itself.
    """
    placed = cloud.positions[rows]
    tied = np.flatnonzero(np.append(False, (placed[1:] == placed[:-1]).all(axis=1)))
    for name in ATTRIBUTES:
        values = getattr(cloud, name).reshape(len(cloud), -1).view(np.uint32)
        tied = tied[(values[rows[tied]] == values[rows[tied - 1]]).all(axis=1)]
    numbers = np.arange(len(rows))
    numbers[tied] = 0
    return rows[tied], rows[np.maximum.accumulate(numbers)[tied]]


def _columns(cloud: GaussianCloud) -> tuple[npt.NDArray[np.int32], F32]:
    """(rows of the cloud, their features), both in the order of a tree."""
    from scipy import special  # here, as gsenc imports all scores and few are used

    tree = build(cloud.positions)
    order = tree.order
    log_scales = np.sort(np.clip(cloud.log_scales[order].astype(np.float64), -LOG_SCALE_LIMIT, LOG_SCALE_LIMIT), axis=1)
    log_volume = log_scales.sum(axis=1, keepdims=True)
    logits = np.clip(cloud.opacity_logits[order].astype(np.float64), -LOGIT_LIMIT, LOGIT_LIMIT)[:, None]
    anisotropy = np.maximum(colour_anisotropy(cloud.sh_dc, cloud.sh_rest)[order][:, None], FAINTEST)
    colour = np.clip(SH_DC * cloud.sh_dc[order].astype(np.float64) + 0.5, 0.0, 1.0).mean(axis=1, keepdims=True)
    opacity = special.expit(logits)
    values = np.concatenate([anisotropy, np.exp(log_scales), np.exp(log_volume), opacity, colour], axis=1)
    k = min(NEIGHBOURS, len(order) - 1)
    if k == 0:
        return order, np.zeros((len(order), len(NAMES)), np.float32)
    found = neighbourhoods(tree, values, k)
    local = _z_scores(values, found.mean, found.deviation)
    distance = found.distance[:, None]
    local = np.concatenate([_z_scores(distance, *again(tree, found, distance, k)), local], axis=1)
    apart = distance[distance > 0.0]
    log_distance = np.log(np.maximum(distance, apart.min() if len(apart) else 1.0))
    overall = [log_distance, np.log(anisotropy), log_scales, log_volume, special.log_expit(logits)]
    return order, _rescaled(np.concatenate([*overall, local], axis=1))


def _z_scores(values: F64, mean: F64, deviation: F64) -> F64:
    """How many deviations each value lies above the mean; 0 where all neighbours are equal."""
    varied = deviation > CONSTANT * np.abs(mean)
    return np.asarray(np.where(varied, values - mean, 0.0) / np.where(varied, deviation, 1.0), np.float64)


def _rescaled(columns: F64) -> F32:
    """Each column [N, F] clipped to its quantiles and scaled to 0..1; 0 where they are equal."""
    low, high = np.quantile(columns, QUANTILES, axis=0)
    width = high - low
    scaled = (np.clip(columns, low, high) - low) / np.where(width > 0.0, width, 1.0)
    return np.asarray(scaled, np.float32)


def colour_anisotropy(sh_dc: F32, sh_rest: F32) -> F64:
    """How much the colour, clipped to 0..1, changes with the direction of view, float64 [N].

    The deviation over 60 directions of a Fibonacci lattice, mean of the three channels (equation 3).
    """
    result = np.empty(len(sh_dc), np.float64)
    _anisotropy(np.ascontiguousarray(sh_dc), np.ascontiguousarray(sh_rest), fibonacci_directions(DIRECTIONS), result)
    return result


@njit(cache=True, nogil=True, parallel=True)
def _anisotropy(sh_dc: F32, sh_rest: F32, directions: F64, result: F64) -> None:
    count, size = sh_rest.shape[1], len(directions)
    basis = np.empty((24, size), np.float64)
    one = np.empty(24, np.float64)
    for m in range(size):
        sh_basis(directions[m, 0], directions[m, 1], directions[m, 2], count, one)
        basis[:, m] = one
    blocks = (len(sh_dc) + 1023) // 1024
    for block in prange(blocks):
        seen = np.empty(size, np.float64)
        for i in range(block * 1024, min(len(sh_dc), block * 1024 + 1024)):
            total = 0.0
            for c in range(3):
                seen[:] = 0.5 + SH_DC * sh_dc[i, c]
                for k in range(count):
                    weight = np.float64(sh_rest[i, k, c])
                    for m in range(size):
                        seen[m] += weight * basis[k, m]
                mean = 0.0
                for m in range(size):
                    seen[m] = min(max(seen[m], 0.0), 1.0)
                    mean += seen[m]
                mean /= size
                square = 0.0
                for m in range(size):
                    square += (seen[m] - mean) ** 2
                total += math.sqrt(square / size)
            result[i] = total / 3.0
