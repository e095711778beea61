"""What encoder and decoder of the native branch share: parameters, contexts, sizes. No coding happens here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import NATIVE_PARAMS, StreamKind
from bitstream_spec.tables import CELL_PARTS, MAX_DEPTH, ROTATION_LEVELS, SPREAD_STEPS, WEIGHT_CLASSES, WEIGHT_ZERO
from gscodec.cloud import SH_REST_COUNTS
from gscodec.errors import CorruptStreamError
from gscodec.transform.energy import BUCKETS, NEAR_BUCKETS, PRIOR, plane_factors
from gscodec.transform.fixed import OCTAVE
from gscodec.transform.neighbours import level_order, spread_buckets
from gscodec.transform.octree import morton_codes
from gscodec.transform.scales import LIMIT
from gscodec.transform.steps import class_steps
from gscodec.transform.trellis import DEPENDENT, PLAIN

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]

AC_KINDS = (StreamKind.AC1, StreamKind.AC2, StreamKind.AC3, StreamKind.AC4)

# Contexts of GEOMETRY: low half of the occupancy byte by (levels left, children of the parent), high half
# by those more coarsely and the low half, splats in a leaf, parts of leaves, weight class by depth.
OCCUPANCY_HIGH = 16 * 4
LEAF_COUNT = OCCUPANCY_HIGH + 4 * 4 * 16
PART = LEAF_COUNT + 1
WEIGHT = PART + 1
_LEVEL_CONTEXTS = 4 * len(ROTATION_LEVELS)
RESIDUAL_BUCKETS = (4, 3)  # sizes of residuals of channel 0, and of channel 1, that tell about those after
SPREAD_BUCKETS = len(SPREAD_STEPS) + 2  # the last one of splats without neighbours
_DC_COUNTS = [SPREAD_BUCKETS * math.prod(RESIDUAL_BUCKETS[:channel]) for channel in range(3)]
BASE_COLOUR = [sum(_DC_COUNTS[:channel]) for channel in range(3)]  # first context of each channel
NEIGHBOUR_WEIGHT = WEIGHT + MAX_DEPTH + 1

# Tables of each stream, in the order of the TABLES stream. All AC streams share the tables of AC1.
TABLE_COUNTS: dict[StreamKind, int] = {
    StreamKind.GEOMETRY: WEIGHT + (MAX_DEPTH + 1) * (1 + WEIGHT_CLASSES),
    StreamKind.OPACITY: WEIGHT_CLASSES * 8,
    StreamKind.SCALE: WEIGHT_CLASSES * 6,
    StreamKind.ROTATION: _LEVEL_CONTEXTS,
    StreamKind.DC: sum(_DC_COUNTS),
    StreamKind.AC1: BUCKETS * NEAR_BUCKETS * 3,
}

# A file with a palette has one more group of tables behind that of AC, for weight classes and INDICES; contexts count
# through both. A splat says its entry by halving the palette, in contexts by how often that was done and by what
# neighbours vote for.
MAX_ENTRIES = 1 << 18
HALVINGS = 18
VOTES = 9
ENTRY_WEIGHT = TABLE_COUNTS[StreamKind.AC1]
INDEX = ENTRY_WEIGHT + 1
PALETTE_TABLES = INDEX + VOTES * HALVINGS

# Bounds of the parameters that NATIVE_PARAMS itself does not bound; NaN is within none.
_BOUNDS: dict[str, tuple[float, float]] = {
    "zone_centre": (-(2.0**100), 2.0**100),
    "zone_radius": (2.0**-100, 2.0**100),
    "cell_size": (2.0**-100, 2.0**100),
    "ac_step": (1, (1 << 24) - 1),
    **dict.fromkeys(("pixel_log", "direction_offset", "roll_offset"), (-LIMIT, LIMIT)),
    **dict.fromkeys(("middle_predictor", "long_predictor"), (-LIMIT, LIMIT)),
}

SCALE_CAP = OCTAVE
RATIO_CAP = OCTAVE // 2
COLOUR_CAP = 1 << 26


def table_group(kind: StreamKind) -> StreamKind:
    """The stream kind under which the tables of ``kind`` are filed."""
    return StreamKind.AC1 if kind in AC_KINDS else kind


def table_count(kind: StreamKind) -> int:
    """How many tables the planes of a stream of a tile choose from."""
    return PALETTE_TABLES if kind == StreamKind.INDICES else TABLE_COUNTS[table_group(kind)]


def stream_kinds(layers: int, palette: bool) -> tuple[StreamKind, ...]:
    """Kinds of the streams of every tile up to a layer of components, in the order in which they can be decoded."""
    fixed = (StreamKind.GEOMETRY, StreamKind.OPACITY, StreamKind.SCALE, StreamKind.ROTATION, StreamKind.DC)
    return fixed + ((StreamKind.INDICES,)[:layers] if palette else AC_KINDS[:layers])


def ac_range(degree: int) -> tuple[int, int]:
    """First coefficient beyond DC of an SH degree from 1, and the first of the next."""
    return degree * degree - 1, (degree + 1) * (degree + 1) - 1


def unpacked_bytes(kind: StreamKind, count: int, sh_degree: int) -> int:
    """Bytes of float32 that a stream gives for ``count`` splats of a file of ``sh_degree``: its raw_length."""
    if kind == StreamKind.INDICES:
        return 12 * SH_REST_COUNTS[sh_degree] * count
    if kind in AC_KINDS:
        return 12 * (2 * AC_KINDS.index(kind) + 3) * count
    sizes = {StreamKind.GEOMETRY: 12, StreamKind.OPACITY: 4, StreamKind.SCALE: 12, StreamKind.ROTATION: 16}
    return sizes.get(kind, 12) * count


@dataclass(frozen=True)
class Params:
    """Parameters of the whole file: the fields of NATIVE_PARAMS and the step tables that follow from them."""

    values: Mapping[str, Any]

    def pack(self) -> bytes:
        """The PARAMS payload."""
        return NATIVE_PARAMS.pack(self.values)

    @classmethod
    def unpack(cls, payload: bytes) -> Params:
        """Raises CorruptStreamError for a wrong size or a value that is not allowed."""
        if len(payload) != NATIVE_PARAMS.size:
            raise CorruptStreamError("wrong size", field="PARAMS", found=len(payload), allowed=NATIVE_PARAMS.size)
        values = NATIVE_PARAMS.unpack(payload)
        fault = NATIVE_PARAMS.first_fault(values)
        if fault is not None:
            raise CorruptStreamError(
                "bad parameter", field=fault.name, found=values[fault.name], allowed=fault.allowed_text
            )
        for name, (low, high) in _BOUNDS.items():
            found = values[name] if isinstance(values[name], tuple) else (values[name],)
            if not all(low <= x <= high for x in found):
                raise CorruptStreamError("bad parameter", field=name, found=found, allowed=f"{low} .. {high}")
        return cls(values)

    @cached_property
    def scale_steps(self) -> I64:
        """int64[WEIGHT_CLASSES], 1/65536 octave."""
        return class_steps(self.values["scale_step"], SCALE_CAP)

    @cached_property
    def ratio_steps(self) -> I64:
        """int64[WEIGHT_CLASSES], 1/65536."""
        return class_steps(self.values["ratio_step"], RATIO_CAP)

    @cached_property
    def opacity_steps(self) -> I64:
        """int64[WEIGHT_CLASSES], 1/65536 octave."""
        return class_steps(self.values["opacity_step"], SCALE_CAP)

    @cached_property
    def dc_steps(self) -> I64:
        """int64[WEIGHT_CLASSES], 1/1048576."""
        return class_steps(self.values["dc_step"], COLOUR_CAP)

    def ac_steps(self, degree: int) -> I64:
        """int64[WEIGHT_CLASSES] of SH degree 1..4, 1/1048576."""
        return class_steps(self.values["ac_step"][degree - 1], COLOUR_CAP)

    def first_energy(self, weights: U8) -> I32:
        """Energy int32[n,4] of splats before their first component beyond the mean colour."""
        prior = PRIOR * np.array(self.values["energy_prior"], np.int32)[weights]
        return np.ascontiguousarray(np.repeat(prior[:, None], 4, axis=1))

    @cached_property
    def plane_factors(self) -> I64:
        """int64[24,3,2], what ``energy_context`` takes of each component."""
        return plane_factors(np.array(self.values["profile"], np.int64).reshape(-1, 3))

    @property
    def machine(self) -> I64:
        """As ``transform.trellis`` has it."""
        return DEPENDENT if self.values["dependent"] else PLAIN

    def factors(self, name: str) -> I64:
        """A predictor as int64[F]."""
        return np.array(self.values[name], np.int64)


def distance_logs(positions: F32, params: Params) -> I64:
    """log2 of the distance to the viewing zone, int64[n] in 1/65536 octave, rounded down to 1/8 octave.

    The distance is sqrt(|position - zone_centre|² + zone_radius²), in float64; only exponent and quarter octaves
    of its square are taken, so that no logarithm is computed.
    """
    offset = positions.astype(np.float64) - np.array(params.values["zone_centre"], np.float64)
    x, y, z = offset[:, 0], offset[:, 1], offset[:, 2]
    radius = params.values["zone_radius"]
    squared = ((x * x + y * y) + z * z) + radius * radius
    mantissa, exponent = np.frexp(squared)
    exponent[np.isinf(squared)] = 0  # C leaves the exponent of infinity open
    quarters = np.searchsorted(QUARTERS, mantissa, side="right") - 4
    return np.asarray((exponent.astype(np.int64) * 4 + quarters) * (OCTAVE // 8))


QUARTERS = np.array([0.5946035575013605, 0.7071067811865476, 0.8408964152537145])  # 2**(-3/4), 2**(-1/2), 2**(-1/4)


def weight_logs(weights: U8) -> I64:
    """Weight classes uint8[n] as int64[n] in 1/65536 octave."""
    return (weights.astype(np.int64) - WEIGHT_ZERO) * (OCTAVE // 2)


def low_contexts(left: U8, family: U8) -> U16:
    """Contexts of the low half of occupancy bytes, from levels left (1..21) and children of the parent (0..8)."""
    return np.asarray(np.minimum(left - 1, 15).astype(np.uint16) * 4 + np.minimum(family, 3), np.uint16)


def high_contexts(left: U8, family: U8, low: U32) -> U16:
    """Contexts of the high half, given the low half too."""
    coarse = np.minimum(left - 1, 3).astype(np.uint16) * 4 + np.minimum(family, 3)
    return np.asarray(OCCUPANCY_HIGH + coarse * 16 + low, np.uint16)


def weight_contexts(depths: U8) -> U16:
    """Depth of the leaf: of a splat without neighbours."""
    return np.asarray(WEIGHT + depths.astype(np.uint16), np.uint16)


def neighbour_weight_contexts(depths: U8, predicted: I64) -> U16:
    """Expected class: the depth and the mean of the neighbours' ``weight_heights``."""
    own = depths.astype(np.int64)
    expected = np.clip(own + ((predicted + 8) >> 4), 0, WEIGHT_CLASSES - 1)
    return np.asarray(NEIGHBOUR_WEIGHT + own * WEIGHT_CLASSES + expected, np.uint16)


