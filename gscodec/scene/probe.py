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
from gscodec.sanitise import usable
from gscodec.scene.camera import Camera
from gscodec.scene.depths import rough_order
from gscodec.transform.harmonics import SH_DC, sh_basis

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]

COLUMNS, ROWS = 48, 36
MAX_SPLATS = 40_000  # of a larger cloud a random part stands for all, each splat as much larger
NEAR_PLANE = 0.2  # world units: what is closer is not drawn by the rasteriser of Kerbl et al. 2023
COLUMN, ROW, REACH, DEPTH = range(4)  # of what is known of a splat in an image, in cells but for the depth
JUDGED = 4  # every such splat that is seen has its colours judged
PASSED = 0.01  # part of the light; a row of which no cell lets as much pass is closed
LOOKED_AFTER = 64  # splats after which rows are looked through for such
ORDERED = 4096  # bins of depths
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
    sh: F32
    normals: F64


@dataclass(frozen=True, eq=False)
class Glance:
    """``depths`` [ROWS,COLUMNS]: where half of the light has stopped, inf where it never does; ``cover``: the part
    of the image that is covered; ``grain``: median radius of what is seen, in parts of the focal length;
    ``junk``: mean amount by which SH drive colours out of 0..1, as they do in directions that were never trained;
    ``framed``: the part of the splats that should be in the image that is, behind others or not; ``trained``: mean
    energy of the harmonics of what is seen over what they have in all directions together, which is above 1 where
    cameras have been and below where nothing has pulled at colours; 0 without harmonics.
    """

    depths: F64
    cover: float
    grain: float
    junk: float
    framed: float
    trained: float


def subject(cloud: GaussianCloud, rng: np.random.Generator) -> Subject:
    """Visible splats of a cloud that a file keeps, at most MAX_SPLATS of them."""
    scales = np.sort(cloud.log_scales.astype(np.float64), axis=1)
    index = np.flatnonzero(usable(cloud)[0] & (cloud.opacity_logits > -4.0))
    swell = 1.0
    if len(index) > MAX_SPLATS:
        swell = math.sqrt(len(index) / MAX_SPLATS)
        index = np.sort(rng.choice(index, MAX_SPLATS, replace=False))
    # Area of the two longer axes, as a round splat has it.
    grain = np.exp((scales[index, 1] + scales[index, 2]) / 2.0)
    logits = cloud.opacity_logits[index].astype(np.float64)
    rest = cloud.sh_rest[index, :8]
    sh = np.zeros((len(index), 9, 3), np.float32)
    sh[:, 0] = cloud.sh_dc[index]
    sh[:, 1 : 1 + rest.shape[1]] = rest
    opacities = 1.0 / (1.0 + np.exp(-logits))
    return Subject(
        cloud.positions[index].astype(np.float64), grain * swell, opacities, grain, sh, _normals(cloud, index)
    )


def _normals(cloud: GaussianCloud, index: npt.NDArray[np.int64]) -> F64:
    """The thinnest axis of each splat, a unit vector [n,3]."""
    quats = cloud.quats_wxyz[index].astype(np.float64)
    w, x, y, z = (quats / np.linalg.norm(quats, axis=1, keepdims=True)).T
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
    image = _image(seen, camera, within)
    splats, index, weights, depths, framed = image.splats, image.index, image.weights, image.depths, image.framed
    total = float(weights.sum())
    if total <= 0.0:
        return Glance(depths, 0.0, 0.0, 0.0, framed, 0.0)
    hit = weights > 0.0
    index, weights = index[hit], weights[hit]
    grain = seen.grain[index] / splats[hit, DEPTH]
    order = rough_order(grain.astype(np.float32), ORDERED)
    middle = order[np.searchsorted(np.cumsum(weights[order]), total / 2.0)]
    few = slice(0, None, JUDGED)
    junk, trained = _colours(seen.positions, seen.sh, camera.centre, index[few], weights[few])
    return Glance(depths, float(1.0 - image.passed.mean()), float(grain[middle]), junk, framed, trained)


def light(seen: Subject, camera: Camera) -> F64:
    """What each splat [n] adds to the image of ``camera``, in cells."""
    image = _image(seen, camera, np.zeros(len(seen.positions), np.bool_))
    found = np.zeros(len(seen.positions))
    found[image.index] = image.weights
    return found


@dataclass(frozen=True, eq=False)
class _Image:
    """Splats as _project has them, ``index`` and ``framed`` too; what each adds; what passes them all."""

    splats: F32
    index: npt.NDArray[np.int32]
    framed: float
    weights: F64
    depths: F64
    passed: F64


def _image(seen: Subject, camera: Camera, within: npt.NDArray[np.bool_]) -> _Image:
    intrinsics = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    intrinsics *= np.tile([COLUMNS / camera.width, ROWS / camera.height], 2)
    splats, index, framed = _project(seen.positions, seen.radii, within, camera.world_to_camera, intrinsics)
    depths, passed = np.full((ROWS, COLUMNS), np.inf), np.ones((ROWS, COLUMNS))
    weights = np.zeros(len(index))
    _blend(splats, seen.opacities, index, rough_order(splats[:, DEPTH], ORDERED), depths, passed, weights)
    return _Image(splats, index, framed, weights, depths, passed)


