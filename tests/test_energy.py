"""Contexts of SH coefficients from those before."""

from __future__ import annotations

import numpy as np

from gscodec.transform.energy import energy_contexts, update_energy

ENERGY = (7, 16, 30, 48, 75, 112, 166, 240, 347, 496, 709, 1008, 1433)


def test_contexts_and_updates_are_exact() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 32, 100).astype(np.uint8)
    energy = np.zeros((100, 4), np.int32)
    slow = [[0] * 4 for _ in range(100)]
    for step in range(60):
        channel = step % 3
        contexts = energy_contexts(energy, channel, weights)
        values = np.rint(rng.normal(0, 1 + step / 4, 100)).astype(np.int32)
        values[:2] = -(2**31), 2**31 - 1
        update_energy(energy, channel, values)
        for i, own in enumerate(slow):
            level = (own[0] + own[1 + channel]) >> 1
            bucket = sum(bound <= level for bound in ENERGY)
            assert contexts[i] == (bucket * 16 + (int(weights[i]) >> 1)) * 3 + channel
            m = min(abs(int(values[i])), 40) * 256
            own[0] += (m - own[0]) >> 3
            own[1 + channel] += (m - own[1 + channel]) >> 2
    assert energy.tolist() == slow
    # The outliers drive both means to their top, and so into the last bucket.
    assert energy_contexts(energy, 0, weights)[0] // 48 == 13
