"""The nearest centroid of every point, found by comparing all with all: the slow part of a k-means on the CPU.

    python -m gscodec_tools.nearest_centroids POINTS CENTROIDS COLUMNS < tables > labels

The three numbers are sizes. Standard input is the points and then the centroids, column after column, as float32 of the
machine's byte order; standard output an uint32 for each point. tools/peers/nearest.mjs runs it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError, GsbError

F32 = npt.NDArray[np.float32]
U32 = npt.NDArray[np.uint32]

BLOCK = 1 << 24  # distances at a time, of 8 bytes


def nearest_centroids(points: F32, centroids: F32) -> U32:
    """uint32[n]: the centroid of least squared distance of each point, of equal ones the first.

    ``points`` float32[n,d], ``centroids`` float32[k,d], k > 0. The distance is taken as |c|² - 2 x·c in float64, whose
    rounding decides between centroids that are closer to each other in distance than that. Raises BadInputError
    for values that are not finite and for no centroid.
    """
    if not (len(centroids) and np.isfinite(points).all() and np.isfinite(centroids).all()):
        raise BadInputError(
            "no nearest centroid", field="centroids", found="none, or NaN or infinity", allowed="finite"
        )
    exact = centroids.T.astype(np.float64)
    table = np.vstack([exact, np.square(exact).sum(axis=0)])  # |c|² as one more column of c, where points have 1
    labels = np.empty(len(points), np.uint32)
    rows = max(1, BLOCK // len(centroids))
    distances = np.empty((rows, len(centroids)))
    for start in range(0, len(points), rows):
        part = points[start : start + rows].astype(np.float64)
        found = np.matmul(np.column_stack([-2.0 * part, np.ones(len(part))]), table, out=distances[: len(part)])
        labels[start : start + rows] = found.argmin(axis=1)
    return labels


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="nearest_centroids", description=(__doc__ or "").partition("\n")[0])
    for name in ("points", "centroids", "columns"):
        parser.add_argument(name, type=int)
    sizes = parser.parse_args(arguments)
    values = np.frombuffer(sys.stdin.buffer.read(), np.float32)
    try:
        expected = (sizes.points + sizes.centroids) * sizes.columns
        if len(values) != expected:
            raise BadInputError("input of another size", field="stdin", found=len(values), allowed=expected)
        split = sizes.points * sizes.columns
        points, centroids = (part.reshape(sizes.columns, -1).T for part in (values[:split], values[split:]))
        sys.stdout.buffer.write(nearest_centroids(points, centroids).tobytes())
    except GsbError as error:
        print(f"nearest_centroids: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
