"""Steps by weight class."""

from __future__ import annotations

import numpy as np
import pytest

from gscodec.transform.steps import class_steps


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
