"""Header, streams and table of contents as Python values, and the rules that each must keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitstream_spec.layout import (
    FLAG_CRITICAL,
    HEADER,
    HEADER_CRC_BYTES,
    PREFIX,
    TOC_ENTRY,
    WHOLE_FILE,
    Branch,
    Coder,
    CoordinateFrame,
    RenderMode,
    StreamKind,
)
from gscodec.errors import CorruptStreamError, UnsupportedFeatureError

_KINDS = frozenset(int(kind) for kind in StreamKind)
_CODERS = frozenset(int(coder) for coder in Coder)


@dataclass(frozen=True)
class Header:
    """What is true of the whole file. ``splat_count`` and ``tile_count`` are claims until they are checked."""

    branch: Branch
    sh_degree: int
    splat_count: int
    tile_count: int
    render_mode: RenderMode = RenderMode.CLASSIC
    coordinate_frame: CoordinateFrame = CoordinateFrame.UNKNOWN

    @property
    def decoded_bytes(self) -> int:
        """Bytes of the decoded float32 arrays: 4·(14 + 3K) a splat, K = (sh_degree + 1)² - 1."""
        return self.splat_count * 4 * (14 + 3 * ((self.sh_degree + 1) ** 2 - 1))


@dataclass(frozen=True)
class Stream:
    """One stream with its stored bytes. ``tile`` None: of the whole file. ``raw_length``: bytes once unpacked.

    ``layer``: streams of a lower layer are placed before all of a higher one.
    """

    kind: int
    coder: Coder
    payload: bytes
    raw_length: int
    tile: int | None = None
    critical: bool = True
    layer: int = 0


@dataclass(frozen=True, slots=True)
class TocEntry:
    """One line of the table of contents; ``offset`` counts from the start of the file."""

    kind: int
    coder: int
    critical: bool
    tile: int | None
    offset: int
    length: int
    raw_length: int
    crc32: int

    @property
    def end(self) -> int:
        """Offset of the first byte behind the stream."""
        return self.offset + self.length

    @property
    def known(self) -> bool:
        """False for an ancillary stream of a kind that this version skips."""
        return self.kind in _KINDS

    @property
    def name(self) -> str:
        """For messages: "GEOMETRY of tile 3"."""
        kind = StreamKind(self.kind).name if self.known else f"kind {self.kind}"
        return kind if self.tile is None else f"{kind} of tile {self.tile}"


def sort_key(tile: int | None, kind: int) -> tuple[int, int]:
    """Order of the table of contents: streams of the whole file first, then tile by tile, by kind."""
    return (-1 if tile is None else tile, kind)


def header_size(stream_count: int) -> int:
    """Bytes before the first stream."""
    return PREFIX.size + HEADER.size + stream_count * TOC_ENTRY.size + HEADER_CRC_BYTES


def unpack_header(data: bytes) -> tuple[Header, int]:
    """Header and stream count from the head of a file.

    UnsupportedFeatureError for a value missing from its registry, CorruptStreamError for any other that
    is not allowed.
    """
    values = HEADER.unpack(data, PREFIX.size)
    fault = HEADER.first_fault(values)
    if fault is not None:
        error = CorruptStreamError if isinstance(fault.allowed, range) else UnsupportedFeatureError
        raise error(
            "the header cannot be decoded",
            field=fault.name,
            found=values[fault.name],
            allowed=fault.allowed_text,
            offset=PREFIX.size + HEADER.offsets[fault.name],
        )
    header = Header(
        branch=Branch(values["branch"]),
        sh_degree=values["sh_degree"],
        splat_count=values["splat_count"],
        tile_count=values["tile_count"],
        render_mode=RenderMode(values["render_mode"]),
        coordinate_frame=CoordinateFrame(values["coordinate_frame"]),
    )
    return header, values["stream_count"]


def unpack_toc(data: bytes, stream_count: int, tile_count: int, file_bytes: int) -> tuple[TocEntry, ...]:
    """The table of contents from the head of a file, every rule checked.

    CorruptStreamError for a broken rule of order, place or reserved bits; UnsupportedFeatureError for an
    unknown critical kind, or an unknown coder in a stream of a known kind.
    """
    entries: list[TocEntry] = []
    for number in range(stream_count):
        at = _entry_at(number)
        entry = _unpack_entry(data, at, tile_count)
        if entry.offset + entry.length > file_bytes:
            raise _corrupt("a stream ends behind the file", "length", entry.length, f"end <= {file_bytes}", at)
        if entries and sort_key(entries[-1].tile, entries[-1].kind) >= sort_key(entry.tile, entry.kind):
            raise _corrupt("entries out of order or twice", "tile, kind", entry.name, f"after {entries[-1].name}", at)
        entries.append(entry)
    end = header_size(stream_count)
    for number in sorted(range(stream_count), key=lambda n: (entries[n].offset, entries[n].length)):
        if entries[number].offset != end:
            raise _corrupt("streams are not contiguous", "offset", entries[number].offset, end, _entry_at(number))
        end += entries[number].length
    if end != file_bytes:
        raise CorruptStreamError("bytes behind the last stream", field="file_bytes", found=file_bytes, allowed=end)
    return tuple(entries)


def _entry_at(number: int) -> int:
    """Offset of an entry in the file."""
    return PREFIX.size + HEADER.size + number * TOC_ENTRY.size


def _unpack_entry(data: bytes, at: int, tile_count: int) -> TocEntry:
    # Positional, not a dict: a file may have a million entries.
    kind, coder, flags, tile, offset, length, raw_length, crc32, reserved = TOC_ENTRY.packer.unpack_from(data, at)
    if flags & ~FLAG_CRITICAL:
        raise _corrupt("reserved bits are set", "flags", flags, "0..1", at)
    if reserved:
        raise _corrupt("reserved bits are set", "reserved", reserved, 0, at)
    if tile != WHOLE_FILE and tile >= tile_count:
        raise _corrupt("no such tile", "tile", tile, f"< {tile_count} or {WHOLE_FILE}", at)
    critical = bool(flags & FLAG_CRITICAL)
    if kind not in _KINDS:
        if critical:
            raise UnsupportedFeatureError(
                "a stream of unknown kind is needed", field="kind", found=kind, allowed=sorted(_KINDS), offset=at
            )
    elif coder not in _CODERS:
        raise UnsupportedFeatureError("unknown coder", field="coder", found=coder, allowed=sorted(_CODERS), offset=at)
    if coder == Coder.RAW and raw_length != length:
        raise _corrupt("a raw stream has one length", "raw_length", raw_length, length, at)
    return TocEntry(kind, coder, critical, None if tile == WHOLE_FILE else tile, offset, length, raw_length, crc32)


def pack_entry(stream: Stream, offset: int, crc32: int) -> bytes:
    """The table of contents entry of ``stream`` at ``offset``; ValueError for a value out of its type's range."""
    return TOC_ENTRY.pack(
        {
            "kind": stream.kind,
            "coder": stream.coder,
            "flags": FLAG_CRITICAL if stream.critical else 0,
            "tile": WHOLE_FILE if stream.tile is None else stream.tile,
            "offset": offset,
            "length": len(stream.payload),
            "raw_length": stream.raw_length,
            "crc32": crc32,
            "reserved": 0,
        }
    )


def stream_fault(header: Header, streams: Sequence[Stream]) -> str | None:
    """Why no reader would accept sorted ``streams``, or None. The writer asks; see ``unpack_toc`` for the rules."""
    for number, stream in enumerate(streams):
        if stream.kind not in _KINDS and stream.critical:
            return f"critical stream of unregistered kind {stream.kind}"
        if stream.coder not in _CODERS:
            return f"unregistered coder {stream.coder}"
        if stream.tile is not None and not 0 <= stream.tile < header.tile_count:
            return f"stream of tile {stream.tile}, there are {header.tile_count} tiles"
        if stream.coder == Coder.RAW and stream.raw_length != len(stream.payload):
            return f"raw stream of {len(stream.payload)} bytes with raw_length {stream.raw_length}"
        before = streams[number - 1] if number else None
        if before is not None and (before.tile, before.kind) == (stream.tile, stream.kind):
            return f"two streams of kind {stream.kind}, tile {stream.tile}"
    return None


def _corrupt(message: str, field: str, found: object, allowed: object, offset: int) -> CorruptStreamError:
    return CorruptStreamError(message, field=field, found=found, allowed=allowed, offset=offset)
