"""A scene to prune: what it is measured from, and the other views, which scores are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from gscodec_tools.rd.scenes import Scene, ViewOptions, Views, find_capture, load_scenes

from gscodec.cli.views import VIRTUAL_VIEWS
from gscodec.errors import BadInputError
from gscodec.formats.ply import read_ply
from gscodec.importance.seen import finite_splats
from gscodec.scene import Camera, virtual_views

SOURCES = ("capture", "virtual")


@dataclass(frozen=True, eq=False)
class PruneScene:
    """``scene.views`` are what is measured from, ``scoring`` what scores see; None where no score needs views."""

    scene: Scene
    scoring: Views | None


def load_prune_scenes(
    arguments: list[str], options: ViewOptions, source: str | None, needs_views: bool
) -> list[PruneScene]:
    """Scenes with the training views of their capture, or virtual ones where ``source`` or the lack of one says so.

    Virtual views to score from have the seed after that of virtual views to measure from. Raises BadInputError for
    what is no scene, two scenes of one name, and a capture that is asked for and absent or without training views.
    """
    scenes = load_scenes(arguments, options)
    return [PruneScene(scene, _scoring(scene, options, source) if needs_views else None) for scene in scenes]


def _scoring(scene: Scene, options: ViewOptions, source: str | None) -> Views:
    capture = None if source == "virtual" else find_capture(Path(scene.argument), options)
    if capture is not None:
        return Views("train", tuple(capture.views("train")), None, None)
    if source == "capture":
        raise BadInputError("no capture to score from", field="views", found=scene.argument, allowed="--views virtual")
    cloud = read_ply(scene.ply)
    sound = finite_splats(cloud)
    seed = options.seed + 1
    views = virtual_views(cloud if sound.all() else cloud.select(sound), VIRTUAL_VIEWS, seed)
    return Views("virtual", tuple(views), seed, None)


def part_of(views: Sequence[Camera], share: Fraction) -> tuple[Camera, ...]:
    """About that share of the views, at least one, evenly spread over their order."""
    count = max(1, round(len(views) * share))
    return tuple(views[place * len(views) // count] for place in range(count))
