"""This codec in one run of `gsrd run` against the other codecs there, or against itself in another run.

    python -m gscodec_tools.compare_runs results [--against other] [--json]

Without --against: our bytes at the quality of each row of another codec, as `gsrd report` has them. With it: BD-rate
and BD-PSNR of our curves in the first folder against those in the other; negative rates mean that the first is smaller.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from gscodec_tools.bd_rate import LEAST_OVERLAP, bd_psnr, bd_rate
from gscodec_tools.report.compare import equal_quality, our_curve
from gscodec_tools.report.rows import Scene, load_results

from gscodec.errors import BadInputError, GsbError


def with_peers(scenes: Sequence[Scene]) -> list[dict[str, Any]]:
    """Our bytes at each other row's PSNR against renders, and their share of its bytes; None beyond our curve."""
    return [
        {
            "scene": pair.row.scene,
            "peer": pair.row.name,
            "psnr_renders": pair.row.psnr_renders,
            "bytes": pair.row.bytes,
            "our_bytes": pair.ours,
            "ratio": pair.ratio,
            "note": pair.note,
        }
        for pair in equal_quality(scenes)
    ]


def with_run(anchors: Sequence[Scene], tests: Sequence[Scene], min_overlap: float) -> dict[str, Any]:
    """Bjøntegaard deltas from ``anchors`` to ``tests`` by scene, and their means.

    Raises BadInputError for different scenes, and where one has too few points or too little overlap.
    """
    old, new = ({scene.name: our_curve(scene) for scene in side} for side in (anchors, tests))
    if old.keys() != new.keys():
        raise BadInputError("not the same scenes", field="scenes", found=sorted(new), allowed=sorted(old))
    scenes = {
        name: {
            "bd_rate": asdict(bd_rate(old[name], curve, min_overlap)),
            "bd_psnr": asdict(bd_psnr(old[name], curve, min_overlap)),
        }
        for name, curve in new.items()
    }
    means = {
        f"{delta}_{method}": float(np.mean([scene[delta][method] for scene in scenes.values()]))
        for delta in ("bd_rate", "bd_psnr")
        for method in ("pchip", "akima")
    }
    return {"scenes": scenes, "mean": means}


def _peers_text(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'scene':<14} {'other codec':<24} {'its PSNR':>9} {'its bytes':>12} {'our bytes':>12} {'ours/its':>9}"]
    for row in rows:
        quality = "-" if row["psnr_renders"] is None else f"{row['psnr_renders']:.3f}"
        ours = "-" if row["our_bytes"] is None else f"{row['our_bytes']:,.0f}"
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
        lines.append(
            f"{row['scene']:<14} {row['peer']:<24} {quality:>9} {row['bytes']:>12,} {ours:>12} {ratio:>9}"
            + (f"  {row['note']}" if row["note"] else "")
        )
    return "\n".join(lines)


def _deltas_text(tree: dict[str, Any]) -> str:
    lines = [
        f"{'scene':<14} {'BD-rate %':>10} {'Akima':>8} {'BD-PSNR':>9} {'Akima':>8} {'overlap %':>10}  quality interval"
    ]
    for name, scene in tree["scenes"].items():
        rate, gain = scene["bd_rate"], scene["bd_psnr"]
        low, high = rate["interval"]
        lines.append(
            f"{name:<14} {rate['pchip']:>+10.2f} {rate['akima']:>+8.2f} {gain['pchip']:>+9.3f} {gain['akima']:>+8.3f} "
            f"{rate['overlap']:>10.1f}  {low:.3f} to {high:.3f}"
        )
    means = list(tree["mean"].values())
    lines.append(f"{'mean':<14} {means[0]:>+10.2f} {means[1]:>+8.2f} {means[2]:>+9.3f} {means[3]:>+8.3f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="compare_runs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="folder that gsrd run wrote to")
    parser.add_argument("--against", type=Path, metavar="DIR", help="folder of another run, the anchor")
    parser.add_argument("--min-overlap", type=float, default=LEAST_OVERLAP, metavar="PERCENT", help="with --against")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        scenes = load_results(options.results)
        if options.against is None:
            tree: Any = with_peers(scenes)
            text = _peers_text(tree)
        else:
            tree = with_run(load_results(options.against), scenes, options.min_overlap)
            text = _deltas_text(tree)
    except GsbError as error:
        print(f"compare_runs: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(tree, indent=1) if options.json else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
