"""AC streams decoded plane by plane, as FORMAT.md has it: what the fused kernel must equal, and where planes can be
seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import ENERGY_STEPS, NEAR_STEPS
from gscodec.branches.native import decode as native
from gscodec.branches.native.syntax import AC_KINDS, ac_range, table_group
from gscodec.entropy.tokens import unzigzag
from gscodec.transform.neighbours import put_ranked, ranked_zeros

I64 = npt.NDArray[np.int64]


def energy_contexts(
    energy: npt.NDArray[np.int32], factors: I64, channel: int, predicted: I64, steps: I64
) -> npt.NDArray[np.uint16]:
    """Contexts uint16[n] of one level of a plane; factors int64[2]."""
    sums = energy.astype(np.int64)
    level = (sums[:, 0] * factors[0] + sums[:, 1 + channel] * factors[1]) >> 17
    bucket = np.searchsorted(np.array(ENERGY_STEPS), level, side="right")
    near = (20 * np.abs(predicted)[:, None] >= np.array(NEAR_STEPS) * steps[:, None]).sum(axis=1)
    return np.asarray((bucket * (len(NEAR_STEPS) + 1) + near) * 3 + channel, np.uint16)


def decode_layer(
    payload: bytes,
    shared: native.Shared,
    weights: npt.NDArray[np.uint8],
    alike: native.Neighbours,
    layer: int,
    energy: npt.NDArray[np.int32],
    components: I64,
) -> None:
    """In place of ``native.decode_layer``, with the ``PlaneReader`` that stands in that module."""
    reader: Any = native.PlaneReader(payload, shared.tables[table_group(AC_KINDS[layer - 1])])
    steps = shared.params.ac_steps(layer)[weights]
    for k in range(*ac_range(layer)):
        for channel in range(3):
            ranked, factors = ranked_zeros(len(weights)), shared.params.plane_factors[k, channel]
            for level, start, stop in alike.levels():
                predicted, own, step = alike.predict(ranked, level), energy[start:stop], steps[start:stop]
                codes = unzigzag(reader.get(energy_contexts(own, factors, channel, predicted, step))).astype(np.int64)
                codes = np.where((predicted < 0) & (codes != -(1 << 31)), -codes, codes)
                magnitudes = (np.minimum(np.abs(codes), 40) << 8).astype(np.int32)
                own[:, 0] += magnitudes - (own[:, 0] >> 2)
                own[:, 1 + channel] += magnitudes - (own[:, 1 + channel] >> 2)
                values = np.clip(codes * step, -(1 << 40), 1 << 40)
                put_ranked(values, level, ranked)
                components[3 * k + channel, start:stop] = values
    reader.finish()
