"""Bytes by attribute: stacked bars over the rate points of this codec."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gscodec_tools.report.charts import number
from gscodec_tools.report.markup import Markup, details, element, join, paragraph, table
from gscodec_tools.report.rows import Row, Scene
from gscodec_tools.report.series import mean_rows

from gscodec.inspect import contents

SMALL = 0.01  # streams that never reach this share of a file are drawn together
LEGIBLE = 5.5  # percent of the width of the bars from which a part has its number in it
OTHER = "the rest"


def bars(scenes: Sequence[Scene]) -> Markup:
    """The bars of the mean over scenes, or of the one scene, and of every scene as a table."""
    points = _points(scenes)
    if not points:
        return paragraph(
            "There are no sizes of streams: no row of gscodec that all scenes share has stream_bytes.", class_="empty"
        )
    kinds = _kinds(points)
    title = f"mean over {len(scenes)} scenes" if len(scenes) > 1 else scenes[0].name
    widest = max(sum(bits.values()) for _, bits in points)
    lines = [_bar(label, bits, kinds, widest) for label, bits in points]
    body = [
        [label, *(number(bits.get(kind, 0.0), 2) for kind in kinds), number(sum(bits.values()), 2)]
        for label, bits in points
    ]
    heads = ("setting", *kinds, "file")
    return join(
        [
            element("div", *(_key(place, kind) for place, kind in enumerate(kinds)), class_="keys"),
            element("figure", element("figcaption", f"Bits per splat, {title}"), *lines, class_="bars"),
            details("The numbers as a table", table(f"Bits per splat by content, {title}", heads, body)),
        ]
    )


def _points(scenes: Sequence[Scene]) -> list[tuple[str, dict[str, float]]]:
    """(label, bits per splat by content) of the sweep, by size; means over scenes."""
    found = []
    rows = [row for row in mean_rows(scenes) if row.in_sweep and all(own.stream_bytes for own in row.rows)]
    for mean in sorted(rows, key=lambda row: row.measure("bytes") or 0.0):
        parts = [_bits(row) for row in mean.rows]
        names = dict.fromkeys(name for part in parts for name in part)
        found.append((mean.label, {name: float(np.mean([part.get(name, 0.0) for part in parts])) for name in names}))
    small = {
        name for _, bits in found for name in bits if all(b.get(name, 0.0) < SMALL * sum(b.values()) for _, b in found)
    }
    return [(label, _together(bits, small)) for label, bits in found]


def _bits(row: Row) -> dict[str, float]:
    """Bits per splat by content; what the file has beyond its streams is the header and the table of contents."""
    sizes: dict[str, float] = {}
    for kind, size in (row.stream_bytes or {}).items():
        sizes[contents(kind)] = sizes.get(contents(kind), 0.0) + 8 * size / row.splats
    left = 8 * (row.bytes or 0) / row.splats - sum(sizes.values())
    return sizes | ({"header": sizes.get("header", 0.0) + left} if left > 0 else {})


def _together(bits: dict[str, float], small: set[str]) -> dict[str, float]:
    kept = {name: value for name, value in bits.items() if name not in small}
    rest = sum(value for name, value in bits.items() if name in small)
    return kept | ({OTHER: rest} if small else {})


def _kinds(points: Sequence[tuple[str, dict[str, float]]]) -> list[str]:
    names = dict.fromkeys(name for _, bits in points for name in bits if name != OTHER)
    return [*names, *([OTHER] if any(OTHER in bits for _, bits in points) else [])]


def _bar(label: str, bits: dict[str, float], kinds: Sequence[str], widest: float) -> Markup:
    total = sum(bits.values())
    parts = []
    for place, kind in enumerate(kinds):
        width = 100 * bits.get(kind, 0.0) / widest
        share = 100 * bits.get(kind, 0.0) / total
        text = f"{bits.get(kind, 0.0):.1f}" if width >= LEGIBLE else ""
        tip = f"{label}: {kind}\n{bits.get(kind, 0.0):.2f} bits per splat, {share:.1f} %"
        parts.append(element("i", text, class_=f"b{place % 12}", style=f"width:{width:.3f}%", data_tip=tip))
    about = ", ".join(f"{kind} {bits.get(kind, 0.0):.1f}" for kind in kinds)
    alt = f"{label}: {total:.1f} bits per splat: {about}"
    stack = element("span", *parts, class_="stack", role="img", aria_label=alt)
    return element("div", element("b", label), stack, element("em", f"{total:.1f}"), class_="bar")


def _key(place: int, kind: str) -> Markup:
    return element("span", element("i", class_=f"b{place % 12}"), kind, class_="keyed")
