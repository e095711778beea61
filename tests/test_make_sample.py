"""The sample's capture: the same bytes from the same seed, readable, with points where the photos show them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from clouds import random_cloud
from gscodec_tools.make_sample import main, pack
from gscodec_tools.quality import photo_quality
from gscodec_tools.raytrace.capture import write_capture

from gscodec.config import EncodeConfig
from gscodec.decoder import decode
from gscodec.encoder import encode
from gscodec.errors import BadInputError, OutputError
from gscodec.scene import Camera, load_capture, load_photo

pytest.importorskip("PIL")

SIZE = (120, 80)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(tmp_path_factory.mktemp("capture"), "table", seed=3, views=40, size=SIZE)


def test_load_capture_reads_it(folder: Path) -> None:
    capture = load_capture(folder)
    assert len(capture.views()) == 40
    assert [camera.name for camera in capture.views("test")] == [f"view_{view:03d}.jpg" for view in range(0, 40, 8)]
    for camera in capture.views():
        assert (camera.width, camera.height) == SIZE
        rotation = camera.world_to_camera[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert rotation[1, 1] > 0.7  # upright: both the camera's y and the file's y point down
        picture = load_photo(camera, folder)
        assert 0.2 < picture.mean() < 0.7
        assert picture.std() > 0.08


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        made = write_capture(tmp_path / name, "table", seed, views=4, size=(48, 32))
        files = sorted(path.relative_to(made) for path in made.rglob("*.*"))
        assert len(files) == 6
        digests.append({str(path): hashlib.sha256((made / path).read_bytes()).hexdigest() for path in files})
    assert digests[0] == digests[1]
    assert all(digests[0][name] != digests[2][name] for name in digests[0])


def test_points_lie_where_photos_show_their_colour(folder: Path) -> None:
    arrays = np.load(folder / "sparse.npz")
    xyz, rgb = arrays["xyz"], arrays["rgb"] / 255.0
    assert arrays["xyz"].dtype == np.float32
    assert arrays["rgb"].dtype == np.uint8
    assert 2000 < len(xyz) <= 6000
    shown = np.zeros(len(xyz), np.int64)
    for camera in load_capture(folder).views():
        shown += _shows(camera, load_photo(camera, folder), xyz, rgb)
    assert shown.min() >= 2


def _shows(camera: Camera, picture: np.ndarray, xyz: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Whether a pixel next to where each point falls has about its colour: photos are coded, points have noise."""
    local = xyz @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    depth = np.maximum(local[:, 2], 1e-6)
    column = np.floor(camera.fx * local[:, 0] / depth + camera.cx).astype(int)
    row = np.floor(camera.fy * local[:, 1] / depth + camera.cy).astype(int)
    inside = (local[:, 2] > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    best = np.full(len(xyz), np.inf)
    for right in (-1, 0, 1):
        for down in (-1, 0, 1):
            r, c = np.clip(row + down, 0, camera.height - 1), np.clip(column + right, 0, camera.width - 1)
            best = np.minimum(best, np.abs(picture[r, c] - rgb).max(axis=1))
    return inside & (best < 0.12)


def test_the_packed_file_is_the_largest_that_fits() -> None:
    cloud = random_cloud(400, 3, 1)
    sizes = {quality: len(encode(cloud, EncodeConfig(quality=quality))) for quality in (60, 61)}
    data, quality = pack(cloud, sizes[61])
    assert (len(data), quality) == (sizes[60], 60)
    with pytest.raises(BadInputError) as caught:
        pack(cloud, 100)
    assert caught.value.field == "limit"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"size": (8, 8)}, "size"), ({"jpeg": 99}, "jpeg"), ({"seed": -1}, "seed"), ({"kind": "cave"}, "kind")],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, object], field: str) -> None:
    with pytest.raises(BadInputError) as caught:
        write_capture(tmp_path, **arguments)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--kind", "table", "--views", "3", "--size", "32x24", "--photos-only"]
    assert main(["-o", str(tmp_path / "out"), *options]) == 0
    assert "3 photos" in capsys.readouterr().out
    assert not (tmp_path / "out" / "point_cloud.ply").exists()
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    assert main(["-o", str(tmp_path / "taken"), *options]) == OutputError.exit_code
    with pytest.raises(SystemExit):
        main(["-o", str(tmp_path / "out"), "--size", "wide"])


def test_the_sample_in_the_repository() -> None:
    sample = Path(__file__).parents[1] / "sample"
    data = (sample / "sample.gsb").read_bytes()
    assert len(data) < 2 << 20
    assert sum(path.stat().st_size for path in (sample / "images").iterdir()) < 1_500_000
    cloud = decode(data)
    assert (len(cloud), cloud.sh_degree) == (60_000, 3)
    capture = load_capture(sample)
    assert [len(capture.views(split)) for split in ("train", "test")] == [35, 5]
    assert photo_quality(cloud, capture.views("test"), sample).psnr == pytest.approx(25.826, abs=0.01)
