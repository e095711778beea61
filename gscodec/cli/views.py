"""The views that a score is made from: those of a capture, or virtual ones."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeGuard

import numba

from gscodec.cloud import GaussianCloud
from gscodec.config import Visibility
from gscodec.errors import BadInputError
from gscodec.importance.scores import method_named
from gscodec.importance.seen import Seen
from gscodec.render.cpu import visibility
from gscodec.scene import Camera, load_capture, virtual_views

VIRTUAL = "virtual"  # --views virtual: by views that nobody took
NONE = "none"  # --views none: by none, whatever the preset
VIRTUAL_VIEWS = 16
VIRTUAL_SEED = 1 << 16  # gsrd measures from those of its own small seeds: no file is to be judged where it was tuned
JUDGES, SCORED, VIRTUAL_JUDGES = 16, 24, 8  # views that a target is reached with
COLOURED, COLOURED_LEAST = 72, 8  # views that colours are moved by, at most and at least
COLOURED_PIXELS = 50_000_000  # about as many in all, where that leaves enough views: renders of them are kept
FEWEST_TO_SHARE = 8  # views below which all of them judge and score
CAPTURE_DOUBT = 0.1  # scenes are looked at from near the places of their photos
VIRTUAL_DOUBT = 1.0


def add_views_option(parser: argparse.ArgumentParser, if_none: str | None = None) -> None:
    """--views CAPTURE | virtual, and "none" where a tool can do without; ``if_none``: what that means."""
    none = f'; or "{NONE}": {if_none}' if if_none else ""
    parser.add_argument(
        "--views",
        metavar="VIEWS",
        help="folder or file with cameras (COLMAP, transforms.json, cameras.json), of which the training views count; "
        f'or "{VIRTUAL}": views placed from the scene itself, as where views are needed and none are named{none} '
        f"(a folder of such a name: ./{VIRTUAL})",
    )


def is_capture(named: str | None) -> TypeGuard[str]:
    """Whether that is what --views names, and not virtual views or none."""
    return named not in (None, VIRTUAL, NONE)


def in_words(count: int, named: str | None) -> str:
    """So many of the views that --views names, or that are taken without."""
    return f"{count} views of {Path(named)}" if is_capture(named) else f"{count} virtual views"


def capture_views(path: str) -> list[Camera]:
    """The training views of a capture, all if none is marked so. Raises BadInputError."""
    cameras = load_capture(path).views()
    return [camera for camera in cameras if camera.split == "train"] or cameras


@dataclass(frozen=True)
class ControlViews:
    """Views for a target: those that ``judge`` files, those that importance is ``scored`` from, and both in words.

    They are not the same where there are enough, so that what scores well is not what the judges happen to see.
    """

    judges: tuple[Camera, ...]
    scored: tuple[Camera, ...]
    words: str


def control_views(cloud: GaussianCloud, named: str | None, progress: Callable[[str, float], None]) -> ControlViews:
    """Evenly chosen training views of a capture, else virtual ones. Raises BadInputError as ``seen_for``."""
    refuse_none(named, "targets and the preset max judge files from views")
    if is_capture(named):
        views = capture_views(named)
        if len(views) < FEWEST_TO_SHARE:
            return ControlViews(tuple(views), tuple(views), in_words(len(views), named))
        judges = evenly(views, min(JUDGES, len(views) // 2))
        names = {id(view) for view in judges}
        others = evenly([view for view in views if id(view) not in names], SCORED)
        return ControlViews(judges, others, f"{len(judges)} of {len(views)} views of {Path(named)}")
    progress("views", 0.0)
    views = virtual_views(cloud, VIRTUAL_JUDGES + VIRTUAL_VIEWS, VIRTUAL_SEED)
    judges = evenly(views, VIRTUAL_JUDGES)
    names = {id(view) for view in judges}
    others = tuple(view for view in views if id(view) not in names)
    return ControlViews(judges, others, in_words(len(judges), named))


def colour_views(cloud: GaussianCloud, named: str | None, judges: Sequence[Camera]) -> tuple[Camera, ...]:
    """What colours are moved by: training views of a capture that do not judge, if there are enough; or virtual ones.

    Raises BadInputError.
    """
    names = {view.name for view in judges}
    views = [view for view in capture_views(named) if view.name not in names] if is_capture(named) else []
    if len(views) < COLOURED_LEAST:
        return tuple(virtual_views(cloud, COLOURED, VIRTUAL_SEED + 1))
    pixels = sum(view.width * view.height for view in views) // len(views)
    return evenly(views, min(max(COLOURED_PIXELS // max(pixels, 1), COLOURED_LEAST), COLOURED))


def evenly(views: Sequence[Camera], count: int) -> tuple[Camera, ...]:
    """``count`` of the views, evenly spread over their order; all if there are not as many."""
    if len(views) <= count:
        return tuple(views)
    return tuple(views[(2 * number + 1) * len(views) // (2 * count)] for number in range(count))


@contextlib.contextmanager
def at_most_threads(count: int | None) -> Iterator[None]:
    """Render with no more than ``count`` threads inside; all for None."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(count or before, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def refuse_none(named: str | None, why: str) -> None:
    """Raises BadInputError if --views says that there are none."""
    if named == NONE:
        raise BadInputError(why, field="views", found=named, allowed=f"a capture or {VIRTUAL}")


def seen_for(
    method: str, cloud: GaussianCloud, named: str | None, progress: Callable[[str, float], None]
) -> tuple[Seen | None, str]:
    """What ``method`` scores from, and what it is in words; (None, "") for a method that needs no views.

    Raises BadInputError for views that such a method would not use, for a capture without cameras, and for a scene
    without visible splats.
    """
    if not method_named(method).needs_views:
        if named is not None:
            raise BadInputError(f"{method} scores without views", field="views", found=named, allowed="no --views")
        return None, ""
    refuse_none(named, f"{method} scores from views")
    views, words = _views_for(cloud, named, progress)
    return Seen(cloud, views, progress=progress), words


def _views_for(
    cloud: GaussianCloud, named: str | None, progress: Callable[[str, float], None]
) -> tuple[list[Camera], str]:
    if is_capture(named):
        views = capture_views(named)
    else:
        progress("views", 0.0)
        views = virtual_views(cloud, VIRTUAL_VIEWS, VIRTUAL_SEED)
    return views, in_words(len(views), named)


def visibility_for(
    cloud: GaussianCloud, named: str | None, progress: Callable[[str, float], None]
) -> tuple[Visibility | None, str]:
    """What the encoder may know of each splat from the views that --views names, else from virtual ones, and these in
    words; (None, "") for "none", and without --views where nothing is to be seen.

    Raises BadInputError as ``seen_for``.
    """
    if named == NONE:
        return None, ""
    try:
        views, words = _views_for(cloud, named, progress)
    except BadInputError:
        if named is not None:
            raise
        return None, ""
    return visibility_from(cloud, views, named, progress), words


def visibility_from(
    cloud: GaussianCloud, views: Sequence[Camera], named: str | None, progress: Callable[[str, float], None]
) -> Visibility:
    """What ``views`` show, believed as is right for those that --views names."""
    if is_capture(named):
        # Where photos were taken is where people look from: what these views do not show counts for little.
        return replace(visibility(cloud, views, CAPTURE_DOUBT, progress), clear=None)
    return visibility(cloud, views, VIRTUAL_DOUBT, progress)
