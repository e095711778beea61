"""`gsrd prune`: what is left of scenes that importance scores prune, and how long the scores take."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from gscodec_tools.rd.jobs import MAX_MESSAGE
from gscodec_tools.rd.measure import check_pillow
from gscodec_tools.rd.prune_measure import SceneRun
from gscodec_tools.rd.prune_plan import PruneOptions, command, tasks
from gscodec_tools.rd.prune_rows import PRUNE, Task, new_row, row_key, row_text
from gscodec_tools.rd.prune_scenes import SOURCES, PruneScene, load_prune_scenes
from gscodec_tools.rd.rows import Row
from gscodec_tools.rd.scenes import ViewOptions
from gscodec_tools.rd.store import Store

from gscodec.cli.common import Summary, say, whole_number
from gscodec.config import EncodeConfig
from gscodec.errors import BadInputError, GsbError
from gscodec.importance import METHODS
from gscodec.importance.scores import method_named

NONE = "none"
RETENTIONS = ",".join(f"{percent / 100:g}" for percent in range(5, 100, 10))
SHARES = ",".join(f"{eighth}/8" for eighth in range(1, 9))
QUALITIES = "45,55,65,75,85"
CODING_METHOD = "rap"

EXAMPLES = """\
  gsrd prune scenes/garden -o results
  gsrd prune scenes/garden -o results --methods opacity,eagles --retention 0.2,0.4,0.6,0.8
  gsrd prune scenes/garden -o results --view-shares --coding --figures
  gsrd prune my.ply -o results --views virtual

A scene is what `gsrd run` takes. Scores that need views are made from the training views of its capture (without one,
or with --views virtual, from virtual ones) and never from photos; what is left is measured from the test views. Every
row is written to DIR/prune/SCENE.json when it is done; calling again goes on where the last run ended. Scenes and rows
come one after the other: rendering is parallel by itself, and times are measured."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `gsrd prune`."""
    parser.add_argument("scenes", nargs="+", metavar="SCENE", help="a scene folder or a .ply")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder of results, made if absent")
    parser.add_argument("-q", "--quiet", action="store_true", help="no line for each row, no summary")
    parser.add_argument(
        "--methods", default="all", metavar="NAME,...", help=f"scores: all (default) or of {', '.join(METHODS)}"
    )
    parser.add_argument(
        "--retention",
        type=_list_of(_share_kept, empty=NONE),
        default=RETENTIONS,
        metavar="F,...",
        help="shares of the splats to keep, or none (default: %(default)s)",
    )
    parser.add_argument("--views", choices=SOURCES, help="to score from (default: the capture where there is one)")
    parser.add_argument("--capture", metavar="DIR", help="cameras and photos of all SCENEs, if not in their folders")
    parser.add_argument("--downscale", type=whole_number, default=1, metavar="N", help="photos N times smaller")
    parser.add_argument("--count", type=whole_number, default=8, metavar="N", help="virtual views to measure from")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of the virtual views (default 0)")
    parser.add_argument(
        "--view-shares",
        type=_list_of(_fraction),
        nargs="?",
        const=SHARES,
        metavar="N/D,...",
        help=f"also score from parts of the views (without a value: {SHARES})",
    )
    parser.add_argument(
        "--share-retention", type=_share_kept, default=0.4, metavar="F", help="share kept for those (default 0.4)"
    )
    parser.add_argument(
        "--coding",
        nargs="?",
        const=CODING_METHOD,
        metavar="METHOD",
        help=f"also code the scene whole and pruned by this score (without a value: {CODING_METHOD})",
    )
    parser.add_argument(
        "--coding-fraction", type=_share_kept, default=0.2, metavar="F", help="share to remove before (default 0.2)"
    )
    parser.add_argument(
        "--qualities",
        type=_list_of(_quality),
        default=QUALITIES,
        metavar="Q,...",
        help="to code with (default: %(default)s)",
    )
    parser.add_argument("--figures", action="store_true", help="also pictures of 5 %% of the splats, and histograms")
    parser.add_argument("-f", "--force", action="store_true", help="measure again what has been measured")


