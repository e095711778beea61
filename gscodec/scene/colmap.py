"""COLMAP models: cameras, images and points3D as .bin or .txt.

Source: colmap.github.io/format.html and src/colmap/scene/reconstruction_io_{binary,text}.cc. Pixel centres lie at
+0.5 there too; a pose is world to camera, quaternion w x y z, OpenCV axes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError
from gscodec.scene import parse
from gscodec.scene.camera import Camera

# By the model's number in cameras.bin: name, how many parameters.
MODELS = (
    ("SIMPLE_PINHOLE", 3),
    ("PINHOLE", 4),
    ("SIMPLE_RADIAL", 4),
    ("RADIAL", 5),
    ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12),
    ("FOV", 5),
    ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5),
    ("THIN_PRISM_FISHEYE", 12),
    ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
)
PINHOLES = ("SIMPLE_PINHOLE", "PINHOLE")
POINT_BYTES, OBSERVATION_BYTES, TRACK_BYTES = 51, 24, 8


@dataclass(frozen=True, eq=False)
class SfmPoints:
    """Points of structure from motion: xyz float32 [M,3] in world units, rgb uint8 [M,3]."""

    xyz: npt.NDArray[np.float32]
    rgb: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Lens:
    """A row of the cameras file."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]


@dataclass(frozen=True)
class Shot:
    """A row of the images file."""

    name: str
    camera_id: int
    quat_wxyz: tuple[float, ...]
    translation: tuple[float, ...]


def load_colmap(folder: str | Path) -> tuple[list[Camera], SfmPoints | None]:
    """Cameras sorted by name, all of split "train", and the points, None without a points3D file.

    Raises BadInputError for malformed data, and for a camera model with distortion, saying how to undistort.
    """
    folder = Path(folder)
    ending = next((end for end in (".bin", ".txt") if (folder / f"cameras{end}").is_file()), None)
    if ending is None:
        raise BadInputError("no COLMAP model", field="folder", found=str(folder), allowed="cameras.bin or cameras.txt")
    binary = ending == ".bin"
    read_lenses, read_shots, read_points = (
        (_binary_lenses, _binary_shots, _binary_points) if binary else (_text_lenses, _text_shots, _text_points)
    )
    lenses = read_lenses(folder / f"cameras{ending}")
    shots = read_shots(folder / f"images{ending}")
    if not shots:
        raise BadInputError("no images", field=f"images{ending}", found=0, allowed="at least 1")
    parse.unique((shot.name for shot in shots), f"images{ending}")
    cameras = sorted((_camera(shot, lenses) for shot in shots), key=lambda camera: camera.name)
    points = folder / f"points3D{ending}"
    return cameras, read_points(points) if points.is_file() else None


def _camera(shot: Shot, lenses: dict[int, Lens]) -> Camera:
    lens = lenses.get(shot.camera_id)
    if lens is None:
        raise BadInputError("no such camera", field=f"{shot.name}.camera_id", found=shot.camera_id)
    if lens.model not in PINHOLES:
        raise BadInputError(
            f"camera with distortion; {parse.UNDISTORT}", field="camera model", found=lens.model, allowed=PINHOLES
        )
    fx, fy = lens.params[0], lens.params[0 if lens.model == "SIMPLE_PINHOLE" else 1]
    cx, cy = lens.params[-2:]
    pose = np.eye(4)
    pose[:3, :3] = _rotation(shot.quat_wxyz, shot.name)
    pose[:3, 3] = shot.translation
    return Camera(shot.name, shot.name, lens.width, lens.height, fx, fy, cx, cy, pose)


def _rotation(quat_wxyz: tuple[float, ...], name: str) -> npt.NDArray[np.float64]:
    w, x, y, z = quat_wxyz
    norm = float(np.sqrt(np.float64(w) * w + x * x + y * y + z * z)) if max(map(abs, quat_wxyz)) < 2 else 2.0
    if not abs(norm - 1.0) <= parse.MAX_SKEW:
        raise BadInputError("not a unit quaternion", field=f"{name}.rotation", found=quat_wxyz, allowed="length 1")
    w, x, y, z = w / norm, x / norm, y / norm, z / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


class _Bytes:
    """A cursor over a binary file; every read is checked against its length."""

    def __init__(self, path: Path) -> None:
        self.name, self.data, self.at = path.name, parse.read_bytes(path), 0

    def take(self, layout: str) -> tuple[float, ...]:
        end = self.at + struct.calcsize(layout)
        if end > len(self.data):
            raise BadInputError("ends too early", field=self.name, found=len(self.data), offset=self.at)
        values = struct.unpack_from(layout, self.data, self.at)
        self.at = end
        return values

    def count(self, smallest: int) -> int:
        """A uint64 that counts records of at least ``smallest`` bytes each."""
        (count,) = self.take("<Q")
        most = (len(self.data) - self.at) // smallest
        if count > most:
            raise BadInputError("count beyond the file", field=self.name, found=count, allowed=most, offset=self.at - 8)
        return int(count)

    def skip(self, size: int) -> None:
        self.at += size  # count() has shown that it is there

    def name_(self) -> str:
        end = self.data.find(b"\0", self.at)
        try:
            if end <= self.at:
                raise BadInputError("unfinished name", field=self.name, offset=self.at)
            name = self.data[self.at : end].decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadInputError("name is not UTF-8", field=self.name, offset=self.at) from error
        self.at = end + 1
        return name

    def close(self) -> None:
        if self.at != len(self.data):
            raise BadInputError("bytes left over", field=self.name, found=len(self.data) - self.at, offset=self.at)


