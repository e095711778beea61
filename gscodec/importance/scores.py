"""Scores by name: one, or several that share their passes over the views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.importance import METHODS, Method
from gscodec.importance.seen import Seen, Views, finite_splats
from gscodec.render import Renderer

F32 = npt.NDArray[np.float32]


def method_named(name: str) -> Method:
    """The table's entry. Raises BadInputError for an unknown name."""
    if name not in METHODS:
        raise BadInputError("unknown pruning method", field="prune", found=name, allowed=", ".join(sorted(METHODS)))
    return METHODS[name]


def check_params(name: str, params: Mapping[str, float]) -> None:
    """Raises BadInputError for parameters that the method does not have."""
    known = method_named(name).params
    for param in params:
        if param not in known:
            allowed = ", ".join(known) or "none"
            raise BadInputError(f"{name} has no such parameter", field="params", found=param, allowed=allowed)


def score(
    name: str,
    cloud: GaussianCloud,
    views: Views = None,
    renderer: Renderer | None = None,
    params: Mapping[str, float] | None = None,
) -> F32:
    """Score float32[N] by a method of the table; ``renderer`` None is the CPU renderer.

    NaN only for a splat that is itself not finite. Raises BadInputError for an unknown method or parameter, for a
    method that needs views without any, and for a score that is not a number.
    """
    params = params or {}
    check_params(name, params)
    scores = METHODS[name].score(cloud, views, renderer, **params)
    check_scores(cloud, scores)
    return scores


def score_all(
    names: Iterable[str],
    cloud: GaussianCloud,
    views: Views = None,
    renderer: Renderer | None = None,
    params: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, F32]:
    """``score`` for each name, with ``params`` by name: the same numbers, each pass over the views made once."""
    names = list(names)
    shared = views
    if not isinstance(views, Seen) and any(method_named(name).needs_views for name in names):
        shared = Seen(cloud, views, renderer)
    return {name: score(name, cloud, shared, renderer, (params or {}).get(name)) for name in names}


def check_scores(cloud: GaussianCloud, scores: F32) -> None:
    """Raises BadInputError unless there is a number for each splat, NaN allowed for one that is not finite."""
    if scores.shape != (len(cloud),):
        raise BadInputError("wrong shape", field="scores", found=scores.shape, allowed=(len(cloud),))
    unknown = np.isnan(scores)
    if unknown.any():
        unknown &= finite_splats(cloud)
        if unknown.any():
            raise BadInputError(
                f"{np.count_nonzero(unknown):,} scores are not a number", field="scores", found="NaN", allowed="numbers"
            )
