"""The kernels of colour components: against planes decoded one by one, and against rounding in numpy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from damage import flips, truncations  # which also puts the folder of ``conformance`` on the path

from bitstream_spec.layout import StreamKind
from bitstream_spec.tables import WEIGHT_CLASSES
from conformance.plain_bands import decode_layer
from gscodec.branches.native import components
from gscodec.branches.native.coefficients import MAX_CODE, code_channel, in_steps, round_alone
from gscodec.branches.native.placement import Neighbours
from gscodec.branches.native.syntax import TABLE_COUNTS
from gscodec.entropy.planes import PlaneReader, PlaneWriter
from gscodec.entropy.tables import FrequencyTables, normalise
from gscodec.errors import CorruptStreamError
from gscodec.transform.colour import to_opponent
from gscodec.transform.energy import plane_factors
from gscodec.transform.neighbours import ranked_zeros
from gscodec.transform.steps import class_steps


def coded_layer(count: int, spread: float) -> tuple[bytes, tuple[Any, ...]]:
    """Payload of the first layer of ``count`` splats, and what else decodes it: tables, parameters, and so on."""
    rng = np.random.default_rng(count)
    points, features = rng.integers(0, 500, (count, 3)), rng.integers(0, 40, (count, 2))
    weights, alike = rng.integers(0, WEIGHT_CLASSES, count).astype(np.uint8), Neighbours.find(points, features)
    codes = np.clip(np.rint(rng.laplace(0, spread, (9, count))), -(2**31) + 1, 2**31 - 1).astype(np.int32)
    energy = rng.integers(0, 3000, (count, 4)).astype(np.int32)
    table, factors = class_steps(40_000, 1 << 26), plane_factors(rng.integers(0, 1 << 16, (3, 3)))
    ranked, mine = ranked_zeros(count), energy.copy()
    writer = PlaneWriter(TABLE_COUNTS[StreamKind.AC1])
    for number, own in enumerate(codes):
        near, expected = (alike.weights, alike.starts), factors[number // 3, number % 3]
        writer.put(*code_channel(own, *near, table[weights], mine, expected, number % 3, ranked))
    tables = FrequencyTables(normalise(writer.counts))
    params = SimpleNamespace(ac_steps=lambda _: table, plane_factors=factors)
    return writer.finish(tables), (tables, params, weights, alike, energy)


def decoded(decoder: Any, payload: bytes, needed: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """(values, energy) of the layer, None where the decoder says that the payload is corrupt."""
    tables, params, weights, alike, energy = needed
    values, energy = np.full((9, len(weights)), -1 << 62), energy.copy()
    try:
        reader = PlaneReader(payload, tables)
        decoder(reader, params, weights, alike, 1, energy, values)
        reader.finish()
    except CorruptStreamError:
        return None
    return values, energy


@pytest.mark.parametrize("spread", [0.3, 20.0, 1e9])
@pytest.mark.parametrize("count", [1, 2, 127, 130, 3000])
def test_layers_equal_planes_decoded_one_by_one(count: int, spread: float) -> None:
    payload, needed = coded_layer(count, spread)
    fast, slow = decoded(components.decode_layer, payload, needed), decoded(decode_layer, payload, needed)
    assert fast is not None
    assert slow is not None
    assert np.abs(fast[0]).max() <= 1 << 40
    for found, expected in zip(fast, slow, strict=True):
        assert found.tobytes() == expected.tobytes()


def test_damaged_layers_are_judged_alike() -> None:
    payload, needed = coded_layer(40, 30.0)
    noticed = 0
    for damaged in [*truncations(payload), *flips(payload, step=5)]:
        fast, slow = decoded(components.decode_layer, damaged, needed), decoded(decode_layer, damaged, needed)
        assert (fast is None) == (slow is None)
        noticed += fast is None
        if fast is not None and slow is not None:
            assert fast[0].tobytes() == slow[0].tobytes()
    assert noticed > len(payload)


def test_rounding_alone_equals_numpy() -> None:
    rng = np.random.default_rng(4)
    sh_rest, steps = rng.normal(0, 0.2, (700, 8, 3)).astype(np.float32), rng.integers(1, 50_000, 700)
    sh_rest[0], sh_rest[1] = 3e38, 0.0
    codes = round_alone(sh_rest, 3, 8, steps, 0.45)
    wanted = in_steps(sh_rest, 3, 8, steps)
    opponent = to_opponent(sh_rest[:, 3:8]).reshape(700, 15)
    for number, own in enumerate(codes):
        ratio = opponent[:, number] / steps
        np.testing.assert_array_equal(wanted[:, number], ratio)
        slow = np.copysign(np.minimum(np.floor(np.abs(ratio) + 0.55), MAX_CODE), ratio)
        np.testing.assert_array_equal(own, slow.astype(np.int32))
