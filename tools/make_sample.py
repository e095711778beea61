"""Make the sample from nothing: ray trace photos of a scene of our own, train a 3DGS cloud from them, pack it.

    python -m gscodec_tools.make_sample -o sample/ [--kind courtyard] [--seed 0] [--views 40] [--size 480x320]
        [--jpeg 95] [--iterations 7000] [--splats 60000] [--limit 2097152] [--photos-only]

Writes images/, cameras.json and sparse.npz; unless --photos-only also point_cloud.ply (SH degree 3) and sample.gsb,
coded at the highest quality that stays below --limit bytes. Training needs torch and, on a CPU, patience.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from gscodec_tools.quality import photo_quality
from gscodec_tools.raytrace.capture import JPEG_QUALITY, write_capture
from gscodec_tools.raytrace.scenes import KINDS

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig
from gscodec.decoder import decode
from gscodec.encoder import encode
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import write_ply
from gscodec.scene import load_cameras, load_capture

LIMIT = 2 << 20  # bytes
QUALITIES = tuple(range(100, 0, -1))


def train_sample(folder: Path, splats: int, iterations: int, seed: int) -> GaussianCloud:
    """A cloud of SH degree 3 and at most ``splats`` splats, trained from the capture in ``folder``.

    Raises BadInputError as gscodec.train does, and without torch.
    """
    if importlib.util.find_spec("torch") is None:
        raise BadInputError("training needs PyTorch: pip install 'gscodec[train]'")
    from gscodec.train.loop import train
    from gscodec.train.options import TrainOptions

    options = TrainOptions(iterations=iterations, sh_degree=3, max_splats=splats, seed=seed)
    return train(load_capture(folder), options, progress=_progress).cloud


def pack(cloud: GaussianCloud, limit: int = LIMIT) -> tuple[bytes, int]:
    """The .gsb file of highest whole quality that has fewer than ``limit`` bytes, and that quality.

    Raises BadInputError if even the lowest quality needs more.
    """
    low, high = 0, len(QUALITIES) - 1  # sizes fall along QUALITIES, so the first that fits is searched by halving
    while low < high:
        middle = (low + high) // 2
        if len(encode(cloud, EncodeConfig(quality=QUALITIES[middle]))) < limit:
            high = middle
        else:
            low = middle + 1
    data = encode(cloud, EncodeConfig(quality=QUALITIES[low]))
    if len(data) >= limit:
        raise BadInputError("does not fit", field="limit", found=limit, allowed=f"more than {len(data)}")
    return data, QUALITIES[low]


def make_sample(options: argparse.Namespace) -> None:
    """All steps of the command line. Raises GsbError."""
    folder: Path = options.output
    write_capture(folder, options.kind, options.seed, options.views, options.size, options.jpeg)
    photos = sum(path.stat().st_size for path in (folder / "images").iterdir())
    print(f"{folder / 'images'}: {options.views} photos, {photos:,} bytes", flush=True)
    if options.photos_only:
        return
    cloud = train_sample(folder, options.splats, options.iterations, options.seed)
    write_ply(folder / "point_cloud.ply", cloud, force=True)
    data, quality = pack(cloud, options.limit)
    atomic_write(folder / "sample.gsb", [data], force=True)
    tests = load_cameras(folder / "cameras.json", "test")
    before, after = (photo_quality(each, tests, folder) for each in (cloud, decode(data)))
    print(f"{folder / 'sample.gsb'}: {len(cloud):,} splats, {len(data):,} bytes at quality {quality}")
    print(f"PSNR on {len(tests)} test photos: {before.psnr:.3f} dB trained, {after.psnr:.3f} dB after coding")


def _progress(stage: str, done: float) -> None:
    print(f"\r{stage} {100.0 * done:5.1f} %", end="", file=sys.stderr, flush=True)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 480x320")
    return int(width), int(height)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make_sample", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--kind", choices=tuple(KINDS), default="courtyard")
    parser.add_argument("--seed", type=int, default=0, help="of the scene and of the training")
    parser.add_argument("--views", type=int, default=40, help="photos; every 8th is for testing")
    parser.add_argument("--size", type=_size, default=(480, 320), metavar="WxH", help="of a photo, default 480x320")
    parser.add_argument("--jpeg", type=int, default=JPEG_QUALITY, metavar="Q", help="quality of the photos, default 95")
    parser.add_argument("--iterations", type=int, default=7000)
    parser.add_argument("--splats", type=int, default=60_000, help="at most so many")
    parser.add_argument("--limit", type=int, default=LIMIT, metavar="BYTES", help="of sample.gsb, default 2 MiB")
    parser.add_argument("--photos-only", action="store_true", help="neither train nor pack")
    options = parser.parse_args(arguments)
    try:
        make_sample(options)
    except GsbError as error:
        print(f"make_sample: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
