"""`gsrd run --scheduler`: the rows of a Dask cluster of two worker processes, one of which is killed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import fake_codec
import pytest
from clouds import random_cloud
from gscodec_tools.rd import main as gsrd

from gscodec.formats.ply import write_ply

distributed = pytest.importorskip("distributed", reason="needs the extra cluster")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address


def test_a_cluster_gives_the_rows_although_a_worker_is_killed(scheduler: str, tmp_path: Path) -> None:
    ply, out, log = tmp_path / "yard.ply", tmp_path / "out", tmp_path / "log"
    write_ply(ply, random_cloud(100, 0, seed=5))
    words = ["run", str(ply), "-o", str(out), "--codecs", "naive", "--labels", "8bit,a,kill-once,b,c,fail"]
    words += ["--views", "1", "--scheduler", scheduler, "--no-match"]
    words += ["--external", fake_codec.template(log, "a", "kill-once", "b", "c", "fail")]
    assert gsrd.main(words) == 0
    rows = json.loads((out / "rd" / "yard.json").read_text())["rows"]
    assert {row["label"]: row["status"] for row in rows} == {
        "a": "ok",
        "b": "ok",
        "c": "ok",
        "kill-once": "ok",
        "fail": "failed",
        "8bit": "ok",
    }
    assert log.read_text().split().count("kill-once") == 2
    before = (out / "rd" / "yard.json").read_bytes()
    assert gsrd.main([*words, "--labels", "8bit,a,kill-once,b,c"]) == 0
    assert (out / "rd" / "yard.json").read_bytes() == before
    assert (out / "rd" / "pictures" / "yard" / "naive-8bit.png").is_file()


def test_a_missing_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ply(tmp_path / "yard.ply", random_cloud(50, 0, seed=5))
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ["run", str(tmp_path / "yard.ply"), "-o", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:1"]
    assert gsrd.main([*words, "--views", "1"]) == 3
    assert "gscodec[cluster]" in capsys.readouterr().err


def test_a_scheduler_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ply(tmp_path / "yard.ply", random_cloud(50, 0, seed=5))
    words = ["run", str(tmp_path / "yard.ply"), "-o", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:1"]
    assert gsrd.main([*words, "--views", "1"]) == 3
    assert "no scheduler" in capsys.readouterr().err
