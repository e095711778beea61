"""RAP: importance from a splat's own attributes and its neighbours', by a small network, without any rendering.

Yang et al. 2026, "RAP: Fast Feedforward Rendering-Free Attribute-Guided Primitive Importance Score Prediction",
arXiv 2602.19753. The features, the network and the losses are the paper's; the weights in rap.npz are this project's
own (rap.md says how they were made). Scores are relative to the scene: they compare splats of one cloud, not of two.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.importance.rap_features import NAMES, features
from gscodec.importance.rap_network import Network, load_network

WEIGHTS = Path(__file__).with_name("rap.npz")


def score(
    cloud: GaussianCloud, views: Any = None, renderer: Any = None, network: Network | None = None
) -> npt.NDArray[np.float32]:
    """Score float32 [N] in 0..1, NaN for a splat that is not finite; ``views`` and ``renderer`` are not used.

    ``network``: other weights than those that are packaged. The same bits for any order of the splats.
    """
    del views, renderer
    return (network or packaged()).scores(features(cloud))


@cache
def packaged() -> Network:
    """The network that comes with the package. Raises BadInputError if its file is damaged."""
    return load_network(WEIGHTS, NAMES)
