"""A line on a terminal that says what is being done, how much of it, and since when."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from types import TracebackType
from typing import Self

QUIET_SECONDS = 2.0  # work that is done sooner shows nothing
_REDRAW_SECONDS = 0.2


class Progress:
    """Call it with (stage, share 0..1); inside ``with`` a thread draws to stderr, if ``enabled`` and a terminal.

    The line is wiped at the end, so that whatever is printed next starts on a clean one.
    """

    def __init__(self, name: str, enabled: bool) -> None:
        self._name = name
        self._state = ("starting", 0.0)
        self._start = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)
        self._enabled = enabled and sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, stage: str, share: float) -> None:
        self._state = (stage, share)

    def __enter__(self) -> Self:
        if self._enabled:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._enabled:
            self._thread.join()

    def _draw(self) -> None:
        if self._stop.wait(QUIET_SECONDS):
            return
        with contextlib.suppress(OSError, ValueError):  # a terminal that is gone ends the drawing, not the work
            while True:
                stage, share = self._state
                minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
                percentage = f"{100 * share:4.0f} %" if share else " " * 6  # a stage that cannot tell stays at 0
                sys.stderr.write(f"\r{self._name}: {stage:<9}{percentage}  {minutes}:{seconds:02}\x1b[K")
                sys.stderr.flush()
                if self._stop.wait(_REDRAW_SECONDS):
                    break
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
