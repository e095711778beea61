"""Bases of colour as the encoder chooses them: inverse, principal components, directions, odd clouds."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from directions import complete, cone, harmonics

from gscodec.branches.native.bases import Bases, to_components
from gscodec.branches.native.colour_bases import (
    ELSEWHERE,
    FEWEST_SPLATS,
    REGIONS,
    SPLATS_PER_REGION,
    ColourTransform,
    Directions,
    Sample,
    _add_outer,
    find_bases,
)
from gscodec.cloud import SH_REST_COUNTS

MANY = 3 * SPLATS_PER_REGION  # enough for three regions
DEGREES = pytest.mark.parametrize("sh_degree", [1, 2, 3, 4])


def sample_of(sh_degree: int, count: int = 1500, seed: int = 0) -> Sample:
    """Splats around three places, whose colours vary together and more in low degrees."""
    rng = np.random.default_rng(seed)
    terms = SH_REST_COUNTS[sh_degree] + 1
    mix = rng.normal(0, 0.3, (terms, terms)) * 0.8 ** np.arange(terms)
    sh = np.einsum("nkc,kl->nlc", rng.normal(size=(count, terms, 3)), mix)
    positions = rng.normal(0, 0.5, (count, 3)) + 3 * np.eye(3)[rng.integers(0, 3, count)]
    weights = rng.integers(0, 32, count)
    return Sample(positions.astype(np.float32), sh.astype(np.float32), weights.astype(np.uint8))


def components_of(found: ColourTransform, sample: Sample) -> np.ndarray:
    """float32[n,K+1,3]."""
    regions = found.bases.regions(sample.positions)
    sh_dc, sh_rest = np.ascontiguousarray(sample.sh[:, 0]), np.ascontiguousarray(sample.sh[:, 1:])
    first, others = to_components(found.forward, regions, sh_dc, sh_rest)
    return np.concatenate([first[:, None], others], axis=1)


def check(found: ColourTransform, sample: Sample) -> None:
    """Bases that a file may have, and components from which the decoder has the SH again."""
    terms = sample.sh.shape[1]
    degree = SH_REST_COUNTS.index(terms - 1)
    payload = found.bases.pack()
    if degree:
        assert Bases.unpack(payload, degree).pack() == payload
    assert found.forward.shape == (max(len(found.bases.centres), 1), terms, terms)
    regions = found.bases.regions(sample.positions)
    whole = complete(found.bases) if len(found.bases.centres) else np.eye(terms)[None]
    components = components_of(found, sample).astype(np.float64)
    assert np.isfinite(components).all()
    back = np.einsum("njc,njk->nkc", components, whole[regions])
    # Components are float32, and ``forward`` is an inverse in float64.
    bound = np.einsum("njc,njk->nkc", np.abs(components), np.abs(whole[regions])) * 2.0**-23
    largest = np.abs(sample.sh).max(axis=(1, 2), keepdims=True)
    assert (np.abs(back - sample.sh) <= bound + 1e-13 * largest + 2.0**-140).all()


def directions_from(centres: np.ndarray, positions: np.ndarray, doubt: float = 1e-6) -> Directions:
    """Each camera shows all splats alike."""
    return Directions(positions, centres, np.ones((len(centres), len(positions)), np.float32), doubt)


@DEGREES
def test_components_are_the_exact_inverse(sh_degree: int) -> None:
    sample = sample_of(sh_degree)
    cameras = np.random.default_rng(1).normal(0, 6, (4, 3))
    for directions in (None, directions_from(cameras, sample.positions[::5], 0.1)):
        found = find_bases(sample, MANY, directions)
        assert len(found.bases.centres) == 3
        assert set(found.bases.regions(sample.positions).tolist()) == {0, 1, 2}
        check(found, sample)


def test_numbers_of_regions() -> None:
    sample = sample_of(1)
    for splats, regions in (
        (FEWEST_SPLATS - 1, 0),
        (FEWEST_SPLATS, 1),
        (2 * SPLATS_PER_REGION - 1, 1),
        (2 * SPLATS_PER_REGION, 2),
        (10**7, REGIONS),
    ):
        assert len(find_bases(sample, splats).bases.centres) == regions


@DEGREES
def test_the_same_every_time(sh_degree: int) -> None:
    sample = sample_of(sh_degree)
    directions = directions_from(np.array([[9.0, 1, 2], [-3, 8, 0]]), sample.positions)
    np.random.default_rng().random()
    for own in (None, directions):
        first, second = find_bases(sample, MANY, own), find_bases(sample, MANY, own)
        assert first.bases.pack() == second.bases.pack()
        assert first.forward.tobytes() == second.forward.tobytes()


def off_diagonal(covariance: np.ndarray) -> float:
    """The share of the squares of a matrix, as a root, that is not on its diagonal."""
    return float(np.linalg.norm(covariance - np.diag(np.diag(covariance))) / np.linalg.norm(covariance))


@DEGREES
def test_components_are_principal(sh_degree: int) -> None:
    """In one region: each varies alone, the first of them most."""
    sample = replace(sample_of(sh_degree, 4000), weights=np.full(4000, 20, np.uint8))
    found = find_bases(sample, SPLATS_PER_REGION)
    rows = components_of(found, sample)[:, 1:].astype(np.float64).transpose(0, 2, 1).reshape(12_000, -1)
    covariance = rows.T @ rows / len(rows)
    # Entries of the matrix are rounded to 1/32, so that components turn a little into each other.
    assert off_diagonal(covariance) < 0.08
    before = sample.sh[:, 1:].astype(np.float64).transpose(0, 2, 1).reshape(12_000, -1)
    assert off_diagonal(before.T @ before) > 0.3
    scale = np.sqrt(np.diag(covariance))
    assert (scale[1:] < scale[:-1] + 0.01 * scale[0]).all()


def test_heavy_splats_count_most() -> None:
    """A class is half an octave of weight: 20 classes more and the others hardly matter."""
    rng = np.random.default_rng(2)
    axis = np.zeros((2, 16))
    axis[0, 3], axis[1, 12] = 1.0, 1.0
    kind = rng.integers(0, 2, 2000)
    sh = (axis[kind] * rng.normal(size=(2000, 1)))[:, :, None] * np.ones(3)
    for heavy in (0, 1):
        weights = np.where(kind == heavy, 30, 10).astype(np.uint8)
        sample = Sample(rng.normal(size=(2000, 3)).astype(np.float32), sh.astype(np.float32), weights)
        first = np.abs(find_bases(sample, SPLATS_PER_REGION).bases.matrices[0, 0, 1:].astype(int))
        assert first[2 if heavy == 0 else 11] > 16
        assert first[11 if heavy == 0 else 2] < 4


@pytest.mark.parametrize("size", [1e2, 1e5, 1e30])
def test_a_broken_splat_does_not_rule_the_others(size: float) -> None:
    sample = replace(sample_of(2, 4000), weights=np.full(4000, 20, np.uint8))
    broken = sample.sh.copy()
    broken[7] = np.float32(size)
    found, other = (
        find_bases(own, SPLATS_PER_REGION).bases.matrices / 32.0 for own in (sample, replace(sample, sh=broken))
    )
    # What components mean together: the directions of components of like variance may turn into each other.
    grams = [np.linalg.inv(matrix[0, :, 1:].T @ matrix[0, :, 1:]) for matrix in (found, other)]
    np.testing.assert_allclose(grams[1], grams[0], atol=0.15)


# Directions


def gram_of(rows: np.ndarray) -> np.ndarray:
    """Of mean 1 on the diagonal."""
    gram = rows.T @ rows
    return gram * (len(gram) / np.trace(gram))


@DEGREES
def test_components_are_orthonormal_over_directions(sh_degree: int) -> None:
    sample = sample_of(sh_degree)
    directions = directions_from(cone(200), sample.positions[::7])
    found = find_bases(sample, SPLATS_PER_REGION, directions)
    terms = sample.sh.shape[1]
    offsets = directions.positions[None] - directions.centres[:, None]
    shown = gram_of(harmonics(offsets.reshape(-1, 3), terms))
    gram = (1.0 - ELSEWHERE) * shown + ELSEWHERE * np.eye(terms)
    (matrix,) = complete(found.bases)
    # Entries are up to half of 1/32 off: products with them differ by so much of the sums of what they go with.
    spread = np.abs(matrix @ gram).sum(axis=1) / 64
    off = np.abs(matrix @ gram @ matrix.T - np.eye(terms))
    assert (off <= spread[:, None] + spread[None, :] + 0.01).all()
    # A unit error of a component is seen as much as one of the mean, or less where it lies outside of the cone.
    seen = np.diag(matrix @ shown @ matrix.T)
    assert seen[0] == pytest.approx(1.0)
    assert seen.max() < 1.15
    # SH are not so: unit errors of some are seen far more than those of others.
    assert np.ptp(np.diag(shown)) > 0.3
    check(found, sample)


def test_components_are_as_many_as_are_seen() -> None:
    """From one side, colours are of few components: the others have next to no variance."""
    sample = sample_of(3)
    own = find_bases(sample, SPLATS_PER_REGION, directions_from(cone(200), sample.positions[::7]))
    scale = np.sqrt((components_of(own, sample).astype(np.float64) ** 2).mean(axis=(0, 2)))
    even = find_bases(sample, SPLATS_PER_REGION, directions_from(np.vstack([cone(99), -cone(99)]), sample.positions))
    other = np.sqrt((components_of(even, sample).astype(np.float64) ** 2).mean(axis=(0, 2)))
    assert np.log(scale[1:]).sum() < np.log(other[1:]).sum()


def test_doubt_mixes_directions_with_what_colours_say() -> None:
    sample = sample_of(2)
    found = [
        complete(find_bases(sample, SPLATS_PER_REGION, directions).bases)[0]
        for directions in (None, *(directions_from(cone(50), sample.positions, doubt) for doubt in (1e-6, 1.0, 1e3)))
    ]
    grams = [np.linalg.inv(matrix.T @ matrix) for matrix in found]  # as matrix G matrixᵀ is the unit matrix
    own = [np.linalg.norm(gram - grams[0]) for gram in grams[1:]]
    assert own[0] > own[1] > own[2]


def test_outer_products_equal_numpy() -> None:
    rng = np.random.default_rng(4)
    for terms in (4, 9, 16, 25):
        positions = rng.normal(size=(60, 3)).astype(np.float32)
        centres = rng.normal(0, 3, (5, 3))
        centres[1] = positions[7]
        shown = (rng.random((5, 60)) * (rng.random((5, 60)) < 0.6)).astype(np.float32)
        shown[1, 7], shown[2, 3] = 1.0, -1.0
        regions = rng.integers(0, 3, 60).astype(np.uint8)
        found = np.zeros((3, terms, terms))
        _add_outer(found, positions, regions, centres, shown)
        expected = np.zeros((3, terms, terms))
        for v, centre in enumerate(centres):
            offsets = positions.astype(np.float64) - centre
            ok = (shown[v] > 0) & (np.linalg.norm(offsets, axis=1) > 0)
            basis = harmonics(offsets[ok], terms)
            for region, row, share in zip(regions[ok], basis, shown[v][ok].astype(np.float64), strict=True):
                expected[region] += share * np.outer(row, row)
        np.testing.assert_allclose(found, np.triu(expected), rtol=1e-10, atol=1e-12)


# Odd clouds


def changed(name: str, sh_degree: int) -> Sample:
    sample = sample_of(sh_degree)
    rng = np.random.default_rng(5)
    positions, sh = sample.positions.copy(), sample.sh.copy()
    if name == "one place":
        positions[:] = positions[0]
    elif name == "two places":
        positions = positions[rng.integers(0, 2, len(positions))]
    elif name == "far":
        positions *= np.float32(1e29)
    elif name == "near":
        positions *= np.float32(1e-40)
    elif name == "huge":
        sh *= np.float32(1e5)
    elif name == "tiny":
        sh *= np.float32(1e-38)
    elif name == "one colour":
        sh[1:] = 0
    elif name == "no mean":
        sh[:, 0] = 0
    elif name == "one way":
        sh[:] = sh[:, :1, :1] * sh[:1, :, :1]
    elif name == "one component":
        sh[:, 1:-1] = 0
    elif name == "light":
        return replace(sample, weights=np.zeros_like(sample.weights))
    return Sample(positions, sh, sample.weights)


@pytest.mark.parametrize("sh_degree", [1, 4])
@pytest.mark.parametrize(
    "name",
    ["one place", "two places", "far", "near", "huge", "tiny", "one colour", "no mean", "one way", "one component",
     "light"],
)  # fmt: skip
def test_odd_clouds(name: str, sh_degree: int) -> None:
    sample = changed(name, sh_degree)
    inside = directions_from(sample.positions[:3].astype(np.float64), sample.positions[::5])
    same = directions_from(np.zeros((2, 3)), sample.positions[::5])
    nothing = replace(same, shown=np.zeros_like(same.shown))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for directions in (None, inside, same, nothing):
            found = find_bases(sample, MANY, directions)
            assert len(found.bases.centres) == 3
            check(found, sample)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_sample_of_few_splats(count: int) -> None:
    sample = sample_of(3, count)
    check(find_bases(sample, 10**6), sample)


@DEGREES
def test_no_bases_where_there_is_no_sh_or_little_to_code(sh_degree: int) -> None:
    sample = sample_of(sh_degree)
    sample.sh[:, 1:] = 0
    few = sample_of(sh_degree, 3)
    for own, splats in ((sample, MANY), (few, 3), (Sample(few.positions[:0], few.sh[:0], few.weights[:0]), 0)):
        found = find_bases(own, splats)
        assert found.bases.pack() == b""
        check(found, own)
    only = replace(sample, sh=sample.sh[:, :1])
    check(find_bases(only, MANY), only)


@pytest.mark.parametrize("largest", [10.0, 1e4, 4e5])
def test_components_that_a_decoder_clamps_are_not_chosen(largest: float) -> None:
    sample = sample_of(3)
    found = find_bases(sample, MANY, directions_from(cone(20), sample.positions))
    held = found.holds(largest)
    assert held == (largest < 1e5)
    signs = np.sign(found.forward).transpose(0, 2, 1)  # SH [r,j,k] for which component j is the largest there can be
    top = np.einsum("rkj,rjk->rj", found.forward, largest * signs).max()
    assert held == (np.sqrt(3) * top <= 2**20)
    assert ColourTransform.plain(3).holds(4e5)
