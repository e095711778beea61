"""This codec against each other one: BD-rate where there are curves, bytes at equal quality everywhere else.

All of it is reference (b), PSNR against renders of the source, and bytes of whole files. The maths is that of
``gscodec_tools.bd_rate``; here is decided which points go into it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gscodec_tools.bd_rate import LEAST_POINTS, Curve, Delta, bd_psnr, bd_rate, rate_at_quality
from gscodec_tools.report.rows import OURS, TARGETS, Row, Scene, codec_name
from gscodec_tools.report.series import Point, codecs_of, pareto_front

from gscodec.errors import BadInputError

SATURATED_DB = 60.0  # above it, PSNR says nothing that could be seen, and a few points would own the integral
MATCHED = 0.05  # relative difference of two sizes that counts as equal
SPREAD = 2.0  # percentage points between the two interpolations from which the points are called too few


@dataclass(frozen=True)
class Deltas:
    """Our curve against one other codec's on one scene; ``notes`` say what is missing, and why."""

    codec: str
    scene: str
    rate: Delta | None
    quality: Delta | None
    our_points: int
    peer_labels: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class EqualQuality:
    """One row of another codec, and this codec at its quality and at its size.

    ours: bytes of ours at the row's PSNR, interpolated; None with a note where our curve does not reach. match: our
    measured row at the peer's size. targeted: bytes of ours where it was asked for sizes, None where that has no curve
    or does not reach.
    """

    row: Row
    ours: float | None
    note: str
    match: Row | None
    targeted: float | None = None

    @property
    def sizes_match(self) -> bool:
        """Whether the measured row of ours is as large as the other's, within MATCHED."""
        size = self.match.bytes if self.match else None
        return bool(size and self.row.bytes and abs(size / self.row.bytes - 1.0) <= MATCHED)

    @property
    def gain(self) -> float | None:
        """PSNR of ours at its size minus its own, in dB."""
        own, other = self.row.psnr_renders, self.match.psnr_renders if self.match else None
        return None if own is None or other is None else other - own

    @property
    def ratio(self) -> float | None:
        """Ours over the other's bytes."""
        return None if self.ours is None or not self.row.bytes else self.ours / self.row.bytes

    @property
    def targeted_ratio(self) -> float | None:
        """The same where ours was asked for sizes."""
        return None if self.targeted is None or not self.row.bytes else self.targeted / self.row.bytes


def points_of(rows: Sequence[Row]) -> list[Point]:
    """(bytes, PSNR against renders) of the rows that have both."""
    return [(float(row.bytes), row.psnr_renders) for row in rows if row.bytes and row.psnr_renders is not None]


def our_curve(scene: Scene, codec: str = OURS) -> Curve:
    """The Pareto front of our sweep, or of our TARGETS, where more bytes did not give more quality.

    Raises BadInputError for a few points.
    """
    rows = scene.sweep if codec == OURS else [row for row in scene.peers if row.codec == codec]
    return Curve.of(f"{codec} on {scene.name}", pareto_front(points_of(rows)))


def deltas(scenes: Sequence[Scene]) -> list[Deltas]:
    """Of every other codec and every scene that it has results on, by codec."""
    codecs = [codec for codec in codecs_of(scenes) if any(row.codec == codec for s in scenes for row in s.peers)]
    return [
        _deltas(codec, scene) for codec in codecs for scene in scenes if any(row.codec == codec for row in scene.peers)
    ]


def _deltas(codec: str, scene: Scene) -> Deltas:
    rows = [row for row in scene.peers if row.codec == codec]
    points = points_of(rows)
    front = [point for point in pareto_front(points) if point[1] <= SATURATED_DB]
    sweep = [point for point in pareto_front(points_of(scene.sweep)) if point[1] <= SATURATED_DB]
    for name, found in ((codec_name(codec), front), ("gscodec", sweep)):
        if len(found) < LEAST_POINTS:
            many = "1 point" if len(found) == 1 else f"{len(found)} points"
            where = f"on its Pareto front up to {SATURATED_DB:g} dB"
            note = f"{name} has {many} {where}, a BD-rate needs {LEAST_POINTS}: see bytes at equal quality"
            return Deltas(codec, scene.name, None, None, len(sweep), _labels(rows, front), (note,))
    rate, ours, peer, note = _taken(bd_rate, front, sweep, 1, codec, scene.name)
    notes = [f"BD-rate: {note}"] if note else []
    quality, _, _, note = _taken(bd_psnr, front, sweep, 0, codec, scene.name)
    notes += [f"BD-PSNR: {note}"] if note else []
    if len(front) < len(points):
        notes.insert(0, f"the Pareto front of its {len(points)} settings")
    if rate is not None and abs(rate.pchip - rate.akima) > SPREAD:
        notes.append("the interpolations differ: too few points")
    return Deltas(codec, scene.name, rate, quality, len(ours), _labels(rows, peer), tuple(notes))


