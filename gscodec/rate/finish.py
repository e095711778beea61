"""A file made to a target, finished: colours moved by what is decoded of it, and its quality set anew. Preset "max".

Moved colours take some bytes more and show less error, so the quality that meets the target is another one: a little
lower for a size, a point or two lower for a floor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from gscodec.rate.codec import CloudCodec, EncodedFile
from gscodec.rate.control import DIGITS, FLOOR_AIM, SIZE_AIM, Reached, meets, note_of
from gscodec.rate.goals import Goals
from gscodec.rate.model import LEAST, MOST, Choice, Trial
from gscodec.rate.recolour import LEAST_GAIN
from gscodec.rate.reference import Reference

MOST_TRIALS = 3
BYTES_SLOPE, DB_SLOPE = 0.02, 0.35  # of log bytes and of dB in a point of quality, until two trials say it
LEAST_SLOPE = 0.25  # of those: steps stay small where trials say little


def finished(
    goals: Goals,
    reached: Reached[EncodedFile],
    codec: CloudCodec,
    colours: Reference,
    tell: Callable[[int], None] | None = None,
) -> Reached[EncodedFile]:
    """The best of ``reached``, which ``codec`` made, and up to MOST_TRIALS files with colours moved by ``colours``.

    Better is less error by LEAST_GAIN within the size; where the floor decides, fewer bytes.
    """
    first = reached.trial
    moved = codec.recoloured(first.choice, colours)
    best, tried = reached, list[Trial]()
    quality = first.choice.quality
    while len(tried) < MOST_TRIALS and all(quality != trial.choice.quality for trial in tried):
        if tell is not None:
            tell(len(reached.trials) + len(tried) + 1)
        made, file = moved.encode(Choice(0.0, first.choice.degree, quality))
        tried.append(replace(made, choice=replace(first.choice, quality=quality)))
        if _better(goals, tried[-1], best.trial):
            best = replace(reached, file=replace(file, removed=reached.file.removed), trial=tried[-1])
        if meets(goals, tried[-1]):
            break
        quality = _next_quality(goals, tried)
    trials = (*reached.trials, *tried)
    return replace(best, trials=trials, note=note_of(goals, best.trial, len(trials)))


def _next_quality(goals: Goals, tried: Sequence[Trial]) -> float:
    """Where the last trials say that the target is met; of two goals, the floor at least."""
    wished = []
    if goals.size is not None:
        wished.append(
            _crossing([(t.choice.quality, math.log(t.size / (SIZE_AIM * goals.size))) for t in tried], BYTES_SLOPE)
        )
    if goals.floor is not None:
        floor = goals.floor + FLOOR_AIM
        wished.append(_crossing([(t.choice.quality, t.psnr - floor) for t in tried if t.psnr is not None], DB_SLOPE))
    return round(min(max(*wished, LEAST), MOST), DIGITS)


def _crossing(points: Sequence[tuple[float, float]], slope: float) -> float:
    """Where a line through the last two of (quality, how far above the aim), or of this slope, meets the aim."""
    quality, off = points[-1]
    if len(points) > 1:
        before, above = points[-2]
        slope = max((off - above) / (quality - before), LEAST_SLOPE * slope)
    return quality - off / slope


def _better(goals: Goals, trial: Trial, than: Trial) -> bool:
    if not goals.good(trial.psnr):
        return False
    small, was_small = (goals.size is not None and each.size <= goals.size for each in (trial, than))
    if not small or not was_small:
        return small or (not was_small and trial.size < than.size)
    assert trial.psnr is not None
    assert than.psnr is not None
    return goals.fits(trial.size) and trial.psnr > than.psnr + LEAST_GAIN
