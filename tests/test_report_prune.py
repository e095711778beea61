"""The report's section of pruning: what the numbers are, what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gscodec_tools.bd_rate import Curve, bd_rate
from gscodec_tools.rd import main as gsrd
from gscodec_tools.report.prune_compare import pruning_deltas, rate_change
from gscodec_tools.report.prune_rows import load_pruning
from gscodec_tools.report.prune_tables import BD_CAPTION
from prune_results import CURVES, curve_row, curves, write
from report_results import scene_rows, write_results

from gscodec.errors import BadInputError


def report(folder: Path, code: int = 0) -> str:
    output = folder / "report.html"
    assert gsrd.main(["report", str(folder), "-o", str(output), "-f"]) == code
    return output.read_text(encoding="utf-8") if output.exists() else ""


def test_the_bd_table_is_that_of_bd_rate(tmp_path: Path) -> None:
    write(tmp_path, curves())
    write(tmp_path, curves(), "attic")
    anchor, test = (Curve.of(name, [(1000 * x, y) for x, y in CURVES[name]]) for name in ("opacity", "rap"))
    expected = bd_rate(anchor, test)
    for delta in pruning_deltas(load_pruning(tmp_path), "psnr_renders"):
        assert delta.method == "rap"
        assert delta.rate is not None
        assert (delta.rate.pchip, delta.rate.akima) == (expected.pchip, expected.akima)
        assert delta.notes == ()
    text = report(tmp_path)
    table = text[text.index(BD_CAPTION) :]
    assert "RAP (ours)" in table[: table.index("</table>")]
    assert table.count(f"−{-expected.pchip:.2f}") >= 3  # both scenes and their mean


def test_a_curve_that_is_not_monotone_counts_by_its_pareto_front() -> None:
    anchor = [(1.0, 10.0), (2.0, 20.0), (3.0, 30.0), (4.0, 40.0)]
    test = [(1.0, 12.0), (2.0, 22.0), (2.5, 21.0), (3.0, 32.0), (4.0, 42.0)]
    rate, notes = rate_change(("a", "b"), anchor, test)
    front = [point for point in test if point[0] != 2.5]
    assert rate == bd_rate(Curve.of("a", anchor), Curve.of("b", front), 50.0)
    assert notes == ("b is not monotone: its Pareto front, 4 of 5 points",)
    rate, notes = rate_change(("a", "b"), anchor, test[:3])
    assert rate is None
    assert "b: 2 points up to 60 dB, a BD-rate needs 4" in notes
    rate, notes = rate_change(("a", "b"), anchor, [(x, y + 20.0) for x, y in anchor])
    assert rate is None
    assert "overlap too little" in notes[0]


def test_texts_of_results_are_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    rows = [row | {"command": evil} for row in curves()]
    rows.append(curve_row(evil, 0.5, 20.0))
    rows.append(curve_row("eagles", 0.5, 20.0, status="failed", message=evil))
    text = report(write(tmp_path, rows, evil))
    assert evil not in text
    assert text.count("&lt;script&gt;alert(1)") >= 4


def test_no_section_without_such_results(tmp_path: Path) -> None:
    assert load_pruning(tmp_path) == []
    assert report(tmp_path, code=3) == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"status": "fine"}, "status"),
        ({"kind": "other"}, "kind"),
        ({"psnr_renders": "high"}, "psnr_renders"),
        ({"retention": 0.0}, "retention"),
        ({"kept": None}, "kept"),
        ({"passes": {"a": "b"}}, "passes"),
        ({"histogram": [1, -1]}, "histogram"),
        ({"kind": "views", "share": "9/8"}, "share"),
        ({"kind": "views", "share": "1/0"}, "share"),
        ({"kind": "coding"}, "bytes"),
        ({"kind": "picture", "picture": "../secret.png"}, "picture"),
    ],
)
def test_rows_that_are_not_as_agreed(
    tmp_path: Path, changes: dict[str, Any], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [curve_row("opacity", 0.5, 20.0) | changes])
    assert report(tmp_path, code=3) == ""
    assert field in capsys.readouterr().err


def test_files_that_are_no_results(tmp_path: Path) -> None:
    (tmp_path / "prune").mkdir()
    for text in ("{", "[]", '{"format": 2}', '{"format": 1, "scene": "yard", "rows": []}'):
        (tmp_path / "prune" / "yard.json").write_text(text)
        with pytest.raises(BadInputError):
            load_pruning(tmp_path)


def test_pruning_stands_beside_the_curves_of_codecs(tmp_path: Path) -> None:
    write(write_results(tmp_path, {"garden": scene_rows("garden")}), curves())
    text = report(tmp_path)
    places = [
        text.index(f'<section id="{name}">') for name in ("curves", "pictures", "prune", "literature", "reproduce")
    ]
    assert places == sorted(places)
    assert 'data-toggle="score:rap"' in text
    assert 'data-toggle="gscodec"' in text
