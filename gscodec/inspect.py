"""What a .gsb file says about itself, as data: read from the head and the small streams, nothing decoded.

No stream of splats is read: the answer costs the same for a file of any size. What is read is verified;
``decode`` verifies the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitstream_spec.layout import VERSION, Branch, Coder, StreamKind
from gscodec.bitstream.container import Container
from gscodec.bitstream.entries import Header, Stream
from gscodec.bitstream.source import Source
from gscodec.bitstream.tiles import Box, TileRecord, box_around
from gscodec.branches.lossless import decode as lossless
from gscodec.branches.native.decode import parse_refinements
from gscodec.branches.native.meta import unpack_meta
from gscodec.branches.native.syntax import Params
from gscodec.config import DecodeLimits
from gscodec.decoder import DECODERS, read_tiles
from gscodec.errors import CorruptStreamError
from gscodec.selection import layer_ends

# Nothing is allocated per splat here: a file too large to decode can still be looked at.
NO_LIMITS = DecodeLimits(max_splats=1 << 64, max_memory=1 << 64)

HEAD = "HEAD"  # beside the names of StreamKind: all bytes before the first stream

_CONTENTS = {
    "GEOMETRY": "positions",
    "FLOAT_POSITIONS": "positions",
    "OPACITY": "opacities",
    "FLOAT_OPACITY": "opacities",
    "SCALE": "scales",
    "FLOAT_SCALES": "scales",
    "ROTATION": "rotations",
    "FLOAT_ROTATIONS": "rotations",
    "DC": "base colours",
    "FLOAT_DC": "base colours",
    "AC1": "colour layer 1",
    "AC2": "colour layer 2",
    "AC3": "colour layer 3",
    "AC4": "colour layer 4",
    "REFINE1": "refinement 1",
    "REFINE2": "refinement 2",
    "REFINE3": "refinement 3",
    "REFINEMENTS": "refinements",
    "BASES": "bases of colour",
    "PALETTE": "palette of colours",
    "INDICES": "palette indices",
    "FLOAT_AC": "SH beyond DC",
    "EXTRAS": "other properties",
    "REFERENCES": "row references",
    "TABLES": "entropy tables",
    "PARAMS": "parameters",
    "SCHEMA": "schema, comments",
    "META": "comments",
    "TILES": "tile boxes",
    "DIGESTS": "digests",
    HEAD: "header",
}


def contents(kind: str) -> str:
    """What streams of a kind hold, in words; a kind of which this version knows nothing gives its own name."""
    return _CONTENTS.get(kind, kind)


@dataclass(frozen=True)
class FileInfo:
    """A .gsb file. ``kind_bytes``: stored bytes by the name of the stream kind, HEAD included; they add up to
    ``file_bytes``. ``kind_streams``: how many streams. ``params``: fields of NATIVE_PARAMS, None in a lossless file.
    ``extras``: name and type of further properties. ``layer_ends``: how many bytes from the start hold all tiles up to
    layer 0, 1, ..; one number where there are no others. ``tile_ends``: the same of each tile.
    """

    file_bytes: int
    header: Header
    tiles: tuple[TileRecord, ...]
    kind_bytes: Mapping[str, int]
    kind_streams: Mapping[str, int]
    comments: tuple[str, ...]
    extras: tuple[tuple[str, str], ...]
    params: Mapping[str, Any] | None
    layer_ends: tuple[int, ...]
    tile_ends: tuple[tuple[int, ...], ...]

    @property
    def box(self) -> Box | None:
        """The box around all tiles; None without tiles."""
        return box_around(self.tiles)

    def as_dict(self) -> dict[str, Any]:
        """For JSON. An infinite bound is None: JSON has no word for it."""
        header, box = self.header, self.box
        splats = header.splat_count
        return {
            "format_version": "{}.{}".format(*VERSION),
            "branch": header.branch.name.lower(),
            "splats": splats,
            "sh_degree": header.sh_degree,
            "render_mode": header.render_mode.name.lower(),
            "coordinate_frame": header.coordinate_frame.name.lower(),
            "file_bytes": self.file_bytes,
            "decoded_bytes": header.decoded_bytes,
            "bits_per_splat": bits_per_splat(self.file_bytes, splats),
            "box": box and {"min": box[0], "max": box[1]},
            "tiles": [
                {"number": number, "splats": tile.splat_count, "min": tile.min, "max": tile.max, "ends": ends}
                for number, (tile, ends) in enumerate(zip(self.tiles, self.tile_ends, strict=True))
            ],
            "layer_ends": self.layer_ends,
            "streams": [
                {
                    "kind": kind,
                    "contents": contents(kind),
                    "streams": self.kind_streams[kind],
                    "bytes": size,
                    "share": size / self.file_bytes,
                    "bits_per_splat": bits_per_splat(size, splats),
                }
                for kind, size in self.kind_bytes.items()
            ],
            "comments": self.comments,
            "extras": [{"name": name, "type": code} for name, code in self.extras],
            "params": self.params,
        }


def bits_per_splat(size: int, splats: int) -> float | None:
    """``size`` bytes in bits per splat; None where there are no splats."""
    return 8 * size / splats if splats else None


def inspect(source: Source, limits: DecodeLimits = NO_LIMITS, ignore_checksums: bool = False) -> FileInfo:
    """Look at a file. Verifies the head and the streams TILES, META, PARAMS, REFINEMENTS, SCHEMA; raises GsbError."""
    container = Container.open(source, limits, ignore_checksums)
    header = container.header
    tiles = read_tiles(container)
    sizes, numbers = {HEAD: source.size - sum(entry.length for entry in container.entries)}, {HEAD: 1}
    for entry in container.entries:
        kind = StreamKind(entry.kind).name if entry.known else f"kind {entry.kind}"
        sizes[kind] = sizes.get(kind, 0) + entry.length
        numbers[kind] = numbers.get(kind, 0) + 1
    params: Mapping[str, Any] | None = None
    extras: tuple[tuple[str, str], ...] = ()
    highest = 0
    if header.branch == Branch.LOSSLESS:
        schema = {StreamKind.SCHEMA: container.read(StreamKind.SCHEMA)}
        pattern = lossless.empty(lossless.parse_shared(schema, header))
        comments = pattern.meta.comments
        extras = tuple((name, str(values.dtype)) for name, values in pattern.extras.items())
    else:
        unpacked = Params.unpack(_raw(container.read(StreamKind.PARAMS)).payload)
        params = unpacked.values
        streams = {kind: container.read(kind) for kind in (StreamKind.REFINEMENTS,) if container.find(kind)}
        refinements = parse_refinements(streams, unpacked)
        highest = header.sh_degree + (len(refinements.params) if refinements else 0)
        meta = container.read(StreamKind.META) if container.find(StreamKind.META) else None
        comments = unpack_meta(meta, header).comments
    of_file = [entry.kind for entry in container.entries if entry.tile is None]
    ends = layer_ends(container, DECODERS[header.branch].layers_of(header.sh_degree, of_file), highest)
    return FileInfo(source.size, header, tiles, sizes, numbers, comments, extras, params, *ends)


def _raw(stream: Stream) -> Stream:
    if stream.coder != Coder.RAW:
        raise CorruptStreamError(
            "wrong coder", field=StreamKind(stream.kind).name, found=int(stream.coder), allowed=int(Coder.RAW)
        )
    return stream
