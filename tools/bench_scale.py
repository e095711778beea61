"""Time and memory of gsenc and gsdec on millions of splats, beside other formats in the same run.

    python -m gscodec_tools.bench_scale --scenes DIR --out results [--splats 1000000 5000000 20000000] [--cores 2]

The scene is tiled from the first real one below DIR (a synthetic one without --scenes): translated copies, each with
its own small noise, made and written one at a time. Every command runs as a process of its own, on as many cores; a
small scene goes through it first, so that compiling is not counted. The best of --repeat runs counts. Seconds are wall
time from start to end of the process, memory is the peak resident set of the process.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gscodec_tools.commands import CommandFailedError, Finished, run_command, tool_path
from gscodec_tools.machine import machine
from gscodec_tools.peer_tools import PEERS, PeerTool
from gscodec_tools.synthetic_cloud import synthetic_cloud

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import ply_chunks_of, read_ply, write_ply

JITTER = 0.01  # of a splat's size, and of every other number's unit
SEED = 11


def tiled(cloud: GaussianCloud, splats: int) -> Iterator[GaussianCloud]:
    """``splats`` splats in parts: copies of ``cloud`` side by side along its two longest axes, none exactly alike."""
    copies = -(-splats // len(cloud))
    low, high = np.percentile(cloud.positions, [2.0, 98.0], axis=0)
    first, second = np.argsort(low - high)[:2]
    columns = int(np.ceil(np.sqrt(copies)))
    for number in range(copies):
        shift = np.zeros(3)
        shift[first] = number % columns * (high - low)[first]
        shift[second] = number // columns * (high - low)[second]
        yield _noisy(cloud.select(slice(0, splats - number * len(cloud))), shift, np.random.default_rng((SEED, number)))


def _noisy(cloud: GaussianCloud, shift: npt.NDArray[np.float64], rng: np.random.Generator) -> GaussianCloud:
    def noisy(values: Any, scale: Any = JITTER) -> Any:
        return (values + scale * rng.standard_normal(values.shape, np.float32)).astype(np.float32)

    sizes = JITTER * np.exp(cloud.log_scales.min(axis=1, keepdims=True))
    return replace(
        cloud,
        positions=(noisy(cloud.positions, sizes) + shift).astype(np.float32),
        log_scales=noisy(cloud.log_scales),
        quats_wxyz=noisy(cloud.quats_wxyz),
        opacity_logits=noisy(cloud.opacity_logits),
        sh_dc=noisy(cloud.sh_dc),
        sh_rest=noisy(cloud.sh_rest, JITTER * 0.1),
    )


def bench(ply: Path, small: Path, splats: int, float_bytes: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per format: bytes, and seconds and peak memory of each way."""
    scratch, cores = ply.parent, options.cores
    beside_others = splats <= options.peers_up_to
    threads = [] if cores is None else ["--threads", str(cores)]

    def best(action: Callable[[Path, Path], Finished], source: Path, result: Path) -> Finished:
        runs = range(options.repeat if beside_others else 1)
        return min((action(source, result) for _ in runs), key=lambda run: run.seconds)

    def row(
        name: str, ending: str, encode: Callable[[Path, Path], Finished], decode: Callable[[Path, Path], Finished]
    ) -> dict[str, Any]:
        print(f"{splats:,} splats, {name} ...", file=sys.stderr, flush=True)
        coded, back = scratch / f"scale{ending}", scratch / "back.ply"
        encode(small, coded)
        decode(coded, back)
        encoded, decoded = best(encode, ply, coded), best(decode, coded, back)
        return {
            "format": name,
            "bytes": coded.stat().st_size,
            "bytes_per_splat": round(coded.stat().st_size / splats, 3),
            "encode": _numbers(encoded, float_bytes),
            "decode": _numbers(decoded, float_bytes),
        }

    def ours(*more: str) -> Callable[[Path, Path], Finished]:
        return lambda source, result: run_command(
            [tool_path("gsenc"), str(source), "-o", str(result), "-f", "-q", *threads, *more], cores
        )

    def back(source: Path, result: Path) -> Finished:
        return run_command([tool_path("gsdec"), str(source), "-o", str(result), "-f", "-q", *threads], cores)

    rows = [row("gscodec", ".gsb", ours(), back)]
    if not beside_others:
        return rows
    rows.append(row("gscodec --quality 50", ".gsb", ours("--quality", "50"), back))
    rows.append(row("gscodec --preset fast", ".gsb", ours("--preset", "fast"), back))
    rows.append(row("gscodec --lossless", ".gsb", ours("--lossless"), back))
    try:
        tool = PeerTool()
    except BadInputError as error:
        print(f"left out: {error}", file=sys.stderr)
        return rows
    for peer in PEERS:
        if peer.name == "SPZ v3":
            continue  # the same numbers as v4 in an older wrapping

        def encode(source: Path, result: Path, peer: Any = peer) -> Finished:
            return tool.encode(peer, source, result, cores)

        rows.append(
            row(peer.name, peer.ending, encode, lambda source, result: tool.decode(source, result, cores))
            | {"tool": tool.version}
        )
    return rows


