"""Training end to end on a tiny capture, and gstrain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clouds import assert_same_arrays
from tiny_capture import HEIGHT, WIDTH, tiny_cloud, write_capture

import gscodec
from gscodec.cli import gstrain
from gscodec.cloud import CloudMeta
from gscodec.errors import BadInputError
from gscodec.scene import load_capture
from gscodec.scene.points import load_points
from gscodec.train.options import TrainOptions

torch = pytest.importorskip("torch")
pytest.importorskip("PIL")

from gscodec.train.evaluate import evaluate  # noqa: E402
from gscodec.train.loop import prepare, train  # noqa: E402
from gscodec.train.views import load_views, read_photo, shuffled  # noqa: E402

# Learning rates for a hundredth of the usual iterations
FEW = TrainOptions(iterations=60, sh_degree=1, random_points=200, densify_every=20, dc_lr=0.05, scale_lr=0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_capture(tmp_path / "capture")
    return tmp_path / "capture"


@pytest.fixture
def capture(folder: Path):
    return replace(load_capture(folder), points=load_points(folder / "points.npz"))


# The loop


def test_training_comes_closer_to_photos_not_seen(capture) -> None:
    tests = load_views(capture, "test", FEW.background)
    before = evaluate(prepare(capture, FEW).cloud(), tests)
    result = train(capture, FEW)
    after = evaluate(result.cloud, tests)
    assert (after.views, len(result.history)) == (1, FEW.iterations)
    assert after.psnr > before.psnr + 2.5
    assert after.ssim > before.ssim
    assert result.final_loss < 0.5 * np.mean([record.loss for record in result.history[:6]])
    assert result.cloud.sh_degree == 1
    assert result.history[-1].splats == len(result.cloud) > len(tiny_cloud())  # densified


def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(capture) -> None:
    options = replace(FEW, iterations=30)
    one, two = (train(capture, replace(options, threads=threads)) for threads in (1, 2))
    assert_same_arrays(one.cloud, two.cloud)
    assert one.history == two.history
    other = train(capture, replace(options, seed=1))
    assert other.cloud.positions.tobytes() != one.cloud.positions.tobytes()


def test_fine_tuning_repairs_a_cloud_and_keeps_its_number(capture) -> None:
    truth = tiny_cloud()
    damaged = replace(truth, sh_dc=truth.sh_dc + np.float32(0.5))
    tests = load_views(capture, "test", FEW.background)
    result = train(capture, TrainOptions.fine_tuning(40, dc_lr=0.02), start=damaged)
    assert len(result.cloud) == len(truth)
    assert evaluate(result.cloud, tests).psnr > evaluate(damaged, tests).psnr + 4.0


def test_pruning_and_fine_tuning_take_turns(capture) -> None:
    views = load_views(capture, "train", FEW.background)
    seen = []
    trainer = prepare(capture, TrainOptions.fine_tuning(20), start=tiny_cloud(), views=views)
    trainer.run(10, on_iteration=lambda running: seen.append(running.iteration))
    keep = np.arange(60) < 50
    trainer.prune(keep)
    trainer.run(10)
    assert (len(trainer.cloud()), trainer.iteration, seen) == (50, 20, list(range(1, 11)))
    for mask in (np.zeros(50, bool), keep):
        with pytest.raises(BadInputError, match="mask"):
            trainer.prune(mask)


def test_a_start_is_trained_in_its_own_render_mode(capture) -> None:
    start = replace(tiny_cloud(), meta=CloudMeta(render_mode="antialiased", comments=("old",)))
    result = train(capture, TrainOptions.fine_tuning(1), start=start)
    assert result.cloud.meta.render_mode == "antialiased"
    assert result.cloud.meta.comments == ("old",)
    with pytest.raises(BadInputError, match="nothing to start from"):
        train(capture, FEW, start=start.select(slice(0, 0)))


def test_a_capture_without_points_starts_from_random_ones(folder: Path) -> None:
    result = train(load_capture(folder), replace(FEW, densify=False))
    assert 50 < len(result.cloud) <= 200
    assert result.final_loss < result.history[0].loss


def test_the_number_of_splats_stays_within_the_limit(capture) -> None:
    result = train(capture, replace(FEW, max_splats=70, gradient_threshold=0.0))
    assert max(record.splats for record in result.history) == 70


# Photos


def test_photos_are_read_whether_they_are_kept_or_not(capture, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = load_views(capture, "train", FEW.background)
    monkeypatch.setattr("gscodec.train.views.MEMORY", 0)
    read = load_views(capture, "train", FEW.background)
    assert (len(kept.stored), len(read.stored), len(read)) == (6, 0, 6)
    assert torch.equal(kept.photo(3), read.photo(3))
    assert kept.photo(3).shape == (HEIGHT, WIDTH, 3)


def test_transparent_photos_show_the_background(tmp_path: Path) -> None:
    write_capture(tmp_path, alpha=True)
    capture = load_capture(tmp_path)
    camera = capture.cameras[0]
    black, white = (read_photo(camera, tmp_path, (shade,) * 3).astype(int) for shade in (0.0, 1.0))
    assert set(np.unique(white - black)) == {127}


def test_larger_photos_are_made_smaller(folder: Path) -> None:
    full = load_capture(folder).cameras[0]
    half = load_capture(folder, downscale=2).cameras[0]
    large, small = (read_photo(camera, folder, FEW.background).astype(float) for camera in (full, half))
    assert small.shape == (HEIGHT // 2, WIDTH // 2, 3)
    mean = large.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - mean).mean() < 5.0
    with pytest.raises(BadInputError, match="size"):
        read_photo(replace(full, width=WIDTH - 3), folder, FEW.background)


def test_every_view_is_taken_before_any_is_taken_again() -> None:
    order = shuffled(5, np.random.default_rng(0))
    rounds = [[next(order) for _ in range(5)] for _ in range(4)]
    assert all(sorted(numbers) == list(range(5)) for numbers in rounds)
    assert rounds[0] != rounds[1]


# gstrain


def test_gstrain_writes_the_same_file_again(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--iterations", "12", "--points", str(folder / "points.npz"), "--sh-degree", "2"]
    first, second = tmp_path / "1.ply", tmp_path / "2.ply"
    assert gstrain.main([str(folder), "-o", str(first), *common, "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert gstrain.main([str(folder), "-o", str(second), *common, "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert first.read_bytes() == second.read_bytes()
    cloud = gscodec.read_ply(first)
    assert (found["splats"], found["bytes"]) == (len(cloud), first.stat().st_size)
    assert (found["iterations"], found["views"], found["test"]["views"]) == (12, 6, 1)
    assert cloud.sh_degree == 2
    assert cloud.meta.comments[0].startswith("trained by gstrain ")


def test_gstrain_fine_tunes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start, output = tmp_path / "start.ply", tmp_path / "fine.ply"
    gscodec.write_ply(start, tiny_cloud(60))
    assert gstrain.main([str(folder), "-o", str(output), "--start", str(start), "--iterations", "3"]) == 0
    assert "60" in capsys.readouterr().out
    assert len(gscodec.read_ply(output)) == 60
    assert gscodec.read_ply(output).meta.comments[-1].startswith("fine-tuned by gstrain ")


def error_of(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 3) -> str:
    capsys.readouterr()
    assert gstrain.main([*map(str, arguments)]) == code
    found = capsys.readouterr()
    assert found.out == ""
    return found.err


def test_gstrain_errors_write_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.ply"
    assert "no capture" in error_of(capsys, tmp_path, "-o", output)
    assert "cannot read points" in error_of(capsys, folder, "-o", output, "--points", tmp_path / "none.npz")
    assert "cannot read" in error_of(capsys, folder, "-o", output, "--start", tmp_path / "none.ply")
    assert "no directory" in error_of(capsys, folder, "-o", tmp_path / "no" / "out.ply", code=9)
    assert "is not a colour" in error_of(capsys, folder, "-o", output, "--background", "0,0", code=2)
    assert "required: -o" in error_of(capsys, folder, code=2)
    if not torch.cuda.is_available():
        assert "no CUDA device" in error_of(capsys, folder, "-o", output, "--device", "cuda")
    (folder / "images" / "3.png").unlink()
    assert "3.png" in error_of(capsys, folder, "-o", output)
    assert not output.exists()
    output.write_bytes(b"mine")
    assert "--force" in error_of(capsys, folder, "-o", output)
    assert output.read_bytes() == b"mine"


def test_gstrain_without_photos_or_views(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = json.loads((folder / "cameras.json").read_text())
    (folder / "cameras.json").write_text(json.dumps([{**entry, "split": "test"} for entry in entries]))
    assert "no such camera" in error_of(capsys, folder, "-o", tmp_path / "out.ply")
    (folder / "cameras.json").write_text("[]")
    assert "error" in error_of(capsys, folder, "-o", tmp_path / "out.ply")


def test_gstrain_interrupted_writes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gscodec.train.loop.photometric_loss", interrupt)
    assert gstrain.main([str(folder), "-o", str(tmp_path / "out.ply"), "--iterations", "60"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["capture"]


def test_gstrain_hands_rap_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(capsys, "rap", tmp_path / "none", "-o", tmp_path / "w.npz").startswith("gstrain rap: error: ")


def test_gstrain_without_torch_names_the_extra(folder: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)\n"
        "from gscodec.cli.gstrain import main\n"
        "code = main(sys.argv[1:])\n"
        "assert 'torch' not in sys.modules\n"
        "sys.exit(code)\n"
    )
    command = [sys.executable, "-c", code, str(folder), "-o", str(tmp_path / "out.ply")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 3, done.stderr
    assert "gscodec[train]" in done.stderr


@pytest.mark.slow
def test_a_longer_training_reaches_a_good_likeness(capture) -> None:
    options = TrainOptions(iterations=700, sh_degree=0, background=(0.0, 0.0, 0.0))
    result = train(capture, options)
    assert evaluate(result.cloud, load_views(capture, "train", options.background)).psnr > 30.0
    assert evaluate(result.cloud, load_views(capture, "test", options.background)).psnr > 22.0
