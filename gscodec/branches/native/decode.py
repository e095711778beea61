"""Native decoder: the streams of one tile to its splats, in the order of FORMAT.md. Safe for any bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import TILE_GEOMETRY, Coder, StreamKind
from bitstream_spec.tables import MAX_DEPTH, WEIGHT_CLASSES
from gscodec.bitstream.entries import Header, Stream
from gscodec.branches.native.bases import MAX_REGIONS, Bases, from_components, region_bytes
from gscodec.branches.native.coefficients import decode_channel
from gscodec.branches.native.meta import unpack_meta
from gscodec.branches.native.syntax import (
    AC_KINDS,
    LEAF_COUNT,
    TABLE_COUNTS,
    Params,
    ac_range,
    aligned_points,
    cell_sizes,
    chroma_contexts,
    curve_order,
    direction_contexts,
    distance_logs,
    high_contexts,
    likeness,
    log_scale_contexts,
    low_contexts,
    luma_contexts,
    neighbour_weight_contexts,
    opacity_contexts,
    ratio_contexts,
    roll_contexts,
    stream_kinds,
    table_group,
    unpacked_bytes,
    weight_contexts,
    weight_heights,
    weight_logs,
)
from gscodec.cloud import SH_REST_COUNTS, CloudMeta, GaussianCloud, empty_cloud
from gscodec.entropy.bytes import decompress
from gscodec.entropy.planes import PlaneReader
from gscodec.entropy.tables import FrequencyTables, unpack
from gscodec.entropy.tokens import ALPHABET, unzigzag
from gscodec.errors import CorruptStreamError
from gscodec.transform.dc import decode_dc
from gscodec.transform.fixed import LN2_PER_UNIT, OCTAVE
from gscodec.transform.neighbours import (
    TOP_LEVEL,
    level_starts,
    neighbour_weights,
    predict_level,
    put_ranked,
    ranked_zeros,
)
from gscodec.transform.octree import POPULATION, cell_centres, split_nodes
from gscodec.transform.opacity import decode_opacity
from gscodec.transform.rotation import decode_rotation, rotation_levels
from gscodec.transform.scales import decode_log, decode_ratio, predict

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]

MAX_TABLES_BYTES = (1 + 3 * ALPHABET) * sum(TABLE_COUNTS.values())
MAX_TILE_SPLATS = 1 << 20

# The layer of colour components, numbered as SH degrees, that a tile's stream holds: with ``Shared.layers`` lowered,
# streams above it are not needed.
SH_BANDS = {kind: degree for degree, kind in enumerate(AC_KINDS, start=1)}


@dataclass(frozen=True)
class Shared:
    """What all tiles of a file need: parameters, tables by stream kind, bases of colour, meta.

    ``sh_degree``: of the clouds that are made; ``layers``: of components to decode, numbered as SH degrees.
    """

    params: Params
    tables: Mapping[StreamKind, FrequencyTables]
    bases: Bases
    sh_degree: int
    layers: int
    meta: CloudMeta

    @cached_property
    def factors(self) -> npt.NDArray[np.float64]:
        """As ``Bases.factors`` has them: once for all tiles, for a lower degree is not cheap."""
        return self.bases.factors(self.layers, self.sh_degree)


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
        """(level, start, stop) of each level that has splats, in coding order; the first has no neighbours."""
        for number, (start, stop) in enumerate(pairwise(self.starts.tolist())):
            if stop > start:
                yield TOP_LEVEL - number, start, stop

    def predict(self, ranked: I64, level: int) -> I64:
        """int64[m] of the m splats of a level from ``ranked`` (of ``ranked_zeros``) values of higher ones."""
        return np.asarray(predict_level(ranked, self.weights, self.starts, level))


@dataclass(frozen=True, eq=False)
class Placement:
    """Decoded GEOMETRY, the ground of all other attributes: arrays of n splats.

    positions float32[n,3]; points int64[n,3], the same in halves of the smallest cell; weights uint8[n] weight
    classes; places int64[n] position classes, distances int64[n], both as logs in 1/65536 octave; near, the
    neighbours by position alone.
    """

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


def parse_shared(streams: Mapping[StreamKind, Stream], header: Header) -> Shared:
    """From the streams of the whole file. Raises CorruptStreamError."""
    params = Params.unpack(_need(streams, StreamKind.PARAMS, Coder.RAW).payload)
    stream = _need(streams, StreamKind.TABLES, None)
    packed = decompress(stream.coder, stream.payload, stream.raw_length, MAX_TABLES_BYTES)
    freqs = unpack(packed, sum(TABLE_COUNTS.values()), ALPHABET)
    tables, at = {}, 0
    for kind, count in TABLE_COUNTS.items():
        tables[kind] = FrequencyTables(freqs[at : at + count])
        at += count
    degree = header.sh_degree
    return Shared(
        params, tables, _bases(streams, degree), degree, degree, unpack_meta(streams.get(StreamKind.META), header)
    )


def _bases(streams: Mapping[StreamKind, Stream], sh_degree: int) -> Bases:
    if sh_degree == 0:
        return Bases.plain(0)
    stream = _need(streams, StreamKind.BASES, None)
    limit = MAX_REGIONS * region_bytes(sh_degree)
    if stream.raw_length > limit:
        raise CorruptStreamError(
            "too many regions", field="BASES", found=stream.raw_length, allowed=f"<= {limit} bytes"
        )
    return Bases.unpack(decompress(stream.coder, stream.payload, stream.raw_length, limit), sh_degree)


def empty(shared: Shared) -> GaussianCloud:
    """A cloud of no splats as the file has them: degree, meta, extras."""
    return empty_cloud(0, shared.sh_degree, shared.meta)


def decode_tile(streams: Mapping[StreamKind, Stream], shared: Shared, count: int) -> GaussianCloud:
    """The ``count`` splats of a tile. Raises CorruptStreamError."""
    if not 1 <= count <= MAX_TILE_SPLATS:
        raise CorruptStreamError(
            "wrong size of tile", field="splat_count", found=count, allowed=f"1..{MAX_TILE_SPLATS}"
        )
    payloads = {}
    for kind in stream_kinds(shared.layers):
        stream = _need(streams, kind, Coder.RANS)
        if stream.raw_length != unpacked_bytes(kind, count):
            raise CorruptStreamError(
                "wrong raw length", field=kind.name, found=stream.raw_length, allowed=unpacked_bytes(kind, count)
            )
        payloads[kind] = stream.payload

    cloud = empty_cloud(count, shared.sh_degree, shared.meta)
    placement = decode_geometry(payloads[StreamKind.GEOMETRY], shared, count)
    cloud.positions[:] = placement.positions
    opacity_logs, cloud.opacity_logits[:] = decode_opacities(payloads[StreamKind.OPACITY], shared, placement)
    scale_logs = decode_scales(payloads[StreamKind.SCALE], shared, placement, opacity_logs)
    cloud.log_scales[:] = scale_logs.astype(np.float64) * LN2_PER_UNIT
    decode_rotations(payloads[StreamKind.ROTATION], shared, placement, scale_logs, cloud.quats_wxyz)
    opponent = decode_base_colours(payloads[StreamKind.DC], shared, placement)
    components = np.empty((3 * SH_REST_COUNTS[shared.layers], count), np.int64)
    if shared.layers:
        alike = Neighbours.find(placement.points, likeness(scale_logs, opponent))
        energy = shared.params.first_energy(placement.weights)
        for layer, kind in enumerate(AC_KINDS[: shared.layers], start=1):
            decode_layer(payloads[kind], shared, placement.weights, alike, layer, energy, components)
    regions = shared.bases.regions(placement.positions)
    from_components(shared.factors, regions, opponent, components, cloud.sh_dc, cloud.sh_rest)
    return cloud


def decode_geometry(payload: bytes, shared: Shared, count: int) -> Placement:
    """Positions and weight classes of a tile."""
    if len(payload) < TILE_GEOMETRY.size:
        raise CorruptStreamError("truncated", field="GEOMETRY", found=len(payload), allowed=f">= {TILE_GEOMETRY.size}")
    head = TILE_GEOMETRY.unpack(payload)
    fault = TILE_GEOMETRY.first_fault(head)
    if fault is not None:
        raise CorruptStreamError("bad tile", field=fault.name, found=head[fault.name], allowed=fault.allowed_text)
    if not all(abs(x) <= 2.0**100 for x in head["origin"]):
        raise CorruptStreamError("bad tile", field="origin", found=head["origin"], allowed="-2**100 .. 2**100")
    reader = PlaneReader(payload[TILE_GEOMETRY.size :], shared.tables[StreamKind.GEOMETRY])
    cells, depths = _decode_leaves(reader, head["depth_mask"], count)
    repeats = reader.get(LEAF_COUNT, len(depths)).astype(np.int64) + 1
    if int(repeats.sum()) != count:
        raise CorruptStreamError(
            "leaves do not hold the tile's splats", field="GEOMETRY", found=int(repeats.sum()), allowed=count
        )
    cells, depths = np.repeat(cells, repeats, axis=0), np.repeat(depths, repeats)
    order = curve_order(cells, depths)
    cells, depths = cells[order], depths[order]
    points = aligned_points(cells, depths)
    near = Neighbours.find(points, np.zeros((count, 0), np.int64))
    weights = _decode_weights(reader, depths, near)
    reader.finish()
    if weights.max() >= WEIGHT_CLASSES:
        raise CorruptStreamError(
            "bad weight class", field="GEOMETRY", found=int(weights.max()), allowed=f"< {WEIGHT_CLASSES}"
        )
    exponent = head["exponent"]
    sizes = cell_sizes(shared.params.values["cell_size"], exponent, depths)
    with np.errstate(over="ignore"):  # a file may place splats at infinity
        positions = cell_centres(cells, np.array(head["origin"]), sizes)
    places = (depths.astype(np.int64) - exponent) * OCTAVE
    distances = distance_logs(positions, shared.params)
    return Placement(positions, points, weights.astype(np.uint8), places, distances, near)


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


def decode_opacities(payload: bytes, shared: Shared, placement: Placement) -> tuple[I64, F32]:
    """(log2 of opacity int64[n] in 1/65536 octave, logits float32[n])."""
    reader = PlaneReader(payload, shared.tables[StreamKind.OPACITY])
    visibility = placement.places - placement.pixel_logs(shared.params)
    codes = reader.get(opacity_contexts(placement.weights, visibility))
    reader.finish()
    return decode_opacity(codes, shared.params.opacity_steps[placement.weights])


def decode_scales(payload: bytes, shared: Shared, placement: Placement, opacity_logs: I64) -> I64:
    """Log scales int64[n,3] long, middle, short in 1/65536 octave."""
    params, weights = shared.params, placement.weights
    reader = PlaneReader(payload, shared.tables[StreamKind.SCALE])
    steps = params.scale_steps[weights]
    features = placement.features(opacity_logs)
    codes = unzigzag(reader.get(log_scale_contexts(weights, 0)))
    middle = decode_log(codes, predict(params.factors("middle_predictor"), features), steps)
    features = np.concatenate([features, middle[:, None]], axis=1)
    codes = unzigzag(reader.get(log_scale_contexts(weights, 1)))
    long = decode_log(codes, predict(params.factors("long_predictor"), features), steps)
    ratios = reader.get(ratio_contexts(weights, long, middle))
    reader.finish()
    short = decode_ratio(ratios, middle, params.ratio_steps[weights])
    return np.ascontiguousarray(np.stack([long, middle, short], axis=1))


def decode_rotations(payload: bytes, shared: Shared, placement: Placement, scale_logs: I64, quats: F32) -> None:
    """Unit quaternions into float32[n,4]."""
    params = shared.params
    reader = PlaneReader(payload, shared.tables[StreamKind.ROTATION])
    needle, direction, roll = rotation_levels(
        scale_logs,
        placement.pixel_logs(params),
        placement.weights,
        params.values["direction_offset"],
        params.values["roll_offset"],
    )
    contexts = direction_contexts(needle, direction)
    code_a, code_b = reader.get(contexts), reader.get(contexts)
    code_r = reader.get(roll_contexts(needle, roll))
    reader.finish()
    bad = decode_rotation(code_a, code_b, code_r, needle, direction, roll, quats)
    if bad >= 0:
        found = (int(code_a[bad]), int(code_b[bad]), int(code_r[bad]))
        raise CorruptStreamError("code above its levels", field=f"ROTATION[{bad}]", found=found)


def decode_base_colours(payload: bytes, shared: Shared, placement: Placement) -> I64:
    """Component 0 of colours as opponent channels, int64[n,3]."""
    weights, near = placement.weights, placement.near
    reader = PlaneReader(payload, shared.tables[StreamKind.DC])
    steps = shared.params.dc_steps[weights]
    opponent = np.empty((len(weights), 3), np.int64)
    luma = np.empty(len(weights), np.int32)
    for channel in range(3):
        contexts = chroma_contexts(weights, channel, luma) if channel else luma_contexts(weights)
        residuals = unzigzag(reader.get(contexts))
        luma = luma if channel else residuals
        opponent[:, channel] = decode_dc(residuals, near.weights, near.starts, steps)
    reader.finish()
    return opponent


def decode_layer(
    payload: bytes,
    shared: Shared,
    weights: U8,
    alike: Neighbours,
    layer: int,
    energy: npt.NDArray[np.int32],
    components: I64,
) -> None:
    """Components of one layer into rows of int64[3 * K, n], channels side by side; ``energy`` int32[n,4] goes along."""
    reader = PlaneReader(payload, shared.tables[table_group(AC_KINDS[layer - 1])])
    steps, ranked = shared.params.ac_steps(layer)[weights], ranked_zeros(len(weights))
    for k in range(*ac_range(layer)):
        for channel in range(3):
            near, factors = (alike.weights, alike.starts), shared.params.plane_factors[k, channel]
            values = components[3 * k + channel]
            reader.check(decode_channel(reader.cursor, *near, steps, energy, factors, channel, ranked, values))
    reader.finish()


def _need(streams: Mapping[StreamKind, Stream], kind: StreamKind, coder: Coder | None) -> Stream:
    stream = streams.get(kind)
    if stream is None:
        raise CorruptStreamError("a needed stream is missing", field=kind.name)
    if coder is not None and stream.coder != coder:
        raise CorruptStreamError("wrong coder", field=kind.name, found=int(stream.coder), allowed=int(coder))
    return stream
