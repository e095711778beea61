"""The quality at which this codec makes a file of a given size: what its rows at a peer's size are made with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

LEAST, MOST = 1.0, 100.0
DIGITS = 3  # of a quality: that of the command line, and fine enough for any file
TOLERANCE = 0.01  # a match has this part of the size less, at most
AIM = 0.996  # of the size
MAX_ENCODES = 16


@dataclass(frozen=True)
class Match:
    """``size`` <= the target where that can be reached at all. ``note``: why it is not within TOLERANCE, else ""."""

    quality: float
    size: int
    note: str = ""


def match_size(size_at: Callable[[float], int], target: int, known: Iterable[tuple[float, int]] = ()) -> Match:
    """The quality 1..100 whose size is within 1 % below ``target`` bytes.

    ``size_at`` gives the bytes at a quality, rising with it; ``known`` are pairs that need not be asked for. The search
    interpolates log bytes between the nearest below and above, and halves the interval now and then.
    """
    sizes = {quality: size for quality, size in known if LEAST <= quality <= MOST}
    for end in (LEAST, MOST):
        low, high = _bracket(sizes, target)
        if (low is None and end == LEAST) or (high is None and end == MOST):
            sizes.setdefault(end, size_at(end))
    for number in range(MAX_ENCODES):
        low, high = _bracket(sizes, target)
        if low is None:
            return Match(LEAST, sizes[LEAST], "larger than the other even at quality 1")
        if sizes[low] >= (1.0 - TOLERANCE) * target:
            return Match(low, sizes[low])
        if high is None:
            return Match(MOST, sizes[MOST], "smaller than the other even at quality 100")
        middle = round((low + high) / 2, DIGITS)
        # Interpolation alone can creep towards one end.
        quality = middle if number % 3 == 2 else round(_between(sizes, low, high, target), DIGITS)
        quality = middle if quality in sizes else quality
        if quality in sizes:
            break
        sizes[quality] = size_at(quality)
    low, _ = _bracket(sizes, target)
    best = LEAST if low is None else low
    return Match(
        best, sizes[best], f"{100 * (1 - sizes[best] / target):.1f} % smaller than the other: no quality between"
    )


def _bracket(sizes: dict[float, int], target: int) -> tuple[float | None, float | None]:
    """The least quality with more than ``target`` bytes, and before it the best one below."""
    high = min((quality for quality, size in sizes.items() if size > target), default=None)
    fits = (quality for quality, size in sizes.items() if size <= target and (high is None or quality < high))
    return max(fits, default=None), high


def _between(sizes: dict[float, int], low: float, high: float, target: int) -> float:
    below, above = math.log(sizes[low]), math.log(sizes[high])
    share = (math.log(AIM * target) - below) / (above - below)
    return low + (high - low) * min(max(share, 0.02), 0.98)
