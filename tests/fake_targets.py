"""A codec of closed form for tests of the control: log size and dB are smooth in quality, splats differ in cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gscodec.rate.losses import Losses
from gscodec.rate.model import LEAST_ERROR, Choice, Trial


@dataclass
class FakeCodec:
    """``bits``: per splat at quality 1; ``slope``: dB per point of quality; ``prune_psnr``: without 20 % of the splats.

    ``curve`` bends log size in quality. Sizes have a ripple of 0.2 %, pruning costs 10 % more than renders say.
    """

    splats: int = 100_000
    degree: int = 3
    bits: float = 20.0
    slope: float = 0.33
    curve: float = 0.0
    prune_psnr: float = 50.0
    prunes: bool = True
    sees: bool = True
    views: int = 4
    samples: float | None = None  # how much larger a sample says that files are; None: there are none

    def __post_init__(self) -> None:
        rng = np.random.default_rng(5)
        self._noise_profile, self._prune_profile = np.exp(rng.normal(0.0, 0.4, (2, self.views)))
        self.losses = Losses(self.loss, range(self.degree, -1, -1), self.prunes) if self.sees else None
        self.encoded: list[Choice] = []
        self.sampled: list[Choice] = []

    def loss(self, fraction: float, degree: int) -> npt.NDArray[np.float64]:
        lost = np.zeros(self.views)
        if fraction > 0.0:
            lost = lost + 10.0 ** (-(self.prune_psnr - 10.0 * math.log2(fraction / 0.2)) / 10.0) * self._prune_profile
        if degree < self.degree:
            lost = lost + 10.0 ** (-(34.0 - 5.0 * (self.degree - degree - 1)) / 10.0)
        return np.maximum(lost, LEAST_ERROR)

    def trial(self, choice: Choice) -> Trial:
        kept, above = 1.0 - choice.fraction, choice.quality - 1.0
        bits = self.bits * math.exp(0.025 * above - self.curve * above**2 / 1e4) * kept ** (1.0 - 0.75 * kept)
        size = self.splats / 8.0 * bits
        share = 0.1 + 0.003 * choice.quality
        degrees = [size * share * part for part in (0.2, 0.3, 0.5)][: self.degree]
        size = (size - sum(degrees[choice.degree :])) * (1.0 + 0.002 * math.sin(7.3 * choice.quality))
        errors = losses = None
        if self.losses is not None:
            noise = 10.0 ** (-(28.0 + self.slope * choice.quality) / 10.0) * kept**-0.2
            losses = self.losses.at(choice.fraction, choice.degree)
            errors = 1.1 * self.loss(choice.fraction, choice.degree) + noise * self._noise_profile
        return Trial(choice, int(size), tuple(int(part) for part in degrees[: choice.degree]), errors, losses)

    def sample(self, choice: Choice) -> Trial | None:
        """Wrong by the same factor for all choices."""
        if self.samples is None:
            return None
        self.sampled.append(choice)
        trial = self.trial(choice)
        return Trial(choice, int(trial.size * self.samples), trial.degree_bytes)

    def encode(self, choice: Choice) -> tuple[Trial, Choice]:
        """The file is the choice."""
        self.encoded.append(choice)
        return self.trial(choice), choice
