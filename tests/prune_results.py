"""Folders of results as `gsrd prune` writes them, made up: a score and the anchor, five shares kept of one scene."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOURCE_PSNR = 30.0


def curve_row(method: str, retention: float, psnr: float, **changes: Any) -> dict[str, Any]:
    row = {
        "key": f"{method} {retention}",
        "scene": "yard",
        "splats": 1000,
        "source_bytes": 236_000,
        "kind": "curve",
        "method": method,
        "params": {},
        "retention": retention,
        "share": None,
        "quality": None,
        "status": "ok",
        "message": "",
        "kept": round(1000 * retention),
        "bytes": None,
        "psnr_renders": psnr,
        "psnr_8bit_renders": psnr,
        "ssim_renders": 0.9,
        "psnr_photos": SOURCE_PSNR - 40.0 / psnr,
        "psnr_8bit_photos": 25.0,
        "ssim_photos": 0.8,
        "source_psnr_photos": SOURCE_PSNR,
        "source_ssim_photos": 0.85,
        "load_seconds": 0.1,
        "score_seconds": 0.4,
        "seconds_per_million": 500.0,
        "passes": {},
        "shared_passes": [],
        "histogram": None,
        "picture": None,
        "views": {"kind": "test", "count": 2, "seed": None},
        "scoring_views": None,
        "version": "1",
        "host": {"cpu": "A processor", "cores": 2},
        "date": "2026-11-21T06:00:00+00:00",
        "command": "gsrd prune yard",
    }
    return row | changes


CURVES = {
    "opacity": [(0.1, 15.0), (0.3, 20.0), (0.5, 26.0), (0.7, 33.0), (0.9, 45.0)],
    "rap": [(0.1, 17.0), (0.3, 24.0), (0.5, 30.0), (0.7, 38.0), (0.9, 52.0)],
}


def write(folder: Path, rows: list[dict[str, Any]], scene: str = "yard") -> Path:
    (folder / "prune").mkdir(parents=True, exist_ok=True)
    tree = {"format": 1, "scene": scene, "rows": [row | {"scene": scene} for row in rows]}
    (folder / "prune" / f"{scene.encode().hex()}.json").write_text(json.dumps(tree))
    return folder


def curves(change: Callable[[str, float], float] = lambda _, psnr: psnr) -> list[dict[str, Any]]:
    return [curve_row(name, kept, change(name, psnr)) for name, points in CURVES.items() for kept, psnr in points]
