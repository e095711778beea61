"""Do virtual views rank codecs as real test views do? PSNR on renders of the source, from both kinds of views.

    python -m gscodec_tools.check_virtual_views --scenes DIR [--out results/virtual_views.json] [--views 8] [--seed 0]

Every folder below DIR with a point_cloud.ply and a cameras.json is a scene. What is ranked: this codec at several
qualities, and other formats where Node.js is installed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gscodec_tools.commands import CommandFailedError
from gscodec_tools.peer_tools import PEERS, PeerTool
from gscodec_tools.quality import Reference
from scipy.stats import spearmanr

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig
from gscodec.decoder import decode
from gscodec.encoder import encode
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import read_ply
from gscodec.scene import load_cameras, virtual_views

QUALITIES = (30.0, 45.0, 60.0, 75.0, 90.0)


def check_scene(folder: Path, tool: PeerTool | None, views: int, seed: int) -> dict[str, Any]:
    """PSNR in dB of each codec on both kinds of views, their rank correlation and largest difference."""
    cloud = read_ply(folder / "point_cloud.ply")
    real = Reference(cloud, load_cameras(folder / "cameras.json", "test"))
    virtual = Reference(cloud, virtual_views(cloud, views, seed))
    rows = {}
    for name, decoded in _decoded(folder / "point_cloud.ply", cloud, tool):
        seen, guessed = real.quality(decoded).psnr, virtual.quality(decoded).psnr
        rows[name] = {"test_views": round(seen, 3), "virtual_views": round(guessed, 3)}
        print(
            f"{folder.name}: {name:<16} {rows[name]['test_views']:7.2f} {rows[name]['virtual_views']:7.2f}", flush=True
        )
    pairs = np.array([[row["test_views"], row["virtual_views"]] for row in rows.values()])
    return {
        "scene": folder.name,
        "psnr_renders": rows,
        "spearman": round(float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic), 4),
        "largest_difference_db": round(float(np.abs(pairs[:, 0] - pairs[:, 1]).max()), 3),
    }


def _decoded(ply: Path, cloud: GaussianCloud, tool: PeerTool | None) -> Iterator[tuple[str, GaussianCloud]]:
    for quality in QUALITIES:
        yield f"quality {quality:g}", decode(encode(cloud, EncodeConfig(quality=quality)))
    if tool is None:
        return
    with tempfile.TemporaryDirectory(prefix="check_virtual_views_") as scratch:
        for peer in PEERS:
            coded, back = Path(scratch) / f"coded{peer.ending}", Path(scratch) / "back.ply"
            tool.encode(peer, ply, coded)
            tool.decode(coded, back)
            yield peer.name, read_ply(back)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="check_virtual_views", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=Path, required=True, help="folder of scene folders")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--views", type=int, default=8, help="virtual views of each scene")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        folders = sorted(path.parent for path in options.scenes.glob("*/point_cloud.ply"))
        if not folders:
            raise BadInputError("no scene folder with a point_cloud.ply", field="scenes", found=str(options.scenes))
        try:
            tool = PeerTool()
        except BadInputError as error:
            print(f"left out: {error}", file=sys.stderr)
            tool = None
        scenes = [check_scene(folder, tool, options.views, options.seed) for folder in folders]
        for scene in scenes:
            print(f"{scene['scene']}: rank correlation {scene['spearman']}, up to {scene['largest_difference_db']} dB")
        if options.out:
            tree = {"views": options.views, "seed": options.seed, "scenes": scenes}
            atomic_write(options.out, [(json.dumps(tree, indent=1) + "\n").encode()], force=True)
    except (GsbError, CommandFailedError) as error:
        print(f"check_virtual_views: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
