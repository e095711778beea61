"""The measuring rasteriser against a slow one in plain numpy, and the PSNR tools on top of it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gscodec_tools.metrics import psnr_float
from gscodec_tools.quality import Reference, main, photo_quality
from slow_renderer import HEIGHT, WIDTH, camera, random_cloud, slow_render, splats, with_each_thread_count

from gscodec.cloud import CloudMeta, GaussianCloud
from gscodec.errors import BadInputError
from gscodec.formats.ply import write_ply
from gscodec.render.cpu import render
from gscodec.scene import load_cameras


@pytest.mark.parametrize("degree", range(5))
def test_equals_slow_render_at_every_degree(degree):
    cloud = random_cloud(degree)
    expected = slow_render(splats(cloud), camera(), (0.2, 0.4, 0.6)).image
    image = render(cloud, camera(), (0.2, 0.4, 0.6), centre_limit=math.inf)
    assert image.dtype == np.float32
    assert image.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(image, expected, atol=2e-5)


@pytest.mark.parametrize("seed", range(2, 6))
def test_equals_slow_render_antialiased_dense_and_off_centre(seed):
    # A width and a height that are no multiple of the tile, and many closed pixels.
    view = camera(width=51, height=37, cx=22.3, cy=20.1)
    cloud = random_cloud(1, count=400, seed=seed, render_mode="antialiased")
    image = render(cloud, view)
    np.testing.assert_allclose(image, slow_render(splats(cloud), view, centre_limit=1.5).image, atol=2e-5)
    assert np.abs(image - render(replace(cloud, meta=CloudMeta()), view)).max() > 0.01


def one_splat(position, opacity_logit=0.0):
    def row(*values):
        return np.array([values], np.float32)

    logits = np.array([opacity_logit], np.float32)
    return GaussianCloud(
        row(*position), row(-30, -30, -30), row(2, 0, 0, 0), logits, row(0, 0, 0), np.zeros((1, 0, 3), np.float32)
    )


def test_point_splat_has_its_analytic_value():
    # A point: only the dilation of 0.3 px is left, and DC 0 is the colour 0.5.
    view = camera(world_to_camera=np.eye(4))
    image = render(one_splat([0.5 / 40 * 2, 0.5 / 42 * 2, 2.0]), view)
    np.testing.assert_allclose(image[16, 24], 0.25, rtol=1e-6)
    np.testing.assert_allclose(image[16, 25], 0.25 * math.exp(-0.5 / 0.3), rtol=1e-5)
    np.testing.assert_allclose(image[17, 25], 0.25 * math.exp(-1.0 / 0.3), rtol=1e-5)
    assert np.count_nonzero(image[..., 0]) == 9


def test_opacity_is_capped():
    view = camera(world_to_camera=np.eye(4))
    image = render(one_splat([0.5 / 40 * 2, 0.5 / 42 * 2, 2.0], 20.0), view, (1, 1, 1))
    np.testing.assert_allclose(image[16, 24], 0.99 * 0.5 + 0.01, rtol=1e-6)


@pytest.mark.parametrize("position", [(0, 0, 0.2), (0, 0, -1), (np.nan, 0, 2), (1e30, 0, 2), (2.0, 0, 2)])
def test_splats_outside_leave_the_background(position):
    image = render(one_splat(position), camera(world_to_camera=np.eye(4)), (0.1, 0.2, 0.3))
    assert (image == np.array([0.1, 0.2, 0.3], np.float32)).all()


def test_empty_cloud_is_background():
    cloud = random_cloud(2).select(np.zeros(0, np.int64))
    assert (render(cloud, camera(), (1, 0, 1)) == np.array([1, 0, 1], np.float32)).all()


def test_same_bits_for_any_number_of_threads():
    cloud = random_cloud(3, count=500)
    images = with_each_thread_count(lambda: render(cloud, camera()).tobytes())
    assert len(set(images)) == 1
    assert render(cloud, camera()).tobytes() == images[0]


def test_bad_background_is_refused():
    with pytest.raises(BadInputError, match="background"):
        render(random_cloud(0), camera(), (0, 0))


def test_quality_is_that_of_the_views_and_their_mean():
    source = random_cloud(1)
    decoded = replace(source, sh_dc=source.sh_dc + np.float32(0.01))
    views = [camera(), camera(fx=50.0)]
    quality = Reference(source, views).quality(decoded)
    values = [psnr_float(render(source, view), render(decoded, view)) for view in views]
    assert [view.psnr for view in quality.views] == values
    assert quality.psnr == pytest.approx(sum(values) / 2)
    assert 0.5 < quality.ssim < 1.0
    with pytest.raises(BadInputError, match="no camera"):
        Reference(source, [])


def write_cameras(path: Path, **changes):
    view = camera()
    entry = {name: getattr(view, name) for name in ("name", "image", "width", "height", "fx", "fy", "cx", "cy")}
    entry |= {"world_to_camera": view.world_to_camera.tolist(), "split": "test"} | changes
    path.write_text(json.dumps([entry, entry | {"name": "b.png", "split": "train"}]))
    return path


def test_cameras_are_read_by_split(tmp_path):
    path = write_cameras(tmp_path / "cameras.json")
    assert [view.name for view in load_cameras(path)] == ["a.png", "b.png"]
    (view,) = load_cameras(path, "test")
    assert (view.world_to_camera == camera().world_to_camera).all()
    np.testing.assert_allclose(view.world_to_camera @ [*view.centre, 1], [0, 0, 0, 1], atol=1e-12)
    with pytest.raises(BadInputError, match="split"):
        load_cameras(path, "validation")


@pytest.mark.parametrize(
    "changes",
    [{"width": 0}, {"fx": "wide"}, {"fy": -1.0}, {"cx": None}, {"cy": math.nan}, {"world_to_camera": [[1, 2], [3, 4]]}],
)
def test_bad_cameras_are_refused(tmp_path, changes):
    with pytest.raises(BadInputError):
        load_cameras(write_cameras(tmp_path / "cameras.json", **changes))


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"name": "a"}]'])
def test_bad_camera_files_are_refused(tmp_path, text):
    path = tmp_path / "cameras.json"
    path.write_text(text)
    with pytest.raises(BadInputError):
        load_cameras(path)
    with pytest.raises(BadInputError):
        load_cameras(tmp_path / "absent.json")


def test_command_line_prints_every_mean(tmp_path, capsys):
    pillow = pytest.importorskip("PIL.Image", reason="photos are read by pillow")
    source = random_cloud(1)
    decoded = replace(source, sh_dc=source.sh_dc + np.float32(0.1))
    write_ply(tmp_path / "source.ply", source)
    write_ply(tmp_path / "decoded.ply", decoded)
    cameras = write_cameras(tmp_path / "cameras.json")
    photo = np.rint(np.clip(render(source, camera()), 0, 1) * 255).astype(np.uint8)
    pillow.fromarray(photo).save(tmp_path / "a.png")
    files = [str(tmp_path / "source.ply"), str(tmp_path / "decoded.ply"), str(cameras), "--photos", str(tmp_path)]
    assert main([*files, "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    quality = Reference(source, [camera()]).quality(decoded)
    mean = quality.psnr
    values = {"psnr": mean, "psnr_8bit": quality.mean("psnr_8bit"), "ssim": quality.ssim}
    assert results["source_renders"] == {f"mean_{key}": value for key, value in values.items()} | {
        "per_view": {"a.png": values}
    }
    photos = results["photos_source"]
    assert photos["mean_psnr"] == photo_quality(source, [camera()], tmp_path).psnr > 50
    assert photos["mean_psnr_8bit"] is None  # the photo is the render, rounded
    assert main(files) == 0
    assert f"{mean:.3f} dB" in capsys.readouterr().out
    assert main([files[0], str(tmp_path / "absent.ply"), files[2]]) == BadInputError.exit_code
    assert "error" in capsys.readouterr().err


def test_photo_of_another_size_is_refused(tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="photos are read by pillow")
    pillow.fromarray(np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(BadInputError, match="another size"):
        photo_quality(random_cloud(0), [camera()], tmp_path)
    with pytest.raises(BadInputError, match="cannot read photo"):
        photo_quality(random_cloud(0), [camera()], tmp_path / "absent")
