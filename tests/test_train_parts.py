"""The parts of the training: schedule, loss, start, parameters with Adam's memory, density control."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud
from gscodec_tools import metrics
from tiny_capture import HEIGHT, WIDTH, tiny_cameras, tiny_cloud

from gscodec.cloud import ATTRIBUTES, CloudMeta
from gscodec.errors import BadInputError
from gscodec.quality import psnr
from gscodec.scene.colmap import SfmPoints
from gscodec.scene.points import load_points
from gscodec.train.initialise import common_view_points, initial_cloud, neighbour_distances, scene_extent
from gscodec.train.options import TrainOptions
from gscodec.train.ssim import l1_and_ssim

torch = pytest.importorskip("torch")

from gscodec.train.densify import ScreenStatistics, densify, rotation_matrices  # noqa: E402
from gscodec.train.devices import limit_threads, renderer_for  # noqa: E402
from gscodec.train.losses import photometric_loss, torch_ssim  # noqa: E402
from gscodec.train.parameters import SplatParameters  # noqa: E402

OPTIONS = TrainOptions(iterations=100)


def two_images(shape=(19, 23, 3), dtype=np.float64):
    rng = np.random.default_rng(5)
    a = rng.random(shape)
    return a.astype(dtype), np.clip(a + 0.2 * rng.standard_normal(shape), 0.0, 1.0).astype(dtype)


# Schedule


def test_published_schedule_at_7000_and_30000_iterations() -> None:
    seven, thirty = TrainOptions(iterations=7000), TrainOptions(iterations=30_000)
    assert [n for n in range(1, 7001) if seven.resets_opacity(n)] == [3000]
    assert [n for n in range(1, 30_001) if thirty.resets_opacity(n)] == [3000, 6000, 9000, 12000]
    rounds = [n for n in range(1, 7001) if seven.densifies(n)]
    assert (rounds[0], rounds[-1], len(rounds)) == (600, 3500, 30)
    assert [seven.active_sh_degree(n) for n in (0, 999, 1000, 2000, 3000, 6999)] == [0, 0, 1, 2, 3, 3]
    assert seven.position_rate(0) == pytest.approx(1.6e-4)
    assert seven.position_rate(3500) == pytest.approx(1.6e-5)
    assert seven.position_rate(7000) == pytest.approx(1.6e-6)


def test_a_short_training_has_every_stage() -> None:
    short = TrainOptions(iterations=700)
    assert [n for n in range(1, 701) if short.densifies(n)] == [100, 200, 300]
    assert not any(map(short.resets_opacity, range(1, 701)))  # opacities could not recover
    assert [n for n in range(1, 3001) if TrainOptions(iterations=3000).resets_opacity(n)] == [1285]
    assert [short.active_sh_degree(n) for n in (99, 100, 300, 699)] == [0, 1, 3, 3]
    fine = TrainOptions.fine_tuning(70, seed=2)
    assert not any(fine.densifies(n) or fine.resets_opacity(n) for n in range(1, 71))
    assert (fine.seed, fine.position_rate(0)) == (2, pytest.approx(1.6e-6))


@pytest.mark.parametrize(
    ("name", "value"),
    [("iterations", 0), ("sh_degree", 5), ("max_splats", 0), ("seed", -1), ("device", "tpu"), ("threads", 0),
     ("background", (0.0, 2.0, 0.0)), ("densify_every", 0)],
)  # fmt: skip
def test_options_out_of_range(name: str, value: object) -> None:
    with pytest.raises(BadInputError, match=name):
        TrainOptions(**{name: value})


# Loss


def test_loss_has_the_ssim_and_l1_of_the_metrics() -> None:
    a, b = two_images()
    l1, similarity, _ = l1_and_ssim(a, b, 0.2)
    assert similarity == pytest.approx(metrics.ssim(a, b), abs=1e-12)
    assert l1 == pytest.approx(np.abs(a - b).mean(), abs=1e-12)
    single = l1_and_ssim(a.astype(np.float32), b.astype(np.float32), 0.2)
    assert single[1] == pytest.approx(similarity, abs=1e-5)
    assert single[2].dtype == np.float32
    assert torch_ssim(torch.from_numpy(a), torch.from_numpy(b)).item() == pytest.approx(similarity, abs=1e-12)


@pytest.mark.parametrize("shape", [(19, 23, 3), (4, 3, 3), (12, 1, 1)])
def test_loss_gradient_matches_finite_differences(shape: tuple[int, ...]) -> None:
    a, b = two_images(shape)
    weight, step = 0.7, 1e-6

    def loss(image):
        l1, similarity, _ = l1_and_ssim(image, b, weight)
        return (1 - weight) * l1 + weight * (1 - similarity)

    _, _, gradient = l1_and_ssim(a, b, weight)
    for index in list(np.ndindex(shape))[:: max(1, a.size // 40)]:
        up, down = a.copy(), a.copy()
        up[index] += step
        down[index] -= step
        assert gradient[index] == pytest.approx((loss(up) - loss(down)) / (2 * step), abs=1e-8, rel=1e-5)


def test_loss_in_torch_has_the_kernels_gradient() -> None:
    a, b = (torch.from_numpy(image) for image in two_images(dtype=np.float32))
    image = a.clone().requires_grad_()
    loss = photometric_loss(image, b, 0.2)
    (3.0 * loss).backward()
    other = a.clone().requires_grad_()
    expected = 0.8 * (other - b).abs().mean() + 0.2 * (1 - torch_ssim(other, b))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    torch.testing.assert_close(image.grad, 3.0 * other.grad, atol=1e-7, rtol=1e-3)
    with pytest.raises(BadInputError, match="shape"):
        photometric_loss(image, b[1:], 0.2)


def test_psnr_is_that_of_the_metrics() -> None:
    a, b = two_images(dtype=np.float32)
    assert psnr(a - 0.3, b) == pytest.approx(metrics.psnr_float(a - np.float32(0.3), b), abs=1e-5)
    assert psnr(a, a) == np.inf
    with pytest.raises(BadInputError, match="shape"):
        psnr(a, b[1:])
    with pytest.raises(BadInputError, match="finite"):
        psnr(a, np.full_like(b, np.nan))


# Start


def test_start_has_a_ball_per_point() -> None:
    xyz = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3], [9, 0, 0]], np.float32)
    assert neighbour_distances(xyz)[0] == pytest.approx((1 + 2 + 3) / 3)
    assert neighbour_distances(xyz[:1]).tolist() == [0.0]
    rgb = np.arange(15).reshape(5, 3).astype(np.uint8)
    cloud = initial_cloud(tiny_cameras(), SfmPoints(xyz, rgb), TrainOptions(sh_degree=2))
    assert cloud.positions.tolist() == xyz.tolist()
    assert cloud.sh_degree == 2
    np.testing.assert_allclose(np.exp(cloud.log_scales[0]), 2.0, rtol=1e-6)
    np.testing.assert_allclose(cloud.sh_dc * 0.28209479 + 0.5, rgb / 255.0, atol=1e-6)
    np.testing.assert_allclose(1 / (1 + np.exp(-cloud.opacity_logits)), 0.1, rtol=1e-5)
    few = initial_cloud(tiny_cameras(), SfmPoints(xyz, rgb), TrainOptions(max_splats=3))
    assert len(few) == 3
    same = initial_cloud(tiny_cameras(), SfmPoints(xyz[[0, 0, 0, 0]], rgb[:4]), OPTIONS)
    assert np.isfinite(same.log_scales).all()
    with pytest.raises(BadInputError, match="finite"):
        initial_cloud(tiny_cameras(), SfmPoints(np.full((2, 3), np.nan, np.float32), rgb[:2]), OPTIONS)


def test_random_start_lies_in_common_view() -> None:
    cameras = tiny_cameras()
    cloud = initial_cloud(cameras, None, TrainOptions(random_points=500))
    assert 100 < len(cloud) <= 500
    # The cameras stand 4.1 from the origin and look at it; half of them see every point.
    assert np.linalg.norm(cloud.positions, axis=1).max() < 4.0
    assert np.linalg.norm(np.median(cloud.positions, axis=0)) < 0.5
    alone = common_view_points(cameras[:1], 50, np.random.default_rng(0))
    assert len(alone) == 50
    assert initial_cloud(cameras[:1], None, TrainOptions(random_points=1)).log_scales.shape == (1, 3)


def test_extent_is_the_radius_of_the_cameras() -> None:
    assert scene_extent(tiny_cameras(8), None) == pytest.approx(1.1 * 4.0)
    points = SfmPoints(
        (tiny_cameras()[0].centre[None] + np.array([[0, 3, 0]])).astype(np.float32), np.zeros((1, 3), np.uint8)
    )
    assert scene_extent(tiny_cameras()[:1], points) == pytest.approx(3.0)
    assert scene_extent(tiny_cameras()[:1], None) == 1.0


@pytest.mark.parametrize(
    "arrays",
    [{"xyz": np.zeros((4, 3))}, {"xyz": np.zeros((4, 2)), "rgb": np.zeros((4, 3))},
     {"xyz": np.zeros((4, 3)), "rgb": np.zeros((3, 3))}, {"xyz": np.full((4, 3), np.inf), "rgb": np.zeros((4, 3))},
     {"xyz": np.zeros((4, 3)), "rgb": np.full((4, 3), 256)}],
)  # fmt: skip
def test_points_file_that_holds_something_else(tmp_path, arrays) -> None:
    np.savez(tmp_path / "points.npz", **arrays)
    with pytest.raises(BadInputError):
        load_points(tmp_path / "points.npz")


def test_points_file_that_is_none(tmp_path) -> None:
    (tmp_path / "points.npz").write_bytes(b"PK\x03\x04 and nothing else")
    for path in (tmp_path / "points.npz", tmp_path / "missing.npz", tmp_path):
        with pytest.raises(BadInputError, match="cannot read points"):
            load_points(path)


# Parameters


def stepped_parameters(cloud, options=OPTIONS):
    """Parameters after one step of Adam whose moments tell the splats apart."""
    parameters = SplatParameters(cloud, options, 1.0)
    loss = sum((torch.arange(1.0, len(cloud) + 1) * parameters[name].flatten(1).sum(1)).sum()
               for name in ATTRIBUTES if name != "opacity_logits")  # fmt: skip
    loss = loss + (torch.arange(1.0, len(cloud) + 1) * parameters["opacity_logits"]).sum()
    loss.backward()
    parameters.adam_step(0)
    return parameters


def test_cloud_comes_back_from_the_parameters() -> None:
    cloud = replace(random_cloud(20, 2, 1), meta=CloudMeta(comments=("mine",), coordinate_frame="unknown"))
    parameters = SplatParameters(cloud, replace(OPTIONS, antialiased=True), 1.0)
    assert_same_arrays(parameters.cloud(), cloud)
    assert parameters.cloud().meta.render_mode == "antialiased"
    assert parameters.cloud().meta.comments == ("mine",)
    assert parameters.harmonics(1).shape == (20, 4, 3)
    assert parameters.harmonics(0).shape == (20, 1, 3)
    assert parameters.harmonics().shape == (20, 9, 3)
    broken = replace(cloud, opacity_logits=np.full(20, np.inf, np.float32))
    with pytest.raises(BadInputError, match="opacity_logits"):
        SplatParameters(broken, OPTIONS, 1.0)


def test_first_step_moves_by_the_learning_rates() -> None:
    cloud = random_cloud(5, 1, 1)
    after = stepped_parameters(cloud).cloud()
    moved = {name: getattr(cloud, name) - getattr(after, name) for name in ATTRIBUTES}
    rates = {"positions": 1.6e-4, "log_scales": 5e-3, "quats_wxyz": 1e-3, "opacity_logits": 0.05,
             "sh_dc": 2.5e-3, "sh_rest": 1.25e-4}  # fmt: skip
    for name, rate in rates.items():
        np.testing.assert_allclose(moved[name], rate, atol=1e-6)


def test_kept_splats_keep_their_moments_and_new_ones_have_none() -> None:
    parameters = stepped_parameters(random_cloud(6, 1, 1))
    before = {name: [moment.clone() for moment in parameters.moments(name)] for name in ATTRIBUTES}
    values = {name: parameters[name].detach().clone() for name in ATTRIBUTES}
    keep = torch.tensor([True, False, True, True, False, True])
    parameters.rebuild(keep, {name: values[name][:2] for name in ATTRIBUTES})
    assert len(parameters) == 6
    for name in ATTRIBUTES:
        assert torch.equal(parameters[name].detach(), torch.cat([values[name][keep], values[name][:2]]))
        for found, old in zip(parameters.moments(name), before[name], strict=True):
            assert torch.equal(found[:4], old[keep])
            assert not found[4:].any()
    # and the optimiser still moves what the parameters now are
    sum(parameters[name].sum() for name in ATTRIBUTES).backward()
    parameters.adam_step(1)
    assert all((parameters[name].detach()[:4] < values[name][keep]).all() for name in ATTRIBUTES)


def test_opacity_reset_caps_and_forgets() -> None:
    parameters = stepped_parameters(random_cloud(50, 0, 1))
    low = parameters["opacity_logits"].detach().clone() < -4.6
    before = parameters["opacity_logits"].detach().clone()
    parameters.lower_opacities(-4.6)
    after = parameters["opacity_logits"].detach()
    assert torch.equal(after[low], before[low])
    assert (after[~low] == torch.tensor(-4.6)).all()
    assert not any(moment.any() for moment in parameters.moments("opacity_logits"))
    assert all(moment.any() for moment in parameters.moments("positions"))


# Density control


def statistics_of(gradients):
    """Statistics after two views, of which the second saw nothing."""
    found = ScreenStatistics(len(gradients), "cpu")
    camera = tiny_cameras()[0]
    pull = torch.zeros(len(gradients), 2)
    pull[:, 0] = torch.tensor(gradients) / (WIDTH / 2)
    seen = torch.ones(len(gradients), dtype=torch.bool)
    found.add(SimpleNamespace(screen_gradient=pull, visible=seen), camera)
    found.add(SimpleNamespace(screen_gradient=torch.zeros_like(pull), visible=~seen), camera)
    return found


def splats(scales, opacities):
    """Splats in a row, of these scales and opacities."""
    count = len(scales)
    cloud = tiny_cloud(count)
    return replace(
        cloud,
        positions=np.arange(3 * count, dtype=np.float32).reshape(count, 3),
        log_scales=np.log(np.repeat(np.array(scales, np.float32)[:, None], 3, axis=1)),
        opacity_logits=np.log(np.array(opacities, np.float32) / (1 - np.array(opacities, np.float32))),
    )


def test_statistics_are_in_half_image_sides_per_view_that_saw_the_splat() -> None:
    found = ScreenStatistics(3, "cpu")
    pull = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    seen = torch.tensor([True, True, False])
    camera = tiny_cameras()[0]
    positions = torch.zeros(3, 3)
    for factor in (1.0, 3.0):
        found.add(SimpleNamespace(screen_gradient=factor * pull * seen[:, None], visible=seen), camera, positions)
    assert found.mean_gradient().tolist() == [2.0 * WIDTH / 2, 2.0 * HEIGHT / 2, 0.0]
    distance = np.sqrt(17.0)
    expected = distance * WIDTH / camera.fx
    np.testing.assert_allclose(found.span.numpy(), [expected, expected, np.inf], rtol=1e-6)


def test_small_splats_are_cloned_large_ones_split_faint_ones_pruned() -> None:
    #                still  cloned  split  faint  still
    cloud = splats([0.005, 0.005, 0.05, 0.005, 0.05], [0.5, 0.5, 0.5, 0.004, 0.5])
    parameters = stepped_parameters(cloud)
    old = parameters.cloud()
    change = densify(parameters, statistics_of([1e-4, 3e-4, 3e-4, 3e-4, 1e-4]), OPTIONS, np.random.default_rng(0),
                     limit_size=False)  # fmt: skip
    assert (change.cloned, change.split, change.pruned) == (1, 1, 1)
    new = parameters.cloud()
    assert len(new) == 6
    kept = [0, 1, 4, 1]  # the last one is the twin
    assert new.positions[:4].tolist() == old.positions[kept].tolist()
    assert new.log_scales[:4].tolist() == old.log_scales[kept].tolist()
    np.testing.assert_allclose(new.log_scales[4:], np.repeat(old.log_scales[2:3] - np.log(1.6), 2, axis=0), rtol=1e-6)
    offsets = np.linalg.norm(new.positions[4:] - old.positions[2], axis=1)
    assert ((offsets > 0) & (offsets < 5 * 0.05)).all()
    assert new.sh_dc[4:].tolist() == old.sh_dc[[2, 2]].tolist()
    assert not any(moment[3:].any() for moment in parameters.moments("positions"))


def test_growth_stops_at_the_limit_and_takes_the_strongest() -> None:
    cloud = splats([0.005] * 4, [0.5] * 4)
    parameters = stepped_parameters(cloud)
    options = replace(OPTIONS, max_splats=5)
    old = parameters.cloud()
    change = densify(parameters, statistics_of([3e-4, 3e-4, 9e-4, 0.0]), options, np.random.default_rng(0),
                     limit_size=False)  # fmt: skip
    assert (change.cloned, len(parameters)) == (1, 5)
    assert parameters.cloud().positions[4].tolist() == old.positions[2].tolist()
    change = densify(parameters, statistics_of([1e-3] * 5), options, np.random.default_rng(0), limit_size=False)
    assert (change.cloned, change.split, len(parameters)) == (0, 0, 5)


def test_too_large_splats_go_after_a_reset_only() -> None:
    cloud = splats([0.05, 0.2], [0.5, 0.5])
    counts = {}
    for limit_size in (False, True):
        parameters = stepped_parameters(cloud)
        densify(parameters, statistics_of([0.0, 0.0]), OPTIONS, np.random.default_rng(0), limit_size=limit_size)
        counts[limit_size] = len(parameters)
    assert counts == {False: 2, True: 1}
    parameters = stepped_parameters(cloud)
    seen = statistics_of([0.0, 0.0])
    seen.span = torch.tensor([1.0, 10.0])  # three sigma are 15 % of an image, and 6 %
    options = replace(OPTIONS, largest_on_screen=0.1, largest_in_world=1.0)
    densify(parameters, seen, options, np.random.default_rng(0), limit_size=True)
    np.testing.assert_allclose(parameters.cloud().positions, [[3.0, 4.0, 5.0]], atol=1e-3)


def test_pruning_everything_is_an_error() -> None:
    parameters = stepped_parameters(splats([0.01, 0.01], [0.001, 0.001]))
    with pytest.raises(BadInputError, match="no splat is left"):
        densify(parameters, statistics_of([0.0, 0.0]), OPTIONS, np.random.default_rng(0), limit_size=False)


def test_rotation_matrices_turn_as_quaternions_do() -> None:
    half = np.sqrt(0.5)
    found = rotation_matrices(np.array([[2.0, 0, 0, 0], [half, 0, 0, half]], np.float32))
    np.testing.assert_allclose(found[0], np.eye(3), atol=1e-7)
    np.testing.assert_allclose(found[1] @ [1, 0, 0], [0, 1, 0], atol=1e-7)


# Devices


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(BadInputError, match="unknown device"):
        renderer_for("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(BadInputError, match="no CUDA device"):
            renderer_for("cuda")


def test_thread_limit_is_taken_back() -> None:
    import numba

    before = torch.get_num_threads(), numba.get_num_threads()
    with limit_threads(1):
        assert numba.get_num_threads() == 1
    assert (torch.get_num_threads(), numba.get_num_threads()) == before
