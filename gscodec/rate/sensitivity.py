"""What each attribute's precision is worth at an operating point, measured: one attribute coarser at a time.

Each probe is a whole encode, and its images whole renders, so that occlusion, contexts and caps are all in the numbers.
An attribute's steps one octave coarser quadruple what it alone adds to the squared error: the rise of the error over
three is that addition, and the fall of the size is what an octave saves. In the terms of GETA-3DGS' equation 14 the
addition is d · s² · v/12 · 2^(-2b), with the fall in place of d: at low rates many codes are zero, and an octave saves
less than one bit for each value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, StepOffsets, Visibility
from gscodec.decoder import decode
from gscodec.encoder import encode_chunks
from gscodec.errors import BadInputError
from gscodec.rate.reference import Reference, log_mean_error

PLAIN = ("position", "scale", "opacity", "rotation", "dc")
PROBE = 1.0  # octaves
LEAST_SHARE = 1e-3  # of the whole error: what an attribute adds at least, whatever rounding says


@dataclass(frozen=True)
class Trial:
    """An encode: ``bits`` of the file per splat, and its squared error (geometric mean over views, of 0..1)."""

    offsets: StepOffsets
    bits: float
    error: float


@dataclass(frozen=True)
class Sensitivity:
    """Of one attribute: ``error`` that it adds by itself, and ``bits`` per splat that an octave of its steps is."""

    error: float
    bits: float


class Trials:
    """Encodes of ``cloud`` with ``config`` and other offsets, measured against ``reference``; ``count`` made so far."""

    def __init__(
        self, cloud: GaussianCloud, config: EncodeConfig, reference: Reference, visibility: Visibility | None = None
    ) -> None:
        if config.lossless or len(cloud) == 0:
            raise BadInputError("nothing to allocate", field="cloud", found=len(cloud), allowed="splats, not lossless")
        self.attributes = attributes(cloud.sh_degree)
        self.count = 0
        self._cloud, self._config, self._reference, self._visibility = cloud, config, reference, visibility

    def run(self, octaves: Mapping[str, float]) -> Trial:
        """With each attribute's offset, 0 where ``octaves`` does not name it."""
        offsets = offsets_of(octaves)
        chunks, report = encode_chunks(self._cloud, replace(self._config, offsets=offsets), None, self._visibility)
        decoded = decode(b"".join(chunks), threads=self._config.threads)
        self.count += 1
        error = log_mean_error(self._reference.view_psnrs(decoded))
        return Trial(offsets, 8.0 * report.bytes / max(report.splats, 1), error)


def attributes(sh_degree: int) -> tuple[str, ...]:
    """What has an offset of its own in a cloud of that SH degree."""
    return (*PLAIN, *(f"ac{degree}" for degree in range(1, sh_degree + 1)))


def offsets_of(octaves: Mapping[str, float]) -> StepOffsets:
    """Offsets by name, as ``attributes`` has them; 0 for names left out. Raises BadInputError for unknown ones."""
    known = attributes(4)
    for name in octaves:
        if name not in known:
            raise BadInputError("unknown attribute", field="offsets", found=name, allowed=known)
    values = {name: octaves.get(name, 0.0) for name in known}
    ac = tuple(values[name] for name in known[len(PLAIN) :])
    return StepOffsets(**{name: values[name] for name in PLAIN}, ac=(ac[0], ac[1], ac[2], ac[3]))


def measure(trials: Trials, base: Trial) -> dict[str, Sensitivity]:
    """By attribute, from one encode each; ``base`` is the one without offsets."""
    found = {}
    for name in trials.attributes:
        probe = trials.run({name: PROBE})
        error = (probe.error - base.error) / (math.pow(4.0, PROBE) - 1.0)
        found[name] = Sensitivity(max(error, LEAST_SHARE * base.error), (base.bits - probe.bits) / PROBE)
    return found
