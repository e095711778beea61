"""gsprune: a 3DGS .ply in, a .ply without its least important splats out; or with the scores in it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gscodec.cli.common import (
    STDOUT,
    Summary,
    add_conversion_options,
    check_output,
    new_parser,
    run,
    whole_number,
    write,
)
from gscodec.cli.progress import Progress
from gscodec.cli.score_report import score_data, score_lines
from gscodec.cli.views import add_views_option, at_most_threads, seen_for
from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.formats.ply import is_standard, ply_chunks, read_ply
from gscodec.importance import METHODS
from gscodec.importance.compensate import compensated
from gscodec.importance.prune import F32, PruneSpec, kept_mask
from gscodec.importance.scores import score

_EXAMPLES = """\
  gsprune scene.ply -o small.ply --method rap-distilled --fraction 0.2 --compensate
  gsprune scene.ply -o small.ply --method removal --keep 500000 --views capture/
  gsprune scene.ply -o small.ply --method lightgaussian --set beta=0.05 --fraction 0.6 --report
  gsprune scene.ply -o scored.ply --method eagles --fraction 0 --scores-property importance

methods, and what each is made from:
"""


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, METHODS))
    table = "\n".join(
        f"  {name:<{width}}  {method.summary} ({method.needs}{_settings(method.params)})"
        for name, method in METHODS.items()
    )
    parser = new_parser("gsprune", "Remove the least important splats of a 3D Gaussian Splatting scene.",
                        _EXAMPLES + table)  # fmt: skip
    parser.add_argument("input", metavar="in.ply")
    add_conversion_options(parser, 'output file (default: the input\'s name with .pruned.ply; "-": stdout)')
    parser.add_argument("--method", required=True, metavar="NAME", help="how to score, see below")
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--fraction", type=float, metavar="F", help="share of the splats to remove, 0 <= F < 1")
    amount.add_argument("--count", type=int, metavar="N", help="number of splats to remove")
    amount.add_argument("--keep", type=whole_number, metavar="N", help="number of splats to keep")
    amount.add_argument("--threshold", type=float, metavar="T", help="remove splats that score below T")
    parser.add_argument(
        "--compensate",
        action="store_true",
        help="make the splats that stay denser and a little larger where others are gone; default: as they are",
    )
    add_views_option(parser)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the method")
    parser.add_argument("--scores-property", metavar="NAME", help="write the scores as an extra float property")
    parser.add_argument("--report", action="store_true", help="also print how the scores are distributed")
    return parser


def _settings(params: Mapping[str, float]) -> str:
    return "".join(f"; {name}={value:g}" for name, value in params.items())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; its exit code."""
    return run(_parser(), _work, sys.argv[1:] if argv is None else argv)


def _work(args: argparse.Namespace) -> Summary:
    spec = PruneSpec(args.method, args.fraction, args.count, args.keep, args.threshold, _params(args.set))
    output = args.output or str(Path(args.input).with_suffix(".pruned.ply"))
    check_output(args, output)
    if args.scores_property is not None and is_standard(args.scores_property):
        raise BadInputError("a standard property", field="scores-property", found=args.scores_property,
                            allowed="another name")  # fmt: skip

    seconds: dict[str, float] = {}
    with Progress("gsprune", enabled=not args.quiet) as progress:
        start = time.perf_counter()
        progress("reading", 0.0)
        source = read_ply(args.input)
        seconds["read"] = time.perf_counter() - start
        start = time.perf_counter()
        with at_most_threads(args.threads):
            seen, views = seen_for(spec.method, source, args.views, progress)
            scores = score(spec.method, source, seen, None, spec.params)
        mask = kept_mask(source, scores, spec)
        seconds["score"] = time.perf_counter() - start
        start = time.perf_counter()
        scored = source if args.scores_property is None else with_property(source, args.scores_property, scores)
        kept = compensated(scored, mask) if args.compensate else scored.select(mask)
        size = write(output, ply_chunks(kept), kept.nbytes, args.force, progress)
        seconds["write"] = time.perf_counter() - start
    report = score_data(scores, mask) if args.report else None
    read = Path(args.input).stat().st_size
    data = {
        "input": {"file": args.input, "bytes": read, "splats": len(source)},
        "method": spec.method,
        "params": dict(METHODS[spec.method].params) | dict(spec.params),
        "views": {"used": len(seen.views) if seen else 0, "source": views or None},
        "kept": len(kept),
        "removed": len(source) - len(kept),
        "compensated": args.compensate and len(kept) < len(source),
        "scores": report,
        "output": {"file": output, "bytes": size, "splats": len(kept), "scores_property": args.scores_property},
        "seconds": seconds,
    }
    lines = [
        ("input", args.input),
        ("", f"{read:,} bytes, {len(source):,} splats"),
        ("scored", f"by {spec.method}" + (f", from {views}" if views else "")),
        ("pruned", f"{len(source) - len(kept):,} splats removed, {len(kept):,} kept" + _made_up(data)),
        *(score_lines(report) if report else ()),
        ("output", output),
        ("", f"{size:,} bytes" + (f", scores as {args.scores_property}" if args.scores_property else "")),
        ("time", ", ".join(f"{stage} {spent:.2f} s" for stage, spent in seconds.items())),
    ]
    return Summary(lines, data, to_stderr=output in STDOUT)


def _made_up(data: Mapping[str, Any]) -> str:
    return ", which make up for them" if data["compensated"] else ""


def _params(settings: Sequence[str]) -> dict[str, float]:
    """From "name=value". Raises BadInputError."""
    params = {}
    for text in settings:
        name, _, number = text.partition("=")
        try:
            params[name] = float(number)
        except ValueError:
            raise BadInputError("no number", field="set", found=text, allowed="NAME=VALUE") from None
    return params


def with_property(cloud: GaussianCloud, name: str, values: F32) -> GaussianCloud:
    """The cloud with one more float property, the last of its file. Raises BadInputError if it has it already."""
    if name in cloud.extras:
        raise BadInputError("the file has this property already", field="scores-property", found=name,
                            allowed="another name")  # fmt: skip
    order = cloud.meta.property_order
    meta = replace(cloud.meta, property_order=(*order, name) if order else ())
    return replace(cloud, meta=meta, extras=MappingProxyType({**cloud.extras, name: values}))


if __name__ == "__main__":
    sys.exit(main())
