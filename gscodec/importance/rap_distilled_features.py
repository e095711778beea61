"""What a splat would be missed for, told without rendering: its size and opacity, and how well its neighbours cover it.

Where RAP scales each column by the scene's quantiles, these are ratios and logarithms of ratios, which mean the same in
every scene: sizes over distances to neighbours, opacity and area over those of the neighbours, area over the squared
distance at which the splat is likely to be looked at, light that neighbours add at its centre, and how far its colour
is from theirs: a splat that hides the same colour is not missed.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.importance.rap_features import (
    FAINTEST,
    LOG_SCALE_LIMIT,
    LOGIT_LIMIT,
    canonical_order,
    colour_anisotropy,
    first_of_clones,
)
from gscodec.importance.rap_neighbours import lists
from gscodec.importance.rap_tree import build
from gscodec.importance.seen import finite_splats
from gscodec.render.cpu.projection import rotation_matrix
from gscodec.transform.harmonics import SH_DC

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

NEAR, WIDE = 4, 16  # neighbours
ZONE_SHARE = 1.5  # radius of the zone of the eyes over the median distance from the middle
FLATTEST = 1e-4  # thinnest axis over the longest, else neighbours on a plane would not cover each other
SMALL_COVER, SMALL_COLOUR = 0.01, 0.01  # keep logarithms finite; less does not show

_PER_COUNT = (
    "size over distance",
    "distance over eye distance",
    "opacity over neighbours",
    "area over neighbours",
    "mean opacity",
    "cover density",
    "footprint of neighbours over own",
)
NAMES = (
    "log opacity",
    "area over eye distance",
    "footprint",
    "middle over thin axis",
    "long over middle axis",
    "anisotropy",
    *(f"{name}, {NEAR}" for name in _PER_COUNT),
    *(f"{name}, {WIDE}" for name in _PER_COUNT),
    f"deviation of log opacity, {WIDE}",
    f"deviation of log area, {WIDE}",
    f"colour difference, {WIDE}",
    "cover at centre",
    "cover of neighbours' centres",
    "cover by larger ones",
    "wide cover",
    "colour difference to cover",
)
_OWN = 6


def features(cloud: GaussianCloud) -> F32:
    """The features float32 [N, 28], columns as NAMES has them; a row of NaN for a splat that is not finite.

    Such splats are nobody's neighbours. The same bits for any order of the splats and any number of threads. Of fewer
    than 17 splats, each has all others as neighbours; one alone has none, and zeros for what they would say.
    """
    result = np.full((len(cloud), len(NAMES)), np.nan, np.float32)
    sound = np.flatnonzero(finite_splats(cloud))
    if len(sound):
        rows = canonical_order(cloud, sound)
        tree = build(cloud.positions[rows])
        neighbours = lists(tree, min(WIDE, len(rows) - 1)) if len(rows) > 1 else None
        placed = rows[tree.order]
        # SH are most of a cloud, and of them one number is wanted: they are left where they are.
        anisotropy = colour_anisotropy(cloud.sh_dc, cloud.sh_rest)[placed]
        plain = replace(cloud, sh_rest=cloud.sh_rest[:, :0], extras={}).select(placed)
        result[placed] = _columns(plain, anisotropy, neighbours)
        clones, firsts = first_of_clones(cloud, rows)
        result[clones] = result[firsts]
    return result


def _columns(cloud: GaussianCloud, anisotropy: F64, neighbours: I32 | None) -> F32:
    """The features of finite splats, without their SH, whose neighbours are known, nearest first."""
    from scipy import special  # here, as gsenc imports all scores and few are used

    log_scales = np.clip(cloud.log_scales.astype(np.float64), -LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)
    thin, middle, long = np.sort(log_scales, axis=1).T
    logits = np.clip(cloud.opacity_logits.astype(np.float64), -LOGIT_LIMIT, LOGIT_LIMIT)
    log_opacity, log_area = special.log_expit(logits), middle + long
    away = np.log(_eye_distances(cloud.positions))
    seen_area = log_area - 2.0 * away
    seen_area -= np.median(seen_area)
    result = np.zeros((len(cloud), len(NAMES)), np.float32)
    own = log_opacity, seen_area, 2.0 * log_opacity + seen_area, middle - thin, long - middle
    for column, values in enumerate(own):
        result[:, column] = values
    result[:, 5] = np.log(np.maximum(anisotropy, FAINTEST))
    if neighbours is None:
        return result
    colour = np.clip(SH_DC * cloud.sh_dc.astype(np.float64) + 0.5, 0.0, 1.0)
    inverse = np.exp(-np.maximum(log_scales, long[:, None] + math.log(FLATTEST)))
    arrays = np.column_stack([log_opacity, log_area, middle, away, np.exp(log_opacity)]), colour, inverse
    places, turns = cloud.positions.astype(np.float64), np.ascontiguousarray(cloud.quats_wxyz)
    distances = np.zeros((len(cloud), 2))
    _describe(places, turns, *arrays, neighbours, distances, result)
    for number in range(2):
        apart = distances[:, number]
        nearest = apart[apart > 0.0].min() if (apart > 0.0).any() else 1.0
        log_distance = np.log(np.maximum(apart, nearest))
        column = _OWN + number * len(_PER_COUNT)
        seen = log_distance - away
        result[:, column] = middle - log_distance
        result[:, column + 1] = seen - np.median(seen)
        result[:, column + 5] = result[:, column + 5] - 2.0 * log_distance
    return result


def _eye_distances(positions: F32) -> F64:
    """Distance [N] at which each splat is likely to be looked at: the eyes are around the middle of the cloud."""
    places = positions.astype(np.float64)
    offset = places - np.median(places, axis=0)
    squares = (offset * offset).sum(axis=1)
    radius = ZONE_SHARE * math.sqrt(float(np.median(squares)))
    return np.asarray(np.sqrt(squares + (radius if radius > 0.0 else 1.0) ** 2), np.float64)


@njit(cache=True, nogil=True, parallel=True)
def _describe(
    places: F64,
    turns: F32,
    own: F64,
    colour: F64,
    inverse: F64,
    neighbours: I32,
    distances: F64,
    result: F32,
) -> None:
    """Fill ``distances`` [N, 2] and all columns of ``result`` from the first that needs neighbours.

    ``own`` [N, 5]: log opacity, log area, log middle axis, log eye distance, opacity. Means of products are taken
    relative to the splat's own, so that they neither overflow nor vanish.
    """
    count, k = neighbours.shape
    for block in prange((count + 255) // 256):
        axes = np.empty((2, 3, 3), np.float64)
        for i in range(block * 256, min(count, block * 256 + 256)):
            _axes(turns[i], inverse[i], axes[0])
            faint, large = own[i, 0], own[i, 1]
            apart, opacities, areas, shares, covers, prints = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            opacities2, areas2, red, green, blue = 0.0, 0.0, 0.0, 0.0, 0.0
            cover, covered, over, wide, tint_r, tint_g, tint_b = 0.0, 0.0, 0.0, 1e-12, 0.0, 0.0, 0.0
            for n in range(k):
                j = neighbours[i, n]
                dx, dy, dz = places[i, 0] - places[j, 0], places[i, 1] - places[j, 1], places[i, 2] - places[j, 2]
                apart += math.sqrt(dx * dx + dy * dy + dz * dz)
                more_opaque, larger = own[j, 0] - faint, own[j, 1] - large
                opacities += more_opaque
                opacities2 += more_opaque * more_opaque
                areas += larger
                areas2 += larger * larger
                shares += own[j, 4]
                covers += math.exp(more_opaque + larger)
                prints += math.exp(2.0 * more_opaque + larger)
                red, green, blue = red + colour[j, 0], green + colour[j, 1], blue + colour[j, 2]
                _axes(turns[j], inverse[j], axes[1])
                theirs, mine = _square(axes[1], dx, dy, dz), _square(axes[0], dx, dy, dz)
                light = own[j, 4] * math.exp(-0.5 * min(theirs, 60.0))
                cover += light
                covered += own[j, 4] * math.exp(-0.5 * min(mine, 60.0))
                if more_opaque + larger > 0.0:
                    over += light
                weight = own[j, 4] * math.exp(-0.125 * min(theirs, 60.0)) + 1e-6
                wide += weight
                tint_r += weight * colour[j, 0]
                tint_g += weight * colour[j, 1]
                tint_b += weight * colour[j, 2]
                if n + 1 == NEAR or n + 1 == k:
                    # With k <= NEAR both halves are the same.
                    m = n + 1.0
                    for half in range(2):
                        if (half == 0) == (n + 1 == NEAR) or k <= NEAR:
                            out = result[i, _OWN + half * 7 : _OWN + half * 7 + 7]
                            distances[i, half] = apart / m
                            out[2], out[3], out[4] = -opacities / m, -areas / m, shares / m
                            out[5] = faint + large + math.log(covers / m)
                            out[6] = math.log(prints / m)
            out = result[i, _OWN + 14 :]
            out[0] = math.sqrt(max(opacities2 / k - (opacities / k) ** 2, 0.0))
            out[1] = math.sqrt(max(areas2 / k - (areas / k) ** 2, 0.0))
            out[2] = _difference(colour[i], red / k, green / k, blue / k)
            out[3], out[4] = math.log(cover + SMALL_COVER), math.log(covered + SMALL_COVER)
            out[5], out[6] = math.log(over + SMALL_COVER), math.log(wide + SMALL_COVER)
            out[7] = _difference(colour[i], tint_r / wide, tint_g / wide, tint_b / wide)


@njit(cache=True, nogil=True)
def _axes(turn: F32, inverse: F64, out: F64) -> None:
    """The splat's axes as rows of ``out`` [3, 3], each over its length; the world's for a quaternion of zeros."""
    w, x, y, z = np.float64(turn[0]), np.float64(turn[1]), np.float64(turn[2]), np.float64(turn[3])
    norm = w * w + x * x + y * y + z * z
    rows = rotation_matrix(w, x, y, z, 2.0 / norm if norm > 0.0 else 0.0)
    for axis in range(3):
        for column in range(3):
            out[axis, column] = rows[column][axis] * inverse[axis]


@njit(cache=True, nogil=True)
def _square(axes: F64, dx: float, dy: float, dz: float) -> float:
    """Squared Mahalanobis distance."""
    total = 0.0
    for axis in range(3):
        t = axes[axis, 0] * dx + axes[axis, 1] * dy + axes[axis, 2] * dz
        total += t * t
    return total


@njit(cache=True, nogil=True)
def _difference(colour: F64, red: float, green: float, blue: float) -> float:
    r, g, b = colour[0] - red, colour[1] - green, colour[2] - blue
    return math.log(math.sqrt(r * r + g * g + b * b) + SMALL_COLOUR)
