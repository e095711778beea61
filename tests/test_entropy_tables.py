"""Frequency tables: the shortest code, derived look-ups, and a byte form with one spelling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gscodec.entropy.tables import TOTAL, FrequencyTables, normalise, pack, short, unpack
from gscodec.errors import BadInputError, CorruptStreamError

COUNTS = arrays(
    np.int64,
    st.tuples(st.integers(0, 6), st.integers(1, 256)),
    elements=st.one_of(st.just(0), st.integers(0, 9), st.integers(0, 1 << 40)),
)


def cost(counts, freqs):
    """Bits of the counted symbols; exact enough to tell optimal from not."""
    used = counts > 0
    return float((counts[used] * (14 - np.log2(freqs[used].astype(np.float64)))).sum())


@settings(deadline=None, max_examples=60)
@given(COUNTS)
def test_normalised_rows_sum_up_and_keep_every_symbol(counts):
    freqs = normalise(counts)
    np.testing.assert_array_equal(freqs > 0, counts > 0)
    np.testing.assert_array_equal(freqs.sum(axis=1, dtype=np.int64), np.where(counts.any(axis=1), TOTAL, 0))


@settings(deadline=None, max_examples=60)
@given(COUNTS)
def test_packed_tables_come_back(counts):
    freqs = normalise(counts)
    np.testing.assert_array_equal(unpack(pack(freqs), *freqs.shape), freqs)


@pytest.mark.parametrize("seed", range(8))
def test_normalise_finds_the_shortest_code(seed):
    # The cost is convex in each frequency: where no move of one unit helps, nothing does.
    rng = np.random.default_rng(seed)
    counts = np.rint(np.exp(rng.uniform(0, 10 + seed, (1, 40)))).astype(np.int64)
    freqs = normalise(counts)
    best = cost(counts[0], freqs[0])
    for giver in np.flatnonzero(freqs[0] > 1):
        for taker in range(40):
            moved = freqs[0].astype(np.int64)
            moved[giver] -= 1
            moved[taker] += 1
            assert cost(counts[0], moved) >= best * (1 - 1e-9)


def test_normalise_exact_values():
    counts = np.array([[0, 0, 0], [0, 7, 0], [1, 1, 0], [1, 10**15, 1], [3, 2, 1]], np.int64)
    expected = [[0, 0, 0], [0, TOTAL, 0], [8192, 8192, 0], [1, TOTAL - 2, 1], [8192, 5461, 2731]]
    assert normalise(counts).tolist() == expected


@settings(deadline=None, max_examples=60)
@given(COUNTS)
def test_short_rows_keep_sum_and_symbols_and_cost_little(counts):
    freqs = normalise(counts)
    found = short(freqs).astype(np.int64)
    np.testing.assert_array_equal(found > 0, freqs > 0)
    np.testing.assert_array_equal(found.sum(axis=1), freqs.sum(axis=1, dtype=np.int64))
    assert (np.abs(found - freqs) <= freqs // 4).all()


def test_short_exact_values():
    rows = [[0] * 40, [TOTAL] + [0] * 39, [10000, 4500, 1150, 639, 65, 13, 10, 7] + [0] * 32, [364] * 36 + [820] * 4]
    expected = [rows[0], rows[1], [10529, 4096, 1024, 640, 64, 14, 10, 7] + [0] * 32, rows[3]]
    assert short(np.array(rows, np.uint16)).tolist() == expected


def test_derived_arrays():
    rows = [[0, 0, 0], [4, TOTAL - 5, 1], [0, TOTAL, 0], [4, TOTAL - 5, 1]]
    tables = FrequencyTables(np.array(rows, np.uint16))
    assert (tables.table_count, tables.alphabet_size) == (4, 3)
    assert tables.present.tolist() == [False, True, True, True]
    assert tables.rows.tolist() == [-1, 0, 1, 0]
    assert tables.starts[1:3].tolist() == [[0, 4, TOTAL - 1], [0, 0, TOTAL]]
    assert tables.bounds.tolist() == [[0, 4, TOTAL - 1, TOTAL], [0, 0, TOTAL, TOTAL]]
    assert tables.firsts.shape == (2, TOTAL // 32)
    assert tables.firsts[0].tolist() == [0] + [1] * (TOTAL // 32 - 1)
    assert (tables.firsts[1] == 1).all()


def test_tables_do_not_change_with_the_array_they_came_from():
    freqs = np.array([[TOTAL, 0]], np.uint16)
    tables = FrequencyTables(freqs)
    freqs[:] = 0
    assert tables.freqs.tolist() == [[TOTAL, 0]]
    with pytest.raises(ValueError, match="read-only"):
        tables.freqs[0, 0] = 1


@pytest.mark.parametrize(
    "freqs",
    [
        np.array([[TOTAL - 1, 0]], np.uint16),
        np.array([[TOTAL, 1]], np.uint16),
        np.array([TOTAL], np.uint16),
        np.array([[TOTAL]], np.int64),
        np.zeros((1, 257), np.uint16),
        np.zeros((1, 0), np.uint16),
    ],
)
def test_bad_tables_are_refused(freqs):
    with pytest.raises(BadInputError):
        FrequencyTables(freqs)


def test_bad_counts_are_refused():
    with pytest.raises(BadInputError):
        normalise(np.array([[1, -1]], np.int64))
    with pytest.raises(BadInputError):
        normalise(np.array([[1.0, 2.0]]))


def test_exact_bytes():
    freqs = np.array([[0, 0, 0], [127, 128, TOTAL - 255], [TOTAL, 0, 0]], np.uint16)
    assert pack(freqs).hex() == "00" + "03" + "7f" + "8001" + "817e" + "01" + "808001"


@pytest.mark.parametrize(
    "data",
    [
        "",  # no table
        "02",  # no frequency
        "01ff7f",  # sum 16383
        "0180800180",  # ends inside of a number
        "01808001" + "00",  # a second table
        "02808001" + "00",  # last frequency zero
        "0181808000",  # four bytes
        "8100" + "808001",  # padded number
        "03808001" + "00" * 2,  # more symbols than the alphabet
        "02" + "ffff03" + "82807d",  # large numbers
        "80",
    ],
)
def test_bad_packed_tables_are_noticed(data):
    with pytest.raises(CorruptStreamError):
        unpack(bytes.fromhex(data), 1, 2)


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(0, 5), st.integers(1, 8))
def test_any_bytes_are_refused_or_the_one_spelling(data, table_count, alphabet_size):
    try:
        freqs = unpack(data, table_count, alphabet_size)
    except CorruptStreamError:
        return
    assert pack(freqs) == data


def test_damaged_tables_are_refused_or_the_one_spelling():
    rng = np.random.default_rng(5)
    freqs = normalise(rng.integers(0, 50, (4, 20)))
    data = pack(freqs)
    accepted = 0
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            assert pack(unpack(bytes(damaged), 4, 20)) == damaged
            accepted += 1
        except CorruptStreamError:
            pass
    assert accepted == 0  # one bit changes the sum or the number of values
    for length in range(len(data)):
        with pytest.raises(CorruptStreamError):
            unpack(data[:length], 4, 20)


def test_impossible_sizes_are_refused_before_allocation():
    with pytest.raises(CorruptStreamError):
        unpack(b"\0" * 10, 1 << 40, 72)
    with pytest.raises(CorruptStreamError):
        unpack(b"\0" * 10, 65536, 256)
    with pytest.raises(CorruptStreamError):
        unpack(b"\0", 1, 257)
