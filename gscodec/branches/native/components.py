"""Colour components beyond the mean, layer by layer: of the splats of a tile, and of the entries of a palette."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from gscodec.branches.native.coefficients import code_channel, decode_channel
from gscodec.branches.native.placement import Neighbours
from gscodec.branches.native.syntax import Params, ac_range
from gscodec.cloud import SH_REST_COUNTS
from gscodec.entropy.planes import PlaneReader
from gscodec.transform.neighbours import ranked_zeros

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]


def in_layers(sh_rest: F32, params: Params, weights: U8) -> Iterator[tuple[slice, tuple[F32, int, int, I64]]]:
    """(rows of codes [3 * K,n], what ``in_steps`` and ``round_alone`` take) of each layer of [n,K,3]."""
    for layer in range(1, SH_REST_COUNTS.index(sh_rest.shape[1]) + 1):
        first, last = ac_range(layer)
        yield slice(3 * first, 3 * last), (sh_rest, first, last, params.ac_steps(layer)[weights])


def code_layers(params: Params, weights: U8, alike: Neighbours, codes: I32) -> Iterator[tuple[int, tuple[U32, U16]]]:
    """(layer, (symbols uint32[n], contexts uint16[n])) of each plane of codes int32[3 * K,n]."""
    energy, ranked = params.first_energy(weights), ranked_zeros(len(weights))
    near = alike.weights, alike.starts
    for layer in range(1, SH_REST_COUNTS.index(len(codes) // 3) + 1):
        steps = params.ac_steps(layer)[weights]
        for number in range(*(3 * k for k in ac_range(layer))):
            factors, channel = params.plane_factors[number // 3, number % 3], number % 3
            yield layer, code_channel(codes[number], *near, steps, energy, factors, channel, ranked)


def decode_layer(
    reader: PlaneReader,
    params: Params,
    weights: U8,
    alike: Neighbours,
    layer: int,
    energy: I32,
    components: I64,
) -> None:
    """Components of one layer into rows of int64[3 * K,n], channels side by side; ``energy`` int32[n,4] goes along.

    Raises CorruptStreamError.
    """
    steps, ranked = params.ac_steps(layer)[weights], ranked_zeros(len(weights))
    for k in range(*ac_range(layer)):
        for channel in range(3):
            near, factors = (alike.weights, alike.starts), params.plane_factors[k, channel]
            values = components[3 * k + channel]
            reader.check(decode_channel(reader.cursor, *near, steps, energy, factors, channel, ranked, values))
