"""Targets of size, ratio and PSNR: what is asked, what comes out, and what pruning within the control is worth.

    python -m gscodec_tools.bench_targets SCENE... [--json results/targets.json]

A SCENE is a folder with point_cloud.ply, cameras and photos, as `gsrd run` takes it. Each target is reached as `gsenc`
does it, and what was made is then measured from the capture's test views, which the control never sees: against renders
of the source, and against photos. A target whose ``pruning`` is false may change nothing but SH degree and quality.
Scores and renders of the source are made once per scene and views ("preparation"); seconds are those of the trials.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gscodec_tools.machine import machine

from gscodec.bitstream.atomic import atomic_write
from gscodec.cli.targets import Prepared, prepare
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, no_progress
from gscodec.decoder import decode
from gscodec.errors import GsbError, UnreachableTargetError
from gscodec.formats.ply import read_ply
from gscodec.quality import psnr
from gscodec.rate.control import reach
from gscodec.rate.goals import Goals, size_at_ratio
from gscodec.rate.reference import Reference
from gscodec.render.cpu import render
from gscodec.scene import Camera, load_capture, load_photo

RATIOS = (16.0, 24.0, 32.0, 48.0, 64.0, 96.0)
FLOORS = (48.0, 44.0, 40.0, 36.0)
BOTH = ((32.0, 36.0), (64.0, 42.0))  # ratio, floor
VIRTUAL = ((32.0, None), (64.0, None), (None, 40.0))


@dataclass(frozen=True)
class Target:
    """What is asked: from which views it is judged, and whether splats may go."""

    ratio: float | None
    floor: float | None
    views: str = "capture"
    pruning: bool = True


class Photos:
    """The photos of views, to measure clouds against."""

    def __init__(self, cameras: Sequence[Camera], folder: Path) -> None:
        self._views = [(camera, load_photo(camera, folder)) for camera in cameras]

    def psnr(self, cloud: GaussianCloud) -> float:
        """Mean over views in dB."""
        return float(np.mean([psnr(photo, render(cloud, camera)) for camera, photo in self._views]))


def targets() -> Iterator[Target]:
    """All of them, those that share their views and pruning in a row."""
    for ratio, floor in (*((r, None) for r in RATIOS), *((None, f) for f in FLOORS), *BOTH):
        yield Target(ratio, floor)
    for ratio in RATIOS:
        yield Target(ratio, None, pruning=False)
    for ratio, floor in VIRTUAL:
        yield Target(ratio, floor, views="virtual")


def bench_scene(folder: Path, path: Path | None) -> None:
    """Rows of one scene; each is put into the file ``path`` when it is there. Raises GsbError."""
    ply = folder / "point_cloud.ply"
    source, source_bytes = read_ply(ply), ply.stat().st_size
    cameras = [camera for camera in load_capture(folder).views() if camera.split == "test"]
    reference = Reference(source, cameras)
    photos = Photos(cameras, folder / "images")
    source_on_photos = photos.psnr(source)
    rows: list[dict[str, Any]] = []
    preparation: dict[str, Any] = {}
    scene = {
        "scene": folder.resolve().name,
        "machine": machine(),
        "splats": len(source),
        "bytes": source_bytes,
        "test_views": len(cameras),
        "source_on_photos": round(source_on_photos, 3),
        "preparation": preparation,
        "rows": rows,
    }
    before: Target | None = None
    prepared: Prepared | None = None
    for target in targets():
        if prepared is None or before is None or (target.views, target.pruning) != (before.views, before.pruning):
            capture = str(folder) if target.views == "capture" else None
            prepared = prepare(source, source, EncodeConfig(), capture, target.pruning, True, no_progress)
            name = target.views + ("" if target.pruning else ", no pruning")
            preparation[name] = {"views": prepared.views, "seconds": round(prepared.seconds, 2)}
        before = target
        row = _row(target, prepared, source_bytes)
        if "error" not in row:
            decoded = decode(b"".join(row.pop("chunks")))
            row["test_psnr"] = round(reference.psnr(decoded), 4)
            row["test_photo_change"] = round(photos.psnr(decoded) - source_on_photos, 4)
        rows.append(row)
        print(as_text(folder.resolve().name, rows[-1]), flush=True)
        if path is not None:
            save(scene, path)


def _row(target: Target, prepared: Prepared, source_bytes: int) -> dict[str, Any]:
    size = None if target.ratio is None else size_at_ratio(source_bytes, target.ratio)
    asked = {"ratio": target.ratio, "size": size, "min_psnr": target.floor, **_of(target)}
    start = time.perf_counter()
    try:
        reached = reach(Goals(size, target.floor), prepared.codec)
    except UnreachableTargetError as error:
        return {"asked": asked, "error": str(error), "seconds": round(time.perf_counter() - start, 2)}
    seconds = time.perf_counter() - start
    best = reached.trial
    return {
        "asked": asked,
        "bytes": best.size,
        "size_deviation": None if size is None else round(best.size / size - 1.0, 5),
        "psnr": _rounded(best.psnr),
        "psnr_above_floor": None if target.floor is None else _rounded((best.psnr or 0.0) - target.floor),
        "choice": vars(best.choice),
        "trials": len(reached.trials),
        "seconds": round(seconds, 2),
        "note": reached.note or None,
        "chunks": reached.file.chunks,
    }


def _of(target: Target) -> dict[str, Any]:
    return {"views": target.views, "pruning": target.pruning}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def as_text(scene: str, row: dict[str, Any]) -> str:
    """One line."""
    asked = row["asked"]
    goals = [] if asked["ratio"] is None else [f"1/{asked['ratio']:g}"]
    goals += [] if asked["min_psnr"] is None else [f">={asked['min_psnr']:g} dB"]
    how = f"{asked['views']}{'' if asked['pruning'] else ', no pruning'}"
    head = f"{scene:<12} {how:<20} {' '.join(goals):<16}"
    if "error" in row:
        return f"{head} {row['error']}"
    choice = row["choice"]
    off = "" if row["size_deviation"] is None else f"{100 * row['size_deviation']:+.2f} %"
    return (
        f"{head} {row['bytes']:>9,} {off:>8} {row['psnr']:7.3f} dB  test {row['test_psnr']:7.3f} "
        f"photos {row['test_photo_change']:+.3f}  -{100 * choice['fraction']:g} % deg {choice['degree']} "
        f"q {choice['quality']:g}  {row['trials']} trials {row['seconds']:.0f} s"
        + (f"  ({row['note']})" if row["note"] else "")
    )


def save(scene: dict[str, Any], path: Path) -> None:
    """Put a scene into the file, in the place of an older measurement of it."""
    old = json.loads(path.read_text(encoding="utf-8"))["scenes"] if path.exists() else []
    scenes = [other for other in old if other["scene"] != scene["scene"]] + [scene]
    tree = {"scenes": sorted(scenes, key=lambda other: str(other["scene"]))}
    atomic_write(path, [(json.dumps(tree, indent=1) + "\n").encode()], force=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench_targets", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="+", metavar="SCENE", help="folder of a scene with its photos")
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the numbers here, beside those of other scenes")
    options = parser.parse_args(arguments)
    try:
        for folder in options.scenes:
            bench_scene(folder, options.json)
    except GsbError as error:
        print(f"bench_targets: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
