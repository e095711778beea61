"""Size and speed of lossless coding beside zstd -19 and xz -9 of the same file, in the same run.

    python -m gscodec_tools.bench_lossless FILE... [--json OUT] [--threads T]

Encoding is timed from the cloud in memory to a file in memory, as the general compressors are from the file's bytes,
after a warm-up, so that compiling is not counted. "encode_s" includes decoding every tile again for its digest,
"unverified_s" does not. Every array is compared bit for bit before a number is reported.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import zstandard
from gscodec_tools.machine import machine

from gscodec.bitstream.atomic import atomic_write
from gscodec.branches.lossless.encode import encode_tiles
from gscodec.cloud import ATTRIBUTES, GaussianCloud
from gscodec.config import EncodeConfig
from gscodec.decoder import decode
from gscodec.encoder import encode, encode_chunks
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import read_ply


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench_lossless", description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--json", type=Path, help="write the numbers here, too")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(argv)
    try:
        files = [bench(path, args.threads) for path in args.files]
        text = json.dumps({"machine": machine(), "threads": args.threads, "files": files}, indent=1) + "\n"
        sys.stdout.write(text)
        if args.json:
            atomic_write(args.json, [text.encode()], force=True)
    except GsbError as error:
        print(f"bench_lossless: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def bench(path: Path, threads: int) -> dict[str, Any]:
    """Bytes and seconds of each coder for one PLY file, and ratios to zstd -19."""
    data = path.read_bytes()
    cloud = read_ply(path)
    config = EncodeConfig(lossless=True, threads=threads)
    decode(encode(cloud.select(slice(0, 100)), config))
    with ThreadPoolExecutor(threads) as pool:
        _, coding_seconds = timed(lambda: encode_tiles(cloud, config, pool))
    (chunks, report), seconds = timed(lambda: encode_chunks(cloud, config))
    file = b"".join(chunks)
    found, decode_seconds = timed(lambda: decode(file))
    same(found, cloud)
    zstd, zstd_seconds = timed(lambda: zstandard.ZstdCompressor(level=19).compress(data))
    xz, xz_seconds = timed(lambda: lzma.compress(data, preset=9))
    return {
        "scene": path.resolve().parent.name,
        "splats": len(cloud),
        "sh_degree": cloud.sh_degree,
        "ply": {"bytes": len(data)},
        "gsb": {
            "bytes": len(file),
            "encode_s": round(seconds, 3),
            "unverified_s": round(coding_seconds, 3),
            "decode_s": round(decode_seconds, 3),
        },
        "zstd_19": {"bytes": len(zstd), "encode_s": round(zstd_seconds, 3)},
        "xz_9": {"bytes": len(xz), "encode_s": round(xz_seconds, 3)},
        "size_to_ply": round(len(file) / len(data), 4),
        "size_to_zstd_19": round(len(file) / len(zstd), 4),
        "size_to_xz_9": round(len(file) / len(xz), 4),
        "encode_time_to_zstd_19": round(seconds / zstd_seconds, 3),
        "bits_per_splat": {name: round(8 * size / max(len(cloud), 1), 2) for name, size in report.stream_bytes.items()},
    }


def same(found: GaussianCloud, expected: GaussianCloud) -> None:
    """Raises BadInputError where an array differs."""
    pairs = {name: (getattr(found, name), getattr(expected, name)) for name in ATTRIBUTES}
    pairs |= {name: (found.extras[name], values) for name, values in expected.extras.items()}
    for name, (own, source) in pairs.items():
        if own.tobytes() != source.tobytes():
            raise BadInputError("decoded array differs", field=name)


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """What ``action`` returns, and its seconds."""
    begin = time.perf_counter()
    result = action()
    return result, time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
