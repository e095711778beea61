"""SPZ, compressed.ply and SOG through the npm package that ``peer_tools`` pins.

None of the three has a quality option there: version 2.7.1 writes SPZ with 5 bits for SH degree 1 and 4 bits beyond,
whatever one asks for. The only control of the rate is to leave out SH degrees (-H), which gives the points "-H2", "-H1"
and "-H0".

SOG is written without a GPU. Its k-means of SH then searches nearest centroids by a k-d tree, which does not end on a
scene; ``peers/nearest.mjs`` puts an exact search by numpy in its place, and all else is the package's. Labels are those
of the tree but for ties. Seconds and memory of encoding are not the package's: the version says what is replaced.
Centroids begin at random splats, without a seed: rows of two runs differ a little.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from gscodec_tools.commands import Finished, run_command
from gscodec_tools.peer_tools import FOLDER, PeerTool
from gscodec_tools.rd.codecs.base import Point

HARMONICS = (2, 1, 0)


def harmonics_points(label: str, settings: dict[str, int]) -> list[Point]:
    """A point, and the same without the SH degrees above each of HARMONICS."""
    filtered = [Point(f"{label}-H{n}", settings | {"filter_harmonics": n}, below_degree=n) for n in HARMONICS]
    return [Point(label, settings), *filtered]


class _SplatTransform:
    name: str
    ending: str

    def available(self) -> None:
        """Installs the package where it is missing. Raises BadInputError, CommandFailedError."""
        _tool()

    def version(self) -> str:
        """The package's."""
        return _tool().version.partition(",")[0]

    def encode(self, ply: Path, output: Path, point: Point, limit_s: float) -> Finished:
        """There."""
        actions = [f"-H{point.settings['filter_harmonics']}"] if "filter_harmonics" in point.settings else []
        command = [*self._command(), *self._options(point), str(ply), *actions, str(output)]
        return run_command(command, limit_s=limit_s)

    def decode(self, coded: Path, ply: Path, limit_s: float) -> Finished:
        """And back."""
        return run_command([*_tool().command, str(coded), str(ply)], limit_s=limit_s)

    def stream_bytes(self, coded: Path) -> None:
        """Not told."""
        del coded

    def _command(self) -> list[str]:
        return _tool().command

    def _options(self, point: Point) -> list[str]:
        del point
        return []


class Spz(_SplatTransform):
    """SPZ versions 4 (zstd) and 3 (gzip)."""

    name = "spz"
    ending = ".spz"

    def points(self) -> list[Point]:
        """Both versions, with all SH degrees and with fewer."""
        return [point for version in (4, 3) for point in harmonics_points(f"v{version}", {"spz_version": version})]

    def _options(self, point: Point) -> list[str]:
        return ["--spz-version", str(point.settings["spz_version"])]


class CompressedPly(_SplatTransform):
    """compressed.ply of SuperSplat."""

    name = "compressed-ply"
    ending = ".compressed.ply"

    def points(self) -> list[Point]:
        """With all SH degrees and with fewer."""
        return harmonics_points("default", {})


class Sog(_SplatTransform):
    """SOG on the CPU, with the search of nearest centroids replaced."""

    name = "sog"
    ending = ".sog"

    def points(self) -> list[Point]:
        """With all SH degrees and with fewer."""
        return harmonics_points("default", {})

    def version(self) -> str:
        """The package's, and what is replaced in it."""
        return f"{super().version()} (SOG: nearest SH centroids by exact search in numpy, not by its k-d tree)"

    def _command(self) -> list[str]:
        words = ["node", "--import", str(FOLDER / "nearest.mjs"), *_tool().command[1:]]
        return ["env", f"GSCODEC_PYTHON={sys.executable}", *words]

    def _options(self, point: Point) -> list[str]:
        del point
        return ["-g", "cpu"]


@functools.cache
def _tool() -> PeerTool:
    return PeerTool()
