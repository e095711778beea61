"""The installed command line tools as child processes: what they print, their time and their peak memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gscodec.errors import BadInputError

RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


# Linux counts the memory of the process that starts another into the other's peak, and ours may hold a large scene:
# a small process starts and measures the command instead. It leads a process group, to end a command with all that it
# started, and ends the group itself when it is orphaned: nobody waits for the result any more.
_LAUNCHER = """
import _thread, json, os, signal, sys, time
report, parent, cores, *command = sys.argv[1:]
if int(cores) and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
def watch():
    while os.getppid() == int(parent):
        time.sleep(0.2)
    os.killpg(0, signal.SIGKILL)
_thread.start_new_thread(watch, ())
begin = time.perf_counter()
child = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - begin
with open(report, "w") as file:
    json.dump([seconds, usage.ru_maxrss, os.waitstatus_to_exitcode(status)], file)
"""


@dataclass(frozen=True)
class Finished:
    """stdout as text, wall seconds from start to end, peak resident bytes of the process, and what was run."""

    output: str
    seconds: float
    peak_bytes: int
    command: tuple[str, ...] = ()

    @property
    def data(self) -> dict[str, Any]:
        """The JSON object of the last line."""
        found: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return found


class CommandFailedError(Exception):
    """A child process ended with an error, which the message quotes; ``code`` is its exit code."""

    def __init__(self, command: Sequence[str], code: int, text: str) -> None:
        super().__init__(f"{' '.join(command)} ended with exit code {code}\n{text.strip()}")
        self.code = code


class CommandTimeoutError(CommandFailedError):
    """A child process was killed because it took longer than it was given."""

    def __init__(self, command: Sequence[str], limit_s: float) -> None:
        super().__init__(command, -signal.SIGKILL, f"killed after {limit_s:g} seconds")


def tool_path(name: str) -> str:
    """Where gsenc, gsdec or gsinfo of the running environment lies. Raises BadInputError if it is not installed."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.is_file():
        raise BadInputError(f"{name} is not installed: pip install .", field="command", found=str(path))
    return str(path)


def run_command(command: Sequence[str], cores: int | None = None, limit_s: float | None = None) -> Finished:
    """Run and wait. ``cores``: at most as many of the processor's. Raises CommandFailedError.

    After ``limit_s`` seconds the command and all that it started is killed: CommandTimeoutError.
    """
    with tempfile.TemporaryDirectory(prefix="command_") as scratch:
        report, out, problems = (Path(scratch) / name for name in ("report", "out", "problems"))
        options = [str(report), str(os.getpid()), str(cores or 0)]
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *options, *command]
        with out.open("wb") as stdout, problems.open("wb") as stderr:
            child = subprocess.Popen(
                launcher, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
            )
            try:
                code = child.wait(limit_s)
            except subprocess.TimeoutExpired as late:
                raise CommandTimeoutError(command, late.timeout) from late
            finally:
                if child.poll() is None:  # late, or interrupted: Ctrl-C does not reach another session
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in (out, problems)]
        if not report.is_file():  # not even started
            raise CommandFailedError(command, code, texts[1])
        seconds, peak, code = json.loads(report.read_text(encoding="utf-8"))
    if code != 0:
        raise CommandFailedError(command, code, texts[1] or texts[0])
    return Finished(texts[0], seconds, peak * RSS_UNIT, tuple(command))
