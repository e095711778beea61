"""Scores against the opacity, and coding with pruning against coding without: Bjøntegaard deltas.

The rate of pruning is the number of splats kept, that of coding the bytes of the file. The maths is that of
``gscodec_tools.bd_rate``; here is decided which points go into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gscodec_tools.bd_rate import LEAST_POINTS, Curve, Delta, bd_rate
from gscodec_tools.report.compare import SATURATED_DB, SPREAD, trimmed
from gscodec_tools.report.prune_rows import ANCHOR, UNPRUNED, PruneRow, PruneScene, method_name, methods_of
from gscodec_tools.report.series import Point, pareto_front

from gscodec.errors import BadInputError

# Curves that begin at a few percent of the splats begin many dB apart, and one step there is a large part of the range:
# the usual 75 % would leave out good scores for being better. The overlap stands beside every number.
OVERLAP = 50.0
REFERENCES = (("psnr_renders", "(b)"), ("psnr_photos", "(a)"))


@dataclass(frozen=True)
class PruneDelta:
    """The change of rate of one score on one scene at equal ``measure``; None where the curves do not give one."""

    method: str
    scene: str
    measure: str
    rate: Delta | None
    notes: tuple[str, ...]


def pruning_deltas(scenes: Sequence[PruneScene], measure: str) -> list[PruneDelta]:
    """Of every score but the anchor, and of every scene that has both: change of splats kept at equal ``measure``."""
    found = []
    for method in methods_of(scenes, "curve"):
        for scene in scenes:
            anchor, test = scene.of("curve", ANCHOR), scene.of("curve", method)
            if method != ANCHOR and anchor and test:
                names = f"{method_name(ANCHOR)} on {scene.name}", f"{method_name(method)} on {scene.name}"
                rate, notes = rate_change(names, _points(anchor, "kept", measure), _points(test, "kept", measure))
                found.append(PruneDelta(method, scene.name, measure, rate, notes))
    return found


def coding_deltas(scenes: Sequence[PruneScene], measure: str) -> list[PruneDelta]:
    """Of every score that was pruned by before coding: change of bytes at equal ``measure`` from coding all splats."""
    found = []
    for method in methods_of(scenes, "coding"):
        for scene in scenes:
            anchor, test = scene.of("coding", UNPRUNED), scene.of("coding", method)
            if anchor and test:
                names = f"{method_name(UNPRUNED)} on {scene.name}", f"{method_name(method)} on {scene.name}"
                rate, notes = rate_change(names, _points(anchor, "bytes", measure), _points(test, "bytes", measure))
                found.append(PruneDelta(method, scene.name, measure, rate, notes))
    return found


def _points(rows: Sequence[PruneRow], rate: str, measure: str) -> list[Point]:
    pairs = [(row.measure(rate), row.measure(measure)) for row in rows]
    return [(size, value) for size, value in pairs if size is not None and value is not None]


def rate_change(
    names: tuple[str, str], anchor: Sequence[Point], test: Sequence[Point]
) -> tuple[Delta | None, tuple[str, ...]]:
    """The BD-rate of two sets of (rate, PSNR), with what was left out or why there is none.

    A set that is not monotone counts by its Pareto front; points above SATURATED_DB, and points beyond the other's
    range but for the next on either side, are left out.
    """
    notes, fronts = [], []
    for name, points in zip(names, (anchor, test), strict=True):
        front = pareto_front(points)
        if len(front) < len(points):
            notes.append(f"{name} is not monotone: its Pareto front, {len(front)} of {len(points)} points")
        front = [point for point in front if point[1] <= SATURATED_DB]
        if len(front) < LEAST_POINTS:
            notes.append(f"{name}: {len(front)} points up to {SATURATED_DB:g} dB, a BD-rate needs {LEAST_POINTS}")
        fronts.append(front)
    if min(map(len, fronts)) < LEAST_POINTS:
        return None, tuple(notes)
    try:
        curves = [
            Curve.of(name, trimmed(own, other, 1)) for name, own, other in zip(names, fronts, fronts[::-1], strict=True)
        ]
        rate = bd_rate(curves[0], curves[1], OVERLAP)
    except BadInputError as error:
        return None, (*notes, f"{error.message} ({error.found})")
    if abs(rate.pchip - rate.akima) > SPREAD:
        notes.append("the interpolations differ: too few points")
    return rate, tuple(notes)
