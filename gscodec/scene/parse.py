"""What the readers of capture files share: JSON, numbers and poses, every defect a BadInputError."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError

F64 = npt.NDArray[np.float64]
MAX_SKEW = 1e-3  # of R R^T from the identity; files keep 6 digits or more
UNDISTORT = "undistort first: colmap image_undistorter --image_path IMAGES --input_path SPARSE --output_path DENSE"


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises BadInputError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"cannot read: {error}", field="file", found=str(path)) from error


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises BadInputError if it cannot be read."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError("not UTF-8", field=path.name, offset=error.start) from error


def read_json(path: Path) -> Any:
    """A JSON file as Python values. Raises BadInputError if it cannot be read or parsed."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"not JSON: {error}", field=path.name) from error


def member(entry: Any, key: str, field: str) -> Any:
    """``entry[key]`` of a JSON object. Raises BadInputError if it is no object or has no such key."""
    if not isinstance(entry, Mapping):
        raise BadInputError("not an object", field=field, found=type(entry).__name__, allowed="an object")
    if key not in entry:
        raise BadInputError("missing field", field=f"{field}.{key}")
    return entry[key]


def number(value: Any, field: str) -> float:
    """A finite number. Raises BadInputError for anything else, text and booleans included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInputError("not a number", field=field, found=type(value).__name__, allowed="a finite number")
    try:
        result = float(value)
    except OverflowError as error:
        raise BadInputError("number too large", field=field, allowed="a finite number") from error
    if not math.isfinite(result):
        raise BadInputError("not finite", field=field, found=result, allowed="a finite number")
    return result


def whole(value: Any, field: str) -> int:
    """An integer, also where it is written as 640.0. Raises BadInputError for anything else."""
    result = number(value, field)
    if result != int(result):
        raise BadInputError("not a whole number", field=field, found=result, allowed="a whole number")
    return int(result)


def text(value: Any, field: str) -> str:
    """A string that is not empty. Raises BadInputError for anything else."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadInputError("not a name", field=field, found=type(value).__name__, allowed="text")
    return value


def matrix(value: Any, shapes: Iterable[tuple[int, ...]], field: str) -> F64:
    """Nested lists of finite numbers as float64 of one of ``shapes``. Raises BadInputError."""
    allowed = tuple(shapes)
    try:
        result = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInputError(f"bad value: {error}", field=field, allowed=allowed) from error
    if result.shape not in allowed:
        raise BadInputError("wrong shape", field=field, found=result.shape, allowed=allowed)
    if not np.isfinite(result).all():
        raise BadInputError("not finite", field=field, allowed="finite numbers")
    return result


def check_pose(pose: F64, field: str) -> F64:
    """A float64 [4,4] unchanged if it is a rotation and a translation. Raises BadInputError otherwise."""
    rotation = pose[:3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        skew = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if not skew <= MAX_SKEW or np.linalg.det(rotation) < 0:
        raise BadInputError("not a rotation", field=field, found=f"{skew:.3g} off", allowed=f"{MAX_SKEW:g}")
    if not np.array_equal(pose[3], [0.0, 0.0, 0.0, 1.0]):
        raise BadInputError("not a rigid motion", field=field, found=pose[3].tolist(), allowed="last row 0 0 0 1")
    return pose


def inverse_pose(pose: F64, field: str) -> F64:
    """World to camera from camera to world, or back. Raises BadInputError if it is no rigid motion."""
    inverse = np.asarray(np.linalg.inv(check_pose(pose, field)), np.float64)
    inverse[3] = (0.0, 0.0, 0.0, 1.0)
    return inverse


def unique(names: Iterable[str], field: str) -> None:
    """Raises BadInputError if a name occurs twice."""
    seen = set[str]()
    for name in names:
        if name in seen:
            raise BadInputError("duplicate name", field=field, found=name, allowed="each name once")
        seen.add(name)


def each(entries: Any, field: str, read: Callable[[Any, str], Any]) -> list[Any]:
    """``read(entry, "field[i]")`` of each entry of a JSON list. Raises BadInputError if it is none or empty."""
    if not isinstance(entries, list) or not entries:
        raise BadInputError("not a list", field=field, found=type(entries).__name__, allowed="a list of one or more")
    return [read(entry, f"{field}[{index}]") for index, entry in enumerate(entries)]
