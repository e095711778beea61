"""Figures of pruning: quality over splats kept, over views scored from, over bytes; how scores are distributed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gscodec_tools.report.axes import Axis, linear_axis, minus
from gscodec_tools.report.charts import MEASURES, Measure, legend, number
from gscodec_tools.report.compare import mean_of
from gscodec_tools.report.markup import Markup, details, element, join, table
from gscodec_tools.report.plot import Mark, Series, plot
from gscodec_tools.report.prune_rows import UNPRUNED, PruneRow, PruneScene, method_name, methods_of
from gscodec_tools.report.series import pareto_front

SHOWN = tuple(measure for measure in MEASURES if measure.kind == "psnr")  # (b), and the change on (a)
KEPT_TITLE, VIEWS_TITLE, BYTES_TITLE = "splats kept, %", "views scored from, % of those for training", "bytes per splat"
OTHERS_FIRST = 1  # slot 0, the colour of this project, is that of its own score


@dataclass(frozen=True)
class Point:
    """One row, or the mean of one row of each scene, at ``x``."""

    method: str
    x: float
    rows: tuple[PruneRow, ...]

    def measure(self, name: str) -> float | None:
        """Mean over the rows; None unless every row has it."""
        values = [value for row in self.rows if (value := row.measure(name)) is not None]
        return mean_of(values) if len(values) == len(self.rows) else None


def slots_of(scenes: Sequence[PruneScene]) -> dict[str, int]:
    """The colour and shape of each score, 0 for this project's."""
    methods = methods_of(scenes, "curve", "views", "coding", "picture")
    others = [method for method in methods if method != "rap"]
    first = {"rap": 0} if "rap" in methods else {}
    rest = [*others, UNPRUNED]
    return first | {method: number for number, method in enumerate(rest, start=OTHERS_FIRST)}


def prune_legend(scenes: Sequence[PruneScene], slots: dict[str, int]) -> Markup:
    """Buttons for the scores that have points."""
    methods = methods_of(scenes, "curve", "views")
    return legend({_key(name): (slots[name], method_name(name)) for name in methods}, "scores to show")


def _key(method: str) -> str:
    """What marks of a score are called in the page, apart from codecs."""
    return f"score:{method}"


def mean_points(scenes: Sequence[PruneScene], points: Callable[[PruneScene], list[Point]]) -> list[Point]:
    """Of each score and x that every scene has a result for."""
    found: dict[tuple[str, float], list[PruneRow]] = {}
    for scene in scenes:
        for point in points(scene):
            found.setdefault((point.method, point.x), []).extend(point.rows)
    return [Point(method, x, tuple(rows)) for (method, x), rows in found.items() if len(rows) == len(scenes)]


def curve_points(scene: PruneScene) -> list[Point]:
    """Retention curves: percent of the splats kept."""
    return [Point(row.method, 100 * row.retention, (row,)) for row in scene.of("curve")]


def view_points(scene: PruneScene) -> list[Point]:
    """Percent of the views; a score that needs no views has the same value at every share that others have."""
    rows = scene.of("views")
    shares = sorted({100 * float(Fraction(row.share)) for row in rows if row.share is not None})
    points = [Point(row.method, 100 * float(Fraction(row.share)), (row,)) for row in rows if row.share is not None]
    return points + [Point(row.method, share, (row,)) for row in rows if row.share is None for share in shares]


def coding_points(scene: PruneScene) -> list[Point]:
    """Bytes per splat of the whole scene."""
    return [Point(row.method, row.bytes / row.splats, (row,)) for row in scene.of("coding") if row.bytes]


def figures(title: str, about: str, points: Sequence[Point], x_title: str, slots: dict[str, int]) -> Markup:
    """PSNR against renders (b) and the change against photos (a), side by side, and the numbers as a table."""
    made = [_figure(title, points, measure, x_title, slots) for measure in SHOWN]
    pair = element("div", *made, class_="pair")
    return element("div", element("h3", title, " ", element("small", about)), pair, _data(title, points, x_title))


