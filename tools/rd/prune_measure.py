"""The rows of one scene: the cloud and its scores are made once, and each row is pruned from them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from gscodec_tools.rd.measure import measure, measuring, png, source_renders
from gscodec_tools.rd.prune_rows import Task
from gscodec_tools.rd.prune_scenes import PruneScene, part_of
from gscodec_tools.rd.prune_scores import Scored, TimedSeen, histogram, timed_score, warm_up

from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig
from gscodec.decoder import decode
from gscodec.encoder import encode_chunks
from gscodec.errors import BadInputError
from gscodec.formats.ply import read_ply
from gscodec.importance.compensate import compensated
from gscodec.importance.prune import PruneSpec, kept_mask
from gscodec.render.cpu import render
from gscodec.scene import load_photo

WHOLE = Fraction(1)


class SceneRun:
    """A scene in work. ``methods``: all that will be asked for, to compile them before the first is timed."""

    def __init__(self, scene: PruneScene, methods: Sequence[str]) -> None:
        self._scene = scene
        begin = time.perf_counter()
        self._cloud = read_ply(scene.scene.ply)
        self.load_seconds = time.perf_counter() - begin
        self._seen: tuple[Fraction, TimedSeen] | None = None  # of one share of the views: passes are large
        self._scores: dict[str, Scored | Exception] = {}
        warm_up(methods, self._cloud, scene.scoring.cameras if scene.scoring is not None else ())

    def run(self, task: Task) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The values of the task's row, and PNGs by file name. Raises GsbError."""
        values: dict[str, Any] = {}
        cloud = self._cloud
        scored = None
        if task.scores:
            scored = self._scored(task)
            values = self._times(scored)
            keep = max(1, math.floor(len(cloud) * task.retention + 0.5))
            kept = kept_mask(cloud, scored.values, PruneSpec(task.method, keep=keep))
            # Coding is what gsenc does; all else tells scores apart.
            cloud = compensated(cloud, kept) if task.kind == "coding" else cloud.select(kept)
        values["kept"] = len(cloud)
        if task.kind == "picture":
            values["histogram"] = histogram(scored.values) if scored is not None else None
            return values, self._pictures(task, cloud)
        if task.kind == "coding":
            data, size = _coded(cloud, task)
            values["bytes"] = size
            cloud = decode(data)
        with measuring:
            found, _ = measure(self._scene.scene, cloud, pictures=False)
        return values | found, {}

    def _scored(self, task: Task) -> Scored:
        share = task.share or WHOLE
        if share != WHOLE and task.needs_views:
            return timed_score(task.method, self._cloud, self._seen_of(share))
        if task.method not in self._scores:
            try:
                seen = self._seen_of(WHOLE) if task.needs_views else None
                self._scores[task.method] = timed_score(task.method, self._cloud, seen)
            except Exception as error:  # the same for all rows of this score
                self._scores[task.method] = error
        found = self._scores[task.method]
        if isinstance(found, Exception):
            raise found
        return found

    def _seen_of(self, share: Fraction) -> TimedSeen:
        if self._seen is None or self._seen[0] != share:
            self._seen = None  # the passes before are given up before there are others
            if self._scene.scoring is None:
                raise BadInputError("this score needs views", field="views", found=0, allowed="at least 1")
            views = self._scene.scoring.cameras
            self._seen = share, TimedSeen(self._cloud, views if share == WHOLE else part_of(views, share))
        return self._seen[1]

    def _times(self, scored: Scored) -> dict[str, Any]:
        both = self.load_seconds + scored.seconds
        return {
            "load_seconds": round(self.load_seconds, 4),
            "score_seconds": round(scored.seconds, 4),
            "seconds_per_million": round(1e6 * both / max(len(self._cloud), 1), 4),
            "passes": {name: round(seconds, 4) for name, seconds in scored.passes.items()},
            "shared_passes": list(scored.shared),
        }

    def _pictures(self, task: Task, cloud: GaussianCloud) -> dict[str, bytes]:
        scene = self._scene.scene
        camera = scene.views.cameras[0]
        with measuring:
            files = {f"{task.method}.png": png(render(cloud, camera))}
            files["source.png"] = png(source_renders(scene).reference.images[0])
        if scene.views.photos is not None:
            files["photo.png"] = png(load_photo(camera, scene.views.photos))
        return files


def _coded(cloud: GaussianCloud, task: Task) -> tuple[bytes, int]:
    if task.quality is None:
        raise BadInputError("no quality to code with", field="quality", found=None, allowed="1..100")
    chunks, report = encode_chunks(cloud, EncodeConfig(quality=task.quality))
    return b"".join(chunks), report.bytes
