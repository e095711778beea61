"""gsdec: a .gsb in, a 3DGS .ply out; the whole scene, or the tiles or the box asked for."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
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
from gscodec.cli.start import prepare_kernels
from gscodec.cloud import GaussianCloud
from gscodec.config import DecodeLimits
from gscodec.decoder import Decoder
from gscodec.formats.ply import ply_chunks_of

_EXAMPLES = """\
  gsdec scene.gsb                        write scene.ply, all checksums and digests verified
  gsdec scene.gsb -o part.ply --box -1,-1,0,1,1,2
                                         only the splats in a box, x,y,z,X,Y,Z in world units
  gsdec scene.gsb -o part.ply --tiles 0,3-5
  gsdec scene.gsb -o plain.ply --sh-degree 0
                                         without view-dependent colour
  gsdec progressive.gsb -o coarse.ply --layers 3
                                         without refinements, where SH degree is 3
  gsdec cut.gsb -o first.ply --max-bytes 5000000
                                         what the first bytes hold; the file may end behind them

With --box, --tiles, --layers or --sh-degree only the bytes concerned are read. Tiles are written one by one: what goes
to a pipe is verified tile by tile, a file appears when all of it is."""


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("gsdec", "Decompress a .gsb file to a PLY.", _EXAMPLES)
    parser.add_argument("input", metavar="in.gsb")
    add_conversion_options(parser, 'output file (default: the input\'s name with .ply; "-": stdout)')
    add_region_options(parser)
    parser.add_argument(
        "--sh-degree",
        type=int,
        choices=range(5),
        metavar="D",
        help="SH of degree D at most, 0..4, as near to the colours as it gets, from D layers of the file, of all "
        "where there are refinements",
    )
    parser.add_argument(
        "--layers",
        type=int,
        metavar="L",
        help="decode only up to layer L, from 0: colours beyond the mean, then refinements (see gsinfo)",
    )
    parser.add_argument(
        "--max-bytes",
        type=byte_size,
        metavar="BYTES",
        help="use only the first BYTES of the file, which may have been cut behind them (see gsinfo)",
    )
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
    prepare_kernels()
    limits = DecodeLimits(max_splats=args.max_splats, max_memory=args.max_memory)
    output = args.output or str(Path(args.input).with_suffix(".ply"))
    with Progress("gsdec", enabled=not args.quiet) as progress, FileSource(args.input) as source:
        decoder = Decoder(source, limits, args.max_bytes, args.ignore_checksums)
        check_output(args, output)
        selection = decoder.select(chosen_tiles(args, len(decoder.records)), args.box, args.sh_degree, args.layers)
        start = time.perf_counter()
        parts: Iterable[GaussianCloud] = decoder.decode_tiles(selection, args.threads)
        count = decoder.splat_count(selection)
        if args.box is not None:  # how many splats lie in it, the PLY says before the first of them
            parts = list(decoder.decode_tiles(selection, args.threads, progress))
            count = sum(len(part) for part in parts)
            if not count:
                raise no_splats(args.box, decoder.records)
        pattern = decoder.pattern(selection)
        floats = replace(decoder.header, splat_count=count, sh_degree=pattern.sh_degree).decoded_bytes
        with contextlib.closing(ply_chunks_of(pattern, count, parts)) as chunks:
            size = write(output, chunks, floats, args.force, progress)
        seconds = time.perf_counter() - start
    layers = Counter(selection.layers.values())
    data = {
        "input": {"file": args.input, "bytes": source.size, "splats": decoder.header.splat_count},
        "branch": decoder.header.branch.name.lower(),
        "tiles": {
            "decoded": len(selection.layers),
            "asked": selection.asked,
            "total": len(decoder.records),
            "by_layers": {number: layers[number] for number in sorted(layers)},
            "verified": decoder.verified(selection),
        },
        "last_layer": decoder.last_layer,
        "bytes_read": source.bytes_read,
        "file_bytes": decoder.container.file_bytes,
        "digests": "ignored" if args.ignore_checksums else "verified",
        "output": {"file": output, "bytes": size, "splats": count, "sh_degree": pattern.sh_degree},
        "seconds": {"decode": seconds},
    }
    return Summary(_lines(data), data, to_stderr=output in STDOUT)


def _lines(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    source, output, tiles = data["input"], data["output"], data["tiles"]
    word = "tile" if tiles["total"] == 1 else "tiles"
    share = f"{100 * data['bytes_read'] / data['file_bytes']:.1f} %"
    lines = [
        ("input", source["file"]),
        ("", f"{data['file_bytes']:,} bytes, {data['branch']}, {source['splats']:,} splats in "
         f"{tiles['total']:,} {word}"),
        ("read", f"{data['bytes_read']:,} bytes ({share}), {tiles['decoded']:,} of {tiles['total']:,} {word}"),
    ]  # fmt: skip
    if tiles["decoded"] < tiles["asked"]:
        missing = tiles["asked"] - tiles["decoded"]
        lie = "tile lies" if missing == 1 else "tiles lie"
        lines.append(("", f"{missing:,} {lie} behind the bytes used"))
    if set(tiles["by_layers"]) - {data["last_layer"]}:
        known = (f"{layers} in {number:,}" for layers, number in tiles["by_layers"].items())
        lines.append(("", f"tiles by their last layer: {', '.join(known)}"))
    return [
        *lines,
        ("verified", _verified(data)),
        ("output", output["file"]),
        ("", f"{output['bytes']:,} bytes, {output['splats']:,} splats, SH degree {output['sh_degree']}"),
        ("time", f"{data['seconds']['decode']:.2f} s"),
    ]


def _verified(data: Mapping[str, Any]) -> str:
    tiles = data["tiles"]
    if data["digests"] == "ignored":
        return "nothing"
    if tiles["verified"] == tiles["decoded"]:
        return "checksums of all bytes read; SHA-256 digest of each decoded tile equals the encoder's"
    compared = f"SHA-256 digests of {tiles['verified']:,} of {tiles['decoded']:,} decoded tiles"
    return f"checksums of all bytes read; {compared}: the others lack layers, or SH degrees"


if __name__ == "__main__":
    sys.exit(main())
