"""Trimming the Fat's criterion (Salman Ali et al. 2024, "Trimming the Fat", equation 5), as a score.

    keep splat i if o_i >= Q_o(gamma) or |gradient_i| >= Q_gradient(gamma)

A quantile function is monotone, so that a value passes its own quantile for every gamma up to its rank: with N
splats, x_i >= Q_x(gamma) exactly if gamma <= (number of values <= x_i, less 1)/(N - 1), Q interpolating linearly. The
larger of the two ranks is therefore the largest gamma for which equation 5 keeps the splat, and that is the score:
the splats with score >= gamma ("trim:t=GAMMA") are the set of equation 5, to the splat, ties included. Removing a
fraction of the splats is equation 5 at the gamma that removes so many, which is larger than the fraction, for
equation 5 removes only what fails both tests.

The paper does not say by which parameter the gradient is. Here: by position, its length per view, summed over the
views. The loss is the mean absolute error against photos where there are any (``Seen``; the D-SSIM part of the
training loss is left out). Without photos the gradient of the sum of the image's values takes its place. The paper
prunes in steps of equation 6 with fine-tuning between them; that is for a training loop to do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.importance.seen import Views, seen
from gscodec.render import Renderer
from gscodec.units import opacity_from_logit

F64 = npt.NDArray[np.float64]


def score(cloud: GaussianCloud, views: Views = None, renderer: Renderer | None = None) -> npt.NDArray[np.float32]:
    """The largest gamma at which equation 5 keeps the splat: float32[N] in 0..1, NaN where the logit is.

    Raises BadInputError without views, and for a renderer without gradients.
    """
    gradients = seen(cloud, views, renderer).loss_gradients.positions
    opacities = np.asarray(opacity_from_logit(cloud.opacity_logits), np.float64)
    return np.maximum(quantile_rank(opacities), quantile_rank(gradients)).astype(np.float32)


def quantile_rank(values: F64) -> F64:
    """The largest gamma [N] in 0..1 with value >= quantile(values, gamma); NaN where a value is, and not counted."""
    result = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    if known.any():
        own = values[known]
        result[known] = (np.searchsorted(np.sort(own), own, side="right") - 1.0) / max(1, len(own) - 1)
    return result
