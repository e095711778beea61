"""Files made to a target, with colours moved afterwards: still on target, and better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_recolour import shaded, views

from gscodec.config import EncodeConfig
from gscodec.decoder import decode
from gscodec.encoder import encode_chunks
from gscodec.rate import codec as rate_codec
from gscodec.rate.codec import CloudCodec, EncodedFile
from gscodec.rate.control import Reached, meets, note_of, reach
from gscodec.rate.finish import MOST_TRIALS, finished
from gscodec.rate.goals import FLOOR_TOLERANCE, Goals
from gscodec.rate.model import Choice, Trial
from gscodec.rate.recolour import LEAST_GAIN
from gscodec.rate.reference import Reference

CLOUD, COARSE = shaded(600), EncodeConfig(quality=42.0, threads=1)
JUDGES, COLOURS = Reference(CLOUD, views()[::2]), Reference(CLOUD, views()[1::2])


def to_target(goals: Goals, pruned: bool = False) -> tuple[Reached[EncodedFile], Reached[EncodedFile]]:
    """Before and after."""
    scores = np.exp(CLOUD.opacity_logits) * np.exp(CLOUD.log_scales.sum(axis=1)) if pruned else None
    codec = CloudCodec(CLOUD, COARSE, JUDGES, scores)
    before = reach(goals, codec)
    told: list[int] = []
    after = finished(goals, before, codec, COLOURS, told.append)
    assert told == list(range(len(before.trials) + 1, len(after.trials) + 1))
    assert after.trials[: len(before.trials)] == before.trials
    assert len(after.trials) <= len(before.trials) + MOST_TRIALS
    assert after.trial in after.trials
    assert sum(map(len, after.file.chunks)) == after.trial.size
    found = decode(b"".join(after.file.chunks))
    assert JUDGES.psnr(found) == pytest.approx(after.trial.psnr, abs=1e-9)
    assert len(found) + after.file.removed == len(CLOUD)
    assert after.file.removed == before.file.removed
    return before, after


# PSNR of so few splats scatters by some tenths of a decibel from one quality to the next: moved colours do not always
# help the one file that a search has ended with, but never harm it, and most of the time they help.


def test_sizes_are_kept_and_show_less_error_if_anything() -> None:
    gains = []
    for share in (0.6, 0.7, 0.8, 0.9):
        for pruned in (False, True):
            goals = Goals(size=before_size(share))
            before, after = to_target(goals, pruned)
            assert goals.fits(after.trial.size)
            assert len(after.trials) > len(before.trials)
            assert before.trial.psnr is not None
            assert after.trial.psnr is not None
            gains.append(after.trial.psnr - before.trial.psnr)
    assert min(gains) >= 0.0
    assert sum(gain > LEAST_GAIN for gain in gains) >= 3


def test_floors_are_kept_with_fewer_bytes_if_anything() -> None:
    savings = []
    for quality in (25.0, 35.0, 42.0, 50.0):
        chunks = encode_chunks(CLOUD, replace(COARSE, quality=quality))[0]
        goals = Goals(floor=JUDGES.psnr(decode(b"".join(chunks))))
        before, after = to_target(goals)
        assert goals.good(after.trial.psnr)
        savings.append(before.trial.size - after.trial.size)
    assert min(savings) >= 0
    assert max(savings) > 0


def test_where_the_floor_goes_before_the_size_bytes_count() -> None:
    floor = JUDGES.psnr(decode(b"".join(encode_chunks(CLOUD, COARSE)[0])))
    before, after = to_target(Goals(size=before_size(0.5), floor=floor))
    assert after.trial.size <= before.trial.size
    assert after.trial.psnr is not None
    assert after.trial.psnr >= floor
    assert "the floor goes before it" in after.note


class Smooth:
    """Of closed form: log size and dB are linear in quality; moved colours give ``gain`` dB."""

    def __init__(self, gain: float = 0.0) -> None:
        self.gain = gain

    def recoloured(self, *_: Any) -> Smooth:
        return Smooth(0.7)

    def encode(self, choice: Choice) -> tuple[Trial, EncodedFile]:
        size, psnr = 1e6 * np.exp(0.018 * (choice.quality - 50.0)), 40.0 + 0.4 * (choice.quality - 50.0) + self.gain
        report: Any = None
        return Trial(choice, int(size), (), np.full(2, 10.0 ** (-psnr / 10.0))), EncodedFile([], report, 0)


@pytest.mark.parametrize(
    ("goals", "quality"),
    [
        (Goals(size=990_000, floor=40.0), 49.05),  # a floor that took more than the size, before colours moved
        (Goals(size=900_000, floor=40.0), 48.35),  # and one that still does
        (Goals(floor=40.0), 48.35),
        (Goals(size=1_002_000), 49.7),
    ],
)
def test_the_quality_that_meets_the_target_is_found(goals: Goals, quality: float) -> None:
    codec: Any = Smooth()
    trial, file = codec.encode(Choice(0.0, 0, 50.1))
    after = finished(goals, Reached(file, trial, (trial,)), codec, COLOURS)
    assert after.trial.choice.quality == pytest.approx(quality, abs=0.45)
    assert meets(goals, after.trial)
    assert after.trial.psnr is not None
    assert after.trial.psnr >= 40.0
    assert len(after.trials) <= 1 + MOST_TRIALS


def before_size(share: float) -> int:
    return int(share * sum(map(len, encode_chunks(CLOUD, COARSE)[0])))


def test_colours_that_do_not_help_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_codec, "recoloured", lambda cloud, *_: cloud)
    before, after = to_target(Goals(size=before_size(0.9)))
    assert after.file is before.file
    assert after.trial is before.trial
    assert after.note == before.note


def test_notes() -> None:
    before, _ = to_target(Goals(size=before_size(0.9)))
    trial, size = before.trial, before.trial.size
    assert trial.psnr is not None
    assert note_of(Goals(size=size), trial, 3) == ""
    assert "smaller than asked after 3 trials" in note_of(Goals(size=2 * size), trial, 3)
    assert "2.00 times the size asked" in note_of(Goals(size=size // 2, floor=20.0), trial, 3)
    assert "dB above the floor after 3 trials" in note_of(Goals(floor=trial.psnr - 2 * FLOOR_TOLERANCE), trial, 3)
    assert note_of(Goals(floor=trial.psnr), trial, 3) == ""
