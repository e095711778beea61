"""Each score against a direct computation, and what all scores have in common."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numba
import numpy as np
import pytest
from slow_renderer import camera, random_cloud, slow_render, splats

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.importance import METHODS, c3dgs
from gscodec.importance.prune import PruneSpec, kept_mask, prune
from gscodec.importance.pup import log_determinants
from gscodec.importance.scores import score, score_all
from gscodec.importance.seen import Seen
from gscodec.importance.trim import quantile_rank
from gscodec.render import cpu
from gscodec.scene.camera import Camera
from gscodec.scene.capture import downscaled

FROM_VIEWS = [name for name, method in METHODS.items() if method.needs_views]
WITHOUT = [name for name in METHODS if name not in FROM_VIEWS]
PASSES = {"contributions", "gradients", "fisher", "removal"}


def views() -> list[Camera]:
    moved = camera().world_to_camera.copy()
    moved[:3, 3] += [0.4, 0.1, 0.3]
    return [camera(), camera(width=37, height=41, cx=18.0, cy=21.0, world_to_camera=moved)]


def cloud_of(count: int = 60, degree: int = 1, seed: int = 1) -> GaussianCloud:
    return random_cloud(degree, count=count, seed=seed)


def from_slow(cloud: GaussianCloud, what: str) -> np.ndarray:
    return sum(getattr(slow_render(splats(cloud), view, centre_limit=1.5), what) for view in views())


def test_the_table_says_what_the_functions_take() -> None:
    for name, method in METHODS.items():
        assert method.needs == "nothing" or set(method.needs.split("+")) <= PASSES, name
        assert method.summary
        parameters = inspect.signature(method.score).parameters.values()
        takes = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
        assert takes == dict(method.params), name


def test_volume_opacity_orders_as_the_product() -> None:
    cloud = cloud_of()
    product = np.exp(cloud.log_scales.astype(np.float64)).prod(axis=1) / (
        1 + np.exp(-cloud.opacity_logits.astype(np.float64))
    )
    np.testing.assert_allclose(np.exp(score("volume-opacity", cloud).astype(np.float64)), product, rtol=1e-5)
    tiny = dataclasses.replace(cloud, log_scales=cloud.log_scales - 100)
    assert len(np.unique(score("volume-opacity", tiny))) == len(cloud)


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.7])
def test_contribution_scores_equal_the_slow_renderer(beta: float) -> None:
    cloud = cloud_of(200)
    volumes = np.exp(cloud.log_scales.astype(np.float64)).prod(axis=1)
    factor = (volumes / np.sort(volumes)[::-1][180]) ** beta
    weight, light = from_slow(cloud, "weight_sum"), from_slow(cloud, "transmittance_opacity")
    assert (weight > 0).sum() > 50
    found = score_all(["lightgaussian", "mesongs", "eagles"], cloud, views(),
                      params={"lightgaussian": {"beta": beta}, "mesongs": {"beta": beta}})  # fmt: skip
    np.testing.assert_allclose(found["eagles"], weight, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["mesongs"], weight * factor, rtol=1e-4, atol=1e-3)
    # Single precision may take a pixel on the edge of 1/255 for one outside, which counts in full here.
    np.testing.assert_allclose(found["lightgaussian"], light * factor, rtol=1e-2, atol=1e-2)


def test_geta_equals_its_equations() -> None:
    cloud = cloud_of()
    gradient = sum(np.hypot(*cpu.gradients(cloud, view).screen_means.T.astype(np.float64)) for view in views())
    terms = (from_slow(cloud, "weight_sum"), gradient, from_slow(cloud, "hits"))
    expected = sum(w * term / term.max() for w, term in zip((0.5, 0.3, 0.2), terms, strict=True))
    np.testing.assert_allclose(score("geta", cloud, views()), expected, rtol=1e-3, atol=1e-3)
    unseen = dataclasses.replace(cloud, positions=cloud.positions - np.float32([0, 0, 50]))
    assert not score("geta", unseen, views()).any()
    with pytest.raises(BadInputError, match="weight"):
        score("geta", cloud, views(), params={"coverage": -1.0})


def test_trim_keeps_exactly_what_equation_5_keeps() -> None:
    cloud = cloud_of(301)
    logits = np.round(cloud.opacity_logits)  # many ties
    cloud = dataclasses.replace(cloud, opacity_logits=logits.astype(np.float32))
    seen = Seen(cloud, views())
    opacity, gradient = score("opacity", cloud).astype(np.float64), seen.loss_gradients.positions
    assert (gradient == 0).any()
    for gamma in (0.0, 0.1, 0.25, 0.5, 0.6, 0.75, 0.9, 0.99):
        expected = (opacity >= np.quantile(opacity, gamma)) | (gradient >= np.quantile(gradient, gamma))
        kept, _ = prune(cloud, PruneSpec("trim", threshold=gamma), seen)
        assert kept.positions.tobytes() == cloud.select(expected).positions.tobytes(), gamma
    assert 0 < len(kept) < len(cloud) / 20
    # As a fraction: the same nested sets.
    by_fraction, _ = prune(cloud, PruneSpec("trim", count=int((~expected).sum())), seen)
    assert by_fraction.positions.tobytes() == cloud.select(expected).positions.tobytes()


def test_quantile_rank_by_hand() -> None:
    assert quantile_rank(np.array([3.0, 1.0, 1.0, 2.0, 9.0])).tolist() == [0.75, 0.25, 0.25, 0.5, 1.0]
    assert quantile_rank(np.array([5.0])).tolist() == [0.0]
    assert np.array_equal(quantile_rank(np.array([np.nan, 1.0, 2.0])), [np.nan, 0.0, 1.0], equal_nan=True)


def test_removal_is_the_sum_over_views() -> None:
    cloud = cloud_of()
    expected = sum(cpu.removal_error(cloud, view) for view in views())
    assert np.array_equal(score("removal", cloud, views()), expected.astype(np.float32))


def test_c3dgs_and_pup_equal_torch() -> None:
    """From gradients that torch gets: of the sum of the image, and of each of its values."""
    torch = pytest.importorskip("torch", reason="gradients are offered to torch")
    autograd = pytest.importorskip("gscodec.render.cpu.autograd")
    small = [downscaled(view, 8) for view in views()]
    cloud = dataclasses.replace(cloud_of(5, degree=0, seed=11), opacity_logits=np.zeros(5, np.float32))
    cloud = dataclasses.replace(cloud, positions=0.3 * cloud.positions, log_scales=cloud.log_scales + 2)

    inputs = [torch.tensor(values, requires_grad=True) for values in (
        cloud.positions, cloud.log_scales, cloud.quats_wxyz, cloud.opacity_logits, cloud.sh_dc[:, None])]  # fmt: skip
    colour, matrices = np.zeros((5, 1, 3)), np.zeros((5, 6, 6))
    for view in small:
        image, _ = autograd.render(*inputs, camera=view)
        colour += np.abs(torch.autograd.grad(image.sum(), inputs[4], retain_graph=True)[0].numpy())
        for value in image.flatten():
            by = torch.autograd.grad(value, inputs[:2], retain_graph=True)
            g = np.concatenate([part.numpy().astype(np.float64) for part in by], axis=1)
            matrices += g[:, :, None] * g[:, None, :]
    pixels = sum(view.width * view.height for view in small)
    np.testing.assert_allclose(score("c3dgs", cloud, small), colour.max(axis=(1, 2)) / pixels, rtol=1e-5)
    expected = np.linalg.slogdet(matrices)[1]
    np.testing.assert_allclose(score("pup", cloud, small, params={"resolution": 1}), expected, atol=0.02)
    assert np.array_equal(
        score("pup", cloud, views(), params={"resolution": 8}), score("pup", cloud, small, params={"resolution": 1})
    )


def test_c3dgs_shape_is_by_the_normalised_covariance() -> None:
    """Scaling a splat and the world together leaves its image and its sensitivity alone."""
    cloud = cloud_of()
    seen = Seen(cloud, [camera()])
    found = c3dgs.shape_sensitivity(seen)
    gradient = np.abs(cpu.gradients(cloud, camera()).covariances.astype(np.float64)).max(axis=1)
    length = (np.exp(cloud.log_scales.astype(np.float64)) ** 2).sum(axis=1)
    np.testing.assert_allclose(found, gradient * length / (48 * 32), rtol=1e-5)
    pose = camera().world_to_camera.copy()
    pose[:3, 3] *= 2
    twice = dataclasses.replace(
        cloud, positions=2 * cloud.positions, log_scales=cloud.log_scales + np.float32(np.log(2))
    )
    np.testing.assert_allclose(c3dgs.shape_sensitivity(Seen(twice, [camera(world_to_camera=pose)])), found, rtol=1e-3)
    product = score("c3dgs", cloud, seen, params={"shape_power": 1.0})
    np.testing.assert_allclose(product, c3dgs.colour_sensitivity(seen) * found, rtol=1e-5)


def test_log_determinants() -> None:
    factors = np.random.default_rng(0).normal(size=(3, 6, 8)) * np.array([1e-9, 1e7, 1, 1, 1, 1e-3])[:, None]
    matrices = factors @ factors.transpose(0, 2, 1)
    triangles = np.vstack([matrices[:, *np.triu_indices(6)], np.zeros(21)])
    triangles[2] = np.outer(np.arange(1, 7), np.arange(1, 7))[np.triu_indices(6)]  # of rank one
    found = log_determinants(triangles)
    np.testing.assert_allclose(found[:2], np.linalg.slogdet(matrices[:2])[1], rtol=1e-6)
    assert found[2] < -150
    assert found[3] == -np.inf


@pytest.mark.parametrize("name", METHODS)
def test_one_number_per_splat_and_the_same_set_for_any_order(name: str) -> None:
    cloud = cloud_of(150, degree=2)
    scores = score(name, cloud, views())
    assert (scores.dtype, scores.shape) == (np.float32, (150,))
    assert not np.isnan(scores).any()
    expected = {row.tobytes() for row in prune(cloud, PruneSpec(name, 0.5), views())[0].positions}
    order = np.random.default_rng(3).permutation(150)
    turned = prune(cloud.select(order), PruneSpec(name, 0.5), views())[0]
    assert {row.tobytes() for row in turned.positions} == expected
    assert len(expected) == 75


def test_same_bits_for_any_number_of_threads_and_shared_as_alone() -> None:
    cloud = cloud_of(400)
    threads = numba.get_num_threads()
    results = []
    try:
        for count in range(1, threads + 1):
            numba.set_num_threads(count)
            results.append({name: scores.tobytes() for name, scores in score_all(METHODS, cloud, views()).items()})
    finally:
        numba.set_num_threads(threads)
    results.append({name: score(name, cloud, views()).tobytes() for name in METHODS})
    assert all(result == results[0] for result in results)


class Counting:
    """The CPU renderer, which counts what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            return getattr(cpu, name)(*arguments)

        return call


