"""Errors of each attribute on real scenes at the default quality.

    python -m gscodec_tools.bench_errors SCENE... [--json results/errors.json]

A SCENE is a .ply. ``attribute_errors`` says what the numbers are; rate and PSNR are `gsrd run`'s.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gscodec_tools.as_gsenc import as_gsenc
from gscodec_tools.attribute_errors import as_text, attribute_errors
from gscodec_tools.machine import machine

from gscodec.bitstream.atomic import atomic_write
from gscodec.config import EncodeConfig
from gscodec.decoder import decode
from gscodec.errors import GsbError
from gscodec.formats.ply import read_ply


def bench_scene(ply: Path) -> dict[str, Any]:
    """Errors of one scene, to four digits. Raises GsbError."""
    source = read_ply(ply)
    decoded = decode(b"".join(as_gsenc(source).encode(EncodeConfig.quality)[0]))
    return {
        "scene": ply.resolve().parent.name,
        "splats": len(source),
        "sh_degree": source.sh_degree,
        "errors": _rounded(attribute_errors(source, decoded)),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench_errors", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="+", metavar="SCENE", help=".ply of a trained scene")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args(arguments)
    try:
        scenes = []
        for ply in options.scenes:
            scenes.append(bench_scene(ply))
            print(f"{scenes[-1]['scene']}\n{as_text(scenes[-1]['errors'])}\n", flush=True)
        if options.json:
            tree = {"machine": machine(), "quality": EncodeConfig().quality, "scenes": scenes}
            atomic_write(options.json, [(json.dumps(tree, indent=1) + "\n").encode()], force=True)
    except GsbError as error:
        print(f"bench_errors: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
