"""A cloud seen by a camera, ready to be blended: its visible splats front to back, and a list of them per tile.

Kerbl et al. 2023, section 6 and appendix C. A splat is listed in every tile where it reaches alpha 1/255, not only
in the tiles within three sigma, so that an image does not depend on where tiles begin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.render.cpu import projection as pj
from gscodec.scene.camera import Camera

TILE = 16  # pixels
CHUNKS = 32  # parts in which splats are binned; fixed, so that nothing depends on the number of threads
MAX_PAIRS = 1 << 30


@dataclass(frozen=True, eq=False)
class TiledView:
    """``screen`` [M, projection.COLUMNS]: the splats seen, front to back; ``index`` [M]: which of the cloud they are.

    ``pairs[offsets[t]:offsets[t + 1]]``: rows of ``screen`` that tile t blends, in order; tiles in rows of ``columns``.
    """

    screen: npt.NDArray[np.float32]
    index: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int32]
    columns: int


def tile_view(cloud: GaussianCloud, camera: Camera, centre_limit: float) -> TiledView:
    """Project, sort by depth, and bin into tiles. Raises BadInputError for more than 2**30 splat-tile pairs."""
    screen = np.empty((len(cloud), pj.COLUMNS), np.float32)
    visible = np.empty(len(cloud), np.uint8)
    arguments = (*projection_arguments(cloud, camera), float(centre_limit), screen, visible)
    pj.project(*arguments)
    shown = np.flatnonzero(visible)
    # Depths are positive, so their bits sort as integers do.
    keys = screen[shown, pj.DEPTH].view(np.uint32)
    index = shown[np.argsort(keys, kind="stable")]
    screen = screen[index]
    columns, rows = -(-camera.width // TILE), -(-camera.height // TILE)
    counts = np.zeros((CHUNKS, rows * columns), np.int64)
    none = np.empty(0, np.int32)
    _bin(screen, columns, rows, counts, none)
    offsets = np.concatenate([[0], np.cumsum(counts.T.ravel())])
    if offsets[-1] > MAX_PAIRS:
        raise BadInputError("too many splats per tile", field="pairs", found=int(offsets[-1]), allowed=MAX_PAIRS)
    starts = np.ascontiguousarray(offsets[:-1].reshape(-1, CHUNKS).T)
    pairs = np.empty(offsets[-1], np.int32)
    _bin(screen, columns, rows, starts, pairs)
    return TiledView(screen, index, np.ascontiguousarray(offsets[::CHUNKS]), pairs, columns)


def projection_arguments(cloud: GaussianCloud, camera: Camera) -> tuple[Any, ...]:
    """What projection.project and its gradient read, in their order."""
    arrays = (cloud.positions, cloud.log_scales, cloud.quats_wxyz, cloud.opacity_logits, cloud.sh_dc, cloud.sh_rest)
    return (
        *(np.ascontiguousarray(array) for array in arrays),
        np.ascontiguousarray(camera.world_to_camera),
        camera.centre,
        np.array([camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy], np.float64),
        cloud.meta.render_mode == "antialiased",
    )


@njit(cache=True, nogil=True, parallel=True)
def _bin(
    screen: npt.NDArray[np.float32],
    columns: int,
    rows: int,
    cursors: npt.NDArray[np.int64],
    pairs: npt.NDArray[np.int32],
) -> None:
    """Visit each tile that a splat's ellipse touches: count it in ``cursors``, or write the splat at the cursor."""
    write = len(pairs) > 0
    count = len(screen)
    for chunk in prange(CHUNKS):
        cursor = cursors[chunk]
        for i in range(chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS):
            mx, my = np.float64(screen[i, pj.X]), np.float64(screen[i, pj.Y])
            a, b, c = screen[i, pj.CONIC_XX], screen[i, pj.CONIC_XY], screen[i, pj.CONIC_YY]
            t = np.float64(screen[i, pj.T])
            ry = math.sqrt(t * screen[i, pj.VAR_Y])
            # The height at which the ellipse reaches farthest right; farthest left at its negative.
            turn = screen[i, pj.COV_XY] * math.sqrt(t / screen[i, pj.VAR_X])
            first = int(max(0.0, math.floor((my - ry) / TILE)))
            last = int(min(rows - 1.0, math.floor((my + ry) / TILE)))
            for row in range(first, last + 1):
                low = max(row * TILE - my, -ry)
                high = min(row * TILE + (TILE - 1.0) - my, ry)
                dy = min(max(turn, low), high)
                right = (math.sqrt(max(0.0, b * b * dy * dy - a * (c * dy * dy - t))) - b * dy) / a
                dy = min(max(-turn, low), high)
                left = (-math.sqrt(max(0.0, b * b * dy * dy - a * (c * dy * dy - t))) - b * dy) / a
                from_column = int(max(0.0, math.floor((mx + left - 0.01) / TILE)))
                to_column = int(min(columns - 1.0, math.floor((mx + right + 0.01) / TILE)))
                for tile in range(row * columns + from_column, row * columns + to_column + 1):
                    if write:
                        pairs[cursor[tile]] = i
                    cursor[tile] += 1
