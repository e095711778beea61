"""EAGLES' influence (Girish et al. 2024, "EAGLES"): the blended weight alpha·T, summed over views and pixels.

The authors sum it over the views since the last pruning of a training run; here over the views given.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.importance.seen import Views, seen
from gscodec.render import Renderer


def score(cloud: GaussianCloud, views: Views = None, renderer: Renderer | None = None) -> npt.NDArray[np.float32]:
    """Sum of alpha·T, in pixels: float32[N]. Raises BadInputError without views."""
    return np.asarray(seen(cloud, views, renderer).contributions.weight_sum, np.float32)
