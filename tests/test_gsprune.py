"""The tool gsprune, and gsenc with scores that need views."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clouds import assert_same_arrays
from slow_renderer import camera, random_cloud

import gscodec
from gscodec.cli import gsenc, gsprune
from gscodec.cli.views import VIRTUAL_DOUBT, VIRTUAL_SEED, VIRTUAL_VIEWS
from gscodec.cloud import CloudMeta
from gscodec.importance import METHODS
from gscodec.importance.prune import PruneSpec, prune
from gscodec.importance.scores import score
from gscodec.render.cpu import visibility
from gscodec.scene import load_cameras, virtual_views


@pytest.fixture
def ply(tmp_path: Path) -> Path:
    path = tmp_path / "scene.ply"
    cloud = random_cloud(1, count=200)
    extras = {"nx": np.ones(200, np.float32), "label": np.arange(200, dtype=np.int16)}
    gscodec.write_ply(path, replace(cloud, extras=extras, meta=CloudMeta(comments=("made by hand",))))
    return path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "cameras.json"
    entries = []
    for number, split in enumerate(("train", "train", "test")):
        view = camera()
        pose = view.world_to_camera.copy()
        pose[0, 3] += 0.3 * number
        entry = {key: getattr(view, key) for key in ("width", "height", "fx", "fy", "cx", "cy")}
        entries.append(entry | {"name": f"{number}.png", "image": f"{number}.png", "split": split,
                                "world_to_camera": pose.tolist()})  # fmt: skip
    path.write_text(json.dumps(entries))
    return path


def run(tool: Any, capsys: pytest.CaptureFixture[str], *args: object) -> dict[str, Any]:
    capsys.readouterr()
    assert tool.main([*map(str, args), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(tool: Any, capsys: pytest.CaptureFixture[str], *args: object, code: int = 3) -> str:
    capsys.readouterr()
    assert tool.main([*map(str, args)]) == code
    found = capsys.readouterr()
    assert found.out == ""
    return found.err


def test_prunes_and_keeps_the_rest_as_it_was(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = gscodec.read_ply(ply)
    data = run(gsprune, capsys, ply, "--method", "opacity", "--fraction", "0.4")
    assert (data["kept"], data["removed"], data["views"], data["scores"]) == (
        120,
        80,
        {"used": 0, "source": None},
        None,
    )
    kept = gscodec.read_ply(ply.with_suffix(".pruned.ply"))
    assert_same_arrays(kept, prune(source, PruneSpec("opacity", 0.4))[0])
    assert kept.meta == source.meta
    assert kept.meta.comments == ("made by hand",)
    assert np.all(np.diff(kept.extras["label"]) > 0)


@pytest.mark.parametrize(("amount", "kept"), [
    (("--count", 30), 170), (("--keep", 30), 30), (("--threshold", -99.5), 200), (("--fraction", 0), 200),
])  # fmt: skip
def test_amounts(ply: Path, capsys: pytest.CaptureFixture[str], amount: tuple[object, ...], kept: int) -> None:
    assert run(gsprune, capsys, ply, "--method", "volume-opacity", *amount)["kept"] == kept


def test_scores_from_the_training_views_of_a_capture(
    ply: Path, capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.ply"
    data = run(gsprune, capsys, ply, "-o", out, "--method", "mesongs", "--set", "beta=0.5", "--keep", 50,
               "--views", capture, "--scores-property", "worth", "--report", "--threads", 1)  # fmt: skip
    cloud = gscodec.read_ply(ply)
    expected = score("mesongs", cloud, load_cameras(capture, "train"), params={"beta": 0.5})
    kept = gscodec.read_ply(out)
    assert np.array_equal(kept.extras["worth"], expected[kept.extras["label"]])
    assert kept.extras["worth"].min() >= np.sort(expected)[150]
    assert kept.meta.property_order == (*cloud.meta.property_order, "worth")
    assert (data["params"], data["views"]["used"]) == ({"beta": 0.5}, 2)
    report = data["scores"]
    assert report["lowest_kept"] == kept.extras["worth"].min()
    assert report["splats"] == 200
    assert sum(report["histogram"]["counts"]) + report["zero"] == 200
    assert len(report["histogram"]["edges"]) == len(report["histogram"]["counts"]) + 1
    assert report["quantiles"]["1"] == expected.max()


def test_virtual_views_without_a_capture(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = run(gsprune, capsys, ply, "--method", "eagles", "--fraction", "0.2")
    assert data["views"] == {"used": 16, "source": "16 virtual views"}
    packed = run(gsenc, capsys, ply, "--prune", "eagles:0.2")
    assert (packed["pruned"]["kept"], packed["pruned"]["views"]) == (160, 16)


def test_who_looks_from_virtual_views(ply: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud, virtual = gscodec.read_ply(ply), ("--views", "virtual")
    seen = visibility(cloud, virtual_views(cloud, VIRTUAL_VIEWS, VIRTUAL_SEED), VIRTUAL_DOUBT)
    for preset, views, weighed in (
        ("default", virtual, seen),
        ("default", (), seen),
        ("default", ("--views", "none"), None),
        ("fast", virtual, seen),
        ("fast", (), None),
    ):
        out = tmp_path / "out.gsb"
        found = run(gsenc, capsys, ply, "-f", "-o", out, "--preset", preset, *views)
        assert out.read_bytes() == gscodec.encode(cloud, gscodec.EncodeConfig(preset=preset), weighed)
        assert found["weighed_by"] == (weighed and "16 virtual views")
    data = run(gsprune, capsys, ply, "--method", "eagles", "--fraction", "0.2", *virtual)
    assert data["views"] == {"used": 16, "source": "16 virtual views"}
    assert "without views" in refused(gsprune, capsys, ply, "-f", "--method", "opacity", "--count", 3, *virtual)
    assert "from any view" in refused(gsenc, capsys, ply, "--lossless", *virtual)


def test_a_scene_with_nothing_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = random_cloud(0, count=20)
    cloud.opacity_logits[:] = -6.0
    scene = tmp_path / "faint.ply"
    gscodec.write_ply(scene, cloud)
    assert "no visible splat" in refused(gsenc, capsys, scene, "--views", "virtual")
    assert run(gsenc, capsys, scene)["weighed_by"] is None


def test_gsenc_takes_the_views_of_a_capture(ply: Path, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = run(gsenc, capsys, ply, "--prune", "removal:n=50", "--views", capture, "--lossless")
    pruned = data["pruned"]
    assert (pruned["method"], pruned["kept"], pruned["removed"], pruned["views"]) == ("removal", 150, 50, 2)
    expected = prune(gscodec.read_ply(ply), PruneSpec("removal", 0.25), load_cameras(capture, "train"))[0]
    assert_same_arrays(gscodec.decode(ply.with_suffix(".gsb").read_bytes()), expected)


def test_lines_for_people(ply: Path, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gsprune.main([str(ply), "--method", "pup", "--count", "20", "--views", str(capture), "--report"]) == 0
    out = capsys.readouterr().out
    assert "by pup, from 2 views" in out
    assert "20 splats removed, 180 kept" in out
    assert "infinite" in out
    assert "#" in out
    assert gsprune.main([str(ply), "-f", "-q", "--method", "opacity", "--count", "20"]) == 0
    assert capsys.readouterr().out == ""


def test_help_lists_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert gsprune.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in METHODS)


def test_what_makes_no_sense_is_refused(ply: Path, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    method = (ply, "--method", "opacity")
    assert "unknown pruning method" in refused(gsprune, capsys, ply, "--method", "beauty", "--count", 3)
    assert "no such parameter" in refused(gsprune, capsys, *method, "--count", 3, "--set", "beta=1")
    assert "no number" in refused(gsprune, capsys, ply, "--method", "mesongs", "--count", 3, "--set", "beta")
    assert "no splat" in refused(gsprune, capsys, *method, "--count", 200)
    assert "out of range" in refused(gsprune, capsys, *method, "--fraction", 1)
    assert "without views" in refused(gsprune, capsys, *method, "--count", 3, "--views", capture)
    assert "already" in refused(gsprune, capsys, *method, "--count", 3, "--scores-property", "label")
    assert "standard" in refused(gsprune, capsys, *method, "--count", 3, "--scores-property", "f_dc_0")
    assert "required" in refused(gsprune, capsys, *method, code=2)
    assert "not allowed" in refused(gsprune, capsys, *method, "--count", 3, "--keep", 3, code=2)
    assert "from any view" in refused(gsenc, capsys, ply, "--lossless", "--views", capture)
    assert "not a capture" in refused(gsenc, capsys, ply, "--prune", "eagles:0.1", "--views", ply.parent / "none")
    assert {path.name for path in ply.parent.iterdir()} == {"scene.ply", "cameras.json"}


def test_compensation_is_asked_for(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = PruneSpec("opacity", 0.5)
    expected, report = prune(gscodec.read_ply(ply), spec, compensate=True)
    output = ply.with_name("small.ply")
    assert gsprune.main([str(ply), "-o", str(output), "--method", "opacity", "--fraction", "0.5", "--compensate"]) == 0
    assert report.compensated
    assert "make up for them" in capsys.readouterr().out
    assert not prune(expected, PruneSpec("opacity", count=0), compensate=True)[1].compensated  # for none
    found = gscodec.read_ply(output)
    assert_same_arrays(found, expected)
    assert not np.array_equal(found.opacity_logits, prune(gscodec.read_ply(ply), spec)[0].opacity_logits)
