"""Importance: one float32 score per splat, larger means keep. METHODS is the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gscodec.importance import (
    c3dgs,
    eagles,
    geta,
    lightgaussian,
    mesongs,
    opacity,
    pup,
    rap,
    rap_distilled,
    removal,
    trim,
    volume_opacity,
)

Score = Callable[..., npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Method:
    """One way to score. ``score(cloud, views=None, renderer=None, **params)`` gives float32[N].

    ``needs``: "nothing", or the passes over the views, joined by "+"; which renderer offers one is said in
    ``gscodec.render.protocol`` (contributions) and ``gscodec.render.measuring``. ``summary``: one line for --help.
    ``params``: what else ``score`` takes, with the defaults.
    """

    score: Score
    needs: str
    summary: str
    params: Mapping[str, float] = field(default_factory=dict)

    @property
    def needs_views(self) -> bool:
        return self.needs != "nothing"


METHODS: dict[str, Method] = {
    "opacity": Method(opacity.score, "nothing", "opacity of the splat alone, wherever it is"),
    "volume-opacity": Method(volume_opacity.score, "nothing", "logarithm of volume times opacity"),
    "lightgaussian": Method(
        lightgaussian.score, "contributions", "light on the splat times opacity, and volume^beta", {"beta": 0.1}
    ),
    "mesongs": Method(mesongs.score, "contributions", "blended weight, and volume^beta", {"beta": 0.1}),
    "eagles": Method(eagles.score, "contributions", "blended weight"),
    "geta": Method(
        geta.score,
        "contributions+gradients",
        "blended weight, screen-space gradient and pixels covered, weighted",
        {"contribution": 0.5, "gradient": 0.3, "coverage": 0.2},
    ),
    "c3dgs": Method(
        c3dgs.score, "gradients", "sensitivity of the image to colour, and shape^shape_power", {"shape_power": 0.0}
    ),
    "trim": Method(trim.score, "gradients", "opacity or gradient, whichever ranks higher (Trimming the Fat)"),
    "pup": Method(pup.score, "fisher", "log-determinant of the Fisher matrix of position and scale", {"resolution": 4}),
    "rap": Method(rap.score, "nothing", "attributes and neighbours by a small network (RAP), without rendering"),
    "rap-distilled": Method(
        rap_distilled.score, "nothing", "the same by features and a network that learned from removal in other scenes"
    ),
    "removal": Method(removal.score, "removal", "squared error of the image without the splat"),
}
