"""One tile of the native branch encoded: each step quantises what the decoder's restores, and goes on from that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import TILE_GEOMETRY, StreamKind
from bitstream_spec.tables import CELL_PARTS, MAX_DEPTH
from gscodec.branches.native.bases import to_components
from gscodec.branches.native.coefficients import code_correction, in_steps, round_alone
from gscodec.branches.native.colour_bases import ColourTransform
from gscodec.branches.native.components import code_layers, in_layers
from gscodec.branches.native.encode_palette import PaletteEncoder
from gscodec.branches.native.footprint import Classes
from gscodec.branches.native.placement import Neighbours, Placement, as_float32
from gscodec.branches.native.refinement import FACTOR, KINDS, TABLE_COUNT, ComponentPlane, parts_of, refine
from gscodec.branches.native.rounding import Overlaps, balancing, round_together
from gscodec.branches.native.settings import AC_ROUND_UP
from gscodec.branches.native.syntax import (
    AC_KINDS,
    LEAF_COUNT,
    PART,
    Params,
    ac_range,
    aligned_points,
    base_colour_contexts,
    cell_intervals,
    cell_sizes,
    curve_order,
    direction_contexts,
    distance_logs,
    high_contexts,
    likeness,
    log_scale_contexts,
    low_contexts,
    neighbour_weight_contexts,
    opacity_contexts,
    parts_of_cells,
    ratio_contexts,
    roll_contexts,
    stream_kinds,
    table_count,
    weight_contexts,
    weight_heights,
)
from gscodec.branches.native.tiling import tile_exponent
from gscodec.branches.native.values import Rotations, TileValues, levels_of, sorted_logs
from gscodec.cloud import SH_REST_COUNTS, GaussianCloud
from gscodec.entropy.planes import PlaneWriter
from gscodec.entropy.tokens import zigzag
from gscodec.transform.colour import to_opponent
from gscodec.transform.fixed import LN2_PER_UNIT, OCTAVE
from gscodec.transform.intervals import centres, interval_codes
from gscodec.transform.neighbours import level_order, put_ranked, ranked_zeros
from gscodec.transform.octree import cells_of, level_occupancy, morton_codes, places_within, positions_of
from gscodec.transform.opacity import decode_opacity, log_opacities, quantise_opacity
from gscodec.transform.residuals import Level, Rounding, restore
from gscodec.transform.rotation import LEVELS, needles, quantise_rotation, sorted_axes
from gscodec.transform.scales import (
    NEIGHBOURS_LONGER,
    beyond,
    decode_log,
    decode_ratio,
    predict,
    quantise_ratio,
    ratios,
)
from gscodec.transform.trellis import PLAIN, quantise

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]

MAX_CORRECTION = float(1 << 30)


@dataclass(frozen=True)
class TileStreams:
    """A tile whose symbols are known and whose tables are not yet: the geometry head and a writer per stream.

    ``rows`` int64[n]: which of the cloud its splats are, in the order in which they are decoded.
    """

    head: bytes
    rows: I64
    writers: dict[StreamKind, PlaneWriter]


@dataclass(frozen=True)
class Scheme:
    """What all tiles share: parameters of the file, then of each refinement; what components of colour mean; the
    palette, where all but the first are its entries.
    """

    params: tuple[Params, ...]
    colours: ColourTransform
    palette: PaletteEncoder | None = None


def in_components(cloud: GaussianCloud, colours: ColourTransform, positions: F32) -> GaussianCloud:
    """The cloud with components of colour in place of SH; ``positions`` as the decoder has them."""
    regions = colours.bases.regions(positions)
    first, others = to_components(colours.forward, regions, cloud.sh_dc, cloud.sh_rest)
    return replace(cloud, sh_dc=first, sh_rest=others)


class TileEncoder:
    """The splats ``rows`` of a cloud in coding order, quantised attribute by attribute; ``index``: of their classes."""

    def __init__(self, scheme: Scheme, cloud: GaussianCloud, rows: I64, classes: Classes, index: I64) -> None:
        self.params, *self.finer = scheme.params
        self.palette = scheme.palette
        positions = np.take(cloud.positions, rows, axis=0).astype(np.float64)
        places = classes.places[index]
        origin = positions.min(axis=0)
        cell_size = self.params.values["cell_size"]
        exponent = tile_exponent(float((positions.max(axis=0) - origin).max()), cell_size, places)
        depths = np.clip(places + exponent, 0, MAX_DEPTH).astype(np.uint8)
        sizes = cell_sizes(cell_size, exponent, depths)
        cells = cells_of(positions, origin, sizes, depths)
        codes = morton_codes(cells, depths)
        tree_order = np.lexsort((codes, -depths.astype(np.int8)))
        self.leaf_codes, self.leaf_depths = codes[tree_order], depths[tree_order]
        # Rows by np.take: it copies them at once where indexing goes through each number.
        wanted = np.take(places_within(positions, cells, origin, sizes), tree_order, axis=0)
        self.part_codes, within = self._within_cells(wanted)
        parts = parts_of_cells(np.take(cells, tree_order, axis=0), self.part_codes)
        along = curve_order(parts, self.leaf_depths)
        order, parts, within = tree_order[along], np.take(parts, along, axis=0), np.take(within, along, axis=0)
        self.rows, self.depths, self.weights = rows[order], depths[order], classes.weights[index[order]]
        self.order = index[order]
        exact = positions_of(np.take(cells, order, axis=0), within, origin, sizes[order])
        sizes = sizes[order] / CELL_PARTS
        decoded = as_float32(exact)
        self.offsets = (np.take(positions, order, axis=0) - exact) / sizes[:, None]
        self.cloud = in_components(cloud.select(self.rows), scheme.colours, decoded)
        scales, self.axes = sorted_axes(self.cloud.log_scales, self.cloud.quats_wxyz)
        self.scale_logs = scales / LN2_PER_UNIT
        self.opacity_logs = log_opacities(self.cloud.opacity_logits)
        coded = (self.depths.astype(np.int64) - exponent) * OCTAVE
        points = aligned_points(parts, self.depths)
        near = Neighbours.find(points, np.zeros((len(index), 0), np.int64))
        distances = distance_logs(decoded, self.params)
        self.placement = Placement(exact, sizes, decoded, points, self.weights, coded, distances, near)
        mask = int(np.bitwise_or.reduce(1 << np.unique(depths).astype(np.int64)))
        self.head = TILE_GEOMETRY.pack(
            {"origin": tuple(origin), "exponent": exponent, "reserved": 0, "depth_mask": mask}
        )

    def _within_cells(self, wanted: F64) -> tuple[U32, F64]:
        """Codes uint32[3,n] of places float64[n,3] in cells, and the places that these stand for, float64[n,3]."""
        machine, intervals = self.params.machine, cell_intervals(len(wanted))
        codes = [interval_codes(np.ascontiguousarray(own), intervals, machine) for own in wanted.T]
        return np.stack(codes).view(np.uint32), np.stack([centres(own, intervals, machine) for own in codes], axis=1)

    def streams(self, together: bool) -> TileStreams:
        """All streams of the tile, quantised; ``together``: colours rounded with overlapping splats in view."""
        degree, palette = self.cloud.sh_degree, self.palette
        kinds = stream_kinds(degree, palette is not None)
        writers = {kind: PlaneWriter(table_count(kind)) for kind in kinds}
        self._geometry(writers[StreamKind.GEOMETRY])
        opacity = self._opacities(writers[StreamKind.OPACITY])
        long, middle, ratio = self._scales(writers[StreamKind.SCALE], opacity)
        scale_logs = sorted_logs(long, middle, ratio)
        rotations = self._rotations(writers[StreamKind.ROTATION], scale_logs)
        overlaps = self._overlaps() if together else None
        colours = self._base_colours(writers[StreamKind.DC], None if self.finer else overlaps)
        others = wanted = np.zeros((0, len(self.weights)), np.int64)
        if degree or self.finer:
            alike = Neighbours.find(self.placement.points, likeness(scale_logs, colours))
        if palette is not None:
            palette.put_indices(writers[StreamKind.INDICES], self.order, alike)
        elif degree:
            codes = self._components(overlaps)
            if self.finer:
                codes, others, wanted = self._coarse(codes)
            for layer, plane in code_layers(self.params, self.weights, alike, codes):
                writers[AC_KINDS[layer - 1]].put(*plane)
        if self.finer:
            values = TileValues(opacity, middle, long, ratio, rotations, colours, others, np.zeros_like(colours))
            self._refinements(writers, alike, values, wanted)
        return TileStreams(self.head, self.rows, writers)

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
        for own in self.part_codes:
            writer.put(own, PART)
        heights = weight_heights(self.weights, self.depths)
        near, ranked = self.placement.near, ranked_zeros(len(heights))
        for level, start, stop in near.levels():
            own = self.depths[start:stop]
            expected = neighbour_weight_contexts(own, near.predict(ranked, level)) if start else weight_contexts(own)
            writer.put(self.weights[start:stop].astype(np.uint32), expected)
            put_ranked(heights[start:stop], level, ranked)

    def _opacities(self, writer: PlaneWriter) -> I64:
        steps = self.params.opacity_steps[self.weights]
        machine = self.params.machine
        codes = quantise_opacity(self.opacity_logs, steps, machine)
        visibility = self.placement.places - self.placement.pixel_logs(self.params)
        writer.put(codes, opacity_contexts(self.weights, visibility))
        return decode_opacity(codes, steps, machine)

    def _scales(self, writer: PlaneWriter, opacity_logs: I64) -> tuple[I64, I64, I64]:
        params, weights, near, machine = self.params, self.weights, self.placement.near, self.params.machine
        steps = params.scale_steps[weights]
        features = self.placement.features(opacity_logs)
        predicted = predict(params.factors("middle_predictor"), features)
        residuals = quantise((self.balanced(opacity_logs) - predicted) / steps, machine)
        writer.put(zigzag(residuals), log_scale_contexts(weights, 0))
        middle = decode_log(residuals, predicted, steps, machine)
        features = np.concatenate([features, middle[:, None]], axis=1)
        predicted = predict(params.factors("long_predictor"), features)
        rounding = Rounding(self.balanced(opacity_logs, middle) - predicted, steps, machine)
        away = restore(rounding, near.weights, near.starts, steps, machine, NEIGHBOURS_LONGER)
        writer.put(zigzag(rounding.residuals), log_scale_contexts(weights, 1))
        long = beyond(predicted, away)
        ratio_steps = params.ratio_steps[weights]
        codes = quantise_ratio(self.scale_logs[:, 2] - middle, ratio_steps, machine)
        writer.put(codes, ratio_contexts(weights, long, middle))
        return long, middle, decode_ratio(codes, ratio_steps, machine)

    def balanced(self, opacity_logs: I64, middle: I64 | None = None) -> F64:
        """What the middle log scale is to be, or the longest, in view of what is decoded before it."""
        errors = opacity_logs - self.opacity_logs
        if middle is None:
            return self.scale_logs[:, 1] + balancing(errors)
        return self.scale_logs[:, 0] + balancing(errors, middle - self.scale_logs[:, 1])

    def _rotations(self, writer: PlaneWriter, scale_logs: I64) -> Rotations:
        needle = needles(scale_logs, self.placement.pixel_logs(self.params))
        direction, roll = levels_of(self.params, self.placement, scale_logs, needle)
        levels, machine = (LEVELS[direction], LEVELS[roll]), self.params.machine
        codes = quantise_rotation(self.axes, needle, *levels, machine)
        contexts = direction_contexts(needle, direction)
        for code, own in zip(codes, (contexts, contexts, roll_contexts(needle, roll)), strict=True):
            writer.put(code, own)
        return Rotations(np.stack(codes).astype(np.int64), needle, levels, machine)

    def _base_colours(self, writer: PlaneWriter, overlaps: Overlaps | None) -> I64:
        steps, near = self.params.dc_steps[self.weights], self.placement.near
        machine = self.params.machine
        colours = to_opponent(self.cloud.sh_dc)
        opponent = np.zeros(colours.shape, np.int64)
        residuals = np.empty((3, len(self.weights)), np.int32)
        for channel in range(3):
            rounding = Rounding(colours[:, channel], steps, machine, None if overlaps is None else overlaps.shares)

            def code(level: Level, rounding: Rounding = rounding, channel: int = channel) -> I32:
                codes = rounding(level)
                before = residuals[:channel]
                contexts = base_colour_contexts(level.spread, steps[level.own], before, level.own.start)
                writer.put(zigzag(codes), contexts)
                return codes

            opponent[:, channel] = restore(code, near.weights, near.starts, steps, machine)
            residuals[channel] = rounding.residuals
        return opponent

    def _overlaps(self) -> Overlaps:
        along = np.argsort(level_order(len(self.weights)))
        return Overlaps.find(along, self.cloud.positions, self.scale_logs * LN2_PER_UNIT)

    def _components(self, overlaps: Overlaps | None) -> I32:
        """Codes int32[3 * K,n] of all components but the first, in the finest steps."""
        codes = np.empty((3 * SH_REST_COUNTS[self.cloud.sh_degree], len(self.weights)), np.int32)
        for own, layer in in_layers(self.cloud.sh_rest, [self.params, *self.finer][-1], self.weights):
            if overlaps is None:
                codes[own] = round_alone(*layer, AC_ROUND_UP)
            else:
                codes[own] = round_together(in_steps(*layer), overlaps)
        return codes

    def _coarse(self, codes: I32) -> tuple[I32, I64, I64]:
        """Of codes int32[3 * K,n] in the finest steps: those in the coarsest, and the values of both."""
        coarse, values, wanted = np.empty_like(codes), np.empty(codes.shape, np.int64), np.empty(codes.shape, np.int64)
        for degree in range(1, self.cloud.sh_degree + 1):
            own = slice(*(3 * k for k in ac_range(degree)))
            steps = self.params.ac_steps(degree)[self.weights]
            wanted[own] = codes[own] * self.finer[-1].ac_steps(degree)[self.weights]
            coarse[own] = np.rint(wanted[own] / steps)
            values[own] = coarse[own] * steps
        return coarse, values, wanted

    def _refinements(
        self,
        writers: dict[StreamKind, PlaneWriter],
        alike: Neighbours,
        values: TileValues,
        others: I64,
    ) -> None:
        before = self.params
        for kind, after in zip(KINDS[: len(self.finer)], self.finer, strict=True):
            writers[kind] = PlaneWriter(TABLE_COUNT)
            refine(values, self.placement, alike, before, after, _Writing(self, writers[kind], values, others, after))
            before = after


class _Writing:
    """Corrections of one refinement of a tile, written: what takes ``values`` nearest to those of the cloud.

    ``others`` int64[3 * K,n]: what components are to become, as they were rounded in the finest steps.
    """

    def __init__(self, tile: TileEncoder, writer: PlaneWriter, values: TileValues, others: I64, after: Params) -> None:
        self._tile, self._writer, self._values, self._others, self._after = tile, writer, values, others, after
        self._colours = to_opponent(tile.cloud.sh_dc)

    def plane(
        self, name: str, column: int, values: I64, steps: I64 | int, contexts: U16 | int, start: int = 0, /
    ) -> I64:
        """As ``Corrections`` has it."""
        codes = np.rint((self._wanted(name, column)[start : start + len(values)] - values) / steps)
        limit = 1.0 if name == "offsets" else MAX_CORRECTION
        codes = np.clip(codes, -limit, limit).astype(np.int32)
        self._writer.put(zigzag(codes), contexts)
        return codes.astype(np.int64)

    @cached_property
    def _turns(self) -> tuple[U32, U32, U32]:
        tile, values = self._tile, self._values
        direction, roll = parts_of(values, tile.placement, self._after)
        levels = values.rotations.levels[0] * direction, values.rotations.levels[1] * roll
        codes: tuple[U32, U32, U32] = quantise_rotation(tile.axes, values.rotations.needle, *levels, PLAIN)
        return codes

    def _wanted(self, name: str, column: int) -> F64:
        tile = self._tile
        match name:
            case "offsets":
                return tile.offsets[:, column] * float(FACTOR**self._values.refined)
            case "opacity":
                return tile.opacity_logs
            case "middle":
                return tile.balanced(self._values.opacity)
            case "long":
                return tile.balanced(self._values.opacity, self._values.middle)
            case "ratio":
                return ratios(tile.scale_logs[:, 2] - self._values.middle)
            case "rotations":
                return self._turns[column].astype(np.float64)  # of scales that have been refined by now
            case _:
                return self._colours[:, column]

    def component(self, plane: ComponentPlane) -> None:
        """As ``Corrections`` has it."""
        self._writer.put(*code_correction(self._others[plane.number], *plane.given))
