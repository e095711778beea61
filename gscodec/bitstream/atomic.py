"""Write a file completely or not at all.

The bytes go to a file without a name (Linux O_TMPFILE), which gets its name only when all of them are on
disk: even kill -9 or a power cut leaves nothing behind. Where that does not exist, they go to a named
temporary file beside the target, which is removed on every error that a process can survive.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import signal
import stat
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

from gscodec.errors import BadInputError, OutputError

_STDOUT = ("-", "/dev/stdout")
_O_TMPFILE = getattr(os, "O_TMPFILE", 0)
_O_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends


def atomic_write(path: str | os.PathLike[str], chunks: Iterable[bytes], force: bool = False) -> None:
    """Write ``chunks`` one after the other to ``path``; "-" is standard output.

    An existing regular file is replaced only with ``force``, keeps its permissions, and is whole at every
    moment. A symbolic link is followed. A device or pipe is written to directly. Raises BadInputError if
    the file exists, OutputError with the system's reason if it cannot be written; whatever ``chunks``
    raises passes through. SIGTERM and SIGHUP raise SystemExit while this runs in the main thread.
    """
    name = os.fspath(path)
    if name in _STDOUT:
        _write_stdout(chunks)
        return
    with _reason(name):
        mode = _mode(name)
    if mode is not None and not stat.S_ISREG(mode):
        _write_special(name, chunks)
        return
    if mode is not None and not force:
        raise _exists(name)
    with _reason(name):
        if not os.path.basename(name):  # noqa: PTH119 - Path("out/") would forget the slash
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        target = Path(name).resolve()
    with _termination_raises():
        if not _write_unnamed(name, target, chunks, mode, force):
            _write_named(name, target, chunks, mode, force)
    _sync_directory(target.parent)


def _write_unnamed(name: str, target: Path, chunks: Iterable[bytes], mode: int | None, force: bool) -> bool:
    """False, with no chunk taken, where the system or the file system has no unnamed files."""
    if not _O_TMPFILE or not Path("/proc/self/fd").is_dir():
        return False
    try:
        fd = os.open(target.parent, _O_TMPFILE | os.O_RDWR, 0o666)
    except OSError:
        return False  # if the directory is to blame, the named file meets the same error and reports it
    try:
        _fill(fd, name, chunks, mode)
        with _reason(name):
            source = f"/proc/self/fd/{fd}"
            if not force:
                _link(source, target, fd)
            else:
                # A link cannot replace a file, a rename cannot take an unnamed one: link, then rename.
                temporary = _temporary(target)
                try:
                    _link(source, temporary, fd)
                    temporary.replace(target)
                except BaseException:
                    _remove(temporary)
                    raise
    finally:
        os.close(fd)
    return True


def _write_named(name: str, target: Path, chunks: Iterable[bytes], mode: int | None, force: bool) -> None:
    temporary = _temporary(target)
    try:
        with _reason(name):
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_BINARY, 0o666)
        try:
            _fill(fd, name, chunks, mode)
        finally:
            with _reason(name):
                os.close(fd)
        with _reason(name):
            if force:
                temporary.replace(target)
            else:
                _rename_new(temporary, target)
    except BaseException:
        _remove(temporary)
        raise


def _rename_new(temporary: Path, target: Path) -> None:
    """Rename, but FileExistsError if the target appeared meanwhile."""
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links leaves a moment between the look and the rename
        if os.path.lexists(target):
            raise FileExistsError from None
        temporary.replace(target)
    else:
        _remove(temporary)


def _fill(fd: int, name: str, chunks: Iterable[bytes], mode: int | None) -> None:
    for chunk in chunks:
        with _reason(name):
            _write_all(fd, chunk)
    with _reason(name):
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(fd, stat.S_IMODE(mode))
        os.fsync(fd)


def _write_special(name: str, chunks: Iterable[bytes]) -> None:
    with _reason(name):
        fd = os.open(name, os.O_WRONLY | _O_BINARY)
    try:
        for chunk in chunks:
            with _reason(name):
                _write_all(fd, chunk)
    finally:
        os.close(fd)


def _write_stdout(chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        with _reason("standard output"):
            sys.stdout.buffer.write(chunk)
    with _reason("standard output"):
        sys.stdout.buffer.flush()


def _write_all(fd: int, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[os.write(fd, left) :]


def _link(source: str, target: Path, fd: int) -> None:
    # Any src_dir_fd makes CPython call linkat(AT_SYMLINK_FOLLOW); without one it calls link(), which would
    # link the symbolic link in /proc. An absolute source ignores the descriptor.
    os.link(source, target, src_dir_fd=fd, follow_symlinks=True)


def _mode(name: str) -> int | None:
    try:
        return Path(name).stat().st_mode
    except FileNotFoundError:
        return None


def _temporary(target: Path) -> Path:
    # Not made from the target's name, which may be as long as names can be.
    return target.parent / f".gsb-{secrets.token_hex(8)}.tmp"


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _sync_directory(directory: Path) -> None:
    # The file is complete and in place: a system that cannot sync a directory has nothing to report.
    with contextlib.suppress(OSError):
        fd = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextlib.contextmanager
def _reason(name: str) -> Iterator[None]:
    """Turn the system's errors into ours."""
    try:
        yield
    except FileExistsError as error:
        raise _exists(name) from error
    except OSError as error:
        raise OutputError(f"cannot write {name}: {error.strerror or error}") from error


def _exists(name: str) -> BadInputError:
    return BadInputError(f"{name} exists already: use --force to replace it")


@contextlib.contextmanager
def _termination_raises() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, as SIGINT does, so that a named temporary file is removed."""
    installed = []
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # Only the default is replaced: nohup's choice to ignore, or a program's own handler, stands.
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _terminate)
                installed.append(number)
    try:
        yield
    finally:
        for number in installed:
            signal.signal(number, signal.SIG_DFL)


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
