from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud

from gscodec import units
from gscodec.cloud import ATTRIBUTES, SH_REST_COUNTS, CloudMeta, empty_cloud
from gscodec.errors import BadInputError


@pytest.mark.parametrize("degree", range(5))
def test_degree_and_bytes(degree: int) -> None:
    cloud = random_cloud(3, degree, 0)
    assert cloud.sh_degree == degree
    assert len(cloud) == 3
    assert cloud.nbytes == 3 * (14 + 3 * SH_REST_COUNTS[degree]) * 4
    assert empty_cloud(3, degree).nbytes == cloud.nbytes


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_wrong_shape_is_refused(name: str) -> None:
    cloud = random_cloud(3, 1, 0)
    with pytest.raises(BadInputError, match="wrong shape"):
        replace(cloud, **{name: getattr(cloud, name)[..., None]})


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_wrong_type_is_refused(name: str) -> None:
    cloud = random_cloud(3, 1, 0)
    with pytest.raises(BadInputError, match="wrong type"):
        replace(cloud, **{name: getattr(cloud, name).astype(np.float64)})


def test_number_of_coefficients_render_mode_and_extras_are_checked() -> None:
    cloud = random_cloud(3, 1, 0)
    with pytest.raises(BadInputError, match="sh_rest"):
        replace(cloud, sh_rest=np.zeros((3, 4, 3), np.float32))
    with pytest.raises(BadInputError, match="render mode"):
        replace(cloud, meta=CloudMeta(render_mode="mip"))
    with pytest.raises(BadInputError, match=r"extras\[label\]"):
        replace(cloud, extras={"label": np.zeros(2, np.uint8)})


def test_cloud_is_frozen() -> None:
    cloud = random_cloud(1, 0, 0)
    with pytest.raises(FrozenInstanceError):
        cloud.positions = cloud.positions  # type: ignore[misc]


@pytest.mark.parametrize("index", [np.array([2, 0]), np.array([True, False, True]), slice(1, None), slice(0, 0)])
def test_select_takes_every_array_along(index: np.ndarray | slice) -> None:
    cloud = replace(random_cloud(3, 2, 0), extras={"label": np.arange(3, dtype=np.uint8)})
    found = cloud.select(index)
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(getattr(found, name), getattr(cloud, name)[index])
    np.testing.assert_array_equal(found.extras["label"], np.arange(3)[index])
    assert found.meta is cloud.meta


def test_random_cloud_depends_on_its_arguments_alone() -> None:
    assert_same_arrays(random_cloud(5, 3, 1), random_cloud(5, 3, 1))
    assert random_cloud(5, 3, 1).positions.tobytes() != random_cloud(5, 3, 2).positions.tobytes()


def test_unit_conversions_at_known_values() -> None:
    one = np.array([0.0, 1000.0, -1000.0], np.float32)
    np.testing.assert_array_equal(units.opacity_from_logit(one), np.array([0.5, 1, 0], np.float32))
    np.testing.assert_array_equal(units.logit_from_opacity(np.array([0.5, 1, 0])), [0, np.inf, -np.inf])
    np.testing.assert_array_equal(units.scale_from_log(one), np.array([1, np.inf, 0], np.float32))
    np.testing.assert_array_equal(units.log_from_scale(np.array([1.0, np.inf, 0.0])), [0, np.inf, -np.inf])
    np.testing.assert_allclose(units.rgb_from_dc(np.array([0.0, 1.0])), [0.5, 0.5 + 0.5 / np.sqrt(np.pi)])
    np.testing.assert_array_equal(units.xyzw_from_wxyz(np.array([[1.0, 2, 3, 4]])), [[2, 3, 4, 1]])


@pytest.mark.parametrize(
    ("forward", "inverse"),
    [
        (units.opacity_from_logit, units.logit_from_opacity),
        (units.scale_from_log, units.log_from_scale),
        (units.rgb_from_dc, units.dc_from_rgb),
        (units.xyzw_from_wxyz, units.wxyz_from_xyzw),
    ],
)
def test_unit_conversions_invert_and_keep_float32(forward, inverse) -> None:
    values = np.random.default_rng(0).uniform(-8, 8, (100, 4)).astype(np.float32)
    there = forward(values)
    assert there.dtype == np.float32
    # sigmoid near 1 keeps 2^-24 absolute, which the logit's slope of about e^8 magnifies to 2e-4
    np.testing.assert_allclose(inverse(there), values, rtol=0, atol=5e-4)


def test_fewer_sh_degrees() -> None:
    cloud = random_cloud(5, 3, 0)
    less = cloud.at_sh_degree(1)
    assert less.sh_degree == 1
    np.testing.assert_array_equal(less.sh_rest, cloud.sh_rest[:, :3])
    assert cloud.at_sh_degree(3) is cloud
    with pytest.raises(BadInputError, match="SH degree"):
        cloud.at_sh_degree(5)
