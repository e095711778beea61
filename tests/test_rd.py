"""`gsrd run` from the command line, with a codec that does as it is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import fake_codec
import PIL.Image
import pytest
from clouds import random_cloud
from gscodec_tools.rd import main as gsrd
from gscodec_tools.rd.measure import png

from gscodec.cloud import GaussianCloud
from gscodec.formats.ply import write_ply
from gscodec.render.cpu import render
from gscodec.scene import virtual_views

SIZES = (48, 32)


@pytest.fixture(scope="module")
def cloud() -> GaussianCloud:
    return random_cloud(300, 1, seed=5)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, cloud: GaussianCloud) -> Path:
    """A scene folder: two small test views with photos, which are renders of part of the cloud."""
    folder = tmp_path_factory.mktemp("scenes") / "yard"
    (folder / "images").mkdir(parents=True)
    write_ply(folder / "point_cloud.ply", cloud)
    entries = []
    for camera in virtual_views(cloud, 2, width=SIZES[0], height=SIZES[1]):
        fields = {name: getattr(camera, name) for name in ("name", "width", "height", "fx", "fy", "cx", "cy", "split")}
        photo = f"images/{camera.name}.png"
        entries.append(fields | {"image": photo, "world_to_camera": camera.world_to_camera.tolist()})
        (folder / photo).write_bytes(png(render(cloud.select(slice(0, 200)), camera)))
    (folder / "cameras.json").write_text(json.dumps(entries))
    return folder


def gsrd_run(scene: Path, out: Path, *points: str, log: Path, options: tuple[str, ...] = (), code: int = 0) -> None:
    external = ["--external", fake_codec.template(log, *points)]
    assert gsrd.main(["run", str(scene), "-o", str(out), "--codecs", "fake", *external, *options]) == code


def rows_of(out: Path, scene: str = "yard") -> dict[str, dict[str, Any]]:
    tree = json.loads((out / "rd" / f"{scene}.json").read_text())
    assert (tree["format"], tree["scene"]) == (1, scene)
    return {row["label"]: row for row in tree["rows"]}


def calls(log: Path) -> Counter[str]:
    return Counter(log.read_text().split())


def test_a_row_is_complete(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gsrd_run(scene, tmp_path / "out", "copy", log=tmp_path / "log", options=("--jobs", "1"))
    row = rows_of(tmp_path / "out")["copy"]
    size = (scene / "point_cloud.ply").stat().st_size
    assert set(row) == KEYS
    expected = {
        "scene": "yard",
        "splats": 300,
        "sh_degree": 1,
        "source_bytes": size,
        "codec": "fake",
        "settings": {"point": "copy"},
        "status": "ok",
        "message": "",
        "bytes": size,
        "decoded_splats": 300,
        "identical": True,
        "psnr_renders": None,
        "psnr_8bit_renders": None,
        "ssim_renders": 1.0,
        "jobs": 1,
        "seed": 0,
        "stream_bytes": None,
        "picture": "pictures/yard/fake-copy.png",
    }
    assert {name: row[name] for name in expected} == expected
    assert row["bits_per_splat"] == pytest.approx(8 * size / 300, abs=1e-3)
    assert row["views"] == {"kind": "test", "count": 2, "seed": None, "names": ["virtual_0000", "virtual_0001"]}
    assert row["psnr_photos"] == row["source_psnr_photos"] > 10.0
    assert row["ssim_photos"] == pytest.approx(row["source_ssim_photos"], abs=1e-5)
    assert min(row[name] for name in ("encode_s", "decode_s", "encode_peak_bytes", "decode_peak_bytes")) > 0
    assert {"date", "command"}.isdisjoint(row["host"])
    assert row["encode_command"].endswith("enc in.ply out.bin copy")
    assert row["decode_command"].endswith("dec out.bin back.ply")
    folder = tmp_path / "out" / "rd" / "pictures" / "yard"
    assert sorted(path.name for path in folder.iterdir()) == ["fake-copy.png", "photo.png", "source.png"]
    with PIL.Image.open(folder / "fake-copy.png") as picture:
        assert picture.size == SIZES
    assert (folder / "fake-copy.png").read_bytes() == (folder / "source.png").read_bytes()
    told = capsys.readouterr()
    assert "[1/1] yard fake copy:" in told.err
    assert "1 ok" in told.out


def test_a_row_can_be_made_again_with_its_command(scene: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    gsrd_run(scene, tmp_path / "out", "copy", "other", log=log, options=("--no-pictures",))
    row = rows_of(tmp_path / "out")["other"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(row["command"], shell=True, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert calls(log) == {"copy": 1, "other": 2}
    assert rows_of(tmp_path / "out")["other"] | _times(row) == row


def test_a_second_run_measures_only_what_is_missing(scene: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    gsrd_run(scene, out, "copy", "fail", log=log, options=("--no-pictures",))
    first = rows_of(out)
    assert (first["fail"]["status"], first["copy"]["status"]) == ("failed", "ok")
    assert "out of ink" in first["fail"]["message"]
    assert str(tmp_path) not in first["fail"]["message"].partition("ended with")[2]
    gsrd_run(scene, out, "copy", "fail", log=log, options=("--no-pictures",))
    assert calls(log) == {"copy": 1, "fail": 2}
    assert rows_of(out)["copy"] == first["copy"]
    gsrd_run(scene, out, "copy", "fail", log=log, options=("--no-pictures", "--force"))
    assert calls(log) == {"copy": 2, "fail": 3}


def test_rows_of_another_content_are_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ply, out, log = tmp_path / "yard.ply", tmp_path / "out", tmp_path / "log"
    options = ("--no-pictures", "--views", "1")
    write_ply(ply, random_cloud(60, 0, seed=1))
    gsrd_run(ply, out, "copy", "other", log=log, options=options)
    before = rows_of(out)
    assert before["copy"]["views"] == {"kind": "virtual", "count": 1, "seed": 0, "names": ["virtual_0000"]}
    write_ply(ply, random_cloud(70, 0, seed=2), force=True)
    gsrd_run(ply, out, "copy", "other", log=log, options=(*options, "--labels", "copy"))
    assert "rows of other content or views left, run again: fake" in capsys.readouterr().err
    after = rows_of(out)
    assert (after["copy"]["splats"], after["other"]["splats"]) == (70, 60)
    assert after["copy"]["key"] != before["copy"]["key"]
    assert calls(log) == {"copy": 2, "other": 1}


def test_a_codec_over_the_time_limit_is_a_row(scene: Path, tmp_path: Path) -> None:
    options = ("--no-pictures", "--time-limit", "4", "--jobs", "2")
    gsrd_run(scene, tmp_path / "out", "slow", "copy", "nothing", log=tmp_path / "log", options=options)
    rows = rows_of(tmp_path / "out")
    assert {label: row["status"] for label, row in rows.items()} == {
        "slow": "timeout",
        "copy": "ok",
        "nothing": "failed",
    }
    assert rows["slow"]["message"] == "more than 4 seconds"
    assert rows["slow"]["bytes"] is None
    assert set(rows["slow"]) == KEYS


def test_all_codecs_failing_is_an_error(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gsrd_run(scene, tmp_path / "out", "fail", log=tmp_path / "log", options=("--no-pictures",), code=3)
    assert "no codec gave a result" in capsys.readouterr().err
    assert rows_of(tmp_path / "out")["fail"]["status"] == "failed"


def test_a_codec_that_is_missing_does_not_stop_the_others(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, missing = tmp_path / "out", ("--external", "ghost=no-such-program {in} {out} ;; no-such-program {in} {out}")
    gsrd_run(scene, out, "copy", log=tmp_path / "log", options=("--no-pictures", *missing))
    rows = rows_of(out)
    assert {label: row["status"] for label, row in rows.items()} == {"copy": "ok", "default": "unavailable"}
    assert "no-such-program" in rows["default"]["message"]
    assert "ghost is not available" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--codecs", "nonsense"], "no such codec"),
        (["--codecs", "naive", "--labels", "nonsense"], "no such rate point"),
        (["--codecs", "naive", "--external", "mine"], "template"),
    ],
)
def test_bad_options_are_refused(
    scene: Path, tmp_path: Path, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gsrd.main(["run", str(scene), "-o", str(tmp_path / "out"), *arguments]) == 3
    assert text in capsys.readouterr().err
    assert list(tmp_path.glob("out/rd/*.json")) == []


@pytest.mark.slow  # starts many processes
def test_a_killed_worker_costs_no_row(scene: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    options = ("--no-pictures", "--jobs", "2")
    gsrd_run(scene, out, "a", "kill-once", "kill", "b", log=log, options=options)
    rows = rows_of(out)
    assert {label: row["status"] for label, row in rows.items()} == {
        "a": "ok",
        "kill-once": "ok",
        "kill": "failed",
        "b": "ok",
    }
    assert "killed twice" in rows["kill"]["message"]
    assert calls(log)["kill"] == 2


@pytest.mark.slow  # starts many processes
def test_kill_9_loses_no_finished_row(scene: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    words = ["run", str(scene), "-o", str(out), "--codecs", "fake", "--jobs", "1", "--no-pictures"]
    words += ["--external", fake_codec.template(log, "copy", "slow")]
    process = subprocess.Popen([sys.executable, "-m", "gscodec_tools.rd.main", *words], stderr=subprocess.DEVNULL)
    while not (log.is_file() and "slow" in log.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert {label: row["status"] for label, row in rows_of(out).items()} == {"copy": "ok"}
    assert gsrd.main([*words, "--time-limit", "3"]) == 0
    assert calls(log) == {"copy": 1, "slow": 2}


@pytest.mark.slow  # starts gsenc and gsdec several times
def test_own_rows_match_the_sizes_of_others(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["run", str(scene), "-o", str(out), "--codecs", "gscodec,naive", "--labels", "6bit,q60,lossless"]
    assert gsrd.main(words) == 0
    rows = rows_of(out)
    assert set(rows) == {"6bit", "q60", "lossless", "match:naive 6bit"}
    exact = rows["lossless"]
    assert (exact["identical"], exact["psnr_renders"], exact["settings"]) == (True, None, {"lossless": True})
    assert "--lossless" in exact["encode_command"]
    assert rows["q60"]["bytes"] < exact["bytes"] == sum(exact["stream_bytes"].values())
    peer, own = rows["6bit"], rows["match:naive 6bit"]
    assert own["settings"]["matches"] == peer["key"]
    assert 0.99 * peer["bytes"] <= own["bytes"] <= peer["bytes"]
    assert f"--quality {own['settings']['quality']:g} " in own["encode_command"]
    assert sum(own["stream_bytes"].values()) == own["bytes"]
    assert {"positions", "scales", "colour layer 1"} <= set(own["stream_bytes"])
    assert rows["q60"]["psnr_renders"] > 30.0
    before = (out / "rd" / "yard.json").read_bytes()
    assert gsrd.main(words) == 0
    assert (out / "rd" / "yard.json").read_bytes() == before


def _times(row: dict[str, Any]) -> dict[str, Any]:
    """What may differ from one run to the next, as in ``row``."""
    names = ("encode_s", "decode_s", "encode_peak_bytes", "decode_peak_bytes", "date")
    return {name: row[name] for name in names}


KEYS = set(
    """
    key scene splats sh_degree source_bytes codec label settings status message identical
    bytes bits_per_splat decoded_splats psnr_renders psnr_8bit_renders ssim_renders
    psnr_photos psnr_8bit_photos ssim_photos source_psnr_photos source_ssim_photos
    views encode_s decode_s encode_peak_bytes decode_peak_bytes stream_bytes codec_version host jobs seed date
    command encode_command decode_command picture
    """.split()  # noqa: SIM905 - one line for each would be long
)
