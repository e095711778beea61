"""GETA-3DGS' render-aware saliency (arXiv 2605.02086, equations 7 to 10).

    0.5·s_trans + 0.3·s_grad + 0.2·s_cov, each divided by its largest value

s_trans (7): sum of alpha·T. s_cov (9): pixels covered. s_grad (8): gradient of the loss through the pixels.
Means over views and sums over views are the same after the division. Where the paper leaves a choice, or this
departs from it:

- (8) leaves its parameter open; the text calls the term a screen-space gradient: the splat's centre in the image.
  x and y of two views cannot be added, so the length is taken per view, as densification does. The loss is the mean
  absolute error against photos where there are any (``Seen``); without photos, against renders of the cloud itself,
  every gradient is zero, and the sum of the image's values takes the loss's place.
- (9) counts alpha above 0.001, and the authors' code takes the squared projected radius instead. Here a pixel counts
  where the splat is blended: alpha of at least 1/255, and the pixel not closed by what is in front.
- 8 random views are enough for the authors; the caller chooses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.importance.seen import Views, seen
from gscodec.render import Renderer


def score(
    cloud: GaussianCloud,
    views: Views = None,
    renderer: Renderer | None = None,
    *,
    contribution: float = 0.5,
    gradient: float = 0.3,
    coverage: float = 0.2,
) -> npt.NDArray[np.float32]:
    """The weighted sum float32[N], 0..1 for weights that add up to 1; relative to the scene's largest values.

    Raises BadInputError without views, for a renderer without gradients, and for weights that are negative.
    """
    for name, weight in (("contribution", contribution), ("gradient", gradient), ("coverage", coverage)):
        if not 0.0 <= weight < np.inf:
            raise BadInputError("bad weight", field=name, found=weight, allowed="0 or more")
    sums = seen(cloud, views, renderer)
    total = contribution * _relative(sums.contributions.weight_sum)
    total += gradient * _relative(sums.loss_gradients.screen_means)
    total += coverage * _relative(sums.contributions.hits)
    return np.asarray(total, np.float32)


def _relative(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    largest = float(values.max(initial=0))
    return np.asarray(values / largest if largest > 0 else np.zeros(len(values)), np.float64)
