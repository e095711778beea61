"""PSNR of a decoded cloud: against renders of its source, and against photos.

The two references are never mixed. PSNR is taken per view on floats clamped to [0, 1], without rounding to
8 bits, over all pixels and channels; the mean is over views, as the tables of 3DGS papers have it.

    python -m gscodec_tools.quality source.ply decoded.ply cameras.json [--photos DIR] [--json]
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gscodec_tools.cameras import Camera, load_cameras
from gscodec_tools.render import render
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import read_ply

Image = npt.NDArray[np.float32]


def psnr(a: Image, b: Image) -> float:
    """PSNR in dB of two float images [H,W,3] after clamping both to [0, 1]; infinite if they are equal.

    Raises BadInputError if their shapes differ.
    """
    if a.shape != b.shape or a.ndim != 3:
        raise BadInputError("images of different shape", field="image", found=a.shape, allowed=b.shape)
    mse = _row_errors(a.astype(np.float32, copy=False), b.astype(np.float32, copy=False)).sum() / a.size
    return -10.0 * math.log10(mse) if mse > 0.0 else math.inf


@njit(cache=True, nogil=True, parallel=True)
def _row_errors(a: Image, b: Image) -> npt.NDArray[np.float64]:
    sums = np.zeros(a.shape[0], np.float64)
    for row in prange(a.shape[0]):
        total = 0.0
        for column in range(a.shape[1]):
            for channel in range(a.shape[2]):
                x, y = a[row, column, channel], b[row, column, channel]
                difference = np.float64(min(max(x, 0.0), 1.0)) - np.float64(min(max(y, 0.0), 1.0))
                total += difference * difference
        sums[row] = total
    return sums


class Reference:
    """Renders of a source cloud, kept in memory to measure many decoded clouds against."""

    def __init__(self, cloud: GaussianCloud, cameras: Sequence[Camera]) -> None:
        if not cameras:
            raise BadInputError("no camera to measure from", field="cameras", found=0, allowed="at least 1")
        self.cameras = tuple(cameras)
        self.images = [render(cloud, camera) for camera in self.cameras]

    def per_view(self, decoded: GaussianCloud) -> list[float]:
        """PSNR in dB of each view, in the order of the cameras."""
        return [psnr(image, render(decoded, view)) for image, view in zip(self.images, self.cameras, strict=True)]

    def psnr(self, decoded: GaussianCloud) -> float:
        """Mean of the per-view PSNR in dB."""
        return float(np.mean(self.per_view(decoded)))


def source_psnr(source: GaussianCloud, decoded: GaussianCloud, cameras: Sequence[Camera]) -> tuple[float, list[float]]:
    """Mean and list of per-view PSNR in dB of ``decoded`` against renders of ``source``."""
    values = Reference(source, cameras).per_view(decoded)
    return float(np.mean(values)), values


def photo_psnr(cloud: GaussianCloud, cameras: Sequence[Camera], folder: str | Path) -> tuple[float, list[float]]:
    """Mean and list of per-view PSNR in dB against the photos in ``folder``, on black; needs pillow."""
    if not cameras:
        raise BadInputError("no camera to measure from", field="cameras", found=0, allowed="at least 1")
    values = [psnr(render(cloud, camera), load_photo(camera, folder)) for camera in cameras]
    return float(np.mean(values)), values


def load_photo(camera: Camera, folder: str | Path) -> Image:
    """The photo of a camera as float32 [height, width, 3] in [0, 1], found in ``folder`` by its file name.

    Raises BadInputError if it is missing, unreadable or of another size than the camera, or without pillow.
    """
    try:
        import PIL.Image
    except ImportError as error:
        raise BadInputError("photos need pillow: pip install 'gscodec[eval]'") from error
    path = Path(folder) / Path(camera.image).name
    try:
        with PIL.Image.open(path) as photo:
            pixels = np.asarray(photo.convert("RGB"), np.float32) / np.float32(255.0)
    except (OSError, ValueError) as error:
        raise BadInputError(f"cannot read photo: {error}", field="photo", found=str(path)) from error
    if pixels.shape != (camera.height, camera.width, 3):
        allowed = (camera.height, camera.width, 3)
        raise BadInputError("photo of another size", field=path.name, found=pixels.shape, allowed=allowed)
    return pixels


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gscodec_tools.quality", description=__doc__.split("\n")[0])
    parser.add_argument("source", help="PLY of the uncompressed scene")
    parser.add_argument("decoded", help="PLY to measure")
    parser.add_argument("cameras", help="cameras.json; its test views are used")
    parser.add_argument("--photos", metavar="DIR", help="folder of the views' photos, found by file name")
    parser.add_argument("--json", action="store_true", help="print JSON; null stands for an infinite PSNR")
    options = parser.parse_args(arguments)
    try:
        cameras = load_cameras(options.cameras, "test")
        source, decoded = read_ply(options.source), read_ply(options.decoded)
        results = {"source_renders": source_psnr(source, decoded, cameras)}
        if options.photos is not None:
            results["photos_source"] = photo_psnr(source, cameras, options.photos)
            results["photos_decoded"] = photo_psnr(decoded, cameras, options.photos)
    except GsbError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(_as_json(results, cameras) if options.json else _as_text(results))
    return 0


def _as_json(results: dict[str, tuple[float, list[float]]], cameras: Sequence[Camera]) -> str:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    tree = {
        name: {
            "mean_psnr": finite(mean),
            "per_view": {view.name: finite(value) for view, value in zip(cameras, values, strict=True)},
        }
        for name, (mean, values) in results.items()
    }
    return json.dumps(tree, indent=1)


def _as_text(results: dict[str, tuple[float, list[float]]]) -> str:
    labels = {
        "source_renders": "decoded against renders of the source",
        "photos_source": "source against photos",
        "photos_decoded": "decoded against photos",
    }
    return "\n".join(
        f"{labels[name]}: {mean:.3f} dB (mean of {len(values)} test views)" for name, (mean, values) in results.items()
    )


if __name__ == "__main__":
    sys.exit(main())
