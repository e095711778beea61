"""How scores are distributed: as data for --json, and as lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
BINS = 16
_BAR = 40  # characters


def score_data(scores: npt.NDArray[np.float32], kept: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Quantiles and a histogram of the finite scores; how many are zero, infinite or NaN; the lowest score kept.

    The bins are equal steps of the logarithm where all scores are at least 0 and span more than two decades; zeros
    are counted beside.
    """
    finite = np.sort(scores[np.isfinite(scores)].astype(np.float64))
    positive = finite[finite > 0]
    logarithmic = bool(len(positive) and finite[0] >= 0 and positive[-1] > 100 * positive[0])
    binned = np.log10(positive) if logarithmic else finite
    counts, edges = np.histogram(binned, BINS) if len(binned) else (np.zeros(0, np.int64), np.zeros(0))
    if logarithmic:
        edges = 10.0**edges
    alive = scores[kept & ~np.isnan(scores)]
    return {
        "splats": len(scores),
        "zero": int(np.count_nonzero(scores == 0)),
        "infinite": int(np.count_nonzero(np.isinf(scores))),
        "nan": int(np.count_nonzero(np.isnan(scores))),
        "mean": float(finite.mean()) if len(finite) else None,
        "lowest_kept": float(alive.min()) if len(alive) else None,
        "quantiles": {f"{q:g}": float(np.quantile(finite, q)) for q in QUANTILES} if len(finite) else {},
        "histogram": {
            "scale": "logarithmic, zeros left out" if logarithmic else "linear",
            "edges": [float(edge) for edge in edges],
            "counts": [int(count) for count in counts],
        },
    }


def score_lines(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The lines of a Summary for people."""
    lowest = data["lowest_kept"]
    text = f"{data['zero']:,} of {data['splats']:,} are zero, {data['infinite']:,} infinite, {data['nan']:,} NaN"
    lines = [("scores", text + ("" if lowest is None else f"; lowest kept {lowest:.6g}"))]
    quantiles = list(data["quantiles"].items())
    for start in range(0, len(quantiles), 6):
        row = quantiles[start : start + 6]
        lines.append(("", "  ".join(f"{100 * float(q):g} %: {value:.4g}" for q, value in row)))
    edges, counts = data["histogram"]["edges"], data["histogram"]["counts"]
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        bar = "#" * round(_BAR * count / max(counts))
        lines.append(("", f"{low:>11.4g} to {high:>11.4g}  {count:>11,}  {bar}".rstrip()))
    return lines