def weight_heights(weights: U8 | U32, depths: U8) -> I64:
    """int64[n], 1/16 class: how far each class lies above the depth of its leaf."""
    return (weights.astype(np.int64) - depths) * 16


def opacity_contexts(weights: U8, visibility: I64) -> U16:
    """Weight class and octaves of ``visibility`` (position class against pixels per world unit)."""
    bucket = np.clip((visibility >> 16) + 6, 0, 7)
    return np.asarray(weights.astype(np.int64) * 8 + bucket, np.uint16)


def log_scale_contexts(weights: U8, plane: int) -> U16:
    """Weight class, of the middle (plane 0) or the longest axis (plane 1)."""
    return np.asarray(plane * WEIGHT_CLASSES + weights.astype(np.uint16), np.uint16)


def ratio_contexts(weights: U8, long: I64, middle: I64) -> U16:
    """Weight class and octaves between the two longer axes."""
    bucket = np.clip((long - middle) >> 16, 0, 3)
    return np.asarray(2 * WEIGHT_CLASSES + weights.astype(np.int64) * 4 + bucket, np.uint16)


def direction_contexts(needle: U8, direction: U8) -> U16:
    """Form and number of levels of the direction codes."""
    return np.asarray(needle.astype(np.uint16) * len(ROTATION_LEVELS) + direction, np.uint16)


