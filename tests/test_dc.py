"""SH DC: residuals against a prediction."""

from __future__ import annotations

import numpy as np

from gscodec.transform.dc import LIMIT, decode_residuals, quantise_residuals


def test_decode_is_exact() -> None:
    rng = np.random.default_rng(0)
    residuals = rng.integers(-(2**31), 2**31, 600).astype(np.int32)
    predicted, steps = rng.integers(-(2**40), 2**40, 600), rng.choice([1, 300, 52429, 1 << 26], 600)
    slow = [
        min(max(p + r * s, -(2**40)), 2**40)
        for p, r, s in zip(predicted.tolist(), residuals.tolist(), steps.tolist(), strict=True)
    ]
    assert decode_residuals(residuals, predicted, steps).tolist() == slow


def test_values_come_back_within_half_a_step() -> None:
    rng = np.random.default_rng(1)
    values, predicted = rng.normal(0, 2.0**20, 1000), rng.integers(-(2**20), 2**20, 1000)
    steps = rng.choice([500, 52429], 1000)
    found = decode_residuals(quantise_residuals(values, predicted, steps), predicted, steps)
    assert (np.abs(found - values) <= steps / 2).all()


def test_a_value_beyond_the_limit_is_clipped() -> None:
    values, steps = np.array([3.0 * LIMIT, -3.0 * LIMIT]), np.full(2, 52429, np.int64)
    found = decode_residuals(quantise_residuals(values, np.zeros(2, np.int64), steps), np.zeros(2, np.int64), steps)
    assert found.tolist() == [LIMIT, -LIMIT]
