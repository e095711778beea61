"""Scenes whose SH were quantised as vectors before: files with a palette of them, and without.

    python -m gscodec_tools.bench_palette SCENE... [--entries 4096] [--ply FILE] [--json results/palette.json]

A SCENE is a folder with point_cloud.ply and cameras.json. Its SH beyond DC are replaced by the nearest of so many
vectors, found by a k-means weighted with what splats cover, as LightGaussian and its kin do. PSNR is against renders of
that, in the scene's test views. A PLY that comes from such a file is taken as it is, and seen in virtual views.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gscodec_tools.as_gsenc import as_gsenc
from gscodec_tools.machine import machine
from gscodec_tools.nearest_centroids import nearest_centroids
from gscodec_tools.quality import Reference

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig
from gscodec.decoder import decode
from gscodec.errors import GsbError
from gscodec.formats.ply import read_ply
from gscodec.scene import Camera, load_cameras, virtual_views

QUALITIES = (30.0, 45.0, 60.0, 75.0, 90.0)
ROUNDS = 8
VIEWS, SEED = 12, 77  # of virtual views to judge by: others than the encoder looks from


def with_codebook(cloud: GaussianCloud, entries: int) -> GaussianCloud:
    """The cloud with so many different vectors of SH beyond DC at most."""
    vectors = cloud.sh_rest.reshape(len(cloud), -1)
    area = np.exp(np.sort(cloud.log_scales, axis=1)[:, 1:].sum(axis=1, dtype=np.float64))
    weights = area / (1.0 + np.exp(-cloud.opacity_logits.astype(np.float64)))
    book = vectors[np.random.default_rng(0).choice(len(vectors), entries, replace=False)]
    for _ in range(ROUNDS):
        labels = nearest_centroids(vectors, book)
        totals = np.bincount(labels, weights, entries)
        sums = np.stack([np.bincount(labels, weights * column, entries) for column in vectors.T], axis=1)
        book = np.where(totals[:, None] > 0, sums / np.maximum(totals, 1e-300)[:, None], book).astype(np.float32)
    return replace(cloud, sh_rest=book[nearest_centroids(vectors, book)].reshape(cloud.sh_rest.shape))


def scenes(
    folders: Iterable[Path], entries: int, files: Iterable[Path]
) -> Iterator[tuple[str, GaussianCloud, Sequence[Camera]]]:
    """(name, cloud, views) of folders, given a codebook of so many ``entries``, and of PLY files. Raises GsbError."""
    for folder in folders:
        cloud = with_codebook(read_ply(folder / "point_cloud.ply"), entries)
        yield folder.resolve().name, cloud, load_cameras(folder / "cameras.json", "test")
    for path in files:
        cloud = read_ply(path)
        yield path.stem, cloud, virtual_views(cloud, VIEWS, SEED)


def bench(name: str, cloud: GaussianCloud, views: Sequence[Camera]) -> Iterator[dict[str, Any]]:
    """A row for each quality. Raises GsbError."""
    reference = Reference(cloud, views)
    shared = len(np.unique(cloud.sh_rest.reshape(len(cloud), -1), axis=0))
    recipes = {"components": as_gsenc(cloud, EncodeConfig(palette=False)), "chosen": as_gsenc(cloud)}
    for quality in QUALITIES:
        row: dict[str, Any] = {"scene": name, "splats": len(cloud), "entries": shared, "quality": quality}
        for label, recipe in recipes.items():
            chunks, report, _ = recipe.encode(quality)
            psnr = reference.quality(decode(b"".join(chunks))).psnr
            row[label] = {"bytes": report.bytes, "psnr": round(psnr, 3), "streams": dict(report.stream_bytes)}
        row["palette"] = "PALETTE" in row["chosen"]["streams"]
        yield row


def as_text(row: dict[str, Any]) -> str:
    """A line."""
    sizes = [f"{row[kind]['bytes']:,} bytes {row[kind]['psnr']:.2f} dB" for kind in ("components", "chosen")]
    chosen = "palette" if row["palette"] else "components"
    return f"{row['scene']} quality {row['quality']:g}: components {sizes[0]}, chosen ({chosen}) {sizes[1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench_palette", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="*", metavar="SCENE", help="folder of a trained scene with cameras")
    parser.add_argument("--entries", type=int, default=4096, help="size of the codebook that scenes are given")
    parser.add_argument(
        "--ply", type=Path, action="append", default=[], metavar="FILE", help="a scene that has one already"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    try:
        for name, cloud, views in scenes(options.scenes, options.entries, options.ply):
            for row in bench(name, cloud, views):
                rows.append(row)
                print(as_text(row), flush=True)
        if options.json:
            tree = {"machine": machine(), "rows": rows}
            atomic_write(options.json, [(json.dumps(tree, indent=1) + "\n").encode()], force=True)
    except GsbError as error:
        print(f"bench_palette: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
