"""Native encoder: a cloud to the streams of its tiles. Each stage quantises what the decoder's stage restores."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import Coder, StreamKind
from bitstream_spec.tables import WEIGHT_CLASSES
from gscodec.bitstream.entries import Stream
from gscodec.branches.native.coefficients import round_alone
from gscodec.branches.native.colour_bases import ColourTransform, Directions, Sample, find_bases, load_clustering
from gscodec.branches.native.components import in_layers
from gscodec.branches.native.decode import layers_of
from gscodec.branches.native.encode_palette import PaletteEncoder, cost, rounded
from gscodec.branches.native.encode_tile import Scheme, TileEncoder, TileStreams, in_components
from gscodec.branches.native.footprint import classify, viewing_zone
from gscodec.branches.native.meta import pack_meta
from gscodec.branches.native.rare import without_rare
from gscodec.branches.native.refinement import KINDS, TABLE_COUNT, Refinements, params_of, refined_bytes
from gscodec.branches.native.repeats import find_shared
from gscodec.branches.native.settings import AC_ROUND_UP, base_steps, refinement_count
from gscodec.branches.native.syntax import (
    AC_KINDS,
    ENTRY_WEIGHT,
    INDEX,
    TABLE_COUNTS,
    Params,
    distance_logs,
    stream_kinds,
    table_group,
    unpacked_bytes,
    weight_logs,
)
from gscodec.branches.native.tiling import cut
from gscodec.cloud import SH_REST_COUNTS, GaussianCloud
from gscodec.config import EncodeConfig, Progress, Visibility, no_progress
from gscodec.entropy.bytes import compress
from gscodec.entropy.merging import merge_counts
from gscodec.entropy.tables import FrequencyTables, normalise, pack, short
from gscodec.entropy.tokens import ALPHABET
from gscodec.transform.energy import CLIP, PROFILE_UNIT
from gscodec.transform.fixed import LN2_PER_UNIT, OCTAVE
from gscodec.transform.opacity import log_opacities
from gscodec.transform.scales import fit_predictor

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

FIT_SPLATS = 200_000  # predictors are fitted on about as many
TABLES_LEVEL = 19
PROFILE = 3 * SH_REST_COUNTS[-1]
NOTHING_EXPECTED: dict[str, Any] = {  # parameters that are fitted, before they are
    "middle_predictor": (0,) * 5,
    "long_predictor": (0,) * 6,
    "energy_prior": (0,) * WEIGHT_CLASSES,
    "profile": (0,) * PROFILE,
}


def encode_tiles(
    cloud: GaussianCloud,
    config: EncodeConfig,
    pool: Executor,
    progress: Progress = no_progress,
    visibility: Visibility | None = None,
    kept: I64 | None = None,
) -> tuple[list[I64], list[Stream]]:
    """(rows of the cloud in each tile, as the file has them, all streams but the common ones); tiles run on ``pool``.

    ``kept`` int64[n]: code these splats only, as a copy of a large cloud has no room; they must be finite.
    ``visibility`` is of the splats that are coded.
    """
    cloud = replace(cloud, extras={})
    positions, log_scales, opacity_logits = (
        values if kept is None else values[kept] for values in (cloud.positions, cloud.log_scales, cloud.opacity_logits)
    )
    if cloud.sh_degree:
        pool.submit(load_clustering)  # 0.15 s of imports, while this thread does what needs little of Python
    zone = viewing_zone(positions, log_scales)
    classes = classify(zone, positions, log_scales, opacity_logits, visibility, pool)
    refinements = (config.refinements or refinement_count(config.quality)) if config.progressive else 0
    steps = Params(base_steps(config.quality, zone, config.offsets, refinements) | NOTHING_EXPECTED)

    def rows(index: I64) -> I64:
        return index if kept is None else kept[index]

    pick = np.arange(0, len(classes.weights), max(-(-len(classes.weights) // FIT_SPLATS), 1))
    weights, sample = classes.weights[pick], cloud.select(rows(pick))
    largest = pool.submit(_largest_sh, cloud, kept)
    predictors = pool.submit(_predictors, steps, sample, weights, classes.places[pick])

    def fitted() -> tuple[ColourTransform, Params, tuple[Params, ...]]:
        """What all tiles share, from a sample; waits for tasks that were begun before, so that one thread will do."""
        found = _colour_transform(cloud, kept, len(classes.weights), sample, weights, visibility)
        colours = found if found.holds(largest.result()) else ColourTransform.plain(cloud.sh_degree)
        turned = in_components(sample, colours, sample.positions)
        params = Params({**steps.values, **predictors.result(), **_expected_energy(steps, turned.sh_rest, weights)})
        return colours, params, tuple(_finer(params, number, turned, weights) for number in range(1, refinements + 1))

    shared = pool.submit(fitted)
    tiles = cut(positions, classes.places, steps.values["cell_size"])  # meanwhile
    del positions, log_scales, opacity_logits
    repeated = find_shared(cloud.sh_rest, kept, pool) if config.palette and not refinements else None
    colours, params, finer = shared.result()
    colours = without_rare(colours, [params, *finer][-1], cloud, kept, classes.weights, pool)
    scheme = Scheme((params, *finer), colours)

    def quantised(index: I64, scheme: Scheme) -> TileStreams:
        return TileEncoder(scheme, cloud, rows(index), classes, index).streams(config.preset != "fast")

    def cheaper(scheme: Scheme, palette: PaletteEncoder) -> Scheme:
        """``scheme``, or the other one with a palette, judged by one tile."""
        index = tiles[len(tiles) // 2]
        tile = in_components(cloud.select(rows(index)), scheme.colours, cloud.positions[rows(index)])
        _, error = rounded(tile.sh_rest, scheme.params[0], classes.weights[index])
        components = [own for kind, own in quantised(index, scheme).writers.items() if kind in AC_KINDS]
        other = Scheme((palette.params,), ColourTransform.plain(cloud.sh_degree), palette)
        indices = quantised(index, other).writers[StreamKind.INDICES]
        return other if palette.cost(indices, len(index)) < cost(components, error) else scheme

    if repeated is not None:
        scheme = cheaper(scheme, PaletteEncoder(repeated, classes.weights, params, _expected_energy))

    drafts = []
    for draft in pool.map(lambda index: quantised(index, scheme), tiles):
        drafts.append(draft)
        progress("quantising", len(drafts) / len(tiles))
    groups = list(TABLE_COUNTS)[::-1]  # that of AC, which takes longest, first
    found = dict(zip(groups, pool.map(lambda kind: _tables(kind, drafts), groups), strict=True))
    tables = {kind: found[kind] for kind in TABLE_COUNTS}
    if scheme.palette is not None:
        counts = sum((draft.writers[StreamKind.INDICES].counts for draft in drafts), scheme.palette.writer.counts)
        # Merged each for itself: a table of INDICES must not have more than two symbols.
        freqs = [_fitting(own).freqs for own in np.split(counts, [ENTRY_WEIGHT, INDEX])]
        tables[StreamKind.AC1] = tables[StreamKind.INDICES] = FrequencyTables(np.concatenate(freqs))
    packed = b"".join(pack(tables[kind].freqs) for kind in TABLE_COUNTS)
    coder, compressed = compress(packed, TABLES_LEVEL)
    payload = scheme.params[0].pack()
    streams = [
        pack_meta(cloud.meta),
        Stream(StreamKind.PARAMS, Coder.RAW, payload, len(payload)),
        Stream(StreamKind.TABLES, Coder(coder), compressed, len(packed)),
    ]
    if cloud.sh_degree:
        packed = scheme.colours.bases.pack()
        coder, compressed = compress(packed)
        streams.append(Stream(StreamKind.BASES, Coder(coder), compressed, len(packed)))
    if finer:
        tables |= dict.fromkeys(KINDS, _counted(drafts, KINDS, TABLE_COUNT))
        packed = Refinements(finer, tables[KINDS[0]]).pack()
        coder, compressed = compress(packed, TABLES_LEVEL)
        streams.append(Stream(StreamKind.REFINEMENTS, Coder(coder), compressed, len(packed)))
    if scheme.palette is not None:
        streams.append(scheme.palette.stream(tables[StreamKind.INDICES]))
    layers = layers_of(cloud.sh_degree, [stream.kind for stream in streams])
    kinds = stream_kinds(cloud.sh_degree, scheme.palette is not None) + KINDS[: len(finer)]

    def coded(number: int) -> list[Stream]:
        draft, count = drafts[number], len(tiles[number])
        own = []
        for kind in kinds:
            data = draft.writers[kind].finish(tables[table_group(kind)])
            data = draft.head + data if kind == StreamKind.GEOMETRY else data
            degree = cloud.sh_degree
            size = refined_bytes(degree, count) if kind in KINDS else unpacked_bytes(kind, count, degree)
            own.append(Stream(kind, Coder.RANS, data, size, number, layer=layers.get(kind, 0)))
        draft.writers.clear()
        return own

    for number, own in enumerate(pool.map(coded, range(len(tiles))), start=1):
        streams += own
        progress("coding", number / len(tiles))
    return [draft.rows for draft in drafts], streams


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
    return find_bases(Sample(sample.positions, sh, weights), splats, directions)


def _largest_sh(cloud: GaussianCloud, kept: I64 | None) -> float:
    """The largest magnitude of the SH of the splats that are coded; a cloud with others is looked at in parts."""
    largest = 0.0
    for sh in (cloud.sh_dc, cloud.sh_rest):
        starts = range(0, len(sh) if kept is None else len(kept), FIT_SPLATS)
        parts = (sh,) if kept is None else (sh[kept[start : start + FIT_SPLATS]] for start in starts)
        largest = max([largest, *(float(x) for part in parts for x in (part.max(initial=0.0), -part.min(initial=0.0)))])
    return largest


def _tables(group: StreamKind, drafts: list[TileStreams]) -> FrequencyTables:
    kinds = [kind for kind in StreamKind if table_group(kind) == group]
    return _counted(drafts, kinds, TABLE_COUNTS[group])


def _counted(drafts: list[TileStreams], kinds: Sequence[StreamKind], table_count: int) -> FrequencyTables:
    """Tables for all that tiles have in streams of ``kinds``."""
    counts = np.zeros((table_count, ALPHABET), np.int64)
    for draft in drafts:
        for kind in kinds:
            if kind in draft.writers:
                draft.writers[kind].add_counts(counts)
    return _fitting(counts)


def _fitting(counts: I64) -> FrequencyTables:
    """Few and short ones for counts int64[T,72]."""
    return FrequencyTables(short(normalise(merge_counts(counts))))


def _predictors(params: Params, sample: GaussianCloud, weights: U8, places: I32) -> dict[str, tuple[int, ...]]:
    """Parameters that predict scales, fitted on a sample of the splats and its classes."""
    if len(sample) == 0:
        return {}
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
    return {"middle_predictor": tuple(middle), "long_predictor": tuple(long)}


def _finer(base: Params, number: int, sample: GaussianCloud, weights: U8) -> Params:
    """Parameters of refinement ``number``, with what is to be expected of its sample."""
    params = params_of(base, number, base.values)
    return params_of(base, number, {**params.values, **_expected_energy(params, sample.sh_rest, weights)})


def _expected_energy(params: Params, sh_rest: F32, weights: U8) -> dict[str, tuple[int, ...]]:
    """ "profile" and "energy_prior": mean magnitudes of the codes of each component of [n,K,3], and of splats of each
    weight.
    """
    if len(sh_rest) == 0:
        return {}
    of_splats, profile = np.zeros(len(sh_rest)), np.zeros(PROFILE)
    for own, layer in in_layers(sh_rest, params, weights):
        magnitudes = np.minimum(np.abs(round_alone(*layer, AC_ROUND_UP)), CLIP)
        profile[own] = magnitudes.mean(axis=1)
        of_splats += magnitudes.sum(axis=0)
    splats = np.maximum(np.bincount(weights, minlength=WEIGHT_CLASSES), 1)
    priors = np.bincount(weights, of_splats, WEIGHT_CLASSES) / splats / max(float(profile.sum()), 1e-9)
    return {
        "energy_prior": tuple(int(x) for x in np.minimum(np.rint(priors * 256.0), 0xFFFF)),
        "profile": tuple(int(x) for x in np.rint(profile * PROFILE_UNIT)),
    }
