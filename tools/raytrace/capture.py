"""A scene as a capture: photos, cameras.json, and the points that structure from motion would have found."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gscodec_tools.raytrace.builder import Scene
from gscodec_tools.raytrace.render import exposure_for, geometry, photo, visible
from gscodec_tools.raytrace.scenes import build_scene

from gscodec.bitstream.atomic import atomic_write
from gscodec.errors import BadInputError, OutputError
from gscodec.scene import Camera
from gscodec.scene.capture import TEST_EVERY
from gscodec.scene.colmap import SfmPoints

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

TO_FILE = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # z up to y down, as captures have it
POINTS = 6000
JPEG_QUALITY = 95
NOISE = 0.003  # of the distance, along the ray; a third of it across
VIEWS_OF_A_POINT = 3
MATCH = 0.08  # how much the colour may differ between views that show the same point
GAPS = 1e-3  # of the distance: what is hidden by less is seen


def cameras_of(scene: Scene, width: int, height: int) -> list[Camera]:
    """The scene's views in its own axes (z up); every 8th is for testing."""
    focal = 0.5 * width / np.tan(np.radians(0.5 * scene.field))
    cameras = []
    for view, (eye, target) in enumerate(zip(scene.eyes, scene.targets, strict=True)):
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ eye
        name = f"view_{view:03d}.jpg"
        split = "train" if view % TEST_EVERY else "test"
        middle = (width / 2.0, height / 2.0)
        cameras.append(Camera(name, f"images/{name}", width, height, focal, focal, *middle, pose, split))
    return cameras


def in_file_axes(camera: Camera) -> Camera:
    """The same view of the world turned to y down, z forward."""
    pose = camera.world_to_camera.copy()
    pose[:3, :3] = pose[:3, :3] @ TO_FILE.T
    return replace(camera, world_to_camera=pose)


def surface_points(
    scene: Scene, cameras: list[Camera], photos: list[F32], rng: np.random.Generator, count: int = POINTS
) -> SfmPoints:
    """About ``count`` points of the scene (its axes) where a detail is seen, with the same colour, from three views
    (from all where there are fewer).

    As in structure from motion: at details of the training photos, each with noise of 0.3 % of its distance along the
    ray it was found on and 0.1 % across it; its colour is the mean over the views.
    """
    training = [index for index, camera in enumerate(cameras) if camera.split == "train"] or list(range(len(cameras)))
    share = -(-2 * count // len(training))
    wanted = min(VIEWS_OF_A_POINT, len(training))
    points, colours = [], []
    for index in training:
        camera, picture = cameras[index], photos[index]
        pixels = _details(picture, share, rng)
        _, found = geometry(scene.world, camera, pixels)
        own = picture[pixels[:, 1].astype(int), pixels[:, 0].astype(int)]
        total, seen = own.astype(np.float64), np.ones(len(found))
        for other in training:
            if other != index:
                colour, known = _colour_in(scene, cameras[other], photos[other], found)
                same = known & (np.abs(colour - own).max(axis=1) < MATCH)
                total[same] += colour[same]
                seen += same
        kept = seen >= wanted
        ray = found - camera.centre
        far = np.linalg.norm(ray, axis=1, keepdims=True)
        along = rng.normal(0.0, NOISE, (len(found), 1)) * ray
        moved = found + along + far * rng.normal(0.0, NOISE / 3.0, found.shape)
        points.append(moved[kept])
        colours.append((total / seen[:, None])[kept])
    xyz, rgb = np.concatenate(points), np.concatenate(colours)
    chosen = np.sort(rng.permutation(len(xyz))[:count])
    return SfmPoints(xyz[chosen].astype(np.float32), np.rint(255.0 * rgb[chosen]).astype(np.uint8))


def _details(picture: F32, count: int, rng: np.random.Generator) -> F64:
    """``count`` pixel centres [M,2], likelier where the picture changes; no more than a quarter of all pixels."""
    grey = picture.mean(axis=2)
    slope = np.hypot(*np.gradient(grey))
    weight = np.minimum(slope, 0.1).ravel() + 0.002
    place = rng.choice(weight.size, min(count, weight.size // 4), replace=False, p=weight / weight.sum())
    return np.stack([place % grey.shape[1], place // grey.shape[1]], axis=1) + 0.5


def _colour_in(scene: Scene, camera: Camera, picture: F32, points: F64) -> tuple[F32, npt.NDArray[np.bool_]]:
    """Colour [M,3] of the pixels that show ``points``, and which of them the camera does see."""
    pose = camera.world_to_camera
    local = points @ pose[:3, :3].T + pose[:3, 3]
    depth = np.where(local[:, 2] > 0.05, local[:, 2], np.inf)
    column = np.floor(camera.fx * local[:, 0] / depth + camera.cx).astype(np.int64)
    row = np.floor(camera.fy * local[:, 1] / depth + camera.cy).astype(np.int64)
    inside = np.isfinite(depth) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    inside[inside] = visible(scene.world, camera, points[inside], GAPS)
    colour = picture[np.clip(row, 0, camera.height - 1), np.clip(column, 0, camera.width - 1)]
    return colour, inside


def write_capture(
    folder: str | Path,
    kind: str = "courtyard",
    seed: int = 0,
    views: int = 40,
    size: tuple[int, int] = (480, 320),
    jpeg: int = JPEG_QUALITY,
) -> Path:
    """Photos (JPEG, 4:4:4) in images/, cameras.json and sparse.npz (xyz, rgb) in ``folder``, which is made if absent.

    Raises BadInputError as ``build_scene``, for a size below 16 pixels, a JPEG quality beyond 1..95, and without
    pillow; OutputError if a file cannot be written.
    """
    folder = Path(folder)
    width, height = size
    if min(size) < 16:
        raise BadInputError("photos too small", field="size", found=size, allowed="16 x 16 or more")
    if not 1 <= jpeg <= 95:
        raise BadInputError("bad JPEG quality", field="jpeg", found=jpeg, allowed="1..95")
    try:
        import PIL.Image
    except ImportError as error:
        raise BadInputError("photos need pillow: pip install 'gscodec[eval]'") from error
    scene = build_scene(seed, kind, views)
    cameras = cameras_of(scene, width, height)
    exposure = exposure_for(scene.world, cameras)
    photos = [photo(scene.world, camera, exposure) for camera in cameras]
    points = surface_points(scene, cameras, photos, np.random.default_rng([seed, 1]))
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder: {error}", field="folder", found=str(folder)) from error
    for camera, picture in zip(cameras, photos, strict=True):
        held = io.BytesIO()
        pixels = np.rint(255.0 * picture).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(held, "JPEG", quality=jpeg, subsampling=0, optimize=True)
        atomic_write(folder / camera.image, [held.getvalue()], force=True)
    entries = [_entry(in_file_axes(camera)) for camera in cameras]
    atomic_write(folder / "cameras.json", [(json.dumps(entries, indent=1) + "\n").encode()], force=True)
    held = io.BytesIO()
    np.savez(held, xyz=(points.xyz.astype(np.float64) @ TO_FILE.T).astype(np.float32), rgb=points.rgb)
    atomic_write(folder / "sparse.npz", [held.getvalue()], force=True)
    return folder


def _entry(camera: Camera) -> dict[str, Any]:
    fields = ("name", "image", "width", "height", "fx", "fy", "cx", "cy", "split")
    return {name: getattr(camera, name) for name in fields} | {"world_to_camera": camera.world_to_camera.tolist()}
