"""Score by volume times opacity, the order in which .splat files list their splats (antimatter15/splat)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.importance.volume import log_volumes


def score(cloud: GaussianCloud, views: Any = None, renderer: Any = None) -> npt.NDArray[np.float32]:
    """ln(V·o) float32[N], V in world units cubed; ``views`` and ``renderer`` are not used.

    The logarithm orders splats as the product does, which would fall below the smallest float32 for small splats.
    """
    del views, renderer
    logits = cloud.opacity_logits.astype(np.float64)
    return np.asarray(log_volumes(cloud) - np.logaddexp(0.0, -logits), np.float32)
