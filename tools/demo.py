"""The whole codec on the sample scene: sizes, times, errors and a picture. Run by `make demo`.

    python -m gscodec_tools.demo [--sample sample] [--out demo]

The sample is kept as a .gsb file (sample/README.md), so the source here has been through the codec once.
"""

from __future__ import annotations

import argparse
import filecmp
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gscodec_tools.attribute_errors import as_text, attribute_errors
from gscodec_tools.commands import CommandFailedError, Finished, run_command, tool_path
from gscodec_tools.metrics import psnr_float
from gscodec_tools.quality import Reference, photo_quality

from gscodec.bitstream.atomic import atomic_write
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import read_ply, write_ply
from gscodec.render.cpu import render
from gscodec.scene import load_cameras

AMPLIFIED = 10.0
WARM_UP_SPLATS = 4000

Image = npt.NDArray[np.float32]


def demo(sample: Path, folder: Path) -> None:
    """Leave everything in ``folder`` and report on stdout. Raises GsbError, CommandFailedError."""
    folder.mkdir(parents=True, exist_ok=True)
    packed, ply = sample / "sample.gsb", folder / "sample.ply"
    print("compiling, once per machine ... ", end="", flush=True)
    run_command([tool_path("gsdec"), str(packed), "-o", str(ply), "-f"])
    source = read_ply(ply)
    splats = len(source)
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "small.ply"
        write_ply(small, source.select(slice(0, WARM_UP_SPLATS)))
        for options in ([], ["--lossless"]):
            coded, back = f"{scratch}/small.gsb", f"{scratch}/back.ply"
            run_command([tool_path("gsenc"), str(small), "-o", coded, "-f", *options])
            run_command([tool_path("gsdec"), coded, "-o", back, "-f"])
    print("done")
    coded, decoded = folder / "sample.gsb", folder / "decoded.ply"
    kept, restored = folder / "lossless.gsb", folder / "lossless.ply"
    print(
        f"\n{ply}: {splats:,} splats, {ply.stat().st_size:,} bytes, {ply.stat().st_size / splats:.1f} per splat\n"
        f"It is the source of all that follows, and was decoded from {packed} ({packed.stat().st_size:,} bytes): it\n"
        "has been through the codec once already, close to lossless; a scene fresh from training has other sizes.\n"
    )
    print(f"{'':<64} {'bytes':>12} {'ratio':>7} {'per splat':>10} {'seconds':>8}")
    _shown(["gsenc", str(ply), "-o", str(coded), "-f"], coded, ply, splats)
    _shown(["gsdec", str(coded), "-o", str(decoded), "-f"], decoded, ply, splats)
    _shown(["gsenc", str(ply), "-o", str(kept), "-f", "--lossless"], kept, ply, splats)
    _shown(["gsdec", str(kept), "-o", str(restored), "-f"], restored, ply, splats)
    about = run_command([tool_path("gsinfo"), str(coded)]).output
    atomic_write(folder / "gsinfo.txt", [about.encode()], force=True)
    if not filecmp.cmp(ply, restored, shallow=False):
        raise BadInputError("the lossless file came back different", field="lossless", found=str(restored))
    print("--lossless gave the .ply back byte for byte; the seconds include starting Python")

    found = read_ply(decoded)
    errors = attribute_errors(source, found)
    print(f"\nerrors of {decoded}; the weights are what a splat adds to the error of an image\n{as_text(errors)}\n")
    cameras = load_cameras(sample / "cameras.json", "test")
    reference = Reference(source, cameras)
    images = [render(found, camera) for camera in reference.cameras]
    values = [psnr_float(own, other) for own, other in zip(reference.images, images, strict=True)]
    views = ", ".join(f"{camera.name} {value:.2f}" for camera, value in zip(reference.cameras, values, strict=True))
    print(f"PSNR against renders of the source: {np.mean(values):.2f} dB ({views})")
    before, after = (photo_quality(cloud, cameras, sample).psnr for cloud in (source, found))
    print(f"PSNR against the {len(cameras)} test photos: source {before:.2f} dB, decoded {after:.2f} dB\n")
    picture = folder / "comparison.png"
    save_comparison(reference.images[0], images[0], picture)
    notes = {
        ply: "the sample scene, trained from the photos in " + str(sample / "images"),
        coded: "coded at the default quality",
        decoded: "the same, decoded: any splat viewer shows it",
        kept: f"coded with --lossless, {restored.name} is what it decodes to",
        folder / "gsinfo.txt": f"what gsinfo says about {coded.name}",
        picture: f"{reference.cameras[0].name}: source, decoded, {AMPLIFIED:.0f} times their difference",
    }
    for path, note in notes.items():
        print(f"{path!s:<22} {note}")


def save_comparison(source: Image, decoded: Image, path: Path) -> None:
    """Write source, decoded and the amplified absolute difference side by side as a PNG.

    Raises BadInputError without pillow.
    """
    try:
        import PIL.Image
    except ImportError as error:
        raise BadInputError("pictures need pillow: pip install 'gscodec[eval]'") from error
    first, second = np.clip(source, 0.0, 1.0), np.clip(decoded, 0.0, 1.0)
    panels = [first, second, np.clip(AMPLIFIED * np.abs(second - first), 0.0, 1.0)]
    pixels = np.rint(255.0 * np.concatenate(panels, axis=1)).astype(np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def _shown(command: Sequence[str], output: Path, ply: Path, splats: int) -> Finished:
    """Run a tool of ours and print one line about what it wrote."""
    result = run_command([tool_path(command[0]), *command[1:]])
    size = output.stat().st_size
    ratio = ply.stat().st_size / size
    text = "$ " + " ".join(command)
    print(f"{text:<64} {size:>12,} {ratio:>7.2f} {size / splats:>10.2f} {result.seconds:>8.1f}", flush=True)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for all files")
    parser.add_argument("--sample", type=Path, default=Path("sample"), help="folder with sample.gsb and its capture")
    options = parser.parse_args(arguments)
    try:
        demo(options.sample, options.out)
    except GsbError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    except CommandFailedError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
