"""Components that are hardly coded: which these are, and that nothing else changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from clouds import random_cloud

from gscodec.branches.native import encode as native_encode
from gscodec.branches.native.bases import Bases
from gscodec.branches.native.colour_bases import SPLATS_PER_REGION, ColourTransform, Sample, find_bases
from gscodec.branches.native.encode import NOTHING_EXPECTED
from gscodec.branches.native.encode_tile import in_components
from gscodec.branches.native.footprint import Zone
from gscodec.branches.native.rare import RARE, without_rare
from gscodec.branches.native.settings import AC_ROUND_UP, base_steps
from gscodec.branches.native.syntax import Params, ac_range
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, StepOffsets
from gscodec.decoder import decode
from gscodec.encoder import encode_chunks
from gscodec.transform.colour import to_opponent

SPLATS = 3 * SPLATS_PER_REGION


def params_at(quality: float) -> Params:
    return Params(base_steps(quality, Zone(np.zeros(3), 1.0, 1000.0), StepOffsets()) | NOTHING_EXPECTED)


def fading_cloud(sh_degree: int) -> GaussianCloud:
    """Around three places, SH smaller from coefficient to coefficient."""
    cloud = random_cloud(SPLATS, sh_degree, 3)
    rng = np.random.default_rng(4)
    positions = rng.normal(0, 0.5, (SPLATS, 3)) + 3 * np.eye(3)[rng.integers(0, 3, SPLATS)]
    count = cloud.sh_rest.shape[1]
    sh_rest = rng.normal(0, 0.3, (SPLATS, count, 3)) * 0.5 ** np.arange(count)[:, None]
    return replace(cloud, positions=positions.astype(np.float32), sh_rest=sh_rest.astype(np.float32))


def slow_squares(colours: ColourTransform, params: Params, sample: GaussianCloud, weights: np.ndarray) -> np.ndarray:
    """Sums of squared codes by region and component."""
    sums = np.zeros(colours.bases.matrices.shape[:2])
    regions = colours.bases.regions(sample.positions)
    for degree in range(1, sample.sh_degree + 1):
        for k in range(*ac_range(degree)):
            steps = params.ac_steps(degree)[weights][:, None]
            sizes = np.abs(to_opponent(np.ascontiguousarray(sample.sh_rest[:, k]))) / steps
            squares = (np.floor(sizes + 1.0 - AC_ROUND_UP) ** 2).sum(axis=1)
            for region in range(len(sums)):
                sums[region, k] = squares[regions == region].sum()
    return sums


@pytest.mark.parametrize("sh_degree", [1, 2, 3, 4])
@pytest.mark.parametrize("part", [1, 4])
def test_rows_that_are_hardly_coded_are_zeroed(sh_degree: int, part: int) -> None:
    cloud, params = fading_cloud(sh_degree), params_at(40.0 if part == 1 else 60.0)
    weights = np.random.default_rng(5).integers(4, 16, SPLATS).astype(np.uint8)
    sh = np.concatenate([cloud.sh_dc[:, None], cloud.sh_rest], axis=1)
    colours = find_bases(Sample(cloud.positions, sh, weights), SPLATS)
    assert len(colours.bases.centres) == 3
    picked = cloud.select(np.arange(0, SPLATS, part))
    sample, weights = in_components(picked, colours, picked.positions), weights[::part]
    kept = None if part == 1 else np.arange(0, SPLATS, part)
    with ThreadPoolExecutor(2) as pool:
        found = without_rare(colours, params, cloud, kept, weights, pool)
    rare = slow_squares(colours, params, sample, weights) < RARE
    assert rare.any()
    assert not rare.all()
    np.testing.assert_array_equal(found.bases.centres, colours.bases.centres)
    np.testing.assert_array_equal(found.bases.matrices[~rare], colours.bases.matrices[~rare])
    assert not found.bases.matrices[rare].any()
    # What is coded of a splat is as before, but for those components, of which nothing is left.
    after = in_components(picked, found, picked.positions)
    np.testing.assert_array_equal(after.sh_dc, sample.sh_dc)
    left = ~rare[colours.bases.regions(picked.positions)]
    np.testing.assert_array_equal(after.sh_rest, sample.sh_rest * left[:, :, None])


def test_one_large_code_is_not_rare() -> None:
    """Whichever splat it is of: a sample might miss it."""
    cloud, params = fading_cloud(2), params_at(40.0)
    weights = np.full(SPLATS, 10, np.uint8)
    step = float(params.ac_steps(2)[10]) * 2.0**-20
    sh_rest = np.zeros_like(cloud.sh_rest)
    sh_rest[7, 5] = step * 6.0 / np.sqrt(3.0)
    sh_rest[9:29, 6] = step / np.sqrt(3.0)
    colours = ColourTransform(Bases(np.zeros((1, 3), np.float32), 32 * np.eye(8, 9, 1, np.int8)[None]), np.eye(9)[None])
    with ThreadPoolExecutor(2) as pool:
        found = without_rare(colours, params, replace(cloud, sh_rest=sh_rest), None, weights, pool)
    assert np.flatnonzero(found.bases.matrices[0].any(axis=1)).tolist() == [5]


@pytest.mark.parametrize("every", [2, 499])
def test_few_strong_splats_that_a_sample_misses_are_kept(monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    monkeypatch.setattr(native_encode, "FIT_SPLATS", SPLATS // 2)
    cloud = fading_cloud(1)
    strong = np.arange(1, SPLATS, every)
    sh_rest = np.zeros_like(cloud.sh_rest)
    sh_rest[strong] = np.random.default_rng(6).normal(0, 0.5, (len(strong), 3, 3))
    cloud = replace(cloud, sh_rest=sh_rest, opacity_logits=np.full(SPLATS, 4.0, np.float32))
    chunks, report = encode_chunks(cloud, EncodeConfig(quality=90.0, preset="fast", threads=2))
    found, rows = decode(b"".join(chunks)), np.concatenate(report.rows)
    errors = (found.sh_rest - cloud.sh_rest[rows])[np.isin(rows, strong)]
    assert np.sqrt(np.mean(errors**2)) < 0.05


def test_without_regions_or_splats_nothing_changes() -> None:
    cloud, params = fading_cloud(3), params_at(40.0)
    plain, none = ColourTransform.plain(3), np.zeros(0, np.int64)
    with ThreadPoolExecutor(1) as pool:
        assert without_rare(plain, params, cloud, None, np.zeros(SPLATS, np.uint8), pool) is plain
        bases = ColourTransform(Bases(np.zeros((1, 3), np.float32), np.ones((1, 15, 16), np.int8)), np.eye(16)[None])
        found = without_rare(bases, params, cloud, none, np.zeros(0, np.uint8), pool)
    assert not found.bases.matrices.any()  # no splat is in need of them
