"""Native encoder: a cloud to the streams of its tiles. Each stage quantises what the decoder's stage restores."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import TILE_GEOMETRY, Coder, StreamKind
from bitstream_spec.tables import MAX_DEPTH, WEIGHT_CLASSES
from gscodec.bitstream.entries import Stream
from gscodec.branches.native.bases import to_components
from gscodec.branches.native.coefficients import code_channel, in_steps, round_alone
from gscodec.branches.native.colour_bases import ColourTransform, Directions, Sample, find_bases
from gscodec.branches.native.decode import SH_BANDS, Neighbours, Placement
from gscodec.branches.native.footprint import Classes, classify, viewing_zone
from gscodec.branches.native.meta import pack_meta
from gscodec.branches.native.rounding import Overlaps, round_together
from gscodec.branches.native.settings import AC_ROUND_UP, base_steps
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
from gscodec.branches.native.tiling import cut, cut_in_shells, tile_exponent
from gscodec.cloud import SH_REST_COUNTS, GaussianCloud
from gscodec.config import EncodeConfig, Progress, Visibility, no_progress
from gscodec.entropy.bytes import compress
from gscodec.entropy.merging import merge_counts
from gscodec.entropy.planes import PlaneWriter
from gscodec.entropy.tables import FrequencyTables, normalise, pack
from gscodec.entropy.tokens import ALPHABET, zigzag
from gscodec.transform.colour import to_opponent
from gscodec.transform.dc import code_dc
from gscodec.transform.energy import CLIP, PROFILE_UNIT
from gscodec.transform.fixed import LN2_PER_UNIT, OCTAVE
from gscodec.transform.neighbours import put_ranked, ranked_zeros
from gscodec.transform.octree import cell_centres, cells_of, level_occupancy, morton_codes
from gscodec.transform.opacity import decode_opacity, log_opacities, quantise_opacity
from gscodec.transform.rotation import quantise_rotation, rotation_levels, sorted_axes
from gscodec.transform.scales import decode_log, decode_ratio, fit_predictor, predict, quantise_ratio
from gscodec.transform.steps import quantise

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

FIT_SPLATS = 200_000  # predictors are fitted on about as many
TABLES_LEVEL = 19
PROFILE = 3 * SH_REST_COUNTS[-1]


@dataclass(frozen=True)
class TileStreams:
    """A tile whose symbols are known and whose tables are not yet: the geometry head and a writer per stream."""

    head: bytes
    writers: dict[StreamKind, PlaneWriter]


def encode_tiles(
    cloud: GaussianCloud,
    config: EncodeConfig,
    pool: Executor,
    progress: Progress = no_progress,
    visibility: Visibility | None = None,
    kept: I64 | None = None,
) -> tuple[list[int], list[Stream]]:
    """(splats of each tile, all streams but the common ones) of a cloud; tiles run on ``pool``.

    ``kept`` int64[n]: code these splats only, as a copy of a large cloud has no room; they must be finite.
    ``visibility`` is of the splats that are coded.
    """
    cloud = replace(cloud, extras={})
    positions, log_scales, opacity_logits = (
        values if kept is None else values[kept] for values in (cloud.positions, cloud.log_scales, cloud.opacity_logits)
    )
    zone = viewing_zone(positions, log_scales)
    classes = classify(zone, positions, log_scales, opacity_logits, visibility, pool)
    values = base_steps(config.quality, zone, config.offsets)
    if config.progressive:
        tiles, shells = cut_in_shells(positions, classes.places, classes.weights, values["cell_size"])
    else:
        tiles = cut(positions, classes.places, values["cell_size"])
        shells = [0] * len(tiles)
    del positions, log_scales, opacity_logits

    def rows(index: I64) -> I64:
        return index if kept is None else kept[index]

    pick = np.arange(0, len(classes.weights), max(-(-len(classes.weights) // FIT_SPLATS), 1))
    sample = cloud.select(rows(pick))
    colours = _colour_transform(cloud, kept, len(classes.weights), sample, classes.weights[pick], visibility)
    sample = _in_components(sample, colours, sample.positions)
    params = _fit(values, sample, classes.weights[pick], classes.places[pick])

    def quantised(index: I64) -> TileStreams:
        return _Tile(params, colours, cloud, rows(index), classes, index).streams(config.preset != "fast")

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
    if cloud.sh_degree:
        packed = colours.bases.pack()
        coder, compressed = compress(packed)
        streams.append(Stream(StreamKind.BASES, Coder(coder), compressed, len(packed)))

    def coded(number: int) -> list[Stream]:
        draft, count = drafts[number], len(tiles[number])
        own = []
        for kind in stream_kinds(cloud.sh_degree):
            data = draft.writers[kind].finish(tables[table_group(kind)])
            data = draft.head + data if kind == StreamKind.GEOMETRY else data
            layer = shells[number] + SH_BANDS.get(kind, 0)
            own.append(Stream(kind, Coder.RANS, data, unpacked_bytes(kind, count), number, layer=layer))
        draft.writers.clear()
        return own

    for number, own in enumerate(pool.map(coded, range(len(tiles))), start=1):
        streams += own
        progress("coding", number / len(tiles))
    return [len(index) for index in tiles], streams


def _colour_transform(
    cloud: GaussianCloud,
    kept: I64 | None,
    splats: int,
    sample: GaussianCloud,
    weights: U8,
    visibility: Visibility | None,
) -> ColourTransform:
    """Bases for the colours of the ``splats`` of the cloud that are coded, for which those of ``sample`` stand."""
    sh = np.concatenate([sample.sh_dc[:, None], sample.sh_rest], axis=1)
    directions = None
    if visibility is not None and len(visibility.sample):
        seen = visibility.sample if kept is None else kept[visibility.sample]
        positions = cloud.positions[seen]
        directions = Directions(positions, visibility.centres, visibility.shown, visibility.doubt)
    found = find_bases(Sample(sample.positions, sh, weights), splats, directions)
    return found if found.holds(_largest_sh(cloud, kept)) else ColourTransform.plain(cloud.sh_degree)


def _largest_sh(cloud: GaussianCloud, kept: I64 | None) -> float:
    """The largest magnitude of the SH of the splats that are coded; a cloud with others is looked at in parts."""
    largest = 0.0
    for sh in (cloud.sh_dc, cloud.sh_rest):
        starts = range(0, len(sh) if kept is None else len(kept), FIT_SPLATS)
        parts = (sh,) if kept is None else (sh[kept[start : start + FIT_SPLATS]] for start in starts)
        largest = max([largest, *(float(x) for part in parts for x in (part.max(initial=0.0), -part.min(initial=0.0)))])
    return largest


def _in_components(cloud: GaussianCloud, colours: ColourTransform, positions: F32) -> GaussianCloud:
    """The cloud with components of colour in place of SH; ``positions`` as the decoder has them."""
    regions = colours.bases.regions(positions)
    first, others = to_components(colours.forward, regions, cloud.sh_dc, cloud.sh_rest)
    return replace(cloud, sh_dc=first, sh_rest=others)


def _tables(kind: StreamKind, drafts: list[TileStreams]) -> FrequencyTables:
    counts = np.zeros((TABLE_COUNTS[kind], ALPHABET), np.int64)
    for draft in drafts:
        for own, writer in draft.writers.items():
            if table_group(own) == kind:
                writer.add_counts(counts)
    return FrequencyTables(normalise(merge_counts(counts)))


def _fit(values: dict[str, Any], sample: GaussianCloud, weights: U8, places: I32) -> Params:
    """Params with predictors fitted on a sample of the splats and its classes."""
    values |= {"middle_predictor": (0,) * 5, "long_predictor": (0,) * 6, "energy_prior": (0,) * WEIGHT_CLASSES}
    values["profile"] = (0,) * PROFILE
    params = Params(values)
    if len(sample) == 0:
        return params
    features = np.stack(
        [
            weight_logs(weights).astype(np.float64),
            places * float(OCTAVE),
            distance_logs(sample.positions, params).astype(np.float64),
            log_opacities(sample.opacity_logits),
        ],
        axis=1,
    )
    scale_logs = np.sort(sample.log_scales, axis=1)[:, ::-1].astype(np.float64) / LN2_PER_UNIT
    middle = fit_predictor(scale_logs[:, 1], features)
    features = np.concatenate([features, scale_logs[:, 1:2]], axis=1)
    long = fit_predictor(scale_logs[:, 0], features)
    fitted = {"middle_predictor": tuple(middle), "long_predictor": tuple(long)}
    return Params(values | fitted | _expected_energy(params, sample, weights))


def _expected_energy(params: Params, sample: GaussianCloud, weights: U8) -> dict[str, tuple[int, ...]]:
    """ "profile" and "energy_prior": mean magnitudes of the codes of each component, and of splats of each weight."""
    of_splats, profile = np.zeros(len(sample)), np.zeros(PROFILE)
    for degree in range(1, sample.sh_degree + 1):
        first, last = ac_range(degree)
        wanted = in_steps(sample.sh_rest, first, last, params.ac_steps(degree)[weights])
        magnitudes = np.minimum(np.abs(round_alone(wanted, AC_ROUND_UP)), CLIP)
        profile[3 * first : 3 * last] = magnitudes.mean(axis=1)
        of_splats += magnitudes.sum(axis=0)
    splats = np.maximum(np.bincount(weights, minlength=WEIGHT_CLASSES), 1)
    priors = np.bincount(weights, of_splats, WEIGHT_CLASSES) / splats / max(float(profile.sum()), 1e-9)
    return {
        "energy_prior": tuple(int(x) for x in np.minimum(np.rint(priors * 256.0), 0xFFFF)),
        "profile": tuple(int(x) for x in np.rint(profile * PROFILE_UNIT)),
    }


class _Tile:
    """The splats ``rows`` of a cloud in coding order, quantised attribute by attribute; ``index``: of their classes."""

    def __init__(
        self,
        params: Params,
        colours: ColourTransform,
        cloud: GaussianCloud,
        rows: I64,
        classes: Classes,
        index: I64,
    ) -> None:
        self.params = params
        positions = cloud.positions[rows].astype(np.float64)
        places = classes.places[index]
        origin = positions.min(axis=0)
        cell_size = params.values["cell_size"]
        exponent = tile_exponent(float((positions.max(axis=0) - origin).max()), cell_size, places)
        depths = np.clip(places + exponent, 0, MAX_DEPTH).astype(np.uint8)
        sizes = cell_sizes(cell_size, exponent, depths)
        cells = cells_of(positions, origin, sizes, depths)
        codes = morton_codes(cells, depths)
        tree_order = np.lexsort((codes, -depths.astype(np.int8)))
        self.leaf_codes, self.leaf_depths = codes[tree_order], depths[tree_order]
        order = tree_order[curve_order(cells[tree_order], self.leaf_depths)]
        self.depths, self.weights = depths[order], classes.weights[index[order]]
        decoded = cell_centres(cells[order], origin, sizes[order])
        self.cloud = _in_components(cloud.select(rows[order]), colours, decoded)
        scales, self.axes = sorted_axes(self.cloud.log_scales, self.cloud.quats_wxyz)
        self.scale_logs = scales / LN2_PER_UNIT
        coded = (self.depths.astype(np.int64) - exponent) * OCTAVE
        points = aligned_points(cells[order], self.depths)
        near = Neighbours.find(points, np.zeros((len(index), 0), np.int64))
        self.placement = Placement(decoded, points, self.weights, coded, distance_logs(decoded, params), near)
        mask = int(np.bitwise_or.reduce(1 << np.unique(depths).astype(np.int64)))
        self.head = TILE_GEOMETRY.pack(
            {"origin": tuple(origin), "exponent": exponent, "reserved": 0, "depth_mask": mask}
        )

    def streams(self, together: bool) -> TileStreams:
        """All streams of the tile, quantised; ``together``: SH AC rounded with overlapping splats in view."""
        writers = {kind: PlaneWriter(TABLE_COUNTS[table_group(kind)]) for kind in stream_kinds(self.cloud.sh_degree)}
        self._geometry(writers[StreamKind.GEOMETRY])
        opacity_logs = self._opacities(writers[StreamKind.OPACITY])
        scale_logs = self._scales(writers[StreamKind.SCALE], opacity_logs)
        self._rotations(writers[StreamKind.ROTATION], scale_logs)
        opponent = self._base_colours(writers[StreamKind.DC])
        if self.cloud.sh_degree:
            alike = Neighbours.find(self.placement.points, likeness(scale_logs, opponent))
            overlaps = Overlaps.find(self.cloud.positions, self.scale_logs * LN2_PER_UNIT) if together else None
        energy = self.params.first_energy(self.weights)
        for degree, kind in enumerate(AC_KINDS[: self.cloud.sh_degree], start=1):
            self._band(writers[kind], alike, overlaps, degree, energy)
        return TileStreams(self.head, writers)

    def _geometry(self, writer: PlaneWriter) -> None:
        codes, depths = self.leaf_codes, self.leaf_depths
        first = np.ones(len(codes), bool)
        first[1:] = (codes[1:] != codes[:-1]) | (depths[1:] != depths[:-1])
        leaves = np.flatnonzero(first)
        repeats = np.diff(leaves, append=len(codes)) - 1
        codes, depths = codes[leaves], depths[leaves]
        parents = np.zeros(len(leaves), np.uint8)
        for level in range(int(depths.max())):
            occupancy, left, family = level_occupancy(codes, depths, level, parents)
            low = (occupancy & np.uint8(15)).astype(np.uint32)
            writer.put(low, low_contexts(left, family))
            writer.put((occupancy >> np.uint8(4)).astype(np.uint32), high_contexts(left, family, low))
        writer.put(repeats.astype(np.uint32), LEAF_COUNT)
        heights = weight_heights(self.weights, self.depths)
        near, ranked = self.placement.near, ranked_zeros(len(heights))
        for level, start, stop in near.levels():
            own = self.depths[start:stop]
            expected = neighbour_weight_contexts(own, near.predict(ranked, level)) if start else weight_contexts(own)
            writer.put(self.weights[start:stop].astype(np.uint32), expected)
            put_ranked(heights[start:stop], level, ranked)

    def _opacities(self, writer: PlaneWriter) -> I64:
        steps = self.params.opacity_steps[self.weights]
        codes = quantise_opacity(log_opacities(self.cloud.opacity_logits), steps)
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

    def _base_colours(self, writer: PlaneWriter) -> I64:
        steps, near = self.params.dc_steps[self.weights], self.placement.near
        colours = to_opponent(self.cloud.sh_dc)
        opponent = np.zeros(colours.shape, np.int64)
        luma = np.empty(len(self.weights), np.int32)
        for channel in range(3):
            own = np.ascontiguousarray(colours[:, channel])
            residuals, opponent[:, channel] = code_dc(own, near.weights, near.starts, steps)
            writer.put(
                zigzag(residuals),
                chroma_contexts(self.weights, channel, luma) if channel else luma_contexts(self.weights),
            )
            luma = luma if channel else residuals
        return opponent

    def _band(
        self,
        writer: PlaneWriter,
        alike: Neighbours,
        overlaps: Overlaps | None,
        degree: int,
        energy: npt.NDArray[np.int32],
    ) -> None:
        steps = self.params.ac_steps(degree)[self.weights]
        wanted = in_steps(self.cloud.sh_rest, *ac_range(degree), steps)
        codes = round_alone(wanted, AC_ROUND_UP) if overlaps is None else round_together(wanted, overlaps)
        ranked = ranked_zeros(len(steps))
        factors = self.params.plane_factors[slice(*ac_range(degree))].reshape(-1, 2)
        for number, own in enumerate(codes):
            writer.put(
                *code_channel(own, alike.weights, alike.starts, steps, energy, factors[number], number % 3, ranked)
            )
