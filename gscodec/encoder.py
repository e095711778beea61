"""The front door of encoding: a cloud and a config in, the chunks of a .gsb file out."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import Branch, Coder, CoordinateFrame, RenderMode, StreamKind
from gscodec.bitstream.container import container_chunks
from gscodec.bitstream.entries import Header, Stream
from gscodec.bitstream.tiles import Point, TileRecord, pack_tiles
from gscodec.branches.lossless import encode as lossless
from gscodec.branches.native import encode as native
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, Progress, Visibility, no_progress
from gscodec.decoder import DECODERS
from gscodec.digest import digest
from gscodec.errors import BadInputError
from gscodec.sanitise import checked

Rows = npt.NDArray[np.int64] | range
ENCODERS: dict[Branch, Callable[..., tuple[Sequence[Rows], list[Stream]]]] = {
    Branch.NATIVE: native.encode_tiles,
    Branch.LOSSLESS: lossless.encode_tiles,
}


@dataclass(frozen=True)
class EncodeReport:
    """What an encode did. ``dropped``: splats left out, by reason; ``stream_bytes``: by stream kind; ``rows``: which of
    the cloud that was encoded (after any pruning) the splats of each tile are, in the order of the file.
    """

    splats_in: int
    splats: int
    dropped: Mapping[str, int]
    lost_properties: tuple[str, ...]
    tiles: int
    bytes: int
    stream_bytes: Mapping[str, int]
    rows: Sequence[Rows] = field(repr=False, compare=False)
    seconds: float


def encode(cloud: GaussianCloud, config: EncodeConfig | None = None, visibility: Visibility | None = None) -> bytes:
    """A whole .gsb file. Splats that cannot be coded are left out with a warning (config.strict: an error).

    Raises BadInputError.
    """
    chunks, report = encode_chunks(cloud, config, visibility=visibility)
    if report.dropped:
        warnings.warn(f"splats left out: {dict(report.dropped)}", stacklevel=2)
    return b"".join(chunks)


def encode_chunks(
    cloud: GaussianCloud,
    config: EncodeConfig | None = None,
    progress: Progress | None = None,
    visibility: Visibility | None = None,
    wanted: npt.NDArray[np.bool_] | None = None,
) -> tuple[list[bytes], EncodeReport]:
    """As ``encode``, as chunks to write one after the other, and what was done; warns of nothing.

    ``progress`` is called with a word for the stage and the share done, 0..1. Every tile is decoded again
    before this returns: the digests in the file are of what a decoder gives. ``visibility``, of the cloud's splats,
    makes the native branch precise where views look; no branch needs it. ``wanted`` bool[N]: the native branch codes
    these splats only, as a copy of a large cloud has no room.
    """
    config = config or EncodeConfig()
    progress = progress or no_progress
    start = time.perf_counter()
    branch = Branch.LOSSLESS if config.lossless else Branch.NATIVE
    progress("encoding", 0.0)
    dropped: Mapping[str, int] = {}
    options: dict[str, Any] = {}
    if branch == Branch.NATIVE:
        keep, dropped = checked(cloud, strict=config.strict)
        if wanted is not None:
            keep &= wanted
        options["visibility"] = _of_usable(visibility, keep)
        options["kept"] = None if keep.all() else np.flatnonzero(keep)
    with ThreadPoolExecutor(config.threads or os.cpu_count() or 1) as pool:
        rows, streams = ENCODERS[branch](cloud, config, pool, progress, **options)
        counts = [len(own) for own in rows]
        header = _header(branch, cloud, counts)
        records, digests = _decode_again(header, counts, streams, pool, progress)
    streams += [
        _raw(StreamKind.TILES, pack_tiles(records)),
        _raw(StreamKind.DIGESTS, b"".join(digests)),
    ]
    chunks = container_chunks(header, streams)
    by_kind: dict[str, int] = {}
    for stream in streams:
        name = StreamKind(stream.kind).name
        by_kind[name] = by_kind.get(name, 0) + len(stream.payload)
    report = EncodeReport(
        splats_in=len(cloud),
        splats=sum(counts),
        dropped=dropped,
        lost_properties=tuple(cloud.extras) if branch == Branch.NATIVE else (),
        tiles=len(counts),
        bytes=sum(len(chunk) for chunk in chunks),
        stream_bytes=by_kind,
        rows=rows,
        seconds=time.perf_counter() - start,
    )
    return chunks, report


def _of_usable(visibility: Visibility | None, keep: npt.NDArray[np.bool_]) -> Visibility | None:
    if visibility is None:
        return None
    if len(visibility.weights) != len(keep):
        raise BadInputError(
            "wrong number of weights", field="visibility", found=len(visibility.weights), allowed=len(keep)
        )
    return visibility if keep.all() else visibility.select(np.flatnonzero(keep))


def _header(branch: Branch, cloud: GaussianCloud, counts: Sequence[int]) -> Header:
    try:
        frame = CoordinateFrame[cloud.meta.coordinate_frame.upper()]
    except KeyError:
        raise BadInputError(
            "unknown coordinate frame",
            field="coordinate_frame",
            found=cloud.meta.coordinate_frame,
            allowed=[member.name.lower() for member in CoordinateFrame],
        ) from None
    return Header(
        branch=branch,
        sh_degree=cloud.sh_degree,
        splat_count=sum(counts),
        tile_count=len(counts),
        render_mode=RenderMode[cloud.meta.render_mode.upper()],
        coordinate_frame=frame,
    )


def _decode_again(
    header: Header, counts: list[int], streams: list[Stream], pool: Executor, progress: Progress
) -> tuple[list[TileRecord], list[bytes]]:
    """Tile records and digests, from decoding what was just encoded."""
    decoder = DECODERS[header.branch]
    of_file: dict[StreamKind, Stream] = {}
    of_tiles: list[dict[StreamKind, Stream]] = [{} for _ in counts]
    for stream in streams:
        (of_file if stream.tile is None else of_tiles[stream.tile])[StreamKind(stream.kind)] = stream
    shared = decoder.parse_shared(of_file, header)

    def task(number: int) -> tuple[TileRecord, bytes]:
        tile = decoder.decode_tile(of_tiles[number], shared, counts[number])
        return _record(tile), digest(tile)

    records, digests = [], []
    for number, (record, own) in enumerate(pool.map(task, range(len(counts)))):
        records.append(record)
        digests.append(own)
        progress("checking", (number + 1) / len(counts))
    return records, digests


def _record(tile: GaussianCloud) -> TileRecord:
    """Bounds of a tile; an axis with a position that is not finite is unbounded."""
    finite = np.isfinite(tile.positions).all(axis=0)
    low: Point = _point(np.where(finite, np.min(tile.positions, axis=0), -np.inf))
    high: Point = _point(np.where(finite, np.max(tile.positions, axis=0), np.inf))
    return TileRecord(len(tile), low, high)


def _point(values: np.ndarray) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _raw(kind: StreamKind, payload: bytes) -> Stream:
    return Stream(kind, Coder.RAW, payload, len(payload))
