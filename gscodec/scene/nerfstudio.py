"""transforms.json: of nerfstudio and instant-ngp, and the three files of the Blender (NeRF synthetic) scenes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from gscodec.errors import BadInputError
from gscodec.scene import parse
from gscodec.scene.camera import Camera
from gscodec.scene.photos import PHOTO_ENDINGS, photo_size

MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE")  # OPENCV with all coefficients zero is a pinhole
DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2", "s1", "s2", "s3", "s4")
FLAGS = ("is_fisheye", "equirectangular", "orthographic")
SPLITS = ("train", "val", "test")
TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])  # camera axes of the files: x right, y up, z back


def load_transforms(path: str | Path, split: str = "train") -> tuple[list[Camera], bool]:
    """The cameras of one transforms.json in its order, and whether the file itself says which are for testing.

    fl_x, fl_y, cx, cy, w, h in pixels stand at the top or in a frame, which wins; without fl_x, camera_angle_x
    (radians) gives the focal length; without w and h the photo gives the size (needs pillow). transform_matrix is
    camera to world. Lists train_filenames, val_filenames and test_filenames name the split; without them all frames
    are of ``split``.

    Raises BadInputError for malformed data, and for distortion, saying how to undistort.
    """
    path = Path(path)
    return cameras_from(parse.read_json(path), path.parent, split)


def cameras_from(tree: Any, folder: Path, split: str = "train") -> tuple[list[Camera], bool]:
    """The same from a parsed file whose photos lie relative to ``folder``."""
    named = _named_splits(tree)

    def camera(frame: Any, field: str) -> Camera:
        return _camera(tree, frame, field, folder, named, split)

    cameras: list[Camera] = parse.each(parse.member(tree, "frames", "transforms"), "frames", camera)
    parse.unique((camera.name for camera in cameras), "file_path")
    return cameras, bool(named)


def _named_splits(tree: Any) -> dict[str, str]:
    named: dict[str, str] = {}
    for split in SPLITS:
        key = f"{split}_filenames"
        if isinstance(tree, Mapping) and tree.get(key):
            for name in parse.each(tree[key], key, parse.text):
                named[_plain(name)] = split
    return named


def _camera(
    tree: Mapping[str, Any], frame: Any, field: str, folder: Path, named: Mapping[str, str], split: str
) -> Camera:
    file_path = _plain(parse.text(parse.member(frame, "file_path", field), f"{field}.file_path"))
    image = file_path if file_path.lower().endswith(PHOTO_ENDINGS) else f"{file_path}.png"
    values = {**tree, **frame}
    _refuse_distortion(values, field)

    def value(key: str, otherwise: float) -> float:
        return parse.number(values[key], f"{field}.{key}") if key in values else otherwise

    if "w" in values and "h" in values:
        width, height = parse.whole(values["w"], f"{field}.w"), parse.whole(values["h"], f"{field}.h")
    else:
        width, height = photo_size(folder / image)
    if "fl_x" in values:
        fx = value("fl_x", 0.0)
        fy = value("fl_y", fx)
    else:
        fx = _focal(parse.number(parse.member(values, "camera_angle_x", field), f"{field}.camera_angle_x"), width)
        fy = _focal(value("camera_angle_y", 0.0), height) if "camera_angle_y" in values else fx
    where = f"{field}.transform_matrix"
    pose = parse.matrix(parse.member(frame, "transform_matrix", field), [(4, 4), (3, 4)], where)
    if len(pose) == 3:
        pose = np.vstack([pose, [0.0, 0.0, 0.0, 1.0]])
    return Camera(
        name=file_path,
        image=image,
        width=width,
        height=height,
        fx=fx,
        fy=fy,
        cx=value("cx", width / 2),
        cy=value("cy", height / 2),
        world_to_camera=parse.inverse_pose(pose @ TO_OPENCV, where),
        split=named.get(file_path, "unused") if named else split,
    )


def _refuse_distortion(values: Mapping[str, Any], field: str) -> None:
    model = values.get("camera_model", MODELS[0])
    bent = [key for key in DISTORTION if key in values and parse.number(values[key], f"{field}.{key}") != 0.0]
    flags = [key for key in FLAGS if values.get(key)]
    if model not in MODELS or bent or flags:
        found = f"{model} with {', '.join(bent + flags)}" if bent or flags else model
        raise BadInputError(
            f"camera with distortion; {parse.UNDISTORT}", field=f"{field}.camera_model", found=found, allowed=MODELS
        )


def _focal(angle: float, side: int) -> float:
    if not 0.0 < angle < math.pi:
        raise BadInputError("bad field of view", field="camera_angle", found=angle, allowed="0..pi radians")
    return side / 2 / math.tan(angle / 2)


def _plain(name: str) -> str:
    """Without a leading ./"""
    return str(PurePosixPath(name))
