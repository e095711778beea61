"""The bench of cut files on a small capture of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_capture import tiny_cloud, write_capture

from gscodec.formats.ply import write_ply

pytest.importorskip("PIL", reason="the capture has photos")
bench_progressive = pytest.importorskip("gscodec_tools.bench_progressive")


def test_cuts_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "one"
    write_capture(folder)
    write_ply(folder / "point_cloud.ply", tiny_cloud(3000))
    assert bench_progressive.main([str(folder), "--json", str(tmp_path / "out.json")]) == 0
    results = json.loads((tmp_path / "out.json").read_text())
    (scene,) = results["scenes"]
    assert (scene["scene"], scene["splats"], scene["views"]) == ("one", 3000, 1)
    shares = [cut["share"] for cut in scene["cuts"]]
    assert shares == list(bench_progressive.SHARES)
    splats = [cut["progressive"]["splats"] for cut in scene["cuts"]]
    assert splats == sorted(splats)
    assert set(splats) <= {0, 750, 1500, 3000}
    assert scene["cuts"][-1]["normal"] == {"splats": 0, "sh_degree": None, "psnr": None}  # one tile, all or nothing
    separate = [cut["separate_psnr"] for cut in scene["cuts"]]
    assert separate[0] is None  # smaller than the smallest file of the curve
    known = [psnr for psnr in separate if psnr is not None]
    assert len(known) >= 3
    assert known == sorted(known)
    assert separate[-1] < scene["normal"]["psnr"]
    assert "% of bytes" in capsys.readouterr().out


def test_what_is_no_scene_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_progressive.main([str(tmp_path)]) != 0
    assert "point_cloud.ply" in capsys.readouterr().err
