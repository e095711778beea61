"""Hybrid integers and bit strings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscodec.entropy.bits import BitReader, pack_bits
from gscodec.entropy.tokens import ALPHABET, EXTRA_BITS, join, split, unzigzag, zigzag
from gscodec.errors import BadInputError, CorruptStreamError

UINT32 = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1)), max_size=60)


@pytest.mark.parametrize(
    ("value", "token", "extra", "nbits"),
    [
        (0, 0, 0, 0),
        (15, 15, 0, 0),
        (16, 16, 0, 3),
        (23, 16, 7, 3),
        (24, 17, 0, 3),
        (31, 17, 7, 3),
        (32, 18, 0, 4),
        (0b1011_0101, 22, 0b11_0101, 6),
        (2**31, 70, 0, 30),
        (2**32 - 1, 71, 2**30 - 1, 30),
    ],
)
def test_exact_tokens(value, token, extra, nbits):
    tokens, extras, widths = split(np.array([value], np.uint32))
    assert (int(tokens[0]), int(extras[0]), int(widths[0])) == (token, extra, nbits)
    assert join(tokens, extras).tolist() == [value]


def test_tokens_follow_the_definition_around_every_power_of_two():
    near = [2**n + d for n in range(33) for d in range(-20, 21)] + [3 * 2**n + d for n in range(31) for d in (-1, 0, 1)]
    values = [v for v in near if 0 <= v < 2**32]
    tokens, extra, nbits = split(np.array(values, np.uint32))
    for value, token, low, width in zip(values, tokens.tolist(), extra.tolist(), nbits.tolist(), strict=True):
        n = value.bit_length() - 1
        if value < 16:
            assert (token, low, width) == (value, 0, 0)
        else:
            assert (token, width) == (16 + (n - 4) * 2 + (value >> (n - 1) & 1), n - 1)
            assert low == value & ((1 << (n - 1)) - 1)
    np.testing.assert_array_equal(EXTRA_BITS[tokens], nbits)
    assert join(tokens, extra).tolist() == values


@settings(deadline=None)
@given(UINT32)
def test_round_trip_through_tokens_and_bits(values):
    tokens, extra, nbits = split(np.array(values, np.uint32))
    reader = BitReader(pack_bits(extra, nbits))
    assert join(tokens, reader.read(EXTRA_BITS[tokens])).tolist() == values
    reader.finish()


@settings(deadline=None)
@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=30))
def test_zigzag_round_trip(values):
    signed = np.array(values, np.int32)
    np.testing.assert_array_equal(unzigzag(zigzag(signed)), signed)


def test_zigzag_exact():
    signed = np.array([0, -1, 1, -2, 2, 2**31 - 1, -(2**31)], np.int32)
    assert zigzag(signed).tolist() == [0, 1, 2, 3, 4, 2**32 - 2, 2**32 - 1]


def test_wrong_types_and_tokens_are_refused():
    with pytest.raises(BadInputError):
        zigzag(np.array([1], np.int64))
    with pytest.raises(BadInputError):
        unzigzag(np.array([1], np.int32))
    with pytest.raises(BadInputError):
        split(np.array([-1], np.int32))
    with pytest.raises(BadInputError):
        join(np.array([ALPHABET], np.uint8), np.array([0], np.uint32))
    with pytest.raises(BadInputError):
        join(np.array([1], np.uint8), np.zeros(2, np.uint32))


def test_exact_bits():
    numbers, nbits = np.array([0b101, 0, 0b11, 0x12345678], np.uint32), np.array([3, 0, 7, 32], np.uint8)
    # 0000011 101, then 0x12345678 from bit 10 up.
    expected = (0b101 | 0b11 << 3 | 0x12345678 << 10).to_bytes(6, "little")
    assert pack_bits(numbers, nbits) == expected
    assert BitReader(expected).read(nbits).tolist() == numbers.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_reading_bits_in_many_calls(seed):
    rng = np.random.default_rng(seed)
    nbits = rng.integers(0, 33, 3000).astype(np.uint8)
    numbers = (rng.integers(0, 2**32, 3000) & ((1 << nbits.astype(np.int64)) - 1)).astype(np.uint32)
    data = pack_bits(numbers, nbits)
    expected, position = 0, 0
    for number, width in zip(numbers.tolist(), nbits.tolist(), strict=True):
        expected |= number << position
        position += width
    assert data == expected.to_bytes((position + 7) // 8, "little")
    reader = BitReader(data)
    parts = [reader.read(part) for part in np.split(nbits, np.sort(rng.integers(0, 3000, 500)))]
    reader.finish()
    np.testing.assert_array_equal(np.concatenate(parts), numbers)


def test_bits_above_the_width_are_left_out():
    assert pack_bits(np.array([0xFFFFFFFF, 0], np.uint32), np.array([4, 4], np.uint8)) == b"\x0f"


def test_end_of_bits():
    widths = np.array([5, 4], np.uint8)
    with pytest.raises(CorruptStreamError, match="run out"):
        BitReader(b"\0").read(widths)
    with pytest.raises(CorruptStreamError, match="left over"):
        BitReader(b"\0").finish()
    reader = BitReader(b"\0\x02")
    reader.read(widths)
    with pytest.raises(CorruptStreamError, match="padding"):
        reader.finish()
    for data in (b"", b"\0\0"):
        reader = BitReader(data)
        reader.read(widths if data else widths[:0])
        reader.finish()
    with pytest.raises(BadInputError):
        BitReader(b"\0" * 9).read(np.array([33], np.uint8))
