"""``gsrd report``: the rows of ``gsrd run`` and ``gsrd prune`` as one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from gscodec_tools.report.page import page
from gscodec_tools.report.prune_rows import load_pruning
from gscodec_tools.report.rows import has_results, load_results

from gscodec.bitstream.atomic import atomic_write
from gscodec.cli.common import STDOUT, Summary, check_output

DESCRIPTION = "Make one self-contained HTML page of the results of gsrd run and gsrd prune."
EXAMPLES = "  gsrd report results/ -o report.html\n  gsrd report results/ -o report.html --literature papers/ -f"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("input", metavar="RESULTS", help="folder of results: rd/<scene>.json, prune/<scene>.json")
    parser.add_argument("-o", "--output", metavar="FILE", default="report.html", help="page (default: %(default)s)")
    parser.add_argument("-f", "--force", action="store_true", help="replace an existing output file")
    parser.add_argument(
        "--literature", metavar="DIR", help="folder of published numbers as .csv (default: RESULTS/literature)"
    )


def work(args: argparse.Namespace) -> Summary:
    """Read, make, write. Raises BadInputError for results that are missing or not as agreed, OutputError."""
    check_output(args, args.output)
    folder = Path(args.input)
    pruned = load_pruning(folder)
    scenes = load_results(folder) if has_results(folder) or not pruned else []
    papers = Path(args.literature) if args.literature is not None else folder / "literature"
    data = page(folder, scenes, papers, pruned).encode()
    atomic_write(args.output, [data], force=args.force)
    rows = [row for scene in scenes for row in scene.rows]
    done = sum(row.ok for row in rows)
    lines = [("output", f"{args.output}, {len(data):,} bytes")]
    if scenes:
        lines.append(("scenes", ", ".join(scene.name for scene in scenes)))
        lines.append(("rows", f"{done} with a result, {len(rows) - done} without"))
    if pruned:
        count = sum(len(scene.rows) for scene in pruned)
        lines.append(("pruning", f"{count} rows on {', '.join(scene.name for scene in pruned)}"))
    found = {"output": args.output, "bytes": len(data), "scenes": [scene.name for scene in scenes]}
    found |= {"rows": len(rows), "results": done, "pruned": [scene.name for scene in pruned]}
    return Summary(lines, found, to_stderr=args.output in STDOUT)
