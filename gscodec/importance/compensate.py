"""Let the splats that stay take over what pruned ones showed.

Each pruned splat leaves its mass, opacity times area, to the nearest that stay, by how much their Gaussians cover its
centre; what nothing covers is lost. An heir becomes denser, a little larger, and of the mean colour. No view is
rendered. The shares between density, size and colour are measured ones (docs/experiments.md).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from numba import get_num_threads, njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.sanitise import usable
from gscodec.units import logit_from_opacity, opacity_from_logit

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

HEIRS = 8  # nearest splats that are asked
COVERED = 0.5  # sum of covers from which on a splat is wholly taken over
DENSER, LARGER = 0.9, 0.1  # parts of the inherited mass
MOST = 2.0  # of its own mass is what an heir can take over: a faint one must not grow over a bright one's place
OPAQUE = 0.9999  # no heir becomes denser than that
_BLOCK = 1 << 18  # splats asked for at once; bounds the temporary arrays


def compensated(cloud: GaussianCloud, kept: npt.NDArray[np.bool_]) -> GaussianCloud:
    """The splats of mask ``kept`` bool[N], in their order, changed to make up for the others.

    Splats that cannot be rendered inherit and leave nothing.
    """
    sound = usable(cloud)[0]
    gone, heirs = np.flatnonzero(sound & ~kept), np.flatnonzero(sound & kept)
    if not len(gone) or not len(heirs):
        return cloud.select(kept)
    opacity = np.clip(opacity_from_logit(cloud.opacity_logits.astype(np.float64)), 1e-12, 1.0)
    mass = np.full(len(cloud), 1e-300)
    axes = np.sort(cloud.log_scales[sound].astype(np.float64), axis=1)
    mass[sound] = np.maximum(opacity[sound] * np.exp(axes[:, 1] + axes[:, 2]), 1e-300)
    inherited = np.zeros((len(cloud), 4))
    from scipy.spatial import cKDTree  # here, as gsenc imports all scores and few are used

    tree = cKDTree(cloud.positions[heirs])
    for start in range(0, len(gone), _BLOCK):
        block = gone[start : start + _BLOCK]
        nearest = tree.query(cloud.positions[block], k=min(HEIRS, len(heirs)), workers=get_num_threads())[1]
        asked = heirs[nearest.reshape(len(block), -1)]
        covers = _covers(block, asked, cloud.positions, cloud.log_scales, cloud.quats_wxyz)
        _leave(block, asked, covers, cloud.sh_dc, mass, inherited)
    growth = np.minimum(inherited[:, 3] / mass, MOST)
    denser = -np.expm1((1.0 + DENSER * growth) * np.log1p(-np.minimum(opacity, OPAQUE)))
    changed = (growth > 0.0) & kept
    logits, scales, colours = cloud.opacity_logits.copy(), cloud.log_scales.copy(), cloud.sh_dc.copy()
    thin = changed & (opacity < OPAQUE)
    logits[thin] = logit_from_opacity(np.minimum(denser[thin], OPAQUE))
    scales[changed] += 0.5 * np.log1p(LARGER * growth[changed])[:, None].astype(np.float32)
    colours[changed] += (inherited[changed, :3] / (mass + inherited[:, 3])[changed, None]).astype(np.float32)
    return replace(cloud, opacity_logits=logits, log_scales=scales, sh_dc=colours).select(kept)


@njit(cache=True, nogil=True, parallel=True)
def _covers(gone: I64, heirs: I64, positions: F32, log_scales: F32, quats: F32) -> F64:
    """Value float64 [n,k] of each heir's Gaussian at the centre of the splat ``gone`` [n]; heirs [n,k]."""
    covers = np.empty(heirs.shape, np.float64)
    for i in prange(len(gone)):
        for j in range(heirs.shape[1]):
            heir = heirs[i, j]
            covers[i, j] = _cover(positions[gone[i]], positions[heir], log_scales[heir], quats[heir])
    return covers


@njit(cache=True, nogil=True)
def _leave(gone: I64, heirs: I64, covers: F64, colours: F32, mass: F64, inherited: F64) -> None:
    """Add to ``inherited`` [N,4] the mass of splats ``gone`` [n], and mass times difference of SH DC before it."""
    for i in range(len(gone)):
        lost = gone[i]
        part = mass[lost] / max(COVERED, covers[i].sum())
        for j in range(heirs.shape[1]):
            heir = heirs[i, j]
            for channel in range(3):
                difference = np.float64(colours[lost, channel]) - np.float64(colours[heir, channel])
                inherited[heir, channel] += part * covers[i, j] * difference
            inherited[heir, 3] += part * covers[i, j]


@njit(cache=True, nogil=True)
def _cover(point: F32, centre: F32, log_scales: F32, quat: F32) -> float:
    """The Gaussian's value at a point, 1 at its centre."""
    w, x, y, z = np.float64(quat[0]), np.float64(quat[1]), np.float64(quat[2]), np.float64(quat[3])
    two = 2.0 / (w * w + x * x + y * y + z * z)
    dx = np.float64(point[0]) - np.float64(centre[0])
    dy = np.float64(point[1]) - np.float64(centre[1])
    dz = np.float64(point[2]) - np.float64(centre[2])
    # The rotation's columns are the axes.
    a = (1.0 - two * (y * y + z * z)) * dx + two * (x * y + w * z) * dy + two * (x * z - w * y) * dz
    b = two * (x * y - w * z) * dx + (1.0 - two * (x * x + z * z)) * dy + two * (y * z + w * x) * dz
    c = two * (x * z + w * y) * dx + two * (y * z - w * x) * dy + (1.0 - two * (x * x + y * y)) * dz
    a *= np.exp(-np.float64(log_scales[0]))
    b *= np.exp(-np.float64(log_scales[1]))
    c *= np.exp(-np.float64(log_scales[2]))
    return float(np.exp(-0.5 * (a * a + b * b + c * c)))
