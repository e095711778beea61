"""AC streams and INDICES decoded plane by plane, as FORMAT.md has it: what the fused kernels must equal, and where
planes can be seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitstream_spec.tables import ENERGY_STEPS, NEAR_STEPS
from gscodec.branches.native.palette import Palette
from gscodec.branches.native.placement import Neighbours
from gscodec.branches.native.syntax import INDEX, Params, ac_range
from gscodec.entropy.planes import PlaneReader
from gscodec.entropy.tokens import unzigzag
from gscodec.transform.neighbours import level_order, put_ranked, ranked_zeros

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
    reader: PlaneReader,
    params: Params,
    weights: npt.NDArray[np.uint8],
    alike: Neighbours,
    layer: int,
    energy: npt.NDArray[np.int32],
    components: I64,
) -> None:
    """In place of ``components.decode_layer``."""
    steps = params.ac_steps(layer)[weights]
    for k in range(*ac_range(layer)):
        for channel in range(3):
            ranked, factors = ranked_zeros(len(weights)), params.plane_factors[k, channel]
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


def read_indices(reader: PlaneReader, palette: Palette, alike: Neighbours) -> I64:
    """In place of ``palette.read_indices``: bit by bit."""
    count = int(alike.starts[-1])
    ranks, entry_of = level_order(count), {}
    levels = {rank: level for level, start, stop in alike.levels() for rank in ranks[start:stop].tolist()}
    for place, rank in enumerate(ranks.tolist()):
        gap = 1 << levels[rank]
        others = [rank + way * gap for way in (-1, 1, -3, 3, -5, 5, -7, 7)] if levels[rank] < 7 else []
        near = [(entry_of[o], int(w)) for o, w in zip(others, alike.weights[place], strict=False) if 0 <= o < count]
        low, high, halvings = 0, palette.values.shape[1], 0
        while high - low > 1:
            middle = (low + high) >> 1
            vote = sum(w if entry >= middle else -w for entry, w in near if low <= entry < high)
            bucket = 4 if vote == 0 else 4 + (1 if vote > 0 else -1) * (1 + min(abs(vote) >> 10, 3))
            context = np.array([INDEX + 9 * halvings + bucket], np.uint16)
            low, high = (middle, high) if reader.get(context)[0] else (low, middle)
            halvings += 1
        entry_of[rank] = low
    return np.array([entry_of[rank] for rank in ranks.tolist()], np.int64)
