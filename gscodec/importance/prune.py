"""Remove a fraction of the splats: those with the lowest score."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.cloud import ATTRIBUTES, GaussianCloud
from gscodec.errors import BadInputError
from gscodec.importance import METHODS

U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class PruneSpec:
    """Which score, and the share 0 <= ``fraction`` < 1 to remove. Raises BadInputError for anything else."""

    method: str
    fraction: float

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise BadInputError(
                "unknown pruning method", field="prune", found=self.method, allowed=", ".join(sorted(METHODS))
            )
        if not 0.0 <= self.fraction < 1.0:
            raise BadInputError(
                "fraction to remove out of range", field="prune", found=self.fraction, allowed="0 <= fraction < 1"
            )

    @classmethod
    def parse(cls, text: str) -> PruneSpec:
        """From "method:fraction", as in "opacity:0.2". Raises BadInputError."""
        method, colon, number = text.partition(":")
        try:
            fraction = float(number)
        except ValueError:
            fraction = math.nan
        if method in METHODS and (not colon or math.isnan(fraction)):
            raise BadInputError("no fraction to remove", field="prune", found=text, allowed=f"{method}:FRACTION")
        return cls(method, fraction)


@dataclass(frozen=True)
class PruneReport:
    """What was done: splats kept and removed, and the seconds that it took."""

    method: str
    kept: int
    removed: int
    seconds: float


def prune(cloud: GaussianCloud, spec: PruneSpec) -> tuple[GaussianCloud, PruneReport]:
    """The cloud without its floor(N·fraction + 0.5) splats of lowest score; those kept stay in their order.

    Which splats go does not depend on their order. Raises BadInputError if none would be left.
    """
    start = time.perf_counter()
    removed = math.floor(len(cloud) * spec.fraction + 0.5)
    if removed == len(cloud) > 0:
        raise BadInputError("pruning would leave no splat", field="prune", found=spec.fraction, allowed="less")
    if removed:
        scores = METHODS[spec.method].score(cloud)
        cloud = cloud.select(~lowest(cloud, scores, removed))
    return cloud, PruneReport(spec.method, len(cloud), removed, time.perf_counter() - start)


def lowest(cloud: GaussianCloud, scores: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.bool_]:
    """Mask bool[N] of the ``count`` splats of lowest score float32[N]; NaN is below every number.

    Equal scores are told apart by the splats' own bits, so that any shuffling of the cloud gives the same set.
    """
    if scores.shape != (len(cloud),):
        raise BadInputError("wrong shape", field="scores", found=scores.shape, allowed=(len(cloud),))
    mask = np.zeros(len(cloud), bool)
    rows = np.arange(len(cloud))  # those that all keys so far leave undecided
    for key in _keys(cloud, scores):
        if count in (0, len(rows)):
            break
        values = key[rows]
        threshold = np.partition(values, count - 1)[count - 1]
        below = values < threshold
        mask[rows[below]] = True
        count -= int(np.count_nonzero(below))
        rows = rows[values == threshold]
    mask[rows[:count]] = True  # what is still undecided is equal in every bit
    return mask


def _keys(cloud: GaussianCloud, scores: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[Any]]:
    """Arrays [N] to compare by, the first that differs decides; made only when they are asked for."""
    broken = np.isnan(scores)
    yield (~broken).view(np.uint8)
    yield np.where(broken, np.float32(0), scores)
    yield _position_hash(cloud)
    for name in ATTRIBUTES:
        columns = _bits(getattr(cloud, name).reshape(len(cloud), -1))
        yield from columns.T
    for name in sorted(cloud.extras):
        yield _bits(cloud.extras[name])


def _position_hash(cloud: GaussianCloud) -> U64:
    """uint64[N]. A hash, for the coordinates themselves would take equal scores from one side of the scene."""
    state = np.zeros(len(cloud), np.uint64)
    for column in _bits(cloud.positions).T:
        # The finaliser of splitmix64 (Steele, Lea, Flood 2014)
        state = state + column + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state


def _bits(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same shape as unsigned integers of the same width."""
    contiguous = np.ascontiguousarray(values)
    return contiguous.view(np.dtype(f"u{values.dtype.itemsize}"))
