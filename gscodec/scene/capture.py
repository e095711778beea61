"""A capture: cameras with their split, where the photos lie, and the points of structure from motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gscodec.errors import BadInputError
from gscodec.scene import inria, nerfstudio, parse, scene_json
from gscodec.scene.camera import Camera
from gscodec.scene.colmap import SfmPoints, load_colmap
from gscodec.scene.points import load_points

TEST_EVERY = 8  # as Mip-NeRF 360 and Kerbl et al. 2023 split


@dataclass(frozen=True, eq=False)
class Capture:
    """Cameras; the folder that ``camera.image`` is relative to, None where there is none; points, None without any.

    ``points_file``: where points lie that have not been read yet. ``source`` names the format: "colmap", "inria",
    "nerfstudio", "blender" or "scene".
    """

    cameras: tuple[Camera, ...]
    image_folder: Path | None
    points: SfmPoints | None
    source: str
    points_file: Path | None = None

    def sfm_points(self) -> SfmPoints | None:
        """The points, read now if they lie in a file of their own. Raises BadInputError."""
        return load_points(self.points_file) if self.points is None and self.points_file else self.points

    def views(self, split: str | None = None) -> list[Camera]:
        """The cameras of one split, all for None. Raises BadInputError if there are none."""
        return scene_json.choose(list(self.cameras), split)


def load_capture(path: str | Path, *, downscale: int = 1) -> Capture:
    """The capture in a folder or file.

    A folder is looked through for a COLMAP model (itself, sparse/0, sparse), transforms.json, transforms_train.json
    and its companions, cameras.json. Where the format does not name the split, every 8th camera by sorted name is for
    testing. With ``downscale`` n, photos come from images_n where it exists, and sizes and intrinsics are divided by n.

    Raises BadInputError if nothing is found, and for malformed data.
    """
    path = Path(path)
    if downscale < 1:
        raise BadInputError("bad downscale", field="downscale", found=downscale, allowed="1 or more")
    capture = _from_folder(path) if path.is_dir() else _from_file(path)
    if downscale == 1:
        return capture
    folder = capture.image_folder
    smaller = folder.with_name(f"{folder.name}_{downscale}") if folder is not None else None
    return replace(
        capture,
        cameras=tuple(downscaled(camera, downscale) for camera in capture.cameras),
        image_folder=smaller if smaller is not None and smaller.is_dir() else folder,
    )


def split_every_eighth(cameras: Sequence[Camera]) -> tuple[Camera, ...]:
    """The cameras sorted by name, every 8th from the first of split "test", the others "train"."""
    ordered = sorted(cameras, key=lambda camera: camera.name)
    return tuple(replace(camera, split="train" if i % TEST_EVERY else "test") for i, camera in enumerate(ordered))


def downscaled(camera: Camera, factor: int) -> Camera:
    """The camera of a photo that was made ``factor`` times smaller; half pixels round up, as image tools do."""
    width, height = (max(1, (2 * side + factor) // (2 * factor)) for side in (camera.width, camera.height))
    x, y = width / camera.width, height / camera.height
    fx, fy, cx, cy = camera.fx * x, camera.fy * y, camera.cx * x, camera.cy * y
    return replace(camera, width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy)


def _from_folder(folder: Path) -> Capture:
    for model in (folder, folder / "sparse" / "0", folder / "sparse"):
        if any((model / name).is_file() for name in ("cameras.bin", "cameras.txt")):
            return _colmap(model)
    if (folder / "transforms.json").is_file():
        return _from_json(folder / "transforms.json")
    if (folder / "transforms_train.json").is_file():
        return _blender(folder)
    if (folder / "cameras.json").is_file():
        return _from_json(folder / "cameras.json")
    raise BadInputError(
        "no capture",
        field="folder",
        found=str(folder),
        allowed="sparse/0/cameras.bin or .txt, transforms.json, transforms_train.json, cameras.json",
    )


def _from_file(path: Path) -> Capture:
    if path.name in ("cameras.bin", "cameras.txt"):
        return _colmap(path.parent)
    if path.suffix.lower() != ".json":
        raise BadInputError("not a capture", field="file", found=path.name, allowed="a folder, .json, cameras.bin/.txt")
    return _from_json(path)


def _colmap(model: Path) -> Capture:
    cameras, points = load_colmap(model)
    above = model.resolve().parents[:2]
    folder = next((parent / "images" for parent in (model, *above) if (parent / "images").is_dir()), None)
    return Capture(split_every_eighth(cameras), folder, points, "colmap")


def _from_json(path: Path) -> Capture:
    tree = parse.read_json(path)
    if isinstance(tree, dict):
        split = next((name for name in nerfstudio.SPLITS if path.stem == f"transforms_{name}"), None)
        cameras, named = nerfstudio.cameras_from(tree, path.parent, split or "train")
        ordered = tuple(cameras) if named or split else split_every_eighth(cameras)
        return Capture(ordered, path.parent, None, "blender" if split else "nerfstudio")
    if _has(tree, "world_to_camera"):
        points = path.parent / "sparse.npz"
        cameras = scene_json.cameras_from(tree)
        return Capture(tuple(cameras), path.parent, None, "scene", points if points.is_file() else None)
    if _has(tree, "rotation"):
        folder = path.parent / "images"
        cameras = inria.cameras_from(tree)
        return Capture(split_every_eighth(cameras), folder if folder.is_dir() else None, None, "inria")
    raise BadInputError(
        "cameras of an unknown format", field=path.name, allowed="a list of entries with world_to_camera or rotation"
    )


def _has(tree: Any, key: str) -> bool:
    return isinstance(tree, list) and bool(tree) and isinstance(tree[0], dict) and key in tree[0]


def _blender(folder: Path) -> Capture:
    cameras = [
        camera
        for split in nerfstudio.SPLITS
        if (folder / f"transforms_{split}.json").is_file()
        for camera in nerfstudio.load_transforms(folder / f"transforms_{split}.json", split)[0]
    ]
    parse.unique((camera.name for camera in cameras), "file_path")
    return Capture(tuple(cameras), folder, None, "blender")
