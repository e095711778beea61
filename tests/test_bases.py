"""Bases of colour as a decoder has them: regions, components to SH, the BASES payload, fewer SH degrees."""

from __future__ import annotations

import math

import numpy as np
import pytest
from directions import complete

from gscodec.branches.native.bases import MAX_REGIONS, Bases, from_components, region_bytes, to_components
from gscodec.cloud import SH_REST_COUNTS
from gscodec.errors import CorruptStreamError

DEGREES = pytest.mark.parametrize("sh_degree", [1, 2, 3, 4])


def random_bases(regions: int, sh_degree: int, seed: int = 0) -> Bases:
    """Any centres and matrices that a file can have, the extreme entries among them."""
    rng = np.random.default_rng(seed)
    count = SH_REST_COUNTS[sh_degree]
    matrices = rng.integers(-128, 128, (regions, count, count + 1)).astype(np.int8)
    matrices[rng.random(matrices.shape) < 0.1] = -128
    return Bases(rng.normal(0, 2, (regions, 3)).astype(np.float32), matrices)


def sound_bases(regions: int, sh_degree: int, seed: int = 0) -> Bases:
    """Bases whose matrices are far from singular, as an encoder makes them."""
    rng = np.random.default_rng(seed)
    count = SH_REST_COUNTS[sh_degree]
    turns = np.linalg.qr(rng.normal(size=(regions, count, count)))[0]
    matrices = np.concatenate([rng.uniform(-1, 1, (regions, count, 1)), turns], axis=2)
    return Bases(rng.normal(0, 2, (regions, 3)).astype(np.float32), np.rint(matrices * 32).astype(np.int8))


# Regions


def slow_region(position: np.ndarray, centres: np.ndarray) -> int:
    best, found = math.inf, 0
    for r, centre in enumerate(centres.tolist()):
        x, y, z = (a - b for a, b in zip(position.tolist(), centre, strict=True))
        if (x * x + y * y) + z * z < best:
            best, found = (x * x + y * y) + z * z, r
    return found


@pytest.mark.parametrize("regions", [1, 2, 37, MAX_REGIONS])
def test_regions_are_the_nearest(regions: int) -> None:
    rng = np.random.default_rng(regions)
    bases = random_bases(regions, 1)
    positions = rng.normal(0, 2, (150, 3)).astype(np.float32)
    positions[:50] = np.rint(positions[:50])
    positions[-1], positions[-2] = 3e38, -1e30
    found = bases.regions(positions)
    assert found.dtype == np.uint8
    assert found.tolist() == [slow_region(position, bases.centres) for position in positions]


def test_of_equal_distances_the_lowest_region_counts() -> None:
    rng = np.random.default_rng(0)
    centres = rng.integers(-1, 2, (80, 3)).astype(np.float32)
    bases = Bases(centres, np.zeros((80, 3, 4), np.int8))
    positions = rng.integers(-4, 5, (200, 3)).astype(np.float32) / 2
    assert bases.regions(positions).tolist() == [slow_region(position, centres) for position in positions]
    assert bases.regions(centres).tolist() == [centres.tolist().index(centre) for centre in centres.tolist()]


def test_infinite_positions_are_of_region_0() -> None:
    bases = random_bases(5, 1)
    positions = np.array([[np.inf, 0, 0], [0, -np.inf, np.inf], [np.inf] * 3], np.float32)
    assert bases.regions(positions).tolist() == [0, 0, 0]


def test_without_regions_all_is_region_0() -> None:
    positions = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    assert Bases.plain(3).regions(positions).tolist() == [0] * 9
    assert random_bases(3, 2).regions(positions[:0]).shape == (0,)


# Components to SH


def random_components(count: int, columns: int, seed: int = 1) -> np.ndarray:
    """int64[n,J] up to what a decoder clamps to, many of them 0."""
    rng = np.random.default_rng(seed)
    values = np.rint(np.ldexp(rng.uniform(-1, 1, (count, columns)), rng.integers(0, 41, (count, columns))))
    values[rng.random(values.shape) < 0.2] = 0
    values[:4] = (rng.integers(0, 2, (4, columns)) * 2 - 1) * 2**40
    return values.astype(np.int64)