def _binary_lenses(path: Path) -> dict[int, Lens]:
    source = _Bytes(path)
    lenses: dict[int, Lens] = {}
    for _ in range(source.count(24)):
        camera_id, model, width, height = (int(value) for value in source.take("<IiQQ"))
        if not 0 <= model < len(MODELS):
            raise BadInputError("unknown camera model", field=path.name, found=model, allowed=f"0..{len(MODELS) - 1}")
        name, parameters = MODELS[model]
        _add(lenses, camera_id, Lens(name, width, height, source.take(f"<{parameters}d")), path.name)
    source.close()
    return lenses


def _binary_shots(path: Path) -> list[Shot]:
    source, shots = _Bytes(path), []
    for _ in range(source.count(73)):
        _, *pose, camera_id = source.take("<I7dI")
        shots.append(Shot(source.name_(), int(camera_id), tuple(pose[:4]), tuple(pose[4:])))
        source.skip(source.count(OBSERVATION_BYTES) * OBSERVATION_BYTES)
    source.close()
    return shots


def _binary_points(path: Path) -> SfmPoints:
    source = _Bytes(path)
    rows = []
    for _ in range(source.count(POINT_BYTES)):
        rows.append(source.take("<Q3d3Bd")[1:7])
        source.skip(source.count(TRACK_BYTES) * TRACK_BYTES)
    source.close()
    return _points(rows, path.name)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of each line that is not a comment; an empty line has no fields."""
    for number, line in enumerate(parse.read_text(path).splitlines(), start=1):
        if not line.startswith("#"):
            yield number, line.split()


def _numbers(words: list[str], least: int, field: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise BadInputError(f"bad number: {error}", field=field) from error
    if len(values) < least:
        raise BadInputError("line too short", field=field, found=len(values), allowed=f"{least} numbers")
    return values


def _text_lenses(path: Path) -> dict[int, Lens]:
    lenses: dict[int, Lens] = {}
    counts = dict(MODELS)
    for line, words in _lines(path):
        if not words:
            continue
        field = f"{path.name} line {line}"
        model = words[1] if len(words) > 1 else ""
        if model not in counts:
            raise BadInputError("unknown camera model", field=field, found=model, allowed=tuple(counts))
        values = _numbers([words[0], *words[2:]], 3 + counts[model], field)
        camera_id, width, height = (parse.whole(value, field) for value in values[:3])
        _add(lenses, camera_id, Lens(model, width, height, tuple(values[3 : 3 + counts[model]])), field)
    return lenses


def _text_shots(path: Path) -> list[Shot]:
    """Two lines for each image: its pose, then its observations, which may be an empty line."""
    shots = []
    rows = _lines(path)
    for line, words in rows:
        if not words:
            continue
        field = f"{path.name} line {line}"
        values = _numbers(words[:9], 9, field)
        name = " ".join(words[9:])
        if not name:
            raise BadInputError("no name", field=field)
        camera_id = parse.whole(values[8], field)
        shots.append(Shot(name, camera_id, tuple(values[1:5]), tuple(values[5:8])))
        next(rows, None)
    return shots


def _text_points(path: Path) -> SfmPoints:
    rows = [_numbers(words[:8], 8, f"{path.name} line {line}")[1:7] for line, words in _lines(path) if words]
    return _points(rows, path.name)


def _add(lenses: dict[int, Lens], camera_id: int, lens: Lens, field: str) -> None:
    if camera_id in lenses:
        raise BadInputError("camera twice", field=field, found=camera_id, allowed="each number once")
    lenses[camera_id] = lens


def _points(rows: list[tuple[float, ...]] | list[list[float]], field: str) -> SfmPoints:
    table = np.array(rows, np.float64).reshape(-1, 6)
    xyz, rgb = table[:, :3], table[:, 3:]
    if not (np.abs(xyz) < np.finfo(np.float32).max).all():
        raise BadInputError("not finite", field=f"{field} xyz", allowed="finite numbers")
    if not ((rgb >= 0) & (rgb <= 255)).all():
        raise BadInputError("bad colour", field=f"{field} rgb", allowed="0..255")
    return SfmPoints(xyz.astype(np.float32), rgb.astype(np.uint8))
