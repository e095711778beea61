"""What rendering on a GPU needs, and what to say when it is not there: PyTorch, a CUDA device, gsplat, nvcc."""

from __future__ import annotations

import importlib
from typing import Any

from gscodec.errors import BadInputError

HINT = "pip install 'gscodec[cuda]'"


def torch_device(device: Any) -> Any:
    """The torch.device of a name such as "cuda:0", or of a torch.device.

    Raises BadInputError without PyTorch, for no name of a device, and for a CUDA device that is not there.
    """
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise BadInputError(f"needs PyTorch built for CUDA: {HINT}", field="torch", found=str(error)) from error
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise BadInputError("no such device", field="device", found=device, allowed="cuda, cuda:N or cpu") from error
    if found.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            message = f"PyTorch sees no CUDA device: it needs an NVIDIA GPU with its driver, and {HINT}"
            raise BadInputError(message, field="device", found=f"torch {torch.__version__}")
        if (found.index or 0) >= count:
            raise BadInputError("no such device", field="device", found=str(found), allowed=f"cuda:0..{count - 1}")
    return found


def kernels(device: Any) -> Any:
    """gsplat, its kernels loaded; the first call on a machine compiles them with nvcc, which takes minutes.

    Raises BadInputError as ``torch_device``, for a device without CUDA, and where gsplat or nvcc is missing or fails.
    """
    found = torch_device(device)
    if found.type != "cuda":
        raise BadInputError("gsplat renders on CUDA devices only", field="device", found=str(found), allowed="cuda")
    try:
        gsplat = importlib.import_module("gsplat")
        backend = importlib.import_module("gsplat.cuda._backend")
    except ImportError as error:
        raise BadInputError(f"gsplat cannot be imported: {HINT}", field="gsplat", found=str(error)) from error
    except (OSError, RuntimeError) as error:
        # What nvcc or ninja said; gsplat names no error of its own.
        raise BadInputError("gsplat cannot compile its kernels", field="gsplat", found=str(error)) from error
    if backend._C is None:
        message = "gsplat compiles its kernels on first use and found no CUDA toolkit: install nvcc, set CUDA_HOME"
        raise BadInputError(message, field="gsplat", found=getattr(gsplat, "__version__", None))
    return gsplat
