"""The bench of RAP's losses and features on a small capture of its own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from tiny_capture import tiny_cloud, write_capture

from gscodec.errors import BadInputError
from gscodec.formats.ply import write_ply
from gscodec.importance.rap_features import NAMES, features

pytest.importorskip("torch")
pytest.importorskip("PIL", reason="the capture has photos")
bench_rap_ablation = pytest.importorskip("gscodec_tools.bench_rap_ablation")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "one"
    write_capture(path)
    write_ply(path / "point_cloud.ply", tiny_cloud())
    return path


def without(name: str) -> list[str]:
    keeps = next(variant for variant in bench_rap_ablation.VARIANTS if variant.name == name).keeps()
    return [feature for feature, stays in zip(NAMES, keeps, strict=True) if not stays]


def test_variants_leave_out_what_they_say() -> None:
    assert without("whole") == without("neither loss") == without("whole, seed 1") == []
    assert without("no opacity") == ["opacity, scene", "opacity, neighbours"]
    assert without("no colour") == ["colour, neighbours"]
    assert without("no standing in the scene") == list(NAMES[:7])
    assert without("no z-scores among neighbours") == list(NAMES[7:])
    assert len(without("no scales, no volume")) == len(without("no scales") + without("no volume")) == 8


def test_losses_are_left_out_of_the_shipped_recipe() -> None:
    weights = {}
    for variant in bench_rap_ablation.VARIANTS:
        options = asdict(variant.options(7))
        weights[variant.name] = options.pop("pruning_weight"), options.pop("distribution_weight")
        assert (options["iterations"], options["target_mean"], options["render_weight"]) == (7, 0.45, 1.0)
        assert options["seed"] == (variant.name == "whole, seed 1")
    assert weights.pop("no pruning loss") == (0.0, 0.25)
    assert weights.pop("no distribution loss") == (1.0, 0.0)
    assert weights.pop("neither loss") == (0.0, 0.0)
    assert set(weights.values()) == {(1.0, 0.25)}


def test_features_left_out_do_not_matter(folder: Path) -> None:
    """Whatever they hold, training and scores are those of zeros."""
    scene = bench_rap_ablation.load_scene(str(folder))
    one = features(scene.cloud)
    variant = bench_rap_ablation.Variant("no opacity", ("opacity",))
    other = one.copy()
    other[:, ~variant.keeps()] = np.float32(0.7)
    rows = [bench_rap_ablation.bench(variant, [(scene, inputs)], [(scene, inputs)], 2) for inputs in (one, other)]
    for row in rows:
        del row["seconds"]
    assert rows[0] == rows[1]


def test_variants_are_measured(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.json"
    arguments = [str(folder), f"{folder}:{folder / 'point_cloud.ply'}", "--held-out", str(folder), "--downscale", "1"]
    chosen = ["whole", "whole, seed 1", "no distance"]
    assert bench_rap_ablation.main([*arguments, "--iterations", "2", "--variants", *chosen, "--json", str(output)]) == 0
    results = json.loads(output.read_text())
    assert (results["iterations"], results["downscale"], "date" in results["machine"]) == (2, 1, True)
    assert [row["variant"] for row in results["variants"]] == chosen
    for row in results["variants"]:
        assert [scene["scene"] for scene in row["learned"]] == ["one", "one"]
        (held,) = row["held_out"]
        assert list(held["psnr_renders"]) == ["0.2", "0.4", "0.6", "0.8"]
        assert held["psnr_renders"]["0.2"] > held["psnr_renders"]["0.8"] > 0.0
        assert 0.0 < held["mean"] < 1.0
        assert 0.5 < held["different"] <= 1.0
    assert len({str(row["losses"]) for row in results["variants"]}) == 3
    assert capsys.readouterr().out.count("no distance") == 1


def test_bad_input_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.json"
    arguments = [str(folder), "--held-out", str(folder), "--json", str(output)]
    assert bench_rap_ablation.main([*arguments, "--variants", "no idea"]) == BadInputError.exit_code
    assert "no idea" in capsys.readouterr().err
    assert bench_rap_ablation.main([*arguments, "--iterations", "0"]) == BadInputError.exit_code
    assert bench_rap_ablation.main([str(tmp_path), "--held-out", str(folder)]) == BadInputError.exit_code
    assert not output.exists()
