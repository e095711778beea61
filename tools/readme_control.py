"""Targets, progressive files and larger scenes as short Markdown tables, for the README, from the JSON of benches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Tree = dict[str, Any]
PROGRESSIVE_SHARES = (0.25, 0.5, 0.75)


def target_tables(scenes: Sequence[Tree]) -> list[str]:
    """Lines from the scenes of targets.json: how near targets are met, then what pruning is worth at equal ratio."""
    if not scenes:
        return []
    return [
        "Targets of size, ratio and PSNR, by `tools/bench_targets.py`: size against that asked, PSNR against the floor",
        "asked, from the views that the control sees, each where it decides. Seconds include scores and renders.",
        "",
        "| scene | targets | size | PSNR over floor | encodes: mean, max | seconds: mean, max |",
        "|---|---|---|---|---|---|",
        *map(_target_line, scenes),
        "",
        *_ratio_table(scenes),
    ]


def _target_line(scene: Tree) -> str:
    rows = [row for row in scene["rows"] if "error" not in row]
    missed = len(scene["rows"]) - len(rows)
    sizes = [100 * row["size_deviation"] for row in rows if row["size_deviation"] is not None and not _by_floor(row)]
    floors = [row["psnr_above_floor"] for row in rows if _by_floor(row)]
    trials = [row["trials"] for row in rows]
    seconds = [row["seconds"] + scene["preparation"][_preparation(row)]["seconds"] for row in rows]
    cells = [
        f"{len(scene['rows'])}{f', {missed} out of reach' if missed else ''}",
        _span(sizes, 1, " %"),
        _span(floors, 2, " dB"),
        f"{sum(trials) / len(trials):.1f}, {max(trials)}" if rows else "–",
        f"{sum(seconds) / len(seconds):.0f}, {max(seconds):.0f}" if rows else "–",
    ]
    return f"| {scene['scene']}, {scene['splats']:,} splats | {' | '.join(cells)} |"


def _by_floor(row: Tree) -> bool:
    """Whether the floor decided: alone, or because the size asked would have fallen below it."""
    asked = row["asked"]
    return asked["min_psnr"] is not None and (asked["size"] is None or row["bytes"] > asked["size"])


def _preparation(row: Tree) -> str:
    """The key of the scene's ``preparation`` that the row's target shares with others."""
    asked = row["asked"]
    return f"{asked['views']}{'' if asked['pruning'] else ', no pruning'}"


def _span(values: Sequence[float], digits: int, unit: str) -> str:
    if not values:
        return "–"
    low, high = (f"{round(value, digits) + 0.0:+.{digits}f}" for value in (min(values), max(values)))  # no -0.0
    return f"{low} to {high}{unit}"


def _ratio_table(scenes: Sequence[Tree]) -> list[str]:
    """PSNR on test views by ratio, of pairs that differ in pruning alone."""
    found = [(_by_ratio(scene, pruning=True), _by_ratio(scene, pruning=False)) for scene in scenes]
    pairs = [{ratio: (own[ratio], other[ratio]) for ratio in own if ratio in other} for own, other in found]
    ratios = sorted({ratio for pair in pairs for ratio in pair})
    if not ratios:
        return []
    lines = [
        "PSNR of test views, which the control does not see: where it may prune, and by quality and SH degree alone.",
        "",
        f"| times smaller | {' | '.join(scene['scene'] for scene in scenes)} |",
        "|---" * (len(scenes) + 1) + "|",
    ]
    for ratio in ratios:
        cells = ["{:.2f}, {:.2f} dB".format(*pair[ratio]) if ratio in pair else "–" for pair in pairs]
        lines.append(f"| {ratio:g} | {' | '.join(cells)} |")
    return [*lines, ""]


def _by_ratio(scene: Tree, pruning: bool) -> dict[float, float]:
    """PSNR of test views of targets that are a ratio alone, judged from the capture's views."""
    asked = {"min_psnr": None, "views": "capture", "pruning": pruning}
    return {
        row["asked"]["ratio"]: row["test_psnr"]
        for row in scene["rows"]
        if "error" not in row and asked.items() <= row["asked"].items()
    }


def larger_table(scale: Tree) -> list[str]:
    """Lines from scale.json: sizes beyond the first; none where only one was measured."""
    sizes = scale.get("larger") or []
    if not sizes:
        return []
    return [
        "| larger, whole command | bytes per splat | encode | decode | peak memory, GB | of the floats |",
        "|---|---|---|---|---|---|",
        *(f"| {size['splats']:,} splats, {_larger_cells(row)} |" for size in sizes for row in size["rows"]),
        "",
    ]


def _larger_cells(row: Tree) -> str:
    ways = row["encode"], row["decode"]
    seconds = " | ".join(f"{way['seconds']:.0f} s" for way in ways)
    peak = " / ".join(f"{way['peak_bytes'] / 1e9:.1f}" for way in ways)
    floats = " / ".join(f"{way['peak_to_floats']:.1f}" for way in ways)
    return f"{row['format']} | {row['bytes_per_splat']:.1f} | {seconds} | {peak} | {floats}"


def progressive_table(scenes: Sequence[Tree]) -> list[str]:
    """Lines from the scenes of progressive.json: what the first part of a file shows."""
    if not scenes:
        return []
    lines = [
        "PSNR of the first part of a normal file, of a progressive one, and of a whole file encoded to that size:",
        "",
        f"| first part | {' | '.join(scene['scene'] for scene in scenes)} |",
        "|---" * (len(scenes) + 1) + "|",
    ]
    for share in PROGRESSIVE_SHARES:
        lines.append(f"| {100 * share:g} % | {' | '.join(_cut_cell(scene, share) for scene in scenes)} |")
    costs = " | ".join(f"{scene['overhead_percent_at_equal_psnr']:+.1f} %" for scene in scenes)
    return [*lines, f"| bytes that being progressive costs at equal PSNR | {costs} |", ""]


def _cut_cell(scene: Tree, share: float) -> str:
    found = [cut for cut in scene["cuts"] if cut["share"] == share]
    if not found:
        return "–"
    values = found[0]["normal"]["psnr"], found[0]["progressive"]["psnr"], found[0]["separate_psnr"]
    return f"{', '.join('–' if value is None else f'{value:.1f}' for value in values)} dB"


def palette_table(rows: Sequence[Tree]) -> list[str]:
    """Lines from the rows of palette.json: scenes of which SH were vectors of a codebook."""
    if not rows:
        return []
    lines = [
        "Scenes whose SH were quantised as vectors before (by a k-means; skull: from a SOG file): bytes and PSNR with",
        "components of each splat, and as gsenc codes them: by a palette where bytes and errors together cost less.",
        "",
        "| scene, vectors | quality | components | as coded | palette |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [f"{row[kind]['bytes']:,}, {row[kind]['psnr']:.2f} dB" for kind in ("components", "chosen")]
        head = f"{row['scene']}, {row['entries']:,} | {row['quality']:g}"
        lines.append(f"| {head} | {' | '.join(cells)} | {'yes' if row['palette'] else 'no'} |")
    return [*lines, ""]
