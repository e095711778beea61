"""What a score is worth on a scene that it has not learned from: quality after pruning by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.config import Progress, no_progress
from gscodec.importance.prune import lowest
from gscodec.quality import psnr
from gscodec.render.cpu import render
from gscodec.train.rap_scenes import Scene

FRACTIONS = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Pruned:
    """After removing ``fraction`` of the splats: mean PSNR in dB over the test views, against renders of the whole
    cloud and against photos, None where the capture has none."""

    fraction: float
    psnr_renders: float
    psnr_photos: float | None


def evaluate_pruning(
    scene: Scene,
    score: Callable[[GaussianCloud], npt.NDArray[np.float32]],
    fractions: Sequence[float] = FRACTIONS,
    progress: Progress = no_progress,
) -> list[Pruned]:
    """Prune ``scene`` by ``score`` and measure on its test views. Raises BadInputError if it has none."""
    views = tuple(scene.capture.views("test"))
    photos = scene.photos("test") if scene.capture.image_folder is not None else None
    whole = [render(scene.cloud, view) for view in views]
    scores = score(scene.cloud)
    rows = []
    for number, fraction in enumerate(fractions):
        progress("measuring", number / len(fractions))
        kept = scene.cloud.select(~lowest(scene.cloud, scores, int(len(scene.cloud) * fraction + 0.5)))
        images = [render(kept, view) for view in views]
        to_whole = float(np.mean([psnr(image, other) for image, other in zip(images, whole, strict=True)]))
        to_photos = None
        if photos is not None:
            to_photos = float(np.mean([psnr(image, photos.photo(n).numpy()) for n, image in enumerate(images)]))
        rows.append(Pruned(fraction, to_whole, to_photos))
    return rows