def test_each_pass_is_made_once_per_view() -> None:
    renderer = Counting()
    score_all(METHODS, cloud_of(), views(), renderer)
    assert sorted(renderer.calls) == sorted(2 * ["contributions", "fisher_information", "gradients", "removal_error"])


@pytest.mark.parametrize("name", FROM_VIEWS)
def test_views_are_needed(name: str) -> None:
    for none in (None, []):
        with pytest.raises(BadInputError, match="views"):
            score(name, cloud_of(), none)


class Plain:
    """A renderer without the extras."""

    render, contributions = staticmethod(cpu.render), staticmethod(cpu.contributions)


def test_a_renderer_that_offers_less_is_told() -> None:
    cloud = cloud_of()
    for name in ("lightgaussian", "mesongs", "eagles"):
        assert np.array_equal(score(name, cloud, views(), Plain()), score(name, cloud, views()))
    for name in ("geta", "c3dgs", "trim", "pup", "removal"):
        with pytest.raises(BadInputError, match=r"renderer does not offer.*Plain.*CPU renderer"):
            score(name, cloud, views(), Plain())


@pytest.mark.parametrize("name", FROM_VIEWS)
def test_a_broken_splat_is_the_lowest_and_spoils_nothing(name: str) -> None:
    cloud = cloud_of(50)
    sound = score(name, cloud.select(np.arange(1, 50)), views())
    for attribute in ("positions", "log_scales", "sh_dc"):
        values = getattr(cloud, attribute).copy()
        values[0] = np.nan
        broken = dataclasses.replace(cloud, **{attribute: values})
        scores = score(name, broken, views())
        if name not in ("lightgaussian", "mesongs", "trim"):  # which compare with the other splats
            assert np.array_equal(scores[1:], sound), attribute
        assert np.isfinite(scores[1:]).sum() == np.isfinite(sound).sum()
        assert np.isnan(scores[0]) or scores[0] == min(scores) or name == "trim"


