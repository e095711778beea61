"""Native decoder: the streams of one tile to its splats, in the order of FORMAT.md. Safe for any bytes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import Coder, StreamKind
from gscodec.bitstream.entries import Header, Stream
from gscodec.branches.native.bases import MAX_REGIONS, Bases, region_bytes
from gscodec.branches.native.coefficients import decode_correction
from gscodec.branches.native.components import decode_layer
from gscodec.branches.native.decode_geometry import decode_geometry
from gscodec.branches.native.meta import unpack_meta
from gscodec.branches.native.palette import Palette, has_palette, read_indices, unpack_palette
from gscodec.branches.native.placement import Neighbours, Placement
from gscodec.branches.native.refinement import (
    KINDS,
    MAX_PAYLOAD,
    ComponentPlane,
    Refinements,
    refine,
    refined_bytes,
)
from gscodec.branches.native.syntax import (
    AC_KINDS,
    ENTRY_WEIGHT,
    PALETTE_TABLES,
    TABLE_COUNTS,
    Params,
    base_colour_contexts,
    direction_contexts,
    likeness,
    log_scale_contexts,
    opacity_contexts,
    ratio_contexts,
    roll_contexts,
    stream_kinds,
    table_group,
    unpacked_bytes,
)
from gscodec.branches.native.values import Rotations, TileValues, levels_of, sorted_logs
from gscodec.cloud import SH_REST_COUNTS, CloudMeta, GaussianCloud, empty_cloud
from gscodec.entropy.bytes import decompress
from gscodec.entropy.planes import PlaneReader
from gscodec.entropy.tables import FrequencyTables, unpack
from gscodec.entropy.tokens import ALPHABET, unzigzag
from gscodec.errors import CorruptStreamError
from gscodec.transform.opacity import decode_opacity
from gscodec.transform.residuals import Level, restore
from gscodec.transform.rotation import LEVELS, needles
from gscodec.transform.scales import NEIGHBOURS_LONGER, beyond, decode_log, decode_ratio, predict

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]

MAX_TABLE_BYTES = 1 + 3 * ALPHABET
MAX_TILE_SPLATS = 1 << 20
NO_LAYER = len(AC_KINDS) + len(KINDS) + 1  # of streams that no decode of the file takes


@dataclass(frozen=True)
class Shared:
    """What all tiles of a file need: parameters, tables by stream kind, bases of colour, meta; refinements or a palette
    of a file that has them.

    ``sh_degree``: of the clouds that are made; ``layers``: of components to decode, numbered as SH degrees;
    ``refined``: how many refinements to decode.
    """

    params: Params
    tables: Mapping[StreamKind, FrequencyTables]
    bases: Bases
    sh_degree: int
    layers: int
    meta: CloudMeta
    refinements: Refinements | None = None
    refined: int = 0
    palette: Palette | None = None

    @property
    def coded_degree(self) -> int:
        """SH degree of the file."""
        return SH_REST_COUNTS.index(self.bases.matrices.shape[1])

    @cached_property
    def factors(self) -> npt.NDArray[np.float64]:
        """As ``Bases.factors`` has them: once for all tiles, for a lower degree is not cheap."""
        return self.bases.factors(self.layers, self.sh_degree)


def parse_shared(streams: Mapping[StreamKind, Stream], header: Header) -> Shared:
    """From the streams of the whole file. Raises CorruptStreamError."""
    params = Params.unpack(_need(streams, StreamKind.PARAMS, Coder.RAW).payload)
    stream = _need(streams, StreamKind.TABLES, None)
    shares_components = has_palette(streams, header)
    table_count = sum(TABLE_COUNTS.values()) + (PALETTE_TABLES - ENTRY_WEIGHT if shares_components else 0)
    packed = decompress(stream.coder, stream.payload, stream.raw_length, MAX_TABLE_BYTES * table_count)
    freqs = unpack(packed, table_count, ALPHABET)
    tables, at = {}, 0
    for kind, count in TABLE_COUNTS.items():
        tables[kind] = FrequencyTables(freqs[at : at + count])
        at += count
    degree = header.sh_degree
    meta = unpack_meta(streams.get(StreamKind.META), header)
    bases, refinements = _bases(streams, degree), parse_refinements(streams, params)
    refined = len(refinements.params) if refinements else 0
    palette = None
    if shares_components:
        own = FrequencyTables(freqs[-PALETTE_TABLES:])
        palette = unpack_palette(streams[StreamKind.PALETTE], params, header, own)
    return Shared(params, tables, bases, degree, degree, meta, refinements, refined, palette)


def layers_of(sh_degree: int, of_file: Collection[int]) -> dict[int, int]:
    """Layer, from 1, of each kind of stream that a decode can do without if it does without all higher layers.

    ``of_file``: kinds of the streams of the whole file.
    """
    if StreamKind.PALETTE in of_file and sh_degree:
        colours = {StreamKind.INDICES: 1}
    else:
        colours = {kind: layer for layer, kind in enumerate(AC_KINDS[:sh_degree], start=1)}
    refinements = {kind: layer for layer, kind in enumerate(KINDS, start=sh_degree + 1)}
    skipped = dict.fromkeys((*AC_KINDS, StreamKind.INDICES, *KINDS), NO_LAYER)
    found = skipped | colours | (refinements if StreamKind.REFINEMENTS in of_file else {})
    return {int(kind): layer for kind, layer in found.items()}


def highest_layer(shared: Shared) -> int:
    """The last layer that a file has, given what ``parse_shared`` says of it."""
    return shared.layers + shared.refined


def reduced(shared: Shared, layers: int, sh_degree: int) -> Shared:
    """What a decode of some layers to clouds of some degree needs."""
    coded = shared.layers
    return replace(shared, layers=min(layers, coded), refined=max(layers - coded, 0), sh_degree=sh_degree)


def parse_refinements(streams: Mapping[StreamKind, Stream], params: Params) -> Refinements | None:
    """Those of a progressive file. Raises CorruptStreamError."""
    stream = streams.get(StreamKind.REFINEMENTS)
    if stream is None:
        return None
    if params.values["dependent"]:
        found = params.values["dependent"]
        raise CorruptStreamError("refined values are not dependent", field="dependent", found=found, allowed="0")
    return Refinements.unpack(decompress(stream.coder, stream.payload, stream.raw_length, MAX_PAYLOAD), params)


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


def decode_tile(
    streams: Mapping[StreamKind, Stream], shared: Shared, count: int, into: GaussianCloud | None = None
) -> GaussianCloud:
    """The ``count`` splats of a tile, in the arrays of ``into`` if given. Raises CorruptStreamError."""
    if not 1 <= count <= MAX_TILE_SPLATS:
        raise CorruptStreamError(
            "wrong size of tile", field="splat_count", found=count, allowed=f"1..{MAX_TILE_SPLATS}"
        )
    kinds, degree = stream_kinds(shared.layers, shared.palette is not None), shared.coded_degree
    sizes = {kind: unpacked_bytes(kind, count, degree) for kind in kinds}
    sizes |= dict.fromkeys(KINDS[: shared.refined], refined_bytes(shared.layers, count))
    payloads = {}
    for kind, size in sizes.items():
        stream = _need(streams, kind, Coder.RANS)
        if stream.raw_length != size:
            raise CorruptStreamError("wrong raw length", field=kind.name, found=stream.raw_length, allowed=size)
        payloads[kind] = stream.payload

    placement = decode_geometry(payloads[StreamKind.GEOMETRY], shared.params, shared.tables[StreamKind.GEOMETRY], count)
    opacity = decode_opacities(payloads[StreamKind.OPACITY], shared, placement)
    long, middle, ratio = decode_scales(payloads[StreamKind.SCALE], shared, placement, opacity)
    scale_logs = sorted_logs(long, middle, ratio)
    rotations = decode_rotations(payloads[StreamKind.ROTATION], shared, placement, scale_logs)
    colours = decode_base_colours(payloads[StreamKind.DC], shared, placement)
    if shared.layers or shared.refined:
        alike = Neighbours.find(placement.points, likeness(scale_logs, colours))
        others = decode_components(payloads, shared, placement.weights, alike)
    else:
        others = np.empty((0, count), np.int64)
    values = TileValues(opacity, middle, long, ratio, rotations, colours, others, np.zeros((count, 3), np.int64))
    if shared.refinements is not None:
        before = shared.params
        for kind, after in zip(KINDS[: shared.refined], shared.refinements.params, strict=False):
            reader = Reading(PlaneReader(payloads[kind], shared.refinements.tables))
            refine(values, placement, alike, before, after, reader)
            reader.finish()
            before = after
    cloud = empty_cloud(count, shared.sh_degree, shared.meta) if into is None else into
    values.fill(cloud, placement, shared.bases, shared.factors)
    return cloud


def decode_opacities(payload: bytes, shared: Shared, placement: Placement) -> I64:
    """log2 of opacity int64[n] in 1/65536 octave."""
    params, reader = shared.params, PlaneReader(payload, shared.tables[StreamKind.OPACITY])
    visibility = placement.places - placement.pixel_logs(params)
    codes = reader.get(opacity_contexts(placement.weights, visibility))
    reader.finish()
    return decode_opacity(codes, params.opacity_steps[placement.weights], params.machine)


def decode_scales(payload: bytes, shared: Shared, placement: Placement, opacity_logs: I64) -> tuple[I64, I64, I64]:
    """Log scales int64[n] long and middle in 1/65536 octave, and the shortest over the middle in 1/65536."""
    params, weights = shared.params, placement.weights
    reader = PlaneReader(payload, shared.tables[StreamKind.SCALE])
    steps, machine = params.scale_steps[weights], params.machine
    features = placement.features(opacity_logs)
    codes = unzigzag(reader.get(log_scale_contexts(weights, 0)))
    middle = decode_log(codes, predict(params.factors("middle_predictor"), features), steps, machine)
    features = np.concatenate([features, middle[:, None]], axis=1)
    codes, near = unzigzag(reader.get(log_scale_contexts(weights, 1))), placement.near
    away = restore(lambda level: codes[level.own], near.weights, near.starts, steps, machine, NEIGHBOURS_LONGER)
    long = beyond(predict(params.factors("long_predictor"), features), away)
    ratios = reader.get(ratio_contexts(weights, long, middle))
    reader.finish()
    return long, middle, decode_ratio(ratios, params.ratio_steps[weights], params.machine)


def decode_rotations(payload: bytes, shared: Shared, placement: Placement, scale_logs: I64) -> Rotations:
    """Codes of directions and rolls."""
    reader = PlaneReader(payload, shared.tables[StreamKind.ROTATION])
    needle = needles(scale_logs, placement.pixel_logs(shared.params))
    direction, roll = levels_of(shared.params, placement, scale_logs, needle)
    contexts = direction_contexts(needle, direction)
    codes = [reader.get(contexts), reader.get(contexts), reader.get(roll_contexts(needle, roll))]
    reader.finish()
    machine = shared.params.machine
    rotations = Rotations(np.stack(codes).astype(np.int64), needle, (LEVELS[direction], LEVELS[roll]), machine)
    rotations.check("ROTATION")
    return rotations


def decode_base_colours(payload: bytes, shared: Shared, placement: Placement) -> I64:
    """Component 0 of colours as opponent channels, int64[n,3]."""
    weights, near = placement.weights, placement.near
    reader = PlaneReader(payload, shared.tables[StreamKind.DC])
    steps, machine = shared.params.dc_steps[weights], shared.params.machine
    opponent, residuals = np.empty((len(weights), 3), np.int64), np.empty((3, len(weights)), np.int32)
    for channel in range(3):

        def read(level: Level, channel: int = channel) -> I32:
            before = residuals[:channel]
            contexts = base_colour_contexts(level.spread, steps[level.own], before, level.own.start)
            residuals[channel, level.own] = unzigzag(reader.get(contexts))
            return residuals[channel, level.own]

        opponent[:, channel] = restore(read, near.weights, near.starts, steps, machine)
    reader.finish()
    return opponent


def decode_components(payloads: Mapping[StreamKind, bytes], shared: Shared, weights: U8, alike: Neighbours) -> I64:
    """All but component 0, int64[3 * K,n], the channels of each side by side."""
    rows, palette = 3 * SH_REST_COUNTS[shared.layers], shared.palette
    if palette is not None and rows:
        reader = PlaneReader(payloads[StreamKind.INDICES], palette.tables)
        indices = read_indices(reader, palette, alike)
        reader.finish()
        return palette.values[:rows, indices]
    components, energy = np.empty((rows, len(weights)), np.int64), shared.params.first_energy(weights)
    for layer, kind in enumerate(AC_KINDS[: shared.layers], start=1):
        reader = PlaneReader(payloads[kind], shared.tables[table_group(kind)])
        decode_layer(reader, shared.params, weights, alike, layer, energy, components)
        reader.finish()
    return components


class Reading:
    """Corrections of one refinement of a tile, read."""

    def __init__(self, reader: PlaneReader) -> None:
        self._reader = reader

    def plane(
        self, _name: str, _column: int, values: I64, _steps: I64 | int, contexts: U16 | int, _start: int = 0, /
    ) -> I64:
        """As ``Corrections`` has it."""
        count = None if isinstance(contexts, np.ndarray) else len(values)
        return unzigzag(self._reader.get(contexts, count)).astype(np.int64)

    def component(self, plane: ComponentPlane) -> None:
        """As ``Corrections`` has it."""
        self._reader.check(decode_correction(self._reader.cursor, *plane.given))

    def finish(self) -> None:
        """Check that nothing is left. Raises CorruptStreamError."""
        self._reader.finish()


def _need(streams: Mapping[StreamKind, Stream], kind: StreamKind, coder: Coder | None) -> Stream:
    stream = streams.get(kind)
    if stream is None:
        raise CorruptStreamError("a needed stream is missing", field=kind.name)
    if coder is not None and stream.coder != coder:
        raise CorruptStreamError("wrong coder", field=kind.name, found=int(stream.coder), allowed=int(coder))
    return stream
