"""`gsrd prune`: rows, going on where it ended, and its part in the report."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from clouds import random_cloud
from gscodec_tools.rd import main as gsrd
from gscodec_tools.rd import prune_measure
from gscodec_tools.rd.measure import png
from gscodec_tools.rd.prune_rows import KEYS, PRUNE
from gscodec_tools.rd.prune_scenes import load_prune_scenes, part_of
from gscodec_tools.rd.prune_scores import TimedSeen, histogram, timed_score
from gscodec_tools.rd.scenes import ViewOptions
from gscodec_tools.rd.store import read_rows

from gscodec import __version__
from gscodec.cloud import GaussianCloud
from gscodec.decoder import decode
from gscodec.encoder import encode
from gscodec.errors import BadInputError
from gscodec.formats.ply import read_ply, write_ply
from gscodec.importance import METHODS, Method
from gscodec.importance.prune import PruneSpec, prune
from gscodec.importance.scores import score
from gscodec.render.cpu import render
from gscodec.scene import load_capture, virtual_views

RETENTIONS = "0.2,0.4,0.6,0.8"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene folder: two small test views and three to score from, with photos of the test views."""
    cloud = random_cloud(300, 1, seed=5)
    folder = tmp_path_factory.mktemp("scenes") / "yard"
    (folder / "images").mkdir(parents=True)
    write_ply(folder / "point_cloud.ply", cloud)
    entries = []
    for number, camera in enumerate(virtual_views(cloud, 5, width=48, height=32)):
        fields = {name: getattr(camera, name) for name in ("name", "width", "height", "fx", "fy", "cx", "cy")}
        fields |= {"split": "test" if number % 2 else "train", "image": f"images/{camera.name}.png"}
        entries.append(fields | {"world_to_camera": camera.world_to_camera.tolist()})
        (folder / "images" / f"{camera.name}.png").write_bytes(png(render(cloud.select(slice(0, 200)), camera)))
    (folder / "cameras.json").write_text(json.dumps(entries))
    return folder


def gsrd_prune(scene: Path, out: Path, *options: str, code: int = 0) -> list[dict[str, Any]]:
    assert gsrd.main(["prune", str(scene), "-o", str(out), *options]) == code
    path = out / "prune" / f"{scene.stem}.json"
    return read_rows(path, PRUNE) if path.is_file() else []


