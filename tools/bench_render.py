"""Seconds and memory of the CPU renderer: forward, contributions, forward and backward, at one and two threads.

    python -m gscodec_tools.bench_render --scenes DIR [--views 4] [--json FILE]

Every folder below DIR with a point_cloud.ply and a cameras.json is a scene. Seconds are the best of several runs of
a view after a warm-up, mean over views; peak memory is the process's largest resident set while a view is rendered,
scene, interpreter and torch included. Needs torch, and Linux for the memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from gscodec_tools.machine import machine

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import GaussianCloud
from gscodec.errors import GsbError
from gscodec.formats.ply import read_ply
from gscodec.render.cpu import autograd, contributions, render
from gscodec.scene import Camera, load_cameras

RUNS = 5
THREADS = (1, 2)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gscodec_tools.bench_render", description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=Path, required=True, metavar="DIR", help="folder of scene folders")
    parser.add_argument("--views", type=int, default=4, help="test views of each scene, evenly spread (default: 4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    options = parser.parse_args(arguments)
    folders = sorted(path.parent for path in options.scenes.glob("*/cameras.json"))
    if not folders:
        parser.error(f"no scene in {options.scenes}")
    try:
        scenes = [bench_scene(folder, options.views) for folder in folders]
        text = json.dumps({"machine": machine() | {"torch": torch.__version__}, "scenes": scenes}, indent=1)
        print(text)
        if options.json:
            atomic_write(options.json, [f"{text}\n".encode()], force=True)
    except GsbError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def bench_scene(folder: Path, views: int) -> dict[str, Any]:
    """Measure one scene folder."""
    cloud = read_ply(folder / "point_cloud.ply")
    cameras = load_cameras(folder / "cameras.json", "test")
    cameras = cameras[:: max(1, len(cameras) // views)][:views]
    results: dict[str, Any] = {
        "scene": folder.name,
        "splats": len(cloud),
        "sh_degree": cloud.sh_degree,
        "width": cameras[0].width,
        "height": cameras[0].height,
        "views": len(cameras),
        "seconds": {},
        "peak_bytes": {},
    }
    for name, work in works(cloud).items():
        work(cameras[0])
        reset_peak()
        results["seconds"][name] = {str(count): mean_seconds(work, cameras, count) for count in THREADS}
        results["peak_bytes"][name] = peak_bytes()
    return results


def works(cloud: GaussianCloud) -> dict[str, Callable[[Camera], object]]:
    """What is measured, by name."""
    sh = np.concatenate([cloud.sh_dc[:, None], cloud.sh_rest], axis=1)
    arrays = (cloud.positions, cloud.log_scales, cloud.quats_wxyz, cloud.opacity_logits, sh)
    parameters = [torch.tensor(array, requires_grad=True) for array in arrays]
    antialiased = cloud.meta.render_mode == "antialiased"

    def forward_backward(camera: Camera) -> object:
        image, _ = autograd.render(*parameters, camera, antialiased=antialiased)
        return torch.autograd.grad(image.square().mean(), parameters)

    return {
        "forward": lambda camera: render(cloud, camera),
        "contributions": lambda camera: contributions(cloud, camera),
        "forward_backward": forward_backward,
    }


def mean_seconds(work: Callable[[Camera], object], cameras: Sequence[Camera], threads: int) -> float:
    """Mean over views of the best of RUNS runs."""
    before = numba.get_num_threads(), torch.get_num_threads()
    numba.set_num_threads(threads)
    torch.set_num_threads(threads)
    try:
        return round(float(np.mean([best_seconds(work, camera) for camera in cameras])), 4)
    finally:
        numba.set_num_threads(before[0])
        torch.set_num_threads(before[1])


def best_seconds(work: Callable[[Camera], object], camera: Camera) -> float:
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        work(camera)
        times.append(time.perf_counter() - begin)
    return min(times)


def reset_peak() -> None:
    """Let the kernel forget the largest resident set so far (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """The largest resident set since reset_peak (proc(5), VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    raise SystemExit(main())
