"""The section of a report about pruning: what importance scores keep, cost and gain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gscodec_tools.report.images import jpeg_uri, read_picture
from gscodec_tools.report.markup import Markup, element, join, paragraph
from gscodec_tools.report.prune_charts import (
    BYTES_TITLE,
    KEPT_TITLE,
    VIEWS_TITLE,
    coding_points,
    curve_points,
    figures,
    histograms,
    mean_points,
    prune_legend,
    slots_of,
    view_points,
)
from gscodec_tools.report.prune_rows import FOLDER, PruneRow, PruneScene, methods_of
from gscodec_tools.report.prune_tables import (
    bd_section,
    coding_section,
    prune_commands,
    prune_failures,
    time_section,
)

from gscodec.errors import BadInputError

PICTURE_BUDGET = 1_200_000  # bytes of packed pictures of this section
PICTURE_WIDTH = 360


def pruning(folder: Path, scenes: Sequence[PruneScene]) -> Markup:
    """The section. folder: of the results, for the pictures. Raises BadInputError for unreadable pictures."""
    slots = slots_of(scenes)
    about = (
        "Scenes were pruned to a share of their splats, those of highest score, without training after it. Scores that "
        "need views see the views for training (or virtual ones), never the photos; what is left is measured from the "
        "test views: (b) against renders of the whole source, (a) against photos. Scores called ours are those whose "
        "weights were trained by this project; the others are its implementations of what was published."
    )
    parts = [paragraph(about, class_="note"), prune_legend(scenes, slots), _curves(scenes, slots)]
    parts += [element("h3", "Splats saved against opacity"), bd_section(scenes)]
    parts += [element("h3", "Seconds of scores"), time_section(scenes)]
    parts += [_views(scenes, slots), coding_section(scenes), _coding_curves(scenes, slots), histograms(scenes, slots)]
    parts += [prune_pictures(folder, scenes), prune_failures(scenes), prune_commands(scenes)]
    return join(parts)


def _curves(scenes: Sequence[PruneScene], slots: dict[str, int]) -> Markup:
    with_curves = [scene for scene in scenes if scene.of("curve")]
    parts = []
    if len(with_curves) > 1:
        names = ", ".join(scene.name for scene in with_curves)
        points = mean_points(with_curves, curve_points)
        parts.append(figures(f"Mean over {len(with_curves)} scenes", names, points, KEPT_TITLE, slots))
    parts += [figures(scene.name, scene.about, curve_points(scene), KEPT_TITLE, slots) for scene in with_curves]
    return join(parts)


def _views(scenes: Sequence[PruneScene], slots: dict[str, int]) -> Markup:
    found = [scene for scene in scenes if view_points(scene)]
    if not found:
        return join([])
    text = (
        "Scores made from a part of the views, evenly spread, and the same share of the splats kept: how much a score "
        "depends on its views. Scores that need no views are level."
    )
    made = []
    for scene in found:
        kept = ", ".join(f"{100 * share:g} %" for share in sorted({row.retention for row in scene.of("views")}))
        made.append(
            figures(f"{scene.name}: views", f"{kept} of the splats kept", view_points(scene), VIEWS_TITLE, slots)
        )
    return join([element("h3", "Fewer views to score from"), paragraph(text, class_="note"), *made])


def _coding_curves(scenes: Sequence[PruneScene], slots: dict[str, int]) -> Markup:
    found = [scene for scene in scenes if methods_of([scene], "coding")]
    return join(
        figures(f"{scene.name}: coded", "bytes over all splats of the scene", coding_points(scene), BYTES_TITLE, slots)
        for scene in found
    )


def prune_pictures(folder: Path, scenes: Sequence[PruneScene]) -> Markup:
    """The first test view of what each score keeps, where the pictures are there; "" without any."""
    parts: list[Markup] = []
    left = PICTURE_BUDGET
    for scene in scenes:
        found = [(row, path) for row in scene.of("picture") if (path := _path(folder, row)) is not None]
        if not found:
            continue
        order = methods_of([scene], "picture")
        found.sort(key=lambda one: order.index(one[0].method))
        first = found[0]
        views = [("source, all splats", first[1].with_name("source.png")), ("photo", first[1].with_name("photo.png"))]
        views = [(name, path) for name, path in views if path.is_file()]
        views += [(f"{row.name}: {row.kept or 0:,} splats", path) for row, path in found]
        cells = []
        for name, path in views:
            if left <= 0:
                cells.append(paragraph(f"{name}: left out to keep this page small.", class_="empty"))
                continue
            uri = jpeg_uri(read_picture(path), PICTURE_WIDTH)
            left -= len(uri)
            image = element("img", src=uri, alt=f"{scene.name}, first view: {name}")
            cells.append(element("figure", image, element("figcaption", name)))
        kept = f"{100 * first[0].retention:g} % of the splats kept: first view"
        parts.append(element("h4", f"{scene.name}, {kept}"))
        parts.append(element("div", *cells, class_="whole"))
    return join([element("h3", "What scores keep"), *parts]) if parts else join([])


def _path(folder: Path, row: PruneRow) -> Path | None:
    """Where the picture of a row lies; None if it does not. Raises BadInputError for one outside of the results."""
    if not row.picture:
        return None
    parts = PurePosixPath(row.picture)
    if parts.is_absolute() or ".." in parts.parts:
        raise BadInputError(
            "picture outside of the results", field=f"{row.key}: picture", found=row.picture, allowed="a path below"
        )
    path = folder / FOLDER / parts
    return path if path.is_file() else None
