"""gstrain rap: trained scenes in, the weights of a rendering-free importance score out."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from typing import Any

from gscodec.cli.common import Summary, check_output, new_parser, run, whole_number
from gscodec.cli.progress import Progress
from gscodec.errors import BadInputError

METHODS = ("rap", "rap-distilled")
DOWNSCALE = {"rap": 4, "rap-distilled": 2}  # by default; the fading of splats shows in small views too

_EXAMPLES = """\
  gstrain rap scenes/a scenes/b scenes/c -o weights.npz --held-out c
  gstrain rap capture/a:a.ply capture/b:b.ply -o weights.npz --method rap-distilled --downscale 2

A scene is a folder with a capture (cameras and photos) and point_cloud.ply, or CAPTURE:CLOUD.ply. The scene that
--held-out names is not learned from; it is pruned by the result and measured. On the CPU the same options and
seed give the same weights on the same machine with the same number of threads."""


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("gstrain rap", "Train the network of a rendering-free importance score.", _EXAMPLES)
    parser.add_argument("input", metavar="SCENE", nargs="+", help="FOLDER or CAPTURE:CLOUD.ply")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the .npz to write")
    parser.add_argument("-f", "--force", action="store_true", help="replace an existing output file")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    parser.add_argument("--method", choices=METHODS, default="rap", help="default %(default)s")
    parser.add_argument("--iterations", type=whole_number, metavar="N", help="default 15000; rap-distilled: 1000")
    parser.add_argument("--seed", type=lambda text: int(text) if text == "0" else whole_number(text), default=0)
    parser.add_argument("--target-mean", type=float, metavar="S", help="mean score aimed at, rap only (default 0.45)")
    parser.add_argument("--rounds", type=whole_number, metavar="N", help="of removal, rap-distilled only (default 20)")
    parser.add_argument(
        "--downscale", type=whole_number, metavar="N", help="make views N times smaller (default 4; rap-distilled: 2)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default %(default)s; cuda: rap only")
    parser.add_argument("--threads", type=whole_number, metavar="N", help="threads to use (default: all cores)")
    parser.add_argument("--held-out", metavar="NAME", help="folder name of the scene to measure on")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; its exit code."""
    return run(_parser(), _work, sys.argv[1:] if argv is None else argv)


def _work(args: argparse.Namespace) -> Summary:
    if importlib.util.find_spec("torch") is None:
        raise BadInputError("training needs PyTorch: pip install 'gscodec[train]'")
    # Only here: torch takes seconds to import, and --help need not wait for it.
    from gscodec.train.rap_evaluate import evaluate_pruning
    from gscodec.train.rap_scenes import load_scene

    _check(args)
    args.downscale = args.downscale or DOWNSCALE[args.method]
    start = time.perf_counter()
    with Progress("gstrain rap", enabled=not args.quiet) as progress:
        scenes = []
        for number, text in enumerate(args.input):
            progress("reading", number / len(args.input))
            scene = load_scene(text, args.downscale)
            # Quality is told at full size.
            scenes.append(load_scene(text) if scene.name == args.held_out else scene)
        held = [scene for scene in scenes if scene.name == args.held_out]
        if args.held_out is not None and len(held) != 1:
            names = ", ".join(scene.name for scene in scenes)
            raise BadInputError("not the name of one scene", field="held-out", found=args.held_out, allowed=names)
        learned = [scene for scene in scenes if scene.name != args.held_out]
        network, score, loss = _train(args, learned, progress)
        seconds = time.perf_counter() - start
        rows = evaluate_pruning(held[0], score, progress=progress) if held else []
        network.save(args.output, force=args.force)
    data: dict[str, Any] = {
        "method": args.method,
        "output": args.output,
        "scenes": [scene.name for scene in learned],
        "splats": sum(len(scene.cloud) for scene in learned),
        "iterations": args.iterations,
        "seed": args.seed,
        "downscale": args.downscale,
        "seconds": round(seconds, 3),
        "loss": loss,
        "held_out": args.held_out,
        "pruned": [vars(row) for row in rows],
    }
    lines = [
        ("output", args.output),
        ("scenes", f"{len(learned)}, {data['splats']:,} splats"),
        ("training", f"{args.method}, {args.iterations:,} iterations in {seconds:.1f} s"),
        ("loss", f"{loss:.4f} in the last tenth"),
    ]
    for row in rows:
        photos = "" if row.psnr_photos is None else f", {row.psnr_photos:.2f} dB to photos"
        lines.append(("pruned", f"{row.fraction:.0%}: {row.psnr_renders:.2f} dB to renders of the whole{photos}"))
    return Summary(lines, data)


def _check(args: argparse.Namespace) -> None:
    wrong = {"rap": ("rounds",), "rap-distilled": ("target_mean",)}[args.method]
    for name in wrong:
        if getattr(args, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise BadInputError(f"{option} means nothing to this method", field="method", found=args.method)
    if args.device != "cpu" and args.method != "rap":
        raise BadInputError("this method trains on the CPU only", field="device", found=args.device, allowed="cpu")
    inputs, args.input = args.input, ""  # check_output compares with one input, which is a file
    check_output(args, args.output)
    args.input = inputs


def _train(args: argparse.Namespace, scenes: Sequence[Any], progress: Progress) -> tuple[Any, Any, float]:
    """The network, a function that scores a cloud by it, and the mean loss of the last tenth."""
    if args.method == "rap":
        from gscodec.importance.rap import score
        from gscodec.train.rap import RapOptions, train_rap

        args.iterations = args.iterations or RapOptions.iterations
        target = RapOptions.target_mean if args.target_mean is None else args.target_mean
        options = RapOptions(args.iterations, args.seed, target_mean=target, device=args.device, threads=args.threads)
        trained = train_rap(scenes, options, progress)
        weights = options.render_weight, options.pruning_weight, options.distribution_weight
        network, losses = trained.network, trained.losses @ weights
    else:
        from gscodec.importance.rap_distilled import score
        from gscodec.train.rap_distilled import DistilOptions, train_distilled

        args.iterations = args.iterations or DistilOptions.iterations
        rounds = args.rounds or DistilOptions.rounds
        distilled = train_distilled(
            scenes, DistilOptions(args.iterations, args.seed, rounds, threads=args.threads), progress
        )
        network, losses = distilled.network, distilled.losses
    last = losses[-max(1, len(losses) // 10) :]
    return network, lambda cloud: score(cloud, network=network), float(last.mean())


if __name__ == "__main__":
    sys.exit(main())
