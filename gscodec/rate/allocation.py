"""Bits moved between attributes for one cloud: GETA-3DGS' equation 14 predicts, real encodes decide.

The prediction takes measured sensitivities (``sensitivity.measure``) for the terms of the equation and keeps the size
as it is. What counts afterwards is the logarithm of the squared error plus a slope times the bits: encodes of different
sizes are compared as if the quality had been changed until their sizes were equal. The slope is that of the cloud's own
rate-distortion curve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, StepOffsets, Visibility
from gscodec.errors import BadInputError
from gscodec.rate.reference import Reference
from gscodec.rate.sensitivity import Sensitivity, Trial, Trials, measure, offsets_of
from gscodec.rate.waterfilling import allocate_bits

ENCODES = 12
REACH = 1.5  # octaves: the model is that of fine steps, and is measured near the balance
SLOPE_PROBE = 0.5  # octaves by which all steps grow to find the slope
STEP = 0.25  # octaves, of the search; half an octave mostly leaps over what the prediction left
WORTH = 2e-3  # of the logarithm of the error: a smaller gain may be chance


@dataclass(frozen=True)
class Allocation:
    """``offsets`` found, and how.

    By attribute, in octaves: what equation 14 ``predicted`` and what was ``found``. ``saving``: the share of the file's
    bits saved at equal error, by the slope. ``encodes``: made.
    """

    offsets: StepOffsets
    sensitivities: Mapping[str, Sensitivity]
    predicted: Mapping[str, float]
    found: Mapping[str, float]
    saving: float
    encodes: int


def allocate(
    cloud: GaussianCloud,
    config: EncodeConfig,
    reference: Reference,
    visibility: Visibility | None = None,
    encodes: int = ENCODES,
) -> StepOffsets:
    """Offsets for ``cloud`` around the quality of ``config``, whose own offsets do not count: those of ``search``.

    What few views show may be decided by a splat close to one camera: ``reference`` should have 8 views or more.
    """
    return search(Trials(cloud, config, reference, visibility), encodes).offsets


def search(trials: Trials, encodes: int = ENCODES) -> Allocation:
    """Measure, try what is predicted or half of it, then single attributes; no offsets where nothing wins.

    Deterministic. Makes at most ``encodes``; measuring takes 2 and one for each attribute. Raises BadInputError for
    fewer than one more.
    """
    names = trials.attributes
    if encodes < len(names) + 3:
        raise BadInputError("too few", field="encodes", found=encodes, allowed=f"at least {len(names) + 3}")
    base = trials.run({})
    best = _Best(trials, base, _slope(base, trials.run(dict.fromkeys(names, SLOPE_PROBE))), encodes)
    sensitivities = measure(trials, base)
    predicted = predict(sensitivities)
    for share in (1.0, 0.5):
        if best.attempt({name: share * octaves for name, octaves in predicted.items()}):
            break
    by_size = sorted(names, key=lambda name: -sensitivities[name].bits)
    won = True
    while won:  # whole rounds, until one brings nothing
        won = False
        for name in by_size:
            won |= best.step(name, STEP) or best.step(name, -STEP)
    saving = -best.cost / (best.slope * base.bits) if best.slope > 0.0 else 0.0
    return Allocation(offsets_of(best.octaves), sensitivities, predicted, best.octaves, saving, trials.count)


def predict(sensitivities: Mapping[str, Sensitivity]) -> dict[str, float]:
    """Octaves by attribute that lower the sum of the errors most at the same size, within +-REACH: equation 14.

    An attribute of which coarser steps save nothing stays where it is.
    """
    worth = {name: one for name, one in sensitivities.items() if one.error > 0.0 and one.bits > 0.0}
    errors, bits = (np.array([getattr(one, part) for one in worth.values()]) for part in ("error", "bits"))
    allocated = allocate_bits(np.sqrt(errors / bits), np.ones(len(bits)), bits, 0.0, (-REACH, REACH))
    return dict.fromkeys(sensitivities, 0.0) | dict(zip(worth, map(float, -allocated), strict=True))


def _slope(base: Trial, coarser: Trial) -> float:
    """By how much the logarithm of the error falls per bit; 0 where there is no such curve."""
    if not (coarser.error > base.error > 0.0 and base.bits > coarser.bits):
        return 0.0
    return math.log(coarser.error / base.error) / (base.bits - coarser.bits)


class _Best:
    """The best octaves so far, of those attempted within a number of encodes."""

    def __init__(self, trials: Trials, base: Trial, slope: float, encodes: int) -> None:
        self.octaves = dict.fromkeys(trials.attributes, 0.0)
        self.cost, self.slope = 0.0, slope
        self._trials, self._base, self._encodes = trials, base, encodes

    def attempt(self, octaves: Mapping[str, float]) -> bool:
        """Whether these are better, which makes them the best; no encode where none is left, or nothing to gain."""
        if self._trials.count >= self._encodes or self.slope == 0.0 or octaves == self.octaves:
            return False
        trial = self._trials.run(octaves)
        cost = math.log(trial.error / self._base.error) if trial.error > 0.0 else -math.inf
        cost += self.slope * (trial.bits - self._base.bits)
        if cost > self.cost - WORTH:
            return False
        self.octaves, self.cost = dict(octaves), cost
        return True

    def step(self, name: str, octaves: float) -> bool:
        """``attempt`` with one attribute moved."""
        return self.attempt(self.octaves | {name: self.octaves[name] + octaves})
