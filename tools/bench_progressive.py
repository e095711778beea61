"""What the first part of a file shows: of a normal, of a progressive one, and a whole file of that size beside them.

    python -m gscodec_tools.bench_progressive SCENE... [--json results/progressive.json]

A SCENE is a folder with point_cloud.ply and cameras.json, whose test views are rendered; PSNR is against renders of the
source, the mean over views. The size of "separate" is met by interpolating a curve of encodes in lower qualities.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gscodec_tools.as_gsenc import as_gsenc
from gscodec_tools.bd_rate import Curve, rate_at_quality
from gscodec_tools.machine import machine
from gscodec_tools.quality import Reference
from scipy.interpolate import PchipInterpolator

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig
from gscodec.decoder import decode
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import read_ply
from gscodec.scene import load_cameras

SHARES = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
QUALITIES = (5.0, 20.0, 35.0, 50.0, 65.0, EncodeConfig.quality, 85.0)


def bench_scene(folder: Path) -> dict[str, Any]:
    """Sizes and PSNR in dB of one scene. Raises GsbError."""
    source = read_ply(folder / "point_cloud.ply")
    reference = Reference(source, load_cameras(folder / "cameras.json", "test"))
    points, recipe = [], as_gsenc(source)
    for quality in QUALITIES:
        data = b"".join(recipe.encode(quality)[0])
        points.append((len(data), reference.quality(decode(data)).psnr))
        if quality == EncodeConfig.quality:
            normal, normal_psnr = data, points[-1][1]
    curve = Curve.of("normal", points)
    progressive = b"".join(as_gsenc(source, EncodeConfig(progressive=True)).encode(EncodeConfig.quality)[0])
    psnr = reference.quality(decode(progressive)).psnr
    equal = rate_at_quality(curve, psnr)
    return {
        "scene": folder.resolve().name,
        "splats": len(source),
        "views": len(reference.cameras),
        "normal": {"bytes": len(normal), "psnr": round(normal_psnr, 3)},
        "progressive": {"bytes": len(progressive), "psnr": round(psnr, 3)},
        "overhead_percent_at_equal_psnr": round(100.0 * (len(progressive) / equal - 1.0), 2),
        "cuts": [
            {
                "share": share,
                "normal": _cut(normal, share, reference),
                "progressive": _cut(progressive, share, reference),
                "separate_psnr": _psnr_at(curve, share * len(normal)),
            }
            for share in SHARES
        ],
    }


def _psnr_at(curve: Curve, size: float) -> float | None:
    """Interpolated; None beside the curve."""
    psnr = float(PchipInterpolator(curve.log_rates, curve.qualities, extrapolate=False)(np.log10(size)))
    return round(psnr, 3) if math.isfinite(psnr) else None


def _cut(data: bytes, share: float, reference: Reference) -> dict[str, Any]:
    length = int(share * len(data))
    try:
        cloud: GaussianCloud = decode(data[:length], max_bytes=length)
    except BadInputError:
        return {"splats": 0, "sh_degree": None, "psnr": None}
    return {"splats": len(cloud), "sh_degree": cloud.sh_degree, "psnr": round(reference.quality(cloud).psnr, 3)}


def as_text(scene: dict[str, Any]) -> str:
    """A table of PSNR by share of the file."""
    whole = (
        f"{name} {scene[name]['bytes']:,} bytes {scene[name]['psnr']:.2f} dB" for name in ("normal", "progressive")
    )
    lines = [f"{scene['scene']}: {', '.join(whole)}; {scene['overhead_percent_at_equal_psnr']:+.1f} % at equal PSNR"]
    lines.append(f"{'% of bytes':>10} {'normal':>8} {'progressive':>12} {'separate':>9}")
    for cut in scene["cuts"]:
        psnr = [cut["normal"]["psnr"], cut["progressive"]["psnr"], cut["separate_psnr"]]
        cells = ["-" if value is None else f"{value:.2f}" for value in psnr]
        lines.append(f"{100 * cut['share']:>10.1f} {cells[0]:>8} {cells[1]:>12} {cells[2]:>9}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench_progressive", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="+", metavar="SCENE", help="folder of a trained scene with cameras")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args(arguments)
    try:
        scenes = []
        for folder in options.scenes:
            scenes.append(bench_scene(folder))
            print(f"{as_text(scenes[-1])}\n", flush=True)
        if options.json:
            tree = {"machine": machine(), "quality": EncodeConfig().quality, "scenes": scenes}
            atomic_write(options.json, [(json.dumps(tree, indent=1) + "\n").encode()], force=True)
    except GsbError as error:
        print(f"bench_progressive: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
