"""gstrain: photos with known cameras in, a 3DGS .ply out."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gscodec import __version__
from gscodec.cli import gstrain_rap
from gscodec.cli.common import STDOUT, Summary, check_output, new_parser, run, whole_number, write
from gscodec.cli.progress import Progress
from gscodec.errors import BadInputError
from gscodec.formats.ply import ply_chunks, read_ply
from gscodec.scene.capture import Capture, load_capture
from gscodec.train.options import DEVICES, TrainOptions

_EXAMPLES = """\
  gstrain capture/ -o scene.ply              COLMAP, transforms.json, cameras.json; 7000 iterations
  gstrain capture/ -o scene.ply --downscale 4 --max-splats 200000
  gstrain capture/ -o better.ply --start scene.ply --iterations 2000
                                             fine-tune: the number of splats stays
  gstrain rap SCENES... -o weights.npz       the network of an importance score; see gstrain rap --help

Every 8th photo is kept for testing unless the capture says which. On the CPU the same options and seed give the same
file on the same machine, whatever the number of threads."""


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("gstrain", "Train a 3D Gaussian Splatting scene from photos with known cameras.", _EXAMPLES)
    parser.add_argument("input", metavar="CAPTURE", help="folder or cameras file")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help='the .ply to write ("-": stdout)')
    parser.add_argument("-f", "--force", action="store_true", help="replace an existing output file")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    parser.add_argument("--threads", type=whole_number, metavar="N", help="threads to use (default: all cores)")
    parser.add_argument("--device", choices=DEVICES, default=TrainOptions.device, help="default %(default)s")
    parser.add_argument(
        "--iterations", type=whole_number, metavar="N", default=TrainOptions.iterations, help="default %(default)s"
    )
    parser.add_argument(
        "--sh-degree", type=int, choices=range(5), default=TrainOptions.sh_degree, help="default %(default)s"
    )
    parser.add_argument("--max-splats", type=whole_number, metavar="N", help="never more than N (default: no limit)")
    parser.add_argument(
        "--downscale", type=whole_number, metavar="N", default=1, help="make photos N times smaller (default 1)"
    )
    parser.add_argument("--seed", type=_seed, metavar="N", default=TrainOptions.seed, help="default %(default)s")
    parser.add_argument(
        "--background", type=_colour, metavar="R,G,B", default=TrainOptions.background, help="0..1 each, default black"
    )
    parser.add_argument("--antialiased", action="store_true", help="train for the antialiased render mode")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--points", metavar="FILE", help=".npz with xyz and rgb, to start from instead")
    begin.add_argument("--start", metavar="FILE", help=".ply to fine-tune without changing the number of its splats")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["rap"]:
        return gstrain_rap.main(arguments[1:])
    return run(_parser(), _work, arguments)


def _seed(text: str) -> int:
    return 0 if text == "0" else whole_number(text)


def _colour(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 3 or not all(0.0 <= value <= 1.0 for value in values):
        raise argparse.ArgumentTypeError(f"{text!r} is not a colour such as 0,0.5,1")
    return values


def _options(args: argparse.Namespace) -> TrainOptions:
    names = ("sh_degree", "max_splats", "seed", "device", "threads", "background", "antialiased")
    chosen = {name: getattr(args, name) for name in names}
    if args.start is not None:
        return TrainOptions.fine_tuning(args.iterations, **chosen)
    return TrainOptions(iterations=args.iterations, **chosen)


def _work(args: argparse.Namespace) -> Summary:
    if importlib.util.find_spec("torch") is None:
        raise BadInputError("training needs PyTorch: pip install 'gscodec[train]'")
    # Only here: torch takes seconds to import, and --help need not wait for it.
    from gscodec.train.devices import limit_threads, renderer_for
    from gscodec.train.evaluate import evaluate
    from gscodec.train.loop import train
    from gscodec.train.views import load_views

    options = _options(args)
    check_output(args, args.output)
    renderer_for(options.device)  # before anything is read
    start = time.perf_counter()
    with Progress("gstrain", enabled=not args.quiet) as progress:
        progress("reading", 0.0)
        capture = load_capture(args.input, downscale=args.downscale)
        if args.points is not None:
            capture = replace(capture, points_file=Path(args.points), points=None)
        source = read_ply(args.start) if args.start is not None else None
        # Before the training: a test photo that is missing should not be found out after hours.
        tests = load_views(capture, "test", options.background, options.device) if _has_tests(capture) else None
        result = train(capture, options, start=source, progress=progress)
        comment = _comment(options, capture, fine_tuned=source is not None)
        meta = replace(result.cloud.meta, comments=(*result.cloud.meta.comments, comment))
        cloud = replace(result.cloud, meta=meta)
        with limit_threads(options.threads):
            quality = evaluate(cloud, tests, progress) if tests is not None else None
        seconds = time.perf_counter() - start
        size = sum(len(chunk) for chunk in ply_chunks(cloud))
        write(args.output, ply_chunks(cloud), size, args.force, progress)
    data: dict[str, Any] = {
        "input": args.input,
        "output": args.output,
        "splats": len(cloud),
        "bytes": size,
        "iterations": options.iterations,
        "views": len(capture.views("train")),
        "seconds": round(seconds, 3),
        "loss": result.final_loss,
        "test": None if quality is None else {"views": quality.views, "psnr": quality.psnr, "ssim": quality.ssim},
    }
    return Summary(_lines(data), data, to_stderr=args.output in STDOUT)


def _has_tests(capture: Capture) -> bool:
    return any(camera.split == "test" for camera in capture.cameras)


def _comment(options: TrainOptions, capture: Capture, fine_tuned: bool) -> str:
    """One line for the PLY: how it was made, and nothing that differs when it is made again."""
    count = len(capture.views("train"))
    limit = f", at most {options.max_splats} splats" if options.max_splats is not None else ""
    verb = "fine-tuned" if fine_tuned else "trained"
    return (
        f"{verb} by gstrain {__version__}: {options.iterations} iterations on {count} photos, "
        f"seed {options.seed}, device {options.device}{limit}"
    )


def _lines(data: dict[str, Any]) -> list[tuple[str, str]]:
    test = data["test"]
    shown = (
        f"PSNR {test['psnr']:.2f} dB, SSIM {test['ssim']:.4f} on {test['views']} photos" if test else "no test photos"
    )
    return [
        ("output", f"{data['output']}, {data['bytes']:,} bytes"),
        ("splats", f"{data['splats']:,}"),
        ("training", f"{data['iterations']:,} iterations on {data['views']} photos in {data['seconds']:.1f} s"),
        ("loss", f"{data['loss']:.4f} in the last tenth"),
        ("test", shown),
    ]


if __name__ == "__main__":
    sys.exit(main())
