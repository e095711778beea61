"""How much of the image each splat covers, and from that its classes: encoder only, free to change.

Nobody tells the encoder where the cameras were, so it assumes a viewing zone around the middle of the cloud. The
focal length is the mean (of logarithms) of two guesses: a usual one, and that at which the median splat is
about one pixel thick.
A splat of opacity A and axes s1 >= s2 (pixels) weighs A**0.7 * sqrt(s1 * s2). The squared error of one splat
alone goes with A, but faint splats lie in heaps and their errors add up.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import WEIGHT_CLASSES, WEIGHT_ZERO
from gscodec.config import Visibility
from gscodec.transform.fixed import OCTAVE
from gscodec.transform.opacity import log_opacities

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]

OPACITY_POWER = 0.7
ZONE_SHARE = 1.5  # radius of the viewing zone over the median distance from the centre
MEDIAN_PIXELS = 1.15  # median middle axis on screen
USUAL_FOCAL = 700.0  # pixels per radian of the images that people train on
DILATION = 0.3  # px², what a rasteriser adds
NEUTRAL_OPACITY = 0.2  # opacity at which OPACITY_POWER changes nothing
POSITION_CLASSES = 4000  # bound on |position class|, far beyond any float32
CLEAR_SHARE, HIDDEN_SHARE = 3.0, 0.3  # of what a splat alone shows: expected in other views if typical, if hidden
_BLOCK = 65536  # splats at a time


@dataclass(frozen=True)
class Zone:
    """Where the scene is looked at from: ``centre`` float64[3], ``radius``, and pixels per radian."""

    centre: F64
    radius: float
    focal: float

    def distances(self, positions: F32) -> F64:
        """Distance float64[n] at which each position is seen."""
        return np.asarray(np.sqrt(_squared_distances(positions, self.centre) + self.radius**2))


@nb.njit(cache=True, nogil=True)
def _squared_distances(positions: F32, centre: F64) -> F64:
    squared = np.empty(len(positions))
    for i in range(len(positions)):
        x, y, z = positions[i, 0] - centre[0], positions[i, 1] - centre[1], positions[i, 2] - centre[2]
        squared[i] = (x * x + y * y) + z * z
    return squared


def viewing_zone(positions: F32, log_scales: F32) -> Zone:
    """The zone for positions float32[n,3] and log scales float32[n,3], natural log."""
    if len(positions) == 0:
        return Zone(np.zeros(3), 1.0, 1.0)
    centre = np.array([np.median(positions[:, axis]) for axis in range(3)], np.float64)
    radius = ZONE_SHARE * float(np.median(np.sqrt(_squared_distances(positions, centre))))
    low, middle, high = log_scales.T
    middle = np.maximum(np.minimum(low, middle), np.minimum(np.maximum(low, middle), high)).astype(np.float64)
    # One splat, or all at one place: look from where it is some hundred pixels large.
    radius = float(np.clip(max(radius, 1e-3 * np.exp(np.median(middle))), 1e-20, 1e20))
    middle -= np.log(Zone(centre, radius, 1.0).distances(positions))
    log_focal = np.log(MEDIAN_PIXELS) - np.median(middle, overwrite_input=True)
    return Zone(centre, radius, float(np.exp((np.clip(log_focal, -30.0, 30.0) + np.log(USUAL_FOCAL)) / 2.0)))


@dataclass(frozen=True, eq=False)
class Classes:
    """weights uint8[n]; places int32[n] position classes: cells of cell_size * 2**-place."""

    weights: U8
    places: I32


def classify(
    zone: Zone,
    positions: F32,
    log_scales: F32,
    opacity_logits: F32,
    visibility: Visibility | None = None,
    pool: Executor | None = None,
) -> Classes:
    """Classes of splats; arguments as for ``log_weights``."""
    footprint, sharpness = log_weights(zone, positions, log_scales, opacity_logits, visibility, pool)
    weights, places = np.empty(len(positions), np.uint8), np.empty(len(positions), np.int32)
    for start in range(0, len(positions), _BLOCK):
        own = slice(start, start + _BLOCK)
        weights[own] = np.clip(np.rint(2.0 * footprint[own]) + WEIGHT_ZERO, 0, WEIGHT_CLASSES - 1)
        places[own] = np.clip(np.rint(sharpness[own]), -POSITION_CLASSES, POSITION_CLASSES)
    return Classes(weights, places)


def log_weights(
    zone: Zone,
    positions: F32,
    log_scales: F32,
    opacity_logits: F32,
    visibility: Visibility | None = None,
    pool: Executor | None = None,
) -> tuple[F64, F64]:
    """(log2 of the weight, log2 of how sharp the place shows) of n splats, float64[n]; arrays as a cloud has them.

    Blocks run on ``pool``. At quality 75 a splat of weight 2**w has base steps times 2**-w (``transform/steps.py``).
    """
    n = len(positions)
    footprint, sharpness = np.empty(n), np.empty(n)

    def measure(start: int) -> None:
        own = slice(start, start + _BLOCK)
        footprint[own], sharpness[own] = _measure(zone, positions[own], log_scales[own], opacity_logits[own])

    starts = range(0, n, _BLOCK)
    list(pool.map(measure, starts) if pool else map(measure, starts))
    if visibility is not None and n:
        shown = _shown(footprint, visibility)
        footprint += shown
        sharpness += shown
    return footprint, sharpness


def _measure(zone: Zone, positions: F32, log_scales: F32, opacity_logits: F32) -> tuple[F64, F64]:
    """(log2 of the weight, log2 of how sharp the place shows) of n splats, float64[n]."""
    log_pixels = np.log2(zone.focal / zone.distances(positions))
    axes = np.sort(log_scales, axis=1)[:, :0:-1].astype(np.float64) / np.log(2.0) + log_pixels[:, None]
    long, middle = np.log2(np.exp2(np.clip(2.0 * axes, -200.0, 200.0)) + DILATION).T / 2.0
    opacity = OPACITY_POWER * log_opacities(opacity_logits) / OCTAVE + (1.0 - OPACITY_POWER) * np.log2(NEUTRAL_OPACITY)
    # A position error of one cell shows as opacity * sqrt(long / middle), whatever the size.
    return opacity + (long + middle) / 2.0, opacity + (long - middle) / 2.0 + log_pixels


def _shown(footprint: F64, visibility: Visibility) -> F64:
    """Octaves float64[n] by which each splat weighs more or less than its footprint says.

    Squared weights go with the light that a splat gives. The scale of both is made equal on the upper half of the
    splats, before and after mixing, so that quality means the same with and without views.
    """
    large = footprint >= np.median(footprint)
    seen = visibility.weights > 0.0
    if not np.any(large & seen):
        return np.zeros(len(footprint))
    alone = np.exp2(2.0 * footprint)
    unit = np.exp2(np.median(2.0 * footprint[large & seen] - np.log2(visibility.weights[large & seen])))
    if visibility.clear is not None:
        # Other views would show it too, but less of what stands behind something.
        typical = max(float(np.median(visibility.clear[large])), 1e-3)
        alone *= CLEAR_SHARE * np.sqrt(visibility.clear / typical) + HIDDEN_SHARE
    weight = np.log2(unit * visibility.weights + visibility.doubt * alone) / 2.0
    return np.asarray(weight - footprint - np.mean((weight - footprint)[large]))
