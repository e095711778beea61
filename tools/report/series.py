"""Rows as series of points: by codec and scene, their best settings, and their means over scenes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from gscodec_tools.report.rows import OURS, Row, Scene

Point = tuple[float, float]


@dataclass(frozen=True)
class MeanRow:
    """One codec and setting, averaged over scenes; the same measures as Row has, None where a scene lacks one."""

    codec: str
    label: str
    name: str
    rows: tuple[Row, ...]

    def measure(self, name: str) -> float | None:
        """Mean over the scenes of a field; None unless every scene has it."""
        values = [value for row in self.rows if (value := row.measure(name)) is not None]
        return float(np.mean(values)) if len(values) == len(self.rows) else None

    @property
    def in_sweep(self) -> bool:
        """Whether it is a point of this codec's own curve."""
        return all(row.in_sweep for row in self.rows)

    @property
    def matches(self) -> str | None:
        """As Row.matches."""
        return self.rows[0].matches


def mean_rows(scenes: Sequence[Scene]) -> list[MeanRow]:
    """Codecs and settings that have a result in every scene: ours first, then in the order of the first scene."""
    found: dict[tuple[str, str], list[Row]] = {}
    for scene in scenes:
        for row in scene.results:
            if not row.matches:
                found.setdefault((row.codec, row.label), []).append(row)
    rows = [
        MeanRow(codec, label, rows[0].name, tuple(rows))
        for (codec, label), rows in found.items()
        if [row.scene for row in rows] == [scene.name for scene in scenes]
    ]
    return sorted(rows, key=lambda row: row.codec != OURS)


def codecs_of(scenes: Iterable[Scene]) -> list[str]:
    """All codec ids with results, ours first, then in the order of the rows."""
    found = {row.codec: None for scene in scenes for row in scene.results}
    return [*([OURS] if OURS in found else []), *(codec for codec in found if codec != OURS)]


def pareto_front(points: Iterable[Point]) -> list[Point]:
    """Of (rate, quality) those that nothing smaller equals or beats: both rise strictly."""
    front: list[Point] = []
    for rate, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or quality > front[-1][1]:
            front.append((rate, quality))
    return front
