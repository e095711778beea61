"""A quality as gsenc takes it: which splats it does not show, and the file without them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clouds import random_cloud

import gscodec
from gscodec.branches.native.footprint import log_weights, viewing_zone
from gscodec.cli import gsenc
from gscodec.cli.views import visibility_for
from gscodec.config import EncodeConfig, Visibility
from gscodec.encoder import encode
from gscodec.importance.compensate import compensated
from gscodec.importance.scores import score
from gscodec.rate.fixed_quality import FixedQuality
from gscodec.rate.pruning import GROWTH, KEEPS_ALL_FROM, NEGLIGIBLE, ONSET, visible_octaves, worth_keeping

SPLATS = 2000


@pytest.fixture(scope="module")
def cloud() -> gscodec.GaussianCloud:
    return random_cloud(SPLATS, 1, 5)


def weights_of(cloud: gscodec.GaussianCloud, visibility: Visibility | None = None) -> Any:
    zone = viewing_zone(cloud.positions, cloud.log_scales)
    return log_weights(zone, cloud.positions, cloud.log_scales, cloud.opacity_logits, visibility)[0]


def test_weights_in_the_order_of_importance(cloud: gscodec.GaussianCloud) -> None:
    seen = Visibility(np.random.default_rng(1).uniform(0.0, 9.0, SPLATS), 0.5)
    for visibility in (None, seen):
        octaves = visible_octaves(cloud, visibility)
        order = np.argsort(score("rap-distilled", cloud), kind="stable")
        assert octaves[order].tolist() == sorted(weights_of(cloud, visibility))


def test_a_large_cloud_keeps_the_order_of_weights(
    cloud: gscodec.GaussianCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is coded without a copy, so that nothing makes up for what goes."""
    for module in ("pruning", "fixed_quality"):
        monkeypatch.setattr(f"gscodec.rate.{module}.LEARNED_UP_TO", SPLATS - 1)
    assert visible_octaves(cloud).tolist() == weights_of(cloud).tolist()
    seen = Visibility(10.0 ** np.random.default_rng(1).uniform(-6.0, 1.0, SPLATS), 1e-4)
    kept = worth_keeping(visible_octaves(cloud, seen), 30.0, gradually=True)
    chunks, report, pruned = FixedQuality(cloud, EncodeConfig(), seen).encode(30.0)
    expected = encode(cloud.select(kept), EncodeConfig(quality=30.0), seen.select(np.flatnonzero(kept)))
    assert b"".join(chunks) == expected
    assert pruned is not None
    assert (pruned.kept, pruned.compensated) == (report.splats, False)
    assert 0 < pruned.removed == np.count_nonzero(~kept)


def test_what_no_file_keeps_is_left_to_the_encoder(cloud: gscodec.GaussianCloud) -> None:
    positions = cloud.positions.copy()
    positions[[3, 77]] = np.nan
    octaves = visible_octaves(replace(cloud, positions=positions), Visibility(np.ones(SPLATS), 1.0))
    assert np.flatnonzero(np.isinf(octaves)).tolist() == [3, 77]
    sound = np.delete(np.arange(SPLATS), [3, 77])
    assert (
        octaves[sound].tolist() == visible_octaves(cloud.select(sound), Visibility(np.ones(SPLATS - 2), 1.0)).tolist()
    )
    nothing = replace(cloud, positions=np.full_like(positions, np.nan))
    assert np.isinf(visible_octaves(nothing)).all()


def spread(limit: float) -> Any:
    """Octaves close to a limit, and so much light above that all of the others' may go."""
    return np.concatenate([limit + np.array([-1e-9, 1e-9, np.inf]), np.full(99, limit + 9.0)])


@pytest.mark.parametrize(
    ("quality", "limit"), [(75.0, NEGLIGIBLE), (60.0, NEGLIGIBLE + GROWTH), (90.0, NEGLIGIBLE - GROWTH)]
)
def test_limits_follow_the_steps(quality: float, limit: float) -> None:
    assert np.flatnonzero(~worth_keeping(spread(limit), quality)).tolist() == [0]


@pytest.mark.parametrize(("quality", "late"), [(75.0, 1.0), (72.5, 0.5), (70.0, 0.0), (40.0, 0.0)])
def test_all_stay_at_first_and_then_ever_fewer(quality: float, late: float) -> None:
    limit = NEGLIGIBLE + GROWTH * (75.0 - quality) / 15.0 - late * ONSET
    assert np.flatnonzero(~worth_keeping(spread(limit), quality, gradually=True)).tolist() == [0]


@pytest.mark.parametrize(("quality", "share"), [(75.0, 0.002), (60.0, 0.002 * 2.0**1.6), (45.0, 0.002 * 2.0**3.2)])
def test_fog_stays(quality: float, share: float) -> None:
    kept = worth_keeping(np.full(100_000, -9.0) + np.linspace(0.0, 1e-6, 100_000), quality)
    assert np.count_nonzero(~kept) == pytest.approx(100_000 * share, abs=1.0)


def test_one_splat_stays() -> None:
    assert worth_keeping(np.array([-90.0, -80.0, -99.0]), 1.0).tolist() == [False, True, False]
    assert worth_keeping(np.zeros(0), 75.0).tolist() == []
    assert worth_keeping(np.full(3, np.inf), 1.0).all()


