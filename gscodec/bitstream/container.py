"""The .gsb file: a checked head that says where every stream is, and the streams.

Reading asks for the 24 bytes of the prefix, then for the rest of the head, then for the streams that are
wanted and nothing else. Every size is compared with the file and with DecodeLimits before it is used.
bitstream_spec/FORMAT.md is the description of the bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from itertools import accumulate

from bitstream_spec.layout import HEADER, HEADER_CRC_BYTES, MAGIC, PREFIX, TOC_ENTRY, VERSION, Coder, StreamKind
from gscodec.bitstream.entries import (
    Header,
    Stream,
    TocEntry,
    header_size,
    pack_entry,
    sort_key,
    stream_fault,
    unpack_header,
    unpack_toc,
)
from gscodec.bitstream.source import Source
from gscodec.config import DecodeLimits
from gscodec.errors import (
    BadInputError,
    BadMagicError,
    CorruptStreamError,
    LimitExceededError,
    UnsupportedFeatureError,
    UnsupportedVersionError,
)

__all__ = ["Container", "Header", "Stream", "TocEntry", "container_chunks", "write_container"]

_CHECK_PIECE = 1 << 20  # bytes read at a time where a stream is only checked
# What becomes of the first four bytes of MAGIC: kept, cut to 7 bits, Latin-1 taken for UTF-8, lossy UTF-8, ASCII.
_DAMAGED_STARTS = (MAGIC[:4], b"\x09GSB", b"\xc2\x89GSB", b"\xef\xbf\xbdGSB", b"?GSB")


def container_chunks(header: Header, streams: Iterable[Stream]) -> list[bytes]:
    """The file as a list of byte strings to write one after the other: the head, then each payload, uncopied.

    Streams may come in any order; those of a lower layer are placed first. BadInputError for what no reader
    would accept: two streams of one (tile, kind), a tile that is not there, a value out of range.
    """
    ordered = sorted(streams, key=lambda stream: sort_key(stream.tile, stream.kind))
    fault = stream_fault(header, ordered)
    if fault is not None:
        raise BadInputError(f"cannot write these streams: {fault}")
    header_bytes = header_size(len(ordered))
    placed = sorted(ordered, key=lambda stream: stream.layer)  # stable
    ends = list(accumulate((len(stream.payload) for stream in placed), initial=header_bytes))
    starts = {id(stream): start for stream, start in zip(placed, ends, strict=False)}
    try:
        toc = [pack_entry(stream, starts[id(stream)], zlib.crc32(stream.payload)) for stream in ordered]
        prefix = {"magic": MAGIC, "version_major": VERSION[0], "version_minor": VERSION[1]}
        fixed = {
            "branch": header.branch,
            "sh_degree": header.sh_degree,
            "render_mode": header.render_mode,
            "coordinate_frame": header.coordinate_frame,
            "reserved": 0,
            "splat_count": header.splat_count,
            "tile_count": header.tile_count,
            "stream_count": len(ordered),
        }
        head = PREFIX.pack({**prefix, "header_bytes": header_bytes, "file_bytes": ends[-1]}) + HEADER.pack(fixed)
    except ValueError as error:
        raise BadInputError(f"cannot write this file: {error}") from error
    head += b"".join(toc)
    return [head + struct.pack("<I", zlib.crc32(head)), *(stream.payload for stream in placed)]


def write_container(header: Header, streams: Iterable[Stream]) -> bytes:
    """The whole file in one piece; errors as ``container_chunks``."""
    return b"".join(container_chunks(header, streams))


class Container:
    """An opened .gsb file: ``header``, ``entries`` (the table of contents), and streams on demand.

    ``file_bytes`` is the size of the whole file, ``available`` how many of them may be read. ``read`` may be called
    from several threads at once.
    """

    def __init__(
        self,
        source: Source,
        header: Header,
        entries: tuple[TocEntry, ...],
        file_bytes: int,
        available: int,
        ignore_checksums: bool,
    ) -> None:
        self.source = source
        self.header = header
        self.entries = entries
        self.file_bytes = file_bytes
        self.available = available
        self._ignore_checksums = ignore_checksums
        self._index = {(entry.tile, entry.kind): entry for entry in entries}
        self._checked: set[TocEntry] = set()

    @classmethod
    def open(
        cls,
        source: Source,
        limits: DecodeLimits | None = None,
        ignore_checksums: bool = False,
        max_bytes: int | None = None,
    ) -> Container:
        """Read and check the head of a file; no stream is read.

        ``max_bytes``: use only so many bytes from the start; a file that was cut behind them is then no error.
        ``ignore_checksums`` is for fuzzing the decoders behind the checksums, and for nothing else.
        Raises BadMagicError, UnsupportedVersionError, UnsupportedFeatureError, CorruptStreamError,
        LimitExceededError; BadInputError if ``max_bytes`` do not hold the head.
        """
        limits = limits or DecodeLimits()
        available = source.size if max_bytes is None else max(min(max_bytes, source.size), 0)
        prefix = source.read_at(0, min(PREFIX.size, available))
        header_bytes, file_bytes = _check_prefix(prefix, source.size, limits, max_bytes)
        data = prefix + source.read_at(PREFIX.size, header_bytes - PREFIX.size)
        crc_at = header_bytes - HEADER_CRC_BYTES
        stored = struct.unpack_from("<I", data, crc_at)[0]
        if not ignore_checksums:
            _check_crc("the header", zlib.crc32(memoryview(data)[:crc_at]), stored, crc_at)
        header, stream_count = unpack_header(data)
        _check_counts(header, stream_count, header_bytes, limits)
        entries = unpack_toc(data, stream_count, header.tile_count, file_bytes)
        _check_memory(entries, limits)
        return cls(source, header, entries, file_bytes, available, ignore_checksums)

    def find(self, kind: int, tile: int | None = None) -> TocEntry | None:
        """The entry of a stream, or None; ``tile`` None means the stream of the whole file."""
        return self._index.get((tile, kind))

    def complete(self, entry: TocEntry) -> bool:
        """Whether all bytes of a stream are available."""
        return entry.end <= self.available

    @property
    def header_bytes(self) -> int:
        """Size of the head."""
        return header_size(len(self.entries))

    def read(self, kind: int, tile: int | None = None) -> Stream:
        """One stream, its checksum verified.

        CorruptStreamError if it is missing or altered, UnsupportedFeatureError if its kind is unknown.
        """
        entry = self.find(kind, tile)
        if entry is None:
            raise CorruptStreamError("a needed stream is missing", field="kind, tile", found=(int(kind), tile))
        if not entry.known:
            raise UnsupportedFeatureError("a stream of unknown kind", field="kind", found=entry.kind)
        if not self.complete(entry):
            raise CorruptStreamError(f"{entry.name} is cut", field="end", found=entry.end, allowed=self.available)
        payload = self.source.read_at(entry.offset, entry.length)
        self._check(entry, zlib.crc32(payload))
        return Stream(entry.kind, Coder(entry.coder), payload, entry.raw_length, entry.tile, entry.critical)

    def verify_unread(self) -> None:
        """Verify the checksums of all streams that were never read, skipped ones too.

        A full decode ends with this, so that no altered byte anywhere in the file passes silently.
        Raises CorruptStreamError.
        """
        for entry in self.entries:
            if entry in self._checked:
                continue
            crc = 0
            for start in range(0, entry.length, _CHECK_PIECE):
                length = min(_CHECK_PIECE, entry.length - start)
                crc = zlib.crc32(self.source.read_at(entry.offset + start, length), crc)
            self._check(entry, crc)

    def _check(self, entry: TocEntry, crc: int) -> None:
        if not self._ignore_checksums:
            _check_crc(entry.name, crc, entry.crc32, entry.offset)
        self._checked.add(entry)


def too_few_bytes(max_bytes: int, needed: int) -> BadInputError:
    """The error for a ``max_bytes`` that leaves nothing to decode."""
    return BadInputError("too few bytes to decode anything", field="max_bytes", found=max_bytes, allowed=f">= {needed}")


def _check_prefix(prefix: bytes, size: int, limits: DecodeLimits, max_bytes: int | None) -> tuple[int, int]:
    """header_bytes and file_bytes, after magic and version: a file of another version may mean anything by them."""
    if not prefix.startswith(MAGIC[: len(prefix)]):
        if prefix.startswith(_DAMAGED_STARTS):
            message = "a .gsb file damaged by a text-mode transfer: copy it again in binary mode"
        else:
            message = "not a .gsb file"
        raise BadMagicError(message, field="magic", found=prefix[: len(MAGIC)].hex(" "), allowed=MAGIC.hex(" "))
    version_at, version_end = PREFIX.offsets["version_major"], PREFIX.offsets["header_bytes"]
    if len(prefix) >= version_end:
        found = struct.unpack_from("<HH", prefix, version_at)
        if found != VERSION:
            # Before 1.0 nothing is promised between versions.
            raise UnsupportedVersionError(
                "file of another format version",
                field="version",
                found="{}.{}".format(*found),
                allowed="{}.{}".format(*VERSION),
                offset=version_at,
            )
    cut = max_bytes is not None and max_bytes <= size
    if len(prefix) < PREFIX.size:
        if max_bytes is not None and cut:
            raise too_few_bytes(max_bytes, header_size(0))
        raise CorruptStreamError(
            "the file ends inside its prefix", field="file size", found=size, allowed=f">= {header_size(0)}"
        )
    values = PREFIX.unpack(prefix)
    header_bytes, file_bytes = int(values["header_bytes"]), int(values["file_bytes"])
    if size > file_bytes or (size < file_bytes and not cut):
        what = "truncated" if size < file_bytes else "followed by foreign bytes"
        at = PREFIX.offsets["file_bytes"]
        raise CorruptStreamError(f"the file is {what}", field="file_bytes", found=file_bytes, allowed=size, offset=at)
    if not header_size(0) <= header_bytes <= file_bytes:
        allowed = f"{header_size(0)}..{file_bytes}"
        raise CorruptStreamError(
            "impossible header length", field="header_bytes", found=header_bytes, allowed=allowed, offset=version_end
        )
    if header_bytes > limits.max_header_bytes:
        raise _exceeded("header_bytes", header_bytes, "max_header_bytes", limits.max_header_bytes)
    if max_bytes is not None and max_bytes < header_bytes:
        raise too_few_bytes(max_bytes, header_bytes)
    return header_bytes, file_bytes


def _check_counts(header: Header, stream_count: int, header_bytes: int, limits: DecodeLimits) -> None:
    if header_size(stream_count) != header_bytes:
        raise CorruptStreamError(
            "stream count and header length disagree",
            field="stream_count",
            found=stream_count,
            allowed=f"{TOC_ENTRY.size} bytes each in a head of {header_bytes}",
            offset=PREFIX.size + HEADER.offsets["stream_count"],
        )
    if stream_count > limits.max_streams:
        raise _exceeded("stream_count", stream_count, "max_streams", limits.max_streams)
    if header.splat_count > limits.max_splats:
        raise _exceeded("splat_count", header.splat_count, "max_splats", limits.max_splats)
    if header.decoded_bytes > limits.max_memory:
        raise _exceeded("bytes of the decoded arrays", header.decoded_bytes, "max_memory", limits.max_memory)


_CORRECTIONS = (StreamKind.REFINE1, StreamKind.REFINE2, StreamKind.REFINE3)


def _check_memory(entries: Iterable[TocEntry], limits: DecodeLimits) -> None:
    # Skipped streams are never held in memory, so they do not count; refinements correct arrays that others yield.
    known = [entry for entry in entries if entry.known]
    total = sum(max(entry.length, 0 if entry.kind in _CORRECTIONS else entry.raw_length) for entry in known)
    if total > limits.max_memory:
        raise _exceeded("bytes of all unpacked streams", total, "max_memory", limits.max_memory)


def _exceeded(field: str, found: int, limit: str, value: int) -> LimitExceededError:
    return LimitExceededError("the file asks for too much", field=field, found=found, allowed=f"{limit} = {value}")


def _check_crc(what: str, found: int, stored: int, offset: int) -> None:
    if found != stored:
        raise CorruptStreamError(
            f"checksum of {what} does not match",
            field="crc32",
            found=f"{found:08x}",
            allowed=f"{stored:08x}",
            offset=offset,
        )
