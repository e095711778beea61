from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud

from gscodec.cloud import ATTRIBUTES, GaussianCloud
from gscodec.errors import BadInputError
from gscodec.importance import METHODS
from gscodec.importance.prune import PruneSpec, lowest, prune


def rows_of(cloud: GaussianCloud) -> list[bytes]:
    columns = [getattr(cloud, name).reshape(len(cloud), -1) for name in ATTRIBUTES]
    return [row.tobytes() for row in np.concatenate(columns, axis=1)]


def with_logits(logits: list[float]) -> GaussianCloud:
    return replace(random_cloud(len(logits), 1, 5), opacity_logits=np.array(logits, np.float32))


def test_opacity_score() -> None:
    scores = METHODS["opacity"].score(with_logits([0.0, np.log(3.0), -200.0, 200.0, np.nan]))
    assert scores.dtype == np.float32
    assert np.allclose(scores, [0.5, 0.75, 0.0, 1.0, np.nan], equal_nan=True)


def test_kept_set_by_hand() -> None:
    cloud = with_logits([1.0, -3.0, 0.5, -1.0, 2.0])
    kept, report = prune(cloud, PruneSpec("opacity", 0.4))
    assert_same_arrays(kept, cloud.select(np.array([0, 2, 4])))
    assert (report.method, report.kept, report.removed) == ("opacity", 3, 2)
    assert report.seconds >= 0


@pytest.mark.parametrize(("count", "fraction", "removed"), [
    (10, 0.0, 0), (10, 0.04, 0), (10, 0.05, 1), (10, 0.25, 3), (7, 0.5, 4), (1000, 0.999, 999), (1, 0.4, 0),
])  # fmt: skip
def test_exact_counts(count: int, fraction: float, removed: int) -> None:
    kept, report = prune(random_cloud(count, 0, 1), PruneSpec("opacity", fraction))
    assert (len(kept), report.kept, report.removed) == (count - removed, count - removed, removed)


def test_nothing_to_prune() -> None:
    cloud = random_cloud(0, 1, 0)
    assert len(prune(cloud, PruneSpec("opacity", 0.5))[0]) == 0


def test_everything_pruned_is_refused() -> None:
    with pytest.raises(BadInputError, match="no splat"):
        prune(random_cloud(3, 0, 1), PruneSpec("opacity", 0.99))


def test_nan_is_lowest() -> None:
    cloud = with_logits([-200.0, 3.0, np.nan, -np.inf])
    assert lowest(cloud, METHODS["opacity"].score(cloud), 1).tolist() == [False, False, True, False]


def test_negative_infinity_is_above_nan() -> None:
    cloud = random_cloud(3, 0, 1)
    assert lowest(cloud, np.array([-np.inf, 0, np.nan], np.float32), 1).tolist() == [False, False, True]


@pytest.mark.parametrize("case", ["different", "same opacity", "same position", "only sh_rest differs"])
def test_shuffling_keeps_the_same_set(case: str) -> None:
    cloud = random_cloud(400, 2, 3)
    if case != "different":
        cloud = replace(cloud, opacity_logits=np.repeat(np.float32([-1, 0, 1, 2]), 100))
    if case in ("same position", "only sh_rest differs"):
        cloud = replace(cloud, positions=np.zeros_like(cloud.positions))
    if case == "only sh_rest differs":
        first = cloud.select(np.zeros(len(cloud), int))
        cloud = replace(first, sh_rest=cloud.sh_rest)
    expected = set(rows_of(prune(cloud, PruneSpec("opacity", 0.3))[0]))
    assert len(expected) == 280
    for seed in range(4):
        shuffled = cloud.select(np.random.default_rng(seed).permutation(len(cloud)))
        assert set(rows_of(prune(shuffled, PruneSpec("opacity", 0.3))[0])) == expected


def test_extras_break_ties_too() -> None:
    cloud = random_cloud(2, 0, 1).select(np.zeros(6, int))
    cloud = replace(cloud, extras={"label": np.array([5, 3, 1, 4, 2, 0], np.int16)})
    kept = prune(cloud, PruneSpec("opacity", 0.5))[0]
    turned = prune(cloud.select(slice(None, None, -1)), PruneSpec("opacity", 0.5))[0]
    assert sorted(kept.extras["label"]) == sorted(turned.extras["label"])


