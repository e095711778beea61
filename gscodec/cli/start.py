"""What makes a command sooner begin with its work."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys

_BLAS, _ASKS_FOR_IT = "scipy.linalg", "numba.np.arraymath"


def prepare_kernels() -> None:
    """Before the first kernel of a process runs; any call after that does nothing.

    numba imports scipy's BLAS when it loads its first kernel, which takes longer than all of ours together, and none of
    them multiplies matrices. One that did would have it loaded then: this only keeps numba from asking too early.
    """
    if _ASKS_FOR_IT in sys.modules:
        return
    if _BLAS not in sys.modules:
        sys.modules[_BLAS] = None  # type: ignore[assignment] # an import of it fails
        with contextlib.suppress(ImportError):
            importlib.import_module(_ASKS_FOR_IT)
        del sys.modules[_BLAS]
    gc.freeze()  # modules stay: no collection need look at what they hold
