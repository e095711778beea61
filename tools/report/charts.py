"""Rate-distortion figures: (b) against renders of the source, and beside it (a) the change against photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gscodec_tools.report.axes import Axis, change_axis, linear_axis, log_axis, minus, ssim_axis
from gscodec_tools.report.markup import Markup, details, element, join, paragraph, table
from gscodec_tools.report.plot import Mark, Series, plot, series_class, symbol
from gscodec_tools.report.rows import Row, Scene, codec_name
from gscodec_tools.report.series import MeanRow, codecs_of, mean_rows, pareto_front

Rows = Sequence[Row] | Sequence[MeanRow]


@dataclass(frozen=True)
class Measure:
    """What a plot shows up its y axis."""

    field: str
    kind: str
    title: str
    caption: str
    axis: Callable[[str, Sequence[float]], Axis]
    text: Callable[[float], str]
    zero: bool = False


def _signed(digits: int, unit: str) -> Callable[[float], str]:
    return lambda value: minus(f"{value:+.{digits}f}{unit}")


MEASURES = (
    Measure(
        "psnr_renders", "psnr", "PSNR, dB", "(b) against renders of the source", linear_axis, lambda v: f"{v:.2f} dB"
    ),
    Measure(
        "delta_psnr_photos",
        "psnr",
        "change of PSNR, dB",
        "(a) against photos, change from the source",
        lambda title, values: change_axis(title, values, 0.05),
        _signed(3, " dB"),
        True,
    ),
    Measure("ssim_renders", "ssim", "SSIM", "(b) against renders of the source", ssim_axis, lambda v: f"{v:.5f}"),
    Measure(
        "delta_ssim_photos",
        "ssim",
        "change of SSIM",
        "(a) against photos, change from the source",
        lambda title, values: change_axis(title, values, 0.001),
        _signed(5, ""),
        True,
    ),
)


def curves(scenes: Sequence[Scene]) -> Markup:
    """Switch, legend, the figure of the mean where there are several scenes, and one for each scene."""
    slots = slots_of(scenes)
    parts = [
        _switch(),
        legend({codec: (slot, codec_name(codec)) for codec, slot in slots.items()}, "codecs to show"),
        paragraph(
            "Up and to the left is better. Point at a mark, or tap near it, for its numbers; the buttons show and hide "
            "codecs. The line of a codec joins the settings that no smaller file of it equals (its Pareto front). "
            "Rates are whole files, in bits per splat of the source, on a logarithmic axis; SSIM is spaced by "
            "what is missing to 1. Changes against photos are spaced evenly near 0 and by their logarithm beyond it.",
            class_="note",
        ),
    ]
    if len(scenes) > 1:
        rows = mean_rows(scenes)
        if any(row.codec == "gscodec" for row in rows):
            views = "; ".join(f"{scene.name}: {scene.view_text}" for scene in scenes)
            parts.append(_figures(f"Mean over {len(scenes)} scenes", views, rows, slots))
    parts += [
        _figures(scene.name, f"{scene.rows[0].splats:,} splats, {scene.view_text}", scene.results, slots)
        for scene in scenes
    ]
    return join(parts)


def slots_of(scenes: Sequence[Scene]) -> dict[str, int]:
    """The colour and shape of each codec, 0 for this one, all over the page."""
    others = [codec for codec in codecs_of(scenes) if codec != "gscodec"]
    return {"gscodec": 0} | {codec: number for number, codec in enumerate(others, start=1)}


def _figures(title: str, about: str, rows: Rows, slots: dict[str, int]) -> Markup:
    figures = [_figure(title, rows, measure, slots) for measure in MEASURES]
    head = element("h3", title, " ", element("small", about))
    return element("div", head, element("div", *figures, class_="pair"), _data(title, rows), class_="curves")


def _figure(title: str, rows: Rows, measure: Measure, slots: dict[str, int]) -> Markup:
    caption = element("figcaption", measure.caption)
    series = [_series(codec, slot, rows, measure) for codec, slot in slots.items()]
    series = [one for one in series if one.marks]
    if not series:
        text = paragraph("There are no such numbers: " + _why_none(rows, measure), class_="empty")
        return element("figure", caption, text, class_=measure.kind)
    marks = [mark for one in series for mark in one.marks]
    values = [mark.y for mark in marks]
    x = log_axis("bits per splat", [mark.x for mark in marks])
    y = measure.axis(measure.title, values)
    names = ", ".join(codec_name(one.codec) for one in series)
    alt = f"{title}: {measure.title} {measure.caption} over bits per splat, for {names}. The numbers are in the table."
    return element("figure", caption, plot(alt, x, y, series, measure.zero), class_=measure.kind)


def _why_none(rows: Rows, measure: Measure) -> str:
    if "photos" in measure.field:
        return "no row compares with photos, or not on every scene."
    return "every result is equal to its source." if rows else "there is no result."


def _series(codec: str, slot: int, rows: Rows, measure: Measure) -> Series:
    marks, joined = [], []
    own = [row for row in rows if row.codec == codec and not row.matches]
    found = [(row.measure("bits_per_splat"), row.measure(measure.field), row) for row in own]
    for rate, value, row in found:
        if rate is None or value is None or (slot == 0 and not row.in_sweep):  # ours and lossless: no loss to show
            continue
        marks.append(Mark(rate, value, _tip(row, measure), row.label if slot == 0 else codec_name(codec)))
        joined.append((rate, value))
    return Series(codec, slot, marks, pareto_front(joined))


def _tip(row: Row | MeanRow, measure: Measure) -> str:
    rate, value = row.measure("bits_per_splat"), row.measure(measure.field)
    size = row.measure("bytes")
    lines = [row.name, f"{size:,.0f} bytes, {rate:.1f} bits per splat"]
    lines.append(f"{'SSIM' if measure.kind == 'ssim' else 'PSNR'} {measure.text(value or 0.0)}, {measure.caption[:3]}")
    return "\n".join(lines)


def _data(title: str, rows: Rows) -> Markup:
    heads = ("codec, setting", "bytes", "bits per splat", "PSNR (b)", "8-bit PSNR (b)", "SSIM (b)")
    heads += ("PSNR (a)", "change", "8-bit PSNR (a)", "SSIM (a)", "change")
    fields = ("psnr_renders", "psnr_8bit_renders", "ssim_renders")
    fields += ("psnr_photos", "delta_psnr_photos", "psnr_8bit_photos", "ssim_photos", "delta_ssim_photos")
    body = []
    for row in rows:
        cells = [row.name, number(row.measure("bytes"), 0), number(row.measure("bits_per_splat"), 2)]
        cells += [number(row.measure(name), 5 if "ssim" in name else 3, name.startswith("delta")) for name in fields]
        body.append(cells)
    caption = f"{title}: all points; (b) against renders of the source, (a) against photos, change from the source"
    return details("The numbers as a table", table(caption, heads, body))


def number(value: float | None, digits: int, signed: bool = False) -> str:
    """A number for a table, "–" for none."""
    if value is None:
        return "–"
    return minus(f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}")


def _switch() -> Markup:
    options = []
    for kind, text in (("psnr", "PSNR"), ("ssim", "SSIM")):
        box = element("input", type="radio", name="measure", id=f"measure-{kind}", checked=kind == "psnr")
        options += [box, element("label", text, for_=f"measure-{kind}")]
    return element("div", *options, class_="switch", role="radiogroup", aria_label="measure of the curves")


def legend(series: dict[str, tuple[int, str]], about: str) -> Markup:
    """Buttons that show and hide series: slot and name of each by what its marks are called in the plots."""
    buttons = []
    for key, (slot, name) in series.items():
        mark = element("svg", symbol(slot, 8, 8, 5.5), viewBox="0 0 16 16", aria_hidden="true", class_="key")
        classes = f"legend {series_class(slot)}"
        buttons.append(
            element("button", mark, name, type="button", class_=classes, aria_pressed="true", data_toggle=key)
        )
    return element("div", *buttons, class_="legends", role="group", aria_label=about)
