"""MesonGS's importance (Xie et al. 2024, "MesonGS"): blended weights, times a power of the volume.

    I_j = sum over views and pixels of alpha·T · (V_j / V_ref)^beta

LightGaussian's form with the alpha that is really blended. The authors set beta per scene, 0.01 to 0.1; 0.1 is
their default and nothing here is set per scene.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.importance.seen import Views, seen
from gscodec.importance.volume import relative_volumes
from gscodec.render import Renderer


def score(
    cloud: GaussianCloud, views: Views = None, renderer: Renderer | None = None, *, beta: float = 0.1
) -> npt.NDArray[np.float32]:
    """Sum of alpha·T, in pixels, times (V/V_ref)^``beta``: float32[N]. Raises BadInputError without views."""
    weight = seen(cloud, views, renderer).contributions.weight_sum
    return np.asarray(weight * relative_volumes(cloud, beta), np.float32)