def decoded(bases: Bases, coded: int, wanted: int, regions: np.ndarray, base: np.ndarray, others: np.ndarray):
    """SH float32[n,K+1,3] of degree ``wanted`` by the code under test."""
    n = len(base)
    sh_dc, sh_rest = np.empty((n, 3), np.float32), np.empty((n, SH_REST_COUNTS[wanted], 3), np.float32)
    factors = bases.factors(coded, wanted)
    from_components(factors, regions, base, np.ascontiguousarray(others.T), sh_dc, sh_rest)
    return np.concatenate([sh_dc[:, None], sh_rest], axis=1)


def colour(s0: int, s1: int, s2: int) -> list[np.float32]:
    """As FORMAT.md has it, from whole 32nds."""
    bright = float(s0) * 2.0**-25 * 0.5773502691896258
    rb = float(s1) * 2.0**-25 * 0.7071067811865476
    g = float(s2) * 2.0**-25
    c, d = 0.4082482904638631, 0.8164965809277261
    return [np.float32((bright + rb) + g * c), np.float32(bright - g * d), np.float32((bright - rb) + g * c)]


def slow_sh(bases: Bases, regions: np.ndarray, base: np.ndarray, others: np.ndarray) -> np.ndarray:
    """SH float32[n,K+1,3] in whole numbers of Python; components that ``others`` [n,3 * J] lacks are 0."""
    terms = bases.matrices.shape[1] + 1
    sh = np.zeros((len(base), terms, 3), np.float32)
    for i, (own, rest) in enumerate(zip(base.tolist(), others.tolist(), strict=True)):
        sums = [[0, 0, 0] for _ in range(terms)]
        for channel in range(3):
            sums[0][channel] = 32 * own[channel]
            components = rest[channel::3]
            if len(bases.centres) == 0:
                for k, value in enumerate(components, start=1):
                    sums[k][channel] = 32 * value
            else:
                matrix = bases.matrices[regions[i]].tolist()
                for row, value in zip(matrix, components, strict=False):
                    for k in range(terms):
                        sums[k][channel] += row[k] * value
        assert all(abs(s) < 2**53 for of_term in sums for s in of_term)
        sh[i] = [colour(*of_term) for of_term in sums]
    return sh


@pytest.mark.parametrize("regions", [0, 1, 5])
@DEGREES
def test_components_become_sh_exactly(sh_degree: int, regions: int) -> None:
    bases = random_bases(regions, sh_degree, sh_degree)
    n = 60
    of_splats = np.random.default_rng(2).integers(0, max(regions, 1), n).astype(np.uint8)
    base = random_components(n, 3, 3)
    for coded in range(sh_degree + 1):  # layers that are not there add nothing
        others = random_components(n, 3 * SH_REST_COUNTS[coded], 4)
        found = decoded(bases, coded, sh_degree, of_splats, base, others)
        assert found.tobytes() == slow_sh(bases, of_splats, base, others).tobytes()


def test_the_largest_sums_are_exact() -> None:
    bases = Bases(np.zeros((1, 3), np.float32), np.full((1, 24, 25), -128, np.int8))
    base, others = np.full((2, 3), -(2**40)), np.full((2, 72), 2**40)
    others[1, ::2] -= 1
    regions = np.zeros(2, np.uint8)
    assert decoded(bases, 4, 4, regions, base, others).tobytes() == slow_sh(bases, regions, base, others).tobytes()


def test_no_sh_beyond_the_mean() -> None:
    base, none = random_components(200, 3), np.zeros((200, 0), np.int64)
    regions = np.zeros(200, np.uint8)
    found = decoded(Bases.plain(0), 0, 0, regions, base, none)
    assert found.tobytes() == slow_sh(Bases.plain(0), regions, base, none).tobytes()


