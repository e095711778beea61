"""Nearest centroids by numpy, and in splat-transform's place of a k-d tree."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from clouds import random_cloud
from gscodec_tools import nearest_centroids as module
from gscodec_tools.commands import CommandFailedError, run_command
from gscodec_tools.nearest_centroids import nearest_centroids
from gscodec_tools.peer_tools import FOLDER, PeerTool
from gscodec_tools.rd.codecs import Point
from gscodec_tools.rd.codecs.splat_transform import Sog

from gscodec.errors import BadInputError
from gscodec.formats.ply import write_ply

PRELOAD = FOLDER / "nearest.mjs"
RANDOM = "let s = 1; Math.random = () => { s = (s * 48271) % 2147483647; return s / 2147483647; };"
CALL = """
const clusterKdTreeCpu = (points, centroids, labels) => { throw new Error('not replaced'); };
const table = (...columns) =>
    ({ numRows: columns[0].length, numColumns: columns.length, columns: columns.map(data => ({ data })) });
const labels = new Uint32Array(3);
clusterKdTreeCpu(table([0, 5, 9], [0, 0, -1]), table([8, 1], [0, 0]), labels);
console.log(labels.join());
"""

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
needs_package = pytest.mark.skipif(
    shutil.which("npm") is None or not (FOLDER / "node_modules").is_dir(), reason="splat-transform is not installed"
)


def slow_loop(points: np.ndarray, centroids: np.ndarray) -> list[int]:
    """The first of the least distances, one pair at a time."""
    labels = []
    for point in points.astype(np.float64):
        distances = [float(np.square(point - centroid).sum()) for centroid in centroids.astype(np.float64)]
        labels.append(distances.index(min(distances)))
    return labels


@pytest.mark.parametrize("block", [1, 100, 1 << 24])
def test_labels_are_those_of_a_slow_loop(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(3)
    points, centroids = (rng.standard_normal((count, 45)).astype(np.float32) for count in (120, 40))
    labels = nearest_centroids(points, centroids)
    assert labels.dtype == np.uint32
    assert labels.tolist() == slow_loop(points, centroids)
    # Whole numbers: nothing is rounded, and many centroids are equally near.
    points, centroids = (rng.integers(-2, 3, (count, 3)).astype(np.float32) for count in (120, 40))
    assert nearest_centroids(points, centroids).tolist() == slow_loop(points, centroids)
    assert nearest_centroids(points[:0], centroids).shape == (0,)


def test_near_and_far_from_the_origin_are_told_apart() -> None:
    centroids = np.array([[1000.0], [1000.0001], [999.9999]], np.float32)  # one float32 step, 6e-5, or two
    assert nearest_centroids(centroids[::-1], centroids).tolist() == [2, 1, 0]


def test_what_has_no_nearest_centroid_is_refused() -> None:
    good = np.zeros((2, 3), np.float32)
    bad = np.array([[0.0, np.nan, 0.0]], np.float32)
    for points, centroids in ((good, good[:0]), (bad, good), (good, bad)):
        with pytest.raises(BadInputError, match="no nearest centroid"):
            nearest_centroids(points, centroids)


def test_input_of_another_size_is_refused() -> None:
    with pytest.raises(CommandFailedError, match="another size") as failed:
        run_command([sys.executable, "-m", "gscodec_tools.nearest_centroids", "1", "1", "2"])
    assert failed.value.code == BadInputError("").exit_code


@needs_node
def test_the_preload_replaces_the_search_or_fails(tmp_path: Path) -> None:
    script = tmp_path / "splat-transform" / "dist" / "cli.mjs"
    script.parent.mkdir(parents=True)
    script.write_text(CALL)

    def run(python: str) -> str:
        return run_command(["env", f"GSCODEC_PYTHON={python}", "node", "--import", str(PRELOAD), str(script)]).output

    assert run(sys.executable) == "1,0,0\n"
    for python in ("false", "true", "/nowhere"):  # exit code, no labels, no program
        with pytest.raises(CommandFailedError, match="Error"):
            run(python)
    for times in (0, 2):
        script.write_text(times * CALL)
        with pytest.raises(CommandFailedError, match=f"{times} times instead of once"):
            run(sys.executable)


@pytest.mark.slow
@needs_package
def test_files_are_those_of_the_unchanged_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "random.mjs").write_text(RANDOM)
    monkeypatch.setenv("NODE_OPTIONS", f"--import={tmp_path / 'random.mjs'}")
    options = ["-g", "cpu", "-i", "2"]
    monkeypatch.setattr(Sog, "_options", lambda *_: options)
    ply, found, expected = (tmp_path / name for name in ("in.ply", "found.sog", "expected.sog"))
    write_ply(ply, random_cloud(600, 3, seed=1))  # 512 centroids
    Sog().encode(ply, found, Point("default"), 60.0)
    run_command([*PeerTool().command, *options, str(ply), str(expected)])
    members = [_members(path) for path in (found, expected)]
    assert "shN_labels.webp" in members[0]
    assert members[0] == members[1]
    Sog().decode(found, tmp_path / "back.ply", 60.0)
    assert "exact search in numpy" in Sog().version()


def _members(path: Path) -> dict[str, bytes]:
    """Without the times of day in the archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
