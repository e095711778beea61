"""gsinfo: what a .gsb file holds, without decoding it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from gscodec.bitstream.source import FileSource
from gscodec.cli.common import Summary, new_parser, run
from gscodec.cli.text import per_splat, stream_lines
from gscodec.inspect import FileInfo, inspect

TILES_SHOWN = 16
COMMENTS_SHOWN = 8

_EXAMPLES = """\
  gsinfo scene.gsb
  gsinfo scene.gsb --all-tiles | less
  gsinfo scene.gsb --json | jq .bits_per_splat"""


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("gsinfo", "Say what is in a .gsb file, without decoding it.", _EXAMPLES)
    parser.add_argument("input", metavar="file.gsb")
    parser.add_argument("--all-tiles", action="store_true", help=f"list all tiles, not only the first {TILES_SHOWN}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; its exit code."""
    return run(_parser(), _work, sys.argv[1:] if argv is None else argv)


def _work(args: argparse.Namespace) -> Summary:
    with FileSource(args.input) as source:
        info = inspect(source)
    data = {"file": args.input, **info.as_dict()}
    return Summary(_lines(args, info), data)


def _lines(args: argparse.Namespace, info: FileInfo) -> list[tuple[str, str]]:
    header = info.header
    data = info.as_dict()
    ratio = (
        f", {header.decoded_bytes / info.file_bytes:.2f} times smaller than its floats" if header.splat_count else ""
    )
    lines = [
        ("file", args.input),
        ("", f"{info.file_bytes:,} bytes{per_splat(info.file_bytes, header.splat_count)}{ratio}"),
        ("format", f".gsb {data['format_version']}, {data['branch']}"),
        ("scene", f"{header.splat_count:,} splats, SH degree {header.sh_degree}, {data['render_mode']} rendering"),
        ("", f"coordinate frame {data['coordinate_frame']}"),
    ]
    if info.extras:
        lines.append(("also", ", ".join(f"{name} ({code})" for name, code in info.extras)))
    shown = info.comments[:COMMENTS_SHOWN]
    lines += [("comment", text if len(text) <= 100 else f"{text[:97]}...") for text in shown]
    if len(info.comments) > len(shown):
        lines.append(("", f"and {len(info.comments) - len(shown):,} more comments, all of them with --json"))
    lines += stream_lines(info.kind_bytes, header.splat_count)
    lines += _layer_lines(info)
    lines += _tile_lines(args, info)
    lines.append(("verified", "checksums of all that is shown here; gsdec verifies the whole file"))
    return lines


def _layer_lines(info: FileInfo) -> list[tuple[str, str]]:
    """How much of the file, from its start, gsdec --max-bytes needs for what."""
    first = min((ends[0] for ends in info.tile_ends), default=info.layer_ends[0])
    rows = [("first tile", first)]
    if len(info.layer_ends) > 1:
        rows += [(f"all tiles, {_layer_name(info, layer)}", end) for layer, end in enumerate(info.layer_ends)]
    wide, digits = max(len(what) for what, _ in rows), len(f"{info.file_bytes:,}")
    lines = [f"{what:<{wide}}  {end:>{digits},} bytes  {100 * end / info.file_bytes:5.1f} %" for what, end in rows]
    return [("" if number else "prefix", text) for number, text in enumerate(lines)]


def _layer_name(info: FileInfo, layer: int) -> str:
    colours = info.header.sh_degree
    return f"layer {layer}, " + ("colours" if layer <= colours else f"refinement {layer - colours}")


def _tile_lines(args: argparse.Namespace, info: FileInfo) -> list[tuple[str, str]]:
    total = len(info.tiles)
    shown = info.tiles if args.all_tiles else info.tiles[:TILES_SHOWN]
    rows = [
        (f"{number}", f"{tile.splat_count:,}", *(f"{value:.6g}" for value in (*tile.min, *tile.max)))
        for number, tile in enumerate(shown)
    ]
    if not rows:
        return [("tiles", "none")]
    head = ("tile", "splats", "x", "y", "z", "X", "Y", "Z")
    wide = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [
        ("" if number else "tiles", "  ".join(f"{cell:>{size}}" for cell, size in zip(row, wide, strict=True)))
        for number, row in enumerate((head, *rows))
    ]
    if total > len(shown):
        lines.append(("", f"and {total - len(shown):,} more tiles, all of them with --all-tiles"))
    return lines


if __name__ == "__main__":
    sys.exit(main())
