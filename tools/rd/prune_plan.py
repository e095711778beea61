"""Which rows `gsrd prune` is about, scene by scene, and what to type for one of them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from fractions import Fraction

from gscodec_tools.rd.prune_rows import UNPRUNED, Task
from gscodec_tools.rd.scenes import Scene, ViewOptions

from gscodec.importance import METHODS

PICTURE_RETENTION = 0.05


@dataclass(frozen=True)
class PruneOptions:
    """What the command line asks for. ``source``: where the views to score from come from, None for the best there is.

    ``shares``: of the views, empty for none; ``coding``: the method, None for no coding.
    """

    output: str
    methods: tuple[str, ...]
    retentions: tuple[float, ...]
    views: ViewOptions
    source: str | None
    shares: tuple[Fraction, ...]
    share_retention: float
    coding: str | None
    coding_fraction: float
    qualities: tuple[float, ...]
    figures: bool
    force: bool

    @property
    def scoring(self) -> tuple[str, ...]:
        """All methods that will score."""
        return tuple(dict.fromkeys([*self.methods, *([self.coding] if self.coding is not None else [])]))


def tasks(options: PruneOptions) -> list[Task]:
    """Of one scene, in an order in which the passes over a part of the views are made once."""
    found = [Task("curve", method, retention) for method in options.methods for retention in options.retentions]
    if options.figures:
        found += [Task("picture", method, PICTURE_RETENTION) for method in options.methods]
    if options.coding is not None:
        kept = 1.0 - options.coding_fraction
        for quality in options.qualities:
            found += [Task("coding", UNPRUNED, 1.0, None, quality), Task("coding", options.coding, kept, None, quality)]
    if options.shares:  # scores without views are the same for all shares: measured once
        still = [method for method in options.methods if not METHODS[method].needs_views]
        found += [Task("views", method, options.share_retention) for method in still]
        seeing = [method for method in options.methods if METHODS[method].needs_views]
        found += [
            Task("views", method, options.share_retention, share) for share in options.shares for method in seeing
        ]
    return found


def command(options: PruneOptions, scene: Scene, task: Task) -> str:
    """What makes one row again, and those that come with it."""
    words = ["gsrd", "prune", scene.argument, "-o", options.output]
    if task.kind == "coding":
        words += ["--methods", "none", "--coding", options.coding or ""]
        words += ["--coding-fraction", f"{options.coding_fraction:g}", "--qualities", f"{task.quality:g}"]
    elif task.kind == "views":
        shares = f"{task.share.numerator}/{task.share.denominator}" if task.share is not None else "1/1"
        words += ["--methods", task.method, "--retention", "none", "--view-shares", shares]
        words += ["--share-retention", f"{task.retention:g}"]
    elif task.kind == "picture":
        words += ["--methods", task.method, "--retention", "none", "--figures"]
    else:
        words += ["--methods", task.method, "--retention", f"{task.retention:g}"]
    views = options.views
    if views.capture is not None:
        words += ["--capture", views.capture]
    if views.downscale != 1:
        words += ["--downscale", str(views.downscale)]
    if options.source is not None:
        words += ["--views", options.source]
    if scene.views.kind == "virtual":
        words += ["--count", str(views.count)]
    if views.seed:
        words += ["--seed", str(views.seed)]
    return shlex.join([*words, "--force"])
