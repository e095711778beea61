"""Which splats a target removes, by which views, and what that and SH truncation cost."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from clouds import random_cloud
from scipy import stats
from tiny_capture import tiny_cameras, tiny_cloud, write_capture

from gscodec.cli.views import VIRTUAL_JUDGES, VIRTUAL_VIEWS, control_views, evenly
from gscodec.config import EncodeConfig, Visibility
from gscodec.decoder import decode
from gscodec.encoder import encode
from gscodec.importance.compensate import compensated
from gscodec.importance.prune import lowest
from gscodec.importance.scores import score
from gscodec.importance.seen import Seen
from gscodec.rate.codec import CloudCodec
from gscodec.rate.model import Choice, squared_errors
from gscodec.rate.pruning import target_scores
from gscodec.rate.reference import Reference


def quiet(_stage: str, _share: float) -> None:
    pass


def test_the_higher_rank_counts() -> None:
    cloud = random_cloud(300, 1, 4)
    seen = Seen(cloud, tiny_cameras(2))
    removal, learned = score("removal", cloud, seen), score("rap-distilled", cloud)
    assert np.count_nonzero(removal == 0.0) > 1  # equal scores share their mean rank
    expected = np.maximum(stats.rankdata(removal), stats.rankdata(learned)) / 300
    assert target_scores(cloud, seen) == pytest.approx(expected, rel=1e-6)


def test_views_that_judge_do_not_score(tmp_path: Path) -> None:
    write_capture(tmp_path / "capture")
    chosen = control_views(tiny_cloud(), str(tmp_path / "capture"), quiet)
    assert chosen.judges == chosen.scored  # six training views are too few to share
    assert len(chosen.judges) == 6
    cloud = random_cloud(2000, 0, 1)
    chosen = control_views(cloud, None, quiet)
    names = [{view.name for view in views} for views in (chosen.judges, chosen.scored)]
    assert [len(part) for part in names] == [VIRTUAL_JUDGES, VIRTUAL_VIEWS]
    assert not names[0] & names[1]
    assert chosen.words == f"{VIRTUAL_JUDGES} virtual views"


def test_evenly() -> None:
    views = tiny_cameras(7)
    assert evenly(views, 7) == evenly(views, 9) == tuple(views)
    assert evenly(views, 3) == (views[1], views[3], views[5])


@pytest.mark.parametrize("choice", [Choice(0.0, 1, 60.0), Choice(0.25, 1, 40.0), Choice(0.25, 0, 80.0)])
def test_a_trial_is_what_encode_and_decode_give(choice: Choice) -> None:
    cloud, views = random_cloud(400, 1, 6), tiny_cameras(3)
    rng = np.random.default_rng(0)
    scores, weights = rng.random(400).astype(np.float32), rng.random(400)
    reference = Reference(cloud, views)
    codec = CloudCodec(cloud, EncodeConfig(threads=1), reference, scores, Visibility(weights, 0.1))
    trial, made = codec.encode(choice)
    kept = ~lowest(cloud, scores, round(400 * choice.fraction))
    part = compensated(cloud, kept).at_sh_degree(choice.degree)
    data = encode(part, EncodeConfig(quality=choice.quality, threads=1), Visibility(weights[kept], 0.1))
    assert b"".join(made.chunks) == data
    assert (trial.size, made.removed) == (len(data), 400 - len(part))
    assert len(trial.degree_bytes) == choice.degree
    assert trial.errors == pytest.approx(squared_errors(reference.view_psnrs(decode(data))))
    assert trial.losses == pytest.approx(squared_errors(reference.view_psnrs(part)), rel=1.0)  # interpolated
    assert trial.psnr == pytest.approx(reference.psnr(decode(data)))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_of_a_few_splats_stays(count: int) -> None:
    cloud, scores = random_cloud(count, 0, 6), np.arange(count, dtype=np.float32)
    codec = CloudCodec(cloud, EncodeConfig(threads=1), Reference(cloud, tiny_cameras(2)), scores)
    assert codec.losses is not None
    codec.losses.extend(None)  # up to the last knot, which would round to all splats
    trial, made = codec.encode(Choice(codec.losses.smallest[0], 0, 1.0))
    assert (made.removed, len(decode(b"".join(made.chunks)))) == (count - 1, 1)
    assert trial.losses is not None


def test_no_loss_without_pruning() -> None:
    cloud = random_cloud(50, 1, 6)
    codec = CloudCodec(cloud, EncodeConfig(), Reference(cloud, tiny_cameras(2)))
    assert codec.losses is not None
    assert codec.losses.at(0.0, 1) == pytest.approx(squared_errors([math.inf, math.inf]))
    codec.losses.extend(None)
    assert codec.losses.choices() == [(0.0, 1), (0.0, 0)]  # no scores, no pruning


def test_some_tiles_stand_for_a_large_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = random_cloud(3000, 1, 3)
    visibility = Visibility(np.linspace(0.1, 1.0, 3000), 0.1)
    scores = np.random.default_rng(3).random(3000).astype(np.float32)
    codec = CloudCodec(cloud, EncodeConfig(), scores=scores, visibility=visibility)
    assert codec.sample(Choice(0.0, 1, 50.0)) is None
    monkeypatch.setattr("gscodec.rate.codec.LARGE", 3000)
    monkeypatch.setattr("gscodec.branches.native.tiling.TILE_SPLATS", 200)
    assert np.count_nonzero(codec._sampled) == pytest.approx(8 / 16 * 3000, rel=0.05)
    for fraction, degree in ((0.0, 1), (0.4, 1), (0.0, 0)):
        choice = Choice(fraction, degree, 60.0)
        sampled, whole = codec.sample(choice), codec.encode(choice)[0]
        assert sampled is not None
        # What the whole file has once, headers and tables, makes up for most of the difference.
        assert sampled.size == pytest.approx(whole.size, rel=0.25)
        assert len(sampled.degree_bytes) == degree
        assert sampled.errors is None


def test_trials_of_progressive_files_are_alike() -> None:
    """As many refinements in all, so that sizes do not jump; and what a lower SH degree saves is not AC alone."""
    cloud = random_cloud(1500, 2, 4)
    codec = CloudCodec(cloud, EncodeConfig(progressive=True))
    plain = CloudCodec(cloud, EncodeConfig()).encode(Choice(0.0, 2, 45.0))[0]
    for quality in (45.0, 70.0):
        trial, made = codec.encode(Choice(0.0, 2, quality))
        assert "REFINE1" in made.report.stream_bytes
        assert "REFINE2" not in made.report.stream_bytes
        shares = np.array(trial.degree_bytes) / trial.size
        assert shares == pytest.approx(np.array(plain.degree_bytes) / plain.size, abs=1e-3)
    assert len(codec.encode(Choice(0.0, 1, 60.0))[0].degree_bytes) == 1
