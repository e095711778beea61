"""PUP 3D-GS' sensitivity (Hanson et al. 2025, "PUP 3D-GS", arXiv 2406.10219).

    U_j = ln det of H_j, H_j = sum over views, pixels and channels of g gᵀ

with g the gradient of the pixel's value by the splat's position and log-scales, in R^6. Rotation, colour and opacity
are left out, as in the paper. As published, views are made ``resolution`` = 4 times smaller; the released CUDA code
renders at that size (what is done here), its Python code sums gradients of 4x4 pixels first, which is another
quantity. Sizes are rounded to the nearest here, up there. A colour's dependence on the viewing direction, hence on
the position, is left out (``gscodec.render.cpu.fisher``).

A splat that no view sees, or whose matrix is singular (seen in a pixel or two), has -inf, below all others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.importance.seen import Views, seen
from gscodec.render import Renderer

F64 = npt.NDArray[np.float64]


def score(
    cloud: GaussianCloud, views: Views = None, renderer: Renderer | None = None, *, resolution: int = 4
) -> npt.NDArray[np.float32]:
    """ln det float32[N], positions in world units; -inf for a singular matrix.

    Raises BadInputError without views, for a renderer without Fisher information, and for a ``resolution`` that is
    not a whole number of at least 1.
    """
    if not 1 <= resolution < np.inf or resolution != int(resolution):
        raise BadInputError("bad resolution", field="resolution", found=resolution, allowed="1, 2, 3, ...")
    return log_determinants(seen(cloud, views, renderer).fisher_information(int(resolution))).astype(np.float32)


def log_determinants(triangles: F64) -> F64:
    """ln det [N] of symmetric 6x6 matrices from their upper triangles [N,21]; -inf unless it is above 0.

    The diagonal is taken out first, so that neither the unit of length nor a thin axis costs precision.
    """
    rows, columns = np.triu_indices(6)
    diagonal = triangles[:, rows == columns]
    result = np.full(len(triangles), -np.inf)
    possible = np.flatnonzero((diagonal > 0.0).all(axis=1))
    scale = np.sqrt(diagonal[possible])
    matrices = np.empty((len(possible), 6, 6))
    entries = triangles[possible] / (scale[:, rows] * scale[:, columns])
    matrices[:, rows, columns] = matrices[:, columns, rows] = entries
    sign, logarithm = np.linalg.slogdet(matrices)
    result[possible] = np.where(sign > 0, logarithm + 2.0 * np.log(scale).sum(axis=1), -np.inf)
    return result