@pytest.fixture(scope="module")
def results(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All parts of a run."""
    out = tmp_path_factory.mktemp("results")
    options = ("--view-shares", "1/3,3/3", "--coding", "opacity", "--qualities", "45,60,75,90", "--figures")
    gsrd_prune(scene, out, "--methods", "opacity,eagles,mesongs", "--retention", RETENTIONS, *options)
    return out


def rows_of(results: Path, kind: str) -> list[dict[str, Any]]:
    return [row for row in read_rows(results / "prune" / "yard.json", PRUNE) if row["kind"] == kind]


def test_a_curve_row_is_that_of_prune(scene: Path, results: Path) -> None:
    row = next(row for row in rows_of(results, "curve") if row["method"] == "eagles" and row["retention"] == 0.4)
    cloud, capture = read_ply(scene / "point_cloud.ply"), load_capture(scene)
    kept, _ = prune(cloud, PruneSpec("eagles", keep=120), capture.views("train"))
    expected = []
    for camera in capture.views("test"):
        wanted, found = (np.clip(render(one, camera), 0, 1) for one in (cloud, kept))
        expected.append(-10 * np.log10(np.mean(np.square(wanted - found, dtype=np.float64))))
    assert row["kept"] == 120
    assert row["psnr_renders"] == pytest.approx(np.mean(expected), abs=0.001)
    assert row["status"] == "ok"
    assert row["psnr_photos"] > 10.0
    assert (row["views"]["kind"], row["views"]["count"]) == ("test", 2)
    assert row["scoring_views"] == {"kind": "train", "count": 3, "seed": None}
    assert row["score_seconds"] > 0.0
    both = row["load_seconds"] + row["score_seconds"]
    assert row["seconds_per_million"] == pytest.approx(both / 300 * 1e6, abs=0.5)
    assert set(KEYS) < set(row)
    assert "--methods eagles --retention 0.4" in row["command"]


def test_a_score_alone_costs_its_passes_and_shared_ones_are_marked(results: Path) -> None:
    rows = rows_of(results, "curve")
    first, second = (next(row for row in rows if row["method"] == name) for name in ("eagles", "mesongs"))
    assert first["passes"] == second["passes"]
    assert list(first["passes"]) == ["contributions"]
    assert (first["shared_passes"], second["shared_passes"]) == ([], ["contributions"])
    assert second["score_seconds"] >= second["passes"]["contributions"]
    assert next(row for row in rows if row["method"] == "opacity")["passes"] == {}


def test_timed_scores_are_the_scores(scene: Path) -> None:
    cloud, views = read_ply(scene / "point_cloud.ply"), load_capture(scene).views("train")
    seen = TimedSeen(cloud, views)
    used = {}
    for name in ("geta", "c3dgs", "trim", "pup", "removal"):
        found = timed_score(name, cloud, seen)
        assert found.values.tobytes() == score(name, cloud, views).tobytes()
        used[name] = list(found.passes)
    assert used == {
        "geta": ["contributions", "gradients"],
        "c3dgs": ["gradients"],
        "trim": ["gradients"],
        "pup": ["fisher 1/4"],
        "removal": ["removal"],
    }


def test_rows_of_parts_of_the_views(results: Path) -> None:
    rows = {(row["method"], row["share"]): row for row in rows_of(results, "views")}
    assert set(rows) == {(name, share) for name in ("eagles", "mesongs") for share in ("1/3", "1/1")} | {
        ("opacity", None)
    }
    full = next(row for row in rows_of(results, "curve") if row["method"] == "eagles" and row["retention"] == 0.4)
    assert rows["eagles", "1/1"]["psnr_renders"] == full["psnr_renders"]
    assert rows["eagles", "1/3"]["psnr_renders"] != full["psnr_renders"]
    assert {row["retention"] for row in rows.values()} == {0.4}


def test_parts_of_the_views_are_spread(scene: Path) -> None:
    views = load_capture(scene).views()
    assert part_of(views, Fraction(2, 5)) == (views[0], views[2])
    assert part_of(views, Fraction(1, 100)) == (views[0],)
    assert part_of(views, Fraction(1)) == tuple(views)


def test_coding_rows_are_files_of_the_pruned_scene(scene: Path, results: Path) -> None:
    rows = {(row["method"], row["quality"]): row for row in rows_of(results, "coding")}
    assert set(rows) == {(name, quality) for name in ("none", "opacity") for quality in (45.0, 60.0, 75.0, 90.0)}
    kept, _ = prune(read_ply(scene / "point_cloud.ply"), PruneSpec("opacity", fraction=0.2))
    data = encode(kept)
    row = rows["opacity", 75.0]
    assert (row["bytes"], row["kept"], row["retention"]) == (len(data), len(decode(data)), 0.8)
    assert rows["none", 75.0]["kept"] == 300
    assert rows["none", 75.0]["bytes"] > row["bytes"]
    # A change of the codec makes these rows anew, and no others.
    assert row["version"].startswith(f"{__version__}+")
    assert {other["version"] for other in rows_of(results, "curve")} == {__version__}


def test_pictures_and_histograms(results: Path) -> None:
    rows = {row["method"]: row for row in rows_of(results, "picture")}
    folder = results / "prune" / "pictures" / "yard"
    names = ["eagles.png", "mesongs.png", "opacity.png", "photo.png", "source.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert rows["eagles"]["picture"] == "pictures/yard/eagles.png"
    with PIL.Image.open(folder / "eagles.png") as picture:
        assert picture.size == (48, 32)
    assert sum(rows["opacity"]["histogram"]) == 300
    assert len(rows["opacity"]["histogram"]) == 50
    assert rows["eagles"]["histogram"] is None  # not within 0..1
    assert histogram(np.array([0.0, 1.0, np.nan], np.float32)) == [1, *[0] * 48, 1]


def test_a_second_run_does_what_is_missing(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = gsrd_prune(scene, tmp_path, "--methods", "opacity", "--retention", "0.5")
    path = tmp_path / "prune" / "yard.json"
    state = path.read_bytes()
    made: list[object] = []
    run = prune_measure.SceneRun.run
    monkeypatch.setattr(prune_measure.SceneRun, "run", lambda self, task: made.append(task) or run(self, task))
    gsrd_prune(scene, tmp_path, "--methods", "opacity", "--retention", "0.5")
    assert (path.read_bytes(), made) == (state, [])
    rows = gsrd_prune(scene, tmp_path, "--methods", "opacity", "--retention", "0.5,0.7")
    assert len(made) == 1
    assert rows[0] == before[0]
    assert [row["retention"] for row in rows] == [0.5, 0.7]
    rows = gsrd_prune(scene, tmp_path, "--methods", "opacity", "--retention", "0.5", "--force")
    assert len(made) == 2
    assert [row["retention"] for row in rows] == [0.5, 0.7]
    assert rows[0]["psnr_renders"] == before[0]["psnr_renders"]


@pytest.mark.parametrize("error", [BadInputError("no luck", field="score"), ZeroDivisionError("no luck")])
def test_a_score_that_fails_is_a_row(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setitem(METHODS, "broken", Method(broken, "nothing", "fails"))
    rows = gsrd_prune(scene, tmp_path, "--methods", "broken,opacity", "--retention", "0.5")
    found = {row["method"]: row for row in rows}
    assert (found["broken"]["status"], found["opacity"]["status"]) == ("failed", "ok")
    assert "no luck" in found["broken"]["message"]
    assert found["broken"]["psnr_renders"] is None
    gsrd_prune(scene, tmp_path / "alone", "--methods", "broken", "--retention", "0.5", code=3)
    text = report(tmp_path)
    assert "Rows of pruning without a result" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--methods", "nonsense"), "unknown pruning method"),
        (("--methods", "none"), "nothing to do"),
        (("--methods", "opacity", "--coding", "nonsense"), "unknown pruning method"),
        (("--methods", "eagles", "--capture", "nowhere"), "not a capture"),
    ],
)
def test_what_cannot_be_done_is_said(
    scene: Path, tmp_path: Path, options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gsrd_prune(scene, tmp_path, *options, code=3) == []
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", ["--retention=0", "--retention=1", "--retention=x", "--view-shares=2/0", "--qualities=0", "--views=x"]
)
def test_options_are_checked(scene: Path, tmp_path: Path, option: str) -> None:
    gsrd_prune(scene, tmp_path, option, code=2)


def test_a_scene_without_a_capture_is_scored_from_other_virtual_views(scene: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.ply"
    alone.write_bytes((scene / "point_cloud.ply").read_bytes())
    (found,) = load_prune_scenes([str(alone)], ViewOptions(count=2, seed=3), None, True)
    assert found.scoring is not None
    assert (found.scene.views.kind, found.scene.views.seed) == ("virtual", 3)
    assert (found.scoring.kind, found.scoring.seed, len(found.scoring.cameras)) == ("virtual", 4, 16)
    with pytest.raises(BadInputError, match="no capture to score from"):
        load_prune_scenes([str(alone)], ViewOptions(), "capture", True)
    (asked,) = load_prune_scenes([str(scene)], ViewOptions(), "virtual", True)
    assert asked.scoring is not None
    assert (asked.scene.views.kind, asked.scoring.kind) == ("test", "virtual")


def test_a_cloud_with_a_broken_splat(scene: Path, tmp_path: Path) -> None:
    cloud = read_ply(scene / "point_cloud.ply")
    logits = cloud.opacity_logits.copy()
    logits[7] = np.nan
    broken: GaussianCloud = replace(cloud, opacity_logits=logits)
    folder = tmp_path / "shed"
    folder.mkdir()
    write_ply(folder / "point_cloud.ply", broken)
    (folder / "cameras.json").write_text((scene / "cameras.json").read_text())
    rows = gsrd_prune(folder, tmp_path / "out", "--methods", "opacity,eagles", "--retention", "0.5")
    assert [(row["status"], row["kept"]) for row in rows] == [("ok", 150), ("ok", 150)]
    assert rows[0]["psnr_photos"] is None


def test_the_report_has_a_section_of_pruning(results: Path) -> None:
    text = report(results)
    assert '<section id="prune">' in text
    assert '<section id="curves">' not in text  # nothing was coded by gsrd run
    for head in ("Seconds of scores", "Fewer views to score from", "Coding after pruning", "What scores keep"):
        assert head in text
    assert "BD-rate of coding after pruning against coding without" in text
    assert text.count("data:image/jpeg") == 5
    assert "http" not in text.replace("http-equiv", "")


def report(folder: Path, code: int = 0) -> str:
    output = folder / "report.html"
    assert gsrd.main(["report", str(folder), "-o", str(output), "-f"]) == code
    return output.read_text(encoding="utf-8") if output.exists() else ""
