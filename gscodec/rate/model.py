"""Size and PSNR of a file before it is made: from the trials so far, and from renders of clouds without quantisation.

A choice is a share of the splats to remove, an SH degree and a quality. The squared error of pruning and truncation,
which renders tell, and that of quantisation add up, view by view. The splats that are removed first are those that cost
little, so that bytes fall more slowly than splats. The priors below are rounded means of trained scenes: they only have
to bring the first trial near, and every trial corrects them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gscodec.rate.kriging import Kriging

F64 = npt.NDArray[np.float64]

LEAST, MOST = 1.0, 100.0
LEAST_ERROR = 1e-14  # 140 dB
QUALITIES: F64 = np.arange(LEAST, MOST + 0.25, 0.5)

PRIOR_QUALITIES = (1.0, 15.0, 35.0, 55.0, 75.0, 95.0)
PRIOR_BITS = (20.0, 27.0, 43.0, 70.0, 108.0, 158.0)  # per splat
PRIOR_PSNR = (28.0, 32.0, 38.5, 45.0, 51.0, 57.0)
CHEAP = 0.75  # bytes fall with the power 1 - CHEAP · share of splats kept

# Coordinates: (quality - 50) / 50, log of the share of splats kept, SH degrees left out.
_LENGTHS = (0.5, 0.5, 1.0)
# A fourth for sizes: 1 of samples, which may all be wrong by about the same factor.
_SIZE = Kriging(offset=0.5, slopes=(0.2, 0.25, 0.02, 0.02), local=0.04, lengths=(*_LENGTHS, 1e9))
_SIZE_NOISE = 3e-4
_SAMPLE_NOISE = 2e-3
_QUANTISATION = Kriging(offset=1.0, slopes=(0.35, 0.4, 0.1), local=0.06, lengths=_LENGTHS)
_QUANTISATION_NOISE = 3e-3
_REST = Kriging(offset=0.0, slopes=(0.0, 0.0, 0.0), local=0.1, lengths=(0.3, 0.25, 0.5))
_REST_NOISE = 3e-4
_NOT_ADDITIVE = 0.05  # of the error of pruning, about what the sum of both errors is wrong by
_LEAST_SHARE = 0.05  # of a trial's error that is quantisation's at least


@dataclass(frozen=True)
class Choice:
    """``fraction`` of the splats to remove, SH ``degree`` to keep, ``quality`` of the steps."""

    fraction: float
    degree: int
    quality: float


@dataclass(frozen=True, eq=False)
class Trial:
    """A file made with ``choice``: bytes, of them those of each SH degree from 1 on, and what its views show.

    ``errors``: mean squared error [V], ``losses``: the same of pruning and truncation alone; None without views.
    """

    choice: Choice
    size: int
    degree_bytes: tuple[int, ...]
    errors: F64 | None = None
    losses: F64 | None = None

    @property
    def psnr(self) -> float | None:
        """Mean over views in dB."""
        return None if self.errors is None else mean_psnr(self.errors)

    @property
    def quantisation(self) -> F64:
        """Squared error [V] of quantisation alone."""
        assert self.errors is not None
        assert self.losses is not None
        return np.asarray(np.maximum(self.errors - self.losses, _LEAST_SHARE * self.errors))


def squared_errors(psnrs: Sequence[float]) -> F64:
    """Squared error [V] from the PSNR of each view; nothing is better than LEAST_ERROR."""
    return np.asarray(np.maximum(10.0 ** (-np.asarray(psnrs, np.float64) / 10.0), LEAST_ERROR))


def mean_psnr(errors: F64) -> float:
    """Mean over views in dB from the squared error [V] of each, values of 0..1."""
    return float(-10.0 * np.log10(errors).mean())


class Model:
    """What trials say about other choices for a cloud of ``splats`` splats of SH degree ``degree``."""

    def __init__(self, splats: int, degree: int) -> None:
        self._splats, self._degree = max(splats, 1), degree
        self._trials: list[Trial] = []
        self._rehearsed: list[Trial] = []
        self._samples = np.zeros((0, 3))
        # What each trial has above the priors: log error of quantisation, log error beyond the sum of both.
        self._noise_above = self._noise_doubt = self._error_above = np.zeros(0)
        self._profile: F64 | None = None

    def add(self, trial: Trial) -> None:
        """Learn from a trial. Either all trials have been seen from views, or none."""
        self._trials.append(trial)
        choices = [t.choice for t in self._trials]
        self._samples = np.concatenate([self._point(c) for c in choices])
        if trial.errors is not None:
            self._learn_errors(np.array([c.quality for c in choices]))

    def add_sample(self, trial: Trial) -> None:
        """Learn about sizes from what a part of the cloud says of all."""
        self._rehearsed.append(trial)

    def _learn_errors(self, qualities: F64) -> None:
        shares = np.array([_quantisation_share(t) for t in self._trials])
        most = self._trials[int(np.argmax(shares))].quantisation
        self._profile = most / np.exp(np.log(most).mean())
        means = np.array([np.log(t.quantisation).mean() for t in self._trials])
        self._noise_above = means - _quantisation_prior(qualities)
        self._noise_doubt = _QUANTISATION_NOISE + _NOT_ADDITIVE * (1.0 - shares) / np.maximum(shares, _LEAST_SHARE)
        noise = self._quantisation(qualities, self._samples)
        losses = np.array([t.losses for t in self._trials])
        errors = np.array([t.errors for t in self._trials])
        sums = losses + noise[:, None] * self._profile
        self._error_above = (np.log(errors) - np.log(sums)).mean(axis=1)

    def log_sizes(self, fraction: float, degree: int) -> F64:
        """Log of bytes at each of QUALITIES, never falling."""
        made = [*self._trials, *self._rehearsed]
        doubt = np.repeat([_SIZE_NOISE, _SAMPLE_NOISE], [len(self._trials), len(self._rehearsed)])
        known = np.concatenate([np.zeros((0, 3)), *(self._point(trial.choice) for trial in made)])
        known = np.column_stack([known, doubt == _SAMPLE_NOISE])
        above = np.array([math.log(trial.size) - self._prior_of(trial.choice) for trial in made])
        points = self._points(fraction, degree, QUALITIES)
        more = _SIZE.predict(known, above, doubt, np.column_stack([points, np.zeros(len(points))]))
        return np.asarray(np.maximum.accumulate(self._size_prior(fraction, degree, QUALITIES) + more))

    def psnrs(self, fraction: float, degree: int, losses: F64) -> F64:
        """PSNR in dB at each of QUALITIES, never falling, where pruning and truncation alone cause ``losses`` [V]."""
        points = self._points(fraction, degree, QUALITIES)
        profile = np.ones(len(losses)) if self._profile is None else self._profile
        sums = losses[None, :] + self._quantisation(QUALITIES, points)[:, None] * profile
        doubt = np.full(len(self._error_above), _REST_NOISE)
        more = _REST.predict(self._samples, self._error_above, doubt, points)
        return np.asarray(np.maximum.accumulate(-10.0 / math.log(10.0) * (np.log(sums).mean(axis=1) + more)))

    def _point(self, choice: Choice) -> F64:
        """Coordinates [1,3]."""
        return self._points(choice.fraction, choice.degree, np.array([choice.quality]))

    def _prior_of(self, choice: Choice) -> float:
        """Log of bytes before any trial."""
        return float(self._size_prior(choice.fraction, choice.degree, np.array([choice.quality]))[0])

    def _points(self, fraction: float, degree: int, qualities: F64) -> F64:
        """Coordinates [M,3]."""
        points = np.empty((len(qualities), 3))
        points[:, 0] = (qualities - 50.0) / 50.0
        points[:, 1:] = math.log(1.0 - fraction), self._degree - degree
        return points

    def _size_prior(self, fraction: float, degree: int, qualities: F64) -> F64:
        """Log of bytes [M] before the trials say more than what share of them each SH degree takes."""
        kept = 1.0 - fraction
        bits = np.interp(qualities, PRIOR_QUALITIES, np.log(PRIOR_BITS))
        pruned = (1.0 - CHEAP * kept) * math.log(kept)
        shares = np.log1p(-self._share_above(degree, qualities))
        return np.asarray(bits + math.log(self._splats / 8.0) + pruned + shares)

    def _share_above(self, degree: int, qualities: F64) -> F64:
        """Share [M] that higher SH degrees take of a file that has them all, as in the trials of all degrees."""
        whole = [trial for trial in (*self._trials, *self._rehearsed) if trial.choice.degree == self._degree]
        if degree >= self._degree or not whole:
            return np.zeros(len(qualities))
        whole = sorted(whole, key=lambda trial: trial.choice.quality)
        shares = [sum(trial.degree_bytes[degree:]) / trial.size for trial in whole]
        return np.interp(qualities, [trial.choice.quality for trial in whole], shares)

    def _quantisation(self, qualities: F64, points: F64) -> F64:
        """Squared error [M] of quantisation, geometric mean over views."""
        more = _QUANTISATION.predict(self._samples, self._noise_above, self._noise_doubt, points)
        return np.asarray(np.exp(_quantisation_prior(qualities) + more))


def _quantisation_share(trial: Trial) -> float:
    assert trial.errors is not None
    return float(np.exp((np.log(trial.quantisation) - np.log(trial.errors)).mean()))


def _quantisation_prior(quality: F64 | float) -> F64:
    """Log of the squared error."""
    return np.asarray(-math.log(10.0) / 10.0 * np.interp(quality, PRIOR_QUALITIES, PRIOR_PSNR))
