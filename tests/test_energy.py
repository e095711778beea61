"""Contexts of SH coefficients from those before and those of the neighbours."""

from __future__ import annotations

import numba as nb
import numpy as np

from gscodec.transform.energy import energy_context, take_energy

ENERGY = (7, 16, 30, 48, 75, 112, 166, 240, 347, 496, 709, 1008, 1433)
NEAR = (2, 5, 10, 16, 26, 44, 80, 160)


@nb.njit
def contexts_of(energy, channel, predicted, steps):
    contexts = np.empty(len(predicted), np.int64)
    for i in range(len(predicted)):
        contexts[i] = energy_context(energy[i, 0], energy[i, 1 + channel], channel, predicted[i], steps[i])
    return contexts


@nb.njit
def take(energy, channel, values):
    for i in range(len(values)):
        take_energy(energy, i, channel, np.int64(values[i]))


def test_contexts_and_updates_are_exact() -> None:
    rng = np.random.default_rng(0)
    energy = np.zeros((100, 4), np.int32)
    slow = [[0] * 4 for _ in range(100)]
    for step in range(60):
        channel = step % 3
        steps = rng.choice([1, 40, 1 << 26], 100)
        predicted = np.rint(rng.normal(0, 3, 100) * steps).astype(np.int64)
        predicted[:2] = -(2**40), 2**40
        contexts = contexts_of(energy, channel, predicted, steps)
        values = np.rint(rng.normal(0, 1 + step / 4, 100)).astype(np.int32)
        values[:2] = -(2**31), 2**31 - 1
        take(energy, channel, values)
        for i, own in enumerate(slow):
            level = (own[0] + own[1 + channel]) >> 1
            bucket = sum(bound <= level for bound in ENERGY)
            near = sum(bound * int(steps[i]) <= 20 * abs(int(predicted[i])) for bound in NEAR)
            assert contexts[i] == (bucket * 9 + near) * 3 + channel
            m = min(abs(int(values[i])), 40) * 256
            own[0] += (m - own[0]) >> 4
            own[1 + channel] += (m - own[1 + channel]) >> 3
    assert energy.tolist() == slow
    # The outliers drive both means to their top, and so into the last bucket.
    assert contexts_of(energy, 0, np.zeros(100, np.int64), np.ones(100, np.int64))[0] // 27 == 13
