"""Scores of a cloud by every method, with the seconds that each would have taken alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.importance import METHODS
from gscodec.importance.scores import score
from gscodec.importance.seen import GradientSums, Seen
from gscodec.render import Contributions
from gscodec.scene import Camera
from gscodec.scene.capture import downscaled

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
T = TypeVar("T")

WARM_SPLATS, WARM_DOWNSCALE = 2000, 8
BINS = 50


class TimedSeen(Seen):
    """A Seen that knows what each pass over the views took, and which passes were asked for since ``used`` was cleared.

    A pass is made once; how long it took counts for every score that asks for it.
    """

    def __init__(self, cloud: GaussianCloud, views: Sequence[Camera]) -> None:
        super().__init__(cloud, views)
        self.pass_seconds: dict[str, float] = {}
        self.used: set[str] = set()

    @property
    def contributions(self) -> Contributions:
        return self._timed("contributions", lambda: super(TimedSeen, self).contributions)

    @property
    def gradients(self) -> GradientSums:
        return self._timed("gradients", lambda: super(TimedSeen, self).gradients)

    @property
    def loss_gradients(self) -> GradientSums:
        return self.gradients  # there are no photos; kept by itself, it would hide who used the gradients

    @property
    def removal_error(self) -> F64:
        return self._timed("removal", lambda: super(TimedSeen, self).removal_error)

    def fisher_information(self, resolution: int = 1) -> F64:
        return self._timed(f"fisher 1/{resolution}", lambda: super(TimedSeen, self).fisher_information(resolution))

    def _timed(self, name: str, made: Callable[[], T]) -> T:
        begin = time.perf_counter()
        value = made()
        self.pass_seconds.setdefault(name, time.perf_counter() - begin)
        self.used.add(name)
        return value


@dataclass(frozen=True, eq=False)
class Scored:
    """``values`` float32 [N]. ``seconds``: of the score as if alone, all its ``passes`` (seconds by name) included.

    ``shared``: those of the passes that an earlier score had made, so that their seconds are from there.
    """

    values: F32
    seconds: float
    passes: dict[str, float]
    shared: tuple[str, ...]


def timed_score(name: str, cloud: GaussianCloud, seen: TimedSeen | None) -> Scored:
    """By a method of the table with its standard parameters. Raises BadInputError as ``scores.score`` does."""
    before: set[str] = set()
    if seen is not None:
        before = set(seen.pass_seconds)
        seen.used.clear()
    begin = time.perf_counter()
    values = score(name, cloud, seen)
    seconds = time.perf_counter() - begin
    passes = {} if seen is None else {one: seen.pass_seconds[one] for one in sorted(seen.used)}
    shared = tuple(one for one in passes if one in before)
    return Scored(values, seconds + sum(passes[one] for one in shared), passes, shared)


def warm_up(names: Iterable[str], cloud: GaussianCloud, views: Sequence[Camera]) -> None:
    """Score a small part of the cloud, so that compiling is in no measured time."""
    part = cloud.select(slice(0, WARM_SPLATS))
    for name in names:
        with contextlib.suppress(Exception):  # what goes wrong is told when it is measured
            needs = METHODS[name].needs_views
            score(name, part, TimedSeen(part, [downscaled(views[0], WARM_DOWNSCALE)]) if needs else None)


def histogram(values: F32) -> list[int] | None:
    """Counts in BINS equal bins of 0..1, None if a score lies outside of it; NaN is not counted."""
    known = values[~np.isnan(values)]
    if not len(known) or known.min() < 0.0 or known.max() > 1.0:
        return None
    return [int(count) for count in np.histogram(known, BINS, (0.0, 1.0))[0]]
