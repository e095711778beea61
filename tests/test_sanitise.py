from __future__ import annotations

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud

from gscodec.cloud import ATTRIBUTES
from gscodec.errors import BadInputError
from gscodec.sanitise import _peak, sanitise


@pytest.mark.parametrize("degree", [0, 3])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_good_cloud_comes_back_as_the_same_object(count: int, degree: int) -> None:
    cloud = random_cloud(count, degree, 0)
    found, counts = sanitise(cloud)
    assert found is cloud
    assert counts == {}
    assert sanitise(cloud, strict=True)[0] is cloud


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_value_in_any_attribute(name: str, value: float) -> None:
    cloud = random_cloud(5, 1, 0)
    getattr(cloud, name).reshape(5, -1)[2, -1] = value
    found, counts = sanitise(cloud)
    assert counts == {"non-finite": 1}
    assert_same_arrays(found, cloud.select(np.array([0, 1, 3, 4])))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("quats_wxyz", 0.0, "rotation-norm"),
        ("quats_wxyz", 1e-13, "rotation-norm"),
        ("quats_wxyz", 1e30, "rotation-norm"),
        ("log_scales", 30.5, "scale-range"),
        ("log_scales", -31.0, "scale-range"),
        ("positions", -2e12, "position-range"),
        ("opacity_logits", 2e6, "opacity-range"),
        ("sh_dc", -2e6, "sh-range"),
        ("sh_rest", 2e6, "sh-range"),
    ],
)
def test_each_reason(name: str, value: float, reason: str) -> None:
    cloud = random_cloud(5, 2, 0)
    getattr(cloud, name)[3] = value
    found, counts = sanitise(cloud)
    assert counts == {reason: 1}
    assert_same_arrays(found, cloud.select(np.array([0, 1, 2, 4])))


@pytest.mark.parametrize(
    ("name", "value"),
    [("quats_wxyz", 1e-11), ("log_scales", -30.0), ("positions", 1e12), ("opacity_logits", -4e5), ("sh_rest", 4e5)],
)
def test_limits_themselves_are_allowed(name: str, value: float) -> None:
    cloud = random_cloud(5, 2, 0)
    getattr(cloud, name)[3] = np.float32(value)
    if name == "positions":
        cloud.positions[3] = np.nextafter(np.float32(1e12), np.float32(0))
    assert sanitise(cloud) == (cloud, {})


def test_a_splat_counts_under_its_first_reason_only() -> None:
    cloud = random_cloud(70000, 0, 0)
    cloud.quats_wxyz[[1, 69999]] = 0
    cloud.positions[[1, 5]] = np.nan
    cloud.log_scales[69999] = 99
    found, counts = sanitise(cloud)
    assert counts == {"non-finite": 2, "rotation-norm": 1}
    assert list(counts) == ["non-finite", "rotation-norm"]
    assert len(found) == 69997


def test_reasons_keep_their_order_across_blocks() -> None:
    cloud = random_cloud(70000, 0, 0)
    cloud.log_scales[0] = 99
    cloud.positions[69999] = np.nan
    assert list(sanitise(cloud)[1].items()) == [("non-finite", 1), ("scale-range", 1)]


def test_nothing_left_is_an_empty_cloud() -> None:
    cloud = random_cloud(2, 3, 0)
    cloud.positions[:] = np.nan
    found, counts = sanitise(cloud)
    assert (len(found), found.sh_degree, counts) == (0, 3, {"non-finite": 2})


def test_strict_names_reasons_counts_and_the_first_index() -> None:
    cloud = random_cloud(9, 1, 0)
    cloud.log_scales[[4, 6]] = 50
    cloud.positions[7] = np.nan
    with pytest.raises(BadInputError, match=r"first at index 4 .*non-finite: 1, scale-range: 2"):
        sanitise(cloud, strict=True)


def test_the_largest_magnitude_of_any_row() -> None:
    values = np.random.default_rng(0).integers(0, 1 << 32, (1000, 3), np.uint32).view(np.float32)
    values[:8, 0] = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45]
    with np.errstate(invalid="ignore"):
        expected = np.max(np.abs(values), axis=1)
    np.testing.assert_array_equal(_peak(values), expected)
    np.testing.assert_array_equal(_peak(values[:, :0]), np.zeros(1000))
    np.testing.assert_array_equal(_peak(values[:, 1]), np.abs(values[:, 1]))
