"""Refinements: what each layer of a progressive file gives, and files in which they are broken."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud
from test_native import grid_cloud, nearest

from bitstream_spec.layout import NATIVE_REFINEMENT, StreamKind
from conformance.assembly import Parts
from conformance.faulty_refinements import base, put, recode, unpacked
from gscodec import DecodeLimits, EncodeConfig, decode, encode
from gscodec.bitstream.container import Container
from gscodec.bitstream.source import BytesSource
from gscodec.branches.native import decode as native
from gscodec.branches.native.coefficients import code_correction, decode_correction
from gscodec.branches.native.refinement import COMPONENT, KINDS, TABLE_COUNT
from gscodec.branches.native.rounding import balancing
from gscodec.branches.native.settings import AC_ROUND_UP, refinement_count
from gscodec.branches.native.syntax import Params
from gscodec.cloud import GaussianCloud
from gscodec.decoder import Decoder
from gscodec.entropy.planes import PlaneReader, PlaneWriter
from gscodec.entropy.tables import FrequencyTables, normalise
from gscodec.entropy.tokens import unzigzag
from gscodec.errors import BadInputError, CorruptStreamError, LimitExceededError
from gscodec.selection import layer_ends
from gscodec.transform.colour import to_opponent
from gscodec.transform.fixed import LN2_PER_UNIT, OCTAVE
from gscodec.transform.neighbours import put_ranked, ranked_zeros
from gscodec.transform.opacity import log_opacities
from gscodec.transform.rotation import sorted_axes


def progressive(cloud: GaussianCloud, refinements: int, quality: float = 75.0) -> bytes:
    return encode(cloud, EncodeConfig(quality=quality, progressive=True, refinements=refinements))


def shared_of(data: bytes) -> native.Shared:
    shared: native.Shared = Decoder(BytesSource(data))._shared
    return shared


def ends_of(data: bytes) -> tuple[int, ...]:
    decoder = Decoder(BytesSource(data))
    return layer_ends(decoder.container, decoder._layers, decoder.last_layer)[0]


@pytest.mark.parametrize(("quality", "count"), [(1.0, 1), (26.0, 1), (50.0, 1), (51.0, 2), (75.0, 2), (100.0, 2)])
def test_as_many_refinements_as_leave_something_to_see(quality: float, count: int) -> None:
    assert refinement_count(quality) == count


def test_coarse_steps_are_those_of_the_quality_times_powers_of_three() -> None:
    cloud = random_cloud(300, 2, 0)
    plain, coarse = shared_of(encode(cloud)).params, shared_of(progressive(cloud, 3))
    assert coarse.params.values["scale_step"] == pytest.approx(27 * plain.values["scale_step"], rel=1e-3)
    assert coarse.refinements is not None
    *_, finest = coarse.refinements.params
    for name in ("scale_step", "ratio_step", "opacity_step", "dc_step", "direction_offset", "roll_offset"):
        assert abs(finest.values[name] - plain.values[name]) <= 2
    assert coarse.params.values["cell_size"] == pytest.approx(27 * plain.values["cell_size"])


@pytest.mark.parametrize("refinements", [1, 2, 3])
@pytest.mark.parametrize("sh_degree", range(5))
def test_every_layer_is_within_half_its_steps(sh_degree: int, refinements: int) -> None:
    source = grid_cloud(sh_degree, sh_degree)
    data = progressive(source, refinements)
    whole, shared = decode(data), shared_of(data)
    assert shared.refinements is not None
    source = source.select(nearest(whole, source))
    streams = Container.open(BytesSource(data))
    place = native.decode_geometry(
        streams.read(StreamKind.GEOMETRY, 0).payload, shared.params, shared.tables[StreamKind.GEOMETRY], len(source)
    )
    weights, parts = place.weights, place.sizes[:, None]
    for number, params in enumerate((shared.params, *shared.refinements.params)):
        found = decode(data, layers=sh_degree + number)
        error = np.abs(found.positions.astype(np.float64) - source.positions)
        assert (error <= parts / 3**number / 2 * (1 + 1e-6) + np.spacing(np.float32(8))).all()
        # Floats are made of logs by interpolation, 5e-5 octave, which counts where opacity is near 1.
        fainter = log_opacities(found.opacity_logits) - log_opacities(source.opacity_logits)
        blur = 2 * 5e-5 * OCTAVE + 2.0**-13 / LN2_PER_UNIT
        assert (np.abs(fainter) <= params.opacity_steps[weights] / 2 + blur).all()
        wanted = sorted_axes(source.log_scales, source.quats_wxyz)[0]
        long, middle = ((found.log_scales[:, :2] - wanted[:, :2]) / LN2_PER_UNIT).T
        halves = params.scale_steps[weights] / 2 + blur
        assert (np.abs(middle - balancing(fainter)) <= halves).all()
        assert (np.abs(long - balancing(fainter, middle)) <= halves).all()
        ratio = np.exp(found.log_scales[:, 2] - found.log_scales[:, 1])
        expected = np.exp(wanted[:, 2] - found.log_scales[:, 1])
        # A correction may find the value at a quarter step, where code 0 stands, or the middle axis has moved.
        assert (np.abs(ratio - expected) <= params.ratio_steps[weights] / 2 / OCTAVE + 1e-4).all()
        error = np.abs(to_opponent(found.sh_dc) - to_opponent(source.sh_dc))
        assert (error <= params.dc_steps[weights, None] / 2 + 2).all()
    for degree in range(1, sh_degree + 1):
        band = slice(degree**2 - 1, (degree + 1) ** 2 - 1)
        error = np.abs(to_opponent(whole.sh_rest[:, band]) - to_opponent(source.sh_rest[:, band]))
        # The last steps are a third of a third of .. rounded down, so that a large value is off by some units more.
        assert (error <= params.ac_steps(degree)[weights, None, None] * max(AC_ROUND_UP, 1 - AC_ROUND_UP) + 40).all()


def test_what_is_refined_is_not_dependent() -> None:
    data = progressive(random_cloud(20, 0, 1), 1)
    stream = Container.open(BytesSource(data)).read(StreamKind.REFINEMENTS, None)
    params = Params({**shared_of(data).params.values, "dependent": 1})
    with pytest.raises(CorruptStreamError, match="dependent"):
        native.parse_refinements({StreamKind.REFINEMENTS: stream}, params)


def test_the_last_layer_is_as_near_as_a_plain_file() -> None:
    source = grid_cloud(1, 7)
    plain, refined = decode(encode(source)), decode(progressive(source, 2))
    for name in ("quats_wxyz", "sh_rest"):
        errors = []
        for found in (plain, refined):
            wanted, own = getattr(source.select(nearest(found, source)), name), getattr(found, name)
            if name == "quats_wxyz":
                axes = [sorted_axes(found.log_scales, quats)[1] for quats in (wanted, own)]
                errors.append(np.median(np.abs(np.abs(axes[0]) - np.abs(axes[1]))))
            else:
                errors.append(np.sqrt(np.mean((wanted - own) ** 2)))
        assert errors[1] <= 1.2 * errors[0]


def test_layers_of_a_file() -> None:
    cloud = random_cloud(400, 2, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gscodec.branches.native.tiling.TILE_SPLATS", 150)
        data = progressive(cloud, 2)
    container = Container.open(BytesSource(data))
    placed = sorted((e for e in container.entries if e.tile is not None), key=lambda e: e.offset)
    layers = native.layers_of(2, [StreamKind.REFINEMENTS])
    units = list(dict.fromkeys((layers.get(e.kind, 0), e.tile) for e in placed))
    assert units == [(layer, tile) for layer in range(5) for tile in range(4)]
    ends, whole = ends_of(data), decode(data)
    assert ends[-1] == len(data)
    for layer, end in enumerate(ends):
        found = decode(data, layers=layer)
        assert_same_arrays(decode(data[:end], max_bytes=end), found)
        assert found.sh_degree == (2 if layer else 0)
    assert_same_arrays(found, whole)
    decoder = Decoder(BytesSource(data))
    assert decoder.verified(decoder.select()) == 4
    assert decoder.verified(decoder.select(layers=3)) == decoder.verified(decoder.select(sh_degree=1)) == 0
    # All refinements count for a lower degree, too: they are of all colours at once.
    lower = decode(data, sh_degree=0)
    assert lower.sh_degree == 0
    assert lower.positions.tobytes() == whole.positions.tobytes()
    for wrong in (-1, 5):
        with pytest.raises(BadInputError, match=re.escape("0..4")):
            decode(data, layers=wrong)


def test_tiles_may_be_refined_each_as_far_as_they_are_there() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gscodec.branches.native.tiling.TILE_SPLATS", 100)
        data = progressive(random_cloud(200, 1, 4), 1)
    decoder = Decoder(BytesSource(data))
    ends = layer_ends(decoder.container, decoder._layers, decoder.last_layer)[1]
    half = decode(data, max_bytes=ends[0][2])
    assert_same_arrays(half.select(slice(0, 100)), decode(data, tiles=[0]))
    assert_same_arrays(half.select(slice(100, 200)), decode(data, tiles=[1], layers=1))


def test_no_splats_and_plain_files() -> None:
    assert len(decode(progressive(random_cloud(0, 1, 0), 2))) == 0
    kinds = {e.kind for e in Container.open(BytesSource(encode(random_cloud(50, 1, 0)))).entries}
    assert not kinds & {*KINDS, StreamKind.REFINEMENTS}


def test_progressive_lossless_is_refused() -> None:
    with pytest.raises(BadInputError, match="progressive"):
        EncodeConfig(lossless=True, progressive=True)


def slow_corrections(
    reader: PlaneReader, alike: native.Neighbours, before: Any, steps: Any, energy: Any, f: int, g: int, values: Any
) -> None:
    """One channel 1 of a component as FORMAT.md has it, level by level in exact integers."""
    thresholds = [7, 16, 30, 48, 75, 112, 166, 240, 347, 496, 709, 1008, 1433]
    ranked = ranked_zeros(len(values))
    for level, start, stop in alike.levels():
        predicted = alike.predict(ranked, level)
        contexts = []
        for i in range(start, stop):
            expected = int(energy[i][0]) * f + int(energy[i][2]) * g >> 17
            bucket = sum(t <= expected for t in thresholds)
            size = 20 * abs(int(predicted[i - start]))
            near = sum(t * int(steps[i]) <= size for t in (2, 5, 10, 16, 26, 44, 80, 160))
            so_far = min((abs(int(values[i])) + (int(before[i]) >> 1)) // int(before[i]), 2)
            contexts.append(1713 + 3 * ((bucket * 9 + near) * 3 + 1) + so_far)
        codes = unzigzag(reader.get(np.array(contexts, np.uint16))).tolist()
        for i, code in zip(range(start, stop), codes, strict=True):
            if values[i] < 0 or (values[i] == 0 and predicted[i - start] < 0):
                code = -code
            values[i] = min(max(int(values[i]) + code * int(steps[i]), -(2**40)), 2**40)
            m = min((abs(int(values[i])) + (int(steps[i]) >> 1)) // int(steps[i]), 40) * 256
            for place in (0, 2):
                energy[i][place] += m - (int(energy[i][place]) >> 2)
        put_ranked(values[start:stop], level, ranked)


@pytest.mark.parametrize("count", [1, 2, 300])
def test_kernel_of_corrections_equals_plain_integers(count: int) -> None:
    rng = np.random.default_rng(count)
    alike = native.Neighbours.find(rng.integers(0, 1 << 21, (count, 3)), np.zeros((count, 0), np.int64))
    before = rng.integers(30, 3000, count)
    steps = np.maximum(before // 3, 1)
    coarse = np.rint(rng.laplace(0, 1.5, count)).astype(np.int64) * before
    wanted = coarse + rng.integers(-4, 5, count) * steps
    energy = rng.integers(0, 4000, (count, 4)).astype(np.int32)
    factors = np.array([70000, 90000], np.int64)
    near = alike.weights, alike.starts

    values, own = coarse.copy(), energy.copy()
    planes = code_correction(wanted, *near, before, steps, own, factors, 1, ranked_zeros(count), values, COMPONENT)
    assert values.tolist() == wanted.tolist()
    writer = PlaneWriter(TABLE_COUNT)
    writer.put(*planes)
    tables = FrequencyTables(normalise(writer.counts))
    payload = writer.finish(tables)

    fast, fast_energy = coarse.copy(), energy.copy()
    reader = PlaneReader(payload, tables)
    reader.check(
        decode_correction(
            reader.cursor, *near, before, steps, fast_energy, factors, 1, ranked_zeros(count), fast, COMPONENT
        )
    )
    reader.finish()
    slow, slow_energy = coarse.copy(), energy.copy()
    reader = PlaneReader(payload, tables)
    slow_corrections(reader, alike, before, steps, slow_energy, 70000, 90000, slow)
    reader.finish()
    assert fast.tolist() == slow.tolist() == wanted.tolist()
    assert fast_energy.tolist() == slow_energy.tolist() == own.tolist()


# Files in which they are broken are among those of conformance/faulty.


def test_recoded_corrections_decode_alike() -> None:
    """What cases of damaged corrections are made with does no other damage."""
    data = recode(StreamKind.REFINE1, lambda _name, _column, codes: codes)
    assert data != base()
    assert_same_arrays(decode(data), decode(base()))


def test_refinements_beyond_the_number_are_skipped() -> None:
    """REFINE streams above the number of refinements belong to nothing."""
    raw = unpacked(Parts.of(base()))
    only_first = b"\1" + raw[1 : 1 + NATIVE_REFINEMENT.size] + raw[1 + 2 * NATIVE_REFINEMENT.size :]
    decoder = Decoder(BytesSource(put(Parts.of(base()), only_first).file()))
    streams = {e.kind for e in decoder.container.entries}
    assert streams >= {StreamKind.REFINE1, StreamKind.REFINE2}
    assert decoder.select().layers == {0: 2}


def test_refinements_ask_for_no_memory_of_their_own() -> None:
    cloud = random_cloud(1000, 3, 6)
    plain, refined = encode(cloud), progressive(cloud, 2)
    floats = cloud.nbytes
    enough = DecodeLimits(max_memory=floats + 2 * len(refined))
    assert len(decode(plain, limits=enough)) == len(decode(refined, limits=enough)) == 1000
    for data in (plain, refined):
        with pytest.raises(LimitExceededError):
            decode(data, limits=DecodeLimits(max_memory=floats - 1))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_many_as_asked(count: int) -> None:
    data = encode(random_cloud(50, 1, 7), EncodeConfig(progressive=True, refinements=count))
    assert Decoder(BytesSource(data)).last_layer == 1 + count


@pytest.mark.parametrize("count", [0, 4])
def test_not_as_many_as_there_cannot_be(count: int) -> None:
    with pytest.raises(BadInputError, match="refinements"):
        EncodeConfig(progressive=True, refinements=count)
