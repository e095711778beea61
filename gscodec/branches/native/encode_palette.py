"""The palette encoded, and whether a file is the smaller for it. Inverse of ``palette``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import Coder, StreamKind
from bitstream_spec.tables import WEIGHT_CLASSES
from gscodec.bitstream.entries import Stream
from gscodec.branches.native.coefficients import in_steps, round_alone
from gscodec.branches.native.components import code_layers, in_layers
from gscodec.branches.native.palette import code_indices, in_a_row, pack_palette
from gscodec.branches.native.placement import Neighbours
from gscodec.branches.native.repeats import SharedSh
from gscodec.branches.native.settings import AC_ROUND_UP
from gscodec.branches.native.syntax import ENTRY_WEIGHT, PALETTE_TABLES, Params, unpacked_bytes
from gscodec.cloud import SH_REST_COUNTS
from gscodec.entropy.planes import PlaneWriter
from gscodec.entropy.tables import FrequencyTables, normalise
from gscodec.transform.neighbours import level_order, ranked_zeros

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

Expected = Callable[[Params, F32, U8], Mapping[str, Any]]  # of sh_rest and weight classes: "profile", "energy_prior"

ERROR_PER_BIT = math.log(2.0) / 6.0  # squared error in steps that another bit for a value saves: -d(step**2 / 12)


class PaletteEncoder:
    """Entries quantised: ``index`` int64[n] of the splats that are coded; ``params`` of a file with this palette."""

    def __init__(self, shared: SharedSh, weights: U8, params: Params, expected: Expected) -> None:
        order = level_order(len(shared.entries))
        entries, classes = shared.entries[order], entry_classes(shared, weights)[order]
        self.index = shared.index
        self.params = Params({**params.values, **expected(params, entries, classes)})
        self.writer = PlaneWriter(PALETTE_TABLES)
        self.writer.put(classes.astype(np.uint32), ENTRY_WEIGHT)
        # Of an entry in its own steps: as much as of all splats that have it in theirs.
        codes, self._error = rounded(entries, self.params, classes)
        for _, plane in code_layers(self.params, classes, in_a_row(len(entries)), codes):
            self.writer.put(*plane)
        self._entries, self._degree = len(entries), SH_REST_COUNTS.index(entries.shape[1])

    def put_indices(self, writer: PlaneWriter, splats: I64, alike: Neighbours) -> None:
        """The plane of INDICES of a tile of ``splats``, int64[n] in coding order."""
        index = np.ascontiguousarray(self.index[splats])
        writer.put(*code_indices(index, alike.weights, alike.starts, self._entries, ranked_zeros(len(index))))

    def stream(self, tables: FrequencyTables) -> Stream:
        """PALETTE."""
        payload = pack_palette(self._entries, self.writer.finish(tables))
        size = unpacked_bytes(StreamKind.INDICES, self._entries, self._degree)
        return Stream(StreamKind.PALETTE, Coder.RANS, payload, size)

    def cost(self, indices: PlaneWriter, splats: int) -> float:
        """As the function of this name, of the INDICES of a tile of so many splats and its share of PALETTE."""
        return cost([indices]) + cost([self.writer], self._error) * splats / len(self.index)


def cost(writers: Iterable[PlaneWriter], squared_error: float = 0.0) -> float:
    """Bits of streams with tables of their own, and of errors what it costs to make them smaller."""
    tables = ((writer, FrequencyTables(normalise(writer.counts))) for writer in writers)
    return sum(8.0 * len(writer.finish(own)) for writer, own in tables) + squared_error / ERROR_PER_BIT


def rounded(sh_rest: F32, params: Params, weights: U8) -> tuple[I32, float]:
    """Codes int32[3 * K,n] of components float32[n,K,3], and the sum of their squared errors in steps."""
    codes, error = np.empty((3 * sh_rest.shape[1], len(sh_rest)), np.int32), 0.0
    for own, layer in in_layers(sh_rest, params, weights):
        codes[own] = round_alone(*layer, AC_ROUND_UP)
        error += float(np.square(in_steps(*layer) - codes[own].T).sum())
    return codes, error


def entry_classes(shared: SharedSh, weights: U8) -> U8:
    """Weight classes uint8[M] of entries: an error in one counts in all splats that have it, each of its own class.

    A class is half an octave of errors, and so an octave of their squares.
    """
    counted = np.bincount(shared.index, np.exp2(weights.astype(np.float64)), len(shared.entries))
    return np.asarray(np.clip(np.rint(np.log2(counted)), 0, WEIGHT_CLASSES - 1), np.uint8)
