"""Renders of a source, kept for all rows of its scene, and what a decoded cloud looks like against them."""

from __future__ import annotations

import io
import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from gscodec_tools.metrics import Image
from gscodec_tools.quality import Quality, Reference, ViewQuality
from gscodec_tools.rd.scenes import Scene, Views

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.formats.ply import read_ply
from gscodec.render.cpu import render
from gscodec.scene import load_photo

KEPT_SCENES = 1  # by a worker: jobs come scene by scene

_kept: dict[tuple[str, str], SourceRenders] = {}
# A cluster's worker may run jobs in threads: renders are parallel by themselves, and share what is kept.
measuring = threading.Lock()


@dataclass(frozen=True)
class SourceRenders:
    """The source from all views, and how it compares with the photos; None without photos."""

    reference: Reference
    photos: Quality | None


def source_renders(scene: Scene) -> SourceRenders:
    """Rendered now, or before in this process. Hold ``measuring``."""
    key = (scene.digest, scene.views.identity)
    if key not in _kept:
        while len(_kept) >= KEPT_SCENES:
            _kept.pop(next(iter(_kept)))
        reference = Reference(read_ply(scene.ply), scene.views.cameras)
        _kept[key] = SourceRenders(reference, _source_photos(scene.views, reference))
    return _kept[key]


def measure(scene: Scene, decoded: GaussianCloud, pictures: bool) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The row's values, and PNGs of the first view: "decoded", "source" and, with photos, "photo".

    Raises BadInputError for photos that cannot be read. Hold ``measuring``.
    """
    source = source_renders(scene)
    against_source, against_photos = [], []
    files: dict[str, bytes] = {}
    for camera, image in zip(scene.views.cameras, source.reference.images, strict=True):
        found = render(decoded, camera)
        photo = None if scene.views.photos is None else load_photo(camera, scene.views.photos)
        against_source.append(ViewQuality.of(image, found))
        if photo is not None:
            against_photos.append(ViewQuality.of(photo, found))
        if pictures and not files:
            shown = {"decoded": found, "source": image, "photo": photo}
            files = {name: png(pixels) for name, pixels in shown.items() if pixels is not None}
    values = _means(Quality(tuple(against_source)), "renders")
    equal = sum(math.isinf(view.psnr) for view in against_source)
    values["identical"] = equal == len(against_source)
    if 0 < equal < len(against_source):
        values["message"] = f"{equal} of {len(against_source)} views are identical: no mean PSNR"
    if source.photos is not None:
        values |= _means(Quality(tuple(against_photos)), "photos")
        values |= {
            "source_psnr_photos": _decibel(source.photos.psnr),
            "source_ssim_photos": round(source.photos.ssim, 5),
        }
    return values, files


def check_pillow() -> None:
    """Raises BadInputError without pillow, which pictures need."""
    _pillow()


def png(image: Image) -> bytes:
    """An image [H,W,3] in 0..1 as 8-bit PNG, rounded as 3DGS saves its renders."""
    pixels = np.floor(np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    file = io.BytesIO()
    _pillow().fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise BadInputError("pictures need pillow: pip install 'gscodec[eval]', or use --no-pictures") from error
    return PIL.Image


def _source_photos(views: Views, reference: Reference) -> Quality | None:
    if views.photos is None:
        return None
    pairs = zip(views.cameras, reference.images, strict=True)
    return Quality(tuple(ViewQuality.of(load_photo(camera, views.photos), image) for camera, image in pairs))


def _means(quality: Quality, reference: str) -> dict[str, Any]:
    return {
        f"psnr_{reference}": _decibel(quality.psnr),
        f"psnr_8bit_{reference}": _decibel(quality.mean("psnr_8bit")),
        f"ssim_{reference}": round(quality.ssim, 6),
    }


def _decibel(value: float) -> float | None:
    """Rounded to 0.001 dB; None where it is infinite."""
    return round(value, 3) if math.isfinite(value) else None