@pytest.mark.parametrize(("quality", "below"), [(30.0, KEEPS_ALL_FROM), (80.0, math.inf)])
def test_the_file_is_that_of_what_stays(cloud: gscodec.GaussianCloud, quality: float, below: float) -> None:
    seen = Visibility(10.0 ** np.random.default_rng(1).uniform(-6.0, 1.0, SPLATS), 1e-4)
    kept = worth_keeping(visible_octaves(cloud, seen), quality, gradually=below < math.inf)
    assert 0 < np.count_nonzero(~kept) < SPLATS
    chunks, report, pruned = FixedQuality(cloud, EncodeConfig(), seen, below).encode(quality)
    config = EncodeConfig(quality=quality)
    expected = encode(compensated(cloud, kept), config, seen.select(np.flatnonzero(kept)))
    assert b"".join(chunks) == expected
    assert pruned is not None
    assert (pruned.kept, pruned.removed, pruned.compensated) == (report.splats, np.count_nonzero(~kept), True)


@pytest.mark.parametrize(("quality", "below"), [(30.0, 0.0), (KEEPS_ALL_FROM, KEEPS_ALL_FROM)])
def test_all_splats_stay(cloud: gscodec.GaussianCloud, quality: float, below: float) -> None:
    chunks, _, pruned = FixedQuality(cloud, EncodeConfig(), None, below).encode(quality)
    assert pruned is None
    assert b"".join(chunks) == encode(cloud, EncodeConfig(quality=quality))


def test_a_lossless_file_keeps_all(cloud: gscodec.GaussianCloud) -> None:
    chunks, _, pruned = FixedQuality(cloud, EncodeConfig(lossless=True)).encode(30.0)
    assert pruned is None
    assert b"".join(chunks) == encode(cloud, EncodeConfig(quality=30.0, lossless=True))


# gsenc


@pytest.fixture
def ply(cloud: gscodec.GaussianCloud, tmp_path: Path) -> Path:
    gscodec.write_ply(tmp_path / "in.ply", cloud)
    return tmp_path / "in.ply"


def run(capsys: pytest.CaptureFixture[str], ply: Path, *args: object) -> dict[str, Any]:
    out = ply.with_suffix(".gsb")
    assert gsenc.main([str(ply), "-o", str(out), "-f", "--json", *map(str, args)]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "removes"),
    [
        (("--quality", 40), True),
        (("--quality", 40, "--views", "none"), True),
        (("--quality", 80, "--prune", "auto"), True),
        (("--quality", 40, "--preset", "fast", "--prune", "auto"), True),
        ((), False),
        (("--quality", 40, "--prune", "none"), False),
        (("--quality", 40, "--preset", "fast"), False),
        (("--lossless",), False),
    ],
)
def test_what_gsenc_removes(
    ply: Path, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], removes: bool
) -> None:
    data = run(capsys, ply, *options)
    assert (data["output"]["splats"] < SPLATS) == removes
    assert (data["pruned"] is not None) == removes
    if removes:
        assert data["pruned"]["removed"] == SPLATS - data["output"]["splats"]


def test_gsenc_makes_the_file_of_the_recipe(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, ply, "--quality", 40)
    cloud = gscodec.read_ply(ply)
    seen, words = visibility_for(cloud, None, lambda *_: None)
    assert words == "16 virtual views"
    expected = b"".join(FixedQuality(cloud, EncodeConfig(), seen).encode(40.0)[0])
    assert ply.with_suffix(".gsb").read_bytes() == expected


def test_nothing_to_look_at(cloud: gscodec.GaussianCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faint = replace(cloud, opacity_logits=np.full(SPLATS, -6.0, np.float32))
    gscodec.write_ply(tmp_path / "in.ply", faint)
    data = run(capsys, tmp_path / "in.ply")
    assert (data["weighed_by"], data["output"]["splats"]) == (None, SPLATS)
    assert gsenc.main([str(tmp_path / "in.ply"), "-f", "--views", "virtual"]) == 3
    assert "no visible splat" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ("--preset", "max"),
        ("--min-psnr", "40"),
        ("--target-size", "9kB"),
        ("--prune", "removal:0.2"),
    ],
)
def test_none_where_views_are_needed(
    ply: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    out = tmp_path / "none.gsb"
    assert gsenc.main([str(ply), "-o", str(out), "--views", "none", *options]) == 3
    err = capsys.readouterr().err
    assert "from views (field views, found none, allowed a capture or virtual)" in err
    assert not out.exists()


@pytest.mark.parametrize("options", [("--lossless",), ("--preset", "fast", "--target-size", "9kB")])
def test_auto_is_for_lossy_files_by_quality(
    ply: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert gsenc.main([str(ply), "--prune", "auto", *options]) == 2
    assert options[0] in capsys.readouterr().err
    assert not ply.with_suffix(".gsb").exists()


def test_lossless_needs_no_view(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, ply, "--lossless", "--views", "none")["output"]["splats"] == SPLATS


def test_the_summary_says_what_went(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gsenc.main([str(ply), "-f", "--quality", "40"]) == 0
    assert "splats removed that quality 40 does not show" in capsys.readouterr().out


def test_max_moves_bits_of_what_stays(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = run(capsys, ply, "--quality", 40, "--preset", "max")
    assert 0 < data["pruned"]["removed"] == SPLATS - data["output"]["splats"]


def test_any_number_of_threads(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for threads in (1, 2):
        run(capsys, ply, "--quality", 40, "--threads", threads)
        files.append(ply.with_suffix(".gsb").read_bytes())
    assert files[0] == files[1]
