"""Importance: one float32 score per splat, larger means keep. METHODS is the table of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gscodec.importance import opacity

Score = Callable[..., npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Method:
    """One way to score. ``score(cloud, views=None, renderer=None, **params)`` gives float32[N].

    ``needs``: "nothing", or what has to be rendered first. ``summary``: one line for --help.
    """

    score: Score
    needs: str
    summary: str


METHODS: dict[str, Method] = {
    "opacity": Method(opacity.score, "nothing", "opacity of the splat alone, wherever it is"),
}
