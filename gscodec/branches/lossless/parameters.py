"""Parameters of one float32 column of one tile: how its values become cells, and the weights of its prediction."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gscodec.branches.lossless.syntax import (
    MAX_PALETTE,
    MODE_CELLS,
    MODE_CONSTANT,
    MODE_PALETTE,
    Column,
    weight_count,
)
from gscodec.errors import CorruptStreamError
from gscodec.transform.float_bits import MANTISSA_BITS, MAX_BASE, MIN_BASE
from gscodec.transform.reference_prediction import WEIGHTS

I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]

_SIGN = np.uint32(1 << 31)


@dataclass(frozen=True, eq=False)
class Parameters:
    """``constant`` float bits; ``base`` and ``dropped`` as in float_bits; ``palette`` uint32[P]; ``weights`` int64[6].

    Which of them count says ``mode``.
    """

    mode: int
    constant: int = 0
    base: int = MIN_BASE
    dropped: int = 0
    palette: U32 = field(default_factory=lambda: np.zeros(0, np.uint32))
    weights: I64 = field(default_factory=lambda: np.zeros(WEIGHTS, np.int64))


def order_keys(bits: U32) -> U32:
    """uint32[n] that order float bits as the floats: all bits flipped where negative, else the sign alone."""
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def order_bits(keys: U32) -> U32:
    """Inverse of ``order_keys``."""
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys)


def pack_parameters(parameters: Parameters, column: Column) -> bytes:
    """The bytes of a column's parameters."""
    if parameters.mode == MODE_CONSTANT:
        return struct.pack("<BI", MODE_CONSTANT, parameters.constant)
    weights = parameters.weights[: weight_count(column)].astype("<i2").tobytes()
    if parameters.mode == MODE_CELLS:
        return struct.pack("<BBB", MODE_CELLS, parameters.base, parameters.dropped) + weights
    palette = parameters.palette.astype("<u4").tobytes()
    return struct.pack("<BH", MODE_PALETTE, len(parameters.palette)) + weights + palette


class ParameterReader:
    """Reads the parameters of one column after the other. Raises CorruptStreamError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def read(self, column: Column) -> Parameters:
        """The next column's parameters."""
        (mode,) = self._unpack("<B")
        if mode == MODE_CONSTANT:
            return Parameters(mode, constant=self._unpack("<I")[0])
        if mode == MODE_CELLS:
            base, dropped = self._unpack("<BB")
            _check("base", base, MIN_BASE, MAX_BASE)
            _check("dropped", dropped, 0, MANTISSA_BITS)
            return Parameters(mode, base=base, dropped=dropped, weights=self._weights(column))
        if mode == MODE_PALETTE:
            (count,) = self._unpack("<H")
            _check("palette size", count, 1, MAX_PALETTE)
            weights = self._weights(column)
            palette = np.frombuffer(self._take(4 * count), "<u4").astype(np.uint32)
            keys = order_keys(palette)
            if np.any(keys[1:] <= keys[:-1]):
                raise CorruptStreamError("palette out of order", field="palette", allowed="increasing")
            return Parameters(mode, weights=weights, palette=palette)
        raise CorruptStreamError("unknown column mode", field="mode", found=mode, allowed="0..2")

    def finish(self) -> None:
        """Check that nothing is left."""
        if self._position != len(self._data):
            raise CorruptStreamError(
                "bytes after the last column", field="parameters", found=len(self._data), allowed=self._position
            )

    def _weights(self, column: Column) -> I64:
        weights = np.zeros(WEIGHTS, np.int64)
        count = weight_count(column)
        weights[:count] = np.frombuffer(self._take(2 * count), "<i2")
        return weights

    def _unpack(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self._take(struct.calcsize(form)))

    def _take(self, length: int) -> bytes:
        data = self._data[self._position : self._position + length]
        if len(data) != length:
            raise CorruptStreamError(
                "parameters cut short", field="parameters", found=len(self._data), allowed=self._position + length
            )
        self._position += length
        return data


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise CorruptStreamError("parameter out of range", field=name, found=value, allowed=f"{low}..{high}")