def _figure(title: str, points: Sequence[Point], measure: Measure, x_title: str, slots: dict[str, int]) -> Markup:
    caption = element("figcaption", measure.caption)
    by_bytes = x_title == BYTES_TITLE
    series = []
    for method, slot in slots.items():
        own = [
            (point.x, value, point)
            for point in points
            if point.method == method and (value := point.measure(measure.field)) is not None
        ]
        if own:
            own.sort(key=lambda one: one[0])
            name = method_name(method)
            marks = [Mark(x, value, _tip(name, point, x_title, measure, value), name) for x, value, point in own]
            line = [(x, value) for x, value, _ in own]
            series.append(Series(_key(method), slot, marks, pareto_front(line) if by_bytes else line))
    if not series:
        return element("figure", caption, element("p", "There are no such numbers.", class_="empty"), class_="psnr")
    marks = [mark for one in series for mark in one.marks]
    x = linear_axis(x_title, [mark.x for mark in marks])
    y = measure.axis(measure.title, [mark.y for mark in marks])
    alt = f"{title}: {measure.title} {measure.caption} over {x_title}. The numbers are in the table."
    return element("figure", caption, plot(alt, x, y, series, measure.zero), class_="psnr")


def _tip(name: str, point: Point, x_title: str, measure: Measure, value: float) -> str:
    kept = mean_of([float(row.kept or 0) for row in point.rows])
    return f"{name}\n{x_title}: {point.x:.1f}\n{kept:,.0f} splats\nPSNR {measure.text(value)}, {measure.caption[:3]}"


def _data(title: str, points: Sequence[Point], x_title: str) -> Markup:
    heads = (
        "score",
        x_title,
        "splats kept",
        "PSNR (b)",
        "8-bit PSNR (b)",
        "SSIM (b)",
        "PSNR (a)",
        "change",
        "SSIM (a)",
    )
    measured = ("psnr_renders", "psnr_8bit_renders", "ssim_renders", "psnr_photos", "delta_psnr_photos", "ssim_photos")
    body = [
        [method_name(point.method), number(point.x, 1), number(point.measure("kept"), 0)]
        + [number(point.measure(name), 5 if "ssim" in name else 3, name.startswith("delta")) for name in measured]
        for point in points
    ]
    caption = f"{title}: all points; (b) against renders of the source, (a) against photos, change from the source"
    return details("The numbers as a table", table(caption, heads, body))


def histograms(scenes: Sequence[PruneScene], slots: dict[str, int]) -> Markup:
    """How the scores that lie in 0..1 are distributed over the splats of each scene; "" without any."""
    made = []
    for scene in scenes:
        series = []
        rows = {row.method: row for row in scene.of("picture") if row.histogram}
        for method, slot in slots.items():
            if method in rows:
                series.append(_bins(method, slot, list(rows[method].histogram or ())))
        if series:
            drawn = element("figcaption", scene.name), _histogram(scene.name, series)
            made.append(element("figure", *drawn, style="max-width:620px"))
    if not made:
        return join([])
    return join([element("h3", "How scores are distributed"), element("div", *made, class_="pair")])


def _bins(method: str, slot: int, counts: Sequence[int]) -> Series:
    """The outline of the bins, with one mark at the highest."""
    total, bins = max(sum(counts), 1), len(counts)
    shares = [100 * count / total for count in counts]
    line = [((place + side) / bins, share) for place, share in enumerate(shares) for side in (0, 1)]
    top = max(range(bins), key=lambda place: shares[place])
    name = method_name(method)
    tip = f"{name}\nscores of {top / bins:g} to {(top + 1) / bins:g}\n{shares[top]:.2f} % of the splats"
    return Series(_key(method), slot, [Mark((top + 0.5) / bins, shares[top], tip, name)], line)


def _histogram(name: str, series: Sequence[Series]) -> Markup:
    x = Axis("score", 0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), lambda tick: minus(f"{tick:g}"), lambda value: value)
    y = linear_axis("splats, %", [share for one in series for _, share in one.line])
    return plot(f"{name}: share of the splats over the score, in bins of equal width", x, y, series)
