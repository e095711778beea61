"""PSNR and SSIM of a decoded cloud: against renders of its source, and against photos.

The two references are never mixed. Every measure is taken per view on images clamped to [0, 1]; the mean is over
views, as the tables of 3DGS papers have it. "psnr" is that of floats, "psnr_8bit" that of saved pictures.

    python -m gscodec_tools.quality source.ply decoded.ply cameras.json [--photos DIR] [--lpips WEIGHTS] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gscodec_tools.lpips import VARIANTS, Lpips
from gscodec_tools.metrics import Image, psnr_8bit, psnr_float, ssim

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import read_ply
from gscodec.render.cpu import render
from gscodec.scene import Camera, load_cameras, load_photo


@dataclass(frozen=True)
class ViewQuality:
    """One view: PSNR in dB of floats and of 8-bit pixels, SSIM; LPIPS where it was asked for."""

    psnr: float
    psnr_8bit: float
    ssim: float
    lpips: float | None = None

    @classmethod
    def of(cls, a: Image, b: Image, lpips: Lpips | None = None) -> ViewQuality:
        """Of two images [H,W,3]. Raises BadInputError if they cannot be compared."""
        return cls(psnr_float(a, b), psnr_8bit(a, b), ssim(a, b), lpips(a, b) if lpips else None)


@dataclass(frozen=True)
class Quality:
    """All views in the order of their cameras, and the means over views."""

    views: tuple[ViewQuality, ...]

    def mean(self, measure: str) -> float:
        """Mean over views of a field of ViewQuality: mean of per-view PSNR, not PSNR of a mean error."""
        return float(np.mean([getattr(view, measure) for view in self.views]))

    @property
    def psnr(self) -> float:
        """Mean of the per-view PSNR of floats in dB."""
        return self.mean("psnr")

    @property
    def ssim(self) -> float:
        """Mean of the per-view SSIM."""
        return self.mean("ssim")


class Reference:
    """Renders of a source cloud, kept in memory to measure many decoded clouds against."""

    def __init__(self, cloud: GaussianCloud, cameras: Sequence[Camera]) -> None:
        self.cameras = _at_least_one(cameras)
        self.images = [render(cloud, camera) for camera in self.cameras]

    def quality(self, decoded: GaussianCloud, lpips: Lpips | None = None) -> Quality:
        """Of renders of ``decoded`` against these."""
        views = zip(self.images, self.cameras, strict=True)
        return Quality(tuple(ViewQuality.of(image, render(decoded, camera), lpips) for image, camera in views))


def photo_quality(
    cloud: GaussianCloud, cameras: Sequence[Camera], folder: str | Path, lpips: Lpips | None = None
) -> Quality:
    """Of renders on black against the photos in ``folder``; needs pillow."""
    views = _at_least_one(cameras)
    return Quality(tuple(ViewQuality.of(load_photo(view, folder), render(cloud, view), lpips) for view in views))


def _at_least_one(cameras: Sequence[Camera]) -> tuple[Camera, ...]:
    if not cameras:
        raise BadInputError("no camera to measure from", field="cameras", found=0, allowed="at least 1")
    return tuple(cameras)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gscodec_tools.quality", description=__doc__.split("\n")[0])
    parser.add_argument("source", help="PLY of the uncompressed scene")
    parser.add_argument("decoded", help="PLY to measure")
    parser.add_argument("cameras", help="cameras.json; its test views are used")
    parser.add_argument("--photos", metavar="DIR", help="folder of the views' photos, found by file name")
    parser.add_argument("--lpips", metavar="WEIGHTS", help="also LPIPS; see gscodec_tools.lpips for the file")
    parser.add_argument("--lpips-variant", choices=tuple(VARIANTS), default="lpips_vgg_3dgs")
    parser.add_argument("--json", action="store_true", help="print JSON; null stands for an infinite PSNR")
    options = parser.parse_args(arguments)
    try:
        lpips = None if options.lpips is None else Lpips(options.lpips, options.lpips_variant)
        cameras = load_cameras(options.cameras, "test")
        source, decoded = read_ply(options.source), read_ply(options.decoded)
        results = {"source_renders": Reference(source, cameras).quality(decoded, lpips)}
        if options.photos is not None:
            results["photos_source"] = photo_quality(source, cameras, options.photos, lpips)
            results["photos_decoded"] = photo_quality(decoded, cameras, options.photos, lpips)
    except GsbError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    names = {"psnr": "psnr", "psnr_8bit": "psnr_8bit", "ssim": "ssim"} | ({"lpips": lpips.variant} if lpips else {})
    print(_as_json(results, cameras, names) if options.json else _as_text(results, names))
    return 0


def _as_json(results: dict[str, Quality], cameras: Sequence[Camera], names: dict[str, str]) -> str:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    tree = {
        reference: {
            **{f"mean_{name}": finite(quality.mean(measure)) for measure, name in names.items()},
            "per_view": {
                camera.name: {name: finite(getattr(view, measure)) for measure, name in names.items()}
                for camera, view in zip(cameras, quality.views, strict=True)
            },
        }
        for reference, quality in results.items()
    }
    return json.dumps(tree, indent=1)


def _as_text(results: dict[str, Quality], names: dict[str, str]) -> str:
    labels = {
        "source_renders": "decoded against renders of the source",
        "photos_source": "source against photos",
        "photos_decoded": "decoded against photos",
    }
    lines = []
    for reference, quality in results.items():
        rounded = quality.mean("psnr_8bit")
        numbers = [f"{quality.psnr:.3f} dB", f"{rounded:.3f} dB in 8 bits", f"SSIM {quality.ssim:.5f}"]
        if "lpips" in names:
            numbers.append(f"{names['lpips']} {quality.mean('lpips'):.5f}")
        lines.append(f"{labels[reference]}: {', '.join(numbers)} (mean of {len(quality.views)} test views)")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
