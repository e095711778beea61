"""Planes: several arrays in one stream, later contexts from earlier values."""

from __future__ import annotations

import numpy as np
import pytest

from gscodec.entropy.planes import PlaneReader, PlaneWriter
from gscodec.entropy.tables import TOTAL, FrequencyTables, normalise
from gscodec.entropy.tokens import ALPHABET, split
from gscodec.errors import BadInputError, CorruptStreamError


def one_token_tables(token):
    freqs = np.zeros((1, ALPHABET), np.uint16)
    freqs[0, token] = TOTAL
    return FrequencyTables(freqs)


def small_stream():
    rng = np.random.default_rng(0)
    writer = PlaneWriter(4)
    values = np.rint(np.exp(rng.uniform(0, 8, 60))).astype(np.uint32)
    contexts = (np.arange(60) % 4).astype(np.uint16)
    writer.put(values, contexts)
    tables = FrequencyTables(normalise(writer.counts))
    return values, contexts, tables, writer.finish(tables)


def test_exact_bytes():
    writer = PlaneWriter(1)
    writer.put(np.array([16, 18, 23], np.uint32), 0)
    # Token 16 alone costs nothing; the extra bits are 000, 010, 111.
    assert writer.finish(one_token_tables(16)).hex() == "10000000" + "00000100" * 4 + "d001"


def test_later_contexts_may_depend_on_earlier_planes():
    rng = np.random.default_rng(1)
    first = np.rint(rng.exponential(3, 5001)).astype(np.uint32)
    contexts = np.minimum(first, 5).astype(np.uint16)
    second = np.rint(rng.exponential(2.0 ** (2 * contexts))).astype(np.uint32)
    writer = PlaneWriter(7)
    writer.put(first, 6)
    writer.put(np.zeros(0, np.uint32), 3)
    writer.put(second, contexts)
    assert writer.symbol_count == 10002
    tables = FrequencyTables(normalise(writer.counts))
    reader = PlaneReader(writer.finish(tables), tables)
    np.testing.assert_array_equal(reader.get(6, 5001), first)
    assert len(reader.get(3, 0)) == 0
    np.testing.assert_array_equal(reader.get(np.minimum(first, 5).astype(np.uint16)), second)
    reader.finish()


def test_counts_are_the_histogram_of_tokens():
    rng = np.random.default_rng(2)
    values, contexts = rng.integers(0, 2**32, 500).astype(np.uint32), rng.integers(0, 3, 500).astype(np.uint16)
    writer = PlaneWriter(3)
    writer.put(values[:200], contexts[:200])
    writer.put(values[200:], contexts[200:])
    expected = np.zeros((3, ALPHABET), np.int64)
    np.add.at(expected, (contexts, split(values)[0]), 1)
    np.testing.assert_array_equal(writer.counts, expected)


def test_writer_keeps_what_was_put():
    contexts = np.zeros(4, np.uint16)
    values = np.arange(4, dtype=np.uint32)
    writer = PlaneWriter(2)
    writer.put(values, contexts)
    values[:], contexts[:] = 0, 1
    tables = FrequencyTables(normalise(writer.counts))
    reader = PlaneReader(writer.finish(tables), tables)
    assert reader.get(0, 4).tolist() == [0, 1, 2, 3]


def test_no_planes():
    tables = FrequencyTables(np.zeros((0, ALPHABET), np.uint16))
    data = PlaneWriter(0).finish(tables)
    assert data.hex() == "10000000" + "00000100" * 4
    PlaneReader(data, tables).finish()


def test_extremes_round_trip():
    values = np.array([0, 15, 16, 2**31, 2**32 - 1] * 3, np.uint32)
    writer = PlaneWriter(65536)
    writer.put(values, 65535)
    tables = FrequencyTables(normalise(writer.counts))
    reader = PlaneReader(writer.finish(tables), tables)
    np.testing.assert_array_equal(reader.get(65535, len(values)), values)
    reader.finish()


def test_wrong_calls_are_refused():
    writer = PlaneWriter(2)
    for contexts in (2, -1, np.full(3, 2, np.uint16), np.zeros(2, np.uint16), np.zeros(3, np.int64)):
        with pytest.raises(BadInputError):
            writer.put(np.zeros(3, np.uint32), contexts)
    with pytest.raises(BadInputError):
        writer.put(np.zeros(3, np.int32), 0)
    writer.put(np.zeros(3, np.uint32), 0)
    with pytest.raises(BadInputError):
        writer.finish(one_token_tables(1))
    with pytest.raises(BadInputError):
        writer.finish(FrequencyTables(np.array([[TOTAL]], np.uint16)))
    reader = PlaneReader(writer.finish(one_token_tables(0)), one_token_tables(0))
    for contexts, count in ((0, None), (0, -1), (1 << 16, 3), (np.zeros(3, np.uint16), 2)):
        with pytest.raises(BadInputError):
            reader.get(contexts, count)


def test_truncations_and_additions_are_noticed():
    _, contexts, tables, data = small_stream()
    for damaged in [data[:n] for n in range(len(data))] + [data + b"\0"]:
        with pytest.raises(CorruptStreamError):
            read_all(damaged, contexts, tables)


def test_bit_flips_raise_or_decode_to_the_right_length():
    values, contexts, tables, data = small_stream()
    np.testing.assert_array_equal(read_all(data, contexts, tables), values)
    noticed = 0
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert len(read_all(bytes(damaged), contexts, tables)) == len(values)
        except CorruptStreamError:
            noticed += 1
    assert noticed > 0


def read_all(data, contexts, tables):
    reader = PlaneReader(data, tables)
    values = reader.get(contexts)
    reader.finish()
    return values
