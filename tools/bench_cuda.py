"""A .gsb file onto a GPU: seconds to decode and upload, milliseconds to render, and whether the images agree.

    python -m gscodec_tools.bench_cuda --scenes DIR [--views 4] [--json results/cuda.json]

Every folder below DIR with a point_cloud.ply and a cameras.json is a scene; it is encoded at the default quality
first. Decoding is measured on the CPU, twice, the faster counts. Rendering is the median of RUNS runs of a view after
a warm-up, mean over views, the device waited for each time. Agreement is the PSNR of the decoded cloud's image against
gscodec.render.cpu's, lowest and mean over views. Needs a CUDA device and the extra [cuda]; without them it says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gscodec_tools.machine import machine
from gscodec_tools.metrics import psnr_float

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import GaussianCloud
from gscodec.decoder import decode
from gscodec.encoder import encode
from gscodec.errors import GsbError
from gscodec.formats.ply import read_ply
from gscodec.render import cpu, cuda
from gscodec.render.cuda import requirements
from gscodec.scene import Camera, load_cameras

RUNS = 20


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gscodec_tools.bench_cuda", description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=Path, required=True, metavar="DIR", help="folder of scene folders")
    parser.add_argument("--views", type=int, default=4, help="test views of each scene, evenly spread (default: 4)")
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N (default: cuda)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    options = parser.parse_args(arguments)
    folders = sorted(path.parent for path in options.scenes.glob("*/cameras.json"))
    if not folders:
        parser.error(f"no scene in {options.scenes}")
    try:
        gsplat = requirements.kernels(options.device)
        scenes = [bench_scene(folder, options.views, options.device) for folder in folders]
        text = json.dumps({"machine": machine() | gpu(gsplat, options.device), "scenes": scenes}, indent=1)
        print(text)
        if options.json:
            atomic_write(options.json, [f"{text}\n".encode()], force=True)
    except GsbError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def gpu(gsplat: Any, device: str) -> dict[str, Any]:
    """What the GPU is and what drives it."""
    import torch

    name = torch.cuda.get_device_name(device)
    return {"gpu": name, "torch": torch.__version__, "cuda": torch.version.cuda, "gsplat": gsplat.__version__}


def bench_scene(folder: Path, views: int, device: str) -> dict[str, Any]:
    """Measure one scene folder."""
    cameras = load_cameras(folder / "cameras.json", "test")
    cameras = cameras[:: max(1, len(cameras) // views)][:views]
    data = encode(read_ply(folder / "point_cloud.ply"))
    decode(data)  # compiles the kernels
    decode_seconds = min(seconds(lambda: decode(data), device) for _ in range(2))
    cloud = decode(data)
    cuda.load(data, device)  # starts the driver
    upload_seconds = min(seconds(lambda: cuda.renderer.upload(cloud, device), device) for _ in range(3))
    renderer = cuda.CudaRenderer(device)
    agreement = [psnr_float(renderer.render(cloud, view), cpu.render(cloud, view)) for view in cameras]
    return {
        "scene": folder.name,
        "splats": len(cloud),
        "sh_degree": cloud.sh_degree,
        "width": cameras[0].width,
        "height": cameras[0].height,
        "views": len(cameras),
        "bytes": len(data),
        "decode_seconds": round(decode_seconds, 4),
        "upload_seconds": round(upload_seconds, 4),
        "milliseconds": {
            name: round(float(np.mean([median_ms(work, view, device) for view in cameras])), 3)
            for name, work in works(cloud, renderer, device).items()
        },
        "psnr_against_cpu": {
            "lowest": round(min(agreement), 2),
            "mean": round(float(np.mean(agreement)), 2),
        },
    }


def works(cloud: GaussianCloud, renderer: cuda.CudaRenderer, device: str) -> dict[str, Callable[[Camera], object]]:
    """What is measured, by name; ``render`` leaves the image on the device."""
    import torch

    from gscodec.render.cuda import autograd

    splats = cuda.renderer.upload(cloud, device)
    plain = (splats.means, splats.log_scales, splats.quats, splats.opacity_logits, splats.sh)
    parameters = [tensor.clone().requires_grad_() for tensor in plain]
    antialiased = cloud.meta.render_mode == "antialiased"

    def forward_backward(camera: Camera) -> object:
        image, _ = autograd.render(*parameters, camera, antialiased=antialiased)
        return torch.autograd.grad(image.square().mean(), parameters)

    return {
        "render": lambda camera: autograd.render(*plain, camera, antialiased=antialiased),
        "forward_backward": forward_backward,
        "contributions": lambda camera: renderer.contributions(cloud, camera),
    }


def median_ms(work: Callable[[Camera], object], camera: Camera, device: str) -> float:
    work(camera)
    return 1000.0 * float(np.median([seconds(lambda: work(camera), device) for _ in range(RUNS)]))


def seconds(work: Callable[[], object], device: str) -> float:
    """Wall time of ``work`` and of what it left for the device to do."""
    import torch

    torch.cuda.synchronize(device)
    begin = time.perf_counter()
    work()
    torch.cuda.synchronize(device)
    return time.perf_counter() - begin


if __name__ == "__main__":
    raise SystemExit(main())
