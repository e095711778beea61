"""SH DC: residuals against a prediction from the two splats before."""

from __future__ import annotations

import numpy as np
import pytest

from gscodec.transform.dc import LIMIT, decode_dc, fit_dc_predictor, quantise_dc


def slow_decode(residuals: list[int], steps: list[int], factors: tuple[int, int]) -> list[int]:
    before = earlier = 0
    values = []
    for residual, step in zip(residuals, steps, strict=True):
        predicted = (factors[0] * before + factors[1] * earlier) >> 12
        earlier, before = before, min(max(predicted + residual * step, -(2**40)), 2**40)
        values.append(before)
    return values


def decoded(residuals: np.ndarray, steps: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    values = np.empty(len(residuals), np.int64)
    decode_dc(residuals, steps, np.array(factors, np.int64), values)
    return values


# The last pairs make sums of 2**63 and more of both signs where values reach their limit.
@pytest.mark.parametrize("factors", [(3000, 900), (-4096, 8192), (1 << 22, 1 << 22), (-(1 << 22), -(1 << 22))])
def test_decode_is_exact(factors: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    residuals = np.concatenate([rng.integers(-50, 50, 300), rng.integers(-(2**31), 2**31, 300)]).astype(np.int32)
    steps = rng.choice([1, 300, 52429, 1 << 26], 600)
    assert decoded(residuals, steps, factors).tolist() == slow_decode(residuals.tolist(), steps.tolist(), factors)


@pytest.mark.parametrize("factors", [(0, 0), (3000, 900), (8192, -8192), (8192, 8192)])
def test_values_come_back_within_half_a_step(factors: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    values = np.cumsum(rng.normal(0, 2.0**18, 1000))
    steps = rng.choice([500, 52429], 1000)
    residuals = quantise_dc(values, steps, np.array(factors, np.int64))
    assert (np.abs(decoded(residuals, steps, factors) - values) <= steps / 2).all()


def test_a_clipped_value_does_not_harm_the_next() -> None:
    values = np.array([0.0, 3.0 * LIMIT, 1e5, -3.0 * LIMIT, -1e5, 5.0])
    steps = np.full(6, 52429, np.int64)
    found = decoded(quantise_dc(values, steps, np.array([8192, 8192], np.int64)), steps, (8192, 8192))
    assert (np.abs(found - np.clip(values, -LIMIT, LIMIT)) <= 52429 / 2).all()


def test_fit_finds_a_recurrence() -> None:
    values = [1e6, 2e6]
    for _ in range(50):
        values.append(0.75 * values[-1] - 0.5 * values[-2])
    assert fit_dc_predictor(np.array(values)) == [3072, -2048]
    assert fit_dc_predictor(np.array(values[:3])) == [0, 0]