def work(args: argparse.Namespace) -> Summary:
    """Run. Raises GsbError; BadInputError also if not one row asked for is ok in the end."""
    options = _options(args)
    for name in options.scoring:
        method_named(name)
    todo = tasks(options)
    if not todo:
        raise BadInputError("nothing to do", field="methods", found=args.methods, allowed="a score, or --coding")
    if options.figures:
        check_pillow()
    scenes = load_prune_scenes(args.scenes, options.views, options.source, any(task.needs_views for task in todo))
    rows: list[Row] = []
    with Store(Path(options.output), [scene.scene.name for scene in scenes], PRUNE) as store:
        for number, scene in enumerate(scenes):
            first = number * len(todo)
            rows += _run(scene, options, todo, store, (lambda _: None) if args.quiet else say, first, len(scenes))
    return _summary(options, rows)


def _run(
    scene: PruneScene,
    options: PruneOptions,
    todo: list[Task],
    store: Store,
    tell: Callable[[str], None],
    first: int,
    scenes: int,
) -> list[Row]:
    """All rows of one scene, old and new."""
    name = scene.scene.name
    done = {} if options.force else {task: store.done(name, row_key(scene, task)) for task in todo}
    left = [task for task in todo if done.get(task) is None]
    run = SceneRun(scene, list(dict.fromkeys(task.method for task in left if task.scores))) if left else None
    rows = []
    for number, task in enumerate(todo, start=first + 1):
        old = done.get(task)
        if old is not None or run is None:
            rows += [old] if old is not None else []
            continue
        row = new_row(scene, task, command(options, scene.scene, task))
        try:
            values, pictures = run.run(task)
            if pictures:
                store.put_pictures(name, pictures)
                row["picture"] = f"pictures/{name}/{task.method}.png"
            row |= values | {"status": "ok"}
        except GsbError as error:
            row["message"] = str(error)[:MAX_MESSAGE]
        except Exception as error:  # a fault in a score: the other rows go on
            row["message"] = f"{type(error).__name__}: {error}"[:MAX_MESSAGE]
        store.put(row)
        rows.append(row)
        tell(f"[{number}/{scenes * len(todo)}] {row_text(row)}")
    return rows


def _summary(options: PruneOptions, rows: list[Row]) -> Summary:
    status = Counter(row["status"] for row in rows)
    failed = {f"{row['scene']}: {row['method']}: {row['message']}": None for row in rows if row["status"] != "ok"}
    if not status["ok"]:
        raise BadInputError(f"no score gave a result; {'; '.join(failed)}", field="methods")
    folder = Path(options.output) / PRUNE.folder
    lines = [("rows", f"{len(rows)}, of which {status['ok']} ok, in {folder}")]
    lines += [("failed", text) for text in failed]
    lines.append(("next", f"gsrd report {options.output} -o report.html"))
    return Summary(lines, {"output": str(folder), "rows": dict(status), "failed": list(failed)})


def _options(args: argparse.Namespace) -> PruneOptions:
    return PruneOptions(
        output=args.output,
        methods=_methods(args.methods),
        retentions=args.retention,
        views=ViewOptions(args.capture, args.downscale, args.count, args.seed),
        source=args.views,
        shares=args.view_shares or (),
        share_retention=args.share_retention,
        coding=args.coding,
        coding_fraction=args.coding_fraction,
        qualities=args.qualities,
        figures=args.figures,
        force=args.force,
    )


def _methods(text: str) -> tuple[str, ...]:
    if text == "all":
        return tuple(METHODS)
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    return () if list(names) == [NONE] else tuple(names)


def _list_of(kind: Callable[[str], object], empty: str | None = None) -> Callable[[str], tuple[object, ...]]:
    """For argparse: values between commas, each once; the word ``empty`` stands for no value."""

    def parsed(text: str) -> tuple[object, ...]:
        if text == empty:
            return ()
        values = dict.fromkeys(kind(part.strip()) for part in text.split(",") if part.strip())
        if not values:
            raise argparse.ArgumentTypeError("no value")
        return tuple(values)

    return parsed


def _share_kept(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return value


def _fraction(text: str) -> Fraction:
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    value = Fraction(int(found[1]), int(found[2])) if found and int(found[2]) else Fraction(0)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a fraction such as 3/8")
    return value


def _quality(text: str) -> float:
    try:
        return EncodeConfig(quality=float(text)).quality
    except (ValueError, GsbError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a quality of 1 to 100") from None


def _seed(text: str) -> int:
    return 0 if text == "0" else whole_number(text)
