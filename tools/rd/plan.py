"""Which rows a run is about: codec × rate point × scene, and afterwards this codec at the size of each other row."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gscodec_tools.rd.codecs import Codec, CodecOptions, Point
from gscodec_tools.rd.jobs import Job, Size
from gscodec_tools.rd.rows import MATCH, Row
from gscodec_tools.rd.scenes import Scene, ViewOptions

from gscodec.errors import BadInputError

OWN = "gscodec"


@dataclass(frozen=True)
class RunOptions:
    """What the command line asks for. ``labels``: only rate points of these labels, all for None."""

    output: str
    codecs: tuple[str, ...]
    labels: tuple[str, ...] | None
    views: ViewOptions
    external: tuple[str, ...]
    limit_s: float
    jobs: int
    match: bool
    pictures: bool
    force: bool
    scheduler: str | None


class Plan:
    """Makes jobs. ``versions``: of the codecs, None for one that is not available."""

    def __init__(self, options: RunOptions, codecs: dict[str, Codec], versions: dict[str, str | None]) -> None:
        self._options, self._codecs, self._versions = options, codecs, versions

    def jobs(self, scene: Scene) -> list[Job]:
        """One for each codec and rate point asked for, those of codecs that are not available included."""
        return [
            self._job(scene, name, point)
            for name in self._options.codecs
            for point in chosen_points(self._codecs[name], scene, self._options.labels)
        ]

    def expected_matches(self, scene: Scene) -> int:
        """How many ``matches`` there can be at most."""
        return len([job for job in self.jobs(scene) if self._is_peer(job.codec) and self._versions[job.codec]])

    def matches(self, scene: Scene, rows: Iterable[Row]) -> list[Job]:
        """For each row of another codec that this run asks for and that is ok: ours at its size."""
        ours = {job.key: job for job in self.jobs(scene)}
        rows = [row for row in rows if row["key"] in ours and row["status"] == "ok"]
        own = [row for row in rows if row["codec"] == OWN and "quality" in row["settings"]]  # not the lossless one
        known = tuple((row["settings"]["quality"], row["bytes"]) for row in own)
        found = []
        for row in rows:
            if self._is_peer(row["codec"]):
                point = Point(f"{MATCH}{row['codec']} {row['label']}", {"matches": row["key"]})
                names, labels = [OWN, row["codec"]], [row["label"]]
                found.append(self._job(scene, OWN, point, Size(row["bytes"], known), names, labels))
        return found

    def _is_peer(self, codec: str) -> bool:
        return self._options.match and OWN in self._options.codecs and codec != OWN

    def _job(
        self,
        scene: Scene,
        codec: str,
        point: Point,
        size: Size | None = None,
        names: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
    ) -> Job:
        options = self._options
        return Job(
            scene=scene,
            codec=codec,
            point=point,
            options=CodecOptions(options.external),
            version=self._versions[codec],
            limit_s=options.limit_s,
            pictures=options.pictures,
            jobs=options.jobs,
            seed=options.views.seed,
            command=_command(options, scene, names or [codec], labels or [point.label]),
            size=size,
        )


def chosen_points(codec: Codec, scene: Scene, labels: Sequence[str] | None) -> list[Point]:
    """The codec's points that make sense for the scene, of these labels."""
    points = [point for point in codec.points() if point.applies_to(scene.sh_degree)]
    return [point for point in points if labels is None or point.label in labels]


def check_labels(codecs: Iterable[Codec], labels: Sequence[str] | None) -> None:
    """Raises BadInputError for a label that no codec has."""
    known = {point.label: None for codec in codecs for point in codec.points()}
    for label in labels or ():
        if label not in known:
            raise BadInputError("no such rate point", field="labels", found=label, allowed=", ".join(known))


def _command(options: RunOptions, scene: Scene, names: Sequence[str], labels: Sequence[str]) -> str:
    """What makes one row again, and where it belongs."""
    words = ["gsrd", "run", scene.argument, "-o", options.output, "--codecs", ",".join(names)]
    words += ["--labels", ",".join(labels)]
    views = options.views
    if views.capture is not None:
        words += ["--capture", views.capture]
    if views.downscale != 1:
        words += ["--downscale", str(views.downscale)]
    if scene.views.kind == "virtual":
        words += ["--views", str(views.count), "--seed", str(views.seed)]
    for template in options.external:
        if template.partition("=")[0].strip() in names:
            words += ["--external", template]
    words += [] if options.pictures else ["--no-pictures"]
    words += ["--time-limit", f"{options.limit_s:g}", "--jobs", str(options.jobs), "--force"]
    return shlex.join(words)
