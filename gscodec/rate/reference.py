"""Renders of a source cloud from given views, and how far other clouds are from them: the quality that rates speak of.

This is reference (b): what the uncompressed cloud shows, not photos.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.quality import psnr
from gscodec.render import Renderer, cpu
from gscodec.render.measuring import ColourRenderer
from gscodec.scene.camera import Camera


class Reference:
    """Renders of ``cloud``, kept to measure many others against. Raises BadInputError without views.

    ``views``: without those that show nothing of it, in which any cloud would look perfect; all if all do (``blank``).
    """

    def __init__(self, cloud: GaussianCloud, views: Sequence[Camera], renderer: Renderer | None = None) -> None:
        if not views:
            raise BadInputError("quality is measured from views", field="views", found=0, allowed="at least 1")
        self._renderer: Renderer = cpu if renderer is None else renderer
        images = [self._renderer.render(cloud, view) for view in views]
        shows = [bool(np.any(image)) for image in images]
        self.blank = not any(shows)
        kept = [number for number, shown in enumerate(shows) if shown or self.blank]
        self.views, self._images = tuple(views[number] for number in kept), [images[number] for number in kept]

    def view_psnrs(self, cloud: GaussianCloud) -> list[float]:
        """PSNR in dB of each view of ``cloud``; infinite where nothing differs."""
        pairs = zip(self._images, self.views, strict=True)
        return [psnr(image, self._renderer.render(cloud, view)) for image, view in pairs]

    def lacking(self, cloud: GaussianCloud) -> npt.NDArray[np.float64]:
        """What ``cloud`` lacks, told to its splats, float64 [N,4]: sums over all views of ``ColourRenderer``'s.

        Raises BadInputError for a renderer that cannot tell.
        """
        if not isinstance(self._renderer, ColourRenderer):
            raise BadInputError(
                "this renderer cannot tell what colours lack", field="renderer", allowed="the CPU renderer"
            )
        sums = np.zeros((len(cloud), 4))
        for image, view in zip(self._images, self.views, strict=True):
            sums += self._renderer.colour_residuals(cloud, view, image)
        return sums

    def psnr(self, cloud: GaussianCloud) -> float:
        """Mean over views of the PSNR of each, in dB, as published tables have it."""
        return float(np.mean(self.view_psnrs(cloud)))


def log_mean_error(psnrs: Sequence[float]) -> float:
    """The squared error that corresponds to a mean PSNR, the geometric mean over views: what adds up in models."""
    return math.pow(10.0, -float(np.mean(psnrs)) / 10.0)
