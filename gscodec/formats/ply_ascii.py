"""The data of an ASCII PLY: one line of numbers per vertex."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError

_BLOCK_ROWS = 4096


def ascii_blocks(data: bytes | mmap.mmap, offset: int, count: int, dtype: np.dtype[Any]) -> Iterator[npt.NDArray[Any]]:
    """The ``count`` vertex lines from ``offset`` on, as blocks of rows of ``dtype``.

    Raises BadInputError for truncated or trailing lines, a wrong number of values in a line, a token that
    is no number, and a value that its integer type cannot hold.
    """
    lines = _Lines(data, offset)
    rows = iter(lines)
    width = len(dtype.names or ())
    done = 0
    while done < count:
        block: list[list[float]] = []
        for words in islice(rows, min(_BLOCK_ROWS, count - done)):
            if len(words) != width:
                raise BadInputError("wrong number of values in a line", field=f"vertex {done + len(block)}",
                                    found=len(words), allowed=width, offset=lines.offset)  # fmt: skip
            block.append([_number(word, lines.offset) for word in words])
        if not block:
            raise BadInputError("truncated PLY data", field="vertex lines", found=done, allowed=count,
                                offset=len(data))  # fmt: skip
        yield _typed_rows(np.array(block), dtype, done)
        done += len(block)
    if next(rows, None) is not None:
        raise BadInputError("trailing data after the PLY data", field="vertex lines", found=f"more than {done}",
                            allowed=done, offset=lines.offset)  # fmt: skip


def _number(word: bytes, offset: int) -> float:
    try:
        if b"_" in word:  # Python's own digit grouping
            raise ValueError
        return float(word)
    except ValueError:
        raise BadInputError("not a number", field="vertex value", found=word[:40], allowed="a decimal number",
                            offset=offset) from None  # fmt: skip


def _typed_rows(values: npt.NDArray[np.float64], dtype: np.dtype[Any], first: int) -> npt.NDArray[Any]:
    """values [n, properties] as rows of the file's types; a float64 holds every integer type exactly."""
    rows = np.empty(len(values), dtype)
    for i, name in enumerate(dtype.names or ()):
        column = values[:, i]
        kind = dtype[name]
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            bad = ~((column >= limits.min) & (column <= limits.max) & (column == np.floor(column)))
            if bad.any():
                at = int(np.argmax(bad))
                raise BadInputError("value does not fit its type", field=f"vertex {first + at}, property {name}",
                                    found=column[at], allowed=f"{limits.min} to {limits.max}")  # fmt: skip
        with np.errstate(over="ignore"):
            rows[name] = column
    return rows


@dataclass
class _Lines:
    """The non-blank lines of a buffer from an offset, with the offset of the one that was read last."""

    data: bytes | mmap.mmap
    offset: int

    def __iter__(self) -> Iterator[list[bytes]]:
        end = self.offset
        while end < len(self.data):
            self.offset = end
            stop = self.data.find(b"\n", end)
            stop = len(self.data) if stop < 0 else stop
            words = self.data[end:stop].split()
            end = stop + 1
            if words:
                yield words