def test_to_components_is_a_product() -> None:
    rng = np.random.default_rng(5)
    forward, regions = rng.normal(size=(3, 9, 9)), rng.integers(0, 3, 50).astype(np.uint8)
    sh = rng.normal(size=(50, 9, 3)).astype(np.float32)
    first, others = to_components(forward, regions, sh[:, 0].copy(), sh[:, 1:].copy())
    expected = np.einsum("nkj,nkc->njc", forward[regions], sh.astype(np.float64))
    np.testing.assert_allclose(first, expected[:, 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(others, expected[:, 1:], rtol=1e-6, atol=1e-6)


# The payload


@pytest.mark.parametrize("regions", [0, 1, 7, MAX_REGIONS])
@DEGREES
def test_a_payload_comes_back(sh_degree: int, regions: int) -> None:
    bases = random_bases(regions, sh_degree)
    payload = bases.pack()
    assert len(payload) == regions * region_bytes(sh_degree)
    found = Bases.unpack(payload, sh_degree)
    assert found.pack() == payload
    assert found.centres.tobytes() == bases.centres.tobytes()
    np.testing.assert_array_equal(found.matrices, bases.matrices)


def test_the_payload_is_laid_out_as_in_the_format() -> None:
    centres = np.array([[1, 2, 3], [-4, 5, 0.5]], np.float32)
    matrices = np.arange(-12, 12).reshape(2, 3, 4).astype(np.int8)
    payload = np.array([1, 2, 3, -4, 5, 0.5], "<f4").tobytes() + bytes(x % 256 for x in range(-12, 12))
    assert Bases(centres, matrices).pack() == payload
    assert Bases.unpack(payload, 1).matrices[1, 0].tolist() == [0, 1, 2, 3]


@DEGREES
def test_wrong_sizes_are_refused(sh_degree: int) -> None:
    size = region_bytes(sh_degree)
    for wrong in (1, size - 1, size + 1, 2 * size - 12, MAX_REGIONS * size + 1, (MAX_REGIONS + 1) * size):
        with pytest.raises(CorruptStreamError, match="BASES"):
            Bases.unpack(bytes(wrong), sh_degree)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, np.nextafter(np.float32(2.0**100), np.float32(np.inf))])
@pytest.mark.parametrize("place", [0, 5])
def test_bad_centres_are_refused(place: int, wrong: float) -> None:
    bases = random_bases(2, 2)
    bases.centres.reshape(-1)[place] = wrong
    with pytest.raises(CorruptStreamError, match="centre"):
        Bases.unpack(bases.pack(), 2)
    bases.centres.reshape(-1)[place] = -(2.0**100)
    assert Bases.unpack(bases.pack(), 2).centres.reshape(-1)[place] == -(2.0**100)


# SH of fewer degrees


@DEGREES
def test_factors_of_the_full_degree_are_the_matrices(sh_degree: int) -> None:
    bases, plain = random_bases(3, sh_degree), Bases.plain(sh_degree)
    count = SH_REST_COUNTS[sh_degree]
    for coded in range(sh_degree + 1):
        rows = SH_REST_COUNTS[coded]
        np.testing.assert_array_equal(bases.factors(coded, sh_degree), bases.matrices[:, :rows] / 32.0)
        np.testing.assert_array_equal(plain.factors(coded, sh_degree)[0], np.eye(count + 1)[1 : rows + 1])


@DEGREES
def test_plain_components_are_left_out_beyond_a_degree(sh_degree: int) -> None:
    for wanted in range(sh_degree + 1):
        factors = Bases.plain(sh_degree).factors(wanted, wanted)
        count = SH_REST_COUNTS[wanted]
        np.testing.assert_array_equal(factors, np.eye(count + 1)[None, 1:])


@DEGREES
def test_degree_0_is_component_0(sh_degree: int) -> None:
    bases = sound_bases(4, sh_degree)
    assert bases.factors(0, 0).shape == (4, 0, 1)
    base, none = random_components(100, 3), np.zeros((100, 0), np.int64)
    regions = np.arange(100, dtype=np.uint8) % 4
    found = decoded(bases, 0, 0, regions, base, none)
    assert found[:, 0].tolist() == [colour(*(32 * x for x in own)) for own in base.tolist()]
    # Components are orthogonal, so that the others say nothing about the mean.
    np.testing.assert_allclose(bases.factors(sh_degree, 0), 0.0, atol=1e-12)


