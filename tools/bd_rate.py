"""Bjøntegaard deltas between rate-distortion curves, and rate at equal quality for codecs with one rate point.

PCHIP is what video standardisation uses and the headline; Akima stands beside it: where the two differ much, the points
are too few. Nothing is extrapolated. `gsrd report` and ``compare_runs`` apply this to the rows of `gsrd run`.

Source: Herglotz et al., "The Bjøntegaard Bible", arXiv 2304.12852; JVET common test conditions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

from gscodec.errors import BadInputError

F64 = npt.NDArray[np.float64]

LEAST_POINTS = 4
LEAST_OVERLAP = 75.0


@dataclass(frozen=True)
class Curve:
    """One codec on one scene: rates (bytes or bits, of any unit) and qualities, both strictly rising."""

    name: str
    rates: tuple[float, ...]
    qualities: tuple[float, ...]

    @classmethod
    def of(cls, name: str, points: Iterable[tuple[float, float]]) -> Curve:
        """From (rate, quality) in any order.

        Raises BadInputError, naming the points, for fewer than four, for rates and qualities that are not finite or
        rates that are not positive, and where more bytes do not give more quality.
        """
        ordered = sorted((float(rate), float(quality)) for rate, quality in points)
        if len(ordered) < LEAST_POINTS:
            raise BadInputError("too few points", field=name, found=ordered, allowed=f"at least {LEAST_POINTS}")
        for rate, quality in ordered:
            if not (math.isfinite(rate) and rate > 0.0 and math.isfinite(quality)):
                raise BadInputError("not a point of a curve", field=name, found=(rate, quality), allowed="finite, > 0")
        for left, right in pairwise(ordered):
            if not (left[0] < right[0] and left[1] < right[1]):
                allowed = "quality that rises strictly with rate"
                raise BadInputError("curve is not monotone", field=name, found=(left, right), allowed=allowed)
        rates, qualities = zip(*ordered, strict=True)
        return cls(name, rates, qualities)

    @property
    def log_rates(self) -> F64:
        """Decimal logarithms of the rates."""
        logarithms: F64 = np.log10(np.array(self.rates))
        return logarithms


@dataclass(frozen=True)
class Delta:
    """A Bjøntegaard delta by both interpolations.

    ``overlap`` is the percentage of the union of the two curves' ranges that both cover; ``interval`` is where the
    delta was taken, in quality for BD-rate and in the unit of the rates for BD-PSNR.
    """

    pchip: float
    akima: float
    overlap: float
    interval: tuple[float, float]


def bd_rate(anchor: Curve, test: Curve, min_overlap: float = LEAST_OVERLAP) -> Delta:
    """Mean change of rate in percent from ``anchor`` to ``test`` at equal quality; negative: ``test`` is smaller.

    Raises BadInputError if the ranges of quality overlap by less than ``min_overlap`` percent, or not at all.
    """
    sides = [(np.array(curve.qualities), curve.log_rates) for curve in (anchor, test)]
    pchip, akima, overlap, interval = _deltas(f"{anchor.name}, {test.name}", sides, min_overlap)
    return Delta(100.0 * (10.0**pchip - 1.0), 100.0 * (10.0**akima - 1.0), overlap, interval)


def bd_psnr(anchor: Curve, test: Curve, min_overlap: float = LEAST_OVERLAP) -> Delta:
    """Mean gain of quality (dB for PSNR) from ``anchor`` to ``test`` at equal rate; positive: ``test`` is better.

    Raises BadInputError if the ranges of log rate overlap by less than ``min_overlap`` percent, or not at all.
    """
    sides = [(curve.log_rates, np.array(curve.qualities)) for curve in (anchor, test)]
    pchip, akima, overlap, (low, high) = _deltas(f"{anchor.name}, {test.name}", sides, min_overlap)
    return Delta(pchip, akima, overlap, (10.0**low, 10.0**high))


def rate_at_quality(curve: Curve, quality: float) -> float:
    """Rate at which ``curve`` has that quality, PCHIP over log rate. Raises BadInputError outside of its range."""
    low, high = curve.qualities[0], curve.qualities[-1]
    if not low <= quality <= high:
        raise BadInputError("quality outside of the curve", field=curve.name, found=quality, allowed=f"{low}..{high}")
    return float(10.0 ** PchipInterpolator(curve.qualities, curve.log_rates)(quality))


def _deltas(name: str, sides: list[tuple[F64, F64]], least: float) -> tuple[float, float, float, tuple[float, float]]:
    """Mean over the common range of x of y of the second side minus that of the first: PCHIP, Akima; overlap, range."""
    first, last = [float(x[0]) for x, _ in sides], [float(x[-1]) for x, _ in sides]
    low, high = max(first), min(last)
    overlap = 100.0 * max(high - low, 0.0) / (max(last) - min(first))
    if overlap < least or high <= low:
        found = f"{overlap:.1f} %"
        raise BadInputError("curves overlap too little", field=name, found=found, allowed=f"{least:g} % and above 0")
    means = []
    for method in (PchipInterpolator, Akima1DInterpolator):
        anchor, test = (float(method(x, y).integrate(low, high)) for x, y in sides)
        means.append((test - anchor) / (high - low))
    return means[0], means[1], overlap, (low, high)
