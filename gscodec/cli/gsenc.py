"""gsenc: a 3DGS .ply in, a .gsb out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gscodec.cli.common import (
    STDOUT,
    Summary,
    add_conversion_options,
    check_output,
    new_parser,
    run,
    say,
    write,
)
from gscodec.cli.encode_report import counts, encode_data, encode_lines, encode_warnings
from gscodec.cli.progress import Progress
from gscodec.cli.views import add_views_option, at_most_threads, seen_for, visibility_for
from gscodec.config import PRESETS, EncodeConfig
from gscodec.encoder import encode_chunks
from gscodec.errors import BadInputError
from gscodec.formats.ply import read_ply
from gscodec.importance import METHODS
from gscodec.importance.prune import PruneSpec, prune

_OTHER_FORMATS = (".gsb", ".spz", ".sog", ".splat", ".ksplat", ".spx", ".rad", ".glb", ".gltf", ".usd", ".usdz", ".zip")

_EXAMPLES = """\
  gsenc scene.ply                        write scene.gsb at quality 75
  gsenc scene.ply -o small.gsb --quality 50
  gsenc scene.ply --prune opacity:0.2    without the 20 % of lowest opacity
  gsenc scene.ply --prune removal:keep=500000 --views capture/
                                         the 500,000 splats that the capture's views need most
  gsenc scene.ply --views capture/       precise where the capture's views look
  gsenc scene.ply --lossless             every bit of the floats, extras and comments kept

gsdec turns a .gsb back into a .ply, gsinfo says what is in it."""


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("gsenc", "Compress a trained 3D Gaussian Splatting scene.", _EXAMPLES)
    parser.add_argument("input", metavar="in.ply")
    add_conversion_options(parser, 'output file (default: the input\'s name with .gsb; "-": stdout)')
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--quality",
        type=float,
        metavar="Q",
        default=EncodeConfig.quality,
        help="1 (smallest) to 100 (best), default %(default)g; 15 more halve the error steps",
    )
    mode.add_argument("--lossless", action="store_true", help="lose nothing")
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default=EncodeConfig.preset,
        help="how long to look for a smaller file of the same quality, default %(default)s; max also renders the scene "
        "from virtual views, unless there are --views",
    )
    parser.add_argument(
        "--prune",
        metavar="METHOD:AMOUNT",
        help="first remove the least important splats: a fraction (0.2), or n=COUNT to remove, keep=COUNT to keep, "
        f"t=LOWEST score that stays; methods: {', '.join(METHODS)} (gsprune --help explains them)",
    )
    add_views_option(parser)
    parser.add_argument("--strict", action="store_true", help="fail on a splat that cannot be coded; default: drop it")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; its exit code."""
    return run(_parser(), _work, sys.argv[1:] if argv is None else argv)


def _work(args: argparse.Namespace) -> Summary:
    config = EncodeConfig(
        quality=args.quality, preset=args.preset, lossless=args.lossless, strict=args.strict, threads=args.threads
    )
    spec = PruneSpec.parse(args.prune) if args.prune is not None else None
    scored_by_views = spec is not None and METHODS[spec.method].needs_views
    if args.lossless and args.views is not None and not scored_by_views:
        raise BadInputError("a lossless file is the same from any view", field="views", found=args.views)
    suffix = Path(args.input).suffix
    if suffix.lower() in _OTHER_FORMATS:
        hint = "it is encoded already" if suffix.lower() == ".gsb" else "convert it to a plain PLY first"
        raise BadInputError(f"gsenc reads .ply files; {hint}", field="input", found=args.input, allowed=".ply")
    output = args.output or str(Path(args.input).with_suffix(".gsb"))
    check_output(args, output)

    seconds: dict[str, float] = {}
    with Progress("gsenc", enabled=not args.quiet) as progress:
        start = time.perf_counter()
        progress("reading", 0.0)
        source = read_ply(args.input)
        seconds["read"] = time.perf_counter() - start
        cloud, pruned = source, None
        if spec is not None:
            with at_most_threads(args.threads):
                seen, _ = seen_for(spec.method, source, args.views if scored_by_views else None, progress)
                cloud, pruned = prune(source, spec, seen)
            seconds["prune"] = time.perf_counter() - start - seconds["read"]
        visibility = None
        if not args.lossless:
            before = time.perf_counter()
            with at_most_threads(args.threads):
                visibility, _ = visibility_for(cloud, args.views, args.preset == "max", progress)
            if visibility is not None:
                seconds["views"] = time.perf_counter() - before
        chunks, report = encode_chunks(cloud, config, progress, visibility)
        seconds["encode"] = report.seconds
        if report.splats_in and not report.splats:
            raise BadInputError("no splat of the scene can be coded", field="dropped", found=counts(report.dropped))
        start = time.perf_counter()
        write(output, chunks, report.bytes, args.force, progress)
        seconds["write"] = time.perf_counter() - start
    data = encode_data(args, output, source, pruned, cloud, report, seconds)
    for text in encode_warnings(data):
        say(f"gsenc: warning: {text}")
    return Summary(encode_lines(data), data, to_stderr=output in STDOUT)


if __name__ == "__main__":
    sys.exit(main())
