"""The cameras.json of a scene folder: a list of cameras, each with its matrix and its split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gscodec.errors import BadInputError
from gscodec.scene import parse
from gscodec.scene.camera import Camera


def load_cameras(path: str | Path, split: str | None = None) -> list[Camera]:
    """The cameras of a cameras.json in its order, all or those of one split ("train", "test").

    Each entry has name, image, width, height, fx, fy, cx, cy (pixels), world_to_camera (4x4, row-major, OpenCV
    axes) and, if it is not "train", split.

    Raises BadInputError if the file cannot be read, lacks a field, or has no camera of that split.
    """
    return choose(cameras_from(parse.read_json(Path(path))), split)


def cameras_from(entries: Any) -> list[Camera]:
    """The cameras of a parsed cameras.json. Raises BadInputError for malformed data."""
    cameras: list[Camera] = parse.each(entries, "cameras", _camera)
    parse.unique((camera.name for camera in cameras), "name")
    return cameras


def choose(cameras: list[Camera], split: str | None) -> list[Camera]:
    """The cameras of one split, all for None. Raises BadInputError if there are none."""
    chosen = [camera for camera in cameras if split is None or camera.split == split]
    if not chosen:
        found = sorted({camera.split for camera in cameras})
        raise BadInputError("no such camera", field="split", found=found, allowed=split)
    return chosen


def _camera(entry: Any, field: str) -> Camera:
    numbers = {key: parse.number(parse.member(entry, key, field), f"{field}.{key}") for key in ("fx", "fy", "cx", "cy")}
    width, height = (parse.whole(parse.member(entry, key, field), f"{field}.{key}") for key in ("width", "height"))
    where = f"{field}.world_to_camera"
    pose = parse.matrix(parse.member(entry, "world_to_camera", field), [(4, 4)], where)
    return Camera(
        name=parse.text(parse.member(entry, "name", field), f"{field}.name"),
        image=parse.text(parse.member(entry, "image", field), f"{field}.image"),
        width=width,
        height=height,
        **numbers,
        world_to_camera=parse.check_pose(pose, where),
        split=parse.text(entry.get("split", "train"), f"{field}.split"),
    )
