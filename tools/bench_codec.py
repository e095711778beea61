"""Rate and distortion on real scenes: default quality, a sweep of qualities, lossless, and other formats.

    python -m gscodec_tools.bench_codec --scenes DIR --out results [--only NAME] [--skip-peers]

Every folder below DIR with a point_cloud.ply and a cameras.json is a scene. PSNR and SSIM are means over the test
views, (b) against renders of the source on black; where the folder has images/, also (a) of source and decoded against
the photos. Seconds are of the work in memory after a warm-up, for other formats of the whole process.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from gscodec_tools.attribute_errors import attribute_errors
from gscodec_tools.commands import CommandFailedError
from gscodec_tools.machine import machine
from gscodec_tools.peer_tools import PEERS, PeerTool
from gscodec_tools.quality import Quality, Reference, photo_quality

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig
from gscodec.decoder import decode
from gscodec.encoder import encode, encode_chunks
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import read_ply
from gscodec.scene import Camera, load_cameras

SWEEP = (30.0, 45.0, 60.0, 75.0, 90.0)


@dataclass(frozen=True)
class Scene:
    """A trained scene with its test views; ``photos`` is None where there are none."""

    name: str
    ply: Path
    cloud: GaussianCloud
    cameras: Sequence[Camera]
    reference: Reference
    photos: Path | None

    @classmethod
    def load(cls, folder: Path) -> Scene:
        """From a scene folder. Raises BadInputError."""
        ply = folder / "point_cloud.ply"
        cloud, cameras = read_ply(ply), load_cameras(folder / "cameras.json", "test")
        photos = folder / "images"
        return cls(folder.name, ply, cloud, cameras, Reference(cloud, cameras), photos if photos.is_dir() else None)

    def sizes(self, size: int) -> dict[str, float]:
        """Bytes, bytes and bits per splat of the source."""
        count = len(self.cloud)
        return {"bytes": size, "bytes_per_splat": round(size / count, 3), "bits_per_splat": round(8 * size / count, 2)}

    def quality(self, decoded: GaussianCloud) -> dict[str, Any]:
        """PSNR and SSIM against renders of the source, and against photos where there are any."""
        result = _means(self.reference.quality(decoded), "renders")
        if self.photos is not None:
            result |= _means(photo_quality(decoded, self.cameras, self.photos), "photos")
        return result


def bench_scene(scene: Scene, tool: PeerTool | None) -> dict[str, Any]:
    """All numbers of one scene."""
    result: dict[str, Any] = {
        "scene": scene.name,
        "splats": len(scene.cloud),
        "sh_degree": scene.cloud.sh_degree,
        "ply_bytes": scene.ply.stat().st_size,
        "test_views": len(scene.cameras),
    }
    if scene.photos is not None:
        photos = _means(photo_quality(scene.cloud, scene.cameras, scene.photos), "photos")
        result |= {f"source_{name}": value for name, value in photos.items()}
    _say(scene, "default quality")
    result["default"] = _default(scene)
    _say(scene, "sweep")
    result["sweep"] = [_point(scene, quality) for quality in SWEEP]
    _say(scene, "lossless")
    result["lossless"] = _lossless(scene)
    if tool is not None:
        _say(scene, "other formats")
        result["peers"] = _peers(scene, tool)
    return result


def _default(scene: Scene) -> dict[str, Any]:
    (chunks, report), encode_seconds = _timed(lambda: encode_chunks(scene.cloud))
    data = b"".join(chunks)
    decoded, decode_seconds = _timed(lambda: decode(data))
    return {
        "quality": EncodeConfig().quality,
        **scene.sizes(len(data)),
        **scene.quality(decoded),
        "encode_s": round(encode_seconds, 3),
        "decode_s": round(decode_seconds, 3),
        "stream_bytes": dict(report.stream_bytes),
        "errors": _rounded(attribute_errors(scene.cloud, decoded)),
    }


def _point(scene: Scene, quality: float) -> dict[str, Any]:
    data = encode(scene.cloud, EncodeConfig(quality=quality))
    return {"quality": quality, **scene.sizes(len(data)), **scene.quality(decode(data))}


def _lossless(scene: Scene) -> dict[str, Any]:
    config = EncodeConfig(lossless=True)
    data, encode_seconds = _timed(lambda: encode(scene.cloud, config))
    _, decode_seconds = _timed(lambda: decode(data))
    times = {"encode_s": round(encode_seconds, 3), "decode_s": round(decode_seconds, 3)}
    rows = {"gscodec": {**scene.sizes(len(data)), **times}}
    source = scene.ply.read_bytes()
    zstd, lzma2 = zstandard.ZstdCompressor(level=19), {"preset": 9}
    for name, pack, unpack in (
        ("zstd -19", zstd.compress, zstandard.ZstdDecompressor().decompress),
        ("xz -9", lambda text: lzma.compress(text, **lzma2), lzma.decompress),
    ):
        packed, encode_seconds = _timed(lambda pack=pack: pack(source))
        _, decode_seconds = _timed(lambda unpack=unpack, packed=packed: unpack(packed))
        times = {"encode_s": round(encode_seconds, 3), "decode_s": round(decode_seconds, 3)}
        rows[name] = {**scene.sizes(len(packed)), **times}
    return rows


def _peers(scene: Scene, tool: PeerTool) -> dict[str, Any]:
    rows = {}
    with tempfile.TemporaryDirectory(prefix="bench_codec_") as scratch:
        for peer in PEERS:
            coded, back = Path(scratch) / f"coded{peer.ending}", Path(scratch) / "back.ply"
            encoded, decoded = tool.encode(peer, scene.ply, coded), tool.decode(coded, back)
            rows[peer.name] = {
                **scene.sizes(coded.stat().st_size),
                **scene.quality(read_ply(back)),
                "encode_s": round(encoded.seconds, 3),
                "decode_s": round(decoded.seconds, 3),
            }
    return rows


def as_text(scene: dict[str, Any]) -> str:
    """The tables of one scene for people."""
    default = scene["default"]
    head = f"{scene['scene']}: {scene['splats']:,} splats, SH degree {scene['sh_degree']}, {scene['ply_bytes']:,} bytes"
    lines = [
        head,
        f"{'':<24} {'bytes':>12} {'bits/splat':>10} {'PSNR':>7} {'SSIM':>7} {'photos':>7} "
        f"{'encode s':>9} {'decode s':>9}",
    ]

    def add(name: str, row: dict[str, Any]) -> None:
        cells = [_cell(row.get(key), 2) for key in ("psnr_renders", "psnr_photos", "encode_s", "decode_s")]
        cells.insert(1, _cell(row.get("ssim_renders"), 4))
        lines.append(
            f"  {name:<22} {row['bytes']:>12,} {row['bits_per_splat']:>10.1f} {cells[0]:>7} {cells[1]:>7} "
            f"{cells[2]:>7} {cells[3]:>9} {cells[4]:>9}"
        )

    if "source_psnr_photos" in scene:
        bits = 8 * scene["ply_bytes"] / scene["splats"]
        add("source", {"bytes": scene["ply_bytes"], "bits_per_splat": bits, "psnr_photos": scene["source_psnr_photos"]})
    add(f"default (quality {default['quality']:g})", default)
    for point in scene["sweep"]:
        add(f"quality {point['quality']:g}", point)
    for name, row in scene.get("peers", {}).items():
        add(name, row)
    for name, row in scene["lossless"].items():
        add("lossless" if name == "gscodec" else name, row)
    return "\n".join(lines)


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _means(quality: Quality, reference: str) -> dict[str, Any]:
    return {f"psnr_{reference}": _decibel(quality.psnr), f"ssim_{reference}": round(quality.ssim, 5)}


def _decibel(value: float) -> float | None:
    """Rounded to 0.001 dB; None for equal images."""
    return round(value, 3) if math.isfinite(value) else None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _timed(action: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.perf_counter()
    result = action()
    return result, time.perf_counter() - begin


def _say(scene: Scene, text: str) -> None:
    print(f"{scene.name}: {text} ...", file=sys.stderr, flush=True)


def _warm_up(cloud: GaussianCloud) -> None:
    small = cloud.select(slice(0, 2000))
    for config in (EncodeConfig(), EncodeConfig(lossless=True)):
        decode(encode(small, config))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench_codec", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=Path, required=True, help="folder of scene folders")
    parser.add_argument("--out", type=Path, help="folder for codec.json")
    parser.add_argument("--only", metavar="NAME", help="one scene of them")
    parser.add_argument("--skip-peers", action="store_true", help="only this codec and general compressors")
    options = parser.parse_args(arguments)
    results = []
    try:
        folders = sorted(path.parent for path in options.scenes.glob(f"{options.only or '*'}/point_cloud.ply"))
        if not folders:
            raise BadInputError("no scene folder with a point_cloud.ply", field="scenes", found=str(options.scenes))
        tool = None if options.skip_peers else _peer_tool()
        for folder in folders:
            scene = Scene.load(folder)
            _warm_up(scene.cloud)
            results.append(bench_scene(scene, tool))
            print(as_text(results[-1]) + "\n", flush=True)
        if options.out:
            where = machine() | ({"peers": tool.version} if tool else {})
            options.out.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"machine": where, "scenes": results}, indent=1) + "\n"
            atomic_write(options.out / "codec.json", [text.encode()], force=True)
    except GsbError as error:
        print(f"bench_codec: {error}", file=sys.stderr)
        return error.exit_code
    except CommandFailedError as error:
        print(f"bench_codec: {error}", file=sys.stderr)
        return 1
    return 0


def _peer_tool() -> PeerTool | None:
    try:
        return PeerTool()
    except BadInputError as error:
        print(f"left out: {error}", file=sys.stderr)
        return None


if __name__ == "__main__":
    sys.exit(main())
