"""The README says what results/ says, and its Python example runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from clouds import random_cloud
from gscodec_tools.readme_pruning import pruning_tables
from gscodec_tools.readme_results import ROOT, main, section
from gscodec_tools.report.compare import deltas, equal_quality
from gscodec_tools.report.markdown import rate_tables
from gscodec_tools.report.prune_rows import load_pruning
from gscodec_tools.report.rows import load_results
from prune_results import curves
from prune_results import write as write_pruning
from report_results import SPLATS, row, scene_rows, write_results

from gscodec import read_ply, write_ply
from gscodec.errors import BadInputError

README = Path(__file__).parent.parent / "README.md"


def test_numbers_are_those_of_results() -> None:
    assert main(["--check"]) == 0


def test_rates_are_those_of_the_report(tmp_path: Path) -> None:
    rooms = [
        *scene_rows("room", 3.0),
        row("room", "sog", "default", 9000, 40.0),
        row("room", "gscodec", "lossless", 9, None),
    ]
    scenes = load_results(write_results(tmp_path, {"garden": scene_rows("garden"), "room": rooms}))
    text = "\n".join(rate_tables(scenes))
    assert f"| garden, {SPLATS:,} | gscodec, default | 11.0 | 45.00 dB | -0.03 dB |  |" in text
    (share,) = [pair.ratio for pair in equal_quality(scenes) if (pair.row.scene, pair.row.codec) == ("garden", "spz")]
    assert f"| garden, {SPLATS:,} | SPZ v4 | 20.0 | 34.50 dB | -0.07 dB | {100 * (share or 0):.0f} % | – |" in text
    assert "| SOG | 9.0 | 40.00 dB |" in text
    naive = [delta for delta in deltas(scenes) if delta.codec == "naive"]
    cells = [
        f"{delta.rate.pchip:+.1f} %, {delta.quality.pchip:+.1f} dB" for delta in naive if delta.rate and delta.quality
    ]
    assert len(cells) == 2
    assert f"| naive | {cells[0]} | {cells[1]} | " in text
    assert "| SPZ |" not in text  # one point is no curve


def test_a_missing_default_or_curve_leaves_its_part_out(tmp_path: Path) -> None:
    only = [row("yard", "gscodec", "q50", 7000, 38.0), row("yard", "spz", "v4", 20_000, 34.5)]
    text = "\n".join(rate_tables(load_results(write_results(tmp_path / "few", {"yard": only}))))
    assert "| SPZ v4 | 20.0 | 34.50 dB | -0.07 dB | our curve: too few points |" in text
    assert "gscodec, default" not in text
    assert "BD-rate" not in text
    alone = write_results(tmp_path / "alone", {"yard": only[:1]})
    assert rate_tables(load_results(alone)) == []


def test_codecs_without_a_quality_option_are_named(tmp_path: Path) -> None:
    curve = [("default-H0", 9000, 28.0), ("default-H1", 12_000, 31.0), ("default-H2", 15_000, 36.0)]
    curve += [("default", 18_000, 41.0)]
    for codecs, names in (
        (["spz"], "SPZ has"),
        (["sog", "spz"], "SOG and SPZ have"),
        (["compressed-ply", "sog", "spz"], "compressed.ply, SOG and SPZ have"),
    ):
        rows = [one for one in scene_rows("yard") if one["codec"] != "spz"]
        rows += [row("yard", codec, *point) for codec in codecs for point in curve]
        text = "\n".join(rate_tables(load_results(write_results(tmp_path, {"yard": rows}))))
        assert f"\n{names} no quality option: these curves come from leaving out SH degrees.\n" in text


def test_without_rows_there_is_nothing_about_rates_and_bad_rows_are_refused(tmp_path: Path) -> None:
    for path in (ROOT / "results").glob("*.json"):
        shutil.copy(path, tmp_path)
    text = section(tmp_path)
    assert "bytes at its PSNR" not in text
    assert "BD-rate" not in text
    assert "error at default quality" in text
    write_results(tmp_path, {"yard": scene_rows("yard")})
    assert "| naive | " in section(tmp_path)
    (tmp_path / "rd" / "0.json").write_text("{}")
    with pytest.raises(BadInputError, match="not results of gsrd run"):
        section(tmp_path)


def test_what_has_not_been_measured_is_left_out(tmp_path: Path) -> None:
    for path in (ROOT / "results").glob("*.json"):
        if path.stem not in ("targets", "progressive"):
            shutil.copy(path, tmp_path)
    bare = section(tmp_path)
    for word in ("Targets of size", "Pruning, by", "of a progressive one"):
        assert word not in bare
    write_pruning(tmp_path, [row | {"host": {"cpu": "Another", "cores": 9}} for row in curves()])
    pruned = section(tmp_path)
    assert "; 9 cores, Another; by `make bench`" in pruned
    tables = pruning_tables(load_pruning(tmp_path))
    assert "\n".join(tables) in pruned
    left = pruned.replace("\n".join([*tables, ""]), "").replace("; 9 cores, Another", "")
    assert left == bare
    (tmp_path / "prune" / "0.json").write_text("{}")
    with pytest.raises(BadInputError, match="not results of gsrd prune"):
        section(tmp_path)


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_ply("scene.ply", random_cloud(50, 3, seed=1))
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)

    exec(compile(example, "README.md", "exec"), {})

    assert len(read_ply("back.ply")) == 50
