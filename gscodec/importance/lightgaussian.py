"""LightGaussian's global significance (Fan et al. 2024, "LightGaussian").

    GS_j = sum over views and pixels hit of o_j·T · (V_j / V_ref)^beta

As the authors' code has it: opacity o, not alpha, so that the Gaussian falloff is left out, and V_ref as
``relative_volumes`` explains. Their kernel adds to shared memory without atomics and loses updates; here the sums
are exact and the same on every run.
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
    """Sum of o·T, in pixels, times (V/V_ref)^``beta``: float32[N]. Raises BadInputError without views."""
    light = seen(cloud, views, renderer).contributions.transmittance_opacity
    return np.asarray(light * relative_volumes(cloud, beta), np.float32)
