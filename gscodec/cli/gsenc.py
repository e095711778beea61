"""gsenc: a 3DGS .ply in, a .gsb out."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
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
from gscodec.cli.start import prepare_kernels
from gscodec.cli.targets import add_target_options, encode_to_target, goals_of, has_target, judged_from
from gscodec.cli.views import (
    NONE,
    add_views_option,
    at_most_threads,
    colour_views,
    control_views,
    seen_for,
    visibility_for,
)
from gscodec.cloud import GaussianCloud
from gscodec.config import PRESETS, EncodeConfig, Visibility
from gscodec.errors import BadInputError
from gscodec.formats.ply import read_ply
from gscodec.importance import METHODS
from gscodec.importance.prune import PruneSpec, prune
from gscodec.rate.fixed_quality import BY_QUALITY, FixedQuality, Judges
from gscodec.rate.pruning import KEEPS_ALL_FROM
from gscodec.rate.reference import Reference
from gscodec.sanitise import sanitise

_OTHER_FORMATS = (".gsb", ".spz", ".sog", ".splat", ".ksplat", ".spx", ".rad", ".glb", ".gltf", ".usd", ".usdz", ".zip")

_EXAMPLES = """\
  gsenc scene.ply                        write scene.gsb at quality 75
  gsenc scene.ply -o small.gsb --quality 50
  gsenc scene.ply --prune opacity:0.2    without the 20 % of lowest opacity
  gsenc scene.ply --prune removal:keep=500000 --views capture/
                                         the 500,000 splats that the capture's views need most
  gsenc scene.ply --views capture/       precise where the capture's views look
  gsenc scene.ply --quality 40 --prune none
                                         with all splats, those too that so low a quality does not show
  gsenc scene.ply --target-size 8MB      the best that goes into 8,000,000 bytes, pruned where that helps
  gsenc scene.ply --target-ratio 40 --min-psnr 38 --views capture/
                                         40 times smaller, unless that takes it below 38 dB
  gsenc scene.ply --min-psnr 45 --prune none
                                         the smallest file of 45 dB that has all splats
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
        help=f"1 (smallest) to 100 (best), default {EncodeConfig.quality:g}; 15 more halve the error steps; below "
        f"{KEEPS_ALL_FROM:g}, splats that the quality does not show are left out (see --prune)",
    )
    mode.add_argument("--lossless", action="store_true", help="lose nothing")
    add_target_options(parser, mode)
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default=EncodeConfig.preset,
        help="how long to look for a smaller file of the same quality; fast: not at all; default: weigh splats by what "
        "virtual views, or --views, show; max: also move bits between attributes, and colours, by what renders of "
        "the file show (default: %(default)s)",
    )
    parser.add_argument(
        "--prune",
        metavar="METHOD:AMOUNT",
        help="first remove the least important splats: a fraction (0.2), or n=COUNT to remove, keep=COUNT to keep, "
        f"t=LOWEST score that stays; methods: {', '.join(METHODS)} (gsprune --help explains them); {BY_QUALITY}: those "
        f"that the quality does not show, which is what happens below {KEEPS_ALL_FROM:g} anyway, except with --preset "
        f"fast and --lossless; {NONE}: keep all, for a target, too",
    )
    parser.add_argument(
        "--no-compensate",
        action="store_true",
        help="leave the splats that --prune keeps as they are; default, unless --lossless: they make up for the others",
    )
    add_views_option(parser, "the scene is not looked at")
    parser.add_argument(
        "--progressive",
        action="store_true",
        help="the file begins with a coarse scene and refines it, for gsdec --max-bytes; about 13 %% more bytes",
    )
    parser.add_argument("--strict", action="store_true", help="fail on a splat that cannot be coded; default: drop it")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; its exit code."""
    parser = _parser()

    def work(args: argparse.Namespace) -> Summary:
        if args.min_psnr is not None and (args.lossless or args.quality is not None):
            parser.error("argument --min-psnr: not allowed with --quality or --lossless")
        if args.no_compensate and args.prune in (None, BY_QUALITY, NONE):
            parser.error("argument --no-compensate: only with --prune METHOD:AMOUNT")
        if args.prune == BY_QUALITY and args.lossless:
            parser.error(f"argument --prune {BY_QUALITY}: not allowed with --lossless")
        if args.prune == BY_QUALITY and args.preset == "fast" and has_target(args):
            parser.error(f"argument --prune {BY_QUALITY}: not allowed with --preset fast, which prunes for no target")
        return _work(args)

    return run(parser, work, sys.argv[1:] if argv is None else argv)


def _work(args: argparse.Namespace) -> Summary:
    quality = EncodeConfig.quality if args.quality is None else args.quality
    config = EncodeConfig(
        quality=quality,
        preset=args.preset,
        lossless=args.lossless,
        progressive=args.progressive,
        strict=args.strict,
        threads=args.threads,
    )
    spec = PruneSpec.parse(args.prune) if args.prune not in (None, BY_QUALITY, NONE) else None
    scored_by_views = spec is not None and METHODS[spec.method].needs_views
    if args.lossless and args.views not in (None, NONE) and not scored_by_views:
        raise BadInputError("a lossless file is the same from any view", field="views", found=args.views)
    suffix = Path(args.input).suffix
    if suffix.lower() in _OTHER_FORMATS:
        hint = "it is encoded already" if suffix.lower() == ".gsb" else "convert it to a plain PLY first"
        raise BadInputError(f"gsenc reads .ply files; {hint}", field="input", found=args.input, allowed=".ply")
    output = args.output or str(Path(args.input).with_suffix(".gsb"))
    check_output(args, output)

    prepare_kernels()
    seconds: dict[str, float] = {}
    with Progress("gsenc", enabled=not args.quiet) as progress:
        start = time.perf_counter()
        progress("reading", 0.0)
        source = read_ply(args.input)
        seconds["read"] = time.perf_counter() - start
        goals = goals_of(args, Path(args.input).stat().st_size) if has_target(args) else None
        cloud, pruned = source, None
        if spec is not None:
            with at_most_threads(args.threads):
                seen, _ = seen_for(spec.method, source, args.views if scored_by_views else None, progress)
                compensate = not (args.lossless or args.no_compensate)
                cloud, pruned = prune(source, spec, seen, compensate=compensate)
            seconds["prune"] = time.perf_counter() - start - seconds["read"]
        target, weighed = None, ""
        if goals is not None:
            made = encode_to_target(
                goals, source, cloud, config, args.views, args.prune in (None, BY_QUALITY), progress
            )
            chunks, report, quality, target = made.chunks, made.report, made.quality, made.data
            pruned, weighed = made.pruned or pruned, made.weighed
            seconds["target"] = made.data["seconds"]
        else:
            before = time.perf_counter()
            with at_most_threads(args.threads):
                visibility, weighed, judges = looked_at(source, cloud, config, args.views, progress)
                if visibility is not None:
                    seconds["views"] = time.perf_counter() - before
                recipe = FixedQuality(cloud, config, visibility, _prunes_below(args.prune, config), judges)
                before = time.perf_counter()
                chunks, report, unseen = recipe.encode(quality, progress)
                took = time.perf_counter() - before
            if unseen is not None:
                seconds["prune"], pruned = unseen.seconds, unseen
            if judges is not None:
                seconds["search"] = took - report.seconds - seconds.get("prune", 0.0)
            seconds["encode"] = report.seconds
        if report.splats_in and not report.splats:
            raise BadInputError("no splat of the scene can be coded", field="dropped", found=counts(report.dropped))
        start = time.perf_counter()
        write(output, chunks, report.bytes, args.force, progress)
        seconds["write"] = time.perf_counter() - start
    data = encode_data(args, output, source, pruned, cloud, report, seconds, quality, weighed, target)
    for text in encode_warnings(data):
        say(f"gsenc: warning: {text}")
    return Summary(encode_lines(data), data, to_stderr=output in STDOUT)


def _prunes_below(asked: str | None, config: EncodeConfig) -> float:
    """The quality below which splats go that it does not show; ``asked``: --prune."""
    if asked == BY_QUALITY:
        return math.inf
    return 0.0 if asked is not None or config.preset == "fast" else KEEPS_ALL_FROM


def looked_at(
    source: GaussianCloud,
    cloud: GaussianCloud,
    config: EncodeConfig,
    named: str | None,
    progress: Callable[[str, float], None],
) -> tuple[Visibility | None, str, Judges | None]:
    """What views show of splats, and they in words, if --views names any or the preset looks; for "max" also what to
    search by: renders of the source, of which --prune METHOD:AMOUNT may have left ``cloud``. Raises BadInputError.
    """
    if config.lossless or (config.preset == "fast" and named is None):
        return None, "", None
    judges = None
    if config.preset == "max":
        sound, _ = sanitise(source)  # what is left out of every file, no step makes better
        chosen = control_views(sound, named, progress)
        steps, _ = judged_from(sound, chosen)
        progress("judging", 0.0)
        judges = Judges(steps, Reference(sound, colour_views(sound, named, chosen.judges)))
    return *visibility_for(cloud, named, progress), judges


if __name__ == "__main__":
    sys.exit(main())
