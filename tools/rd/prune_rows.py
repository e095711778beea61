"""A row of `gsrd prune`: what one score made of one scene. Plain JSON; every key is always there.

Kinds: "curve", a share of the splats kept; "views", that from a part of the views to score from; "coding", then
coded and decoded; "picture", the first view of what is kept, and how the scores are distributed.
"""

from __future__ import annotations

import datetime
import hashlib
import inspect
import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from gscodec_tools.machine import machine
from gscodec_tools.rd.codecs.own import OwnCodec
from gscodec_tools.rd.prune_scenes import PruneScene
from gscodec_tools.rd.rows import Row
from gscodec_tools.rd.scenes import Views
from gscodec_tools.rd.store import Layout

from gscodec import __version__
from gscodec.importance import METHODS

KINDS = ("curve", "views", "coding", "picture")
UNPRUNED = "none"  # the method of coding rows of the whole scene
_MEASURED = (
    "kept",
    "bytes",
    "psnr_renders",
    "psnr_8bit_renders",
    "ssim_renders",
    "psnr_photos",
    "psnr_8bit_photos",
    "ssim_photos",
    "source_psnr_photos",
    "source_ssim_photos",
    "load_seconds",
    "score_seconds",
    "seconds_per_million",
    "passes",
    "shared_passes",
    "histogram",
    "picture",
)


@dataclass(frozen=True)
class Task:
    """What to measure. ``retention``: share of the splats kept; ``share``: of the views that the score is made from,
    None for all or for a score that needs none; ``quality``: of encoding.
    """

    kind: str
    method: str
    retention: float
    share: Fraction | None = None
    quality: float | None = None

    @property
    def scores(self) -> bool:
        """Whether there is something to score."""
        return self.method != UNPRUNED

    @property
    def needs_views(self) -> bool:
        """Whether the score is made from views."""
        return self.scores and METHODS[self.method].needs_views


def _place(row: Row) -> tuple[Any, ...]:
    return row["kind"], row["method"], row["retention"], row["share"], row["quality"]


def _order(row: Row) -> tuple[Any, ...]:
    share = Fraction(row["share"] or 0)
    return KINDS.index(row["kind"]), row["method"], share, row["retention"], row["quality"] or 0.0


KEYS = ("key", "scene", "kind", "method", "retention", "share", "quality", "status")
PRUNE = Layout("gsrd prune", "prune", KEYS, _place, _order)


@cache
def weights_digest(method: str) -> str | None:
    """Of the file of weights of a method that was trained, None for others."""
    path = getattr(inspect.getmodule(METHODS[method].score), "WEIGHTS", None)
    if not isinstance(path, Path) or not path.is_file():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _version(task: Task) -> str:
    """Of what decides about a row besides its score: coding rows are out of date with every change of the codec."""
    return OwnCodec().version() if task.kind == "coding" else __version__


def row_key(scene: PruneScene, task: Task) -> str:
    """Equal for rows that would come out equal but for times."""
    params = json.dumps(dict(METHODS[task.method].params) if task.scores else {}, sort_keys=True)
    scoring = scene.scoring.identity if scene.scoring is not None and task.needs_views else ""
    weights = (weights_digest(task.method) if task.scores else None) or ""
    what = (task.kind, task.method, params, f"{task.retention:g}", str(task.share or ""), f"{task.quality or 0:g}")
    return "|".join((*what, weights, _version(task), scene.scene.digest, scene.scene.views.identity, scoring))


def new_row(scene: PruneScene, task: Task, command: str) -> Row:
    """A row with nothing measured yet, of status "failed"."""
    host = machine()
    source = scene.scene
    return {
        "key": row_key(scene, task),
        "scene": source.name,
        "splats": source.splats,
        "sh_degree": source.sh_degree,
        "source_bytes": source.source_bytes,
        "kind": task.kind,
        "method": task.method,
        "params": dict(METHODS[task.method].params) if task.scores else {},
        "retention": task.retention,
        "share": None if task.share is None else f"{task.share.numerator}/{task.share.denominator}",
        "quality": task.quality,
        "status": "failed",
        "message": "",
        "identical": False,
        **dict.fromkeys(_MEASURED),
        "views": _about(source.views),
        "scoring_views": _about(scene.scoring) if scene.scoring is not None and task.needs_views else None,
        "weights": weights_digest(task.method) if task.scores else None,
        "version": _version(task),
        "host": {key: value for key, value in host.items() if key not in ("date", "command")},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
    }


def _about(views: Views) -> dict[str, Any]:
    return {"kind": views.kind, "count": len(views.cameras), "seed": views.seed}


def row_text(row: Row) -> str:
    """One line for people."""
    amount = f"{row['kind']}, {100 * row['retention']:g} % kept"
    amount += f", {row['share']} of the views" if row["share"] else ""
    amount += f", q{row['quality']:g}" if row["quality"] is not None else ""
    head = f"{row['scene']} {row['method']} ({amount}):"
    if row["status"] != "ok":
        first = (row["message"].splitlines() or [""])[0]
        return f"{head} {row['status']}, {first}"
    parts = [f"{row['kept']:,} splats"]
    if row["bytes"] is not None:
        parts.append(f"{row['bytes']:,} bytes")
    if row["psnr_renders"] is not None:
        parts.append(f"{row['psnr_renders']:.2f} dB")
    if row["psnr_photos"] is not None and row["source_psnr_photos"] is not None:
        parts.append(f"photos {row['psnr_photos'] - row['source_psnr_photos']:+.2f} dB")
    if row["score_seconds"] is not None:
        parts.append(f"scored in {row['score_seconds']:.2f} s")
    return f"{head} {', '.join(parts)}"
