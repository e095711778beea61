"""Taking .gsb files apart and putting them together again, rightly or wrongly.

Two levels: ``Parts`` are a header and streams, packed by the product's own container, so that lengths and checksums
are right; ``edit_*`` change a field of the finished file and repair the checksums in front of it. ``record`` goes one
level deeper: it decodes a file and keeps every plane with its contexts, so that a value can be changed and coded again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import (
    HEADER,
    HEADER_CRC_BYTES,
    PREFIX,
    TILE_GEOMETRY,
    TOC_ENTRY,
    Coder,
    Layout,
    StreamKind,
)
from conformance.plain_bands import decode_layer, read_indices
from gscodec.bitstream.container import Container, write_container
from gscodec.bitstream.entries import Header, Stream
from gscodec.bitstream.source import BytesSource
from gscodec.branches.lossless import decode as lossless
from gscodec.branches.native import decode as native
from gscodec.branches.native import decode_geometry as native_geometry
from gscodec.branches.native.syntax import ENTRY_WEIGHT, PALETTE_TABLES, TABLE_COUNTS, table_group
from gscodec.decoder import decode
from gscodec.entropy.bytes import compress, decompress
from gscodec.entropy.planes import PlaneReader, PlaneWriter
from gscodec.entropy.tables import FrequencyTables, normalise, pack, unpack
from gscodec.entropy.tokens import ALPHABET

U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
Key = tuple[StreamKind, int | None]  # kind and tile


@dataclass(frozen=True)
class Parts:
    """A file's header and streams."""

    header: Header
    streams: tuple[Stream, ...]

    @classmethod
    def of(cls, data: bytes) -> Parts:
        """The parts of a valid file."""
        container = Container.open(BytesSource(data))
        return cls(container.header, tuple(container.read(entry.kind, entry.tile) for entry in container.entries))

    def file(self) -> bytes:
        """The whole file."""
        return write_container(self.header, self.streams)

    def find(self, kind: StreamKind, tile: int | None = None) -> Stream:
        """One stream."""
        return next(stream for stream in self.streams if (stream.kind, stream.tile) == (kind, tile))

    def payload(self, kind: StreamKind, tile: int | None = None) -> bytes:
        """The payload of one stream."""
        return self.find(kind, tile).payload

    def put(self, kind: StreamKind, tile: int | None, payload: bytes, **changes: Any) -> Parts:
        """Another payload in one stream; ``changes`` are further fields of Stream. RAW streams get their length."""
        old = self.find(kind, tile)
        if old.coder == Coder.RAW or changes.get("coder") == Coder.RAW:
            changes.setdefault("raw_length", len(payload))
        new = replace(old, payload=payload, **changes)
        return replace(self, streams=tuple(new if stream is old else stream for stream in self.streams))

    def change(self, kind: StreamKind, tile: int | None, how: Callable[[bytes], bytes]) -> Parts:
        """One stream's payload, changed by a function."""
        return self.put(kind, tile, how(self.payload(kind, tile)))

    def without(self, kind: StreamKind, tile: int | None = None) -> Parts:
        """One stream left out."""
        gone = self.find(kind, tile)
        return replace(self, streams=tuple(stream for stream in self.streams if stream is not gone))

    def plus(self, *streams: Stream) -> Parts:
        """Further streams."""
        return replace(self, streams=self.streams + streams)


def put_field(data: bytes, layout: Layout, at: int, name: str, value: Any) -> bytes:
    """``data`` with another value in a field of the layout that stands at byte ``at``; allowed or not."""
    field = next(field for field in layout.fields if field.name == name)
    out = bytearray(data)
    values = value if field.items > 1 else (value,)
    struct.pack_into("<" + field.code, out, at + layout.offsets[name], *values)
    return bytes(out)


def put_bytes(data: bytes, at: int, patch: bytes) -> bytes:
    """``data`` with ``patch`` over what stands at byte ``at``."""
    return data[:at] + patch + data[at + len(patch) :]


def seal(data: bytes) -> bytes:
    """``data`` with the checksum of its head made right, if the head is all there."""
    end = stream_entry_at(stream_count(data))
    return put_bytes(data, end, struct.pack("<I", zlib.crc32(data[:end])))


def seal_streams(data: bytes) -> bytes:
    """``data`` with the checksums of its streams and then of its head made right, where they can be."""
    for number in range(stream_count(data)):
        at = stream_entry_at(number)
        if at + TOC_ENTRY.size > len(data):
            return data
        entry = TOC_ENTRY.unpack(data, at)
        crc = zlib.crc32(data[entry["offset"] : entry["offset"] + entry["length"]])
        data = put_field(data, TOC_ENTRY, at, "crc32", crc)
    end = stream_entry_at(stream_count(data))
    return seal(data) if end + HEADER_CRC_BYTES <= len(data) else data


def stream_count(data: bytes) -> int:
    """What the header says."""
    return int(HEADER.unpack(data, PREFIX.size)["stream_count"])


def stream_entry_at(number: int) -> int:
    """Offset of an entry of the table of contents; that of the checksum for the entry after the last."""
    return PREFIX.size + HEADER.size + number * TOC_ENTRY.size


