"""The cloud that training starts from: one small ball for each point of structure from motion, or random points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gscodec.cloud import SH_REST_COUNTS, GaussianCloud
from gscodec.errors import BadInputError
from gscodec.scene.camera import Camera
from gscodec.scene.colmap import SfmPoints
from gscodec.train.options import TrainOptions
from gscodec.units import dc_from_rgb, log_from_scale, logit_from_opacity

F64 = npt.NDArray[np.float64]

NEIGHBOURS = 3  # a ball is as large as the mean distance to these
SMALLEST = 1e-5  # of the extent: radius of balls that lie on each other
EXTENT_MARGIN = 1.1
CANDIDATES = 2  # random points tried for each one wanted
NEAREST, FARTHEST = 0.25, 1.75  # depths of random points, as parts of the distance at which the cameras look
PARALLEL = 0.01  # smallest share of axes across a direction that still fixes a point along it
GREY = 128  # colour of random points


def scene_extent(cameras: Sequence[Camera], points: SfmPoints | None) -> float:
    """The radius of the scene, which learning rates and sizes are relative to: that of the camera positions and 10 %.

    Where all cameras stand at one place: the median distance of the points from it, or 1.
    """
    centres = np.array([camera.centre for camera in cameras])
    middle = centres.mean(axis=0)
    radius = float(np.linalg.norm(centres - middle, axis=1).max())
    if radius > 0.0:
        return EXTENT_MARGIN * radius
    distance = float(np.median(np.linalg.norm(points.xyz - middle, axis=1))) if points and len(points.xyz) else 0.0
    return distance if distance > 0.0 else 1.0


def initial_cloud(cameras: Sequence[Camera], points: SfmPoints | None, options: TrainOptions) -> GaussianCloud:
    """A ball per point, at most ``options.max_splats`` of them; without points, grey ones at random places.

    Raises BadInputError for points that are not finite.
    """
    rng = np.random.default_rng(options.seed)
    if points is None or len(points.xyz) == 0:
        count = min(options.random_points, options.max_splats or options.random_points)
        xyz = common_view_points(cameras, count, rng)
        points = SfmPoints(xyz, np.full((len(xyz), 3), GREY, np.uint8))
    if not np.isfinite(points.xyz).all():
        raise BadInputError("point is not finite", field="points", found="NaN or infinity", allowed="finite values")
    count = len(points.xyz)
    if options.max_splats is not None and count > options.max_splats:
        chosen = np.sort(rng.choice(count, options.max_splats, replace=False))
        points, count = SfmPoints(points.xyz[chosen], points.rgb[chosen]), options.max_splats
    radii = np.maximum(neighbour_distances(points.xyz), SMALLEST * scene_extent(cameras, points))
    return GaussianCloud(
        positions=np.ascontiguousarray(points.xyz, np.float32),
        log_scales=np.repeat(log_from_scale(radii).astype(np.float32)[:, None], 3, axis=1),
        quats_wxyz=np.tile(np.array([1.0, 0.0, 0.0, 0.0], np.float32), (count, 1)),
        opacity_logits=np.full(count, logit_from_opacity(np.array(options.initial_opacity)), np.float32),
        sh_dc=dc_from_rgb(points.rgb.astype(np.float32) / 255.0).astype(np.float32),
        sh_rest=np.zeros((count, SH_REST_COUNTS[options.sh_degree], 3), np.float32),
    )


def neighbour_distances(xyz: npt.NDArray[np.float32]) -> F64:
    """Mean distance [M] of each point [M,3] to its three nearest, fewer if there are fewer; 0 for a single one."""
    neighbours = min(NEIGHBOURS, len(xyz) - 1)
    if neighbours == 0:
        return np.zeros(len(xyz))
    distances, _ = cKDTree(xyz).query(xyz, k=neighbours + 1)
    return np.asarray(distances[:, 1:].mean(axis=1), np.float64)


def common_view_points(cameras: Sequence[Camera], count: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Up to ``count`` random points [M,3], M >= 1, that many cameras see: at least half as many as see the best one."""
    distance = looking_distance(cameras)
    tried = CANDIDATES * count
    xyz = np.empty((tried, 3))
    which = rng.integers(len(cameras), size=tried)
    u, v, depth = rng.uniform(size=tried), rng.uniform(size=tried), distance * rng.uniform(NEAREST, FARTHEST, tried)
    for number, camera in enumerate(cameras):
        mine = which == number
        x = (u[mine] * camera.width - camera.cx) / camera.fx * depth[mine]
        y = (v[mine] * camera.height - camera.cy) / camera.fy * depth[mine]
        inverse = np.linalg.inv(camera.world_to_camera)
        xyz[mine] = np.column_stack([x, y, depth[mine]]) @ inverse[:3, :3].T + inverse[:3, 3]
    seen = np.zeros(tried, np.int64)
    for camera in cameras:
        seen += _sees(camera, xyz, FARTHEST * distance)
    common: npt.NDArray[np.float32] = xyz[seen >= 0.5 * seen.max()][:count].astype(np.float32)
    return common


def looking_distance(cameras: Sequence[Camera]) -> float:
    """How far from the cameras lies what they look at: where their axes meet, if they do.

    Axes that are parallel or go apart tell nothing; then three times the radius of the camera positions, or 1.
    """
    centres = np.array([camera.centre for camera in cameras])
    axes = np.array([camera.world_to_camera[2, :3] for camera in cameras])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    spread = float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max())
    if np.linalg.eigvalsh(across.mean(axis=0))[0] > PARALLEL:
        meeting = np.linalg.solve(across.sum(axis=0), np.einsum("nij,nj->i", across, centres))
        depth = float(np.median(((meeting - centres) * axes).sum(axis=1)))
        if depth > 0.5 * spread:
            return depth
    return 3.0 * spread if spread > 0.0 else 1.0


def _sees(camera: Camera, xyz: F64, farthest: float) -> npt.NDArray[np.bool_]:
    local = xyz @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    depth = local[:, 2]
    ahead = np.maximum(depth, 1e-12)
    x, y = camera.fx * local[:, 0] / ahead + camera.cx, camera.fy * local[:, 1] / ahead + camera.cy
    inside = (x >= 0) & (x <= camera.width) & (y >= 0) & (y <= camera.height)
    seen: npt.NDArray[np.bool_] = inside & (depth > 0) & (depth <= farthest)
    return seen
