"""The bench of the CUDA renderer on a scene folder of its own, with the stand-in for gsplat."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from slow_renderer import HEIGHT, WIDTH, camera, random_cloud

from gscodec.formats.ply import write_ply
from gscodec.render.cuda import requirements

torch = pytest.importorskip("torch", reason="the bench measures gradients")
stand_in = pytest.importorskip("gsplat_stand_in")
bench_cuda = pytest.importorskip("gscodec_tools.bench_cuda")


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes" / "one"
    folder.mkdir(parents=True)
    write_ply(folder / "point_cloud.ply", random_cloud(1))
    view = camera()
    entry = {
        name: getattr(view, name) for name in ("name", "image", "width", "height", "fx", "fy", "cx", "cy", "split")
    }
    entry["world_to_camera"] = view.world_to_camera.tolist()
    (folder / "cameras.json").write_text(json.dumps([entry]))
    return folder.parent


def test_everything_is_measured(
    scenes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(requirements, "kernels", lambda _: stand_in)
    monkeypatch.setattr(bench_cuda, "RUNS", 1)
    for name, result in {"synchronize": None, "get_device_name": "a GPU"}.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, result=result: result)
    target = scenes / "cuda.json"

    assert bench_cuda.main(["--scenes", str(scenes), "--device", "cpu", "--json", str(target)]) == 0

    results = json.loads(target.read_text())
    assert json.loads(capsys.readouterr().out) == results
    assert (results["machine"]["gpu"], results["machine"]["gsplat"]) == ("a GPU", "1.5.3")
    (scene,) = results["scenes"]
    assert (scene["scene"], scene["splats"], scene["width"], scene["height"]) == ("one", 60, WIDTH, HEIGHT)
    assert list(scene["milliseconds"]) == ["render", "forward_backward", "contributions"]
    assert scene["psnr_against_cpu"]["lowest"] > 50
    assert scene["bytes"] > 100


def test_without_a_gpu_it_says_so(
    scenes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cuda = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setattr(torch, "cuda", cuda)
    assert bench_cuda.main(["--scenes", str(scenes), "--json", str(scenes / "cuda.json")]) == 3
    assert "no CUDA device" in capsys.readouterr().err
    assert not (scenes / "cuda.json").exists()
