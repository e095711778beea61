"""gsplat's PngCompression: 8-bit PNGs of sorted splats, k-means of SH. Needs a CUDA device.

    python -m gscodec_tools.rd.codecs.gsplat_png encode in.ply out.zip
    python -m gscodec_tools.rd.codecs.gsplat_png decode in.zip out.ply

Its folder of PNG and npz files is stored in a zip without further compression. Facts to know when reading its rows: it
drops the splats of lowest opacity until their number is a square, so ``decoded_splats`` is smaller, and it has no
setting of the rate. Source: gsplat/compression/png_compression.py of gsplat 1.5.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from gscodec_tools.commands import Finished, run_command
from gscodec_tools.rd.codecs.base import Point

from gscodec.cloud import F32, SH_REST_COUNTS, GaussianCloud
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import read_ply, write_ply

PACKAGES = ("torch", "gsplat", "plas", "torchpq", "imageio")


class GsplatPng:
    """The commands above as a codec."""

    name = "gsplat-png"
    ending = ".zip"

    def points(self) -> list[Point]:
        """One: there is no setting."""
        return [Point("default")]

    def available(self) -> None:
        """Raises BadInputError that names the missing packages or the missing device."""
        missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            hint = f"not installed: {', '.join(missing)}; needs CUDA, pip install 'gscodec[cuda]' and 'gsplat[png]'"
            raise BadInputError(f"gsplat's PngCompression cannot run: {hint}", field="codec", found=self.name)
        import torch

        if not torch.cuda.is_available():
            raise BadInputError("gsplat's PngCompression cannot run: no CUDA device", field="codec", found=self.name)

    def version(self) -> str:
        """Of gsplat."""
        self.available()
        return f"gsplat {metadata.version('gsplat')}"

    def encode(self, ply: Path, output: Path, point: Point, limit_s: float) -> Finished:
        """The first command."""
        del point
        return run_command([*_COMMAND, "encode", str(ply), str(output)], limit_s=limit_s)

    def decode(self, coded: Path, ply: Path, limit_s: float) -> Finished:
        """The second."""
        return run_command([*_COMMAND, "decode", str(coded), str(ply)], limit_s=limit_s)

    def stream_bytes(self, coded: Path) -> dict[str, int]:
        """By file of the folder."""
        with zipfile.ZipFile(coded) as archive:
            return {entry.filename: entry.file_size for entry in archive.infolist()}


_COMMAND = [sys.executable, "-m", "gscodec_tools.rd.codecs.gsplat_png"]


def arrays(cloud: GaussianCloud) -> dict[str, F32]:
    """What PngCompression takes, by its names: scales are logarithms and opacities logits, as trained.

    Without SH beyond DC there is no shN: the library cannot code an empty one.
    """
    named = {
        "means": cloud.positions,
        "scales": cloud.log_scales,
        "quats": cloud.quats_wxyz,
        "opacities": cloud.opacity_logits,
        "sh0": cloud.sh_dc[:, None, :],
        "shN": cloud.sh_rest,
    }
    return {name: values for name, values in named.items() if values.size}


def cloud_of(named: dict[str, F32]) -> GaussianCloud:
    """The inverse of ``arrays``."""
    count = len(named["means"])
    rest = named.get("shN", np.zeros((count, SH_REST_COUNTS[0], 3), np.float32))

    def array(name: str, *shape: int) -> F32:
        return np.ascontiguousarray(named[name], np.float32).reshape(count, *shape)

    return GaussianCloud(
        positions=array("means", 3),
        log_scales=array("scales", 3),
        quats_wxyz=array("quats", 4),
        opacity_logits=array("opacities"),
        sh_dc=array("sh0", 3),
        sh_rest=np.ascontiguousarray(rest, np.float32),
    )


def _encode(source: Path, target: Path) -> None:
    import torch

    # The library changes the dictionary and the tensors that it is given; these are nobody else's.
    splats = {name: torch.tensor(values, device="cuda") for name, values in arrays(read_ply(source)).items()}
    with tempfile.TemporaryDirectory(prefix="gsrd_") as folder:
        _compression().compress(folder, splats)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, path.name)


def _decode(source: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="gsrd_") as folder:
        with zipfile.ZipFile(source) as archive:
            archive.extractall(folder)
        named = {name: tensor.detach().cpu().numpy() for name, tensor in _compression().decompress(folder).items()}
    write_ply(target, cloud_of(named), force=True)


def _compression() -> Any:
    from gsplat import PngCompression

    return PngCompression(use_sort=True, verbose=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="gsplat_png", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("direction", choices=("encode", "decode"))
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args(arguments)
    try:
        GsplatPng().available()
        (_encode if options.direction == "encode" else _decode)(options.input, options.output)
    except GsbError as error:
        print(f"gsplat_png: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
