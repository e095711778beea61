"""The renderer's bench on a scene folder of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from slow_renderer import HEIGHT, WIDTH, camera, random_cloud

from gscodec.formats.ply import write_ply

pytest.importorskip("torch", reason="the bench measures gradients")
bench_render = pytest.importorskip("gscodec_tools.bench_render")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_every_scene_and_pass_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "scenes" / "one"
    folder.mkdir(parents=True)
    write_ply(folder / "point_cloud.ply", random_cloud(1))
    view = camera()
    entry = {
        name: getattr(view, name) for name in ("name", "image", "width", "height", "fx", "fy", "cx", "cy", "split")
    }
    entry["world_to_camera"] = view.world_to_camera.tolist()
    (folder / "cameras.json").write_text(json.dumps([entry]))

    assert bench_render.main(["--scenes", str(tmp_path / "scenes"), "--json", str(tmp_path / "render.json")]) == 0

    results = json.loads((tmp_path / "render.json").read_text())
    assert json.loads(capsys.readouterr().out) == results
    (scene,) = results["scenes"]
    assert (scene["scene"], scene["splats"], scene["width"], scene["height"]) == ("one", 60, WIDTH, HEIGHT)
    assert list(scene["seconds"]) == list(scene["peak_bytes"]) == ["forward", "contributions", "forward_backward"]
    assert all(list(by_threads) == ["1", "2"] for by_threads in scene["seconds"].values())
    assert all(size > 1 << 20 for size in scene["peak_bytes"].values())
