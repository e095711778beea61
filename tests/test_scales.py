"""Log scales: prediction, residuals, and the ratio of the shortest axis."""

from __future__ import annotations

import numpy as np
import pytest
from test_fixed import slow_log2

from gscodec.transform.fixed import OCTAVE
from gscodec.transform.scales import LIMIT, decode_log, decode_ratio, fit_predictor, predict, quantise_ratio, short_logs
from gscodec.transform.trellis import DEPENDENT, PLAIN


def clamp(value: int, limit: int) -> int:
    return min(max(value, -limit), limit)


def test_predict_is_exact() -> None:
    rng = np.random.default_rng(0)
    factors = np.array([12345, -4096, 0, 4194304, -77], np.int64)
    features = rng.integers(-(1 << 26), 1 << 26, (200, 4))
    expected = [
        clamp((12345 * 4096 + sum(int(f) * int(x) for f, x in zip(factors[1:], row, strict=True))) >> 12, 1 << 22)
        for row in features
    ]
    assert predict(factors, features).tolist() == expected


def test_decode_log_is_exact_and_bounded() -> None:
    residuals = np.array([0, 3, -3, 2**31 - 1, -(2**31)], np.int32)
    predicted = np.array([5, 100, -100, LIMIT, -LIMIT], np.int64)
    steps = np.full(5, 65535, np.int64)
    logs = decode_log(residuals, predicted, steps, PLAIN)
    assert logs.tolist() == [5, 100 + 3 * 65535, -100 - 3 * 65535, LIMIT, -LIMIT]
    # States 0, 0, 4 and 6: the third code has the halves.
    logs = decode_log(residuals[:3], predicted[:3], steps[:3], DEPENDENT)
    assert logs.tolist() == [5, 100 + 3 * 65535, -100 + (-5 * 65535 >> 1)]


def test_decode_ratio_is_exact() -> None:
    rng = np.random.default_rng(1)
    codes = np.concatenate([np.arange(100), rng.integers(0, 2**32, 100)]).astype(np.uint32)
    steps = rng.choice([1, 3, 5243, 32768], 200)
    middle = rng.integers(-LIMIT, LIMIT + 1, 200)
    expected = []
    for code, step, own in zip(codes.tolist(), steps.tolist(), middle.tolist(), strict=True):
        t = code * step if code else max(step >> 2, 1)
        expected.append(clamp(own + slow_log2(min(t, 131072) << 14), 1 << 22))
    assert short_logs(decode_ratio(codes, steps, PLAIN), middle).tolist() == expected


@pytest.mark.parametrize("machine", [PLAIN, DEPENDENT])
def test_ratio_comes_back_within_half_a_step_or_one(machine: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    logs = -rng.exponential(2 * OCTAVE, 1000)
    steps = rng.choice([50, 1000, 5243], 1000)
    decoded = decode_ratio(quantise_ratio(logs, steps, machine), steps, machine)
    expected = 2.0 ** (logs / OCTAVE) * OCTAVE
    assert (np.abs(decoded - expected) <= steps * (0.5 if machine is PLAIN else 1.0) + 1).all()
    # log2 of the decoded ratio is off by at most 5e-5 octave, and a unit or two.
    short = 2.0 ** (short_logs(decoded, np.zeros(1000, np.int64)) / OCTAVE) * OCTAVE
    assert (np.abs(short - decoded) <= (5e-5 + 2 / OCTAVE) * decoded + 1e-6).all()


def test_fit_finds_an_affine_law() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(0, 5 * OCTAVE, (500, 3))
    target = -3 * OCTAVE + features @ [0.5, -0.25, 1.0]
    assert fit_predictor(target, features) == [-3 * OCTAVE, 2048, -1024, 4096]
    assert fit_predictor(target[:0], features[:0]) == [0, 0, 0, 0]


def test_fit_is_bounded() -> None:
    factors = fit_predictor(np.array([0.0, 1e15]), np.array([[0.0], [1.0]]))
    assert abs(factors[0]) <= LIMIT
    assert abs(factors[1]) <= 1 << 16
