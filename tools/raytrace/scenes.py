"""Whole scenes to photograph: ``build_scene(seed, kind)`` with kind "courtyard", "table" or "room"."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gscodec_tools.raytrace.builder import Scene
from gscodec_tools.raytrace.courtyard import courtyard
from gscodec_tools.raytrace.room import room
from gscodec_tools.raytrace.table import table

from gscodec.errors import BadInputError

KINDS: dict[str, Callable[[np.random.Generator, int], Scene]] = {"courtyard": courtyard, "table": table, "room": room}


def build_scene(seed: int, kind: str, views: int = 40) -> Scene:
    """A scene with its light computed and places for ``views`` cameras. Everything in it follows from the seed.

    Raises BadInputError for a negative seed, an unknown kind, or no view.
    """
    if seed < 0:
        raise BadInputError("bad seed", field="seed", found=seed, allowed="0 or more")
    if kind not in KINDS:
        raise BadInputError("unknown kind of scene", field="kind", found=kind, allowed=tuple(KINDS))
    if views < 1:
        raise BadInputError("too few views", field="views", found=views, allowed="1 or more")
    return KINDS[kind](np.random.default_rng([seed, list(KINDS).index(kind)]), views)