def test_a_score_that_is_no_number_is_an_error() -> None:
    cloud = cloud_of(4)
    with pytest.raises(BadInputError, match="2 scores are not a number"):
        kept_mask(cloud, np.float32([1, np.nan, 2, np.nan]), PruneSpec("opacity", 0.5))


def test_photos_change_what_is_differentiated() -> None:
    cloud, photos = cloud_of(), [np.zeros((view.height, view.width, 3), np.float32) for view in views()]
    seen = Seen(cloud, views(), photos=photos)
    plain = Seen(cloud, views())
    assert np.array_equal(score("c3dgs", cloud, seen), score("c3dgs", cloud, plain))
    assert plain.loss_gradients is plain.gradients
    # Against black, the mean absolute error is the mean of the image: the same gradient, over the number of values.
    values = 3 * 48 * 32
    only = Seen(cloud, views()[:1], photos=photos[:1])
    np.testing.assert_allclose(
        only.loss_gradients.positions * values, Seen(cloud, views()[:1]).gradients.positions, rtol=1e-2, atol=1e-2
    )
    with pytest.raises(BadInputError, match="photo for each view"):
        Seen(cloud, views(), photos=photos[:1])


def test_bad_questions() -> None:
    cloud = cloud_of()
    with pytest.raises(BadInputError, match="unknown pruning method"):
        score("beauty", cloud)
    with pytest.raises(BadInputError, match=r"mesongs has no such parameter.*gamma.*beta"):
        score("mesongs", cloud, views(), params={"gamma": 1.0})
    with pytest.raises(BadInputError, match="resolution"):
        score("pup", cloud, views(), params={"resolution": 1.5})
    with pytest.raises(BadInputError, match="beta"):
        score("mesongs", cloud, views(), params={"beta": np.inf})
    with pytest.raises(BadInputError, match="shape_power"):
        score("c3dgs", cloud, views(), params={"shape_power": -1.0})
    with pytest.raises(BadInputError, match="another cloud"):
        score("eagles", cloud_of(), Seen(cloud, views()))


@pytest.mark.parametrize("name", WITHOUT)
def test_nothing_is_rendered_where_nothing_is_needed(name: str) -> None:
    cloud = cloud_of(200)
    assert np.array_equal(score(name, cloud), score(name, cloud, views()))


def test_an_empty_cloud_has_no_scores() -> None:
    empty = cloud_of().select(np.zeros(0, np.int64))
    assert {name: len(scores) for name, scores in score_all(METHODS, empty, views()).items()} == dict.fromkeys(
        METHODS, 0
    )
