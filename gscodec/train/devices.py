"""Where training runs: the renderer of a device, and how many threads the CPU part may take."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import numba
import torch

from gscodec.errors import BadInputError
from gscodec.render.cuda.requirements import kernels

RENDERERS = {"cpu": "gscodec.render.cpu.autograd", "cuda": "gscodec.render.cuda.autograd"}


def renderer_for(device: str) -> Callable[..., Any]:
    """The differentiable ``render`` of a device, as gscodec.render.cpu.autograd has it, for tensors that lie there.

    For "cuda" the kernels are loaded first, which takes minutes where they have to be compiled.
    Raises BadInputError for a device that is not there, or whose renderer is not installed.
    """
    if device not in RENDERERS:
        raise BadInputError("unknown device", field="device", found=device, allowed=", ".join(RENDERERS))
    if device == "cuda":
        kernels(device)
    render: Callable[..., Any] = importlib.import_module(RENDERERS[device]).render
    return render


@contextlib.contextmanager
def limit_threads(threads: int | None) -> Iterator[None]:
    """Let numba use at most ``threads`` threads inside, None means all cores; and torch one.

    What torch does on the CPU here is short and bound by memory: measured on shared cores, its threads waited for each
    other a hundred times longer than they worked. With one, its results cannot depend on their number either.
    """
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # set when numba is imported
    before = torch.get_num_threads(), numba.get_num_threads()
    wanted = threads or os.cpu_count() or 1
    torch.set_num_threads(1)
    numba.set_num_threads(min(wanted, most))
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])
