"""Results as text: lines for people, JSON for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from gscodec.inspect import bits_per_splat, contents


def per_splat(size: int, splats: int) -> str:
    """ ", 124.6 bits (15.58 bytes) per splat", or nothing where there are no splats."""
    return f", {8 * size / splats:.1f} bits ({size / splats:.2f} bytes) per splat" if splats else ""


def stream_lines(sizes: Mapping[str, int], splats: int) -> Iterator[tuple[str, str]]:
    """A table of bytes, share and bits per splat by stream kind, with the sum."""
    total = sum(sizes.values())
    rows = [(contents(kind), kind, size) for kind, size in sizes.items()] + [("all", "", total)]
    wide, high = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    digits = len(f"{total:,}")
    for number, (what, kind, size) in enumerate(rows):
        bits = bits_per_splat(size, splats)
        rate = "" if bits is None else f"  {bits:8.2f} bits per splat"
        share = size / total if total else 0.0
        text = f"{what:<{wide}}  {kind:<{high}}  {size:>{digits},} bytes  {100 * share:5.1f} %{rate}"
        yield ("streams" if number == 0 else "", text)


def printable(text: str) -> str:
    """Text of a file or from a file for a terminal: on one line, control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def json_text(data: Mapping[str, Any]) -> str:
    """One line of strict JSON: numbers that it cannot say become null, unknown objects their text."""
    return json.dumps(_plain(data), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else _scalar(value)


def _scalar(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | str) else str(value)
