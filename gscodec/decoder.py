"""The front door of decoding: a .gsb file, or the tiles of it that are asked for, back to a cloud."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import MappingProxyType, ModuleType

import numpy as np

from bitstream_spec.layout import Branch, Coder, StreamKind
from gscodec.bitstream.container import Container
from gscodec.bitstream.source import BytesSource, FileSource, Source
from gscodec.bitstream.tiles import Box, TileRecord, tiles_in_box, unpack_tiles
from gscodec.branches.lossless import decode as lossless
from gscodec.branches.native import decode as native
from gscodec.cloud import ATTRIBUTES, GaussianCloud, empty_cloud
from gscodec.config import DecodeLimits, Progress, no_progress
from gscodec.digest import DIGEST_BYTES, digest
from gscodec.errors import BadInputError, CorruptStreamError

DECODERS: dict[Branch, ModuleType] = {Branch.NATIVE: native, Branch.LOSSLESS: lossless}

FRONT_DOOR = frozenset({StreamKind.TILES, StreamKind.DIGESTS})  # read here; branches get all others

Data = bytes | bytearray | memoryview | str | os.PathLike[str] | Source


def decode(
    data: Data,
    *,
    tiles: Sequence[int] | None = None,
    box: Box | None = None,
    limits: DecodeLimits | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    ignore_checksums: bool = False,
) -> GaussianCloud:
    """The cloud in a .gsb file given as bytes, path or Source.

    ``tiles``: only these, in this order; ``box`` ((x, y, z), (X, Y, Z)): only the splats whose positions lie in
    it. With either, only the bytes of the tiles concerned are read. ``ignore_checksums`` is for fuzzing alone.
    Raises GsbError.
    """
    with _opened(data) as source:
        container = Container.open(source, limits, ignore_checksums)
        records = read_tiles(container)
        wanted = _wanted(records, tiles, box)
        cloud = _decode_tiles(container, records, wanted, threads, progress or no_progress, ignore_checksums)
        if tiles is None and box is None:
            container.verify_unread()
    if box is not None:
        low, high = (np.array(corner, np.float64) for corner in box)
        inside = np.all((cloud.positions >= low) & (cloud.positions <= high), axis=1)
        cloud = cloud.select(inside)
    return cloud


def read_tiles(container: Container) -> tuple[TileRecord, ...]:
    """The tile records of a file. Raises CorruptStreamError."""
    stream = container.read(StreamKind.TILES)
    _need_raw(stream.coder, "TILES")
    return unpack_tiles(stream.payload, container.header.tile_count, container.header.splat_count)


def _wanted(records: Sequence[TileRecord], tiles: Sequence[int] | None, box: Box | None) -> list[int]:
    chosen = list(range(len(records))) if tiles is None else list(tiles)
    for number in chosen:
        if not 0 <= number < len(records):
            raise BadInputError("no such tile", field="tiles", found=number, allowed=f"0..{len(records) - 1}")
    if len(set(chosen)) != len(chosen):
        raise BadInputError("a tile is named twice", field="tiles", found=chosen)
    if box is not None:
        hit = set(tiles_in_box(records, box))
        chosen = [number for number in chosen if number in hit]
    return chosen


def _decode_tiles(
    container: Container,
    records: Sequence[TileRecord],
    wanted: list[int],
    threads: int | None,
    progress: Progress,
    ignore_checksums: bool,
) -> GaussianCloud:
    header = container.header
    decoder = DECODERS[header.branch]
    of_file = {
        StreamKind(entry.kind): container.read(entry.kind)
        for entry in container.entries
        if entry.tile is None and entry.known and entry.kind not in FRONT_DOOR
    }
    shared = decoder.parse_shared(of_file, header)
    digests = container.read(StreamKind.DIGESTS)
    _need_raw(digests.coder, "DIGESTS")
    if len(digests.payload) != DIGEST_BYTES * len(records):
        allowed = DIGEST_BYTES * len(records)
        raise CorruptStreamError("wrong size", field="DIGESTS", found=len(digests.payload), allowed=allowed)
    kinds: dict[int, list[int]] = {number: [] for number in wanted}
    for entry in container.entries:
        if entry.tile in kinds and entry.known:
            kinds[entry.tile].append(entry.kind)

    starts = np.cumsum([0] + [records[number].splat_count for number in wanted])
    count = int(starts[-1])
    pattern = decoder.empty(shared)
    cloud = empty_cloud(count, header.sh_degree, pattern.meta)
    extras = {name: np.empty(count, values.dtype) for name, values in pattern.extras.items()}

    def task(place: int) -> None:
        number = wanted[place]
        streams = {StreamKind(kind): container.read(kind, number) for kind in kinds[number]}
        tile = decoder.decode_tile(streams, shared, records[number].splat_count)
        expected = digests.payload[DIGEST_BYTES * number : DIGEST_BYTES * (number + 1)]
        if not ignore_checksums and digest(tile) != expected:
            raise CorruptStreamError("decoded arrays differ from the encoder's", field=f"digest of tile {number}")
        _check_box(tile, records[number], number)
        rows = slice(starts[place], starts[place + 1])
        for name in ATTRIBUTES:
            getattr(cloud, name)[rows] = getattr(tile, name)
        for name, values in extras.items():
            values[rows] = tile.extras[name]

    workers = threads or os.cpu_count() or 1
    for place, _ in enumerate(_each(task, len(wanted), workers), start=1):
        progress("decoding", place / len(wanted))
    return replace(cloud, extras=MappingProxyType(extras))


def _each(task: Callable[[int], None], count: int, workers: int) -> Iterator[None]:
    """Run ``task`` for 0 .. count - 1 and yield as each is done, in order; the first error ends it all.

    One worker is this thread itself: starting another can fail, or never return, where memory is short.
    """
    if workers == 1 or count <= 1:
        yield from map(task, range(count))
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(task, number) for number in range(count)]
        try:
            for future in futures:
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


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


def _opened(data: Data) -> AbstractContextManager[Source]:
    """``data`` as a Source, closed at the end if it was opened here."""
    if isinstance(data, bytes | bytearray | memoryview):
        return nullcontext(BytesSource(data))
    return FileSource(data) if isinstance(data, str | os.PathLike) else nullcontext(data)


def _need_raw(coder: Coder, name: str) -> None:
    if coder != Coder.RAW:
        raise CorruptStreamError("wrong coder", field=name, found=int(coder), allowed=int(Coder.RAW))
