"""A file made to a target, finished: colours moved by what is decoded of it, and its quality set anew. Preset "max".

Moved colours take some bytes more and show less error, so the quality that meets the target is another one: a little
lower for a size, a point or two lower for a floor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from gscodec.rate.codec import CloudCodec, EncodedFile
from gscodec.rate.control import FLOOR_AIM, SIZE_AIM, Reached, note_of
from gscodec.rate.goals import FLOOR_TOLERANCE, Goals
from gscodec.rate.model import LEAST, MOST, Choice, Trial
from gscodec.rate.recolour import LEAST_GAIN
from gscodec.rate.reference import Reference

MOST_TRIALS = 3
DIGITS = 3  # of a quality
BYTES_SLOPE, DB_SLOPE = 0.02, 0.35  # of log bytes and of dB in a point of quality, until two trials say it


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
    by_floor = goals.size is None or first.size > goals.size
    moved = codec.recoloured(first.choice, colours)
    best, trials = reached, list(reached.trials)
    quality, before = first.choice.quality, (0.0, 0.0)
    for number in range(MOST_TRIALS):
        if tell is not None:
            tell(len(trials) + 1)
        made, file = moved.encode(Choice(0.0, first.choice.degree, quality))
        trial = replace(made, choice=replace(first.choice, quality=quality))
        trials.append(trial)
        if _better(goals, trial, best.trial, by_floor):
            best = Reached(replace(file, removed=reached.file.removed), trial, ())
        off = _off(goals, trial, by_floor)
        if (0.0 <= off + FLOOR_AIM <= FLOOR_TOLERANCE) if by_floor else goals.fits(trial.size):
            break
        slope = DB_SLOPE if by_floor else BYTES_SLOPE
        if number and quality != before[0]:
            slope = max((off - before[1]) / (quality - before[0]), slope / 4.0)
        before = quality, off
        quality = round(min(max(quality - off / slope, LEAST), MOST), DIGITS)
        if quality == before[0]:
            break
    note = reached.note if best is reached else note_of(goals, best.trial, len(trials))
    return replace(best, trials=tuple(trials), note=note)


def _off(goals: Goals, trial: Trial, by_floor: bool) -> float:
    """How far above what is aimed at: in dB, or in logs of bytes."""
    if by_floor:
        assert goals.floor is not None
        assert trial.psnr is not None
        return trial.psnr - goals.floor - FLOOR_AIM
    assert goals.size is not None
    return math.log(trial.size / (SIZE_AIM * goals.size))


def _better(goals: Goals, trial: Trial, than: Trial, by_floor: bool) -> bool:
    if not goals.good(trial.psnr):
        return False
    if by_floor:
        return trial.size < than.size
    assert trial.psnr is not None
    assert than.psnr is not None
    return goals.fits(trial.size) and trial.psnr > than.psnr + LEAST_GAIN
