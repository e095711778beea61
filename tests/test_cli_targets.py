"""gsenc with targets of size, ratio and PSNR."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clouds import random_cloud

import gscodec
from gscodec.cli import gsenc, targets, views
from gscodec.config import EncodeConfig
from gscodec.importance.prune import PruneSpec, prune
from gscodec.rate.control import MAX_TRIALS
from gscodec.rate.finish import MOST_TRIALS
from gscodec.rate.fixed_quality import FixedQuality
from gscodec.rate.reference import Reference
from gscodec.sanitise import sanitise
from gscodec.scene.virtual import look_at

SPLATS = 3000


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scene.ply of SPLATS splats, and a capture of ten training views and a test view."""
    folder = tmp_path_factory.mktemp("scene")
    gscodec.write_ply(folder / "scene.ply", random_cloud(SPLATS, 2, 1))
    entries = []
    for number in range(11):
        angle = 2.0 * np.pi * number / 11
        eye = np.array([6.0 * np.cos(angle), 1.0, 6.0 * np.sin(angle)])
        camera = look_at(eye, np.zeros(3), np.array([0.0, 1.0, 0.0]), 160, 120)
        lens = {key: getattr(camera, key) for key in ("width", "height", "fx", "fy", "cx", "cy")}
        about = {"name": f"{number}.png", "image": f"{number}.png", "split": "train" if number else "test"}
        entries.append({**about, **lens, "world_to_camera": camera.world_to_camera.tolist()})
    (folder / "cameras.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder


def run(capsys: pytest.CaptureFixture[str], scene: Path, out: Path, *args: object) -> dict[str, Any]:
    capsys.readouterr()
    command = [str(scene / "scene.ply"), "-o", str(out), "-f", "--json", "--threads", "1", *map(str, args)]
    assert gsenc.main(command) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], scene: Path, out: Path, *args: object, code: int) -> str:
    """stderr; checks that no file is left."""
    capsys.readouterr()
    assert gsenc.main([str(scene / "scene.ply"), "-o", str(out), "--threads", "1", *map(str, args)]) == code
    found = capsys.readouterr()
    assert found.out == ""
    assert list(out.parent.iterdir()) == []
    return found.err


def seen_psnr(scene: Path, out: Path, source: gscodec.GaussianCloud) -> float:
    """From the views that gsenc judges by."""
    chosen = views.control_views(source, str(scene), lambda *_: None)
    return Reference(source, chosen.judges).psnr(gscodec.decode(out.read_bytes()))


