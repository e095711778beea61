"""Byte coders: one frame, of the stated size, within the limit."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import zstandard

from gscodec.entropy.bytes import RAW, ZSTD, compress, decompress
from gscodec.errors import BadInputError, CorruptStreamError, LimitExceededError

TEXT = bytes(range(64)) * 40


@pytest.mark.parametrize("level", [1, 3, 19, 22])
def test_round_trip(level):
    coder, packed = compress(TEXT, level)
    assert coder == ZSTD
    assert len(packed) < len(TEXT)
    assert decompress(coder, packed, len(TEXT), len(TEXT)) == TEXT


@pytest.mark.parametrize("data", [b"", b"a", np.random.default_rng(0).bytes(1000)])
def test_what_does_not_shrink_is_kept(data):
    assert compress(data, 19) == (RAW, data)
    assert decompress(RAW, data, len(data), 1000) == data


def test_limit():
    for coder, packed in (compress(TEXT, 3), (RAW, TEXT)):
        with pytest.raises(LimitExceededError):
            decompress(coder, packed, len(TEXT), len(TEXT) - 1)


def test_a_bomb_is_refused_by_its_header():
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 24))
    with pytest.raises(CorruptStreamError, match="content size"):
        decompress(ZSTD, bomb, 100, 1000)
    # The header made to lie: one block of 2**17 zeros behind a stated size of 100.
    frame = bytearray(zstandard.ZstdCompressor().compress(bytes(1 << 17)))
    assert zstandard.get_frame_parameters(bytes(frame)).content_size == 1 << 17
    lying = b"\x28\xb5\x2f\xfd" + b"\x20\x64" + bytes(frame[9:])
    assert zstandard.get_frame_parameters(lying).content_size == 100
    with pytest.raises(CorruptStreamError):
        decompress(ZSTD, lying, 100, 1000)


def test_frames_that_are_not_what_compress_writes():
    packed = compress(TEXT, 3)[1]
    sizeless = zstandard.ZstdCompressor(write_content_size=False).compress(TEXT)
    empty = zstandard.ZstdCompressor().compress(b"")
    n = len(TEXT)
    for data, length in (
        (packed + b"\0", n),
        (packed + packed, n),
        (packed, n + 1),
        (sizeless, n),
        (empty, 0),
        (empty + b"junk", 0),
        (b"\x50\x2a\x4d\x18\x04\0\0\0abcd", 4),
        (b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + packed, n),
        (b"", n),
    ):
        with pytest.raises(CorruptStreamError):
            decompress(ZSTD, data, length, 10 * n)
    with pytest.raises(CorruptStreamError):
        decompress(RAW, TEXT, n - 1, n)
    with pytest.raises(CorruptStreamError):
        decompress(2, TEXT, n, n)


def test_a_huge_window_is_refused():
    # Frame header: 8-byte content size, window descriptor of 2**41.
    header = b"\x28\xb5\x2f\xfd" + b"\xc0" + bytes([31 << 3]) + (64).to_bytes(8, "little")
    with pytest.raises((LimitExceededError, CorruptStreamError)):
        decompress(ZSTD, header + b"\x01\x00\x00", 64, 1000)
    header = b"\x28\xb5\x2f\xfd" + b"\xc0" + bytes([18 << 3]) + (64).to_bytes(8, "little")
    with pytest.raises(LimitExceededError, match="window"):
        decompress(ZSTD, header + b"\x01\x00\x00", 64, 1000)


def test_truncations_and_bit_flips_raise_or_keep_the_length():
    packed = compress(TEXT, 3)[1]
    for length in range(len(packed)):
        with pytest.raises(CorruptStreamError):
            decompress(ZSTD, packed[:length], len(TEXT), len(TEXT))
    for bit in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(CorruptStreamError, LimitExceededError):
            assert len(decompress(ZSTD, bytes(damaged), len(TEXT), len(TEXT))) == len(TEXT)


def test_bad_level():
    with pytest.raises(BadInputError):
        compress(TEXT, 0)
