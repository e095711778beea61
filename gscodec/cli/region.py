"""The options --tiles and --box: a part of a scene."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence

from gscodec.bitstream.tiles import Box, TileRecord, box_around
from gscodec.errors import BadInputError


def add_region_options(parser: argparse.ArgumentParser) -> None:
    """--tiles and --box; with both, the splats of these tiles in that box."""
    parser.add_argument("--tiles", type=tile_ranges, metavar="LIST", help="only these tiles, as in 0,3-5 (see gsinfo)")
    parser.add_argument("--box", type=box_of, metavar="x,y,z,X,Y,Z", help="only splats with positions in this box")


def chosen_tiles(args: argparse.Namespace, total: int) -> list[int] | None:
    """Numbers of the tiles that --tiles names of ``total``; None: all. Raises BadInputError."""
    if args.tiles is None:
        return None
    for _, last in args.tiles:  # before a range is written out, which may be of any length
        if last >= total:
            raise BadInputError("no such tile", field="tiles", found=last, allowed=f"0..{total - 1}")
    return [number for first, last in args.tiles for number in range(first, last + 1)]


def tile_ranges(text: str) -> list[tuple[int, int]]:
    """First and last of each range in "0,3-5", for argparse."""
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part, re.ASCII)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of tiles such as 0,3-5")
        ranges.append((int(match[1]), int(match[2] or match[1])))
    return ranges


def box_of(text: str) -> Box:
    """The corners in "x,y,z,X,Y,Z", for argparse."""
    try:
        x, y, z, far_x, far_y, far_z = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not six numbers x,y,z,X,Y,Z") from None
    return (x, y, z), (far_x, far_y, far_z)


def join_negative_box(argv: Sequence[str]) -> Iterator[str]:
    """``--box -1,...`` as ``--box=-1,...``: argparse would take the numbers for an option."""
    words = iter(argv)
    for word in words:
        after = next(words, None) if word == "--box" else None
        yield word if after is None else f"--box={after}"


def no_splats(box: Box, records: Sequence[TileRecord]) -> BadInputError:
    """The error for a box in which no splat lies."""
    around = box_around(records)
    if around is None:
        return BadInputError("the file has no splats", field="box", found=_text(box))
    return BadInputError("no splat lies in the box", field="box", found=_text(box), allowed=f"part of {_text(around)}")


def _text(box: Box) -> str:
    return ",".join(f"{value:.6g}" for corner in box for value in corner)