def roll_contexts(needle: U8, roll: U8) -> U16:
    """Form and number of levels of the roll code."""
    return np.asarray((2 + needle.astype(np.uint16)) * len(ROTATION_LEVELS) + roll, np.uint16)


def base_colour_contexts(spreads: I64, steps: I64, channels_before: I32, start: int) -> U16:
    """How far neighbours' values lie apart, int64[m], in ``steps`` int64[m], and sizes of the residuals int32[c,n] of
    the channels before. ``start``: 0 for splats without neighbours, else where the m splats begin in coding order.
    """
    contexts = spread_buckets(spreads, steps) if start else np.full(len(spreads), SPREAD_BUCKETS - 1)
    before = [np.abs(own[start : start + len(spreads)].astype(np.int64)) for own in channels_before]
    for sizes, buckets in zip(before, RESIDUAL_BUCKETS, strict=False):
        contexts = contexts * buckets + np.minimum(sizes, buckets - 1)
    return np.asarray(BASE_COLOUR[len(before)] + contexts, np.uint16)


def parts_of_cells(cells: U32, codes: U32) -> U32:
    """Parts of leaf cells uint32[n,3], numbered through the tile's cube, from codes uint32[3,n] within each cell."""
    return np.ascontiguousarray(cells * np.uint32(CELL_PARTS) + codes.T)


