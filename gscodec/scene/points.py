"""Points of structure from motion that lie apart from a capture's cameras."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from gscodec.errors import BadInputError
from gscodec.scene.colmap import SfmPoints


def load_points(path: str | Path) -> SfmPoints:
    """The points of an .npz file with the arrays ``xyz`` [M,3], world units, and ``rgb`` [M,3], 0..255.

    Raises BadInputError if it cannot be read or holds something else.
    """
    try:
        # Opened here: numpy leaves a file open that turns out to be no archive.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            xyz, rgb = arrays["xyz"], arrays["rgb"]
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise BadInputError(
            f"cannot read points: {error}", field="points", found=str(path), allowed=".npz with xyz and rgb"
        ) from error
    for name, array in (("xyz", xyz), ("rgb", rgb)):
        if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "fiu" or len(array) != len(xyz):
            found = f"{array.dtype} {array.shape}"
            raise BadInputError("not points", field=name, found=found, allowed=f"numbers ({len(xyz)}, 3)")
    if not (np.isfinite(xyz).all() and np.isfinite(rgb).all()) or (len(rgb) and not 0 <= rgb.min() <= rgb.max() <= 255):
        raise BadInputError("not points", field=str(path), found="values out of range", allowed="finite; rgb in 0..255")
    return SfmPoints(xyz.astype(np.float32), rgb.astype(np.uint8))
