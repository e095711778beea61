from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clouds import random_cloud

torch = pytest.importorskip("torch")
pytest.importorskip("PIL")

from tiny_capture import tiny_cameras, tiny_cloud, write_capture  # noqa: E402

from gscodec.cli.gstrain_rap import main  # noqa: E402
from gscodec.errors import BadInputError  # noqa: E402
from gscodec.formats.ply import write_ply  # noqa: E402
from gscodec.importance import rap_distilled_features, rap_features  # noqa: E402
from gscodec.importance.rap_network import load_network  # noqa: E402
from gscodec.render.cpu import render  # noqa: E402
from gscodec.train.rap import RapOptions, new_module, train_rap  # noqa: E402
from gscodec.train.rap_distilled import DistilOptions, fit, removal_ranks, train_distilled  # noqa: E402
from gscodec.train.rap_evaluate import evaluate_pruning  # noqa: E402
from gscodec.train.rap_losses import distribution_loss, pruning_loss  # noqa: E402
from gscodec.train.rap_render import faded, render_by_parameters, render_faded  # noqa: E402
from gscodec.train.rap_scenes import Scene, load_scene  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A capture with point_cloud.ply, named "tiny"."""
    path = tmp_path / "tiny"
    write_ply_into(path, write_capture(path))
    return path


def write_ply_into(path: Path, cloud: Any) -> None:
    write_ply(path / "point_cloud.ply", cloud)


def test_pruning_loss_by_hand() -> None:
    scores = torch.tensor([0.2, 0.4, 0.9], requires_grad=True)
    loss = pruning_loss(scores, 0.3)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.04)
    assert scores.grad.tolist() == pytest.approx([2 * 0.2 / 3] * 3)


def slow_distribution_loss(scores: Any, bins: int, width: float) -> Any:
    centres = torch.linspace(0.0, 1.0, bins, dtype=torch.float64)
    counts = torch.exp(-0.5 * ((scores[:, None] - centres) / width) ** 2).sum(dim=0)
    shares = counts / counts.sum()
    return 1.0 + (shares * torch.log(shares + 1e-10)).sum() / np.log(bins)


def test_distribution_loss_is_that_of_its_definition() -> None:
    values = np.random.default_rng(0).beta(0.6, 2.0, 400).astype(np.float32)
    values[:3] = 0.0, 1.0, 0.5
    scores = torch.from_numpy(values).requires_grad_(True)
    loss = distribution_loss(scores)
    loss.backward()
    exact = torch.from_numpy(values.astype(np.float64)).requires_grad_(True)
    slow = slow_distribution_loss(exact, 250, 0.01)
    slow.backward()
    assert float(loss.detach()) == pytest.approx(float(slow.detach()), abs=1e-6)
    assert np.abs(scores.grad.numpy() - exact.grad.numpy()).max() < 1e-6
    assert np.abs(exact.grad.numpy()).max() > 1e-4


def test_distribution_loss_of_known_distributions() -> None:
    spread = float(distribution_loss(torch.linspace(0.0, 1.0, 5000)))
    single = float(distribution_loss(torch.full((50,), 0.5)))
    assert 0.0 <= spread < 0.005
    sigma = 0.01 * 249.0  # in bins: the entropy of one Gaussian
    assert single == pytest.approx(1.0 - np.log(sigma * np.sqrt(2.0 * np.pi * np.e)) / np.log(250.0), abs=1e-3)


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
def test_gradient_by_scores_is_that_of_the_full_renderer(mode: str) -> None:
    from dataclasses import replace

    cloud = tiny_cloud()
    cloud = replace(cloud, meta=replace(cloud.meta, render_mode=mode), log_scales=cloud.log_scales - np.float32(1.0))
    camera = tiny_cameras()[2]
    values = np.random.default_rng(5).uniform(0.02, 0.99, len(cloud)).astype(np.float32)
    weight = torch.from_numpy(np.random.default_rng(6).standard_normal((32, 48, 3)).astype(np.float32))
    found = []
    for function in (render_faded, render_by_parameters):
        scores = torch.from_numpy(values.copy()).requires_grad_(True)
        image = function(cloud, camera, scores)
        (image * weight).sum().backward()
        found.append((image.detach().numpy(), scores.grad.numpy()))
    assert np.abs(found[0][0] - found[1][0]).max() < 1e-5
    assert np.abs(found[0][1] - found[1][1]).max() < 1e-3 * np.abs(found[1][1]).max()
    assert np.count_nonzero(found[0][1]) > 30


def test_faded_by_ones_is_the_cloud() -> None:
    cloud = random_cloud(50, 1, 0)
    same = faded(cloud, np.ones(50, np.float32))
    assert np.allclose(same.opacity_logits, cloud.opacity_logits, atol=1e-5)
    assert np.array_equal(same.log_scales, cloud.log_scales)
    gone = faded(cloud, np.zeros(50, np.float32))
    assert render(gone, tiny_cameras()[0]).max() == 0.0
    assert np.isfinite(gone.opacity_logits).all()


def test_training_changes_the_weights_and_repeats(folder: Path) -> None:
    scene = load_scene(str(folder))
    options = RapOptions(iterations=4, threads=1)
    one, two = train_rap([scene], options), train_rap([scene], options)
    other = train_rap([scene], RapOptions(iterations=4, seed=1, threads=1))
    torch.manual_seed(0)
    start = new_module(15)[0].weight.detach().numpy().T
    assert one.losses.shape == (4, 3)
    assert np.isfinite(one.losses).all()
    for first, second in zip(one.network.weights, two.network.weights, strict=True):
        assert first.tobytes() == second.tobytes()
    assert not np.array_equal(one.network.weights[0], start)
    assert not np.array_equal(one.network.weights[0], other.network.weights[0])
    assert one.network.features == rap_features.NAMES


def test_training_makes_the_loss_smaller(folder: Path) -> None:
    options = RapOptions(iterations=60, learning_rate=1e-2, render_weight=0.0, threads=1)
    losses = train_rap([load_scene(str(folder))], options).losses @ [0.0, 1.0, 0.25]
    assert losses[-5:].mean() < 0.9 * losses[:5].mean()


def test_removal_ranks() -> None:
    cloud = tiny_cloud()
    ranks = removal_ranks(cloud, tiny_cameras(), 6)
    assert ranks.mean() == pytest.approx(0.5)
    assert np.unique(ranks).size == len(cloud)
    # What nobody sees goes first and shares a rank.
    places = cloud.positions.copy()
    places[10:20] += np.float32(1e4)
    hidden = removal_ranks(type(cloud)(places, *[getattr(cloud, name) for name in (
        "log_scales", "quats_wxyz", "opacity_logits", "sh_dc", "sh_rest")]), tiny_cameras(), 6)  # fmt: skip
    assert (hidden[10:20] == 5.0 / 60.0).all()
    assert np.delete(hidden, np.arange(10, 20)).min() > 10.0 / 60.0
    with pytest.raises(BadInputError, match="view"):
        removal_ranks(cloud, [], 6)


def test_rounds_remove_better_than_one_look(folder: Path) -> None:
    scene = load_scene(str(folder))
    quality = []
    for rounds in (1, 20):
        ranks = removal_ranks(scene.cloud, scene.cameras, rounds).astype(np.float32)
        quality.append(evaluate_pruning(scene, lambda _, ranks=ranks: ranks, (0.6,))[0].psnr_renders)
    assert quality[1] > quality[0] + 0.1


def test_distilled_training_repeats_and_learns(folder: Path) -> None:
    scene = load_scene(str(folder))
    options = DistilOptions(iterations=30, rounds=4, batch=64, threads=1)
    one, two = train_distilled([scene], options), train_distilled([scene, scene], options)
    assert one.network.features == rap_distilled_features.NAMES
    inputs = [rap_distilled_features.features(scene.cloud)]
    ranks = [removal_ranks(scene.cloud, scene.cameras, 4)]
    same = fit(inputs, ranks, options)
    assert [w.tobytes() for w in one.network.weights] == [w.tobytes() for w in same.network.weights]
    assert np.isfinite(two.losses).all()
    longer = fit(inputs, ranks, DistilOptions(iterations=300, rounds=4, batch=64))
    assert longer.losses[-10:].mean() < 0.5 * longer.losses[:10].mean()
    scores = longer.network.scores(inputs[0])
    assert np.corrcoef(scores, ranks[0])[0, 1] > 0.8


@pytest.mark.parametrize(("options", "field"), [
    ({"target_mean": 1.0}, "target_mean"), ({"iterations": 0}, "iterations"), ({"seed": -1}, "seed"),
    ({"pruning_weight": -1.0}, "pruning_weight"), ({"render_weight": np.inf}, "render_weight"),
    ({"learning_rate": 0.0}, "learning_rate"), ({"ssim_weight": 2.0}, "ssim_weight"),
])  # fmt: skip
def test_options_out_of_range(options: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInputError, match=field):
        RapOptions(**options)


@pytest.mark.parametrize("options", [{"rounds": 0}, {"batch": 0}, {"seed": -1}, {"learning_rate": 1.5}])
def test_distil_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match=next(iter(options))):
        DistilOptions(**options)


def test_no_scene_is_refused() -> None:
    with pytest.raises(BadInputError, match="no scene"):
        train_rap([], RapOptions())
    with pytest.raises(BadInputError, match="no scene"):
        train_distilled([], DistilOptions())


def test_scenes_are_found(folder: Path, tmp_path: Path) -> None:
    scene = load_scene(str(folder), 2)
    assert (scene.name, len(scene.cloud), len(scene.cameras)) == ("tiny", 60, 6)
    assert (scene.cameras[0].width, scene.photos("train").photo(0).shape) == (24, (16, 24, 3))
    other = tmp_path / "other.ply"
    (folder / "point_cloud.ply").rename(other)
    assert len(load_scene(f"{folder}:{other}").cloud) == 60
    with pytest.raises(BadInputError):
        load_scene(str(folder))


def test_cloud_of_broken_splats_is_refused(folder: Path) -> None:
    cloud = tiny_cloud(5)
    cloud.positions[1:] = np.nan
    write_ply(folder / "broken.ply", cloud)
    with pytest.raises(BadInputError, match="too few"):
        load_scene(f"{folder}:{folder / 'broken.ply'}")


def test_evaluation_by_hand(folder: Path) -> None:
    scene = load_scene(str(folder))
    rows = evaluate_pruning(scene, lambda cloud: np.arange(len(cloud), dtype=np.float32), (0.0, 0.5))
    assert (rows[0].psnr_renders, rows[0].fraction) == (np.inf, 0.0)
    view = scene.capture.views("test")[0]
    whole, half = render(scene.cloud, view), render(scene.cloud.select(slice(30, None)), view)
    error = np.mean((np.clip(whole, 0, 1).astype(np.float64) - np.clip(half, 0, 1)) ** 2)
    assert rows[1].psnr_renders == pytest.approx(-10.0 * np.log10(error))
    assert rows[1].psnr_photos is not None
    assert rows[1].psnr_photos < rows[0].psnr_photos
    assert isinstance(scene, Scene)


@pytest.mark.parametrize("method", ["rap", "rap-distilled"])
def test_command_line(method: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = tmp_path / "held"
    write_ply_into(second, write_capture(second))
    output = tmp_path / "weights.npz"
    names = {"rap": rap_features.NAMES, "rap-distilled": rap_distilled_features.NAMES}[method]
    arguments = [str(folder), str(second), "-o", str(output), "--method", method, "--iterations", "3", "-q"]
    extra = ["--rounds", "3"] if method == "rap-distilled" else ["--target-mean", "0.4"]
    assert main([*arguments, *extra, "--downscale", "1", "--held-out", "held", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["scenes"], data["held_out"], data["splats"], data["iterations"]) == (["tiny"], "held", 60, 3)
    assert [row["fraction"] for row in data["pruned"]] == [0.2, 0.4, 0.6, 0.8]
    assert load_network(output, names).features == names
    assert main([*arguments, *extra]) == BadInputError.exit_code  # it exists
    assert main([*arguments, *extra, "-f", "--held-out", "nobody"]) == BadInputError.exit_code
    assert "tiny, held" in capsys.readouterr().err


def test_command_line_refuses_what_means_nothing(folder: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "weights.npz")
    assert main([str(folder), "-o", output, "--rounds", "3"]) == BadInputError.exit_code
    arguments = [str(folder), "-o", output, "--method", "rap-distilled"]
    assert main([*arguments, "--target-mean", "0.5"]) == BadInputError.exit_code
    assert main([*arguments, "--device", "cuda"]) == BadInputError.exit_code
    assert not Path(output).exists()
