"""Scenes and the views that they are measured from, as plain data that travels to workers."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from gscodec.errors import BadInputError
from gscodec.formats.ply import read_ply
from gscodec.scene import Camera, Capture, load_capture, virtual_views
from gscodec.scene.photos import find_photo

PLY_NAME = "point_cloud.ply"


@dataclass(frozen=True)
class ViewOptions:
    """Where views come from if the scene's folder does not say: a capture, else ``count`` virtual ones."""

    capture: str | None = None
    downscale: int = 1
    count: int = 8
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Views:
    """The cameras to measure from. ``kind``: "test" of a capture, or "virtual", which ``seed`` belongs to.

    ``photos``: the folder with the photos of all cameras, None where there are none.
    """

    kind: str
    cameras: tuple[Camera, ...]
    seed: int | None
    photos: str | None

    @property
    def identity(self) -> str:
        """Equal for views that give equal numbers."""
        state = hashlib.sha256()
        for camera in self.cameras:
            numbers = (camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy)
            state.update(repr((camera.name, numbers, camera.world_to_camera.tolist())).encode())
        photos = " photos" if self.photos else ""
        return f"{self.kind} {len(self.cameras)} {state.hexdigest()[:12]}{photos}"


@dataclass(frozen=True, eq=False)
class Scene:
    """A trained scene. ``argument``: as the user named it; ``digest``: of the file's content."""

    name: str
    argument: str
    ply: str
    digest: str
    source_bytes: int
    splats: int
    sh_degree: int
    views: Views


def load_scene(argument: str, options: ViewOptions) -> Scene:
    """From a folder with a point_cloud.ply, or from a .ply.

    Raises BadInputError for anything else, for a bad capture, and where some photos are there and others are not.
    """
    path = Path(argument)
    ply = path / PLY_NAME if path.is_dir() else path
    if not ply.is_file():
        allowed = f"a .ply, or a folder with a {PLY_NAME}"
        raise BadInputError("not a scene", field="scene", found=argument, allowed=allowed)
    cloud = read_ply(ply)
    capture = find_capture(path, options)
    if capture is not None:
        cameras = tuple(capture.views("test"))
        views = Views("test", cameras, None, _photos(capture, cameras))
    else:
        views = Views("virtual", tuple(virtual_views(cloud, options.count, options.seed)), options.seed, None)
    name = re.sub(r"[^\w.-]", "_", path.resolve().name if path.is_dir() else ply.stem)
    size, digest = ply.stat().st_size, _digest(ply)
    return Scene(name, argument, str(ply.resolve()), digest, size, len(cloud), cloud.sh_degree, views)


def load_scenes(arguments: list[str], options: ViewOptions) -> list[Scene]:
    """All of them. Raises BadInputError for two of one name, whose results would be one file."""
    scenes = [load_scene(argument, options) for argument in arguments]
    names = [scene.name for scene in scenes]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError("two scenes of one name", field="scene", found=name, allowed="different names")
    return scenes


def find_capture(path: Path, options: ViewOptions) -> Capture | None:
    """That of the options, else the one in the scene's folder; None without any. Raises BadInputError for a bad one."""
    if options.capture is not None:
        return load_capture(options.capture, downscale=options.downscale)
    if not path.is_dir():
        return None
    try:
        return load_capture(path, downscale=options.downscale)
    except BadInputError as error:
        if error.message == "no capture":
            return None
        raise


def _photos(capture: Capture, cameras: tuple[Camera, ...]) -> str | None:
    folder = capture.image_folder
    if folder is None:
        return None
    missing = []
    for camera in cameras:
        try:
            find_photo(camera, folder)
        except BadInputError as error:
            missing.append(error)
    if missing and len(missing) < len(cameras):
        raise missing[0]
    return None if missing else str(folder.resolve())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
