"""Frozen settings of the two front doors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError

Progress = Callable[[str, float], None]  # a word for the stage, the share of it that is done

PRESETS = ("fast", "default", "max")


def no_progress(_stage: str, _share: float) -> None:
    """A Progress that tells nobody."""


@dataclass(frozen=True)
class DecodeLimits:
    """What a file may ask of the decoder; every size is compared with these before it is allocated.

    max_splats: splats in a file. max_memory: bytes of the decoded float arrays, and of all unpacked
    streams together. max_streams: entries of the table of contents. max_header_bytes: bytes before the
    first stream. Raises BadInputError for a limit that is not a whole number >= 0.
    """

    max_splats: int = 50_000_000
    max_memory: int = 16 << 30
    max_streams: int = 1_000_000
    max_header_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise BadInputError("bad limit", field=item.name, found=value, allowed="a whole number >= 0")


MAX_OFFSET = 16.0


@dataclass(frozen=True)
class StepOffsets:
    """How far each attribute's step lies from its balance at the quality asked, in octaves: +1 doubles the step.

    ``ac`` holds one number for each SH degree from 1. Raises BadInputError for numbers beyond +-MAX_OFFSET.
    """

    position: float = 0.0
    scale: float = 0.0
    opacity: float = 0.0
    rotation: float = 0.0
    dc: float = 0.0
    ac: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if len(self.ac) != 4:
            raise BadInputError("one offset for each degree", field="ac", found=len(self.ac), allowed=4)
        for item in fields(self):
            value = getattr(self, item.name)
            for number in value if item.name == "ac" else (value,):
                if not -MAX_OFFSET <= number <= MAX_OFFSET:
                    raise BadInputError(
                        "out of range", field=item.name, found=number, allowed=f"-{MAX_OFFSET:g}..{MAX_OFFSET:g}"
                    )


@dataclass(frozen=True)
class EncodeConfig:
    """How to encode. ``quality`` 1..100 scales all steps of the native branch; ``lossless`` takes the other branch.

    ``preset``: one of PRESETS, how long the native encoder looks for a smaller file of the same quality.
    ``offsets`` shift bits from one attribute to another, native branch only.

    ``progressive``: the file begins with the whole scene in coarse steps and refines it, about an eighth larger in all;
    native branch only. ``refinements``: how often, 1..3; None: as often as leaves something to see before.

    ``palette``: SH beyond DC that splats share are coded once where that costs less, bytes and errors taken
    together, native branch only, not with ``progressive``; False: never.

    ``strict``: a splat that cannot be coded is an error instead of being left out. ``threads`` None means all
    cores. Raises BadInputError for a value out of range.
    """

    quality: float = 75.0
    preset: str = "default"
    lossless: bool = False
    progressive: bool = False
    refinements: int | None = None
    palette: bool = True
    strict: bool = False
    threads: int | None = None
    offsets: StepOffsets = StepOffsets()

    def __post_init__(self) -> None:
        if not 1.0 <= self.quality <= 100.0:
            raise BadInputError("out of range", field="quality", found=self.quality, allowed="1..100")
        if self.preset not in PRESETS:
            raise BadInputError("unknown preset", field="preset", found=self.preset, allowed=PRESETS)
        if self.progressive and self.lossless:
            raise BadInputError("a lossless file has no coarse steps to refine", field="progressive", found=True)
        if self.refinements is not None and not 1 <= self.refinements <= 3:
            raise BadInputError("out of range", field="refinements", found=self.refinements, allowed="1..3")
        if self.threads is not None and self.threads < 1:
            raise BadInputError("out of range", field="threads", found=self.threads, allowed=">= 1")


@dataclass(frozen=True, eq=False)
class Visibility:
    """What views show of each splat of a cloud: ``weights`` float64[N], the blended weight (sum of alpha·T) over them.

    ``doubt``: how far the views are to be distrusted, as the share of what a splat alone would show that is added; 1
    for views that nobody took, 0.1 where a scene is looked at from nearly the same places. ``centres`` float64[V,3]:
    where the cameras were, and ``shown`` float32[V,S]: the weight that each alone shows of the splats ``sample``
    int64[S]. ``clear`` float32[N], 0..1: the part of a splat that nothing hides, mean of the three views where least
    does, 0 for each that there is not; None: not known. Where it is known, doubt adds more of what is clear, less of
    what is hidden. Raises BadInputError.
    """

    weights: npt.NDArray[np.float64]
    doubt: float
    centres: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    sample: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    shown: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    clear: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.weights.ndim != 1 or not np.all(np.isfinite(self.weights)) or np.any(self.weights < 0.0):
            raise BadInputError("bad weights", field="visibility", allowed="finite numbers >= 0, one for each splat")
        if not 0.0 < self.doubt <= 1e3:
            raise BadInputError("out of range", field="doubt", found=self.doubt, allowed="above 0")
        if self.clear is not None and (
            self.clear.shape != self.weights.shape or not np.all((self.clear >= 0.0) & (self.clear <= 1.0))
        ):
            raise BadInputError("bad shares", field="clear", allowed="0..1, one for each splat")
        shape = (len(self.centres), len(self.sample))
        if self.centres.shape != (shape[0], 3) or self.shown.shape != shape:
            raise BadInputError("wrong shape", field="shown", found=self.shown.shape, allowed=shape)
        for name in ("centres", "shown"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise BadInputError("not finite", field=name, allowed="finite numbers")
        if np.any((self.sample < 0) | (self.sample >= len(self.weights))):
            raise BadInputError("no such splats", field="sample", allowed=f"0..{len(self.weights) - 1}")

    def select(self, kept: npt.NDArray[np.int64]) -> Visibility:
        """Of the splats ``kept`` int64[n], ascending."""
        place = np.full(len(self.weights), -1, np.int64)
        place[kept] = np.arange(len(kept))
        sample = place[self.sample]
        return replace(
            self,
            weights=self.weights[kept],
            clear=None if self.clear is None else self.clear[kept],
            sample=sample[sample >= 0],
            shown=self.shown[:, sample >= 0],
        )
