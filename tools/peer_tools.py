"""Other splat formats, through the npm package @playcanvas/splat-transform at the version in tools/peers/.

Encoding and decoding are both the package's own, there and back from PLY, so that what is measured is the format
and not a difference between two implementations. The version is the newest that runs on Node.js 18 and 20.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from gscodec_tools.commands import Finished, run_command

from gscodec.errors import BadInputError

FOLDER = Path(__file__).parent / "peers"
PACKAGE = "@playcanvas/splat-transform"


@dataclass(frozen=True)
class Peer:
    """A format by the ending of its files and the options that write it."""

    name: str
    ending: str
    options: tuple[str, ...] = ()


PEERS = (
    Peer("SPZ v4", ".spz", ("--spz-version", "4")),
    Peer("SPZ v3", ".spz", ("--spz-version", "3")),
    Peer("compressed.ply", ".compressed.ply"),
)


class PeerTool:
    """splat-transform, installed with `npm ci` where it is not there yet. ``command`` is what starts it.

    Raises BadInputError if Node.js is missing, CommandFailedError if the installation fails.
    """

    def __init__(self) -> None:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise BadInputError("Node.js is not installed: SPZ and compressed.ply cannot be measured", field="node")
        if not (FOLDER / "package-lock.json").is_file():
            raise BadInputError("no lock file: run from a checkout, pip install -e .", field="peers", found=str(FOLDER))
        wanted = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))["dependencies"][PACKAGE]
        package = FOLDER / "node_modules" / PACKAGE
        if not (package / "package.json").is_file() or _version(package) != wanted:
            run_command([npm, "ci", "--prefix", str(FOLDER), "--ignore-scripts", "--no-audit", "--no-fund"])
        self.version = f"{PACKAGE} {_version(package)}, Node.js {run_command([node, '--version']).output.strip()}"
        self.command = [node, str(package / "bin" / "cli.mjs"), "--quiet", "--overwrite"]

    def encode(self, peer: Peer, ply: Path, output: Path, cores: int | None = None) -> Finished:
        """Convert a PLY to the peer's format."""
        return run_command([*self.command, *peer.options, str(ply), str(output)], cores)

    def decode(self, coded: Path, ply: Path, cores: int | None = None) -> Finished:
        """Convert back to a PLY."""
        return run_command([*self.command, str(coded), str(ply)], cores)


def _version(package: Path) -> str:
    return str(json.loads((package / "package.json").read_text(encoding="utf-8"))["version"])
