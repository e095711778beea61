"""Folders of results as `gsrd run` writes them, made up: two codecs with curves, one with a single point."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SPLATS = 1000
OURS = [(15, 3000, 28.0), (30, 4500, 33.0), (50, 7000, 38.0), (75, 11000, 45.0), (90, 16000, 51.0)]
NAIVE = [(6, 3600, 28.5), (8, 6000, 33.5), (10, 10500, 41.0), (12, 18000, 50.0)]
SPZ = (20000, 34.5)

Row = dict[str, Any]


def row(scene: str, codec: str, label: str, size: int, psnr: float | None, **changes: Any) -> Row:
    """A complete row."""
    made: Row = {
        "key": f"{codec}|{label}|{scene}",
        "scene": scene,
        "splats": SPLATS,
        "sh_degree": 3,
        "source_bytes": 236_000,
        "codec": codec,
        "label": label,
        "settings": {},
        "status": "ok",
        "message": "",
        "bytes": size,
        "bits_per_splat": 8 * size / SPLATS,
        "decoded_splats": SPLATS,
        "psnr_renders": psnr,
        "psnr_8bit_renders": psnr,
        "ssim_renders": 1.0 if psnr is None else 1.0 - 10 ** (-psnr / 16),
        "psnr_photos": 25.0 - (0.0 if psnr is None else 10 ** (-psnr / 30)),
        "psnr_8bit_photos": 25.0,
        "ssim_photos": 0.9,
        "source_psnr_photos": 25.0,
        "source_ssim_photos": 0.901,
        "identical": psnr is None,
        "views": {"kind": "test", "count": 2, "seed": None, "names": ["a", "b"]},
        "encode_s": 0.5,
        "decode_s": 0.25,
        "encode_peak_bytes": 472_000,
        "decode_peak_bytes": 354_000,
        "stream_bytes": None,
        "codec_version": "1.2",
        "host": {"cpu": "A processor", "cores": 2, "memory_bytes": 8 << 30, "system": "Linux", "python": "3.11.7"},
        "jobs": 1,
        "seed": 0,
        "date": "2026-11-21T06:00:00+00:00",
        "command": f"gsrd run {scene} --codecs {codec} --labels {label}",
        "encode_command": "encode in.ply out",
        "decode_command": "decode out back.ply",
        "picture": None,
    }
    return made | changes


def scene_rows(scene: str, factor: float = 1.0) -> list[Row]:
    """Our sweep, a naive one, SPZ with one point, and ours at its size; sizes times ``factor``."""
    rows = []
    for quality, size, psnr in OURS:
        streams = {"positions": size // 2, "scales": size // 4, "base colours": size // 8}
        rows.append(
            row(scene, "gscodec", f"q{quality}", int(factor * size), psnr, settings={"quality": quality})
            | {"stream_bytes": {name: int(factor * part) for name, part in streams.items()}}
        )
    rows += [row(scene, "naive", f"{bits}bit", int(factor * size), psnr) for bits, size, psnr in NAIVE]
    peer = row(scene, "spz", "v4", int(factor * SPZ[0]), SPZ[1], picture=f"pictures/{scene}/spz-v4.png")
    settings = {"quality": 95.5, "matches": peer["key"]}
    ours = row(scene, "gscodec", "match:spz v4", int(factor * SPZ[0] * 0.995), 53.0, settings=settings)
    return [*rows, peer, ours | {"picture": f"pictures/{scene}/match.png"}]


def write_results(folder: Path, scenes: Mapping[str, Sequence[Row]]) -> Path:
    """``folder``, with one file of rows for each scene."""
    (folder / "rd").mkdir(parents=True, exist_ok=True)
    for number, (name, rows) in enumerate(scenes.items()):
        tree = {"format": 1, "scene": name, "rows": list(rows)}
        (folder / "rd" / f"{number}.json").write_text(json.dumps(tree), encoding="utf-8")
    return folder


def write_pictures(folder: Path, scene: str) -> None:
    """Small pictures of a first view, of which SPZ's is the worst, at the right."""
    noise = np.random.default_rng(1).integers(-6, 7, (60, 90, 3))
    source = np.tile(np.linspace(40, 200, 90).astype(np.int64)[None, :, None], (60, 1, 3))
    peer = source + 2 * noise
    peer[20:40, 60:80] += 30
    target = folder / "rd" / "pictures" / scene
    target.mkdir(parents=True)
    for name, pixels in {"source": source, "photo": source + 9, "match": source + noise // 6, "spz-v4": peer}.items():
        Image.fromarray(pixels.astype(np.uint8)).save(target / f"{name}.png")