def test_identical_splats_lose_the_exact_count() -> None:
    cloud = random_cloud(2, 1, 1).select(np.zeros(50, int))
    assert len(prune(cloud, PruneSpec("opacity", 0.5))[0]) == 25


def test_ties_are_not_taken_from_one_side() -> None:
    cloud = random_cloud(4000, 0, 2)
    cloud = replace(cloud, opacity_logits=np.zeros(4000, np.float32))
    kept = prune(cloud, PruneSpec("opacity", 0.5))[0]
    assert np.all(np.abs(kept.positions.mean(axis=0) - cloud.positions.mean(axis=0)) < 0.2)  # of a spread of 2


def test_wrong_scores_are_refused() -> None:
    with pytest.raises(BadInputError, match="wrong shape"):
        lowest(random_cloud(3, 0, 1), np.zeros(2, np.float32), 1)


@pytest.mark.parametrize(("spec", "kept"), [
    (PruneSpec("opacity", count=3), 7), (PruneSpec("opacity", count=0), 10), (PruneSpec("opacity", keep=4), 4),
    (PruneSpec("opacity", keep=99), 10), (PruneSpec("opacity", threshold=0.0), 10),
])  # fmt: skip
def test_counts_by_number(spec: PruneSpec, kept: int) -> None:
    result, report = prune(random_cloud(10, 0, 1), spec)
    assert (len(result), report.kept, report.removed, report.views) == (kept, kept, 10 - kept, 0)


def test_threshold_keeps_what_reaches_it() -> None:
    cloud = with_logits([1.0, -3.0, 0.0, -1.0, 2.0, np.nan])
    assert_same_arrays(prune(cloud, PruneSpec("opacity", threshold=0.5))[0], cloud.select(np.array([0, 2, 4])))


@pytest.mark.parametrize("spec", [PruneSpec("opacity", count=3), PruneSpec("opacity", threshold=1.5)])
def test_no_amount_may_remove_everything(spec: PruneSpec) -> None:
    with pytest.raises(BadInputError, match="no splat"):
        prune(random_cloud(3, 0, 1), spec)


def test_spec_from_text() -> None:
    assert PruneSpec.parse("opacity:0.2") == PruneSpec("opacity", 0.2)
    assert PruneSpec.parse("opacity:n=20000") == PruneSpec("opacity", count=20000)
    assert PruneSpec.parse("opacity:keep=5") == PruneSpec("opacity", keep=5)
    assert PruneSpec.parse("opacity:t=0.01") == PruneSpec("opacity", threshold=0.01)
    assert PruneSpec.parse("volume-opacity:t=-9.5") == PruneSpec("volume-opacity", threshold=-9.5)


@pytest.mark.parametrize(("text", "reason"), [
    ("beauty:0.2", "unknown pruning method.*beauty.*opacity"), ("", "unknown"), ("opacity", "no amount"),
    ("opacity:", "no amount"), ("opacity:much", "no amount"), ("opacity:nan", "no amount"),
    ("opacity:n=many", "no amount"), ("opacity:n=1.5", "no amount"), ("opacity:beta=1", "no amount"),
    ("opacity:n=-1", "out of range"), ("opacity:keep=0", "out of range"), ("opacity:t=nan", "bad threshold"),
    ("opacity:1", "out of range"), ("opacity:-0.1", "out of range"), ("opacity:inf", "out of range"),
])  # fmt: skip
def test_bad_specs(text: str, reason: str) -> None:
    with pytest.raises(BadInputError, match=reason):
        PruneSpec.parse(text)


@pytest.mark.parametrize("amounts", [{}, {"fraction": 0.1, "count": 1}, {"keep": 1, "threshold": 0.0}])
def test_one_amount_is_needed(amounts: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="one amount"):
        PruneSpec("opacity", **amounts)


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(BadInputError, match="no such parameter"):
        PruneSpec("opacity", 0.1, params={"beta": 1.0})
