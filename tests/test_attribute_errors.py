"""Matching of splats whose order and axes have changed, and the errors measured on the matches."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clouds import random_cloud
from gscodec_tools.attribute_errors import as_text, attribute_errors, main
from gscodec_tools.matching import match_splats

from gscodec.cloud import GaussianCloud, empty_cloud
from gscodec.errors import BadInputError
from gscodec.formats.ply import write_ply
from gscodec.units import SH_C0

SPLATS = 3000


@pytest.fixture(scope="module")
def cloud() -> GaussianCloud:
    return random_cloud(SPLATS, 1, seed=4)


def _turned(cloud: GaussianCloud) -> GaussianCloud:
    """The same Gaussians with their axes in cyclic order and the quaternions' signs and lengths changed."""
    w, x, y, z = cloud.quats_wxyz.T
    # times (1, 1, 1, 1): x becomes y, y becomes z, z becomes x
    turned = np.stack([w - x - y - z, w + x + y - z, w - x + y + z, w + x - y + z], axis=1)
    return replace(cloud, quats_wxyz=-0.7 * turned, log_scales=np.ascontiguousarray(cloud.log_scales[:, [1, 2, 0]]))


def test_equal_clouds_have_no_error(cloud: GaussianCloud) -> None:
    errors = attribute_errors(cloud, cloud)
    assert errors["matched"] == SPLATS
    assert all(values["max"] == 0.0 for values in errors["attributes"].values())


def test_order_and_parametrisation_do_not_count(cloud: GaussianCloud) -> None:
    order = np.random.default_rng(1).permutation(SPLATS)
    errors = attribute_errors(cloud, _turned(cloud.select(order)))
    assert (errors["matched"], errors["unmatched_source"], errors["unmatched_decoded"]) == (SPLATS, 0, 0)
    assert max(values["max"] for values in errors["attributes"].values()) < 1e-4


def test_match_finds_the_order_again_under_noise(cloud: GaussianCloud) -> None:
    rng = np.random.default_rng(2)
    order = rng.permutation(SPLATS)
    shuffled = cloud.select(order)
    noise = rng.standard_normal((SPLATS, 3), np.float32)
    positions = shuffled.positions + noise * np.exp(shuffled.log_scales.max(axis=1, keepdims=True))
    match = match_splats(cloud, replace(shuffled, positions=positions))
    assert np.array_equal(match.index, order)


def test_a_pruned_cloud_leaves_source_splats_over(cloud: GaussianCloud) -> None:
    errors = attribute_errors(cloud, cloud.select(slice(None, None, 3)))
    assert (errors["matched"], errors["unmatched_source"], errors["unmatched_decoded"]) == (1000, 2000, 0)
    assert errors["attributes"]["position"]["max"] == 0.0


def test_more_decoded_splats_than_source_are_left_over(cloud: GaussianCloud) -> None:
    match = match_splats(cloud.select(slice(0, 1000)), cloud)
    assert (match.unmatched_source, match.unmatched_decoded) == (0, 2000)
    assert np.array_equal(np.sort(match.index[match.index >= 0]), np.arange(1000))


def test_each_attribute_is_measured_in_its_unit(cloud: GaussianCloud) -> None:
    middle = np.sort(cloud.log_scales, axis=1)[:, 1]
    offset = np.zeros((SPLATS, 3), np.float32)
    offset[:, 1] = 0.25 * np.exp(middle)
    changed = replace(
        cloud,
        positions=cloud.positions + offset,
        log_scales=cloud.log_scales + np.float32(0.125),
        sh_dc=cloud.sh_dc - np.float32(0.1),
        sh_rest=cloud.sh_rest + np.float32(0.5),
    )
    found = attribute_errors(cloud, changed)["attributes"]
    assert found["position"]["rms"] == pytest.approx(0.25, rel=1e-3)
    assert found["log_scale_short"]["p99"] == pytest.approx(0.125, rel=1e-4)
    assert found["dc_colour"]["max"] == pytest.approx(0.1 * SH_C0, rel=1e-4)
    assert found["sh_ac"]["weighted_rms"] == pytest.approx(0.5 * SH_C0, rel=1e-4)
    assert found["opacity"]["max"] == 0.0


def test_dropped_coefficients_count_in_full() -> None:
    full = random_cloud(50, 1, seed=1)
    bare = replace(full, sh_rest=np.empty((50, 0, 3), np.float32))
    for errors in (attribute_errors(full, bare), attribute_errors(bare, full)):
        assert errors["attributes"]["sh_ac"]["max"] == pytest.approx(np.abs(full.sh_rest).max() * SH_C0)


def test_an_attribute_of_no_splat_has_no_numbers() -> None:
    cloud = random_cloud(20, 0, seed=1)
    round_cloud = replace(cloud, log_scales=np.full((20, 3), -3.0, np.float32))
    errors = attribute_errors(round_cloud, round_cloud)
    assert errors["attributes"]["long_axis"]["rms"] is None
    assert errors["attributes"]["sh_ac"]["max"] is None
    assert "-" in as_text(errors)


@pytest.mark.parametrize("which", [0, 1])
def test_an_empty_cloud_cannot_be_compared(cloud: GaussianCloud, which: int) -> None:
    pair = [cloud, cloud]
    pair[which] = empty_cloud(0, 1)
    with pytest.raises(BadInputError, match="nothing to compare"):
        attribute_errors(*pair)


def test_command_line(cloud: GaussianCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "cloud.ply")
    write_ply(path, cloud)
    assert main([path, path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decoded_splats"] == SPLATS
    assert main([path, path]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[0] == "attribute"
    assert main([path, str(tmp_path / "none.ply")]) == BadInputError.exit_code
