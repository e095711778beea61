"""This codec: the installed gsenc and gsdec, by quality and by target."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from pathlib import Path

from gscodec_tools.commands import Finished, run_command, tool_path
from gscodec_tools.rd.codecs.base import Point

import bitstream_spec
import gscodec
from gscodec.bitstream.source import FileSource
from gscodec.formats.ply import read_ply, write_ply
from gscodec.inspect import contents, inspect

QUALITIES = (5, 8, 10, 12, 15, 20, 25, 30, 32, 35, 40, 45, 50, 55, 60, 70, 75, 80, 90, 100)
LOSSLESS = Point("lossless", {"lossless": True})
RATIOS = (16, 24, 32, 48, 64, 96, 128)
WARM_UP_SPLATS = 4000
# What decides about the bytes: the version alone would keep rows while the codec is worked on.
SOURCES = ("*.py", "bitstream/*.py", "entropy/*.py", "transform/*.py", "branches/**/*.py")
SOURCES += ("rate/*.py", "importance/*.py", "importance/*.npz", "cli/gsenc.py", "cli/targets.py", "cli/views.py")
SOURCES += ("scene/*.py", "render/cpu/*.py")


class OwnCodec:
    """gscodec at several qualities, and lossless; any quality 1..100 can be asked for."""

    name = "gscodec"
    ending = ".gsb"

    def points(self) -> list[Point]:
        """One of each of QUALITIES, and LOSSLESS."""
        return [*(Point(f"q{quality}", {"quality": quality}) for quality in QUALITIES), LOSSLESS]

    def available(self) -> None:
        """Raises BadInputError if the tools are not installed."""
        for name in ("gsenc", "gsdec"):
            tool_path(name)

    def version(self) -> str:
        """The package's version and a digest of the sources that make the bytes."""
        return f"{gscodec.__version__}+{_source_digest()}"

    def encode(self, ply: Path, output: Path, point: Point, limit_s: float) -> Finished:
        """gsenc at the point's quality."""
        options = _options(point)
        _compile_once(ply, "--lossless" in options)
        return run_command([tool_path("gsenc"), str(ply), "-o", str(output), *options, "--quiet"], limit_s=limit_s)

    def decode(self, coded: Path, ply: Path, limit_s: float) -> Finished:
        """gsdec, all checksums and digests verified."""
        return run_command([tool_path("gsdec"), str(coded), "-o", str(ply), "--quiet"], limit_s=limit_s)

    def stream_bytes(self, coded: Path) -> dict[str, int]:
        """By what the streams hold, as gsinfo names it."""
        sizes: dict[str, int] = {}
        with FileSource(str(coded)) as source:
            for kind, size in inspect(source).kind_bytes.items():
                sizes[contents(kind)] = sizes.get(contents(kind), 0) + size
        return sizes


class OwnTargets(OwnCodec):
    """gscodec asked for sizes: it finds out by trial what to prune and how to balance that with quality."""

    name = "gscodec-targets"

    def points(self) -> list[Point]:
        """One for each of RATIOS: how many times smaller than the source."""
        return [Point(f"r{ratio}", {"target_ratio": ratio}) for ratio in RATIOS]


def _options(point: Point) -> list[str]:
    if "target_ratio" in point.settings:
        return ["--target-ratio", f"{point.settings['target_ratio']:g}"]
    return ["--lossless"] if point.settings.get("lossless") else ["--quality", f"{point.settings['quality']:g}"]


@functools.cache
def _source_digest() -> str:
    state = hashlib.sha256()
    packages = ((gscodec, SOURCES), (bitstream_spec, ("layout.py", "tables.py")))
    for package, patterns in packages:
        folder = Path(package.__path__[0])
        for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
            state.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return state.hexdigest()[:12]


@functools.cache
def _compile_once(ply: Path, lossless: bool) -> None:
    """Kernels are compiled once per machine: not within a measurement. What the splats are does not matter."""
    with tempfile.TemporaryDirectory(prefix="gsrd_") as scratch:
        small, coded, back = (Path(scratch) / name for name in ("small.ply", "small.gsb", "back.ply"))
        write_ply(small, read_ply(ply).select(slice(0, WARM_UP_SPLATS)))
        options = ["--lossless"] if lossless else ["--quality", "40"]
        run_command([tool_path("gsenc"), str(small), "-o", str(coded), *options, "--quiet"])
        run_command([tool_path("gsdec"), str(coded), "-o", str(back), "--quiet"])
