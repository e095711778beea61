"""Scatter plots as inline SVG that takes its colours from the page, with points that tell what they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gscodec_tools.report.axes import Axis
from gscodec_tools.report.markup import Markup, element, join

Box = tuple[float, float, float, float]  # left, top, right, bottom in units of the plot
Place = Callable[[tuple[float, float]], tuple[float, float]]  # where values are drawn

WIDTH, HEIGHT = 560, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 14, 52
LETTER = 8.2  # width of one of a label, on average, in units of the plot
RADIUS = 5.0

_SHAPES = (
    "M0 -1A1 1 0 1 1 -.01 -1Z",
    "M-.9 -.9H.9V.9H-.9Z",
    "M0 -1.2L1.1 .8H-1.1Z",
    "M0 -1.3L1.3 0L0 1.3L-1.3 0Z",
    "M0 1.2L1.1 -.8H-1.1Z",
    "M-.35 -1.2H.35V-.35H1.2V.35H.35V1.2H-.35V.35H-1.2V-.35H-.35Z",
    "M0 -1.2L1.14 -.37L.7 .97H-.7L-1.14 -.37Z",
)
COLOURS = 8  # as the style sheet has: this codec's and seven others


@dataclass(frozen=True)
class Mark:
    """A point: values, the text that it shows when pointed at, and a label for beside it.

    A label is drawn once in a series, at its highest mark that has room.
    """

    x: float
    y: float
    tip: str
    label: str = ""


@dataclass(frozen=True)
class Series:
    """Marks of one colour and shape. line: the points to join, by x. slot 0 is this codec."""

    codec: str
    slot: int
    marks: Sequence[Mark]
    line: Sequence[tuple[float, float]] = field(default=())


def symbol(slot: int, x: float = 0.0, y: float = 0.0, radius: float = RADIUS) -> Markup:
    """The marker of a series; colours and shapes have different periods, so that 42 others differ."""
    shape = _SHAPES[0 if slot == 0 else 1 + (slot - 1) % (len(_SHAPES) - 1)]
    return element("path", d=shape, transform=f"translate({x:.1f} {y:.1f}) scale({radius:g})")


def series_class(slot: int) -> str:
    """The class that gives a series its colour."""
    return f"c{0 if slot == 0 else 1 + (slot - 1) % (COLOURS - 1)}"


def plot(alt: str, x: Axis, y: Axis, series: Sequence[Series], zero: bool = False) -> Markup:
    """The SVG element. zero: draw the line y = 0, the source."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at(values: tuple[float, float]) -> tuple[float, float]:
        return LEFT + x.place(values[0]) * (right - LEFT), bottom - y.place(values[1]) * (bottom - TOP)

    parts = [*_grid(x, y, at), _titles(x, y)]
    if zero:
        level = at((x.low, 0.0))[1]
        parts.append(element("line", x1=LEFT, x2=right, y1=f"{level:.1f}", y2=f"{level:.1f}", class_="zero"))
    taken = [_around(*at((mark.x, mark.y))) for one in series for mark in one.marks]
    for one in series:
        for first, last in zip(one.line, one.line[1:], strict=False):
            taken += _along(at(first), at(last))
    labels: list[Markup] = []
    for one in series:
        labels += _labels(one, at, taken)
    for one in reversed(series):  # ours on top
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in map(at, one.line))
        inner = [element("polyline", points=line)] if len(one.line) > 1 else []
        for mark in one.marks:
            place = at((mark.x, mark.y))
            inner.append(element("g", symbol(one.slot, *place), class_="mark", data_tip=mark.tip))
        parts.append(element("g", *inner, class_=f"series {series_class(one.slot)}", data_codec=one.codec))
    return element("svg", *parts, *labels, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=alt, class_="plot")


def _grid(x: Axis, y: Axis, at: Place) -> list[Markup]:
    parts = []
    for tick in x.ticks:
        place = f"{at((tick, y.low))[0]:.1f}"
        parts.append(element("line", x1=place, x2=place, y1=TOP, y2=HEIGHT - BOTTOM, class_="grid"))
        parts.append(element("text", x.tick_text(tick), x=place, y=HEIGHT - BOTTOM + 19, class_="tick middle"))
    for tick in y.ticks:
        level = at((x.low, tick))[1]
        parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{level:.1f}", y2=f"{level:.1f}", class_="grid"))
        parts.append(element("text", y.tick_text(tick), x=LEFT - 7, y=f"{level + 4.5:.1f}", class_="tick end"))
    return parts


def _titles(x: Axis, y: Axis) -> Markup:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return join(
        [
            element("text", x.title, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 10, class_="axis middle"),
            element("text", y.title, transform=f"translate(14 {middle:.0f}) rotate(-90)", class_="axis middle"),
        ]
    )


def _labels(one: Series, at: Place, taken: list[Box]) -> list[Markup]:
    """Labels of a series where there is room for them; what is drawn is added to ``taken``."""
    made: list[Markup] = []
    done = {""}
    for mark in sorted(one.marks, key=lambda mark: -mark.y):
        if mark.label in done:
            continue
        px, py = at((mark.x, mark.y))
        wide = LETTER * len(mark.label)
        for left, base, anchor in _candidates(px, py, wide):
            box = (left, base - 11.0, left + wide, base + 3.0)
            inside = box[0] >= LEFT and box[2] <= WIDTH - RIGHT + 6 and box[1] >= TOP and box[3] <= HEIGHT - BOTTOM
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                done.add(mark.label)
                start = {"start": left, "end": left + wide, "middle": left + wide / 2}[anchor]
                attributes = {"x": f"{start:.1f}", "y": f"{base:.1f}", "data_codec": one.codec}
                made.append(
                    element("text", mark.label, class_=f"label {anchor} {series_class(one.slot)}", **attributes)
                )
                break
    return made


def _candidates(px: float, py: float, wide: float) -> list[tuple[float, float, str]]:
    """(left edge, base line, anchor): right, below right, above left, left, above, below."""
    return [
        (px + 9, py + 4.5, "start"),
        (px + 7, py + 16, "start"),
        (px - 7 - wide, py - 7, "end"),
        (px - 9 - wide, py + 4.5, "end"),
        (px - wide / 2, py - 11, "middle"),
        (px - wide / 2, py + 20, "middle"),
        (px + 7, py - 8, "start"),
        (px - 7 - wide, py + 16, "end"),
        (px - wide / 2, py - 20, "middle"),
        (px - wide / 2, py + 29, "middle"),
        (px + 22, py + 30, "start"),
    ]


def _around(px: float, py: float) -> Box:
    return px - RADIUS - 1, py - RADIUS - 1, px + RADIUS + 1, py + RADIUS + 1


def _along(first: tuple[float, float], last: tuple[float, float]) -> list[Box]:
    """Small boxes along a line, so that labels keep off it."""
    count = int(max(abs(last[0] - first[0]), abs(last[1] - first[1])) // 6) + 1
    boxes = []
    for step in range(count + 1):
        px = first[0] + (last[0] - first[0]) * step / count
        py = first[1] + (last[1] - first[1]) * step / count
        boxes.append((px - 1.5, py - 1.5, px + 1.5, py + 1.5))
    return boxes


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
