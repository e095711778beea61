"""Part of the reference decoder: errors, float32 and the chapter "Entropy coding" of FORMAT.md."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import zstandard


class FormatError(Exception):
    """The file breaks a rule of FORMAT.md, or needs a feature or a size that this reader lacks."""


def require(condition: bool, message: str) -> None:
    """Raise FormatError unless the condition holds."""
    if not condition:
        raise FormatError(message)


def no_constant(name: str) -> NoReturn:
    """JSON has no NaN and Infinity, Python's reader has."""
    raise ValueError(f"{name} is not JSON")


def float32(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Round binary64 values to float32 (to nearest even; too large becomes infinite), little endian."""
    with np.errstate(over="ignore"):
        return values.astype("<f4")


def interleave(columns: Sequence[bytes]) -> bytes:
    """Rows of 4-byte values from columns of them."""
    rows = array("I", bytes(sum(map(len, columns))))
    for number, column in enumerate(columns):
        rows[number :: len(columns)] = array("I", column)
    return rows.tobytes()


def split(rows: bytes, count: int) -> list[bytes]:
    """The columns of rows of `count` 4-byte values."""
    values = array("I", rows)
    return [values[number::count].tobytes() for number in range(count)]


# ---- Entropy coding


def unpack_zstd(data: bytes, raw_length: int) -> bytes:
    """ZSTD streams; the caller has bounded raw_length."""
    require(data[:4] == b"\x28\xb5\x2f\xfd", "not a Zstandard frame")
    try:
        frame = zstandard.get_frame_parameters(data)
        require(frame.content_size == raw_length > 0, "Zstandard frame: content size is not raw_length")
        require(frame.dict_id == 0 and frame.window_size <= 1 << 27, "Zstandard frame: dictionary or window too large")
        raw = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"Zstandard frame: {error}") from error
    require(len(raw) == raw_length, "Zstandard frame: wrong length")
    return raw


@dataclass
class Table:
    """A frequency table: f, F and the symbol of each slot; empty if absent."""

    frequencies: list[int]
    starts: list[int]
    symbols: bytes


def read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """LEB128 of at most 3 bytes; returns the value and the place behind it."""
    value = 0
    for size in range(3):
        require(at + size < len(data), "tables: truncated")
        byte = data[at + size]
        value |= (byte & 127) << 7 * size
        if byte < 128:
            require(byte > 0 or size == 0, "tables: LEB128 is not the shortest")
            return value, at + size + 1
    raise FormatError("tables: LEB128 is too long")


def read_tables(data: bytes, count: int, alphabet: int) -> list[Table]:
    """Frequency tables."""
    tables, at = [], 0
    for _ in range(count):
        size, at = read_leb128(data, at)
        require(size <= alphabet, "tables: too many symbols")
        frequencies, starts, total = [], [], 0
        for _ in range(size):
            frequency, at = read_leb128(data, at)
            frequencies.append(frequency)
            starts.append(total)
            total += frequency
        require(size == 0 or (total == 16384 and frequencies[-1] > 0), "tables: frequencies are wrong")
        symbols = b"".join(bytes([symbol]) * frequency for symbol, frequency in enumerate(frequencies))
        tables.append(Table(frequencies, starts, symbols))
    require(at == len(data), "tables: bytes left over")
    return tables


class Planes:
    """rANS, Tokens and Planes: the reader of one stream with coder 2."""

    def __init__(self, data: bytes, tables: Sequence[Table]) -> None:
        """Data: the payload behind the head; tables: the stream's group."""
        require(len(data) >= 4, "planes: truncated")
        (length,) = struct.unpack_from("<I", data)
        require(16 <= length <= len(data) - 4 and length % 2 == 0, f"planes: length of the rANS data is {length}")
        self.states = list(struct.unpack_from("<4I", data, 4))
        require(min(self.states) >= 65536, "planes: a state is below 65536")
        self.words = struct.unpack_from(f"<{(length - 16) // 2}H", data, 20)
        self.bits = data[4 + length :]
        self.count, self.word, self.bit = 0, 0, 0
        self.symbols = [table.symbols for table in tables]
        self.frequencies = [table.frequencies for table in tables]
        self.starts = [table.starts for table in tables]

    def read(self, contexts: Sequence[int]) -> list[int]:
        """Read a plane: one integer for each context."""
        require(all(self.symbols[c] for c in set(contexts)), "planes: an absent table is used")
        symbols, frequencies, starts = self.symbols, self.frequencies, self.starts
        states, words, bits, number, word, bit = self.states, self.words, self.bits, self.count, self.word, self.bit
        values: list[int] = []
        for context in contexts:
            k = number & 3
            x = states[k]
            slot = x & 16383
            token = symbols[context][slot]
            x = frequencies[context][token] * (x >> 14) + slot - starts[context][token]
            if x < 65536:
                require(word < len(words), "planes: rANS data end too soon")
                x = x << 16 | words[word]
                word += 1
            states[k] = x
            number += 1
            if token >= 16:
                size = 3 + (token - 16) // 2
                extra = int.from_bytes(bits[bit >> 3 : (bit + size + 7) >> 3], "little") >> (bit & 7)
                token = (2 | (token & 1)) << size | (extra & (1 << size) - 1)
                bit += size
            values.append(token)
        require(bit <= 8 * len(bits), "planes: bit part ends too soon")
        self.count, self.word, self.bit = number, word, bit
        return values

    def read_signed(self, contexts: Sequence[int]) -> list[int]:
        """Read a plane through unzigzag."""
        return [v >> 1 if v % 2 == 0 else -(v + 1) // 2 for v in self.read(contexts)]

    def finish(self) -> None:
        """What must hold after the last plane."""
        require(self.states == [65536] * 4 and self.word == len(self.words), "planes: rANS data do not end right")
        require(8 * len(self.bits) - self.bit < 8, "planes: bits left over")
        require(not self.bits or self.bits[-1] >> (self.bit - 8 * len(self.bits) + 8) == 0, "planes: bits left over")