@pytest.mark.parametrize(("sh_degree", "wanted"), [(2, 1), (3, 1), (3, 2), (4, 1), (4, 2), (4, 3)])
def test_a_lower_degree_is_the_least_squares_fit(sh_degree: int, wanted: int) -> None:
    rng = np.random.default_rng(7)
    bases = sound_bases(3, sh_degree, 8)
    terms, low_terms = SH_REST_COUNTS[sh_degree] + 1, SH_REST_COUNTS[wanted] + 1
    for coded in range(wanted + 1):
        factors = bases.factors(coded, wanted)
        count = SH_REST_COUNTS[coded] + 1
        assert factors.shape == (3, count - 1, low_terms)
        for matrix, reduced in zip(complete(bases), factors, strict=True):
            components = np.zeros(terms)
            components[:count] = rng.normal(size=count)
            low = components[1:count] @ reduced
            low[0] += components[0]

            def distance(low: np.ndarray, matrix: np.ndarray = matrix, own: np.ndarray = components) -> float:
                padded = np.concatenate([low, np.zeros(terms - low_terms)])
                return float(((np.linalg.solve(matrix.T, padded) - own) ** 2).sum())

            least = distance(low)
            for scale in (1e-3, 0.1):
                for change in scale * rng.normal(size=(20, low_terms)):
                    assert distance(low + change) > least
            # It is a minimum: the slope is 0 along every axis.
            slopes = [(distance(low + x) - distance(low - x)) / 2e-3 for x in 1e-3 * np.eye(low_terms)]
            np.testing.assert_allclose(slopes, 0.0, atol=1e-8)


def test_sh_of_a_lower_degree_stay_as_they_are() -> None:
    """Colours that need no more than degree 1 are the same after the fit, from all of their components."""
    bases = sound_bases(1, 3, 9)
    sh = np.zeros(16)
    sh[:4] = 0.5, -1.0, 0.25, 2.0
    components = np.linalg.solve(complete(bases)[0].T, sh)
    low = components[1:] @ bases.factors(3, 1)[0]
    low[0] += components[0]
    np.testing.assert_allclose(low, sh[:4], atol=1e-12)


@DEGREES
def test_singular_matrices_are_no_error(sh_degree: int) -> None:
    bases = random_bases(4, sh_degree)
    bases.matrices[0] = 0
    bases.matrices[1, 1] = bases.matrices[1, 0]
    bases.matrices[2] = -128
    bases.matrices[3, :, 0] = 0
    for wanted in range(sh_degree + 1):
        assert np.isfinite(bases.factors(wanted, wanted)).all()


@pytest.mark.parametrize("wanted", [1, 2])
def test_in_a_lower_degree_components_that_are_not_coded_count_by_even_directions(wanted: int) -> None:
    bases = sound_bases(2, 3, 5)
    bases.matrices[0, 4:] = 0
    bases.matrices[1, [2, 9]] = 0
    factors = bases.factors(1, wanted)
    rng = np.random.default_rng(2)
    for region, rows in enumerate(complete(bases)):
        unused = np.flatnonzero(~rows.any(axis=1))
        null = 3.0 * np.linalg.svd(np.delete(rows, unused, axis=0))[2][-len(unused) :]
        whole = rows.copy()
        whole[unused] = null
        np.testing.assert_allclose(null @ np.delete(rows, unused, axis=0).T, 0.0, atol=1e-12)
        own = np.zeros(16)
        own[1:4] = rng.normal(size=3) * rows[1:4].any(axis=1)
        low = np.zeros(16)
        terms = factors.shape[2]
        low[:terms] = own[1:4] @ factors[region]

        def distance(low: np.ndarray, whole: np.ndarray = whole, own: np.ndarray = own) -> float:
            return float(((np.linalg.solve(whole.T, low) - own) ** 2).sum())

        least = distance(low)
        for change in 1e-2 * rng.normal(size=(40, terms)):
            assert distance(low + np.pad(change, (0, 16 - terms))) > least
    assert not factors[1, 2].any()  # in which nothing should be coded, whatever a file says
