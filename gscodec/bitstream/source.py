"""Where the bytes of a file come from: memory or disk, read by offset.

Both count what they hand out, so that a test can prove that a partial decode reads only what it needs.
"""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from gscodec.errors import BadInputError, CorruptStreamError


class Source(Protocol):
    """A file of known size that can be read at any offset, from any thread."""

    @property
    def size(self) -> int:
        """Bytes in the file."""

    @property
    def bytes_read(self) -> int:
        """Bytes handed out so far."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``; CorruptStreamError if the file has fewer."""


class BytesSource:
    """A file that is in memory already."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data).cast("B")
        self._lock = threading.Lock()
        self.size = len(self._data)
        self.bytes_read = 0

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``; CorruptStreamError if there are fewer."""
        _check_range(offset, length, self.size)
        with self._lock:
            self.bytes_read += length
        return bytes(self._data[offset : offset + length])


class FileSource:
    """A regular file on disk, opened once; use as a context manager or call ``close``.

    BadInputError if it cannot be opened or is not a regular file (a pipe has no offsets).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                raise BadInputError(f"cannot read {self._path}: not a regular file")
            self._file = self._path.open("rb", buffering=0)
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise BadInputError(f"cannot read {self._path}: {error.strerror or error}") from error
        self._lock = threading.Lock()
        self.bytes_read = 0

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``; CorruptStreamError if the file has fewer.

        BadInputError if the device fails.
        """
        _check_range(offset, length, self.size)
        pieces = []
        left = length
        with self._lock:
            try:
                self._file.seek(offset)
                while left:
                    piece = self._file.read(left)  # Linux hands out at most 2 GiB at once
                    if not piece:
                        raise CorruptStreamError(
                            f"{self._path} became shorter while it was read", found=length - left, allowed=length
                        )
                    pieces.append(piece)
                    left -= len(piece)
            except OSError as error:
                raise BadInputError(f"cannot read {self._path}: {error.strerror or error}") from error
            self.bytes_read += length
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Close the file; reading afterwards is an error of the caller."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_range(offset: int, length: int, size: int) -> None:
    if offset < 0 or length < 0 or offset + length > size:
        raise CorruptStreamError(
            "the file ends too early", field="file_bytes", found=size, allowed=f">= {offset + length}", offset=offset
        )
