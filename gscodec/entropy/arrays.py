"""Array types of the entropy coders, and the one check at their doors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A contiguous read-only view (or copy) of the array: numba compiles a kernel anew for each kind of array."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def vector(array: npt.NDArray[Any], field: str, dtype: Any) -> npt.NDArray[Any]:
    """``frozen``, for an array that must be of this type and have one dimension. Raises BadInputError."""
    if array.dtype != dtype or array.ndim != 1:
        raise BadInputError(
            "wrong array", field=field, found=f"{array.dtype}{array.shape}", allowed=f"{np.dtype(dtype)}[n]"
        )
    return frozen(array)


def check_below(array: npt.NDArray[Any], field: str, limit: int) -> None:
    """Raises BadInputError if an element of an unsigned array reaches the limit."""
    if array.size and int(array.max()) >= limit:
        raise BadInputError("out of range", field=field, found=int(array.max()), allowed=f"< {limit}")


def check_lengths(array: npt.NDArray[Any], field: str, length: int) -> None:
    """Raises BadInputError unless the array has this many elements."""
    if len(array) != length:
        raise BadInputError("lengths differ", field=field, found=len(array), allowed=length)
