"""Captures: the same cameras through every format, and malformed files."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clouds import shared_files

from gscodec.errors import BadInputError
from gscodec.scene import Camera, load_capture, load_photo
from gscodec.scene.capture import downscaled
from gscodec.scene.nerfstudio import TO_OPENCV

COUNT, WIDTH, HEIGHT = 10, 64, 48
XYZ = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -4.0]], np.float32)
RGB = np.array([[1, 2, 3], [255, 0, 128]], np.uint8)


def quaternion(index):
    quat = np.array([1.0, 0.2 * index, -0.1, 0.05 * index])
    return quat / np.linalg.norm(quat)


def rotation(quat):
    w, (x, y, z) = quat[0], quat[1:]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def make_cameras():
    cameras = []
    for index in range(COUNT):
        pose = np.eye(4)
        pose[:3, :3] = rotation(quaternion(index))
        pose[:3, 3] = index, -0.5, 4.0
        name = f"images/{index:03d}.png"
        split = "train" if index % 8 else "test"
        cameras.append(Camera(name, name, WIDTH, HEIGHT, 50.0, 52.0, WIDTH / 2, HEIGHT / 2, pose, split))
    return cameras


def write_scene(folder, cameras):
    entries = [{**vars(camera), "world_to_camera": camera.world_to_camera.tolist()} for camera in cameras]
    return write_json(folder / "cameras.json", entries)


def write_inria(folder, cameras):
    return write_json(folder / "cameras.json", [inria_entry(camera) for camera in cameras])


def inria_entry(camera):
    return {
        "id": 0,
        "img_name": Path(camera.image).stem,
        "width": camera.width,
        "height": camera.height,
        "position": camera.centre.tolist(),
        "rotation": camera.world_to_camera[:3, :3].T.tolist(),
        "fx": camera.fx,
        "fy": camera.fy,
    }


def write_nerfstudio(folder, cameras):
    return write_json(folder / "transforms.json", nerfstudio_tree(cameras))


def nerfstudio_tree(cameras):
    first = cameras[0]
    shared = {"w": first.width, "h": first.height, "fl_x": first.fx, "fl_y": 1.0, "camera_model": "OPENCV", "k1": 0.0}
    return {**shared, "frames": [{**frame(camera), "fl_y": camera.fy} for camera in cameras]}


def frame(camera):
    pose = np.linalg.inv(camera.world_to_camera) @ TO_OPENCV
    return {"file_path": f"./{camera.image}", "transform_matrix": pose.tolist()}


def write_colmap_text(folder, cameras, model="PINHOLE", params="50 52 32 24"):
    sparse = folder / "sparse"
    sparse.mkdir(exist_ok=True)
    (sparse / "cameras.txt").write_text(f"# a comment\n1 {model} {WIDTH} {HEIGHT} {params}\n")
    rows = []
    for index, camera in enumerate(cameras):
        pose = [*quaternion(index), *camera.world_to_camera[:3, 3]]
        name = Path(camera.image).name
        observations = "1.5 2.5 -1" if index % 2 else ""
        rows.append(f"{index} {' '.join(repr(float(value)) for value in pose)} 1 {name}\n{observations}\n")
    (sparse / "images.txt").write_text("# a comment\n" + "".join(rows))
    points = [
        f"{i} {x} {y} {z} {r} {g} {b} 0.5 1 2\n" for i, ((x, y, z), (r, g, b)) in enumerate(zip(XYZ, RGB, strict=True))
    ]
    (sparse / "points3D.txt").write_text("".join(points))
    return sparse


def write_colmap_binary(folder, cameras, model=1, params=(50.0, 52.0, 32.0, 24.0)):
    sparse = folder / "sparse" / "0"
    sparse.mkdir(parents=True, exist_ok=True)
    lens = struct.pack("<QIiQQ", 1, 1, model, WIDTH, HEIGHT) + struct.pack(f"<{len(params)}d", *params)
    (sparse / "cameras.bin").write_bytes(lens)
    rows = [struct.pack("<Q", len(cameras))]
    for index, camera in enumerate(cameras):
        rows.append(struct.pack("<I7dI", index, *quaternion(index), *camera.world_to_camera[:3, 3], 1))
        rows.append(Path(camera.image).name.encode() + b"\0" + struct.pack("<QddQ", 1, 1.5, 2.5, 0))
    (sparse / "images.bin").write_bytes(b"".join(rows))
    points = [
        struct.pack("<Q3d3BdQII", i, *xyz, *rgb, 0.5, 1, 2, 3)
        for i, (xyz, rgb) in enumerate(zip(XYZ, RGB, strict=True))
    ]
    (sparse / "points3D.bin").write_bytes(struct.pack("<Q", len(XYZ)) + b"".join(points))
    return sparse


def write_json(path, tree):
    path.write_text(json.dumps(tree))
    return path


WRITERS = {
    "scene": write_scene,
    "inria": write_inria,
    "nerfstudio": write_nerfstudio,
    "colmap text": write_colmap_text,
    "colmap binary": write_colmap_binary,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_cameras(tmp_path, name):
    expected = make_cameras()
    written = WRITERS[name](tmp_path, expected if name.startswith("colmap") else expected[::-1])
    for path in (tmp_path, written):
        capture = load_capture(path)
        assert capture.source == name.split()[0]
        found = sorted(capture.cameras, key=lambda camera: camera.name)
        assert [Path(camera.name).stem for camera in found] == [Path(camera.name).stem for camera in expected]
        assert [camera.split for camera in found] == [camera.split for camera in expected]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one.world_to_camera, other.world_to_camera, atol=1e-6)
            for field in ("width", "height", "fx", "fy", "cx", "cy"):
                assert getattr(one, field) == pytest.approx(getattr(other, field), abs=1e-6)
    assert len(capture.views("test")) == 2
    with pytest.raises(BadInputError, match="no such camera"):
        capture.views("val")


@pytest.mark.parametrize("write", [write_colmap_text, write_colmap_binary])
def test_colmap_points(tmp_path, write):
    write(tmp_path, make_cameras())
    points = load_capture(tmp_path).points
    np.testing.assert_array_equal(points.xyz, XYZ)
    np.testing.assert_array_equal(points.rgb, RGB)
    assert (points.xyz.dtype, points.rgb.dtype) == (np.float32, np.uint8)


def test_simple_pinhole(tmp_path):
    write_colmap_binary(tmp_path, make_cameras(), 0, (40.0, 30.0, 20.0))
    camera = load_capture(tmp_path).cameras[0]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (40.0, 40.0, 30.0, 20.0)


def test_distortion_is_refused_with_the_way_out(tmp_path):
    write_colmap_binary(tmp_path, make_cameras(), 4, (1.0,) * 8)
    with pytest.raises(BadInputError, match=r"colmap image_undistorter.*OPENCV"):
        load_capture(tmp_path)
    write_colmap_text(tmp_path / "sparse", make_cameras(), "SIMPLE_RADIAL", "50 32 24 0.1")
    with pytest.raises(BadInputError, match=r"colmap image_undistorter.*SIMPLE_RADIAL"):
        load_capture(tmp_path / "sparse" / "sparse")
    for change in ({"k1": 0.1}, {"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}):
        path = write_json(tmp_path / "transforms.json", nerfstudio_tree(make_cameras()) | change)
        with pytest.raises(BadInputError, match="colmap image_undistorter"):
            load_capture(path)


@pytest.mark.parametrize("file", ["cameras.bin", "images.bin", "points3D.bin"])
def test_every_truncation_of_colmap_is_refused(tmp_path, file):
    path = write_colmap_binary(tmp_path, make_cameras()[:2]) / file
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(BadInputError):
            load_capture(tmp_path)
    for damaged in (data + b"\0", b"\xff" * 8 + data[8:]):
        path.write_bytes(damaged)
        with pytest.raises(BadInputError):
            load_capture(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("cameras.txt", "50 52", "0 52"),
        ("cameras.txt", "50 52", "nan 52"),
        ("cameras.txt", "PINHOLE", "CAMERA"),
        ("cameras.txt", "64 48", "64.5 48"),
        ("cameras.txt", "50 52 32 24", "50 52 32"),
        ("images.txt", "000.png", ""),
        ("images.txt", "001.png", "000.png"),
        ("images.txt", "1 001.png", "7 001.png"),
        ("images.txt", " -0.5 ", " nan "),
        ("images.txt", "0 0.99", "0 9.99"),
        ("points3D.txt", "255", "256"),
        ("points3D.txt", "-4.0", "inf"),
        ("points3D.txt", "0.25", "x"),
    ],
)
def test_bad_colmap_text_is_refused(tmp_path, file, old, new):
    path = write_colmap_text(tmp_path, make_cameras()) / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(BadInputError):
        load_capture(tmp_path)


def bad_rotations():
    skewed, mirrored = np.eye(3) + 0.01, np.diag([1.0, 1.0, -1.0])
    return [skewed, mirrored, np.full((3, 3), np.nan), np.zeros((3, 3)), np.eye(2), np.full((3, 3), 1e200)]


@pytest.mark.parametrize("matrix", bad_rotations(), ids=["skewed", "mirrored", "nan", "zero", "small", "huge"])
def test_bad_rotations_are_refused(tmp_path, matrix):
    entry = inria_entry(make_cameras()[0]) | {"rotation": matrix.tolist()}
    with pytest.raises(BadInputError):
        load_capture(write_json(tmp_path / "cameras.json", [entry]))
    tree = nerfstudio_tree(make_cameras())
    pose = np.eye(4)[: len(matrix) + 1, : len(matrix) + 1]
    pose[: len(matrix), : len(matrix)] = matrix
    tree["frames"][3]["transform_matrix"] = pose.tolist()
    with pytest.raises(BadInputError):
        load_capture(write_json(tmp_path / "transforms.json", tree))


@pytest.mark.parametrize(
    "change",
    [
        {"fx": 0},
        {"fx": "50"},
        {"fy": True},
        {"width": 10**400},
        {"width": 1.5},
        {"height": -1},
        {"img_name": ""},
        {"position": [1, 2]},
        {"position": [1, 2, "x"]},
        {"position": None},
    ],
    ids=str,
)
def test_bad_inria_cameras_are_refused(tmp_path, change):
    entry = inria_entry(make_cameras()[0]) | change
    with pytest.raises(BadInputError):
        load_capture(write_json(tmp_path / "cameras.json", [entry]))


def test_duplicate_names_are_refused(tmp_path):
    camera = make_cameras()[0]
    for write in (write_scene, write_inria, write_nerfstudio):
        with pytest.raises(BadInputError, match="duplicate"):
            load_capture(write(tmp_path, [camera, camera]))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[1]", '[{"a": 1}]', '{"frames": 3}', '{"frames": [[]]}', "[" * 99999]
)
def test_json_of_another_shape_is_refused(tmp_path, text):
    (tmp_path / "cameras.json").write_text(text)
    with pytest.raises(BadInputError):
        load_capture(tmp_path)


def test_paths_without_a_capture_are_refused(tmp_path):
    (tmp_path / "notes.md").write_text("none")
    for path in (tmp_path, tmp_path / "notes.md", tmp_path / "absent.json", tmp_path / "absent"):
        with pytest.raises(BadInputError):
            load_capture(path)


def test_nerfstudio_names_its_split_where_it_does(tmp_path):
    cameras = make_cameras()
    tree = nerfstudio_tree(cameras)
    tree |= {"train_filenames": [cameras[0].image, cameras[1].image], "test_filenames": [f"./{cameras[2].image}"]}
    capture = load_capture(write_json(tmp_path / "transforms.json", tree))
    assert [camera.split for camera in capture.cameras[:4]] == ["train", "train", "test", "unused"]


def test_blender_files_and_transparent_photos(tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="photos are read by pillow")
    angle = 2 * np.arctan(WIDTH / 2 / 50.0)
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[: HEIGHT // 2] = 255, 0, 0, 255
    for split, camera in zip(("train", "val", "test"), make_cameras(), strict=False):
        (tmp_path / split).mkdir()
        pillow.fromarray(pixels).save(tmp_path / split / "r_0.png")
        tree = {"camera_angle_x": angle, "frames": [frame(camera) | {"file_path": f"./{split}/r_0"}]}
        write_json(tmp_path / f"transforms_{split}.json", tree)
    capture = load_capture(tmp_path)
    assert (capture.source, [camera.split for camera in capture.cameras]) == ("blender", ["train", "val", "test"])
    for camera, expected in zip(capture.cameras, make_cameras(), strict=False):
        np.testing.assert_allclose(camera.world_to_camera, expected.world_to_camera, atol=1e-6)
        assert (camera.width, camera.fx, camera.fy) == (WIDTH, pytest.approx(50.0), pytest.approx(50.0))
    (camera,) = load_capture(tmp_path / "transforms_test.json").cameras
    assert camera.split == "test"
    black = load_photo(camera, tmp_path)
    white = load_photo(camera, tmp_path, (1.0, 1.0, 1.0))
    assert black.dtype == np.float32
    assert black[0, 0].tolist() == white[0, 0].tolist() == [1.0, 0.0, 0.0]
    assert (black[-1, 0].tolist(), white[-1, 0].tolist()) == ([0.0] * 3, [1.0] * 3)
    with pytest.raises(BadInputError, match="background"):
        load_photo(camera, tmp_path, (1.0,))


def test_smaller_photos_are_asked_for(tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="photos are read by pillow")
    write_colmap_binary(tmp_path, make_cameras())
    for folder, factor in (("images", 1), ("images_2", 2)):
        (tmp_path / folder).mkdir()
        pillow.new("RGB", (WIDTH // factor, HEIGHT // factor), "white").save(tmp_path / folder / "000.png")
    capture = load_capture(tmp_path)
    assert load_photo(capture.cameras[0], tmp_path / "images").shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(BadInputError, match="downscale"):
        load_photo(capture.cameras[0], tmp_path / "images_2")
    with pytest.raises(BadInputError, match="cannot read photo"):
        load_photo(capture.cameras[1], capture.image_folder)
    half = load_capture(tmp_path, downscale=2)
    assert half.image_folder == tmp_path / "images_2"
    assert load_photo(half.cameras[0], half.image_folder).min() == 1.0
    assert (half.cameras[0].fx, half.cameras[0].cy) == (25.0, HEIGHT / 4)
    odd = downscaled(replace(make_cameras()[0], width=4946), 4)
    assert (odd.width, odd.fx) == (1237, 50.0 * 1237 / 4946)
    with pytest.raises(BadInputError, match="downscale"):
        load_capture(tmp_path, downscale=0)


def test_inria_names_without_ending_find_their_photo(tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="photos are read by pillow")
    write_inria(tmp_path, make_cameras())
    (tmp_path / "images").mkdir()
    pillow.new("RGB", (WIDTH, HEIGHT), "white").save(tmp_path / "images" / "000.jpg")
    capture = load_capture(tmp_path)
    assert load_photo(capture.cameras[0], capture.image_folder).shape == (HEIGHT, WIDTH, 3)


def test_real_capture_reprojects_its_points():
    found = shared_files("captures/*/sparse/0/images.bin")
    if not found:
        pytest.skip("no captures/*/sparse/0; set GSCODEC_SHARED to the folder of real scenes")
    for path in found:
        capture = load_capture(path.parents[2])
        assert (path.parents[2] / "images").resolve() == capture.image_folder.resolve()
        assert len(capture.cameras) == len(list(capture.image_folder.iterdir()))
        points, images = read_tracks(path.parent / "points3D.bin"), read_observations(path)
        cameras = {camera.name: camera for camera in capture.cameras}
        errors = []
        for name, observations in images.items():
            camera = cameras[name]
            seen = [(x, y, points[point]) for x, y, point in observations if point in points]
            if seen:
                pixels, world = np.array([row[:2] for row in seen]), np.array([row[2] for row in seen])
                local = world @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
                u = camera.fx * local[:, 0] / local[:, 2] + camera.cx
                v = camera.fy * local[:, 1] / local[:, 2] + camera.cy
                errors.append(np.hypot(u - pixels[:, 0], v - pixels[:, 1]))
        assert np.median(np.concatenate(errors)) < 2.0


def read_tracks(path):
    data, at, points = path.read_bytes(), 8, {}
    for _ in range(struct.unpack_from("<Q", data)[0]):
        number, *xyz = struct.unpack_from("<Q3d", data, at)
        points[number] = xyz
        at += 51 + 8 * struct.unpack_from("<Q", data, at + 43)[0]
    return points


def read_observations(path):
    data, at, images = path.read_bytes(), 8, {}
    for _ in range(struct.unpack_from("<Q", data)[0]):
        end = data.index(b"\0", at + 64)
        name, count = data[at + 64 : end].decode(), struct.unpack_from("<Q", data, end + 1)[0]
        at = end + 9 + 24 * count
        images[name] = list(struct.iter_unpack("<ddq", data[end + 9 : at]))
    return images
