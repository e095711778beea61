"""Native encoder: a cloud to the streams of its tiles. Each stage quantises what the decoder's stage restores."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import TILE_GEOMETRY, Coder, StreamKind
from bitstream_spec.tables import MAX_DEPTH
from gscodec.bitstream.entries import Stream
from gscodec.branches.native.decode import Placement
from gscodec.branches.native.footprint import Classes, classify, viewing_zone
from gscodec.branches.native.meta import pack_meta
from gscodec.branches.native.settings import AC_ROUND_UP, base_steps
from gscodec.branches.native.syntax import (
    AC_KINDS,
    LEAF_COUNT,
    TABLE_COUNTS,
    Params,
    cell_sizes,
    dc_contexts,
    direction_contexts,
    distance_logs,
    high_contexts,
    log_scale_contexts,
    low_contexts,
    opacity_contexts,
    ratio_contexts,
    roll_contexts,
    stream_kinds,
    table_group,
    unpacked_bytes,
    weight_contexts,
    weight_logs,
)
from gscodec.branches.native.tiling import cut, tile_exponent
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, Progress, no_progress
from gscodec.entropy.bytes import compress
from gscodec.entropy.planes import PlaneWriter
from gscodec.entropy.tables import FrequencyTables, normalise, pack
from gscodec.entropy.tokens import ALPHABET, zigzag
from gscodec.transform.colour import to_opponent
from gscodec.transform.dc import fit_dc_predictor, quantise_dc
from gscodec.transform.energy import energy_contexts, update_energy
from gscodec.transform.fixed import LN2_PER_UNIT, OCTAVE
from gscodec.transform.octree import cell_centres, cells_of, level_occupancy, morton_codes
from gscodec.transform.opacity import decode_opacity, log_opacities, quantise_opacity
from gscodec.transform.rotation import quantise_rotation, rotation_levels, sorted_axes
from gscodec.transform.scales import decode_log, decode_ratio, fit_predictor, predict, quantise_ratio
from gscodec.transform.steps import quantise

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

FIT_SPLATS = 200_000  # predictors are fitted on about as many
TABLES_LEVEL = 19


@dataclass(frozen=True)
class TileStreams:
    """A tile whose symbols are known and whose tables are not yet: the geometry head and a writer per stream."""

    head: bytes
    writers: dict[StreamKind, PlaneWriter]


def encode_tiles(
    cloud: GaussianCloud, config: EncodeConfig, pool: Executor, progress: Progress = no_progress
) -> tuple[list[int], list[Stream]]:
    """(splats of each tile, all streams but the common ones) of a finite cloud; tiles run on ``pool``."""
    scales = np.sort(cloud.log_scales, axis=1)[:, ::-1].astype(np.float64)
    opacity = log_opacities(cloud.opacity_logits)
    zone = viewing_zone(cloud.positions, scales)
    classes = classify(zone, cloud.positions, scales, opacity)
    values = base_steps(config.quality, zone)
    tiles = cut(cloud.positions, classes.places, values["cell_size"])
    params = _fit(values, cloud, scales, opacity, classes, tiles)
    del scales

    def quantised(index: I64) -> TileStreams:
        return _Tile(params, cloud, opacity, classes, index).streams()

    drafts = []
    for draft in pool.map(quantised, tiles):
        drafts.append(draft)
        progress("quantising", len(drafts) / len(tiles))
    tables = dict(zip(TABLE_COUNTS, pool.map(lambda kind: _tables(kind, drafts), TABLE_COUNTS), strict=True))
    packed = b"".join(pack(table.freqs) for table in tables.values())
    coder, compressed = compress(packed, TABLES_LEVEL)
    payload = params.pack()
    streams = [
        pack_meta(cloud.meta),
        Stream(StreamKind.PARAMS, Coder.RAW, payload, len(payload)),
        Stream(StreamKind.TABLES, Coder(coder), compressed, len(packed)),
    ]

    def coded(number: int) -> list[Stream]:
        draft, count = drafts[number], len(tiles[number])
        own = []
        for kind in stream_kinds(cloud.sh_degree):
            data = draft.writers[kind].finish(tables[table_group(kind)])
            data = draft.head + data if kind == StreamKind.GEOMETRY else data
            own.append(Stream(kind, Coder.RANS, data, unpacked_bytes(kind, count), number))
        draft.writers.clear()
        return own

    for number, own in enumerate(pool.map(coded, range(len(tiles))), start=1):
        streams += own
        progress("coding", number / len(tiles))
    return [len(index) for index in tiles], streams


def _tables(kind: StreamKind, drafts: list[TileStreams]) -> FrequencyTables:
    counts = np.zeros((TABLE_COUNTS[kind], ALPHABET), np.int64)
    for draft in drafts:
        for own, writer in draft.writers.items():
            if table_group(own) == kind:
                writer.add_counts(counts)
    return FrequencyTables(normalise(counts))


def _fit(
    values: dict[str, Any], cloud: GaussianCloud, scales: F64, opacity: F64, classes: Classes, tiles: list[I64]
) -> Params:
    """Params with predictors fitted on a sample; ``scales`` float64[n,3] natural log, long to short."""
    values |= {"middle_predictor": (0,) * 5, "long_predictor": (0,) * 6, "dc_predictor": (0,) * 6}
    params = Params(values)
    if len(cloud) == 0:
        return params
    pick = np.arange(0, len(cloud), -(-len(cloud) // FIT_SPLATS))
    features = np.stack(
        [
            weight_logs(classes.weights[pick]).astype(np.float64),
            classes.places[pick] * float(OCTAVE),
            distance_logs(cloud.positions[pick], params).astype(np.float64),
            opacity[pick],
        ],
        axis=1,
    )
    scale_logs = scales[pick] / LN2_PER_UNIT
    middle = fit_predictor(scale_logs[:, 1], features)
    features = np.concatenate([features, scale_logs[:, 1:2]], axis=1)
    long = fit_predictor(scale_logs[:, 0], features)
    # A tile in the middle stands for all; its splats in coding order, as far as order matters here.
    index = tiles[len(tiles) // 2]
    order = np.lexsort((_rough_order(cloud.positions[index]), -classes.places[index]))
    opponent = to_opponent(cloud.sh_dc[index[order]])
    dc = [factor for channel in range(3) for factor in fit_dc_predictor(opponent[:, channel])]
    fitted = {"middle_predictor": tuple(middle), "long_predictor": tuple(long), "dc_predictor": tuple(dc)}
    return Params(values | fitted)


def _rough_order(positions: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """Morton codes uint64[n] in a cube around the positions, 16 levels deep."""
    own = positions.astype(np.float64)
    extent = max(float(np.ptp(own, axis=0).max()), 1e-30)
    depths = np.full(len(own), 16, np.uint8)
    return morton_codes(cells_of(own, own.min(axis=0), np.full(len(own), extent / 65536.0), depths), depths)


class _Tile:
    """The splats ``index`` of a cloud in coding order, quantised attribute by attribute."""

    def __init__(self, params: Params, cloud: GaussianCloud, opacity: F64, classes: Classes, index: I64) -> None:
        self.params = params
        positions = cloud.positions[index].astype(np.float64)
        places = classes.places[index]
        origin = positions.min(axis=0)
        cell_size = params.values["cell_size"]
        exponent = tile_exponent(float((positions.max(axis=0) - origin).max()), cell_size, places)
        depths = np.clip(places + exponent, 0, MAX_DEPTH).astype(np.uint8)
        sizes = cell_sizes(cell_size, exponent, depths)
        cells = cells_of(positions, origin, sizes, depths)
        codes = morton_codes(cells, depths)
        order = np.lexsort((codes, -depths.astype(np.int8)))
        self.codes, self.depths = codes[order], depths[order]
        index = index[order]
        self.cloud, self.opacity, self.weights = cloud.select(index), opacity[index], classes.weights[index]
        scales, self.axes = sorted_axes(self.cloud.log_scales, self.cloud.quats_wxyz)
        self.scale_logs = scales / LN2_PER_UNIT
        decoded = cell_centres(cells[order], origin, sizes[order])
        coded = (self.depths.astype(np.int64) - exponent) * OCTAVE
        self.placement = Placement(decoded, self.weights, coded, distance_logs(decoded, params))
        mask = int(np.bitwise_or.reduce(1 << np.unique(depths).astype(np.int64)))
        self.head = TILE_GEOMETRY.pack(
            {"origin": tuple(origin), "exponent": exponent, "reserved": 0, "depth_mask": mask}
        )

    def streams(self) -> TileStreams:
        """All streams of the tile, quantised."""
        writers = {kind: PlaneWriter(TABLE_COUNTS[table_group(kind)]) for kind in stream_kinds(self.cloud.sh_degree)}
        self._geometry(writers[StreamKind.GEOMETRY])
        opacity_logs = self._opacities(writers[StreamKind.OPACITY])
        scale_logs = self._scales(writers[StreamKind.SCALE], opacity_logs)
        self._rotations(writers[StreamKind.ROTATION], scale_logs)
        self._base_colours(writers[StreamKind.DC])
        energy = np.zeros((len(self.cloud), 4), np.int32)
        for degree, kind in enumerate(AC_KINDS[: self.cloud.sh_degree], start=1):
            self._band(writers[kind], degree, energy)
        return TileStreams(self.head, writers)

    def _geometry(self, writer: PlaneWriter) -> None:
        first = np.ones(len(self.codes), bool)
        first[1:] = (self.codes[1:] != self.codes[:-1]) | (self.depths[1:] != self.depths[:-1])
        leaves = np.flatnonzero(first)
        codes, depths = self.codes[leaves], self.depths[leaves]
        parents = np.zeros(len(leaves), np.uint8)
        for level in range(int(depths.max())):
            occupancy, left, family = level_occupancy(codes, depths, level, parents)
            low = (occupancy & np.uint8(15)).astype(np.uint32)
            writer.put(low, low_contexts(left, family))
            writer.put((occupancy >> np.uint8(4)).astype(np.uint32), high_contexts(left, family, low))
        repeats = np.diff(leaves, append=len(self.codes)) - 1
        writer.put(repeats.astype(np.uint32), LEAF_COUNT)
        writer.put(self.weights.astype(np.uint32), weight_contexts(self.depths))

    def _opacities(self, writer: PlaneWriter) -> I64:
        steps = self.params.opacity_steps[self.weights]
        codes = quantise_opacity(self.opacity, steps)
        visibility = self.placement.places - self.placement.pixel_logs(self.params)
        writer.put(codes, opacity_contexts(self.weights, visibility))
        return decode_opacity(codes, steps)[0]

    def _scales(self, writer: PlaneWriter, opacity_logs: I64) -> I64:
        params, weights = self.params, self.weights
        steps = params.scale_steps[weights]
        features = self.placement.features(opacity_logs)
        decoded = []
        for rank, name in ((1, "middle_predictor"), (0, "long_predictor")):
            predicted = predict(params.factors(name), features)
            residuals = quantise(self.scale_logs[:, rank] - predicted, steps)
            writer.put(zigzag(residuals), log_scale_contexts(weights, 1 - rank))
            decoded.append(decode_log(residuals, predicted, steps))
            features = np.concatenate([features, decoded[0][:, None]], axis=1)
        middle, long = decoded
        ratio_steps = params.ratio_steps[weights]
        ratios = quantise_ratio(self.scale_logs[:, 2] - middle, ratio_steps)
        writer.put(ratios, ratio_contexts(weights, long, middle))
        return np.ascontiguousarray(np.stack([long, middle, decode_ratio(ratios, middle, ratio_steps)], axis=1))

    def _rotations(self, writer: PlaneWriter, scale_logs: I64) -> None:
        params = self.params
        needle, direction, roll = rotation_levels(
            scale_logs,
            self.placement.pixel_logs(params),
            self.weights,
            params.values["direction_offset"],
            params.values["roll_offset"],
        )
        code_a, code_b, code_r = quantise_rotation(self.axes, needle, direction, roll)
        contexts = direction_contexts(needle, direction)
        writer.put(code_a, contexts)
        writer.put(code_b, contexts)
        writer.put(code_r, roll_contexts(needle, roll))

    def _base_colours(self, writer: PlaneWriter) -> None:
        steps = self.params.dc_steps[self.weights]
        factors = self.params.factors("dc_predictor")
        opponent = to_opponent(self.cloud.sh_dc)
        for channel in range(3):
            residuals = quantise_dc(
                np.ascontiguousarray(opponent[:, channel]), steps, factors[2 * channel : 2 * channel + 2]
            )
            writer.put(zigzag(residuals), dc_contexts(self.weights, channel))

    def _band(self, writer: PlaneWriter, degree: int, energy: npt.NDArray[np.int32]) -> None:
        steps = self.params.ac_steps(degree)[self.weights]
        for k in range(degree * degree - 1, (degree + 1) * (degree + 1) - 1):
            opponent = to_opponent(self.cloud.sh_rest[:, k, :])
            for channel in range(3):
                codes = quantise(opponent[:, channel], steps, AC_ROUND_UP)
                writer.put(zigzag(codes), energy_contexts(energy, channel, self.weights))
                update_energy(energy, channel, codes)