@pytest.mark.parametrize("option", ["--target-size", "--target-ratio"])
def test_size(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    source_bytes = (scene / "scene.ply").stat().st_size
    out = tmp_path / "a.gsb"
    asked = ("50kB", 50_000) if option == "--target-size" else (9.5, int(source_bytes / 9.5))
    data = run(capsys, scene, out, option, asked[0], "--views", scene)
    assert 0.98 * asked[1] <= out.stat().st_size <= asked[1]
    assert data["output"]["bytes"] == out.stat().st_size
    target = data["target"]
    assert (target["size"], target["min_psnr"], target["note"]) == (asked[1], None, None)
    assert 1 <= target["trials"] == len(target["tried"]) <= MAX_TRIALS
    assert target["views"] == {"used": 5, "source": f"5 of 10 views of {scene}"}
    assert {"fraction", "degree", "quality", "bytes", "psnr"} == set(target["tried"][0])
    assert data["quality"] == target["quality"]
    source = gscodec.read_ply(scene / "scene.ply")
    assert target["psnr"] == pytest.approx(seen_psnr(scene, out, source), abs=1e-9)
    kept = gscodec.decode(out.read_bytes())
    removed = math.floor(SPLATS * target["pruned_fraction"] + 0.5)
    assert len(kept) == data["output"]["splats"] == SPLATS - removed
    assert kept.sh_degree == target["sh_degree"]


def test_preset_max_searches_more_and_stays_on_target(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for preset in ("default", "max"):
        out = tmp_path / preset
        found[preset] = run(capsys, scene, out, "--target-size", "50kB", "--views", scene, "--preset", preset)["target"]
        assert 0.98 * 50_000 <= out.stat().st_size <= 50_000
    assert found["max"]["trials"] == len(found["max"]["tried"]) <= MAX_TRIALS + MOST_TRIALS
    assert found["max"]["psnr"] > found["default"]["psnr"]
    source = gscodec.read_ply(scene / "scene.ply")
    assert found["max"]["psnr"] == pytest.approx(seen_psnr(scene, tmp_path / "max", source), abs=1e-9)


def test_same_file_twice(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        run(capsys, scene, tmp_path / name, "--target-size", "50kB", "--views", scene)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_floor(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.gsb"
    data = run(capsys, scene, out, "--min-psnr", 45, "--views", scene)
    source = gscodec.read_ply(scene / "scene.ply")
    assert 45.0 <= seen_psnr(scene, out, source) <= 45.1
    assert data["target"]["trials"] <= MAX_TRIALS


def test_floor_goes_before_the_size(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.gsb"
    args = ["-o", str(out), "--threads", "1", "--target-size", "8kB", "--min-psnr", "44", "--views", str(scene)]
    assert gsenc.main([str(scene / "scene.ply"), *args]) == 0
    found = capsys.readouterr()
    assert "gsenc: warning: 44 dB take" in found.err
    assert "8,000 bytes" in found.out
    assert "at least 44 dB" in found.out
    assert out.stat().st_size > 8_000
    assert 44.0 <= seen_psnr(scene, out, gscodec.read_ply(scene / "scene.ply")) <= 44.1


def test_fixed_pruning_is_judged_against_the_whole(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.gsb"
    data = run(capsys, scene, out, "--target-size", "46kB", "--prune", "opacity:0.1", "--views", scene)
    assert (data["pruned"]["method"], data["pruned"]["removed"]) == ("opacity", 300)
    assert (data["target"]["pruned_fraction"], data["output"]["splats"]) == (0.0, 2700)
    source = gscodec.read_ply(scene / "scene.ply")
    assert data["target"]["psnr"] == pytest.approx(seen_psnr(scene, out, source), abs=1e-9)
    most = Reference(source, views.control_views(source, str(scene), lambda *_: None).judges)
    assert data["target"]["psnr"] < most.psnr(prune(source, PruneSpec("opacity", 0.1))[0])


def test_no_pruning(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = run(capsys, scene, tmp_path / "a", "--target-size", "46kB", "--prune", "none", "--views", scene)
    assert data["pruned"] is None
    assert data["output"]["splats"] == SPLATS


def test_fast_renders_nothing(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("rendered")

    monkeypatch.setattr(targets, "Reference", never)
    monkeypatch.setattr(targets, "Seen", never)
    data = run(capsys, scene, tmp_path / "a", "--target-size", "50kB", "--preset", "fast")
    assert (data["target"]["psnr"], data["target"]["views"]) == (None, {"used": 0, "source": None})
    assert data["output"]["splats"] == SPLATS
    assert 0.98 * 50_000 <= data["output"]["bytes"] <= 50_000


def test_fast_renders_for_a_floor(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = run(capsys, scene, tmp_path / "a", "--min-psnr", "44", "--preset", "fast", "--views", scene)
    assert 44.0 <= data["target"]["psnr"] <= 44.1
    assert data["output"]["splats"] == SPLATS


def test_virtual_views_without_a_capture(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = run(capsys, scene, tmp_path / "a", "--target-size", "46kB")
    assert data["target"]["views"] == {"used": 8, "source": "8 virtual views"}
    assert 0.98 * 46_000 <= data["output"]["bytes"] <= 46_000
    run(capsys, scene, tmp_path / "same", "--target-size", "46kB", "--views", "virtual")
    assert (tmp_path / "same").read_bytes() == (tmp_path / "a").read_bytes()


def test_fast_weighs_by_virtual_views_where_they_are_asked_for(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, more in (("without", ()), ("with", ("--views", "virtual"))):
        data = run(capsys, scene, tmp_path / name, "--target-size", "46kB", "--preset", "fast", *more)
        assert data["output"]["splats"] == SPLATS
        assert 0.98 * 46_000 <= data["output"]["bytes"] <= 46_000
    assert (tmp_path / "with").read_bytes() != (tmp_path / "without").read_bytes()


def test_broken_splats_are_left_out(tmp_path: Path, scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = random_cloud(600, 1, 2)
    cloud.positions[3] = np.nan
    folder = tmp_path / "broken"
    folder.mkdir()
    gscodec.write_ply(folder / "scene.ply", cloud)
    data = run(capsys, folder, tmp_path / "a", "--target-size", "12kB", "--views", scene, "--prune", "none")
    assert data["dropped"] == {"non-finite": 1}
    assert data["output"]["splats"] == 599
    cloud.positions[:] = np.nan
    gscodec.write_ply(folder / "scene.ply", cloud, force=True)
    (tmp_path / "a").unlink()
    (tmp_path / "out").mkdir()
    error = refused(capsys, folder, tmp_path / "out" / "a", "--target-size", "12kB", "--views", scene, code=3)
    assert "no splat of the scene can be coded" in error


# Refusals


def test_unreachable(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, more = tmp_path / "a.gsb", ["--views", scene]
    assert "no file is that small" in refused(capsys, scene, out, "--target-size", 1000, *more, code=10)
    error = refused(capsys, scene, out, "--target-ratio", 2, *more, code=10)
    assert "no file is that large" in error
    assert "allowed up to" in error
    assert "no file is that good" in refused(capsys, scene, out, "--min-psnr", 150, *more, code=10)


@pytest.mark.parametrize("options", [
    ["--target-size", "1MB", "--target-ratio", "4"],
    ["--target-size", "1MB", "--quality", "50"],
    ["--target-ratio", "4", "--lossless"],
    ["--min-psnr", "40", "--quality", "75"],
    ["--min-psnr", "40", "--lossless"],
    ["--target-size", "8M"],
    ["--target-size", "-5"],
    ["--target-ratio", "many"],
])  # fmt: skip
def test_usage(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    assert "usage: gsenc" in refused(capsys, scene, tmp_path / "a.gsb", *options, code=2)


def test_numbers_out_of_range(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.gsb"
    assert "target-ratio" in refused(capsys, scene, out, "--target-ratio", 0, code=3)
    assert "min-psnr" in refused(capsys, scene, out, "--min-psnr", -3, code=3)


def test_views_that_see_nothing(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cameras = json.loads((scene / "cameras.json").read_text(encoding="utf-8"))
    for camera in cameras:
        camera["world_to_camera"][2][3] -= 100.0  # the scene is behind it
    away, out = tmp_path / "away.json", tmp_path / "out" / "scene.gsb"
    away.write_text(json.dumps(cameras), encoding="utf-8")
    out.parent.mkdir()
    assert "nothing to judge quality by" in refused(capsys, scene, out, "--min-psnr", 40, "--views", away, code=3)


def test_steps_are_those_of_the_usable_splats() -> None:
    cloud = random_cloud(60, 0, 3)
    broken = replace(cloud, log_scales=cloud.log_scales.copy(), opacity_logits=cloud.opacity_logits.copy())
    broken.log_scales[0], broken.opacity_logits[1] = 31.0, np.inf
    config, files = EncodeConfig(preset="max", threads=1), []
    for each in (broken, sanitise(broken)[0]):
        visibility, _, judges = gsenc.looked_at(each, each, config, None, lambda *_: None)
        files += [b"".join(FixedQuality(each, config, visibility, 0.0, by).encode(75.0)[0]) for by in (judges, None)]
    assert (files[0], files[1]) == (files[2], files[3])
    assert files[0] != files[1]  # the judges move bits
