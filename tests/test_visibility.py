"""What views show of splats, as an encoder takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gscodec.config import Visibility
from gscodec.errors import BadInputError


def visibility(**changed: Any) -> Visibility:
    """Of 6 splats, of which 3 cameras show 4."""
    fields: dict[str, Any] = {
        "weights": np.arange(6.0),
        "doubt": 0.5,
        "centres": np.arange(9.0).reshape(3, 3),
        "sample": np.array([0, 2, 3, 5]),
        "shown": np.arange(12, dtype=np.float32).reshape(3, 4),
    }
    return Visibility(**{**fields, **changed})


def test_nothing_need_be_known_of_single_views() -> None:
    plain = Visibility(np.ones(3), 1.0)
    assert (plain.centres.shape, plain.sample.shape, plain.shown.shape) == ((0, 3), (0,), (0, 0))
    assert len(plain.select(np.array([1])).weights) == 1


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("visibility", {"weights": np.ones((6, 1))}),
        ("visibility", {"weights": np.array([1.0, np.nan, 1, 1, 1, 1])}),
        ("visibility", {"weights": np.array([1.0, -1e-9, 1, 1, 1, 1])}),
        ("doubt", {"doubt": 0.0}),
        ("doubt", {"doubt": float("nan")}),
        ("shown", {"shown": np.zeros((4, 3), np.float32)}),
        ("shown", {"shown": np.zeros((3, 3), np.float32)}),
        ("shown", {"shown": np.zeros((2, 4), np.float32)}),
        ("shown", {"shown": np.zeros(12, np.float32)}),
        ("shown", {"centres": np.zeros((3, 2))}),
        ("shown", {"centres": np.zeros((2, 3))}),
        ("shown", {"sample": np.arange(3)}),
        ("shown", {"shown": np.full((3, 4), np.nan, np.float32)}),
        ("shown", {"shown": np.full((3, 4), np.inf, np.float32)}),
        ("centres", {"centres": np.full((3, 3), np.inf)}),
        ("sample", {"sample": np.array([0, 2, 3, 6])}),
        ("sample", {"sample": np.array([-1, 2, 3, 5])}),
    ],
)
def test_wrong_fields_are_refused(field: str, changed: dict[str, Any]) -> None:
    with pytest.raises(BadInputError) as caught:
        visibility(**changed)
    assert caught.value.field == field


def test_a_selection_keeps_what_views_show_of_it() -> None:
    whole = visibility()
    part = whole.select(np.array([1, 2, 4, 5]))
    assert part.weights.tolist() == [1, 2, 4, 5]
    assert part.sample.tolist() == [1, 3]  # splats 2 and 5 of before
    np.testing.assert_array_equal(part.shown, whole.shown[:, [1, 3]])
    assert part.doubt == whole.doubt
    np.testing.assert_array_equal(part.centres, whole.centres)
    same = whole.select(np.arange(6))
    np.testing.assert_array_equal(same.sample, whole.sample)
    np.testing.assert_array_equal(same.shown, whole.shown)
    none = whole.select(np.array([1, 4]))
    assert (none.sample.shape, none.shown.shape) == ((0,), (3, 0))


@pytest.mark.parametrize(
    "clear", [np.full(6, 1.01, np.float32), np.full(6, np.nan, np.float32), np.ones(5, np.float32)]
)
def test_shares_that_nothing_hides_are_within_0_and_1(clear: np.ndarray) -> None:
    with pytest.raises(BadInputError) as caught:
        visibility(clear=clear)
    assert caught.value.field == "clear"


def test_a_selection_keeps_how_clear_its_splats_are() -> None:
    shares = np.linspace(0.0, 1.0, 6, dtype=np.float32)
    part = visibility(clear=shares).select(np.array([1, 2, 4, 5]))
    np.testing.assert_array_equal(part.clear, shares[[1, 2, 4, 5]])
