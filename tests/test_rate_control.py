"""Targets of size and PSNR, with a codec of closed form."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from fake_targets import FakeCodec

from gscodec.errors import BadInputError, UnreachableTargetError
from gscodec.rate.control import MAX_TRIALS, Reached, reach
from gscodec.rate.goals import Goals, parse_size, size_at_ratio
from gscodec.rate.kriging import Kriging
from gscodec.rate.losses import KNOTS, Losses
from gscodec.rate.model import QUALITIES, Choice, Model, mean_psnr, squared_errors

KINDS = (
    FakeCodec(),
    FakeCodec(bits=12.0),
    FakeCodec(bits=40.0, slope=0.28),
    FakeCodec(curve=0.5, degree=1),
    FakeCodec(prune_psnr=65.0),
    FakeCodec(prunes=False, degree=0),
)


def fresh(codec: FakeCodec) -> FakeCodec:
    return replace(codec)


def checked(codec: FakeCodec, goals: Goals) -> Reached[Choice]:
    """What is reached; it is one of the trials, and these are all encodes."""
    numbers: list[int] = []
    reached = reach(goals, codec, numbers.append)
    assert numbers == list(range(1, len(reached.trials) + 1))
    assert len(reached.trials) == len(codec.encoded) <= MAX_TRIALS
    assert [trial.choice for trial in reached.trials] == codec.encoded
    assert reached.file == reached.trial.choice
    assert len(set(codec.encoded)) == len(codec.encoded)
    return reached


# Reaching


@pytest.mark.parametrize("size", [300_000, 600_000, 1_200_000])
@pytest.mark.parametrize("number", range(len(KINDS)))
def test_sizes(number: int, size: int) -> None:
    reached = checked(fresh(KINDS[number]), Goals(size))
    assert 0.98 * size <= reached.trial.size <= size
    assert reached.note == ""


@pytest.mark.parametrize("floor", [33.0, 42.0, 51.0])
@pytest.mark.parametrize("number", range(len(KINDS)))
def test_floors(number: int, floor: float) -> None:
    reached = checked(fresh(KINDS[number]), Goals(floor=floor))
    assert reached.trial.psnr is not None
    assert floor <= reached.trial.psnr <= floor + 0.1
    assert reached.note == ""


@pytest.mark.parametrize("wrong", [0.99, 1.0, 1.01])
def test_samples_spare_trials(wrong: float) -> None:
    with_samples = without = 0
    for kind, size in itertools.product(KINDS[:4], (300_000, 600_000, 1_200_000)):
        plain, sampling = fresh(kind), replace(kind, samples=wrong)
        without += len(checked(plain, Goals(size)).trials)
        reached = checked(sampling, Goals(size))
        with_samples += len(reached.trials)
        assert plain.sampled == []
        assert 1 <= len(sampling.sampled) <= 3 + len(reached.trials)
        assert 0.98 * size <= reached.trial.size <= size
        first = reached.trials[0]
        assert first.size == pytest.approx(size, rel=0.03) or first.choice.quality in (1.0, 100.0)
    assert with_samples < without


def test_a_floor_alone_needs_no_samples() -> None:
    codec = FakeCodec(samples=1.0)
    checked(codec, Goals(floor=42.0))
    assert codec.sampled == []


def test_same_input_same_trials() -> None:
    first, second = (checked(FakeCodec(), Goals(500_000)) for _ in range(2))
    assert [trial.choice for trial in first.trials] == [trial.choice for trial in second.trials]


def best_on_grid(codec: FakeCodec, size: int) -> float:
    """The PSNR of the best file up to a size, by looking at very many."""
    best = 0.0
    for degree in range(codec.degree + 1):
        for fraction in np.arange(0.0, 0.9, 0.05):
            trials = (codec.trial(Choice(float(fraction), degree, float(quality))) for quality in QUALITIES)
            best = max([best, *(trial.psnr or 0.0 for trial in trials if trial.size <= size)])
    return best


@pytest.mark.parametrize("size", [250_000, 600_000])
def test_nearly_the_best_of_all_choices(size: int) -> None:
    reached = checked(FakeCodec(), Goals(size))
    assert reached.trial.choice.fraction > 0.0
    assert (reached.trial.psnr or 0.0) > best_on_grid(FakeCodec(), size) - 0.35


def test_a_file_that_just_fits_is_not_taken_for_the_best() -> None:
    """The whole cloud at the lowest quality has the size asked, but is far worse than a pruned one."""
    size = int(1.002 * FakeCodec().trial(Choice(0.0, 3, 1.0)).size)
    reached = checked(FakeCodec(), Goals(size))
    assert reached.trial.choice.fraction > 0.0
    assert (reached.trial.psnr or 0.0) > best_on_grid(FakeCodec(), size) - 0.35


def test_pruning_that_costs_too_much_is_left_out() -> None:
    codec = FakeCodec(prune_psnr=20.0)
    assert checked(codec, Goals(700_000)).trial.choice.fraction == 0.0


def test_pruning_reaches_what_quality_alone_does_not() -> None:
    assert checked(FakeCodec(), Goals(150_000)).trial.size <= 150_000
    with pytest.raises(UnreachableTargetError):
        reach(Goals(150_000), FakeCodec(prunes=False))


def test_without_views_quality_alone() -> None:
    reached = checked(FakeCodec(sees=False), Goals(700_000))
    assert reached.trial.psnr is None
    assert reached.trial.choice.fraction == 0.0
    assert reached.trial.choice.degree == 3
    assert 0.98 * 700_000 <= reached.trial.size <= 700_000


# Both goals


def test_floor_wins_over_the_size() -> None:
    reached = checked(FakeCodec(), Goals(500_000, 45.0))
    assert reached.trial.psnr is not None
    assert 45.0 <= reached.trial.psnr <= 45.1
    assert reached.trial.size > 500_000
    assert "45 dB take" in reached.note
    alone = checked(FakeCodec(), Goals(floor=45.0))
    assert reached.trial.size == pytest.approx(alone.trial.size, rel=0.01)


def test_size_where_the_floor_leaves_room() -> None:
    reached = checked(FakeCodec(), Goals(900_000, 33.0))
    assert 0.98 * 900_000 <= reached.trial.size <= 900_000
    assert reached.trial.psnr is not None
    assert reached.trial.psnr > 33.0
    assert reached.note == ""


def test_floor_that_the_size_just_meets() -> None:
    at_size = checked(FakeCodec(), Goals(700_000)).trial.psnr
    assert at_size is not None
    for distance in (-0.05, 0.05):
        reached = checked(FakeCodec(), Goals(700_000, at_size + distance))
        assert reached.trial.psnr is not None
        assert reached.trial.psnr >= at_size + distance
        assert reached.trial.size <= 1.02 * 700_000


# What cannot be reached


def test_too_small() -> None:
    codec = FakeCodec(bits=40.0)
    with pytest.raises(UnreachableTargetError, match="no file is that small") as caught:
        reach(Goals(50_000), codec)
    smallest = codec.trial(Choice(0.9, 0, 1.0)).size
    assert caught.value.allowed == f"{smallest:,} bytes or more"
    assert len(codec.encoded) <= MAX_TRIALS


def test_too_large() -> None:
    codec = FakeCodec()
    with pytest.raises(UnreachableTargetError, match="no file is that large") as caught:
        reach(Goals(50_000_000), codec)
    assert caught.value.allowed == f"up to {codec.trial(Choice(0.0, 3, 100.0)).size:,} bytes"


def test_too_good() -> None:
    codec = FakeCodec()
    with pytest.raises(UnreachableTargetError, match="no file is that good") as caught:
        reach(Goals(floor=90.0), codec)
    assert caught.value.allowed == f"up to {codec.trial(Choice(0.0, 3, 100.0)).psnr:.2f} dB"
    with pytest.raises(UnreachableTargetError, match="min-psnr"):
        reach(Goals(100_000, 90.0), FakeCodec())


def test_floor_below_all_files() -> None:
    reached = checked(FakeCodec(degree=0), Goals(floor=12.0))
    assert reached.trial.choice == Choice(0.9, 0, 1.0)
    assert "above the floor at the lowest quality" in reached.note


# The parts


@pytest.mark.parametrize(("text", "size"), [
    ("8MB", 8_000_000), ("8 MB", 8_000_000), ("8mb", 8_000_000), ("1.5GB", 1_500_000_000), ("500kB", 500_000),
    ("2KiB", 2048), ("0.5MiB", 1 << 19), ("1GiB", 1 << 30), ("12345", 12345), ("7B", 7), ("1.0005kB", 1000),
])  # fmt: skip
def test_sizes_as_text(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MB", "8M", "8k", "8TB", "-8MB", "8,5MB", "1e6", "8MBit", "0", "0.4", "nan", "8 M B"]
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(BadInputError, match="target-size"):
        parse_size(text)


def test_ratios() -> None:
    assert size_at_ratio(1000, 3.0) == 333
    for ratio in (0.0, -1.0, float("nan"), float("inf"), 1001.0):
        with pytest.raises(BadInputError, match="target-ratio"):
            size_at_ratio(1000, ratio)


@pytest.mark.parametrize("goals", [{}, {"size": 0}, {"floor": 0.0}, {"floor": float("nan")}, {"floor": 1e9}])
def test_no_goals(goals: dict[str, float]) -> None:
    with pytest.raises(BadInputError):
        Goals(**goals)  # type: ignore[arg-type]


def test_kriging() -> None:
    trend = Kriging(offset=1.0, slopes=(1.0, 1.0), local=0.0, lengths=(1.0, 1.0))
    assert np.array_equal(trend.predict(np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.ones((3, 2))), np.zeros(3))
    samples = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    values = 3.0 + samples @ (2.0, -1.0)
    found = trend.predict(samples, values, np.full(3, 1e-6), np.array([[2.0, 2.0], [-1.0, 0.5]]))
    assert found == pytest.approx([5.0, 0.5], abs=1e-6)
    bent = replace(trend, local=0.5)
    assert bent.predict(samples, values**2, np.full(3, 1e-6), samples) == pytest.approx(values**2, abs=1e-6)


def test_model_agrees_with_its_trials() -> None:
    codec, model = FakeCodec(), Model(100_000, 3)
    choices = [Choice(0.0, 3, 40.0), Choice(0.2, 3, 40.0), Choice(0.2, 3, 50.0), Choice(0.1, 2, 45.0)]
    for choice in choices:
        model.add(codec.trial(choice))
    assert codec.losses is not None
    for choice in choices:
        trial, at = codec.trial(choice), int(np.flatnonzero(choice.quality == QUALITIES)[0])
        assert np.exp(model.log_sizes(choice.fraction, choice.degree)[at]) == pytest.approx(trial.size, rel=1e-3)
        losses = codec.losses.at(choice.fraction, choice.degree)
        assert model.psnrs(choice.fraction, choice.degree, losses)[at] == pytest.approx(trial.psnr, abs=0.01)


def test_losses_are_measured_when_needed() -> None:
    asked: list[tuple[float, int]] = []

    def measure(fraction: float, degree: int) -> np.ndarray:
        asked.append((fraction, degree))
        return np.array([max(fraction**4, 1e-14), 2.0 * max(fraction**4, 1e-14)]) + (1e-3 if degree < 1 else 0.0)

    losses = Losses(measure, (1, 0), prunes=True)
    assert asked == [(0.0, 1)]
    assert losses.choices() == [(0.0, 1)]
    losses.extend(40.0)
    assert asked[1:] == [*((knot, 1) for knot in KNOTS[:2]), (0.0, 0)]
    assert losses.at(0.1, 1) == pytest.approx([1e-4, 2e-4])
    assert losses.at(0.075, 1) == pytest.approx([0.075**4, 2 * 0.075**4])
    assert losses.at(0.1, 0) == pytest.approx([1.1e-3, 1.2e-3])
    assert losses.choices()[:4] == [(0.0, 1), (0.05, 1), (0.075, 1), (0.1, 1)]
    assert losses.at(0.6, 1) == pytest.approx([0.6**4, 2 * 0.6**4])
    assert losses.smallest == (KNOTS[-1], 0)


def test_mean_of_views() -> None:
    errors = squared_errors([30.0, 50.0, float("inf")])
    assert errors == pytest.approx([1e-3, 1e-5, 1e-14])
    assert mean_psnr(errors[:2]) == pytest.approx(40.0)
