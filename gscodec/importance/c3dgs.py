"""C3DGS' sensitivity (Niedermayr et al. 2024, "Compressed 3D Gaussian Splatting").

    S(theta) = 1/(pixels of all views) · sum over views of |d(sum of the rendered values)/d(theta)|

The absolute value is taken per view: signs cancel between the pixels of a view, not between views. Colour: the
largest S of the SH coefficients. Shape: the largest S of the six entries of the normalised covariance, that is, of
the covariance over the squared length of the vector of its three scales; an entry off the diagonal stands for both
of its places.

The authors prune by the colour score alone, and only what no view sees (threshold 0), and weight their two codebooks
each by its own score. Hence the score is colour·shape^``shape_power`` with the power 0: colour alone. 1 gives the
product, the combination that MesonGS tried.

A colour clamped at 0 passes no gradient, so that a black splat scores 0 however much it hides: no score to prune many
splats by.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.importance.seen import Seen, Views, seen
from gscodec.render import Renderer
from gscodec.units import scale_from_log

F64 = npt.NDArray[np.float64]


def score(
    cloud: GaussianCloud, views: Views = None, renderer: Renderer | None = None, *, shape_power: float = 0.0
) -> npt.NDArray[np.float32]:
    """colour·shape^``shape_power``, float32[N]. Raises BadInputError without views or a power below 0."""
    if not 0.0 <= shape_power < np.inf:
        raise BadInputError("bad power", field="shape_power", found=shape_power, allowed="0 or more")
    sums = seen(cloud, views, renderer)
    colour = colour_sensitivity(sums)
    if shape_power > 0.0:
        colour = colour * shape_sensitivity(sums) ** shape_power
    return np.asarray(colour, np.float32)


def colour_sensitivity(sums: Seen) -> F64:
    """Change of a value of the image, mean over pixels, per unit of the SH coefficient that matters most: [N]."""
    return np.asarray(sums.gradients.sh.max(axis=(1, 2)) / sums.pixels, np.float64)


def shape_sensitivity(sums: Seen) -> F64:
    """The same per unit of the entry of the normalised covariance that matters most: [N]."""
    scales = scale_from_log(sums.cloud.log_scales.astype(np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        largest = sums.gradients.covariances.max(axis=1)
        by_normalised = np.where(largest > 0.0, largest * (scales * scales).sum(axis=1), 0.0)
    return np.asarray(by_normalised / sums.pixels, np.float64)
