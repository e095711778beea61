"""Hard targets: the file of a given size with the least error, or of a given quality with the fewest bytes.

Each trial encodes the cloud with the choice that the model finds best, and the model learns from it; of a large cloud,
samples are encoded first. Once the share to prune and the SH degree are settled, only quality moves, of which size and
error are smooth functions. What is returned is always one of the trials.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import numpy as np

from gscodec.errors import UnreachableTargetError
from gscodec.rate.goals import FLOOR_TOLERANCE, SIZE_TOLERANCE, Goals
from gscodec.rate.losses import Losses
from gscodec.rate.model import LEAST, MOST, QUALITIES, Choice, Model, Trial

File = TypeVar("File")
Made = TypeVar("Made", covariant=True)

MAX_TRIALS = 8
MOST_SAMPLES = 3  # before the first trial
FREE_TRIALS = 4  # in which pruning and SH degree may still change
SIZE_AIM = 0.993  # of the size asked
FLOOR_AIM = 0.4 * FLOOR_TOLERANCE  # dB above the floor
STAY = 0.03  # dB that another pruning or SH degree must promise
DB_PER_NEPER = 14.0  # of bytes, about: makes a promise of fewer bytes comparable with one of dB
DIGITS = 3  # of a quality
TOO_SMALL = 1e3  # dB that count against what is too small at the best quality: only for want of anything else
NEAR = 3.0  # points of quality between which only quality is to be found
MARGIN = 0.05  # of a bracket that a new trial keeps from its ends


class Codec(Protocol[Made]):
    """What a target is reached with."""

    @property
    def splats(self) -> int:
        """Of the cloud before anything is removed."""
        ...

    @property
    def degree(self) -> int:
        """SH degree of the cloud."""
        ...

    @property
    def losses(self) -> Losses | None:
        """What pruning and truncation cost; None: nothing is rendered, and quality alone is chosen."""
        ...

    def encode(self, choice: Choice) -> tuple[Trial, Made]:
        """A file, and what it is like."""
        ...

    def sample(self, choice: Choice) -> Trial | None:
        """About how large that file would be, sooner than by making it; None where it would not be sooner."""
        ...


@dataclass(frozen=True, eq=False)
class Reached(Generic[File]):
    """The file, its trial, and all trials in order. ``note``: why it is not all that was asked, else ""."""

    file: File
    trial: Trial
    trials: tuple[Trial, ...]
    note: str = ""


@dataclass(frozen=True)
class _Option:
    """A choice, and what the model promises of it; ``score``: dB, more is better."""

    choice: Choice
    psnr: float
    score: float


def reach(goals: Goals, codec: Codec[File], tell: Callable[[int], None] | None = None) -> Reached[File]:
    """The best file that meets ``goals``, after at most MAX_TRIALS calls of ``codec.encode``.

    Where size and floor contradict each other the floor is met, with as few bytes as that takes. ``tell`` is called
    with the number of each trial before it. Raises UnreachableTargetError, which names the nearest that is reachable.
    """
    search = _Search(goals, codec)
    search.rehearse()
    for number in range(1, MAX_TRIALS + 1):
        choice = search.next_choice()
        if choice is None:
            break
        if tell is not None:
            tell(number)
        if search.try_out(choice):
            break
    return search.result()


class _Search(Generic[File]):
    def __init__(self, goals: Goals, codec: Codec[File]) -> None:
        self._goals, self._codec = goals, codec
        self._model = Model(codec.splats, codec.degree)
        self._trials: list[Trial] = []
        self._sampled: list[Choice] = []
        self._best: tuple[Trial, File] | None = None

    # Choosing

    def rehearse(self) -> None:
        """Samples, until there is one of about the first choice."""
        for _ in range(MOST_SAMPLES if self._by_size() else 0):
            option = self._option(0.0, self._codec.degree, by_size=True)
            if option is None or not self._sample(option.choice):
                return

    def _sample(self, choice: Choice) -> bool:
        """Learn from a sample; False if there is one of about this choice already, or none to be had."""
        alike = (known for known in self._sampled if replace(choice, quality=known.quality) == known)
        if any(abs(choice.quality - known.quality) < NEAR for known in alike):
            return False
        trial = self._codec.sample(choice)
        if trial is None:
            return False
        self._sampled.append(choice)
        self._model.add_sample(trial)
        return True

    def next_choice(self) -> Choice | None:
        """What to try; None where no quality is left between those tried."""
        option = self._plan() if self._trials else self._option(0.0, self._codec.degree, self._by_size())
        if option is not None and self._trials and self._by_size() and self._is_new(option.choice):
            option = self._plan() if self._sample(option.choice) else option
        if option is not None:
            return self._between(option.choice)
        if not self._trials:  # nothing is removed from the first file: it tells the most about all others
            return Choice(0.0, self._codec.degree, LEAST if self._by_size() else MOST)
        return self._between(self._smallest() if self._by_size() else self._largest())

    def _is_new(self, choice: Choice) -> bool:
        """Whether no trial has removed as many splats and SH degrees."""
        return all(replace(trial.choice, quality=choice.quality) != choice for trial in self._trials)

    def _by_size(self) -> bool:
        """Whether the size decides, not the floor: where both are asked, if the model says that the size will do."""
        if self._goals.size is None:
            return False
        if self._goals.floor is None or not self._trials:
            return True
        option = self._best_option(by_size=True)
        return option is not None and option.psnr >= self._goals.floor

    def _plan(self) -> _Option | None:
        """The best option; the pruning and SH degree of the last trial if they are near to it, or settled."""
        by_size = self._by_size()
        last = self._trials[-1].choice
        same = self._option(last.fraction, last.degree, by_size)
        if same is not None and self._late():
            return same
        best = self._best_option(by_size)
        return same if same and best and same.score >= best.score - STAY else best

    def _best_option(self, by_size: bool) -> _Option | None:
        losses, degree = self._codec.losses, self._codec.degree
        whole = self._option(0.0, degree, by_size)
        if losses is None:
            return whole
        losses.extend((whole.psnr if whole else None) if by_size else self._goals.floor)
        options = (self._option(fraction, degree, by_size) for fraction, degree in losses.choices())
        return max((option for option in options if option), key=_score, default=None)

    def _option(self, fraction: float, degree: int, by_size: bool) -> _Option | None:
        """With the quality that meets the goal, as the model has it; None where none does."""
        logs = self._model.log_sizes(fraction, degree)
        losses = self._codec.losses
        psnrs = None if losses is None else self._model.psnrs(fraction, degree, losses.at(fraction, degree))
        if by_size:
            assert self._goals.size is not None
            curve, aim = logs, math.log(SIZE_AIM * self._goals.size)
        else:
            assert self._goals.floor is not None
            assert psnrs is not None
            curve, aim = psnrs, self._goals.floor + FLOOR_AIM
        if (curve[0] > aim) if by_size else (curve[-1] < aim):
            return None
        quality = float(np.interp(aim, curve, QUALITIES))
        psnr = math.inf if psnrs is None else float(np.interp(quality, QUALITIES, psnrs))
        score = psnr if by_size else -DB_PER_NEPER * float(np.interp(quality, QUALITIES, logs))
        if by_size and curve[-1] < aim:
            score -= TOO_SMALL
        return _Option(Choice(fraction, degree, round(quality, DIGITS)), psnr, score)

    def _smallest(self) -> Choice:
        fraction, degree = self._codec.losses.smallest if self._codec.losses else (0.0, self._codec.degree)
        return Choice(fraction, degree, LEAST)

    def _largest(self) -> Choice:
        return Choice(0.0, self._codec.degree, MOST)

    def _between(self, choice: Choice) -> Choice | None:
        """The same with a quality that has not been tried, between those that gave too little and too much."""
        low, high = self._bracket(choice)
        quality = choice.quality
        if low < high < math.inf and low > -math.inf:
            margin = MARGIN * (high - low)
            quality = min(max(quality, low + margin), high - margin)
        choice = replace(choice, quality=round(quality, DIGITS))
        return None if any(trial.choice == choice for trial in self._trials) else choice

    def _bracket(self, choice: Choice) -> tuple[float, float]:
        """The best quality that gave too little with this pruning and SH degree, and the worst that gave too much."""
        by_size = self._by_size()
        alike = [trial for trial in self._trials if replace(trial.choice, quality=choice.quality) == choice]
        low = max((t.choice.quality for t in alike if not self._too_much(t, by_size)), default=-math.inf)
        high = min((t.choice.quality for t in alike if self._too_much(t, by_size)), default=math.inf)
        return low, high

    def _late(self) -> bool:
        """Whether pruning and SH degree are settled: after some trials, or where the last ones have come near."""
        low, high = self._bracket(self._trials[-1].choice)
        return len(self._trials) >= FREE_TRIALS or high - low < NEAR

    def _too_much(self, trial: Trial, by_size: bool) -> bool:
        if by_size:
            assert self._goals.size is not None
            return trial.size > self._goals.size
        return self._goals.good(trial.psnr)

    # Trying

    def try_out(self, choice: Choice) -> bool:
        """Encode; whether the search is over. Raises UnreachableTargetError."""
        trial, file = self._codec.encode(choice)
        self._model.add(trial)
        self._trials.append(trial)
        if self._best is None or self._rank(trial) > self._rank(self._best[0]):
            self._best = trial, file
        self._refuse(trial)
        return meets(self._goals, trial) and self._settled(trial)

    def _rank(self, trial: Trial) -> tuple[float, ...]:
        """What is kept, the most first: the goals met, within the tolerances, quality or few bytes."""
        goals, size = self._goals, self._goals.size
        small, good = size is None or trial.size <= size, goals.good(trial.psnr)
        met = meets(goals, trial)
        if size is None or (goals.floor is not None and not (small and good)):
            return (float(good), float(met), -float(trial.size))
        value = trial.psnr if trial.psnr is not None else float(trial.size)
        return (float(small) + float(goals.floor is not None), float(met), value)

    def _settled(self, trial: Trial) -> bool:
        """Whether no other pruning or SH degree promises more; later trials do not ask."""
        if self._late() or self._codec.losses is None:
            return True
        by_size = self._by_size()
        best = self._best_option(by_size)
        same = self._option(trial.choice.fraction, trial.choice.degree, by_size)
        if best is None:
            return True
        if same is None:  # it fits, but the model would not aim so close
            own = trial.psnr if by_size else -DB_PER_NEPER * math.log(trial.size)
            return own is not None and best.score <= own + STAY
        return best.score <= same.score + STAY

    # Ending

    def _refuse(self, trial: Trial) -> None:
        """Raises UnreachableTargetError after a trial at either end of what can be made, if it is not far enough."""
        goals, choice, psnr = self._goals, trial.choice, trial.psnr
        if choice == self._largest() and goals.floor is not None and not goals.good(psnr):
            raise UnreachableTargetError(
                "no file is that good", field="min-psnr", found=f"{goals.floor:g} dB", allowed=f"up to {psnr:.2f} dB"
            )
        if goals.size is None:
            return
        if choice == self._largest() and trial.size < (1.0 - SIZE_TOLERANCE) * goals.size:
            raise UnreachableTargetError(
                "no file is that large, but for a lossless one",
                field="target-size",
                found=f"{goals.size:,} bytes",
                allowed=f"up to {trial.size:,} bytes",
            )
        if choice == self._smallest() and trial.size > goals.size and goals.good(psnr):
            raise UnreachableTargetError(
                "no file is that small",
                field="target-size",
                found=f"{goals.size:,} bytes",
                allowed=f"{trial.size:,} bytes or more",
            )

    def result(self) -> Reached[File]:
        """Raises UnreachableTargetError if no trial met a goal."""
        assert self._best is not None
        trial, file = self._best
        goals, psnr = self._goals, trial.psnr
        if not goals.good(psnr) or (goals.floor is None and goals.size is not None and trial.size > goals.size):
            found = f"{trial.size:,} bytes" + ("" if psnr is None else f", {psnr:.2f} dB")
            raise UnreachableTargetError(f"not reached in {len(self._trials)} trials", field="target", found=found)
        return Reached(file, trial, tuple(self._trials), note_of(goals, trial, len(self._trials)))


def meets(goals: Goals, trial: Trial) -> bool:
    """Whether a file is as asked, within the tolerances."""
    if not goals.good(trial.psnr):
        return False
    if goals.size is not None and goals.fits(trial.size):
        return True
    if goals.floor is None or trial.psnr is None:
        return False
    near = trial.psnr <= goals.floor + FLOOR_TOLERANCE or trial.choice.quality == LEAST
    return near and (goals.size is None or trial.size > goals.size)


def note_of(goals: Goals, trial: Trial, trials: int) -> str:
    """Why a trial, the best of some, is not all that was asked; else ""."""
    if goals.size is not None and trial.size > goals.size:
        return f"{goals.floor:g} dB take {trial.size / goals.size:.2f} times the size asked: the floor goes before it"
    if not goals.fits(trial.size):
        assert goals.size is not None
        return f"{100.0 * (1.0 - trial.size / goals.size):.1f} % smaller than asked after {trials} trials"
    if goals.size is None and goals.floor is not None and trial.psnr is not None:
        over = trial.psnr - goals.floor
        if over > FLOOR_TOLERANCE:
            why = "at the lowest quality" if trial.choice.quality == LEAST else f"after {trials} trials"
            return f"{over:.2f} dB above the floor {why}"
    return ""


def _score(option: _Option) -> float:
    return option.score
