"""Does every decoder give the same bits? gsdec on one and two threads and without SIMD, and the reference decoder.

    python -m gscodec_tools.bit_exact SCENE.ply ... [--json OUT] [--lossless] [--skip-reference]

Encodes each scene at the default quality (and without loss), decodes it in every way in processes of their
own, and compares the SHA-256 of the decoded arrays.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gscodec import EncodeConfig, GsbError, encode, read_ply
from gscodec.digest import digest

REFERENCE = Path(__file__).parent.parent / "bitstream_spec" / "reference_decoder.py"


def without_simd() -> str:
    """Every CPU feature that numpy would choose at run time, for NPY_DISABLE_CPU_FEATURES."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name))


def decoders() -> dict[str, tuple[list[str], dict[str, str]]]:
    """Name of each way to decode: command up to the input, and what it adds to the environment."""
    gsdec = [sys.executable, "-m", "gscodec.cli.gsdec", "-q"]
    return {
        "gsdec, 1 thread": ([*gsdec, "--threads", "1"], {}),
        "gsdec, 2 threads": ([*gsdec, "--threads", "2"], {}),
        "gsdec, no SIMD dispatch": (gsdec, {"NPY_DISABLE_CPU_FEATURES": without_simd()}),
        "reference decoder": ([sys.executable, str(REFERENCE)], {}),
    }


def check(path: Path, lossless: bool, reference: bool) -> dict[str, object]:
    """One row: digests and seconds of every way to decode ``path``'s .gsb file."""
    data = encode(read_ply(path), EncodeConfig(lossless=lossless))
    ways: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "scene.gsb")
        source.write_bytes(data)
        for number, (name, (command, extra)) in enumerate(decoders().items()):
            if name == "reference decoder" and not reference:
                continue
            target = Path(folder, f"{number}.ply")
            start = time.perf_counter()
            subprocess.run([*command, str(source), "-o", str(target)], env={**os.environ, **extra}, check=True)
            seconds = time.perf_counter() - start
            ways[name] = {"sha256": digest(read_ply(target)).hex(), "seconds": round(seconds, 2)}
    hashes = {way["sha256"] for way in ways.values()}
    return {
        "scene": path.parent.name if path.stem == "point_cloud" else path.stem,
        "mode": "lossless" if lossless else "native",
        "bytes": len(data),
        "bit_equal": len(hashes) == 1,
        "decoders": ways,
    }


def main(argv: list[str] | None = None) -> int:
    """Command line; exit code 1 if any two decoders differ."""
    parser = argparse.ArgumentParser(prog="bit_exact", description=__doc__.partition("\n")[0])
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--lossless", action="store_true", help="the lossless branch too")
    parser.add_argument("--skip-reference", action="store_true", help="it takes minutes on a large scene")
    options = parser.parse_args(argv)
    rows = []
    try:
        for path in options.scenes:
            for lossless in (False, True) if options.lossless else (False,):
                row = check(path, lossless, not options.skip_reference)
                rows.append(row)
                print(f"{row['scene']:24} {row['mode']:9} {'equal' if row['bit_equal'] else 'DIFFERENT'}", flush=True)
    except GsbError as error:
        print(f"bit_exact: error: {error}", file=sys.stderr)
        return error.exit_code
    if options.json:
        result = {"numpy": np.__version__, "disabled_cpu_features": without_simd(), "rows": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(row["bit_equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
