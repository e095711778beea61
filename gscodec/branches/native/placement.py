"""Decoded GEOMETRY, the ground of all other attributes, and the neighbours that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gscodec.branches.native.syntax import Params, weight_logs
from gscodec.transform.neighbours import level_starts, levels, neighbour_weights, predict_level

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]


def as_float32(positions: F64) -> F32:
    """Rounded; a file may place splats at infinity."""
    with np.errstate(over="ignore"):
        return positions.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Of the n splats of a tile in coding order: starts of the levels, weights int16[n,8] of the neighbours."""

    starts: I64
    weights: npt.NDArray[np.int16]

    @classmethod
    def find(cls, points: I64, features: I64) -> Neighbours:
        """As ``neighbour_weights`` has them."""
        starts = level_starts(len(points))
        return cls(starts, neighbour_weights(points, features, starts))

    def levels(self) -> Iterator[tuple[int, int, int]]:
        """As ``transform.neighbours.levels`` has them."""
        return levels(self.starts)

    def predict(self, ranked: I64, level: int) -> I64:
        """int64[m] of the m splats of a level from ``ranked`` (of ``ranked_zeros``) values of higher ones."""
        return np.asarray(predict_level(ranked, self.weights, self.starts, level))


@dataclass(frozen=True, eq=False)
class Placement:
    """Of the n splats of a tile, arrays in coding order.

    exact float64[n,3] positions, sizes float64[n] of the parts of cells that they lie in; positions float32[n,3], the
    same, rounded; points int64[n,3], middles of these parts in halves of the smallest one; weights uint8[n] weight
    classes; places int64[n] position classes, distances int64[n], both as logs in 1/65536 octave; near, the neighbours
    by position alone.
    """

    exact: F64
    sizes: F64
    positions: F32
    points: I64
    weights: U8
    places: I64
    distances: I64
    near: Neighbours

    def features(self, opacity_logs: I64) -> I64:
        """int64[n,4]: what log scales are predicted from."""
        columns = (weight_logs(self.weights), self.places, self.distances, opacity_logs)
        return np.ascontiguousarray(np.stack(columns, axis=1))

    def pixel_logs(self, params: Params) -> I64:
        """log2 of the pixels that a world unit covers at each splat, int64[n] in 1/65536 octave."""
        return np.asarray(params.values["pixel_log"] - self.distances)
