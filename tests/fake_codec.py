"""A codec for tests of `gsrd run`: copies the file, counts its calls, and misbehaves as its rate point says.

python fake_codec.py LOG enc IN OUT POINT
python fake_codec.py LOG dec IN OUT
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path


def template(log: Path, *points: str, name: str = "fake") -> str:
    """For --external; every encode adds a line with its point to ``log``."""
    start = f"{sys.executable} -S {__file__} {log}"
    return f"{name}={start} enc {{in}} {{out}} {{point}} ;; {start} dec {{in}} {{out}} ;; {' '.join(points)}"


def kill_worker() -> None:
    """The process that started the launcher that started this one (Linux)."""
    launcher = os.getppid()
    worker = int(Path(f"/proc/{launcher}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(worker, signal.SIGKILL)
    time.sleep(60)  # the launcher ends this


def main() -> None:
    log, direction, source, target, *rest = sys.argv[1:]
    point = rest[0] if rest else ""
    if direction == "enc":
        with Path(log).open("a") as file:
            file.write(point + "\n")
    if point == "fail":
        sys.exit("out of ink")
    if point == "slow":
        time.sleep(60)
    if point == "kill" or (point == "kill-once" and Path(log).read_text().count("kill-once") == 1):
        kill_worker()
    if point != "nothing":
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
