"""The front door of decoding: a .gsb file, or the part of it that is asked for, back to a cloud."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import accumulate
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar

import numpy as np

from bitstream_spec.layout import Branch, Coder, StreamKind
from gscodec.bitstream.container import Container, too_few_bytes
from gscodec.bitstream.source import BytesSource, FileSource, Source
from gscodec.bitstream.tiles import Box, TileRecord, unpack_tiles
from gscodec.branches.lossless import decode as lossless
from gscodec.branches.native import decode as native
from gscodec.cloud import ATTRIBUTES, GaussianCloud, empty_cloud
from gscodec.config import DecodeLimits, Progress, no_progress
from gscodec.digest import DIGEST_BYTES, digest
from gscodec.errors import BadInputError, CorruptStreamError
from gscodec.selection import Asked, Selection, least_bytes, select

DECODERS: dict[Branch, ModuleType] = {Branch.NATIVE: native, Branch.LOSSLESS: lossless}

FRONT_DOOR = frozenset({StreamKind.TILES, StreamKind.DIGESTS})  # read here; branches get all others

T = TypeVar("T")
Data = bytes | bytearray | memoryview | str | os.PathLike[str] | Source


def decode(
    data: Data,
    *,
    tiles: Sequence[int] | None = None,
    box: Box | None = None,
    sh_degree: int | None = None,
    layers: int | None = None,
    max_bytes: int | None = None,
    limits: DecodeLimits | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    ignore_checksums: bool = False,
) -> GaussianCloud:
    """The cloud in a .gsb file given as bytes, path or Source.

    ``tiles``: only these, in this order; ``box`` ((x, y, z), (X, Y, Z)): only the splats whose positions lie in it;
    ``sh_degree``: SH of this degree at most, as near to the colours that are seen as it gets, from so many layers of
    components, of a progressive file from all; ``layers``: only up to this layer of the file, from 0: colours are in
    layers 1.. of SH degree 1.., what a progressive file refines in those above. With any of them, only the bytes
    concerned are read.
    ``max_bytes``: use only so many bytes from the start of the file, which may have been cut behind them. Tiles
    whose streams of layer 0 are not all there are left out; layers that are not there add nothing to the colours.
    ``ignore_checksums`` is for fuzzing alone.
    Raises GsbError; BadInputError names the bytes that are needed where ``max_bytes`` hold no tile.
    """
    with _opened(data) as source:
        decoder = Decoder(source, limits, max_bytes, ignore_checksums)
        selection = decoder.select(tiles, box, sh_degree, layers)
        pattern = decoder.pattern(selection)
        if box is not None:  # how many splats lie in it is not known before
            return _joined(pattern, list(decoder.decode_tiles(selection, threads, progress)))
        cloud = _room(pattern, decoder.splat_count(selection))
        deque(decoder.decode_tiles(selection, threads, progress, cloud), 0)
        return cloud


def _opened(data: Data) -> AbstractContextManager[Source]:
    """``data`` as a Source, closed at the end if it was opened here."""
    if isinstance(data, bytes | bytearray | memoryview):
        return nullcontext(BytesSource(data))
    return FileSource(data) if isinstance(data, str | os.PathLike) else nullcontext(data)


def _room(pattern: GaussianCloud, count: int) -> GaussianCloud:
    """A cloud like ``pattern`` of ``count`` splats, to be filled."""
    extras = {name: np.empty(count, values.dtype) for name, values in pattern.extras.items()}
    return replace(empty_cloud(count, pattern.sh_degree, pattern.meta), extras=MappingProxyType(extras))


def _rows(cloud: GaussianCloud, start: int, count: int) -> GaussianCloud:
    """Views of some rows of a cloud."""
    rows = slice(start, start + count)
    arrays: dict[str, Any] = {name: getattr(cloud, name)[rows] for name in ATTRIBUTES}
    extras = {name: values[rows] for name, values in cloud.extras.items()}
    return replace(cloud, **arrays, extras=MappingProxyType(extras))


def _joined(pattern: GaussianCloud, parts: Sequence[GaussianCloud]) -> GaussianCloud:
    """``parts`` one after the other as a cloud like ``pattern``."""
    cloud = _room(pattern, sum(len(part) for part in parts))
    start = 0
    for part in parts:
        rows = _rows(cloud, start, len(part))
        for name in ATTRIBUTES:
            getattr(rows, name)[:] = getattr(part, name)
        for name, values in rows.extras.items():
            values[:] = part.extras[name]
        start += len(part)
    return cloud


class Decoder:
    """An opened .gsb file, its head and the streams of the whole file read.

    ``header``; ``records`` of the tiles; ``last_layer`` of the file, from 0.

    Decodes tile by tile, so that a caller need not hold the scene. Arguments and errors as ``decode`` has them.
    """

    def __init__(
        self,
        source: Source,
        limits: DecodeLimits | None = None,
        max_bytes: int | None = None,
        ignore_checksums: bool = False,
    ) -> None:
        self.container = container = Container.open(source, limits, ignore_checksums, max_bytes)
        self.header = container.header
        self._ignore_checksums = ignore_checksums
        self._branch = DECODERS[self.header.branch]
        of_file = [entry for entry in container.entries if entry.tile is None and entry.known]
        self._layers = self._branch.layers_of(self.header.sh_degree, [entry.kind for entry in of_file])
        if not all(map(container.complete, of_file)):
            tiles = {entry.tile for entry in container.entries if entry.tile is not None}
            raise too_few_bytes(container.available, least_bytes(container, tiles, self._layers))
        self.records = read_tiles(container)
        streams = {
            StreamKind(entry.kind): container.read(entry.kind) for entry in of_file if entry.kind not in FRONT_DOOR
        }
        self._shared = self._branch.parse_shared(streams, self.header)
        self.last_layer = self._branch.highest_layer(self._shared)
        self._digests = _read_digests(container, len(self.records))
        self._reductions: dict[tuple[int, int], Any] = {}  # of what all tiles need, by layers and degree

    def select(
        self,
        tiles: Sequence[int] | None = None,
        box: Box | None = None,
        sh_degree: int | None = None,
        layers: int | None = None,
    ) -> Selection:
        """What of the file to decode. Raises BadInputError."""
        asked = Asked(tiles, box, sh_degree, layers)
        return select(self.container, self.records, self._layers, self.last_layer, asked)

    def splat_count(self, selection: Selection) -> int:
        """Splats in the tiles of a selection, those outside of its box counted."""
        return sum(self.records[number].splat_count for number in selection.layers)

    def verified(self, selection: Selection) -> int:
        """How many tiles of a selection are compared with their digests: those with all of their layers."""
        if self._ignore_checksums:
            return 0
        return sum(self._complete(layers, selection) for layers in selection.layers.values())

    def pattern(self, selection: Selection) -> GaussianCloud:
        """A cloud of no splats with degree, meta and extras as ``decode_tiles`` gives them."""
        pattern: GaussianCloud = self._branch.empty(self._reduced(self.last_layer, selection))
        return pattern

    def decode_tiles(
        self,
        selection: Selection,
        threads: int | None = None,
        progress: Progress | None = None,
        into: GaussianCloud | None = None,
    ) -> Iterator[GaussianCloud]:
        """The tiles of a selection, one after the other; few are in memory at a time. Each has been verified.

        ``into``: a cloud like ``pattern`` of ``splat_count`` splats in contiguous arrays, of which the tiles are then
        rows; not for a box. Raises BadInputError for another length, or with a box.
        After the last tile of a whole file, the streams that were skipped are verified, too.
        """
        progress = progress or no_progress
        kinds: dict[int, list[int]] = {number: [] for number in selection.layers}
        for entry in self.container.entries:
            if entry.tile in kinds and entry.known:
                kinds[entry.tile].append(entry.kind)
        count = self.splat_count(selection)
        if into is not None and (selection.box is not None or len(into) != count):
            allowed = "None with a box" if selection.box is not None else f"{count} splats"
            raise BadInputError("cannot decode into this cloud", field="into", found=len(into), allowed=allowed)
        tiles = list(selection.layers.items())
        starts = [0, *accumulate(self.records[number].splat_count for number in selection.layers)]

        def task(place: int) -> GaussianCloud:
            number, layers = tiles[place]
            rows = None if into is None else _rows(into, starts[place], self.records[number].splat_count)
            tile = self._decode_tile(number, layers, selection, kinds[number], rows)
            if selection.box is not None:
                low, high = (np.array(corner, np.float64) for corner in selection.box)
                tile = tile.select(np.all((tile.positions >= low) & (tile.positions <= high), axis=1))
            return tile

        for done, tile in enumerate(_in_order(task, len(tiles), threads or os.cpu_count() or 1), start=1):
            progress("decoding", done / len(tiles))
            yield tile
        if selection.whole:
            self.container.verify_unread()

    def _complete(self, layers: int, selection: Selection) -> bool:
        return layers == self.last_layer and selection.sh_degree == self.header.sh_degree

    def _reduced(self, layers: int, selection: Selection) -> Any:
        """What all tiles need, to decode so many layers to the degree of a selection."""
        if self._complete(layers, selection):
            return self._shared
        reduced = self._branch.reduced(self._shared, layers, selection.sh_degree)
        return self._reductions.setdefault((layers, selection.sh_degree), reduced)

    def _decode_tile(
        self, number: int, layers: int, selection: Selection, kinds: Iterable[int], into: GaussianCloud | None
    ) -> GaussianCloud:
        shared = self._reduced(layers, selection)
        needed = [kind for kind in kinds if self._layers.get(kind, 0) <= layers]
        streams = {StreamKind(kind): self.container.read(kind, number) for kind in needed}
        record = self.records[number]
        tile: GaussianCloud = self._branch.decode_tile(streams, shared, record.splat_count, into)
        expected = self._digests[DIGEST_BYTES * number : DIGEST_BYTES * (number + 1)]
        if self._complete(layers, selection) and not self._ignore_checksums and digest(tile) != expected:
            raise CorruptStreamError("decoded arrays differ from the encoder's", field=f"digest of tile {number}")
        if layers == self.last_layer or self.last_layer == self.header.sh_degree:  # refinements move splats
            _check_box(tile, record, number)
        return tile


def read_tiles(container: Container) -> tuple[TileRecord, ...]:
    """The tile records of a file. Raises CorruptStreamError."""
    stream = container.read(StreamKind.TILES)
    _need_raw(stream.coder, "TILES")
    return unpack_tiles(stream.payload, container.header.tile_count, container.header.splat_count)


def _read_digests(container: Container, tile_count: int) -> bytes:
    stream = container.read(StreamKind.DIGESTS)
    _need_raw(stream.coder, "DIGESTS")
    if len(stream.payload) != DIGEST_BYTES * tile_count:
        allowed = DIGEST_BYTES * tile_count
        raise CorruptStreamError("wrong size", field="DIGESTS", found=len(stream.payload), allowed=allowed)
    return stream.payload


def _in_order(task: Callable[[int], T], count: int, workers: int) -> Iterator[T]:
    """``task`` of 0 .. count - 1, in order, no more of them begun than workers and one; the first error ends it all.

    One worker is this thread itself: starting another can fail, or never return, where memory is short.
    """
    if workers == 1 or count <= 1:
        yield from map(task, range(count))
        return
    with ThreadPoolExecutor(workers) as pool:
        begun: deque[Future[T]] = deque()
        try:
            for number in range(count):
                begun.append(pool.submit(task, number))
                if len(begun) > workers:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _check_box(tile: GaussianCloud, record: TileRecord, number: int) -> None:
    """A box that leaves splats out would hide them from ``decode(box=...)``; NaN lies in every box."""
    low, high = np.array(record.min, np.float32), np.array(record.max, np.float32)
    outside = np.any((tile.positions < low) | (tile.positions > high), axis=1)
    if outside.any():
        found = tile.positions[np.argmax(outside)].tolist()
        raise CorruptStreamError(
            "a splat lies outside of its tile's box",
            field=f"TILES[{number}]",
            found=found,
            allowed=(record.min, record.max),
        )


def _need_raw(coder: Coder, name: str) -> None:
    if coder != Coder.RAW:
        raise CorruptStreamError("wrong coder", field=name, found=int(coder), allowed=int(Coder.RAW))
