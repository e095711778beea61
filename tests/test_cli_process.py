"""The tools as processes: streams, pipes, signals; and the progress line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from clouds import random_cloud

import gscodec
from gscodec.cli import gsenc
from gscodec.cli.progress import Progress


@pytest.fixture
def ply(tmp_path: Path) -> Path:
    path = tmp_path / "scene.ply"
    gscodec.write_ply(path, random_cloud(500, 2, 1))
    return path


@pytest.fixture
def gsb(ply: Path) -> Path:
    assert gsenc.main([str(ply), "-q"]) == 0
    return ply.with_suffix(".gsb")


def run_process(
    tool: str, *args: object, code: str | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(tool, *args, code=code), timeout=120, check=False, **options)


def command(tool: str, *args: object, code: str | None = None) -> list[str]:
    start = ["-m", f"gscodec.cli.{tool}"] if code is None else ["-c", code]
    return [sys.executable, *start, *map(str, args)]


def test_process_output_is_clean(ply: Path) -> None:
    quiet = run_process("gsenc", ply, "-q", capture_output=True)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, b"", b"")
    loud = run_process("gsdec", ply.with_suffix(".gsb"), "-f", "--json", capture_output=True)
    assert (loud.returncode, loud.stderr) == (0, b"")
    assert json.loads(loud.stdout)["digests"] == "verified"
    refused = run_process("gsenc", ply, capture_output=True)
    assert (refused.returncode, refused.stdout) == (3, b"")


def test_version_and_help() -> None:
    version = run_process("gsinfo", "--version", capture_output=True)
    assert version.stdout.decode() == f"gsinfo {gscodec.__version__}\n"
    help_text = run_process("gsdec", "--help", capture_output=True)
    assert help_text.returncode == 0
    assert b"examples:" in help_text.stdout
    assert b"ignore-checksums" not in help_text.stdout


def test_output_to_a_pipe(ply: Path, gsb: Path) -> None:
    found = run_process("gsenc", ply, "-o", "-", capture_output=True)
    assert found.returncode == 0
    assert found.stdout == gsb.read_bytes()
    assert b"500 splats" in found.stderr
    refused = run_process("gsenc", ply, "-o", "-", "--json", capture_output=True)
    assert refused.returncode == 3
    assert json.loads(refused.stdout)["error"]["field"] == "output"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk(ply: Path, gsb: Path) -> None:
    found = run_process("gsenc", ply, "-o", "/dev/full", capture_output=True)
    assert (found.returncode, found.stdout) == (9, b"")
    assert found.stderr == b"gsenc: error: cannot write /dev/full: No space left on device\n"
    with Path("/dev/full").open("wb") as full:
        for args in ([gsb], [gsb, "--json"], ["--help"]):
            found = run_process("gsinfo", *args, stdout=full, stderr=subprocess.PIPE)
            assert found.returncode == 9
            assert found.stderr == b"gsinfo: error: cannot write standard output: No space left on device\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes differ on Windows")
def test_closed_pipe_is_quiet(gsb: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        found = run_process("gsinfo", gsb, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (found.returncode, found.stderr) == (0, b"")


_STALLED = """
import signal, sys, time
from gscodec.cli import gsenc
from gscodec.rate import fixed_quality
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background leaves it ignored

def stalled(*args):
    chunks, report = encode(*args)
    def parts():
        yield chunks[0]
        print("READY", flush=True)
        time.sleep(60)
    return parts(), report

encode, fixed_quality.encode_chunks = fixed_quality.encode_chunks, stalled
sys.exit(gsenc.main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
@pytest.mark.parametrize(("number", "codes"), [
    ("SIGINT", {130}), ("SIGTERM", {143, -15}), ("SIGKILL", {-9}),
])  # fmt: skip
@pytest.mark.parametrize("old", [None, b"old"])
def test_killed_while_writing(ply: Path, number: str, codes: set[int], old: bytes | None) -> None:
    out = ply.parent / "out" / "x.gsb"
    out.parent.mkdir()
    if old is not None:
        out.write_bytes(old)
    with subprocess.Popen(
        command("gsenc", ply, "-f", "-o", out, code=_STALLED), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"READY\n"
        process.send_signal(getattr(signal, number))
        _, errors = process.communicate(timeout=60)
    assert process.returncode in codes
    assert b"Traceback" not in errors
    assert {path.name for path in out.parent.iterdir()} == (set() if old is None else {"x.gsb"})
    assert old is None or out.read_bytes() == old


# Progress


class Terminal:
    """Stands for stderr as a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_progress_draws_and_wipes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("gscodec.cli.progress.QUIET_SECONDS", 0.0)
    with Progress("gsenc", enabled=True) as progress:
        progress("encoding", 0.42)
        deadline = time.monotonic() + 30
        while " 42 %" not in terminal.text and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "gsenc: encoding" in terminal.text
    assert " 42 %" in terminal.text
    assert terminal.text.endswith("\r\x1b[K")


def test_progress_is_silent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        with Progress("gsenc", enabled=True) as progress:  # done before it would show
            progress("encoding", 0.5)
        patch.setattr("gscodec.cli.progress.QUIET_SECONDS", 0.0)
        with Progress("gsenc", enabled=False) as progress:
            progress("encoding", 0.5)
    assert terminal.text == ""
    with Progress("gsenc", enabled=True) as progress:  # stderr is no terminal
        progress("encoding", 0.5)
    assert capsys.readouterr().err == ""
