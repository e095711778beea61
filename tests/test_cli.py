from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud

import gscodec
from gscodec.bitstream.tiles import tiles_in_box
from gscodec.cli import common, gsdec, gsenc, gsinfo
from gscodec.cloud import CloudMeta, GaussianCloud
from gscodec.errors import GsbError
from gscodec.importance import METHODS
from gscodec.importance.prune import PruneSpec, prune
from gscodec.inspect import contents

TOOLS = {"gsenc": gsenc.main, "gsdec": gsdec.main, "gsinfo": gsinfo.main}


@pytest.fixture
def ply(tmp_path: Path) -> Path:
    path = tmp_path / "scene.ply"
    gscodec.write_ply(path, random_cloud(500, 2, 1))
    return path


@pytest.fixture
def gsb(ply: Path) -> Path:
    assert gsenc.main([str(ply), "-q"]) == 0
    return ply.with_suffix(".gsb")


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of four tiles."""
    path = tmp_path_factory.mktemp("tiled") / "large.gsb"
    path.write_bytes(gscodec.encode(random_cloud(140_000, 0, 4)))
    return path


def run_json(capsys: pytest.CaptureFixture[str], tool: str, *args: object, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert TOOLS[tool]([*map(str, args), "--json"]) == code
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def run_error(capsys: pytest.CaptureFixture[str], tool: str, *args: object, code: int) -> str:
    """The error line; checks that there is nothing else."""
    capsys.readouterr()
    assert TOOLS[tool]([*map(str, args)]) == code
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith(f"{tool}: error: ")
    assert found.err.count("\n") == 1
    return found.err


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# What the tools do


def test_round_trip_with_default_names(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = hashlib.sha256(ply.read_bytes()).hexdigest()
    assert gsenc.main([str(ply)]) == 0
    found = capsys.readouterr()
    assert "500 splats" in found.out
    assert found.err == ""
    assert hashlib.sha256(ply.read_bytes()).hexdigest() == before
    packed = ply.with_suffix(".gsb")
    expected = gscodec.decode(packed.read_bytes())
    ply.unlink()
    assert gsdec.main([str(packed)]) == 0
    assert "digest" in capsys.readouterr().out
    assert_same_arrays(gscodec.read_ply(ply), expected)


def test_read_only_input(ply: Path) -> None:
    ply.chmod(0o444)
    assert gsenc.main([str(ply), "-q"]) == 0
    assert names(ply.parent) == {"scene.ply", "scene.gsb"}


def test_quality_changes_the_size(ply: Path, tmp_path: Path) -> None:
    sizes = []
    for quality in ("20", "75", "95"):
        out = tmp_path / f"{quality}.gsb"
        assert gsenc.main([str(ply), "-q", "-o", str(out), "--quality", quality]) == 0
        sizes.append(out.stat().st_size)
    assert sizes == sorted(set(sizes))


def test_lossless_gives_the_file_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = random_cloud(300, 1, 2)
    rng = np.random.default_rng(0)
    extras = {"nx": rng.standard_normal(300).astype(np.float32), "label": rng.integers(0, 9, 300).astype(np.uint8)}
    source = tmp_path / "a.ply"
    gscodec.write_ply(source, replace(cloud, extras=extras, meta=CloudMeta(comments=("made by hand",))))
    packed = tmp_path / "a.gsb"
    data = run_json(capsys, "gsenc", source, "--lossless")
    assert (data["branch"], data["quality"], data["not_kept"]) == ("lossless", None, [])
    assert gsdec.main([str(packed), "-q", "-o", str(tmp_path / "b.ply")]) == 0
    assert (tmp_path / "b.ply").read_bytes() == source.read_bytes()
    info = run_json(capsys, "gsinfo", packed)
    assert info["comments"] == ["made by hand"]
    assert info["extras"] == [{"name": "nx", "type": "float32"}, {"name": "label", "type": "uint8"}]
    assert sum(stream["bytes"] for stream in info["streams"]) == packed.stat().st_size


def test_lossless_excludes_quality(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gsenc.main([str(ply), "--lossless", "--quality", "75"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_prune_then_encode(ply: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = run_json(capsys, "gsenc", ply, "--prune", "opacity:0.2", "--lossless")
    assert data["pruned"]["removed"] == 100
    assert data["output"]["splats"] == 400
    expected = prune(gscodec.read_ply(ply), PruneSpec("opacity", 0.2))[0]
    assert_same_arrays(gscodec.decode((tmp_path / "scene.gsb").read_bytes()), expected)


def test_dropped_splats_are_told_even_when_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = random_cloud(50, 0, 1)
    cloud.positions[3] = np.nan
    cloud.quats_wxyz[5] = 0
    path = tmp_path / "broken.ply"
    gscodec.write_ply(path, cloud)
    assert gsenc.main([str(path), "-q"]) == 0
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("gsenc: warning: 2 splats left out")
    data = run_json(capsys, "gsenc", path, "-f")
    assert data["dropped"] == {"non-finite": 1, "rotation-norm": 1}
    assert data["output"]["splats"] == 48
    assert "index 3" in run_error(capsys, "gsenc", path, "-f", "--strict", code=3)


def test_nothing_left_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = random_cloud(5, 0, 1)
    cloud.positions[:] = np.inf
    gscodec.write_ply(tmp_path / "broken.ply", cloud)
    assert "no splat" in run_error(capsys, "gsenc", tmp_path / "broken.ply", code=3)
    assert names(tmp_path) == {"broken.ply"}


def test_properties_that_are_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extras = {"nx": np.zeros(9, np.float32), "label": np.arange(9, dtype=np.int32)}
    path = tmp_path / "a.ply"
    gscodec.write_ply(path, replace(random_cloud(9, 0, 1), extras=extras))
    assert gsenc.main([str(path)]) == 0
    found = capsys.readouterr()
    assert "nx (all zero)" in found.out
    assert "label (not all zero)" in found.out
    assert "not kept without --lossless: label\n" in found.err


def test_partial_decode_reads_little(tiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = run_json(capsys, "gsinfo", tiled)
    assert len(info["tiles"]) == 4
    out = tmp_path / "part.ply"
    data = run_json(capsys, "gsdec", tiled, "-o", out, "--tiles", "2")
    assert data["tiles"] == {"decoded": 1, "asked": 1, "total": 4, "by_layers": {"0": 1}, "verified": 1}
    assert data["file_bytes"] == tiled.stat().st_size
    assert data["bytes_read"] < 0.4 * data["file_bytes"]
    assert data["output"]["splats"] == info["tiles"][2]["splats"] == len(gscodec.read_ply(out))
    both = run_json(capsys, "gsdec", tiled, "-o", out, "-f", "--tiles", "0-1,3")
    assert both["output"]["splats"] == sum(info["tiles"][number]["splats"] for number in (0, 1, 3))
    whole = run_json(capsys, "gsdec", tiled, "-o", out, "-f")
    assert whole["bytes_read"] == whole["file_bytes"]


@pytest.mark.parametrize("form", [["--box", "-9,-9,-9,-2,0,9"], ["--box=-9,-9,-9,-2,0,9"]])
def test_box_with_negative_corners(
    tiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    box = ((-9.0, -9.0, -9.0), (-2.0, 0.0, 9.0))
    out = tmp_path / "part.ply"
    data = run_json(capsys, "gsdec", tiled, "-o", out, *form)
    found = gscodec.read_ply(out).positions
    assert len(found) == data["output"]["splats"] > 0
    assert np.all((found >= np.float32(box[0])) & (found <= np.float32(box[1])))
    whole = gscodec.decode(tiled.read_bytes()).positions
    assert np.count_nonzero(np.all((whole >= box[0]) & (whole <= box[1]), axis=1)) == len(found)
    records = run_json(capsys, "gsinfo", tiled)["tiles"]
    tiles = [gscodec.bitstream.tiles.TileRecord(item["splats"], item["min"], item["max"]) for item in records]
    assert data["tiles"]["decoded"] == len(tiles_in_box(tiles, box)) < 4
    again = run_json(capsys, "gsdec", tiled, "-o", out, "-f", "--tiles", "0-3", *form)
    assert again["tiles"] == data["tiles"]


def test_bad_regions(tiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["-o", str(tmp_path / "x.ply")]
    assert "no such tile" in run_error(capsys, "gsdec", tiled, *out, "--tiles", "0-999999999", code=3)
    assert "twice" in run_error(capsys, "gsdec", tiled, *out, "--tiles", "1,0-2", code=3)
    assert "no splat lies" in run_error(capsys, "gsdec", tiled, *out, "--box", "90,90,90,91,91,91", code=3)
    assert "min <= max" in run_error(capsys, "gsdec", tiled, *out, "--box", "1,0,0,0,1,1", code=3)
    for bad in ("--tiles=3-1", "--tiles=", "--tiles=a", "--tiles=-1", "--box=1,2,3", "--box=a,b,c,d,e,f"):
        assert gsdec.main([str(tiled), *out, bad]) == 2
    assert names(tmp_path) == set()


def test_decode_limits(gsb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["-o", str(tmp_path / "x.ply")]
    assert "max_splats" in run_error(capsys, "gsdec", gsb, *out, "--max-splats", "499", code=8)
    assert "max_memory" in run_error(capsys, "gsdec", gsb, *out, "--max-memory", "1K", code=8)
    assert gsdec.main([str(gsb), *out, "-q", "--max-splats", "500", "--max-memory", "1M", "--threads", "1"]) == 0


@pytest.mark.parametrize(("text", "size"), [
    ("0", 0), ("1000", 1000), ("2k", 2048), ("4G", 4 << 30), ("1.5MiB", 3 << 19), ("1TB", 10**12), ("7B", 7),
    ("964kB", 964_000), ("2KiB", 2048),
])  # fmt: skip
def test_byte_sizes(text: str, size: int) -> None:
    assert common.byte_size(text) == size


@pytest.mark.parametrize("option", ["--max-memory=4X", "--max-memory=-1", "--threads=0", "--max-splats=1.5", "--what"])
def test_usage_errors(gsb: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert gsdec.main([str(gsb), "-f", option]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("usage: gsdec")


def test_info_adds_up(gsb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = run_json(capsys, "gsinfo", gsb)
    assert sum(stream["bytes"] for stream in info["streams"]) == info["file_bytes"] == gsb.stat().st_size
    assert sum(stream["share"] for stream in info["streams"]) == pytest.approx(1)
    assert sum(tile["splats"] for tile in info["tiles"]) == info["splats"] == 500
    assert info["bits_per_splat"] == 8 * gsb.stat().st_size / 500
    assert info["params"]["dc_step"] >= 1
    assert (info["branch"], info["sh_degree"], info["format_version"]) == ("native", 2, "0.6")
    assert all(stream["contents"] != stream["kind"] for stream in info["streams"])


def test_info_and_encoder_agree(ply: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = run_json(capsys, "gsenc", ply)["output"]["stream_bytes"]
    info = run_json(capsys, "gsinfo", ply.with_suffix(".gsb"))
    assert sizes == {stream["kind"]: stream["bytes"] for stream in info["streams"]}


def test_info_lists_few_tiles(tiled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsinfo, "TILES_SHOWN", 3)
    assert gsinfo.main([str(tiled)]) == 0
    assert "and 1 more tiles" in capsys.readouterr().out
    assert gsinfo.main([str(tiled), "--all-tiles"]) == 0
    assert "more tiles" not in capsys.readouterr().out


def test_info_reads_no_splats(tiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An altered byte in a stream of splats: gsinfo does not see it, gsdec does."""
    data = bytearray(tiled.read_bytes())
    data[-1] ^= 1
    altered = tmp_path / "altered.gsb"
    altered.write_bytes(data)
    assert run_json(capsys, "gsinfo", altered)["splats"] == 140_000
    assert "checksum" in run_error(capsys, "gsdec", altered, "-o", tmp_path / "x.ply", code=7)
    assert names(tmp_path) == {"altered.gsb"}
    data[30] ^= 1
    altered.write_bytes(data)
    assert "checksum of the header" in run_error(capsys, "gsinfo", altered, code=7)


