"""gsdec with less than a whole file, and tile by tile; what gsinfo says to choose by."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud

import gscodec
from gscodec.cli import gsdec, gsenc, gsinfo
from gscodec.decoder import Decoder
from gscodec.formats.ply import ply_chunks

TOOLS = {"gsenc": gsenc.main, "gsdec": gsdec.main, "gsinfo": gsinfo.main}


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A native file of four tiles of 50 splats, degree 2."""
    path = tmp_path_factory.mktemp("tiled") / "tiled.gsb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gscodec.branches.native.tiling.TILE_SPLATS", 50)
        path.write_bytes(gscodec.encode(random_cloud(200, 2, 4)))
    return path


def run_json(capsys: pytest.CaptureFixture[str], tool: str, *args: object, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert TOOLS[tool]([*map(str, args), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def text_of(capsys: pytest.CaptureFixture[str], tool: str, *args: object) -> str:
    capsys.readouterr()
    assert TOOLS[tool]([*map(str, args)]) == 0
    return capsys.readouterr().out


def test_sh_degree(tiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.ply"
    data = run_json(capsys, "gsdec", tiled, "-o", out, "--sh-degree", "1")
    assert data["output"]["sh_degree"] == 1
    assert data["bytes_read"] < data["file_bytes"] == tiled.stat().st_size
    assert data["tiles"] == {"decoded": 4, "asked": 4, "total": 4, "by_layers": {"1": 4}, "verified": 0}
    assert_same_arrays(gscodec.read_ply(out), gscodec.decode(tiled, sh_degree=1))
    assert "0 of 4 decoded tiles" in text_of(capsys, "gsdec", tiled, "-o", out, "-f", "--sh-degree", "1")
    assert gsdec.main([str(tiled), "-o", str(out), "-f", "--sh-degree", "5"]) == 2


def test_max_bytes_of_a_whole_and_of_a_cut_file(
    tiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = [tile["ends"] for tile in run_json(capsys, "gsinfo", tiled)["tiles"]]
    cut, out = tmp_path / "cut.gsb", tmp_path / "a.ply"
    cut.write_bytes(tiled.read_bytes()[: ends[1][2]])
    found = []
    for path in (tiled, cut):
        data = run_json(capsys, "gsdec", path, "-o", out, "-f", "--max-bytes", ends[1][2])
        assert data["input"]["bytes"] == path.stat().st_size
        assert data["file_bytes"] == tiled.stat().st_size
        assert data["bytes_read"] == ends[1][2]
        assert data["output"]["splats"] == 200
        assert data["tiles"] == {"decoded": 4, "asked": 4, "total": 4, "by_layers": {"1": 2, "2": 2}, "verified": 2}
        found.append(hashlib.sha256(out.read_bytes()).digest())
    assert found[0] == found[1]
    shown = text_of(capsys, "gsdec", cut, "-o", out, "-f", "--max-bytes", ends[2][0])
    assert "1 tile lies behind the bytes used" in shown
    assert "150 splats, SH degree 0" in shown
    shown = text_of(capsys, "gsdec", cut, "-o", out, "-f", "--max-bytes", ends[0][1])
    assert "tiles by their last layer: 0 in 3, 1 in 1" in shown
    few = run_json(capsys, "gsdec", tiled, "-o", out, "-f", "--max-bytes", ends[2][0], "--tiles", "3,1")
    assert (few["tiles"]["decoded"], few["tiles"]["asked"], few["output"]["splats"]) == (1, 2, 50)


def test_too_few_bytes(tiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = run_json(capsys, "gsinfo", tiled)
    needed = info["tiles"][0]["ends"][0]
    out = tmp_path / "a.ply"
    error = run_json(capsys, "gsdec", tiled, "-o", out, "--max-bytes", needed - 1, code=3)["error"]
    assert (error["code"], error["field"], error["allowed"]) == ("bad-input", "max_bytes", f">= {needed}")
    assert not out.exists()
    cut = tmp_path / "cut.gsb"
    cut.write_bytes(tiled.read_bytes()[:-1])
    assert "truncated" in run_json(capsys, "gsdec", cut, "-o", out, code=7)["error"]["message"]
    assert not out.exists()


def test_info_says_where_layers_end(tiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = run_json(capsys, "gsinfo", tiled)
    ends = np.array([tile["ends"] for tile in info["tiles"]])
    assert info["layer_ends"] == ends.max(axis=0).tolist()
    assert info["layer_ends"][-1] == info["file_bytes"]
    assert (np.diff(ends, axis=1) > 0).all()
    shown = text_of(capsys, "gsinfo", tiled)
    assert f"all tiles, layer 0, colours  {info['layer_ends'][0]:,} bytes" in shown
    assert f"{ends[0, 0]:,} bytes" in next(line for line in shown.splitlines() if "first tile" in line)


def test_progressive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ply, packed = tmp_path / "a.ply", tmp_path / "a.gsb"
    gscodec.write_ply(ply, random_cloud(400, 1, 1))
    assert gsenc.main([str(ply), "-q", "--progressive"]) == 0
    info = run_json(capsys, "gsinfo", packed)
    assert len(info["layer_ends"]) == 4
    assert info["layer_ends"][-1] == info["file_bytes"]
    shown = text_of(capsys, "gsinfo", packed)
    assert f"all tiles, layer 3, refinement 2  {info['layer_ends'][3]:,} bytes" in shown
    out = tmp_path / "b.ply"
    for layers, verified in ((0, 0), (1, 0), (2, 0), (3, 1)):
        data = run_json(capsys, "gsdec", packed, "-o", out, "-f", "--layers", layers)
        assert data["tiles"]["by_layers"] == {str(layers): 1}
        assert data["tiles"]["verified"] == verified
        expected = gscodec.decode(packed, layers=layers)
        assert out.read_bytes() == b"".join(ply_chunks(expected))
    for wrong in (-1, 4):
        error = run_json(capsys, "gsdec", packed, "-o", out, "-f", f"--layers={wrong}", code=3)["error"]
        assert (error["field"], error["allowed"]) == ("layers", "0..3")
    assert (
        run_json(capsys, "gsenc", ply, "-f", "--progressive", "--lossless", code=3)["error"]["field"] == "progressive"
    )


# Tile by tile


@pytest.mark.parametrize("options", [[], ["--threads", "1"], ["--tiles", "2,0"], ["--box=-1,-1,-1,1,2,3"]])
def test_the_file_is_that_of_the_whole_cloud(tiled: Path, tmp_path: Path, options: list[str]) -> None:
    out = tmp_path / "a.ply"
    assert gsdec.main([str(tiled), "-q", "-o", str(out), *options]) == 0
    tiles = [2, 0] if "--tiles" in options else None
    box = ((-1.0, -1.0, -1.0), (1.0, 2.0, 3.0)) if options and "--box" in options[0] else None
    cloud = gscodec.decode(tiled, tiles=tiles, box=box)
    assert out.read_bytes() == b"".join(ply_chunks(cloud))


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("options", [[], ["--box=-9,-9,-9,9,9,9"]])
def test_a_fault_in_the_last_tile_leaves_no_file(
    tiled: Path, tmp_path: Path, old: bytes | None, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out" / "a.ply"
    out.parent.mkdir()
    if old is not None:
        out.write_bytes(old)
    decode_tile = Decoder._decode_tile

    def broken(self: Decoder, number: int, *args: Any) -> gscodec.GaussianCloud:
        if number == 3:
            raise gscodec.CorruptStreamError("broken on purpose")
        return decode_tile(self, number, *args)

    monkeypatch.setattr(Decoder, "_decode_tile", broken)
    assert gsdec.main([str(tiled), "-q", "-f", "-o", str(out), *options]) == 7
    assert {path.name for path in out.parent.iterdir()} == (set() if old is None else {"a.ply"})
    assert old is None or out.read_bytes() == old


_MEASURED = """
import resource, sys
from gscodec.cli import gsdec
from gscodec.decoder import Decoder
from gscodec.bitstream.source import FileSource

first = Decoder(FileSource(sys.argv[1]))
for tile in first.decode_tiles(first.select(tiles=[0]), 2):  # compiles, and holds what one tile takes
    pass
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
code = gsdec.main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no peak of memory on Windows")
def test_memory_is_that_of_a_few_tiles(tmp_path: Path) -> None:
    packed = tmp_path / "a.gsb"
    count = 12 * 65536
    packed.write_bytes(gscodec.encode(random_cloud(count, 3, 1), gscodec.EncodeConfig(preset="fast")))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(packed), "-q", "-o", str(tmp_path / "a.ply"), "--threads", "2"],
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    grown = int(done.stdout) * (1 if sys.platform == "darwin" else 1024)
    assert grown < count * 236  # 184 MB, what the arrays of the scene alone would take
