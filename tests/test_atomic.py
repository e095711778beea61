"""atomic_write: whole, or not there."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gscodec.bitstream import atomic
from gscodec.bitstream.atomic import atomic_write
from gscodec.errors import BadInputError, OutputError

CHILD = """
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup, and a shell's background, leave them ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
from gscodec.bitstream import atomic
if sys.argv[2] == "named":
    atomic._O_TMPFILE = 0
def chunks():
    yield b"x" * 100_000
    print("writing", flush=True)
    time.sleep(60)
atomic.atomic_write(sys.argv[1], chunks(), force=True)
"""


@pytest.fixture(params=["unnamed", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to write, whatever the system would choose."""
    if request.param == "named":
        monkeypatch.setattr(atomic, "_O_TMPFILE", 0)
    return str(request.param)


def failing(error: BaseException) -> Iterator[bytes]:
    yield b"some bytes"
    raise error


@pytest.mark.usefixtures("way")
def test_writes_all_chunks_and_nothing_else(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", [b"one", b"", b"two"])
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.usefixtures("way")
def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", [b"one"])
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.usefixtures("way")
def test_existing_file_needs_force(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with pytest.raises(BadInputError, match=r"a exists already: use --force"):
        atomic_write(path, [b"new"])
    assert path.read_bytes() == b"old"
    atomic_write(path, [b"new"], force=True)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.usefixtures("way")
def test_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"ours"
        (tmp_path / "a").write_bytes(b"theirs")

    with pytest.raises(BadInputError, match="--force"):
        atomic_write(tmp_path / "a", chunks())
    assert (tmp_path / "a").read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.usefixtures("way")
def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    atomic_write(tmp_path / "link", [b"new"], force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3), OSError("input failed")])
@pytest.mark.parametrize("old", [None, b"old"])
def test_error_of_the_producer_passes_and_leaves_nothing(
    tmp_path: Path, error: BaseException, old: bytes | None
) -> None:
    path = tmp_path / "a"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(type(error)) as caught:
        atomic_write(path, failing(error), force=True)
    assert caught.value is error
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([] if old is None else [old])


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_full_disk_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OutputError, match="No space left on device"):
        atomic_write(tmp_path / "a", [b"one"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("way")
def test_interrupt_between_link_and_rename_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "a", [b"one"], force=True)
    assert list(tmp_path.iterdir()) == []


def test_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(atomic, "_O_TMPFILE", 0)
    monkeypatch.setattr(Path, "hardlink_to", refused)
    atomic_write(tmp_path / "a", [b"one"])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"one"]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent/a", "No such file or directory"),
        ("b" * 300, "File name too long"),
        ("", "Is a directory"),
        ("a/", "Is a directory"),
    ],
)
def test_bad_place(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(OutputError, match=reason):
        atomic_write(f"{tmp_path}/{name}", [b"one"])
    assert list(tmp_path.iterdir()) == []


def test_longest_name_that_the_system_takes(tmp_path: Path) -> None:
    atomic_write(tmp_path / ("b" * 255), [b"one"])
    atomic_write(tmp_path / ("b" * 255), [b"two"], force=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"two"]


def test_file_as_directory(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OutputError, match="Not a directory"):
        atomic_write(tmp_path / "a" / "b", [b"one"])
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_dev_full() -> None:
    with pytest.raises(OutputError, match="No space left on device"):
        atomic_write("/dev/full", [b"one"])
    assert Path("/dev/full").is_char_device()


def test_named_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        atomic_write(tmp_path / "pipe", [b"one", b"two"])
        assert os.read(reader, 100) == b"onetwo"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output(name: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    atomic_write(name, [b"one\n", b"two"])
    assert capsysbinary.readouterr().out == b"one\ntwo"


def test_standard_output_that_is_full() -> None:
    code = "import sys; from gscodec.bitstream.atomic import atomic_write\ntry: atomic_write('-', [b'one'])\n"
    code += "except Exception as error: print(type(error).__name__, error, file=sys.stderr)"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False)
    assert b"OutputError cannot write standard output: No space left on device" in done.stderr


def _stop_child(tmp_path: Path, way: str, number: int) -> int:
    """Exit status of a child that gets the signal when it has written some but not all."""
    command = [sys.executable, "-c", CHILD, str(tmp_path / "a"), way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"writing\n"
        child.send_signal(number)
        return child.wait(30)


@pytest.mark.parametrize("old", [None, b"old"])
def test_kill_9_leaves_no_partial_file(tmp_path: Path, old: bytes | None) -> None:
    if old is not None:
        (tmp_path / "a").write_bytes(old)
    assert _stop_child(tmp_path, "unnamed", signal.SIGKILL) == -signal.SIGKILL
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([] if old is None else [old])


def test_kill_9_of_the_named_way_leaves_the_target_alone(tmp_path: Path) -> None:
    _stop_child(tmp_path, "named", signal.SIGKILL)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("way", ["unnamed", "named"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_leave_nothing(tmp_path: Path, way: str, number: signal.Signals) -> None:
    status = _stop_child(tmp_path, way, number)
    assert status == (-signal.SIGINT if number == signal.SIGINT else 128 + number)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_handlers_are_restored_and_ignored_signals_stay_ignored(tmp_path: Path, handler: signal.Handlers) -> None:
    seen = []

    def chunks() -> Iterator[bytes]:
        seen.append(signal.getsignal(signal.SIGHUP))
        yield b"one"

    before = signal.signal(signal.SIGHUP, handler)
    try:
        atomic_write(tmp_path / "a", chunks())
        after = signal.getsignal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert after == handler
    assert (seen[0] == signal.SIG_IGN) == (handler == signal.SIG_IGN)
