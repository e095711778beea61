"""A glance at a cloud from a camera: a tiny image of depths, and how well trained what it sees looks.

For placing cameras, not for showing: splats are round, and few enough for hundreds of glances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from gscodec.cloud import GaussianCloud
from gscodec.scene.camera import Camera

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]

COLUMNS, ROWS = 48, 36
MAX_SPLATS = 40_000  # of a larger cloud a random part stands for all, each splat as much larger
SH_C0 = 0.28209479177387814
NEAR_PLANE = 0.2  # world units: what is closer is not drawn by the rasteriser of Kerbl et al. 2023
MAX_REACH = 12  # cells: how far a splat is drawn; what is larger covers the image anyway


@dataclass(frozen=True, eq=False)
class Subject:
    """What is glanced at: positions [n,3], radii [n] (world units), opacities [n], SH of
    degrees 0 to 2 [n,9,3]; ``grain`` [n] is the radii as trained, before a part stood for all; normals [n,3].
    """

    positions: F64
    radii: F64
    opacities: F64
    grain: F64
    sh: F64
    normals: F64


@dataclass(frozen=True, eq=False)
class Glance:
    """``depths`` [ROWS,COLUMNS]: where half of the light has stopped, inf where it never does; ``cover``: the part
    of the image that is covered; ``grain``: median radius of what is seen, in parts of the focal length;
    ``junk``: mean amount by which SH drive colours out of 0..1, as they do in directions that were never trained;
    ``framed``: the part of the splats that should be in the image that is, behind others or not.
    """

    depths: F64
    cover: float
    grain: float
    junk: float
    framed: float


def subject(cloud: GaussianCloud, rng: np.random.Generator) -> Subject:
    """Finite, visible splats of a cloud, at most MAX_SPLATS of them."""
    scales = np.sort(cloud.log_scales.astype(np.float64), axis=1)
    finite = np.isfinite(cloud.positions).all(axis=1) & np.isfinite(scales).all(axis=1)
    finite &= np.isfinite(cloud.opacity_logits) & np.isfinite(cloud.sh_dc).all(axis=1)
    finite &= np.isfinite(cloud.sh_rest).all(axis=(1, 2)) & (cloud.opacity_logits > -4.0)
    finite &= (np.abs(cloud.positions) < 1e15).all(axis=1) & (np.abs(scales) < 60).all(axis=1)
    index = np.flatnonzero(finite)
    swell = 1.0
    if len(index) > MAX_SPLATS:
        swell = math.sqrt(len(index) / MAX_SPLATS)
        index = np.sort(rng.choice(index, MAX_SPLATS, replace=False))
    # Area of the two longer axes, as a round splat has it.
    grain = np.exp((scales[index, 1] + scales[index, 2]) / 2.0)
    logits = cloud.opacity_logits[index].astype(np.float64)
    rest = cloud.sh_rest[index, :8].astype(np.float64)
    sh = np.zeros((len(index), 9, 3))
    sh[:, 0] = cloud.sh_dc[index]
    sh[:, 1 : 1 + rest.shape[1]] = rest
    opacities = 1.0 / (1.0 + np.exp(-logits))
    return Subject(
        cloud.positions[index].astype(np.float64), grain * swell, opacities, grain, sh, _normals(cloud, index)
    )


def _normals(cloud: GaussianCloud, index: npt.NDArray[np.int64]) -> F64:
    """The thinnest axis of each splat, a unit vector [n,3]."""
    quats = cloud.quats_wxyz[index].astype(np.float64)
    length = np.linalg.norm(quats, axis=1, keepdims=True)
    usable = np.isfinite(length) & (length > 0)
    w, x, y, z = np.where(usable, quats / np.where(usable, length, 1.0), [1.0, 0.0, 0.0, 0.0]).T
    axes = np.stack(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
            [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
            [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    thinnest = np.argmin(cloud.log_scales[index], axis=1)
    return np.asarray(axes[thinnest, :, np.arange(len(index))], np.float64)


def glance(seen: Subject, camera: Camera, within: npt.NDArray[np.bool_]) -> Glance:
    """What ``camera`` sees of a subject whose splats ``within`` [n] should be in the image."""
    local = seen.positions @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    x, y = COLUMNS / camera.width, ROWS / camera.height
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        columns = (camera.fx * local[:, 0] / local[:, 2] + camera.cx) * x
        rows = (camera.fy * local[:, 1] / local[:, 2] + camera.cy) * y
        reach = seen.radii * camera.fx * x / local[:, 2]
    margin = np.minimum(3.0 * reach, MAX_REACH)
    shown = (
        (local[:, 2] > np.maximum(0.3 * seen.radii, NEAR_PLANE)) & (columns > -margin) & (columns < COLUMNS + margin)
    )
    index = np.flatnonzero(shown & (rows > -margin) & (rows < ROWS + margin))
    index = index[np.argsort(local[index, 2], kind="stable")]
    depths, passed = np.full((ROWS, COLUMNS), np.inf), np.ones((ROWS, COLUMNS))
    weights = np.zeros(len(index))
    _blend(columns[index], rows[index], reach[index], local[index, 2], seen.opacities[index], depths, passed, weights)
    inside = (columns > 0) & (columns < COLUMNS) & (rows > 0) & (rows < ROWS) & (local[:, 2] > NEAR_PLANE)
    framed = float(inside[within].mean()) if within.any() else 0.0
    total = float(weights.sum())
    if total <= 0.0:
        return Glance(depths, 0.0, 0.0, 0.0, framed)
    hit = weights > 0.0
    index, weights = index[hit], weights[hit]
    directions = seen.positions[index] - camera.centre
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    plain = 0.5 + SH_C0 * seen.sh[index, 0]
    colours = plain + np.einsum("nk,nkc->nc", _basis(directions)[:, 1:], seen.sh[index, 1:])
    beyond = np.maximum(_beyond(colours) - _beyond(plain), 0.0)
    grain = seen.grain[index] / local[index, 2]
    order = np.argsort(grain, kind="stable")
    middle = order[np.searchsorted(np.cumsum(weights[order]), total / 2.0)]
    return Glance(
        depths, float(1.0 - passed.mean()), float(grain[middle]), float((weights * beyond).sum() / total), framed
    )


def _beyond(colours: F64) -> F64:
    return np.asarray(np.maximum(np.maximum(-colours, colours - 1.0), 0.0).sum(axis=1), np.float64)


def _basis(directions: F64) -> F64:
    """Real SH of degrees 0 to 2 [n,9] in the order and signs of 3DGS, for unit directions [n,3]."""
    x, y, z = directions.T
    return np.stack(
        [
            np.full_like(x, SH_C0),
            -0.4886025119029199 * y,
            0.4886025119029199 * z,
            -0.4886025119029199 * x,
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2.0 * z * z - x * x - y * y),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),
        ],
        axis=1,
    )


@njit(cache=True, nogil=True)
def _blend(
    columns: F64, rows: F64, reach: F64, depth: F64, opacities: F64, depths: F64, passed: F64, weights: F64
) -> None:
    """Composite front to back; a splat smaller than a cell counts by its area."""
    height, width = passed.shape
    for n in range(len(columns)):
        # A box filter as wide as a cell blurs the splat and lowers its peak as much.
        variance = reach[n] * reach[n] + 0.1
        peak = opacities[n] * reach[n] * reach[n] / variance
        limit = min(3.0 * math.sqrt(variance), MAX_REACH)
        first, last = max(0, math.ceil(rows[n] - 0.5 - limit)), min(height - 1, int(rows[n] - 0.5 + limit))
        left, right = max(0, math.ceil(columns[n] - 0.5 - limit)), min(width - 1, int(columns[n] - 0.5 + limit))
        for row in range(first, last + 1):
            dy = row + 0.5 - rows[n]
            for column in range(left, right + 1):
                if passed[row, column] < 0.01:
                    continue
                dx = column + 0.5 - columns[n]
                alpha = peak * math.exp(-0.5 * (dx * dx + dy * dy) / variance)
                weights[n] += alpha * passed[row, column]
                passed[row, column] *= 1.0 - alpha
                if passed[row, column] < 0.5 and depths[row, column] == math.inf:
                    depths[row, column] = depth[n]