def aligned_points(parts: U32, depths: U8) -> I64:
    """Middles of parts of leaf cells as int64[n,3], in halves of the smallest part there can be."""
    shift = (MAX_DEPTH - depths.astype(np.int64))[:, None]
    return np.ascontiguousarray((2 * parts.astype(np.int64) + 1) << shift)


def curve_order(parts: U32, depths: U8) -> I64:
    """Indices int64[n] that put splats, given in the order of GEOMETRY, into coding order."""
    aligned = parts.astype(np.uint64) << (MAX_DEPTH - depths.astype(np.uint64))[:, None]
    cells = np.ascontiguousarray((aligned // np.uint64(CELL_PARTS)).astype(np.uint32))
    codes = morton_codes(cells, np.full(len(cells), MAX_DEPTH, np.uint8))
    ranks = np.argsort(codes, kind="stable")
    return np.asarray(ranks[level_order(len(cells))])


def likeness(scale_logs: I64, opponent: I64) -> I64:
    """What neighbours are compared by for SH AC, int64[n,6]: log scales and DC, in units of ``neighbour_weights``."""
    return np.ascontiguousarray(np.concatenate([scale_logs >> 13, opponent >> 14], axis=1))


def cell_intervals(count: int) -> I64:
    """Parts of the cells of ``count`` splats, int64[count]."""
    return np.full(count, CELL_PARTS, np.int64)


def cell_sizes(cell_size: float, exponent: int, depths: U8) -> npt.NDArray[np.float64]:
    """Edges float64[n] of the leaf cells at ``depths`` uint8[n] in a tile's cube; exact."""
    return np.array([math.ldexp(cell_size, exponent - depth) for depth in range(MAX_DEPTH + 1)])[depths]