def edit_prefix(data: bytes, name: str, value: Any) -> bytes:
    """Another value in PREFIX, the head's checksum right."""
    return seal(put_field(data, PREFIX, 0, name, value))


def edit_header(data: bytes, name: str, value: Any) -> bytes:
    """Another value in HEADER, the head's checksum right for the old number of streams."""
    end = stream_entry_at(stream_count(data))
    data = put_field(data, HEADER, PREFIX.size, name, value)
    return put_bytes(data, end, struct.pack("<I", zlib.crc32(data[:end])))


def edit_entry(data: bytes, number: int, name: str, value: Any) -> bytes:
    """Another value in an entry of the table of contents, the head's checksum right."""
    return seal(put_field(data, TOC_ENTRY, stream_entry_at(number), name, value))


def entry_value(data: bytes, number: int, name: str) -> int:
    """A value in an entry of the table of contents."""
    return int(TOC_ENTRY.unpack(data, stream_entry_at(number))[name])


@dataclass
class Plane:
    """One plane as it was decoded: values uint32[n] and contexts uint16[n]."""

    values: U32
    contexts: U16


def recorder_into(readers: list[list[Plane]]) -> type[PlaneReader]:
    """A PlaneReader of which each object adds a list to ``readers``, of the planes that it reads."""

    class Recorder(PlaneReader):
        def __init__(self, payload: bytes, tables: FrequencyTables) -> None:
            super().__init__(payload, tables)
            self.planes: list[Plane] = []
            readers.append(self.planes)

        def get(self, contexts: U16 | int, count: int | None = None) -> U32:
            values = super().get(contexts, count)
            own = contexts if isinstance(contexts, np.ndarray) else np.full(len(values), contexts, np.uint16)
            self.planes.append(Plane(values.copy(), own.copy()))
            return values

    return Recorder


def record(data: bytes) -> dict[Key, list[Plane]]:
    """The planes of every stream of a valid file, in order."""
    parts = Parts.of(data)
    kinds = [(StreamKind(s.kind), s.tile) for s in parts.streams if s.tile is not None and s.coder == Coder.RANS]
    readers: list[list[Plane]] = []

    recorder = recorder_into(readers)
    with (
        mock.patch.object(native, "PlaneReader", recorder),
        mock.patch.object(native_geometry, "PlaneReader", recorder),
        mock.patch.object(native, "decode_layer", decode_layer),
        mock.patch.object(native, "read_indices", read_indices),
        mock.patch.object(lossless, "PlaneReader", recorder),
    ):
        decode(data, threads=1)
    if len(readers) != len(kinds):
        raise RuntimeError("the decoder does not take one reader for each stream of planes in the order of the file")
    return dict(zip(kinds, readers, strict=True))


def writer_of(planes: list[Plane], table_count: int) -> PlaneWriter:
    """A writer that holds ``planes``."""
    writer = PlaneWriter(table_count)
    for plane in planes:
        writer.put(plane.values, plane.contexts)
    return writer


def code_alone(planes: list[Plane], table_count: int) -> tuple[bytes, bytes]:
    """(packed tables, payload) of planes with tables of their own, as the lossless branch keeps them."""
    writer = writer_of(planes, table_count)
    freqs = normalise(writer.counts)
    return pack(freqs), writer.finish(FrequencyTables(freqs))


def recode_native(parts: Parts, planes: dict[Key, list[Plane]]) -> Parts:
    """A native file's streams coded again from ``planes``, with tables that fit."""
    counts = {kind: PlaneWriter(count).counts for kind, count in TABLE_COUNTS.items()}
    writers = {key: writer_of(own, TABLE_COUNTS[table_group(key[0])]) for key, own in planes.items()}
    for key, writer in writers.items():
        counts[table_group(key[0])] += writer.counts
    tables = {kind: FrequencyTables(normalise(own)) for kind, own in counts.items()}
    for (kind, tile), writer in writers.items():
        head = parts.payload(kind, tile)[: TILE_GEOMETRY.size] if kind == StreamKind.GEOMETRY else b""
        parts = parts.put(kind, tile, head + writer.finish(tables[table_group(kind)]))
    return put_tables(parts, [freqs for table in tables.values() for freqs in table.freqs])


def put_tables(parts: Parts, freqs: list[U16] | U16) -> Parts:
    """Other frequencies uint16[T,72] in the TABLES of a native file."""
    packed = pack(np.array(freqs, np.uint16))
    coder, payload = compress(packed)
    return parts.put(StreamKind.TABLES, None, payload, coder=Coder(coder), raw_length=len(packed))


def tables_of(parts: Parts) -> U16:
    """The frequencies uint16[T,72] of a native file."""
    stream = parts.find(StreamKind.TABLES)
    packed = decompress(stream.coder, stream.payload, stream.raw_length, stream.raw_length)
    palette = any((own.kind, own.tile) == (StreamKind.PALETTE, None) for own in parts.streams)
    count = sum(TABLE_COUNTS.values()) + (PALETTE_TABLES - ENTRY_WEIGHT if palette else 0)
    return unpack(packed, count, ALPHABET)


@contextmanager
def patched(target: Any, **values: Any) -> Iterator[None]:
    """Attributes of a module replaced for a while: how the encoder is made to write what it would not."""
    with mock.patch.multiple(target, **values):
        yield