@njit(cache=True, nogil=True, error_model="numpy")
def _project(
    positions: F64, radii: F64, within: npt.NDArray[np.bool_], view: F64, intrinsics: F64
) -> tuple[F32, npt.NDArray[np.int32], float]:
    """Column, row, reach and depth [m,4] of the splats in the image, which they are [m], and Glance.framed.

    ``intrinsics``: focal lengths and the middle in cells.
    """
    focal_x, focal_y, middle_x, middle_y = intrinsics
    found, index = np.empty((len(positions), 4), np.float32), np.empty(len(positions), np.int32)
    count = inside = wanted = 0
    for i in range(len(positions)):
        x, y, z = positions[i, 0], positions[i, 1], positions[i, 2]
        wanted += within[i]
        depth = view[2, 0] * x + view[2, 1] * y + view[2, 2] * z + view[2, 3]
        if not depth > NEAR_PLANE:
            continue
        column = focal_x * (view[0, 0] * x + view[0, 1] * y + view[0, 2] * z + view[0, 3]) / depth + middle_x
        row = focal_y * (view[1, 0] * x + view[1, 1] * y + view[1, 2] * z + view[1, 3]) / depth + middle_y
        inside += within[i] and 0.0 < column < COLUMNS and 0.0 < row < ROWS
        reach = radii[i] * focal_x / depth
        margin = min(3.0 * reach, MAX_REACH)
        if not depth > 0.3 * radii[i] or not -margin < column < COLUMNS + margin or not -margin < row < ROWS + margin:
            continue
        found[count, COLUMN], found[count, ROW], found[count, REACH], found[count, DEPTH] = column, row, reach, depth
        index[count] = i
        count += 1
    return found[:count], index[:count], inside / wanted if wanted else 0.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _blend(
    splats: F32,
    opacities: F64,
    index: npt.NDArray[np.int32],
    order: npt.NDArray[np.int32],
    depths: F64,
    passed: F64,
    weights: F64,
) -> None:
    """Composite in ``order``, front to back, while anything passes; a splat smaller than a cell counts by its area."""
    height, width = passed.shape
    across, light = np.empty(width), np.empty(width)
    open_rows = np.ones(height, np.bool_)
    for n in range(len(order)):
        if n % LOOKED_AFTER == 0:
            for row in range(height):
                open_rows[row] = passed[row].max() >= PASSED
            if not open_rows.any():
                break
        i = order[n]
        at_x, at_y, reach = np.float64(splats[i, COLUMN]), np.float64(splats[i, ROW]), np.float64(splats[i, REACH])
        depth = np.float64(splats[i, DEPTH])
        # A box filter as wide as a cell blurs the splat and lowers its peak as much.
        variance = reach * reach + 0.1
        peak, inverse = opacities[index[i]] * reach * reach / variance, -0.5 / variance
        limit = min(3.0 * math.sqrt(variance), MAX_REACH)
        first, last = max(0, math.ceil(at_y - 0.5 - limit)), min(height - 1, int(at_y - 0.5 + limit))
        left, right = max(0, math.ceil(at_x - 0.5 - limit)), min(width - 1, int(at_x - 0.5 + limit))
        for column in range(left, right + 1):
            dx = column + 0.5 - at_x
            across[column] = peak * math.exp(dx * dx * inverse)
        for row in range(first, last + 1):
            if not open_rows[row]:
                continue
            dy = row + 0.5 - at_y
            down, total = math.exp(dy * dy * inverse), 0.0
            # Without a branch, as vector instructions want it.
            for column in range(left, right + 1):
                light[column] = across[column] * down * passed[row, column]
                passed[row, column] -= light[column]
                total += light[column]
                depths[row, column] = min(depths[row, column], depth if passed[row, column] < 0.5 else math.inf)
            weights[i] += total


@njit(cache=True, nogil=True)
def _colours(positions: F64, sh: F32, centre: F64, index: npt.NDArray[np.int32], weights: F64) -> tuple[float, float]:
    """Glance.junk and Glance.trained: means over the splats ``index`` [m] by their weights, seen from ``centre``."""
    basis = np.empty(8)
    junk, trained, total, varied = 0.0, 0.0, 0.0, 0.0
    for n in range(len(index)):
        i = index[n]
        x, y, z = positions[i, 0] - centre[0], positions[i, 1] - centre[1], positions[i, 2] - centre[2]
        length = math.sqrt(x * x + y * y + z * z)
        sh_basis(x / length, y / length, z / length, 8, basis)
        beyond, here, anywhere = 0.0, 0.0, 0.0
        for channel in range(3):
            plain = 0.5 + SH_DC * sh[i, 0, channel]
            added = 0.0
            for k in range(8):
                added += basis[k] * sh[i, k + 1, channel]
                anywhere += sh[i, k + 1, channel] ** 2
            here += added * added
            colour = plain + added
            beyond += max(-colour, colour - 1.0, 0.0) - max(-plain, plain - 1.0, 0.0)
        junk += weights[n] * max(beyond, 0.0)
        total += weights[n]
        # Harmonics are orthonormal over the sphere, whose area is 4 pi.
        if anywhere > 0.0:
            trained += weights[n] * here * 4.0 * math.pi / anywhere
            varied += weights[n]
    return junk / total, trained / varied if varied > 0.0 else 0.0
