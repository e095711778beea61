"""What of a file a decode takes: tiles, a box, SH degrees, layers, the first bytes only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gscodec.bitstream.container import Container, TocEntry, too_few_bytes
from gscodec.bitstream.tiles import Box, TileRecord, tiles_in_box
from gscodec.errors import BadInputError

Bands = Mapping[int, int]  # stream kind -> layer that it is part of; what is not in it is needed by every decode


@dataclass(frozen=True)
class Asked:
    """What a caller wants of a file; None: all of it. As ``decode`` has it."""

    tiles: Sequence[int] | None = None
    box: Box | None = None
    sh_degree: int | None = None
    layers: int | None = None


@dataclass(frozen=True)
class Selection:
    """The tiles to decode: ``layers``, number -> last layer, in the order asked for.

    Layer 0 has one component of colour, the mean; layer l of the others as many as SH of degree l has coefficients.
    Those above the file's SH degree are refinements.

    ``box``: only the splats inside. ``asked``: how many tiles would be here if the file had all of its bytes.
    ``whole``: nothing of the file is left out. ``sh_degree``: of the clouds that are made.
    """

    layers: Mapping[int, int]
    box: Box | None
    asked: int
    whole: bool
    sh_degree: int


def select(
    container: Container,
    records: Sequence[TileRecord],
    bands: Bands,
    highest: int,
    asked: Asked,
) -> Selection:
    """The selection of what is asked for of a file whose last layer is ``highest``.

    A tile of which not even the streams of layer 0 are available is left out. Raises BadInputError for a tile that
    is not in the file or named twice, a bad box, degree or layer, and if tiles are asked for but not one is there.
    """
    wanted = _wanted(records, asked.tiles, asked.box)
    coded = container.header.sh_degree
    sh_degree = coded if asked.sh_degree is None else min(_degree(container, bands, asked.sh_degree), coded)
    # Refinements are of all colours at once.
    last = sh_degree if bands and highest == coded else highest
    if asked.layers is not None:
        if not 0 <= asked.layers <= highest:
            raise BadInputError("no such layer", field="layers", found=asked.layers, allowed=f"0..{highest}")
        last = min(last, asked.layers)
    found = _available(container, wanted, bands, last)
    if wanted and not found:
        raise too_few_bytes(container.available, least_bytes(container, wanted, bands))
    everything = asked.tiles is None and asked.box is None and last == highest and sh_degree == coded
    return Selection(
        layers=found,
        box=asked.box,
        asked=len(wanted),
        whole=everything and container.available == container.file_bytes,
        sh_degree=sh_degree if any(found.values()) or not found or not highest else 0,
    )


def layer_ends(container: Container, bands: Bands, highest: int) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """How many bytes from the start of the file hold layer 0, 1, .. ``highest`` of all tiles, and of each tile."""
    layers = range(highest + 1)
    of_tiles = _by_tile(container, range(container.header.tile_count)).values()
    of_file = _end_of_file_streams(container)
    ends = tuple(tuple(max(of_file, _end(own, bands, layer)) for layer in layers) for own in of_tiles)
    return tuple(max((end[layer] for end in ends), default=of_file) for layer in layers), ends


def least_bytes(container: Container, wanted: Iterable[int], bands: Bands) -> int:
    """How many bytes from the start hold at least one of the tiles ``wanted``, in layer 0."""
    first = min((_end(own, bands, 0) for own in _by_tile(container, wanted).values()), default=0)
    return max(first, _end_of_file_streams(container))


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


def _degree(container: Container, bands: Bands, sh_degree: int) -> int:
    degree = container.header.sh_degree
    if sh_degree < 0:
        raise BadInputError("no such degree", field="sh_degree", found=sh_degree, allowed=f"0..{degree}")
    if sh_degree < degree and not bands:
        branch = container.header.branch.name.lower()
        raise BadInputError(
            f"a {branch} file holds all SH in one stream", field="sh_degree", found=sh_degree, allowed=degree
        )
    return sh_degree


def _available(container: Container, wanted: Sequence[int], bands: Bands, highest: int) -> dict[int, int]:
    """Layers, up to ``highest``, of which each tile has all streams; without the tiles that lack others."""
    found = {}
    for number, entries in _by_tile(container, wanted).items():
        cut = (bands.get(entry.kind, 0) for entry in entries if not container.complete(entry))
        last = min((band - 1 for band in cut), default=highest)
        if last >= 0:
            found[number] = min(last, highest)
    return found


def _by_tile(container: Container, wanted: Iterable[int]) -> dict[int, list[TocEntry]]:
    of_tiles: dict[int, list[TocEntry]] = {number: [] for number in wanted}
    for entry in container.entries:
        if entry.tile in of_tiles and entry.known:
            of_tiles[entry.tile].append(entry)
    return of_tiles


def _end_of_file_streams(container: Container) -> int:
    return max(container.header_bytes, _end((e for e in container.entries if e.tile is None and e.known), {}, 0))


def _end(entries: Iterable[TocEntry], bands: Bands, layer: int) -> int:
    """End of the last stream that is needed up to ``layer``; 0 if there is none."""
    return max((entry.end for entry in entries if bands.get(entry.kind, 0) <= layer), default=0)
