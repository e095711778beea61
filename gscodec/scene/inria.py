"""The cameras.json that the trainer of Kerbl et al. 2023 (graphdeco-inria/gaussian-splatting) writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gscodec.scene import parse
from gscodec.scene.camera import Camera


def load_inria(path: str | Path) -> list[Camera]:
    """The cameras of such a file in its order, all of split "train": it does not say which were held out.

    Entries have id, img_name, width, height, position (camera centre), rotation (camera to world, OpenCV axes, row by
    row) and fx, fy in pixels; the principal point is the middle. Source: camera_to_JSON in its camera_utils.py.
    img_name has no extension in older versions.

    Raises BadInputError for malformed data.
    """
    return cameras_from(parse.read_json(Path(path)))


def cameras_from(entries: Any) -> list[Camera]:
    """The cameras of a parsed file. Raises BadInputError for malformed data."""
    cameras: list[Camera] = parse.each(entries, "cameras", _camera)
    parse.unique((camera.name for camera in cameras), "img_name")
    return cameras


def _camera(entry: Any, field: str) -> Camera:
    name = parse.text(parse.member(entry, "img_name", field), f"{field}.img_name")
    width, height = (parse.whole(parse.member(entry, key, field), f"{field}.{key}") for key in ("width", "height"))
    pose = np.eye(4)
    pose[:3, :3] = parse.matrix(parse.member(entry, "rotation", field), [(3, 3)], f"{field}.rotation")
    pose[:3, 3] = parse.matrix(parse.member(entry, "position", field), [(3,)], f"{field}.position")
    return Camera(
        name=name,
        image=name,
        width=width,
        height=height,
        fx=parse.number(parse.member(entry, "fx", field), f"{field}.fx"),
        fy=parse.number(parse.member(entry, "fy", field), f"{field}.fy"),
        cx=width / 2,
        cy=height / 2,
        world_to_camera=parse.inverse_pose(pose, f"{field}.rotation"),
    )