def test_empty_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.ply"
    gscodec.write_ply(path, random_cloud(0, 1, 0))
    assert gsenc.main([str(path)]) == 0
    packed = tmp_path / "none.gsb"
    assert gsinfo.main([str(packed)]) == 0
    assert "0 splats" in capsys.readouterr().out
    info = run_json(capsys, "gsinfo", packed)
    assert info["bits_per_splat"] is None
    assert info["box"] is None
    assert gsdec.main([str(packed), "-f"]) == 0
    assert len(gscodec.read_ply(path)) == 0


def test_comments_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = replace(random_cloud(3, 0, 1), meta=CloudMeta(comments=("red \x1b[31m text",) * 20))
    path = tmp_path / "a.gsb"
    path.write_bytes(gscodec.encode(cloud))
    assert gsinfo.main([str(path)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("red \\x1b[31m text") == gsinfo.COMMENTS_SHOWN
    assert "and 12 more comments" in out


# Refusals


def test_existing_output_is_kept(ply: Path, gsb: Path, capsys: pytest.CaptureFixture[str],
                                 monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    before = ply.read_bytes(), gsb.read_bytes()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("work was done")

    with monkeypatch.context() as patch:
        patch.setattr(gsenc, "read_ply", never)
        patch.setattr(gsdec, "ply_chunks_of", never)
        assert "--force" in run_error(capsys, "gsenc", ply, code=3)
        assert "--force" in run_error(capsys, "gsdec", gsb, code=3)
        missing = ply.parent / "no" / "x"
        assert "no directory" in run_error(capsys, "gsenc", ply, "-o", missing, code=9)
        assert "no directory" in run_error(capsys, "gsdec", gsb, "-o", missing, code=9)
        assert "directory" in run_error(capsys, "gsenc", ply, "-f", "-o", ply.parent, code=9)
        patch.setattr(os, "access", lambda *_: False)
        assert "no permission" in run_error(capsys, "gsenc", ply, "-o", ply.parent / "new.gsb", code=9)
    assert (ply.read_bytes(), gsb.read_bytes()) == before
    assert gsenc.main([str(ply), "-q", "-f"]) == 0
    assert gsb.read_bytes() == before[1]  # encoding is deterministic


@pytest.mark.parametrize("link", ["none", "symbolic", "hard"])
def test_output_onto_input(ply: Path, capsys: pytest.CaptureFixture[str], link: str) -> None:
    before = ply.read_bytes()
    output = ply if link == "none" else ply.parent / "other.gsb"
    if link == "symbolic":
        output.symlink_to(ply)
    elif link == "hard":
        output.hardlink_to(ply)
    assert "is the input file" in run_error(capsys, "gsenc", ply, "-f", "-o", output, code=3)
    assert ply.read_bytes() == before


def test_wrong_inputs(ply: Path, gsb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "encoded already" in run_error(capsys, "gsenc", gsb, code=3)
    assert "convert it" in run_error(capsys, "gsenc", tmp_path / "a.SPZ", code=3)
    assert "No such file" in run_error(capsys, "gsenc", tmp_path / "no.ply", code=3)
    assert "No such file" in run_error(capsys, "gsdec", tmp_path / "no.gsb", code=3)
    assert "not a .gsb file" in run_error(capsys, "gsdec", ply, code=4)
    assert "not a .gsb file" in run_error(capsys, "gsinfo", ply, code=4)
    assert "quality" in run_error(capsys, "gsenc", ply, "-f", "--quality", "101", code=3)
    assert "opacity" in run_error(capsys, "gsenc", ply, "-f", "--prune", "beauty:0.1", code=3)


def test_errors_as_json(ply: Path, gsb: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del gsb
    error = run_json(capsys, "gsenc", ply, "-f", "--prune", "beauty:0.1", code=3)["error"]
    assert set(error) == {"code", "message", "field", "found", "allowed", "offset"}
    assert (error["code"], error["field"], error["found"], error["allowed"]) == (
        "bad-input", "prune", "beauty", ", ".join(sorted(METHODS)),
    )  # fmt: skip
    assert run_json(capsys, "gsdec", ply, code=4)["error"]["code"] == "bad-magic"


def test_memory_and_bugs(ply: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: BaseException) -> Any:
        def read(_: object) -> GaussianCloud:
            raise error

        monkeypatch.setattr(gsenc, "read_ply", read)

    fail(MemoryError("Unable to allocate 9 TiB"))
    assert "not enough memory: Unable to allocate 9 TiB" in run_error(capsys, "gsenc", ply, code=8)
    fail(KeyboardInterrupt())
    assert gsenc.main([str(ply)]) == 130
    assert capsys.readouterr().err == "gsenc: interrupted\n"
    fail(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        gsenc.main([str(ply)])


def test_exit_codes_are_documented() -> None:
    text = (Path(__file__).parents[1] / "docs" / "exit-codes.md").read_text()
    for error in GsbError.__subclasses__():
        assert f"| {error.exit_code} | `{error.code}` |" in text


def test_every_stream_has_words() -> None:
    from bitstream_spec.layout import StreamKind

    assert all(contents(kind.name) != kind.name for kind in StreamKind)
    assert contents("kind 99") == "kind 99"
