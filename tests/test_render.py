"""The measuring rasteriser against a slow one in plain numpy, and the PSNR tools on top of it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
from gscodec_tools.cameras import Camera, load_cameras
from gscodec_tools.quality import Reference, main, photo_psnr, psnr, source_psnr
from gscodec_tools.render import render

from gscodec.cloud import SH_REST_COUNTS, CloudMeta, GaussianCloud
from gscodec.errors import BadInputError
from gscodec.formats.ply import write_ply

WIDTH, HEIGHT = 48, 32


def camera(**changes):
    angle = 0.3
    turn = np.eye(4)
    turn[:3, :3] = [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]]
    turn[:3, 3] = [0.1, -0.2, 4.0]
    view = Camera("a.png", "images/a.png", WIDTH, HEIGHT, 40.0, 42.0, 24.0, 16.0, turn, "test")
    return replace(view, **changes)


def random_cloud(degree, count=60, seed=1, render_mode="classic"):
    rng = np.random.default_rng(seed)

    def normal(*shape, scale=1.0, mean=0.0):
        return rng.normal(mean, scale, (count, *shape)).astype(np.float32)

    return GaussianCloud(
        positions=normal(3, scale=1.5),
        log_scales=normal(3, scale=0.7, mean=-1.5),
        quats_wxyz=normal(4),
        opacity_logits=normal(scale=2.0, mean=1.0),
        sh_dc=normal(3),
        sh_rest=normal(SH_REST_COUNTS[degree], 3, scale=0.2),
        meta=CloudMeta(render_mode=render_mode),
    )


def harmonics(direction, degree):
    """Real spherical harmonics from associated Legendre polynomials, with the Condon-Shortley phase."""
    x, y, z = direction
    phi = math.atan2(y, x)
    values = []
    for band in range(degree + 1):
        for order in range(-band, band + 1):
            m = abs(order)
            legendre = np.polynomial.Legendre.basis(band).convert(kind=np.polynomial.Polynomial).deriv(m)(z)
            legendre *= (-1) ** m * (1 - z * z) ** (m / 2)
            scale = math.sqrt((2 * band + 1) / (4 * math.pi) * math.factorial(band - m) / math.factorial(band + m))
            turn = 1.0 if order == 0 else math.sqrt(2) * (math.sin(m * phi) if order < 0 else math.cos(m * phi))
            values.append(scale * legendre * turn)
    return np.array(values)


def rotation(quaternion):
    w, v = quaternion[0], quaternion[1:]
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def slow_render(cloud, view, background=(0, 0, 0), centre_limit=math.inf):
    """The published rules, splat by splat over the whole image, in float64."""
    world = view.world_to_camera[:3, :3]
    points = cloud.positions.astype(np.float64) @ world.T + view.world_to_camera[:3, 3]
    half = np.array([view.width / 2 / view.fx, view.height / 2 / view.fy])
    pixel_x, pixel_y = np.arange(view.width) + 0.5, np.arange(view.height)[:, None] + 0.5
    image = np.zeros((view.height, view.width, 3))
    passed = np.ones((view.height, view.width))
    is_open = np.ones((view.height, view.width), bool)
    for i in np.argsort(points[:, 2].astype(np.float32), kind="stable"):
        z = points[i, 2]
        slope = points[i, :2] / z
        if z <= 0.2 or (abs(slope) > centre_limit * half).any():
            continue
        u, v = np.clip(slope, -1.3 * half, 1.3 * half)
        jacobian = np.array([[view.fx / z, 0, -view.fx * u / z], [0, view.fy / z, -view.fy * v / z]])
        quaternion = cloud.quats_wxyz[i].astype(np.float64)
        axes = rotation(quaternion / np.linalg.norm(quaternion)) * np.exp(cloud.log_scales[i].astype(np.float64))
        footprint = jacobian @ world @ axes
        covariance = footprint @ footprint.T
        dilated = covariance + 0.3 * np.eye(2)
        opacity = 1 / (1 + math.exp(-cloud.opacity_logits[i]))
        if cloud.meta.render_mode == "antialiased":
            opacity *= math.sqrt(max(0, np.linalg.det(covariance) / np.linalg.det(dilated)))
        dx = pixel_x - (view.fx * slope[0] + view.cx)
        dy = pixel_y - (view.fy * slope[1] + view.cy)
        conic = np.linalg.inv(dilated)
        power = -0.5 * (conic[0, 0] * dx**2 + conic[1, 1] * dy**2) - conic[0, 1] * dx * dy
        alpha = np.minimum(0.99, opacity * np.exp(power))
        alpha[(alpha < 1 / 255) | ~is_open] = 0
        closes = passed * (1 - alpha) < 1e-4
        is_open &= ~closes
        alpha[closes] = 0
        direction = cloud.positions[i] - view.centre
        basis = harmonics(direction / np.linalg.norm(direction), cloud.sh_degree)
        coefficients = np.concatenate([cloud.sh_dc[i][None], cloud.sh_rest[i]]).astype(np.float64)
        colour = np.maximum(basis @ coefficients + 0.5, 0)
        image += (passed * alpha)[..., None] * colour
        passed *= 1 - alpha
    return image + passed[..., None] * np.array(background)


@pytest.mark.parametrize("degree", range(5))
def test_equals_slow_render_at_every_degree(degree):
    cloud = random_cloud(degree)
    expected = slow_render(cloud, camera(), (0.2, 0.4, 0.6))
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
    np.testing.assert_allclose(image, slow_render(cloud, view, centre_limit=1.5), atol=2e-5)
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
    threads = numba.get_num_threads()
    images = []
    try:
        for count in range(1, threads + 1):
            numba.set_num_threads(count)
            images.append(render(cloud, camera()).tobytes())
    finally:
        numba.set_num_threads(threads)
    assert len(set(images)) == 1
    assert render(cloud, camera()).tobytes() == images[0]


def test_bad_background_is_refused():
    with pytest.raises(BadInputError, match="background"):
        render(random_cloud(0), camera(), (0, 0))


def test_psnr_clamps_both_images():
    a = np.full((4, 5, 3), 1.5, np.float32)
    b = np.full((4, 5, 3), 0.9, np.float32)
    assert psnr(a, b) == pytest.approx(20.0, abs=1e-5)
    assert psnr(a, np.ones_like(a)) == math.inf
    with pytest.raises(BadInputError, match="different shape"):
        psnr(a, b[1:])


def test_reference_agrees_with_source_psnr():
    source = random_cloud(1)
    decoded = replace(source, sh_dc=source.sh_dc + np.float32(0.01))
    views = [camera(), camera(fx=50.0)]
    mean, values = source_psnr(source, decoded, views)
    assert values == [psnr(render(source, view), render(decoded, view)) for view in views]
    assert mean == pytest.approx(sum(values) / 2)
    assert Reference(source, views).psnr(decoded) == mean
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
    mean, _ = source_psnr(source, decoded, [camera()])
    assert results["source_renders"] == {"mean_psnr": mean, "per_view": {"a.png": mean}}
    assert results["photos_source"]["mean_psnr"] == photo_psnr(source, [camera()], tmp_path)[0] > 50
    assert main(files) == 0
    assert f"{mean:.3f} dB" in capsys.readouterr().out
    assert main([files[0], str(tmp_path / "absent.ply"), files[2]]) == BadInputError.exit_code
    assert "error" in capsys.readouterr().err


def test_photo_of_another_size_is_refused(tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="photos are read by pillow")
    pillow.fromarray(np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(BadInputError, match="another size"):
        photo_psnr(random_cloud(0), [camera()], tmp_path)
    with pytest.raises(BadInputError, match="cannot read photo"):
        photo_psnr(random_cloud(0), [camera()], tmp_path / "absent")
