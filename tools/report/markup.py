"""HTML and SVG elements whose text is escaped unless it was made here: nothing in the results can become markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

VOID = {"img", "input", "link", "meta"}  # of HTML, which need no end
SHAPES = {"line", "path", "polyline"}  # of SVG, which close themselves


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Content = str | Iterable[str]


def element(name: str, /, *content: Content, **attributes: object) -> Markup:
    """``<name ...>content</name>``; plain strings are escaped, Markup and lists of them are taken as they are.

    Attributes of None or False are left out, True stands alone; ``class_`` and ``data_tip`` become ``class`` and
    ``data-tip``.
    """
    head = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID or name in SHAPES:
        return Markup(f"<{name}{head}{'/' if name in SHAPES else ''}>")
    return Markup(f"<{name}{head}>{''.join(map(_text, content))}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """The parts one after the other, plain ones escaped."""
    return Markup("".join(map(_text, parts)))


def paragraph(*content: Content, **attributes: object) -> Markup:
    """``<p>``."""
    return element("p", *content, **attributes)


def details(summary: str, *content: Content, opened: bool = False) -> Markup:
    """Content behind a line that opens it."""
    return element("details", element("summary", summary), *content, open=opened)


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1, class_: str | None = None
) -> Markup:
    """A table with a caption, scrolling in itself; columns from number ``texts`` on are numbers, aligned to the right.

    The first cell of a row is its header. A row shorter than the head ends in a cell that spans the rest. A row with
    "mean" in its second cell stands out.
    """
    body = [_row(list(row), len(heads), texts) for row in rows]
    head = [
        element("th", text, scope="col", class_="number" if place >= texts else None)
        for place, text in enumerate(heads)
    ]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head)),
        element("tbody", *body),
        class_=class_,
    )
    return element("div", whole, class_="scroll", role="region", tabindex=0, aria_label=caption)


def _row(cells: list[str], columns: int, texts: int) -> Markup:
    made = []
    for place, cell in enumerate(cells):
        last = place == len(cells) - 1 and len(cells) < columns
        if place == 0:
            made.append(element("th", cell, scope="row"))
        elif last:
            made.append(element("td", cell, colspan=columns - place, class_="note"))
        else:
            made.append(element("td", cell, class_="number" if place >= texts else None))
    return element("tr", *made, class_="mean" if cells[1:2] == ["mean"] else None)


def _text(content: Content) -> str:
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return escape(content, quote=False)
    return "".join(map(_text, content))


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
