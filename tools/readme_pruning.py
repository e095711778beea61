"""The rows of `gsrd prune` as short Markdown tables, for the README. The arithmetic is that of the report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gscodec_tools.report.compare import mean_of
from gscodec_tools.report.prune_compare import PruneDelta, coding_deltas, pruning_deltas
from gscodec_tools.report.prune_rows import ANCHOR, UNPRUNED, PruneRow, PruneScene, method_name, methods_of
from gscodec_tools.report.prune_tables import timed_row

KEPT = (0.85, 0.65, 0.45, 0.25)  # shares to show, or the nearest that were measured
ROOT = Path(__file__).parent.parent
CARDS = Path("gscodec/importance")  # a score that was trained has its model card here


def pruning_tables(scenes: Sequence[PruneScene]) -> list[str]:
    """Lines: scores against the opacity, then coding after pruning; a table that would have no row is left out."""
    return [*_score_table(scenes), *_coding_table(scenes)]


def _score_table(scenes: Sequence[PruneScene]) -> list[str]:
    scenes = [scene for scene in scenes if scene.of("curve")]
    if not scenes:
        return []
    deltas = pruning_deltas(scenes, "psnr_renders")
    shares = _nearest({row.retention for scene in scenes for row in scene.of("curve")})
    names = [scene.name for scene in scenes]
    heads = ["score", f"BD-rate: {', '.join([*names, *_mean_head(scenes)])}"]
    heads += [f"PSNR, {name}" for name in names]
    lines = [
        "Pruning, by `gsrd prune`: BD-rate is the change of the number of splats kept from opacity to the score, at",
        "equal PSNR against renders of the whole scene, as in RAP's Table 1 (negative: fewer splats). PSNR is in dB,",
        f"with {' / '.join(f'{100 * share:g}' for share in shares)} % kept. Seconds are per million splats on the CPU,",
        f"reading the .ply included, mean of the scenes{_views_seen(scenes)}.",
        *_cautions(scenes),
        "",
        *_head([*heads, "seconds", "renders"]),
    ]
    for method in methods_of(scenes, "curve"):
        rates = _rates([delta for delta in deltas if delta.method == method], names)
        cells = ["reference" if method == ANCHOR else ", ".join(rates)]
        cells += [" / ".join(_psnr(scene.of("curve", method), share) for share in shares) for scene in scenes]
        timed = [row for scene in scenes if (row := timed_row(scene.of("curve", method))) is not None]
        cells.append(f"{mean_of([row.measure('seconds_per_million') or 0.0 for row in timed]):.1f}" if timed else "–")
        cells.append("yes" if _sees(scenes, method) else "no")
        lines.append(f"| {method_name(method)} | {' | '.join(cells)} |")
    return [*lines, "", *_mark([delta for delta in deltas if delta.method != ANCHOR])]


def _nearest(retentions: set[float]) -> list[float]:
    """The share measured nearest to each of KEPT, of two the smaller; each once."""
    found = (min(retentions, key=lambda own: (round(abs(own - share), 6), own)) for share in KEPT)
    return list(dict.fromkeys(found))


def _psnr(rows: Sequence[PruneRow], share: float) -> str:
    found = [row for row in rows if row.retention == share]
    if not found:
        return "–"
    return "equal" if found[0].psnr_renders is None else f"{found[0].psnr_renders:.1f}"


def _sees(scenes: Sequence[PruneScene], method: str) -> bool:
    return any(row.scoring_views is not None for scene in scenes for row in scene.of("curve", method))


def _views_seen(scenes: Sequence[PruneScene]) -> str:
    """From how many views scores are made, where there are such."""
    words = []
    for scene in scenes:
        seen = [row.scoring_views for row in scene.of("curve") if row.scoring_views is not None]
        words += [f"{seen[0].get('count', '?')} {seen[0].get('kind', '')} views of {scene.name}"] if seen else []
    return f"; scores that render see {' and '.join(words)}" if words else ""


def _cautions(scenes: Sequence[PruneScene]) -> list[str]:
    """A line for each score whose model card counts one of these scenes among those it was trained on."""
    lines = []
    for method in methods_of(scenes, "curve"):
        card = CARDS / f"{method.replace('-', '_')}.md"
        if not (ROOT / card).is_file():
            continue
        trained = re.findall(r"^\| trained on \|.*$", (ROOT / card).read_text(encoding="utf-8"), re.MULTILINE)
        counts = re.findall(r"([\d,]+) splats", " ".join(trained))
        known = [scene.name for scene in scenes if f"{scene.rows[0].splats:,}" in counts]
        if known:
            lines.append(
                f"{method_name(method)} has learned from {' and '.join(known)}: its numbers there, and any mean, "
                f"are not held-out; [these]({card.as_posix()}) are."
            )
    return lines


def _coding_table(scenes: Sequence[PruneScene]) -> list[str]:
    scenes = [scene for scene in scenes if scene.of("coding", UNPRUNED)]
    names = [scene.name for scene in scenes]
    found = {what: coding_deltas(scenes, f"psnr_{what}") for what in ("renders", "photos")}
    tables = []
    for method in methods_of(scenes, "coding"):
        removed = sorted({100 * (1 - row.retention) for scene in scenes for row in scene.of("coding", method)})
        title = f"{' or '.join(f'{share:.3g}' for share in removed)} % pruned by {method_name(method)}, then coded"
        tables += _head([title, *names, *_mean_head(scenes)])
        for what, deltas in found.items():
            cells = _rates([delta for delta in deltas if delta.method == method], names)
            tables.append(f"| bytes at equal PSNR on {what} | {' | '.join(cells)} |")
        tables += [_photo_line(scenes, method), ""]
    if not tables:
        return []
    return [
        "Pruning before coding, against coding all splats: BD-rate, and PSNR on photos at equal quality settings.",
        "",
        *tables,
        *_mark([delta for deltas in found.values() for delta in deltas]),
    ]


def _photo_line(scenes: Sequence[PruneScene], method: str) -> str:
    """The change of PSNR on photos by pruning, by quality; the mean where all scenes have one."""
    changes = [_photo_changes(scene, method) for scene in scenes]
    qualities = sorted({quality for change in changes for quality in change})
    cells = [[change.get(quality) for quality in qualities] for change in changes]
    if len(scenes) > 1:
        columns = [[db for db in column if db is not None] for column in zip(*cells, strict=True)]
        cells.append([mean_of(column) if len(column) == len(scenes) else None for column in columns])
    words = [" / ".join("–" if db is None else f"{round(db, 2) + 0.0:+.2f}" for db in cell) for cell in cells]
    at = " / ".join(f"q{quality:g}" for quality in qualities)
    return f"| change on photos at {at}, dB | {' | '.join(words)} |"  # + 0.0 above: no minus before a zero


def _photo_changes(scene: PruneScene, method: str) -> dict[float, float]:
    """PSNR on photos in dB with pruning minus that without, by quality."""
    whole = {row.quality: row.psnr_photos for row in scene.of("coding", UNPRUNED)}
    changes = {}
    for row in scene.of("coding", method):
        before = whole.get(row.quality)
        if row.quality is not None and row.psnr_photos is not None and before is not None:
            changes[row.quality] = row.psnr_photos - before
    return changes


def _rates(own: Sequence[PruneDelta], names: Sequence[str]) -> list[str]:
    """BD-rate of each scene, and their mean where there are several."""
    by_scene = {delta.scene: delta for delta in own}
    cells = [_rate(by_scene.get(name)) for name in names]
    rates = [delta.rate.pchip for delta in own if delta.rate is not None]
    if len(names) > 1:
        some = "" if len(rates) == len(names) else f" ({len(rates)} of {len(names)})"
        cells.append(f"{mean_of(rates):+.1f} %{some}" if rates else "–")
    return cells


def _rate(delta: PruneDelta | None) -> str:
    if delta is None or delta.rate is None:
        return "–"
    return f"{delta.rate.pchip:+.1f} %{'*' if delta.notes else ''}"


def _mark(deltas: Sequence[PruneDelta]) -> list[str]:
    if not any(delta.rate is not None and delta.notes for delta in deltas):
        return []
    return ["\\* A curve is not monotone, or the interpolations differ: see `gsrd report`.", ""]


def _mean_head(scenes: Sequence[PruneScene]) -> list[str]:
    return ["mean"] if len(scenes) > 1 else []


def _head(cells: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(cells)} |", "|---" * len(cells) + "|"]
