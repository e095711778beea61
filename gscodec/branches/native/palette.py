"""Components that splats share: a palette for the whole file, and which entry each splat of a tile has.

Scenes that were compressed before repeat a few thousand vectors of SH. A file then says each of them once, as if the
entries were the splats of one tile in a row, each alike to those beside it. A splat says its entry by halving the
palette until one is left; neighbours whose entries are still among those left vote for the half that theirs is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import Coder, StreamKind
from bitstream_spec.tables import WEIGHT_CLASSES
from gscodec.bitstream.entries import Header, Stream
from gscodec.branches.native.components import decode_layer
from gscodec.branches.native.placement import Neighbours
from gscodec.branches.native.syntax import ENTRY_WEIGHT, INDEX, MAX_ENTRIES, VOTES, Params, unpacked_bytes
from gscodec.cloud import SH_REST_COUNTS
from gscodec.entropy.planes import PlaneCursor, PlaneReader
from gscodec.entropy.rans import next_symbol
from gscodec.entropy.tables import FrequencyTables
from gscodec.errors import CorruptStreamError
from gscodec.transform.neighbours import NEIGHBOURS, REACH, TOP_LEVEL, first_rank, level_order, rank_step, ranked_zeros

I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]

VOTE_BITS = 10  # neighbours' weights sum to 2**12
_HEAD_BYTES = 4


@dataclass(frozen=True, eq=False)
class Palette:
    """``values`` int64[3 * K,M] of M entries, the channels of a component side by side; ``tables`` of INDICES, too."""

    values: I64
    tables: FrequencyTables


def in_a_row(count: int) -> Neighbours:
    """Each entry's neighbours, in coding order: those beside it count most."""
    points = np.zeros((count, 3), np.int64)
    points[:, 0] = 2 * level_order(count) + 1
    return Neighbours.find(points, np.zeros((count, 0), np.int64))


def pack_palette(count: int, planes: bytes) -> bytes:
    """The payload of PALETTE."""
    return count.to_bytes(_HEAD_BYTES, "little") + planes


def has_palette(streams: Mapping[StreamKind, Stream], header: Header) -> bool:
    """Whether one of the streams of the whole file is a palette that counts. Raises CorruptStreamError."""
    if StreamKind.PALETTE not in streams or header.sh_degree == 0:
        return False
    if StreamKind.REFINEMENTS in streams:
        raise CorruptStreamError("refinements cannot correct a palette", field="PALETTE", allowed="no REFINEMENTS")
    return True


def unpack_palette(stream: Stream, params: Params, header: Header, tables: FrequencyTables) -> Palette:
    """Inverse of ``pack_palette``. Raises CorruptStreamError."""
    data, sh_degree, most = stream.payload, header.sh_degree, min(MAX_ENTRIES, header.splat_count)
    if stream.coder != Coder.RANS:
        raise CorruptStreamError("wrong coder", field="PALETTE", found=int(stream.coder), allowed=int(Coder.RANS))
    if len(data) < _HEAD_BYTES:
        raise CorruptStreamError("truncated", field="PALETTE", found=len(data), allowed=f">= {_HEAD_BYTES} bytes")
    count = int.from_bytes(data[:_HEAD_BYTES], "little")
    if not 1 <= count <= most:
        raise CorruptStreamError("wrong number of entries", field="PALETTE", found=count, allowed=f"1..{most}")
    raw = unpacked_bytes(StreamKind.INDICES, count, sh_degree)
    if stream.raw_length != raw:
        raise CorruptStreamError("wrong raw length", field="PALETTE", found=stream.raw_length, allowed=raw)
    if tables.freqs[INDEX:, 2:].any():
        raise CorruptStreamError("a bit of INDICES is neither 0 nor 1", field="TABLES", allowed="0, 1")
    reader = PlaneReader(data[_HEAD_BYTES:], tables)
    weights = reader.get(ENTRY_WEIGHT, count)
    if int(weights.max()) >= WEIGHT_CLASSES:
        found, allowed = int(weights.max()), f"< {WEIGHT_CLASSES}"
        raise CorruptStreamError("no such weight class", field="PALETTE", found=found, allowed=allowed)
    classes = weights.astype(np.uint8)
    near, energy = in_a_row(count), params.first_energy(classes)
    coded = np.empty((3 * SH_REST_COUNTS[sh_degree], count), np.int64)
    for layer in range(1, sh_degree + 1):
        decode_layer(reader, params, classes, near, layer, energy, coded)
    reader.finish()
    values = np.empty_like(coded)
    values[:, level_order(count)] = coded
    return Palette(values, tables)


