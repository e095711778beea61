"""Score by what would be lost: the squared error that removing the splat alone causes, summed over the views.

POTR (2026) prunes by it, with a rasteriser that gets it for all splats in one forward pass; the identity
and where it departs from really removing a splat are in ``gscodec.render.cpu.removal``. The reference is the render
of the cloud itself, so that no photos are needed. Errors of splats that overlap do not add up: for large fractions
it is better to remove in several rounds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.importance.seen import Views, seen
from gscodec.render import Renderer


def score(cloud: GaussianCloud, views: Views = None, renderer: Renderer | None = None) -> npt.NDArray[np.float32]:
    """Squared error float32[N], values of 0..1, summed over channels, pixels and views.

    Raises BadInputError without views, and for a renderer that does not offer it.
    """
    return np.asarray(seen(cloud, views, renderer).removal_error, np.float32)
