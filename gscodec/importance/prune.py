"""Remove the splats of lowest score: a share of them, a number of them, or all below a threshold."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.cloud import ATTRIBUTES, GaussianCloud
from gscodec.errors import BadInputError
from gscodec.importance.compensate import compensated
from gscodec.importance.scores import check_params, check_scores, method_named, score
from gscodec.importance.seen import Seen, Views
from gscodec.render import Renderer

F32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
U64 = npt.NDArray[np.uint64]

AMOUNTS = ("fraction", "count", "keep", "threshold")


@dataclass(frozen=True)
class PruneSpec:
    """Which score, and how much to remove by it. Raises BadInputError for anything that makes no sense.

    Exactly one of: ``fraction`` 0 <= f < 1 to remove; ``count`` of splats to remove; ``keep``, splats that may stay;
    ``threshold``, the score below which splats go. ``params``: what the method takes beside.
    """

    method: str
    fraction: float | None = None
    count: int | None = None
    keep: int | None = None
    threshold: float | None = None
    params: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_params(self.method, self.params)
        given = [name for name in AMOUNTS if getattr(self, name) is not None]
        if len(given) != 1:
            raise BadInputError("one amount", field="prune", found=given or "none", allowed=_amounts_help(self.method))
        if self.fraction is not None and not 0.0 <= self.fraction < 1.0:
            raise BadInputError(
                "fraction to remove out of range", field="prune", found=self.fraction, allowed="0 <= fraction < 1"
            )
        if self.count is not None and self.count < 0:
            raise BadInputError("splats to remove out of range", field="prune", found=self.count, allowed="0 or more")
        if self.keep is not None and self.keep < 1:
            raise BadInputError("splats to keep out of range", field="prune", found=self.keep, allowed="1 or more")
        if self.threshold is not None and math.isnan(self.threshold):
            raise BadInputError("bad threshold", field="prune", found=self.threshold, allowed="a number")

    @classmethod
    def parse(cls, text: str) -> PruneSpec:
        """From "opacity:0.2" (fraction to remove), "opacity:n=20000" (splats to remove), "opacity:keep=100000"
        (splats to keep) or "opacity:t=0.01" (remove what scores below). Raises BadInputError.
        """
        name, _, amount = text.partition(":")
        method_named(name)
        key, equals, number = amount.partition("=") if "=" in amount else ("", "", amount)
        try:
            if not equals:
                fraction = float(number)
                if not math.isnan(fraction):
                    return cls(name, fraction)
            elif key == "t":
                return cls(name, threshold=float(number))
            elif key == "n":
                return cls(name, count=int(number))
            elif key == "keep":
                return cls(name, keep=int(number))
        except ValueError:
            pass
        raise BadInputError("no amount to remove", field="prune", found=text, allowed=_amounts_help(name))


@dataclass(frozen=True)
class PruneReport:
    """What was done: splats kept and removed, the seconds that it took, how many views the score was made from, and
    whether those kept were changed to make up for those removed.
    """

    method: str
    kept: int
    removed: int
    seconds: float
    views: int = 0
    compensated: bool = False


def prune(
    cloud: GaussianCloud,
    spec: PruneSpec,
    views: Views = None,
    renderer: Renderer | None = None,
    compensate: bool = False,
) -> tuple[GaussianCloud, PruneReport]:
    """The cloud without its splats of lowest score; those kept stay in their order, and as they are unless
    ``compensate`` lets them take over what the others showed.

    ``fraction`` removes floor(N·fraction + 0.5). Which splats go does not depend on their order (but see ``Seen`` on
    splats of the very same depth). Raises BadInputError if none would be left, and as ``scores.score`` does.
    """
    start = time.perf_counter()
    kept = cloud
    if spec.threshold is not None or to_remove(len(cloud), spec):
        mask = kept_mask(cloud, score(spec.method, cloud, views, renderer, spec.params), spec)
        kept = compensated(cloud, mask) if compensate else cloud.select(mask)
    used = 0
    if method_named(spec.method).needs_views and views is not None:
        used = len(views.views if isinstance(views, Seen) else views)
    seconds, removed = time.perf_counter() - start, len(cloud) - len(kept)
    return kept, PruneReport(spec.method, len(kept), removed, seconds, used, compensate and removed > 0)


def kept_mask(cloud: GaussianCloud, scores: F32, spec: PruneSpec) -> Mask:
    """Mask bool[N] of the splats to keep by ``scores`` float32[N]; a NaN score of a broken splat is the lowest.

    Raises BadInputError if none would be left, and for NaN scores of finite splats.
    """
    check_scores(cloud, scores)
    if spec.threshold is not None:
        mask: Mask = scores >= np.float32(spec.threshold)
        if len(cloud) and not mask.any():
            highest = float(np.nanmax(scores, initial=-np.inf))
            raise BadInputError(
                "pruning would leave no splat", field="prune", found=spec.threshold, allowed=f"at most {highest:g}"
            )
        return mask
    return ~lowest(cloud, scores, to_remove(len(cloud), spec))


def to_remove(total: int, spec: PruneSpec) -> int:
    """How many of ``total`` splats go, unless a threshold says so. Raises BadInputError if none would be left."""
    if spec.keep is not None:
        return max(0, total - spec.keep)
    count = spec.count if spec.count is not None else math.floor(total * (spec.fraction or 0.0) + 0.5)
    if count >= total and count > 0 and (total > 0 or spec.count is not None):
        found = spec.fraction if spec.fraction is not None else count
        raise BadInputError("pruning would leave no splat", field="prune", found=found, allowed=f"less of {total}")
    return count


def lowest(cloud: GaussianCloud, scores: F32, count: int) -> Mask:
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


def _amounts_help(method: str) -> str:
    return f"{method}:FRACTION to remove, {method}:n=COUNT to remove, {method}:keep=COUNT or {method}:t=LOWEST_SCORE"


def _keys(cloud: GaussianCloud, scores: F32) -> Iterator[npt.NDArray[Any]]:
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
