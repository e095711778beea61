"""What of a file a decode takes: tiles, a box, SH degrees, the first bytes only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gscodec.bitstream.container import Container, TocEntry, too_few_bytes
from gscodec.bitstream.tiles import Box, TileRecord, tiles_in_box
from gscodec.errors import BadInputError

Bands = Mapping[int, int]  # stream kind -> layer of colours that it holds; what is not in it is needed by every decode


@dataclass(frozen=True)
class Selection:
    """The tiles to decode: ``layers``, number -> layers of colour components, in the order asked for.

    Layer 0 is one component, the mean colour; layer l has as many as SH of degree l has coefficients.

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
    tiles: Sequence[int] | None,
    box: Box | None,
    sh_degree: int | None,
) -> Selection:
    """The selection of ``tiles`` (None: all) that touch ``box``, with SH up to ``sh_degree`` (None: all of it).

    A tile of which not even the streams of layer 0 are available is left out. Raises BadInputError for a tile that
    is not in the file or named twice, a bad box or degree, and if tiles are asked for but not one is there.
    """
    wanted = _wanted(records, tiles, box)
    highest = _highest(container, bands, sh_degree)
    found = _available(container, wanted, bands, highest)
    if wanted and not found:
        raise too_few_bytes(container.available, least_bytes(container, wanted, bands))
    all_bytes = container.available == container.file_bytes and highest == container.header.sh_degree
    return Selection(
        layers=found,
        box=box,
        asked=len(wanted),
        whole=tiles is None and box is None and all_bytes,
        sh_degree=highest if any(found.values()) or not found else 0,
    )


def layer_ends(container: Container, bands: Bands) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """How many bytes from the start of the file hold layer 0, 1, .. of all tiles, and of each tile.

    Where colours are not coded in layers, there is one number instead.
    """
    degrees = range(container.header.sh_degree + 1 if bands else 1)
    of_tiles = _by_tile(container, range(container.header.tile_count)).values()
    of_file = _end_of_file_streams(container)
    ends = tuple(tuple(max(of_file, _end(own, bands, degree)) for degree in degrees) for own in of_tiles)
    return tuple(max((end[degree] for end in ends), default=of_file) for degree in degrees), ends


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


def _highest(container: Container, bands: Bands, sh_degree: int | None) -> int:
    degree = container.header.sh_degree
    if sh_degree is None or sh_degree >= degree:
        return degree
    if sh_degree < 0:
        raise BadInputError("no such degree", field="sh_degree", found=sh_degree, allowed=f"0..{degree}")
    if not bands:
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
        degree = min((band - 1 for band in cut), default=highest)
        if degree >= 0:
            found[number] = min(degree, highest)
    return found


def _by_tile(container: Container, wanted: Iterable[int]) -> dict[int, list[TocEntry]]:
    of_tiles: dict[int, list[TocEntry]] = {number: [] for number in wanted}
    for entry in container.entries:
        if entry.tile in of_tiles and entry.known:
            of_tiles[entry.tile].append(entry)
    return of_tiles


def _end_of_file_streams(container: Container) -> int:
    return max(container.header_bytes, _end((e for e in container.entries if e.tile is None and e.known), {}, 0))


def _end(entries: Iterable[TocEntry], bands: Bands, degree: int) -> int:
    """End of the last stream that is needed up to the layer ``degree``; 0 if there is none."""
    return max((entry.end for entry in entries if bands.get(entry.kind, 0) <= degree), default=0)
