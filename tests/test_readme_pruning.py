"""The README's tables of pruning, line by line; their deltas are those of the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gscodec_tools import readme_pruning
from gscodec_tools.readme_pruning import pruning_tables
from gscodec_tools.report.prune_compare import coding_deltas, pruning_deltas
from gscodec_tools.report.prune_rows import load_pruning
from prune_results import curve_row, curves, write

QUALITIES = {40.0: 30.0, 50.0: 36.0, 60.0: 41.0, 70.0: 46.0}
VIEWS = {"kind": "train", "count": 8, "seed": None}


def coding_row(method: str, quality: float, size: int, psnr: float, photos: float) -> dict[str, Any]:
    kept = 1.0 if method == "none" else 0.8
    changes = {"kind": "coding", "quality": quality, "bytes": size, "psnr_photos": photos}
    return curve_row(method, kept, psnr, **changes, key=f"{method} {quality}")


def coding(pruned: float = 0.9) -> list[dict[str, Any]]:
    rows = []
    for quality, psnr in QUALITIES.items():
        size = round(100 * 1.05**quality)
        rows.append(coding_row("none", quality, size, psnr, psnr - 20.0))
        rows.append(coding_row("rap", quality, round(pruned * size), psnr - 0.02, psnr - 20.01))
    return rows


def test_scores_against_opacity(tmp_path: Path) -> None:
    slow = [row | {"scoring_views": VIEWS, "seconds_per_million": 20.0} for row in curves() if row["method"] == "rap"]
    rows = [*curves(), *(row | {"method": "eagles", "key": f"e{row['retention']}"} for row in slow)]
    write(tmp_path, rows)
    write(tmp_path, [row | {"seconds_per_million": 100.0} for row in curves()], "attic")
    scenes = load_pruning(tmp_path)
    rates = {(delta.method, delta.scene): delta.rate for delta in pruning_deltas(scenes, "psnr_renders")}
    rate = rates["rap", "yard"]
    assert rate is not None
    assert rate == rates["rap", "attic"] == rates["eagles", "yard"]
    number, names = f"{rate.pchip:+.1f} %", "attic, yard"
    own, other = "52.0 / 38.0 / 30.0 / 24.0", "45.0 / 33.0 / 26.0 / 20.0"
    assert pruning_tables(scenes)[2:] == [
        "with 90 / 70 / 50 / 30 % kept. Seconds are per million splats on the CPU,",
        "reading the .ply included, mean of the scenes; scores that render see 8 train views of yard.",
        "",
        f"| score | BD-rate: {names}, mean | PSNR, attic | PSNR, yard | seconds | renders |",
        "|---|---|---|---|---|---|",
        f"| RAP (ours) | {number}, {number}, {number} | {own} | {own} | 300.0 | no |",
        f"| opacity | reference | {other} | {other} | 300.0 | no |",
        f"| EAGLES | –, {number}, {number} (1 of 2) | – / – / – / – | {own} | 20.0 | yes |",
        "",
    ]


def test_one_scene_has_no_mean_and_doubts_are_marked(tmp_path: Path) -> None:
    worse = curve_row("rap", 0.8, 37.0)  # more splats than at 0.7, and a worse image
    equal = curve_row("eagles", 0.9, 50.0, psnr_renders=None)
    scenes = load_pruning(write(tmp_path, [*curves(), worse, equal]))
    (delta,) = (delta for delta in pruning_deltas(scenes, "psnr_renders") if delta.method == "rap")
    assert delta.rate is not None
    assert pruning_tables(scenes)[5:] == [
        "| score | BD-rate: yard | PSNR, yard | seconds | renders |",
        "|---|---|---|---|---|",
        # 0.8 and 0.9 are equally far from 0.85: the smaller
        f"| RAP (ours) | {delta.rate.pchip:+.1f} %* | 37.0 / 38.0 / 30.0 / 24.0 | 500.0 | no |",
        "| opacity | reference | – / 33.0 / 26.0 / 20.0 | 500.0 | no |",
        "| EAGLES | – | – / – / – / – | 500.0 | no |",
        "",
        "\\* A curve is not monotone, or the interpolations differ: see `gsrd report`.",
        "",
    ]
    scenes = load_pruning(write(tmp_path, [equal]))
    assert "| EAGLES | – | equal | 500.0 | no |" in pruning_tables(scenes)


def test_what_a_score_has_learned_from_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme_pruning, "ROOT", tmp_path)
    card = tmp_path / readme_pruning.CARDS / "rap.md"
    card.parent.mkdir(parents=True)
    card.write_text("| method | of 7 splats |\n| trained on | two scenes: 1,000 splats and 8 views; 60,000 splats |\n")
    scenes = load_pruning(write(tmp_path, curves()))
    assert pruning_tables(scenes)[4] == (
        "RAP (ours) has learned from yard: its numbers there, and any mean, are not held-out; "
        "[these](gscodec/importance/rap.md) are."
    )
    card.write_text("| trained on | another of 2,000 splats |\n")
    assert "learned" not in "\n".join(pruning_tables(scenes))


def test_coding_after_pruning(tmp_path: Path) -> None:
    write(tmp_path, coding())
    write(tmp_path, [row for row in coding(0.8) if row["quality"] != 40.0 or row["method"] == "none"], "attic")
    scenes = load_pruning(tmp_path)
    rates = {delta.scene: delta.rate for delta in coding_deltas(scenes, "psnr_renders")}
    photos = {delta.scene: delta.rate for delta in coding_deltas(scenes, "psnr_photos")}
    assert rates["attic"] is photos["attic"] is None  # three points are no curve
    cells = [f"{rate.pchip:+.1f} %" for rate in (rates["yard"], photos["yard"]) if rate is not None]
    assert pruning_tables(scenes) == [
        "Pruning before coding, against coding all splats: BD-rate, and PSNR on photos at equal quality settings.",
        "",
        "| 20 % pruned by RAP (ours), then coded | attic | yard | mean |",
        "|---|---|---|---|",
        f"| bytes at equal PSNR on renders | – | {cells[0]} | {cells[0]} (1 of 2) |",
        f"| bytes at equal PSNR on photos | – | {cells[1]} | {cells[1]} (1 of 2) |",
        "| change on photos at q40 / q50 / q60 / q70, dB | – / -0.01 / -0.01 / -0.01 | -0.01 / -0.01 / -0.01 / -0.01 |"
        " – / -0.01 / -0.01 / -0.01 |",
        "",
    ]


def test_without_rows_there_is_nothing(tmp_path: Path) -> None:
    assert pruning_tables(load_pruning(tmp_path)) == []
    failed = [row | {"status": "failed", "message": "no"} for row in [*curves(), *coding()]]
    assert pruning_tables(load_pruning(write(tmp_path, failed))) == []
    only = [row for row in coding() if row["method"] == "none"]
    assert pruning_tables(load_pruning(write(tmp_path, only))) == []
