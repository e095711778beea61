"""Published numbers, as they stand in the papers: never in one plot or table with what was measured."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from gscodec_tools.report.markup import Markup, details, element, join, paragraph, table

from gscodec.errors import BadInputError

LONG = ["paper", "table", "method", "dataset", "scene", "metric", "value"]
STAMP = "as published, not measured by us"
_DATASETS = {"m360": "Mip-NeRF 360", "tt": "Tanks & Temples", "db": "Deep Blending"}
_WORDS = {"psnr": "PSNR, dB", "ssim": "SSIM", "lpips": "LPIPS", "mb": "MB", "gaussians": "Gaussians"}


def literature(folder: Path) -> Markup:
    """All ``*.csv`` in a folder as tables. Raises BadInputError, naming the file, for one that is no table."""
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        return paragraph(
            f"There are none: no .csv in {folder.name}/ beside the results; --literature names another folder.",
            class_="empty",
        )
    stamp = paragraph(
        element("strong", STAMP.capitalize(), "."),
        " Other scenes, other renderers, other training: quality is against photos, averaged over the scenes of a "
        "dataset. These numbers say what others claim; they are no points of the plots above.",
        class_="stamp",
    )
    return join([stamp, *(_file(path) for path in paths)])


def _file(path: Path) -> Markup:
    rows = _read(path)
    heads = rows[0]
    if heads != LONG:
        caption = f"{path.name}, {STAMP}"
        body = [[cell or "–" for cell in row] for row in rows[1:]]
        return details(f"{path.stem}: {len(body)} methods", table(caption, [_head(name) for name in heads], body))
    tables: dict[tuple[str, str], list[list[str]]] = {}
    for row in rows[1:]:
        tables.setdefault((row[0], row[1]), []).append(row)
    made = [_pivot(paper, number, found) for (paper, number), found in tables.items()]
    papers = ", ".join(dict.fromkeys(paper for paper, _ in tables))
    return details(f"{path.stem}: {papers}, {len(rows) - 1} numbers", *made)


def _pivot(paper: str, number: str, rows: Sequence[Sequence[str]]) -> Markup:
    """One line for each method and dataset, one column for each metric."""
    metrics = list(dict.fromkeys(row[5] for row in rows))
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        found.setdefault((row[2], row[3]), {})[row[5]] = row[6]
    body = [[*place, *(values.get(metric, "–") for metric in metrics)] for place, values in found.items()]
    heads = ("method", "dataset", *(_WORDS.get(metric, metric.replace("_", " ")) for metric in metrics))
    return table(f"{paper}, {number}, {STAMP}", heads, body, 2)


def _head(name: str) -> str:
    data, _, metric = name.partition("_")
    return f"{_DATASETS[data]}: {_WORDS.get(metric, metric)}" if data in _DATASETS and metric else name


def _read(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise BadInputError(f"cannot read table: {error}", field="literature", found=str(path)) from error
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        sizes = sorted({len(row) for row in rows})
        raise BadInputError(
            "not a table", field=f"literature/{path.name}", found=f"rows of {sizes} cells", allowed="a head and rows"
        )
    return rows
