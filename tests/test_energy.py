"""Contexts of colour components from those before and those of the neighbours."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

from gscodec.transform.energy import energy_context, plane_factors, take_energy

ENERGY = (7, 16, 30, 48, 75, 112, 166, 240, 347, 496, 709, 1008, 1433)
NEAR = (2, 5, 10, 16, 26, 44, 80, 160)
PROFILES = ("zeros", "largest", "falling", "any")


@nb.njit
def contexts_of(energy, channel, factors, predicted, steps):
    contexts = np.empty(len(predicted), np.int64)
    for i in range(len(predicted)):
        contexts[i] = energy_context(energy, i, channel, factors[0], factors[1], predicted[i], steps[i])
    return contexts


@nb.njit
def take(energy, channel, values):
    for i in range(len(values)):
        take_energy(energy, i, channel, np.int64(values[i]))


def profile_of(name: str) -> np.ndarray:
    """int64[24,3]."""
    rng = np.random.default_rng(0)
    falling = np.rint(3000 * 0.8 ** np.arange(24)[:, None] * [1.0, 0.4, 0.1])
    return {
        "zeros": np.zeros((24, 3), np.int64),
        "largest": np.full((24, 3), 0xFFFF, np.int64),
        "falling": falling.astype(np.int64),
        "any": rng.integers(0, 1 << 16, (24, 3)) >> rng.integers(0, 17, (24, 3)),
    }[name]


def slow_factors(profile: list[int]) -> list[tuple[int, int]]:
    """(f, g) of each component and channel, by the text of FORMAT.md; ``profile`` is the parameter itself."""
    found, w = [], [4096] * 4
    for component in range(1, len(profile) // 3 + 1):
        for channel in range(3):
            p = profile[3 * (component - 1) + channel]
            found.append(((p << 16) // w[0], (p << 16) // w[1 + channel]))
            w[0] += p - (w[0] >> 2)
            w[1 + channel] += p - (w[1 + channel] >> 2)
            assert min(w) >= 3
    return found


@pytest.mark.parametrize("name", PROFILES)
def test_plane_factors_are_those_of_the_format(name: str) -> None:
    profile = profile_of(name)
    factors = plane_factors(profile)
    assert (factors.shape, factors.dtype) == ((24, 3, 2), np.int64)
    assert [tuple(pair) for pair in factors.reshape(-1, 2).tolist()] == slow_factors(profile.reshape(-1).tolist())


def test_a_profile_that_rises_from_nothing_has_the_largest_factors() -> None:
    profile = np.zeros((24, 3), np.int64)
    profile[23] = 0xFFFF
    factors = plane_factors(profile)
    assert factors[:23].tolist() == [[[0, 0]] * 3] * 23
    assert factors[23, 0, 0] == (0xFFFF << 16) // 3
    # The largest energy there can be still gives a level, in the last bucket.
    energy = np.full((1, 4), 4 * 0xFFFF, np.int32)
    assert contexts_of(energy, 0, factors[23, 0], np.zeros(1, np.int64), np.ones(1, np.int64))[0] // 27 == 13


@pytest.mark.parametrize("name", PROFILES)
def test_contexts_and_updates_are_exact(name: str) -> None:
    rng = np.random.default_rng(0)
    profile = profile_of(name)
    factors, slow_pairs = plane_factors(profile), slow_factors(profile.reshape(-1).tolist())
    energy = np.repeat(4 * rng.integers(0, 2000, (100, 1)), 4, axis=1).astype(np.int32)
    energy[2], energy[3] = 0, 4 * 0xFFFF
    slow = energy.tolist()
    last = 0
    for number, pair in enumerate(slow_pairs):
        channel = number % 3
        steps = rng.choice([1, 40, 1 << 26], 100)
        predicted = np.rint(rng.normal(0, 3, 100) * steps).astype(np.int64)
        predicted[:2] = -(2**40), 2**40
        contexts = contexts_of(energy, channel, factors[number // 3, channel], predicted, steps)
        values = np.rint(rng.normal(0, 1 + number / 4, 100)).astype(np.int32)
        values[:2] = -(2**31), 2**31 - 1
        take(energy, channel, values)
        for i, own in enumerate(slow):
            level = (own[0] * pair[0] + own[1 + channel] * pair[1]) >> 17
            bucket = sum(bound <= level for bound in ENERGY)
            near = sum(bound * int(steps[i]) <= 20 * abs(int(predicted[i])) for bound in NEAR)
            assert contexts[i] == (bucket * 9 + near) * 3 + channel
            last += bucket == 13
            m = min(abs(int(values[i])), 40) * 256
            own[0] += m - (own[0] >> 2)
            own[1 + channel] += m - (own[1 + channel] >> 2)
    assert energy.tolist() == slow
    # The outliers drive both sums to their top, and so into the last bucket where anything is expected at all.
    assert (last > 0) == (name != "zeros")


def test_the_expected_magnitude_is_the_level() -> None:
    """A splat of just the magnitudes that the profile expects is of the level of the next one's, in 1/256."""
    profile = profile_of("falling") * 8
    factors = plane_factors(profile)
    energy = [4 * 256.0] * 4  # of the weight class: all magnitudes are once what the profile says
    for k, channels in enumerate(profile.tolist()):
        for channel, own in enumerate(channels):
            f, g = factors[k, channel].tolist()
            level = (energy[0] * f + energy[1 + channel] * g) / 2**17
            assert level == pytest.approx(own / 4, rel=0.01, abs=0.1)
            for place in (0, 1 + channel):
                energy[place] += own / 4 - energy[place] / 4
