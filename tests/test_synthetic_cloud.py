"""The synthetic scene: the same bytes from the same seed, and statistics like those of trained scenes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from gscodec_tools.synthetic_cloud import main, synthetic_cameras, synthetic_cloud, write_synthetic
from gscodec_tools.synthetic_shading import sh_matrix
from gscodec_tools.synthetic_surfaces import Noise, Surface, sample_surface, sphere

from gscodec.cloud import ATTRIBUTES, GaussianCloud
from gscodec.errors import BadInputError, OutputError
from gscodec.formats.ply import read_ply
from gscodec.render.cpu import render
from gscodec.scene import load_cameras
from gscodec.transform.harmonics import fibonacci_directions

SPLATS = 12_000


@pytest.fixture(scope="module")
def cloud() -> GaussianCloud:
    return synthetic_cloud(SPLATS)


def _hashes(folder: Path) -> list[str]:
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("point_cloud.ply", "cameras.json")]


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "a", 4000, seed=3)
    write_synthetic(tmp_path / "b", 4000, seed=3)
    write_synthetic(tmp_path / "c", 4000, seed=4)
    assert _hashes(tmp_path / "a") == _hashes(tmp_path / "b")
    assert _hashes(tmp_path / "a")[0] != _hashes(tmp_path / "c")[0]


def test_file_holds_the_cloud(tmp_path: Path, cloud: GaussianCloud) -> None:
    ply, _ = write_synthetic(tmp_path, SPLATS)
    again = read_ply(ply)
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(getattr(again, name), getattr(cloud, name))
    assert again.meta.comments == cloud.meta.comments


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_count_and_degree(degree: int) -> None:
    cloud = synthetic_cloud(2000, sh_degree=degree)
    assert len(cloud) == 2000
    assert cloud.sh_degree == degree
    assert all(np.isfinite(getattr(cloud, name)).all() for name in ATTRIBUTES)


def test_scales_and_opacity_like_trained(cloud: GaussianCloud) -> None:
    logs = np.sort(cloud.log_scales, axis=1)[:, ::-1]
    long_to_middle, middle_to_short = np.median(logs[:, 0] - logs[:, 1]), np.median(logs[:, 1] - logs[:, 2])
    assert 0.7 < long_to_middle < 1.6
    assert 0.6 < middle_to_short < 1.3
    assert np.percentile(logs[:, 0], 99) - np.percentile(logs[:, 0], 1) > 3.0
    opacity = 1.0 / (1.0 + np.exp(-cloud.opacity_logits))
    shares = np.histogram(opacity, 10, (0.0, 1.0))[0] / len(cloud)
    assert 0.2 < shares[0] < 0.45
    assert 0.1 < shares[9] < 0.3
    assert shares[3:8].max() < 0.08
    assert cloud.opacity_logits.min() >= np.float32(-5.4)


def test_quaternions_not_normalised(cloud: GaussianCloud) -> None:
    norms = np.linalg.norm(cloud.quats_wxyz, axis=1)
    assert 0.699 < norms.min() < 0.72
    assert 1.15 < norms.max() < 1.501
    assert 0.78 < np.median(norms) < 0.9


def test_colour_like_trained(cloud: GaussianCloud) -> None:
    assert np.percentile(cloud.sh_dc, 1) < -1.6
    assert np.percentile(cloud.sh_dc, 99) > 1.2
    spreads = []
    for first, last in ((0, 3), (3, 8), (8, 15)):
        band = cloud.sh_rest[:, first:last].astype(np.float64)
        spreads.append(band.std())
        kurtosis = ((band - band.mean()) ** 4).mean() / band.var() ** 2 - 3.0
        assert 1.5 < kurtosis < 10.0
        channels = np.corrcoef(band.transpose(2, 0, 1).reshape(3, -1))
        assert 0.7 < channels[0, 1] < 0.99
    assert 0.02 < spreads[2] < spreads[1] < spreads[0] < 0.08
    size = np.sqrt((cloud.sh_rest.astype(np.float64) ** 2).mean(axis=(1, 2)))
    assert 0.04 < (size < 0.002).mean() < 0.15


def test_cameras(tmp_path: Path) -> None:
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps(synthetic_cameras()), encoding="utf-8")
    cameras = load_cameras(path)
    assert [camera.name for camera in cameras] == sorted(camera.name for camera in cameras)
    assert [index for index, camera in enumerate(cameras) if camera.split == "test"] == [0, 8]
    for camera in cameras:
        rotation = camera.world_to_camera[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) > 0.0
        assert rotation[1, 1] > 0.8  # upright: both the camera's y and the file's y point down


def test_views_are_covered(tmp_path: Path, cloud: GaussianCloud) -> None:
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps(synthetic_cameras()), encoding="utf-8")
    for camera in load_cameras(path, "test"):
        dark, bright = render(cloud, camera, (0.0, 0.0, 0.0)), render(cloud, camera, (1.0, 1.0, 1.0))
        assert np.median(bright - dark) < 0.02
        assert (bright - dark).mean() < 0.1
        assert 0.2 < dark.mean() < 0.6
        assert dark.std() > 0.12


def test_sh_basis_is_orthonormal() -> None:
    basis = sh_matrix(fibonacci_directions(4096), 3)
    np.testing.assert_allclose(4.0 * np.pi / 4096 * basis.T @ basis, np.eye(16), atol=2e-3)


def test_samples_lie_on_the_surface_and_normals_point_out() -> None:
    rng = np.random.default_rng(1)
    noise = Noise(rng)
    ball = Surface(sphere((0.0, 0.0, 0.0), 1.0), lambda p: np.repeat(noise(p, 2.0)[:, None], 3, axis=1), 1.0)
    first, second = sample_surface(ball, (500, 300), rng)
    assert (len(first.positions), len(second.positions)) == (500, 300)
    outward = np.einsum("ij,ij->i", first.normals, first.positions)
    np.testing.assert_allclose(outward, 1.0, atol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"splats": 100}, "splats"), ({"seed": -1}, "seed"), ({"sh_degree": 4}, "sh_degree")],
)
def test_bad_arguments(arguments: dict[str, int], field: str) -> None:
    with pytest.raises(BadInputError) as caught:
        synthetic_cloud(**arguments)
    assert caught.value.field == field


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "out"), "--splats", "2000", "--sh-degree", "0"]) == 0
    assert "point_cloud.ply" in capsys.readouterr().out
    assert len(read_ply(tmp_path / "out" / "point_cloud.ply")) == 2000
    assert main([str(tmp_path / "out"), "--splats", "1"]) == BadInputError.exit_code
    assert "field splats" in capsys.readouterr().err
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    assert main([str(tmp_path / "taken"), "--splats", "2000"]) == OutputError.exit_code
