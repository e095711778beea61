"""gsdec: a .gsb in, a 3DGS .ply out; the whole scene, or the tiles or the box asked for."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gscodec.bitstream.source import FileSource
from gscodec.cli.common import (
    STDOUT,
    Summary,
    add_conversion_options,
    byte_size,
    check_output,
    new_parser,
    run,
    whole_number,
    write,
)
from gscodec.cli.progress import Progress
from gscodec.cli.region import add_region_options, chosen_tiles, join_negative_box, no_splats
from gscodec.config import DecodeLimits
from gscodec.decoder import decode
from gscodec.formats.ply import ply_chunks
from gscodec.inspect import inspect

_EXAMPLES = """\
  gsdec scene.gsb                        write scene.ply, all checksums and digests verified
  gsdec scene.gsb -o part.ply --box -1,-1,0,1,1,2
                                         only the splats in a box, x,y,z,X,Y,Z in world units
  gsdec scene.gsb -o part.ply --tiles 0,3-5

With --box or --tiles only the bytes of the tiles concerned are read."""


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("gsdec", "Decompress a .gsb file to a PLY.", _EXAMPLES)
    parser.add_argument("input", metavar="in.gsb")
    add_conversion_options(parser, 'output file (default: the input\'s name with .ply; "-": stdout)')
    add_region_options(parser)
    limits = DecodeLimits()
    parser.add_argument(
        "--max-splats",
        type=whole_number,
        metavar="N",
        default=limits.max_splats,
        help=f"refuse files with more splats (default {limits.max_splats:,})",
    )
    parser.add_argument(
        "--max-memory",
        type=byte_size,
        metavar="BYTES",
        default=limits.max_memory,
        help=f"refuse files that decode to more bytes, as in 4G (default {limits.max_memory >> 30}G)",
    )
    parser.add_argument("--ignore-checksums", action="store_true", help=argparse.SUPPRESS)  # for fuzzing only
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; its exit code."""
    return run(_parser(), _work, list(join_negative_box(sys.argv[1:] if argv is None else argv)))


def _work(args: argparse.Namespace) -> Summary:
    limits = DecodeLimits(max_splats=args.max_splats, max_memory=args.max_memory)
    with FileSource(args.input) as source:
        info = inspect(source, limits, args.ignore_checksums)
    output = args.output or str(Path(args.input).with_suffix(".ply"))
    check_output(args, output)
    tiles = chosen_tiles(info, args)

    seconds: dict[str, float] = {}
    with Progress("gsdec", enabled=not args.quiet) as progress, FileSource(args.input) as source:
        start = time.perf_counter()
        cloud = decode(
            source,
            tiles=tiles,
            box=args.box,
            limits=limits,
            threads=args.threads,
            progress=progress,
            ignore_checksums=args.ignore_checksums,
        )
        if args.box is not None and not len(cloud):
            raise no_splats(args.box, info)
        seconds["decode"] = time.perf_counter() - start
        start = time.perf_counter()
        size = write(output, ply_chunks(cloud), cloud.nbytes, args.force, progress)
        seconds["write"] = time.perf_counter() - start
    total = len(info.tiles)
    data = {
        "input": {"file": args.input, "bytes": info.file_bytes, "splats": info.header.splat_count},
        "branch": info.header.branch.name.lower(),
        "tiles": {"decoded": total if tiles is None else len(tiles), "total": total},
        "bytes_read": source.bytes_read,
        "file_bytes": info.file_bytes,
        "digests": "ignored" if args.ignore_checksums else "verified",
        "output": {"file": output, "bytes": size, "splats": len(cloud), "sh_degree": cloud.sh_degree},
        "seconds": seconds,
    }
    return Summary(_lines(data), data, to_stderr=output in STDOUT)


def _lines(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    source, output, tiles = data["input"], data["output"], data["tiles"]
    word = "tile" if tiles["total"] == 1 else "tiles"
    share = f"{100 * data['bytes_read'] / data['file_bytes']:.1f} %"
    checked = "checksums of all bytes read; SHA-256 digest of each decoded tile equals the encoder's"
    return [
        ("input", source["file"]),
        ("", f"{source['bytes']:,} bytes, {data['branch']}, {source['splats']:,} splats in {tiles['total']:,} {word}"),
        ("read", f"{data['bytes_read']:,} bytes ({share}), {tiles['decoded']:,} of {tiles['total']:,} {word}"),
        ("verified", checked if data["digests"] == "verified" else "nothing"),
        ("output", output["file"]),
        ("", f"{output['bytes']:,} bytes, {output['splats']:,} splats, SH degree {output['sh_degree']}"),
        ("time", ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in data["seconds"].items())),
    ]


if __name__ == "__main__":
    sys.exit(main())
