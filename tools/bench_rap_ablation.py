"""What each loss and each feature of RAP is worth: trained without it, measured on scenes that it has not seen.

    python -m gscodec_tools.bench_rap_ablation SCENE... --held-out SCENE [--held-out SCENE] [--iterations 2000]
        [--downscale 2] [--variants NAME...] [--json results/rap_ablation.json]

A SCENE is a folder with a capture and its point_cloud.ply, or CAPTURE:CLOUD.ply. Training views and photos are made
``--downscale`` times smaller, test views of the held-out scenes are not. As figure 5 of arXiv 2602.19753: features
that are left out are 0 in training and inference alike; a whole of another seed shows what chance does. The JSON is
written after each variant.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gscodec_tools.machine import machine

from gscodec.bitstream.atomic import atomic_write
from gscodec.errors import BadInputError, GsbError
from gscodec.importance.rap_features import NAMES, features
from gscodec.importance.rap_network import Network
from gscodec.train.rap import RapOptions, train_rap
from gscodec.train.rap_evaluate import evaluate_pruning
from gscodec.train.rap_scenes import Scene, load_scene

F32 = npt.NDArray[np.float32]

LOW, HIGH = 0.05, 0.95  # scores beyond are near 0 or 1


@dataclass(frozen=True)
class Variant:
    """``without``: parts of the names of features to leave out, "opacity" or "scene" of "opacity, scene"."""

    name: str
    without: tuple[str, ...] = ()
    pruning: bool = True
    distribution: bool = True
    seed: int = 0

    def keeps(self) -> npt.NDArray[np.bool_]:
        """Which of the features [15] stay."""
        return np.array([set(self.without).isdisjoint(name.split(", ")) for name in NAMES])

    def options(self, iterations: int) -> RapOptions:
        """The shipped recipe, less this variant's losses; on one thread, so that it repeats."""
        options = RapOptions(iterations, self.seed, threads=1)
        return replace(
            options,
            pruning_weight=options.pruning_weight * self.pruning,
            distribution_weight=options.distribution_weight * self.distribution,
        )


SCALES = ("scale 0", "scale 1", "scale 2")
VARIANTS = (
    Variant("whole"),
    Variant("no distribution loss", distribution=False),
    Variant("no pruning loss", pruning=False),
    Variant("neither loss", pruning=False, distribution=False),
    Variant("whole, seed 1", seed=1),
    Variant("no opacity", ("opacity",)),
    Variant("no scales, no volume", (*SCALES, "volume")),
    Variant("no z-scores among neighbours", ("neighbours",)),
    Variant("no standing in the scene", ("scene",)),
    Variant("no anisotropy", ("anisotropy",)),
    Variant("no distance", ("distance",)),
    Variant("no colour", ("colour",)),
    Variant("no scales", SCALES),
    Variant("no volume", ("volume",)),
)


def bench(
    variant: Variant, learned: Sequence[tuple[Scene, F32]], held: Sequence[tuple[Scene, F32]], iterations: int
) -> dict[str, Any]:
    """Train on scenes and their features, measure on others. Raises GsbError."""
    start = time.perf_counter()
    keeps = variant.keeps().astype(np.float32)
    options = variant.options(iterations)
    scenes = [scene for scene, _ in learned]
    trained = train_rap(scenes, options, columns=[columns * keeps for _, columns in learned])
    seconds = time.perf_counter() - start
    last = trained.losses[-max(1, iterations // 10) :].mean(axis=0)
    return {
        "variant": variant.name,
        "without": [name for name, stays in zip(NAMES, keeps, strict=True) if not stays],
        "options": asdict(options),
        "seconds": round(seconds, 1),
        "losses": dict(zip(("rendering", "pruning", "distribution"), last.round(5).tolist(), strict=True)),
        "learned": [
            {"scene": scene.name, **_spread(trained.network.scores(columns * keeps))} for scene, columns in learned
        ],
        "held_out": [_measured(scene, trained.network, columns * keeps) for scene, columns in held],
    }


def _measured(scene: Scene, network: Network, columns: F32) -> dict[str, Any]:
    scores = network.scores(columns)
    rows = evaluate_pruning(scene, lambda _: scores)
    psnr = {f"{row.fraction:g}": round(row.psnr_renders, 3) for row in rows}
    photos = {f"{row.fraction:g}": None if row.psnr_photos is None else round(row.psnr_photos, 3) for row in rows}
    return {"scene": scene.name, "psnr_renders": psnr, "psnr_photos": photos, **_spread(scores)}


def _spread(scores: F32) -> dict[str, float]:
    """Mean of the scores, shares of them near 0 and near 1, and of different ones among all."""
    return {
        "mean": round(float(scores.mean()), 4),
        "near_0": round(float((scores < LOW).mean()), 4),
        "near_1": round(float((scores > HIGH).mean()), 4),
        "different": round(len(np.unique(scores)) / len(scores), 4),
    }


def as_text(row: dict[str, Any]) -> str:
    """One line: PSNR by share removed, and the mean score, of each held-out scene."""
    cells = [
        " ".join(f"{psnr:6.2f}" for psnr in one["psnr_renders"].values()) + f"  (mean {one['mean']:.2f})"
        for one in row["held_out"]
    ]
    return f"{row['variant']:<30} {' | '.join(cells)}  {row['seconds']:.0f} s"


def _variant(name: str) -> Variant:
    for variant in VARIANTS:
        if variant.name == name:
            return variant
    allowed = "; ".join(variant.name for variant in VARIANTS)
    raise BadInputError("no such variant", field="variants", found=name, allowed=allowed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench_rap_ablation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenes", nargs="+", metavar="SCENE", help="a scene to learn from")
    parser.add_argument("--held-out", action="append", required=True, metavar="SCENE", help="a scene to measure on")
    parser.add_argument("--iterations", type=int, default=2000, help="of each training (default 2000)")
    parser.add_argument("--downscale", type=int, default=2, help="of training views (default 2)")
    names = [variant.name for variant in VARIANTS]
    parser.add_argument("--variants", nargs="+", default=names, metavar="NAME", help=f"of: {'; '.join(names)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        chosen = [_variant(name) for name in options.variants]
        loaded = [load_scene(text, options.downscale) for text in options.scenes]
        learned = [(scene, features(scene.cloud)) for scene in loaded]
        held = [(scene, features(scene.cloud)) for scene in map(load_scene, options.held_out)]
        tree: dict[str, Any] = {"machine": machine(), "iterations": options.iterations, "downscale": options.downscale}
        tree["variants"] = []
        for variant in chosen:
            tree["variants"].append(bench(variant, learned, held, options.iterations))
            print(as_text(tree["variants"][-1]), flush=True)
            if options.json:
                atomic_write(options.json, [(json.dumps(tree, indent=1) + "\n").encode()], force=True)
    except GsbError as error:
        print(f"bench_rap_ablation: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