def _numbers(run: Finished, float_bytes: int) -> dict[str, float]:
    return {
        "seconds": round(run.seconds, 2),
        "peak_bytes": run.peak_bytes,
        "peak_to_floats": round(run.peak_bytes / float_bytes, 2),
    }


def as_text(rows: Sequence[dict[str, Any]]) -> str:
    """An aligned table; "x floats" is the peak memory over the bytes of the float arrays."""
    both = f"{'encode s':>9} {'x floats':>9} {'decode s':>9} {'x floats':>9}"
    lines = [f"{'format':<20} {'bytes':>12} {'per splat':>10} {both}"]
    for row in rows:
        encode, decode = row["encode"], row["decode"]
        lines.append(
            f"{row['format']:<20} {row['bytes']:>12,} {row['bytes_per_splat']:>10.2f} {encode['seconds']:>9.2f} "
            f"{encode['peak_to_floats']:>9.2f} {decode['seconds']:>9.2f} {decode['peak_to_floats']:>9.2f}"
        )
    return "\n".join(lines)


def _bench_size(scene: GaussianCloud, splats: int, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The part of the results that is of one size."""
    ply, small = folder / "scale.ply", folder / "small.ply"
    float_bytes = scene.nbytes // len(scene) * splats
    atomic_write(ply, ply_chunks_of(scene, splats, tiled(scene, splats)), force=True)
    write_ply(small, scene.select(slice(0, 20_000)), force=True)
    rows = bench(ply, small, splats, float_bytes, options)
    print(f"{splats:,} splats, {float_bytes:,} bytes of floats\n{as_text(rows)}", flush=True)
    return {"splats": splats, "float_bytes": float_bytes, "rows": rows}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench_scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=Path, help="folder of scene folders with a point_cloud.ply each")
    parser.add_argument("--out", type=Path, help="folder for scale.json")
    parser.add_argument("--splats", type=int, nargs="+", default=[1_000_000])
    parser.add_argument(
        "--peers-up-to", type=int, default=5_000_000, metavar="SPLATS", help="above: gscodec alone, once"
    )
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=2)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--keep", type=Path, help="folder for the files, which else are removed")
    where.add_argument("--scratch", type=Path, help="folder below which they lie until then: 500 bytes a splat")
    options = parser.parse_args(arguments)
    try:
        found = sorted(options.scenes.glob("*/point_cloud.ply")) if options.scenes else []
        if options.scenes and not found:
            raise BadInputError("no */point_cloud.ply", field="scenes", found=str(options.scenes))
        scene = read_ply(found[0]) if found else synthetic_cloud()
        with tempfile.TemporaryDirectory(prefix="bench_scale_", dir=options.scratch) as scratch:
            folder = options.keep or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            sizes = [_bench_size(scene, splats, folder, options) for splats in options.splats]
    except GsbError as error:
        print(f"bench_scale: {error}", file=sys.stderr)
        return error.exit_code
    except CommandFailedError as error:
        print(f"bench_scale: {error}", file=sys.stderr)
        return 1
    if options.out:
        head = {"tiled_from": found[0].parent.name if found else "synthetic"}
        head |= {key: sizes[0][key] for key in ("splats", "float_bytes")}
        head |= {"cores_used": options.cores, "repeat": options.repeat}
        result = {"machine": machine(), "scene": head, "rows": sizes[0]["rows"], "larger": sizes[1:]}
        options.out.mkdir(parents=True, exist_ok=True)
        atomic_write(options.out / "scale.json", [(json.dumps(result, indent=1) + "\n").encode()], force=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
