"""gsenc's targets: --target-size, --target-ratio, --min-psnr."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gscodec.cli.progress import Progress
from gscodec.cli.views import (
    ControlViews,
    at_most_threads,
    colour_views,
    control_views,
    in_words,
    visibility_for,
    visibility_from,
)
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig
from gscodec.encoder import EncodeReport
from gscodec.errors import BadInputError
from gscodec.importance.prune import PruneReport
from gscodec.importance.seen import Seen
from gscodec.rate.allocation import allocate
from gscodec.rate.codec import CloudCodec, EncodedFile
from gscodec.rate.control import Reached, reach
from gscodec.rate.finish import finished
from gscodec.rate.goals import Goals, parse_size, size_at_ratio
from gscodec.rate.pruning import SCORED_BY, target_scores
from gscodec.rate.reference import Reference
from gscodec.sanitise import sanitise, usable


def add_target_options(parser: argparse.ArgumentParser, mode: argparse._MutuallyExclusiveGroup) -> None:
    """--target-size and --target-ratio, which exclude what else is in ``mode``, and --min-psnr."""
    mode.add_argument(
        "--target-size", type=_size, metavar="SIZE", help="the best file of 98 to 100 %% of a size: 8MB, 500kB, 7.5MiB"
    )
    mode.add_argument(
        "--target-ratio", type=float, metavar="R", help="the same for a file R times smaller than the input"
    )
    parser.add_argument(
        "--min-psnr",
        type=float,
        metavar="DB",
        help="the smallest file whose renders have at least this PSNR against the input's; goes before a target size, "
        "and makes even --preset fast render",
    )


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except BadInputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def has_target(args: argparse.Namespace) -> bool:
    """Whether a target is asked."""
    return any(value is not None for value in (args.target_size, args.target_ratio, args.min_psnr))


def goals_of(args: argparse.Namespace, source_bytes: int) -> Goals:
    """What the options ask of a file made from ``source_bytes`` bytes. Raises BadInputError."""
    size = args.target_size
    if args.target_ratio is not None:
        size = size_at_ratio(source_bytes, args.target_ratio)
    return Goals(size, args.min_psnr)


@dataclass(frozen=True, eq=False)
class ToTarget:
    """A file that was made to a target: its quality, what encode and pruning did, and ``data`` for --json.

    ``weighed``: by which views splats were, "" for none.
    """

    chunks: list[bytes]
    report: EncodeReport
    quality: float
    pruned: PruneReport | None
    weighed: str
    data: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a target is reached with; ``words``: the views that judge, "" for none; ``scored``: views scored from.

    ``weighed``: those that splats are weighed by, "" for none; ``colours``: what colours are moved by, for "max".
    """

    codec: CloudCodec
    views: int
    words: str
    scored: int
    weighed: str
    dropped: Mapping[str, int]
    colours: Callable[[], Reference] | None
    seconds: float


def prepare(
    source: GaussianCloud,
    cloud: GaussianCloud,
    config: EncodeConfig,
    named: str | None,
    prunes: bool,
    judged: bool,
    progress: Callable[[str, float], None],
) -> Prepared:
    """``cloud``: the source, or what fixed pruning has left of it. The preset "fast" prunes nothing. Raises GsbError.

    ``judged``: whether anything is rendered, but for ``named``, to weigh splats by.
    """
    start = time.perf_counter()
    whole = cloud is source
    if len(cloud) and not usable(cloud)[0].any():
        raise BadInputError("no splat of the scene can be coded", field="dropped", found=usable(cloud)[1])
    cloud, dropped = sanitise(cloud, strict=config.strict)
    reference = scores = visibility = None
    colours: Callable[[], Reference] | None = None
    views = scored = 0
    words = weighed = ""
    if judged:
        shown = cloud if whole else sanitise(source)[0]
        chosen = control_views(shown, named, progress)
        progress("judging", 0.0)
        reference, words = judged_from(shown, chosen)
        views = len(reference.views)
    if judged and config.preset != "fast":
        scored = len(chosen.scored)
        scores = target_scores(cloud, Seen(cloud, chosen.scored, progress=progress)) if prunes else None
        visibility = visibility_from(cloud, chosen.scored, named, progress)
        weighed = in_words(scored, named)
    elif named is not None:
        visibility, weighed = visibility_for(cloud, named, progress)
    if reference is not None and config.preset == "max":
        config = replace(config, offsets=allocate(cloud, config, reference, visibility))

        def colours() -> Reference:
            return Reference(shown, colour_views(shown, named, chosen.judges))

    codec = CloudCodec(cloud, config, reference, scores, visibility, progress)
    return Prepared(codec, views, words, scored, weighed, dropped, colours, time.perf_counter() - start)


def judged_from(shown: GaussianCloud, chosen: ControlViews) -> tuple[Reference, str]:
    """What judges files by the views chosen for that, and these in words. Raises BadInputError if they show nothing."""
    reference, words = Reference(shown, chosen.judges), chosen.words
    if len(reference.views) < len(chosen.judges):
        words += f", {len(chosen.judges) - len(reference.views)} of them blank"
    if reference.blank:
        allowed = "views that show something of the scene"
        raise BadInputError("nothing to judge quality by", field="views", found=words, allowed=allowed)
    return reference, words


def encode_to_target(
    goals: Goals,
    source: GaussianCloud,
    cloud: GaussianCloud,
    config: EncodeConfig,
    named: str | None,
    prunes: bool,
    progress: Progress,
) -> ToTarget:
    """Make the file; arguments as for ``prepare``. The preset "fast" renders for a floor only. Raises GsbError."""
    start = time.perf_counter()
    stage = ""

    def tell(number: int) -> None:
        nonlocal stage
        stage = f"trial {number}: "

    def told(what: str, share: float) -> None:
        progress(stage + what, share)

    judged = config.preset != "fast" or goals.floor is not None
    with at_most_threads(config.threads):
        prepared = prepare(source, cloud, config, named, prunes, judged, told)
        reached = reach(goals, prepared.codec, tell)
        if prepared.colours is not None:
            stage = ""
            told("recolouring", 0.0)
            reached = finished(goals, reached, prepared.codec, prepared.colours(), tell)
    made, pruned = reached.file, None
    if made.removed:
        kept = prepared.codec.splats - made.removed
        pruned = PruneReport(SCORED_BY, kept, made.removed, prepared.seconds, prepared.scored, True)
    report = replace(made.report, splats_in=len(cloud), dropped=prepared.dropped)
    data = _data(goals, reached, prepared, time.perf_counter() - start)
    return ToTarget(made.chunks, report, reached.trial.choice.quality, pruned, prepared.weighed, data)


def _data(goals: Goals, reached: Reached[EncodedFile], prepared: Prepared, seconds: float) -> dict[str, Any]:
    best = reached.trial
    return {
        "size": goals.size,
        "min_psnr": goals.floor,
        "psnr": best.psnr,
        "views": {"used": prepared.views, "source": prepared.words or None},
        "pruned_fraction": best.choice.fraction,
        "sh_degree": best.choice.degree,
        "quality": best.choice.quality,
        "trials": len(reached.trials),
        "tried": [vars(trial.choice) | {"bytes": trial.size, "psnr": trial.psnr} for trial in reached.trials],
        "seconds": seconds,
        "note": reached.note or None,
    }
