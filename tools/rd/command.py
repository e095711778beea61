"""`gsrd run`: rows for the scenes, codecs and rate points asked for; what is done already stays."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path

from gscodec_tools.rd.codecs import CODECS, CodecOptions, all_codecs
from gscodec_tools.rd.jobs import Job, Result
from gscodec_tools.rd.measure import check_pillow
from gscodec_tools.rd.plan import OWN, Plan, RunOptions, check_labels
from gscodec_tools.rd.pools import ClusterPool, LocalPool, Pool
from gscodec_tools.rd.rows import Row, is_of, row_text
from gscodec_tools.rd.scenes import Scene, ViewOptions, load_scenes
from gscodec_tools.rd.store import Store

from gscodec.cli.common import Summary, say, whole_number
from gscodec.errors import BadInputError

EXAMPLES = """\
  gsrd run scenes/garden -o results --codecs gscodec,spz,naive
  gsrd run my.ply --capture photos/ -o results --time-limit 3600
  gsrd run my.ply -o results --external 'mine=enc {in} {out} {point} ;; dec {in} {out} ;; 1 2 3'
  gsrd run my.ply -o results --codecs spz --labels v4,v4-H0 --force

A scene is a folder with point_cloud.ply, and cameras and photos beside it in any format that `gscodec.scene` reads, or
a .ply. Every row is written to DIR/rd/SCENE.json when it is done; calling again goes on where the last run ended."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsrd run`."""
    parser.add_argument("scenes", nargs="+", metavar="SCENE", help="a scene folder or a .ply")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of results, made if absent")
    parser.add_argument("-q", "--quiet", action="store_true", help="no line for each row, no summary")
    parser.add_argument("--codecs", type=_names, metavar="NAME,...", help=f"default: all of {', '.join(CODECS)}")
    parser.add_argument("--labels", type=_names, metavar="LABEL,...", help="only these rate points, as rows name them")
    parser.add_argument(
        "--external",
        action="append",
        default=[],
        metavar="TEMPLATE",
        help="one more codec, as in the example; repeatable",
    )
    parser.add_argument("--capture", metavar="DIR", help="cameras and photos of all SCENEs, if not in their folders")
    parser.add_argument("--downscale", type=whole_number, default=1, metavar="N", help="photos N times smaller")
    parser.add_argument("--views", type=whole_number, default=8, metavar="N", help="virtual views, where no camera is")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the virtual views (default 0)")
    parser.add_argument(
        "--jobs",
        type=whole_number,
        default=max(1, (os.cpu_count() or 1) // 2),
        metavar="N",
        help="rows at a time (default: half of the cores); times suffer from neighbours, use --jobs 1 to measure them",
    )
    parser.add_argument("--scheduler", metavar="URL", help="tcp://... of a Dask cluster to run on, not here")
    parser.add_argument(
        "--time-limit", type=_seconds, default=600.0, metavar="S", help="for each encode and each decode (default 600)"
    )
    parser.add_argument("--no-match", action="store_true", help="no gscodec rows at the sizes of the other codecs")
    parser.add_argument("--no-pictures", action="store_true", help="no PNG of the first view")
    parser.add_argument("-f", "--force", action="store_true", help="measure again what has been measured")


def work(args: argparse.Namespace) -> Summary:
    """Run. Raises GsbError; BadInputError also if not one row asked for is ok in the end."""
    codecs = all_codecs(CodecOptions(tuple(args.external)))
    options = _options(args, tuple(codecs))
    for name in options.codecs:
        if name not in codecs:
            raise BadInputError("no such codec", field="codecs", found=name, allowed=", ".join(codecs))
    check_labels([codecs[name] for name in options.codecs], options.labels)
    if options.pictures:
        check_pillow()
    scenes = load_scenes(args.scenes, options.views)
    with Store(Path(options.output), [scene.name for scene in scenes]) as store, _pool(options) as pool:
        found = {name: pool.probe(name, CodecOptions(options.external)) for name in options.codecs}
        plan = Plan(options, codecs, {name: version for name, (version, _) in found.items()})
        missing = {name: message for name, (version, message) in found.items() if version is None}
        rows = _Run(store, plan, options, missing, quiet=args.quiet).run(scenes, pool)
        for scene in scenes:
            others = sorted({row["codec"] for row in store.rows(scene.name) if not is_of(row, scene)})
            if others:
                say(f"gsrd: warning: {scene.name}: rows of other content or views left, run again: {', '.join(others)}")
    return _summary(options, rows)


class _Run:
    """Both rounds of a run, and what it tells."""

    def __init__(self, store: Store, plan: Plan, options: RunOptions, missing: dict[str, str], quiet: bool) -> None:
        self._store, self._plan, self._options, self._missing = store, plan, options, missing
        self._say = (lambda _: None) if quiet else say
        self._total = self._number = 0

    def run(self, scenes: list[Scene], pool: Pool) -> list[Row]:
        """All rows asked for, old and new."""
        jobs = [job for scene in scenes for job in self._plan.jobs(scene)]
        if not jobs:
            raise BadInputError("nothing to do: no rate point for these scenes", field="labels", found="none")
        self._total = len(jobs) + sum(self._plan.expected_matches(scene) for scene in scenes)
        rows = self._round(jobs, pool)
        matches = [job for scene in scenes for job in self._plan.matches(scene, self._store.rows(scene.name))]
        self._total = len(jobs) + len(matches)
        return rows + self._round(matches, pool)

    def _round(self, jobs: list[Job], pool: Pool) -> list[Row]:
        rows, left = [], []
        for job in jobs:
            done = None if self._options.force else self._store.done(job.scene.name, job.key)
            if job.codec in self._missing:
                rows.append(self._finished(Result(job.row("unavailable", self._missing[job.codec]), {})))
            elif done is not None:
                self._number += 1
                rows.append(done)
            else:
                left.append(job)
        for result in pool.run(left):
            rows.append(self._finished(result))
        return rows

    def _finished(self, result: Result) -> Row:
        self._number += 1
        row = result.row
        self._store.put_pictures(row["scene"], result.pictures)
        self._store.put(row)
        self._say(f"[{self._number}/{self._total}] {row_text(row)}")
        return row


def _summary(options: RunOptions, rows: list[Row]) -> Summary:
    status = Counter(row["status"] for row in rows)
    if not status["ok"]:
        reasons = sorted({f"{row['codec']}: {row['status']}, {row['message'].splitlines()[0]}" for row in rows})
        raise BadInputError(f"no codec gave a result; {'; '.join(reasons)}", field="codecs")
    folder = Path(options.output) / "rd"
    lines = [("rows", f"{len(rows)}, of which {status['ok']} ok, in {folder}")]
    for row in rows:
        if row["status"] in ("failed", "timeout"):
            lines.append(("", row_text(row)))
    missing = {row["codec"]: row["message"] for row in rows if row["status"] == "unavailable"}
    lines += [("", f"{codec} is not available: {message}") for codec, message in missing.items()]
    if OWN in options.codecs and options.match and len(options.codecs) > 1:
        lines.append(("next", f"gsrd report {options.output} -o report.html"))
    data = {"output": str(folder), "rows": dict(status), "unavailable": missing}
    return Summary(lines, data)


def _options(args: argparse.Namespace, names: tuple[str, ...]) -> RunOptions:
    external = names[len(CODECS) :]
    return RunOptions(
        output=args.output,
        codecs=tuple(dict.fromkeys([*args.codecs, *external] if args.codecs else names)),
        labels=args.labels,
        views=ViewOptions(args.capture, args.downscale, args.views, args.seed),
        external=tuple(args.external),
        limit_s=args.time_limit,
        jobs=args.jobs,
        match=not args.no_match,
        pictures=not args.no_pictures,
        force=args.force,
        scheduler=args.scheduler,
    )


def _pool(options: RunOptions) -> Pool:
    return LocalPool(options.jobs) if options.scheduler is None else ClusterPool(options.scheduler)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("no name")
    return names


def _seed(text: str) -> int:
    return 0 if text == "0" else whole_number(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
