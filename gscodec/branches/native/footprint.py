"""How much of the image each splat covers, and from that its classes: encoder only, free to change.

Nobody tells the encoder where the cameras were, so it assumes a viewing zone around the middle of the cloud. The
focal length is the mean (of logarithms) of two guesses: a usual one, and that at which the median splat is
about one pixel thick.
A splat of opacity A and axes s1 >= s2 (pixels) weighs A**0.7 * sqrt(s1 * s2). The squared error of one splat
alone goes with A, but faint splats lie in heaps and their errors add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import WEIGHT_CLASSES, WEIGHT_ZERO
from gscodec.config import Visibility

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


@dataclass(frozen=True)
class Zone:
    """Where the scene is looked at from: ``centre`` float64[3], ``radius``, and pixels per radian."""

    centre: F64
    radius: float
    focal: float

    def distances(self, positions: npt.NDArray[np.float32]) -> F64:
        """Distance float64[n] at which each position is seen."""
        offset = positions.astype(np.float64) - self.centre
        return np.asarray(np.sqrt((offset**2).sum(axis=1) + self.radius**2))


def viewing_zone(positions: npt.NDArray[np.float32], sorted_scales: F64) -> Zone:
    """The zone for positions float32[n,3] and log scales float64[n,3], long to short."""
    if len(positions) == 0:
        return Zone(np.zeros(3), 1.0, 1.0)
    centre = np.median(positions, axis=0).astype(np.float64)
    radius = ZONE_SHARE * float(np.median(np.linalg.norm(positions - centre, axis=1)))
    # One splat, or all at one place: look from where it is some hundred pixels large.
    radius = float(np.clip(max(radius, 1e-3 * np.exp(np.median(sorted_scales[:, 1]))), 1e-20, 1e20))
    zone = Zone(centre, radius, 1.0)
    log_focal = np.log(MEDIAN_PIXELS) - np.median(sorted_scales[:, 1] - np.log(zone.distances(positions)))
    return Zone(centre, radius, float(np.exp((np.clip(log_focal, -30.0, 30.0) + np.log(USUAL_FOCAL)) / 2.0)))


@dataclass(frozen=True, eq=False)
class Classes:
    """weights uint8[n]; places int32[n] position classes: cells of cell_size * 2**-place."""

    weights: U8
    places: I32


def classify(
    zone: Zone,
    positions: npt.NDArray[np.float32],
    sorted_scales: F64,
    log2_opacity: F64,
    visibility: Visibility | None = None,
) -> Classes:
    """Classes of splats; log2_opacity float64[n] in 1/65536 octave."""
    pixels = zone.focal / zone.distances(positions)
    log_pixels = np.log2(pixels)[:, None]
    screen = np.exp2(np.clip(2.0 * (sorted_scales[:, :2] / np.log(2.0) + log_pixels), -200.0, 200.0))
    long, middle = np.log2(screen + DILATION).T / 2.0
    opacity = OPACITY_POWER * log2_opacity / 65536.0 + (1.0 - OPACITY_POWER) * np.log2(NEUTRAL_OPACITY)
    footprint = opacity + (long + middle) / 2.0
    shown = _shown(footprint, visibility) if visibility is not None and len(positions) else np.zeros(len(positions))
    weights = np.rint(2.0 * (footprint + shown)) + WEIGHT_ZERO
    # A position error of one cell shows as opacity * sqrt(long / middle), whatever the size.
    places = np.rint(opacity + shown + (long - middle) / 2.0 + log_pixels[:, 0])
    return Classes(
        np.clip(weights, 0, WEIGHT_CLASSES - 1).astype(np.uint8),
        np.clip(places, -POSITION_CLASSES, POSITION_CLASSES).astype(np.int32),
    )


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
    weight = np.log2(unit * visibility.weights + visibility.doubt * alone) / 2.0
    return np.asarray(weight - footprint - np.mean((weight - footprint)[large]))
