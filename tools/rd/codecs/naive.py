"""The baseline that every codec should beat: uniform steps, Morton order, zstd.

    python -m gscodec_tools.rd.codecs.naive encode in.ply out.naive --bits 8
    python -m gscodec_tools.rd.codecs.naive decode in.naive out.ply

Each PLY column is quantised to the same number of bits between its least and its greatest value, positions to 16 bits;
quaternions are normalised with w >= 0 before. Columns of splats in Morton order, high bytes before low bytes, make one
zstd -19 frame after a line of JSON with the ranges.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard
from gscodec_tools.commands import Finished, run_command
from gscodec_tools.rd.codecs.base import Point

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import ATTRIBUTES, GaussianCloud, empty_cloud
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import read_ply, write_ply
from gscodec.sanitise import sanitise

BITS = (5, 6, 7, 8, 10, 12)
POSITION_BITS = 16
LEVEL = 19

U16 = npt.NDArray[np.uint16]


class Naive:
    """The commands above as a codec."""

    name = "naive"
    ending = ".naive"

    def points(self) -> list[Point]:
        """One of each of BITS."""
        return [Point(f"{bits}bit", {"bits": bits}) for bits in BITS]

    def available(self) -> None:
        """Always."""

    def version(self) -> str:
        """Of the recipe."""
        return f"1, zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}"

    def encode(self, ply: Path, output: Path, point: Point, limit_s: float) -> Finished:
        """The first command."""
        bits = str(point.settings["bits"])
        return run_command([*_COMMAND, "encode", str(ply), str(output), "--bits", bits], limit_s=limit_s)

    def decode(self, coded: Path, ply: Path, limit_s: float) -> Finished:
        """The second."""
        return run_command([*_COMMAND, "decode", str(coded), str(ply)], limit_s=limit_s)

    def stream_bytes(self, coded: Path) -> None:
        """One frame holds all."""
        del coded


_COMMAND = [sys.executable, "-m", "gscodec_tools.rd.codecs.naive"]


def encode(cloud: GaussianCloud, bits: int) -> bytes:
    """A file; ``bits`` 1..16. Splats that are not finite are left out."""
    cloud, _ = sanitise(cloud)
    quats = cloud.quats_wxyz / np.linalg.norm(cloud.quats_wxyz, axis=1, keepdims=True)
    quats = np.where(quats[:, :1] < 0, -quats, quats).astype(np.float32)
    ranges: dict[str, list[list[float]]] = {}
    columns: list[U16] = []
    depths: list[int] = []
    for name in ATTRIBUTES:
        values = quats if name == "quats_wxyz" else getattr(cloud, name)
        rows = values.reshape(len(cloud), int(np.prod(values.shape[1:])))
        depth = POSITION_BITS if name == "positions" else bits
        steps, ranges[name] = _quantise(rows, depth)
        columns += list(steps.T)
        depths += [depth] * len(steps.T)
    order = np.argsort(_morton(columns[:3]), kind="stable")
    planes = [plane for column, depth in zip(columns, depths, strict=True) for plane in _planes(column[order], depth)]
    head = {"splats": len(cloud), "sh_degree": cloud.sh_degree, "bits": bits, "ranges": ranges}
    body = zstandard.ZstdCompressor(level=LEVEL).compress(b"".join(planes))
    return json.dumps(head).encode() + b"\n" + body


def decode(data: bytes) -> GaussianCloud:
    """The cloud of a file. Raises BadInputError for one that is damaged."""
    try:
        line, _, body = data.partition(b"\n")
        head = json.loads(line)
        count = head["splats"]
        cloud = empty_cloud(count, head["sh_degree"])
        planes = np.frombuffer(zstandard.ZstdDecompressor().decompress(body), np.uint8)
        for name in ATTRIBUTES:
            target = getattr(cloud, name).reshape(count, len(head["ranges"][name]))
            bits = POSITION_BITS if name == "positions" else head["bits"]
            for column, (low, high) in enumerate(head["ranges"][name]):
                width = 2 if bits > 8 else 1
                own, planes = np.split(planes, [width * count])
                steps = own.reshape(width, count).astype(np.float64)
                value = 256 * steps[0] + steps[1] if width == 2 else steps[0]
                target[:, column] = low + value * ((high - low) / ((1 << bits) - 1))
    except (ValueError, KeyError, TypeError, IndexError, zstandard.ZstdError) as error:
        raise BadInputError(f"damaged file: {error}") from error
    return cloud


def _quantise(rows: npt.NDArray[np.float32], bits: int) -> tuple[U16, list[list[float]]]:
    values = rows.astype(np.float64)
    low, high = (values.min(axis=0), values.max(axis=0)) if len(values) else (np.zeros(rows.shape[1]),) * 2
    span = np.where(high > low, high - low, 1.0)
    steps = np.rint((values - low) / span * ((1 << bits) - 1)).astype(np.uint16)
    return steps, [[float(a), float(b)] for a, b in zip(low, high, strict=True)]


def _planes(column: U16, bits: int) -> list[bytes]:
    """High bytes, which up to 8 bits do not have, then low bytes."""
    high = [(column >> 8).astype(np.uint8).tobytes()] if bits > 8 else []
    return [*high, column.astype(np.uint8).tobytes()]


def _morton(axes: Sequence[U16]) -> npt.NDArray[np.uint64]:
    code: npt.NDArray[Any] = np.zeros(len(axes[0]), np.uint64)
    for bit in range(POSITION_BITS):
        for axis, values in enumerate(axes):
            code |= ((values.astype(np.uint64) >> np.uint64(bit)) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="naive", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("direction", choices=("encode", "decode"))
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--bits", type=int, choices=range(1, 17), default=8, metavar="1..16")
    options = parser.parse_args(arguments)
    try:
        if options.direction == "encode":
            atomic_write(options.output, [encode(read_ply(options.input), options.bits)], force=True)
        else:
            write_ply(options.output, decode(options.input.read_bytes()), force=True)
    except (GsbError, OSError) as error:
        print(f"naive: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
