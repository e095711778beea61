"""Score by opacity: the oldest criterion, and the one that needs nothing but the cloud."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.units import opacity_from_logit


def score(cloud: GaussianCloud, views: Any = None, renderer: Any = None) -> npt.NDArray[np.float32]:
    """Opacity float32[N] in 0..1, NaN where the logit is; ``views`` and ``renderer`` are not used."""
    del views, renderer
    return np.asarray(opacity_from_logit(cloud.opacity_logits), np.float32)
