"""What a codec offers to the runner: rate points, and two commands that turn a PLY into a file and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gscodec_tools.commands import Finished


@dataclass(frozen=True)
class Point:
    """A rate point. ``label`` is stable and unique within a codec, ``settings`` is JSON and says the same to a machine.

    ``below_degree``: only for scenes of a higher SH degree than this; for others the point would repeat another.
    """

    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    below_degree: int | None = None

    def applies_to(self, sh_degree: int) -> bool:
        """Whether the point makes sense for a scene of that SH degree."""
        return self.below_degree is None or sh_degree > self.below_degree


@dataclass(frozen=True)
class CodecOptions:
    """What the command line says about codecs. ``external``: templates, see ``external.py``."""

    external: tuple[str, ...] = ()


class Codec(Protocol):
    """A codec as child processes, so that time and peak memory are measured alike for all.

    ``ending`` is that of its files, with the dot.
    """

    name: str
    ending: str

    def points(self) -> list[Point]:
        """The rate points that a run without --labels takes."""

    def available(self) -> None:
        """Raises BadInputError that says what is missing and how to get it, CommandFailedError."""

    def version(self) -> str:
        """Of the codec; rows of another version are measured again. Raises as ``available``."""

    def encode(self, ply: Path, output: Path, point: Point, limit_s: float) -> Finished:
        """Write ``output`` from ``ply``. Raises CommandFailedError, CommandTimeoutError after ``limit_s`` seconds."""

    def decode(self, coded: Path, ply: Path, limit_s: float) -> Finished:
        """Write ``ply`` from ``coded``. Raises as ``encode``."""

    def stream_bytes(self, coded: Path) -> dict[str, int] | None:
        """Bytes of each part of a file, None where the codec does not tell."""
