"""Steps by weight class, and rounding to them."""

from __future__ import annotations

import numpy as np
import pytest

from gscodec.transform.steps import class_steps, quantise


def slow_step(base: int, cap: int, c: int) -> int:
    h = 20 - c
    s = base * 92682 >> 16 if h % 2 else base
    k = h >> 1
    return min(max(s << k if k >= 0 else s >> -k, 1), cap)


@pytest.mark.parametrize(("base", "cap"), [(1, 65536), (6618, 65536), (52429, 1 << 26), ((1 << 24) - 1, 1 << 26)])
def test_class_steps(base: int, cap: int) -> None:
    steps = class_steps(base, cap)
    assert steps.tolist() == [slow_step(base, cap, c) for c in range(32)]
    assert (np.diff(steps) <= 0).all()


def test_class_20_has_the_base_step_and_two_classes_are_a_factor_of_two() -> None:
    steps = class_steps(1 << 12, 1 << 26)
    assert steps[20] == 1 << 12
    assert steps[18] == 2 * steps[20] == 4 * steps[22]


@pytest.mark.parametrize("round_up_from", [0.5, 0.45, 0.7])
def test_quantise_rounds_magnitudes_up_from_the_fraction(round_up_from: float) -> None:
    rng = np.random.default_rng(0)
    steps = rng.integers(1, 1000, 500)
    values = rng.normal(0, 3000, 500)
    codes = quantise(values, steps, round_up_from)
    for value, step, code in zip(values, steps, codes, strict=True):
        whole, part = divmod(abs(value) / step, 1)
        assert abs(code) == whole + (part >= round_up_from)
        assert code == 0 or np.sign(code) == np.sign(value)
    assert (np.abs(values - codes * steps) <= max(round_up_from, 1 - round_up_from) * steps * (1 + 1e-9)).all()


def test_quantise_bounds_what_no_int32_holds() -> None:
    codes = quantise(np.array([1e300, -1e300, 2.0**31, -0.0]), np.ones(4, np.int64))
    assert codes.tolist() == [2**31 - 1, 1 - 2**31, 2**31 - 1, 0]