def _labels(rows: Sequence[Row], points: Sequence[Point]) -> tuple[str, ...]:
    """The settings of these points, the first of those that are equal."""
    by_point = {point: row.label for row in reversed(rows) for point in points_of([row])}
    return tuple(by_point[point] for point in points)


def _taken(
    measure: Callable[[Curve, Curve], Delta], front: list[Point], sweep: list[Point], axis: int, codec: str, scene: str
) -> tuple[Delta | None, list[Point], list[Point], str]:
    """The delta over the common range, the points of ours and of the other that went into it, or why there is none."""
    peer, ours = trimmed(front, sweep, axis), trimmed(sweep, front, axis)
    try:
        anchor, test = Curve.of(f"{codec} on {scene}", peer), Curve.of(f"gscodec on {scene}", ours)
        return measure(anchor, test), ours, peer, ""
    except BadInputError as error:
        return None, ours, peer, f"{error.message} ({error.found})"


def trimmed(points: Sequence[Point], other: Sequence[Point], axis: int) -> list[Point]:
    """The points of a curve within the range of another along an axis, and the next one on either side.

    A sweep that goes far beyond the other's range would fail the rule of overlap for points that no integral touches.
    At least LEAST_POINTS stay where there are as many. Points rise along both axes.
    """
    low, high = other[0][axis], other[-1][axis]
    first = max((place for place, point in enumerate(points) if point[axis] <= low), default=0)
    last = min((place for place, point in enumerate(points) if point[axis] >= high), default=len(points) - 1)
    first, last = min(first, last), max(first, last)
    while last - first + 1 < LEAST_POINTS and last - first + 1 < len(points):
        below = low - points[first - 1][axis] if first > 0 else math.inf
        above = points[last + 1][axis] - high if last + 1 < len(points) else math.inf
        first, last = (first - 1, last) if below <= above else (first, last + 1)
    return list(points[first : last + 1])


def equal_quality(scenes: Sequence[Scene]) -> list[EqualQuality]:
    """Of every result of another codec, in the order of the codecs."""
    rows = []
    for codec in codecs_of(scenes):
        for scene in scenes:
            chosen = [row for row in scene.peers if row.codec == codec]
            curve, aimed = _curve_or_why(scene, OURS), _curve_or_why(scene, TARGETS)
            rows += [
                EqualQuality(row, *_ours_at(curve, row), scene.match_of(row), _ours_at(aimed, row)[0]) for row in chosen
            ]
    return rows


def _curve_or_why(scene: Scene, codec: str) -> Curve | BadInputError:
    try:
        return our_curve(scene, codec)
    except BadInputError as error:
        return error


def _ours_at(curve: Curve | BadInputError, row: Row) -> tuple[float | None, str]:
    if isinstance(curve, BadInputError):
        return None, f"our curve: {curve.message}"
    if row.psnr_renders is None:
        return None, "equal to the source" if row.identical else "no PSNR"
    low, high = curve.qualities[0], curve.qualities[-1]
    if row.psnr_renders < low:
        return None, f"below our sweep, which begins at {low:.1f} dB and {curve.rates[0]:,.0f} bytes"
    if row.psnr_renders > high:
        return None, f"above our sweep, which ends at {high:.1f} dB"
    return rate_at_quality(curve, row.psnr_renders), ""


def mean_of(values: Sequence[float]) -> float:
    """Arithmetic mean, as the tables of video standardisation take it of BD-rates."""
    return sum(values) / len(values)


def mean_ratio(values: Sequence[float]) -> float:
    """Geometric mean, which does not depend on whose bytes are the denominator."""
    return math.exp(sum(map(math.log, values)) / len(values))
