"""Importance distilled from renders of other scenes: a small network that predicts when a splat would be removed.

A variant of RAP (gscodec.importance.rap): the same size of network on other features, and another way to learn. On
training scenes, splats were removed in rounds, always those whose removal changes the renders least; the network
learned from each splat and its neighbours how long it stayed. Scoring needs neither views nor rendering.
rap_distilled.md says what it was trained on and how it did on scenes that it had not seen.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.importance.rap_distilled_features import NAMES, features
from gscodec.importance.rap_network import Network, load_network

WEIGHTS = Path(__file__).with_name("rap_distilled.npz")


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