def read_indices(reader: PlaneReader, palette: Palette, alike: Neighbours) -> I64:
    """The entries int64[n] of the splats of a tile. Raises CorruptStreamError."""
    count = int(alike.starts[-1])
    indices, ranked = np.empty(count, np.int64), ranked_zeros(count)
    entries = palette.values.shape[1]
    reader.check(decode_indices(reader.cursor, alike.weights, alike.starts, entries, ranked, indices))
    return indices


@nb.njit(forceinline=True)
def _context(indices: I64, at: Any, gap: Any, weights: I16, i: Any, low: Any, high: Any) -> Any:
    """0 .. VOTES - 1: how much of the weight of neighbours in low .. high - 1 is in the upper half of these."""
    middle, vote = (low + high) >> 1, 0
    for j in range(NEIGHBOURS):
        index = indices[at + ((j | 1) if j & 1 else -(j + 1)) * gap]
        if low <= index < high:
            vote += weights[i, j] if index >= middle else -weights[i, j]
    degree = 0 if vote == 0 else 1 + min(abs(vote) >> VOTE_BITS, VOTES // 2 - 1)
    return VOTES // 2 + (degree if vote > 0 else -degree)


@nb.njit(cache=True, nogil=True)
def decode_indices(cursor: PlaneCursor, weights: I16, starts: I64, entries: int, ranked: I64, indices: I64) -> Any:
    """``indices`` int64[n], each below ``entries``; ``ranked`` of ``ranked_zeros``; tables INDEX .. of a palette.

    Returns a context without a table, or -1: what ``PlaneReader.check`` wants to know.
    """
    rows, bounds, firsts, words, state = cursor.rans
    for level in range(TOP_LEVEL, -1, -1):
        at, gap = REACH + first_rank(level), 1 << level
        for i in range(starts[TOP_LEVEL - level], starts[TOP_LEVEL - level + 1]):
            low, high, context = 0, entries, INDEX
            while high - low > 1:
                own = context + (_context(ranked, at, gap, weights, i, low, high) if level < TOP_LEVEL else VOTES // 2)
                row = rows[own]
                if row < 0:
                    return own
                middle = (low + high) >> 1
                if next_symbol(row, bounds, firsts, words, state):
                    low = middle
                else:
                    high = middle
                context += VOTES
            indices[i] = low
            ranked[at] = low
            at += rank_step(level)
    return -1


@nb.njit(cache=True, nogil=True)
def code_indices(indices: I64, weights: I16, starts: I64, entries: int, ranked: I64) -> tuple[U32, U16]:
    """Inverse of ``decode_indices``: symbols uint32 and contexts uint16 of all halvings, one splat after the other."""
    most = 0
    while 1 << most < entries:
        most += 1
    symbols, contexts = np.empty(len(indices) * most, np.uint32), np.empty(len(indices) * most, np.uint16)
    done = 0
    for level in range(TOP_LEVEL, -1, -1):
        at, gap = REACH + first_rank(level), 1 << level
        for i in range(starts[TOP_LEVEL - level], starts[TOP_LEVEL - level + 1]):
            low, high, context = 0, entries, INDEX
            while high - low > 1:
                own = _context(ranked, at, gap, weights, i, low, high) if level < TOP_LEVEL else VOTES // 2
                middle = (low + high) >> 1
                upper = indices[i] >= middle
                symbols[done], contexts[done] = upper, context + own
                low, high = (middle, high) if upper else (low, middle)
                context += VOTES
                done += 1
            ranked[at] = indices[i]
            at += rank_step(level)
    return symbols[:done], contexts[:done]
