"""What pruning and a lower SH degree cost, measured by renders of clouds without quantisation, few and when needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from gscodec.rate.model import mean_psnr

F64 = npt.NDArray[np.float64]

KNOTS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9)
STEP = 0.025  # between the fractions that are considered


class Losses:
    """Squared errors [V] of fractions removed and SH degrees kept: measured at KNOTS, interpolated between.

    ``measure(fraction, degree)`` gives them exactly. ``degrees``: those to consider, the highest first. ``prunes``:
    whether splats may be removed at all.
    """

    def __init__(self, measure: Callable[[float, int], F64], degrees: Sequence[int], prunes: bool) -> None:
        self._measure = measure
        self._degrees = tuple(degrees)
        self._pruned: list[F64] = []
        self._truncated: list[F64] = []
        self._knots = KNOTS if prunes else ()
        self._whole = measure(0.0, self._degrees[0])

    @property
    def smallest(self) -> tuple[float, int]:
        """The fraction and the SH degree of the smallest file."""
        return (self._knots[-1] if self._knots else 0.0), self._degrees[-1]

    def extend(self, worst: float | None) -> None:
        """Measure ever more pruning and ever fewer degrees, until either costs more than ``worst`` dB; None: all."""
        while len(self._pruned) < len(self._knots) and _better(self._pruned, worst):
            self._prune_more()
        while len(self._truncated) < len(self._degrees) - 1 and _better(self._truncated, worst):
            self._truncate_more()

    def choices(self) -> list[tuple[float, int]]:
        """(fraction, degree) of all that has been measured or lies between."""
        steps = round((self._last - KNOTS[0]) / STEP) + 1 if self._pruned else 0
        fractions = [0.0, *(round(KNOTS[0] + number * STEP, 3) for number in range(steps))]
        return [(fraction, degree) for degree in self._degrees[: len(self._truncated) + 1] for fraction in fractions]

    def at(self, fraction: float, degree: int) -> F64:
        """Squared error [V] of removing ``fraction`` and keeping ``degree``: the errors of both added up."""
        while fraction > self._last:
            self._prune_more()
        while degree < self._degrees[len(self._truncated)]:
            self._truncate_more()
        pruned = self._whole
        if fraction > 0.0:
            knots, logs = np.log(self._knots[: len(self._pruned)]), np.log(np.array(self._pruned))
            at = np.log(fraction)
            pruned = np.exp([np.interp(at, knots, column) for column in logs.T])
        if degree == self._degrees[0]:
            return pruned
        return np.asarray(pruned + np.maximum(self._truncated[self._degrees.index(degree) - 1] - self._whole, 0.0))

    @property
    def _last(self) -> float:
        return self._knots[len(self._pruned) - 1] if self._pruned else 0.0

    def _prune_more(self) -> None:
        self._pruned.append(self._measure(self._knots[len(self._pruned)], self._degrees[0]))

    def _truncate_more(self) -> None:
        self._truncated.append(self._measure(0.0, self._degrees[len(self._truncated) + 1]))


def _better(measured: list[F64], worst: float | None) -> bool:
    return not measured or worst is None or mean_psnr(measured[-1]) > worst
