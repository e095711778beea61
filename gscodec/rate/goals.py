"""What a file is asked to be: of a size, or of a quality at least, or both."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from gscodec.errors import BadInputError

SIZE_TOLERANCE = 0.02  # a file may be so much smaller than the size asked, and no byte larger
FLOOR_TOLERANCE = 0.1  # dB by which it may be better than the floor, and not worse at all

_UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}  # fmt: skip


@dataclass(frozen=True)
class Goals:
    """``size`` in bytes, ``floor`` in dB of PSNR; both: the size, unless that falls below the floor.

    Raises BadInputError if neither is given, and for numbers that make no sense.
    """

    size: int | None = None
    floor: float | None = None

    def __post_init__(self) -> None:
        if self.size is None and self.floor is None:
            raise BadInputError("no target", field="goals", allowed="a size, a floor, or both")
        if self.size is not None and self.size < 1:
            raise BadInputError("out of range", field="target-size", found=self.size, allowed="1 byte or more")
        if self.floor is not None and not 0.0 < self.floor <= 200.0:
            raise BadInputError("out of range", field="min-psnr", found=self.floor, allowed="above 0, up to 200 dB")

    def fits(self, size: int) -> bool:
        """Whether a file of ``size`` bytes is as large as asked; any is, where no size is."""
        return self.size is None or (1.0 - SIZE_TOLERANCE) * self.size <= size <= self.size

    def good(self, psnr: float | None) -> bool:
        """Whether a PSNR is at or above the floor; any is, where there is none."""
        return self.floor is None or (psnr is not None and psnr >= self.floor)


def parse_size(text: str) -> int:
    """Bytes from "8MB", "1.5 GB", "500kB" (powers of 1000), "8MiB" (of 1024) or "8000000". Raises BadInputError."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?) ?([A-Za-z]{0,3})", text.strip(), re.ASCII)
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        allowed = "bytes, or a number with kB, MB, GB (powers of 1000), KiB, MiB, GiB (of 1024)"
        raise BadInputError("not a size", field="target-size", found=repr(text), allowed=allowed)
    size = math.floor(float(match[1]) * unit)
    if size < 1:
        raise BadInputError("out of range", field="target-size", found=repr(text), allowed="1 byte or more")
    return size


def size_at_ratio(source_bytes: int, ratio: float) -> int:
    """Bytes of a file ``ratio`` times smaller than the source. Raises BadInputError for a ratio out of range."""
    if not (math.isfinite(ratio) and ratio > 0.0) or source_bytes / ratio < 1.0:
        allowed = f"above 0, up to {source_bytes:,}"
        raise BadInputError("out of range", field="target-ratio", found=ratio, allowed=allowed)
    return math.floor(source_bytes / ratio)
