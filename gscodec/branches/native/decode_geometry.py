"""GEOMETRY of a tile of the native branch decoded: the octrees, the parts of their leaves, weight classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import TILE_GEOMETRY
from bitstream_spec.tables import CELL_PARTS, MAX_DEPTH, WEIGHT_CLASSES
from gscodec.branches.native.placement import Neighbours, Placement, as_float32
from gscodec.branches.native.syntax import (
    LEAF_COUNT,
    PART,
    Params,
    aligned_points,
    cell_intervals,
    cell_sizes,
    curve_order,
    distance_logs,
    high_contexts,
    low_contexts,
    neighbour_weight_contexts,
    parts_of_cells,
    weight_contexts,
    weight_heights,
)
from gscodec.entropy.planes import PlaneReader
from gscodec.entropy.tables import FrequencyTables
from gscodec.errors import CorruptStreamError
from gscodec.transform.fixed import OCTAVE
from gscodec.transform.intervals import centres
from gscodec.transform.neighbours import put_ranked, ranked_zeros
from gscodec.transform.octree import POPULATION, positions_of, split_nodes

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]


def decode_geometry(payload: bytes, params: Params, tables: FrequencyTables, count: int) -> Placement:
    """Positions and weight classes of a tile of ``count`` splats. Raises CorruptStreamError."""
    if len(payload) < TILE_GEOMETRY.size:
        raise CorruptStreamError("truncated", field="GEOMETRY", found=len(payload), allowed=f">= {TILE_GEOMETRY.size}")
    head = TILE_GEOMETRY.unpack(payload)
    fault = TILE_GEOMETRY.first_fault(head)
    if fault is not None:
        raise CorruptStreamError("bad tile", field=fault.name, found=head[fault.name], allowed=fault.allowed_text)
    if not all(abs(x) <= 2.0**100 for x in head["origin"]):
        raise CorruptStreamError("bad tile", field="origin", found=head["origin"], allowed="-2**100 .. 2**100")
    reader = PlaneReader(payload[TILE_GEOMETRY.size :], tables)
    cells, depths = _decode_leaves(reader, head["depth_mask"], count)
    repeats = reader.get(LEAF_COUNT, len(depths)).astype(np.int64) + 1
    if int(repeats.sum()) != count:
        raise CorruptStreamError(
            "leaves do not hold the tile's splats", field="GEOMETRY", found=int(repeats.sum()), allowed=count
        )
    cells, depths = np.repeat(cells, repeats, axis=0), np.repeat(depths, repeats)
    codes = np.stack([reader.get(PART, count) for _ in range(3)])
    if codes.max() >= CELL_PARTS:
        found = int(codes.max())
        raise CorruptStreamError("no part of a cell", field="GEOMETRY", found=found, allowed=f"< {CELL_PARTS}")
    intervals = cell_intervals(count)
    within = np.stack([centres(code, intervals, params.machine) for code in codes], axis=1)
    parts = parts_of_cells(cells, codes)
    order = curve_order(parts, depths)
    # Rows by np.take: it copies them at once where indexing goes through each number.
    cells, within, parts = np.take(cells, order, axis=0), np.take(within, order, axis=0), np.take(parts, order, axis=0)
    depths = depths[order]
    points = aligned_points(parts, depths)
    near = Neighbours.find(points, np.zeros((count, 0), np.int64))
    weights = _decode_weights(reader, depths, near)
    reader.finish()
    if weights.max() >= WEIGHT_CLASSES:
        raise CorruptStreamError(
            "bad weight class", field="GEOMETRY", found=int(weights.max()), allowed=f"< {WEIGHT_CLASSES}"
        )
    exponent = head["exponent"]
    sizes = cell_sizes(params.values["cell_size"], exponent, depths)
    exact = positions_of(cells, within, np.array(head["origin"]), sizes)
    positions = as_float32(exact)
    places = (depths.astype(np.int64) - exponent) * OCTAVE
    distances = distance_logs(positions, params)
    return Placement(exact, sizes / CELL_PARTS, positions, points, weights.astype(np.uint8), places, distances, near)


def _decode_weights(reader: PlaneReader, depths: U8, near: Neighbours) -> U32:
    weights, heights = np.empty(len(depths), np.uint32), ranked_zeros(len(depths))
    for level, start, stop in near.levels():
        own = depths[start:stop]
        contexts = neighbour_weight_contexts(own, near.predict(heights, level)) if start else weight_contexts(own)
        weights[start:stop] = np.minimum(reader.get(contexts), WEIGHT_CLASSES)
        put_ranked(weight_heights(weights[start:stop], own), level, heights)
    return weights


def _decode_leaves(reader: PlaneReader, depth_mask: int, count: int) -> tuple[U32, U8]:
    """Distinct leaves, (cells uint32[m,3], depths uint8[m]), m <= count."""
    depths = np.array([d for d in range(MAX_DEPTH, -1, -1) if depth_mask >> d & 1], np.uint8)
    cells, family = np.zeros((len(depths), 3), np.uint32), np.zeros(len(depths), np.uint8)
    for level in range(MAX_DEPTH):
        growing = depths > level
        nodes = int(np.count_nonzero(growing))
        if nodes == 0:
            break
        left, parents = depths[growing] - np.uint8(level), family[growing]
        low = reader.get(low_contexts(left, parents))
        if low.max() > 15:
            raise CorruptStreamError("bad occupancy", field="GEOMETRY", found=int(low.max()), allowed="<= 15")
        high = reader.get(high_contexts(left, parents, low))
        occupancy = (high << np.uint32(4) | low) & np.uint32(0xFF)
        if high.max() > 15 or occupancy.min() == 0:
            raise CorruptStreamError("bad occupancy", field="GEOMETRY", found=(int(high.max()), int(occupancy.min())))
        total = len(depths) - nodes + int(POPULATION[occupancy].sum())
        if total > count:
            raise CorruptStreamError("more leaves than splats", field="GEOMETRY", found=total, allowed=f"<= {count}")
        cells, depths, family = split_nodes(cells, depths, level, occupancy.astype(np.uint8), family)
    if len(depths) > count:
        raise CorruptStreamError("more leaves than splats", field="GEOMETRY", found=len(depths), allowed=f"<= {count}")
    return cells, depths
