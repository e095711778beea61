"""Spreading rows over threads: compiled kernels release the lock, so plain threads do."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

BAND = 8  # rows a thread takes at a time


def in_bands(count: int, kernel: Callable[[int, int], None], threads: int | None = None) -> None:
    """Call ``kernel(start, end)`` for bands that cover 0..count, in any order; by default on all cores there are."""
    bands = [(start, min(start + BAND, count)) for start in range(0, count, BAND)]
    if threads is None:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for done in [pool.submit(kernel, *band) for band in bands]:
            done.result()
