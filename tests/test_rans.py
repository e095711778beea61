"""rANS: exact bytes, against a slow coder written from the description, and on damaged payloads."""

from __future__ import annotations

import struct
from fractions import Fraction

import constriction
import numpy as np
import pytest

from gscodec.entropy.rans import RansDecoder, encode
from gscodec.entropy.tables import RECIPROCAL_SHIFT, TOTAL, FrequencyTables, normalise
from gscodec.errors import BadInputError, CorruptStreamError

LOW = 1 << 16


def tables_of(*rows):
    return FrequencyTables(np.array(rows, np.uint16))


def decode(data, contexts, tables):
    decoder = RansDecoder(data, tables)
    symbols = decoder.decode(contexts)
    decoder.finish()
    return symbols


def slow_encode(symbols, contexts, freqs):
    states, words = [LOW] * 4, []
    for i in reversed(range(len(symbols))):
        row = [int(f) for f in freqs[contexts[i]]]
        f, start = row[symbols[i]], sum(row[: symbols[i]])
        x = states[i % 4]
        if x >= f << 18:
            words.append(x & 0xFFFF)
            x >>= 16
        states[i % 4] = (x // f << 14) + start + x % f
    return struct.pack(f"<4I{len(words)}H", *states, *reversed(words))


def slow_decode(data, contexts, freqs):
    states = list(struct.unpack_from("<4I", data))
    words = list(struct.unpack(f"<{len(data) // 2 - 8}H", data[16:]))
    symbols = []
    for i, context in enumerate(contexts):
        slot, symbol, start = states[i % 4] % TOTAL, 0, 0
        while slot >= start + int(freqs[context][symbol]):
            start += int(freqs[context][symbol])
            symbol += 1
        x = int(freqs[context][symbol]) * (states[i % 4] >> 14) + slot - start
        states[i % 4] = x << 16 | words.pop(0) if x < LOW else x
        symbols.append(symbol)
    assert not words
    assert states == [LOW] * 4
    return symbols


def laplace_mix(seed, n, table_count, alphabet=72):
    """Symbols of Laplace laws of many widths, their contexts, and the counts."""
    rng = np.random.default_rng(seed)
    contexts = rng.integers(0, table_count, n).astype(np.uint16)
    widths = np.exp(rng.uniform(-2, 2.5, table_count))[contexts]
    symbols = np.minimum(np.abs(np.rint(rng.laplace(size=n) * widths)), alphabet - 1).astype(np.uint8)
    flat = np.bincount(contexts.astype(np.int64) * alphabet + symbols, minlength=table_count * alphabet)
    return symbols, contexts, flat.reshape(table_count, alphabet)


def test_exact_bytes_without_symbols():
    tables = tables_of([TOTAL])
    data = encode(np.zeros(0, np.uint8), np.zeros(0, np.uint16), tables)
    assert data.hex() == "00000100" * 4
    assert len(decode(data, np.zeros(0, np.uint16), tables)) == 0


def test_exact_bytes_checked_by_hand():
    # Lane 0 codes symbol 1 (f = 1, start 16383) twice: 2**16 -> 0x40003fff, over 2**18, so the word 0x3fff
    # goes out and 0x4000 -> 0x10003fff. The others code symbol 0 once: 65536 = 4 * 16383 + 4 -> 0x10004.
    tables = tables_of([TOTAL - 1, 1])
    symbols, contexts = np.array([1, 0, 0, 0, 1], np.uint8), np.zeros(5, np.uint16)
    data = encode(symbols, contexts, tables)
    assert data.hex() == "ff3f0010" + "04000100" * 3 + "ff3f"
    assert decode(data, contexts, tables).tolist() == symbols.tolist()


@pytest.mark.parametrize("n", [*range(10), 63, 1000, 4001])
def test_equals_slow_reference(n):
    symbols, contexts, counts = laplace_mix(n, n, 5)
    freqs = normalise(counts)
    data = encode(symbols, contexts, FrequencyTables(freqs))
    assert data == slow_encode(symbols, contexts, freqs)
    assert slow_decode(data, contexts, freqs) == symbols.tolist()
    np.testing.assert_array_equal(decode(data, contexts, FrequencyTables(freqs)), symbols)


def test_full_alphabet_and_rare_symbols_equal_slow_reference():
    rng = np.random.default_rng(3)
    rows = np.ones((2, 256), np.int64)
    rows[0, 255] = TOTAL - 255
    rows[1] = normalise(rng.integers(1, 1000, (1, 256)))[0]
    freqs = rows.astype(np.uint16)
    symbols, contexts = rng.integers(0, 256, 3000).astype(np.uint8), rng.integers(0, 2, 3000).astype(np.uint16)
    data = encode(symbols, contexts, FrequencyTables(freqs))
    assert data == slow_encode(symbols, contexts, freqs)
    np.testing.assert_array_equal(decode(data, contexts, FrequencyTables(freqs)), symbols)


def test_certain_symbols_cost_nothing():
    tables = tables_of([0, 0, TOTAL], [TOTAL, 0, 0])
    contexts = (np.arange(1001) % 2).astype(np.uint16)
    symbols = np.where(contexts == 0, 2, 0).astype(np.uint8)
    data = encode(symbols, contexts, tables)
    assert data.hex() == "00000100" * 4
    np.testing.assert_array_equal(decode(data, contexts, tables), symbols)


@pytest.mark.parametrize("seed", range(4))
def test_decoding_in_many_calls(seed):
    symbols, contexts, counts = laplace_mix(seed, 5000, 300)
    tables = FrequencyTables(normalise(counts))
    decoder = RansDecoder(encode(symbols, contexts, tables), tables)
    cuts = np.sort(np.random.default_rng(seed).integers(0, 5000, 400))
    parts = [decoder.decode(part) for part in np.split(contexts, cuts)]
    decoder.finish()
    np.testing.assert_array_equal(np.concatenate(parts), symbols)


def test_reciprocals_divide_every_state_exactly():
    freqs = np.zeros((TOTAL, 2), np.uint16)
    freqs[:, 0] = np.arange(1, TOTAL + 1)
    freqs[:, 1] = TOTAL - freqs[:, 0]
    reciprocals = FrequencyTables(freqs).reciprocals.reshape(TOTAL, 2)[:, 0].tolist()
    for f, m in enumerate(reciprocals, 1):
        top = f << 18
        for x in (f, top - 1, top - f, top - f - 1, (top // 2 // f) * f - 1):
            assert x * m < 1 << 64
            assert x * m >> RECIPROCAL_SHIFT == x // f
        # The quotient errs by less than 1 / f for all states in between, too.
        assert (Fraction(m, 1 << RECIPROCAL_SHIFT) - Fraction(1, f)) * top <= Fraction(1, f)


@pytest.mark.parametrize("n", [100_000, 500_000])
def test_size_is_near_the_entropy_and_constriction(n):
    symbols, contexts, counts = laplace_mix(n, n, 64)
    freqs = normalise(counts)
    size = len(encode(symbols, contexts, FrequencyTables(freqs)))
    share = counts / counts.sum(axis=1, keepdims=True)
    entropy = -(counts * np.log2(np.where(counts > 0, share, 1))).sum() / 8
    coder = constriction.stream.stack.AnsCoder()
    for context, row in enumerate(freqs):
        used = np.flatnonzero(row)
        model = constriction.stream.model.Categorical(row[used] / float(TOTAL), perfect=True)
        coder.encode_reverse(np.searchsorted(used, symbols[contexts == context]).astype(np.int32), model)
    assert entropy < size < 1.005 * entropy
    assert size < 1.002 * 4 * len(coder.get_compressed())


@pytest.mark.parametrize(
    ("symbol", "context"),
    [(0, 3), (1, 0), (3, 0), (0, 1)],
    ids=["context out of range", "zero frequency", "symbol out of range", "absent table"],
)
@pytest.mark.parametrize("place", range(6))
def test_what_cannot_be_encoded(symbol, context, place):
    tables = tables_of([TOTAL - 9, 0, 9], [0, 0, 0], [1, 1, TOTAL - 2])
    symbols, contexts = np.zeros(6, np.uint8), np.zeros(6, np.uint16)
    symbols[place], contexts[place] = symbol, context
    with pytest.raises(BadInputError):
        encode(symbols, contexts, tables)


def test_arrays_of_other_types_or_lengths_are_refused():
    tables = tables_of([TOTAL])
    with pytest.raises(BadInputError):
        encode(np.zeros(3, np.uint8), np.zeros(2, np.uint16), tables)
    with pytest.raises(BadInputError):
        encode(np.zeros(3, np.int64), np.zeros(3, np.uint16), tables)
    with pytest.raises(BadInputError):
        RansDecoder(bytes.fromhex("00000100" * 4), tables).decode(np.zeros((2, 2), np.uint16))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "length"),
        ("00000100" * 4 + "00", "length"),
        ("00000100" * 3 + "ffff0000", "state"),
        ("00000100" * 4 + "0000", "left over"),
        ("01000100" + "00000100" * 3, "final"),
    ],
)
def test_bad_payloads_of_no_symbols(data, reason):
    with pytest.raises(CorruptStreamError, match=reason):
        RansDecoder(bytes.fromhex(data), tables_of([TOTAL])).finish()


def test_contexts_that_cannot_be_decoded():
    tables = tables_of([TOTAL // 2, TOTAL // 2], [0, 0])
    data = encode(np.zeros(40, np.uint8), np.zeros(40, np.uint16), tables)
    contexts = np.zeros(40, np.uint16)
    contexts[9] = 1
    with pytest.raises(CorruptStreamError, match="without a table"):
        RansDecoder(data, tables).decode(contexts)
    contexts[9] = 2
    with pytest.raises(CorruptStreamError, match="out of range"):
        RansDecoder(data, tables).decode(contexts)
    with pytest.raises(CorruptStreamError, match="run out"):
        RansDecoder(data, tables).decode(np.zeros(400, np.uint16))


def test_every_truncation_is_noticed():
    symbols, contexts, counts = laplace_mix(1, 120, 3)
    tables = FrequencyTables(normalise(counts))
    data = encode(symbols, contexts, tables)
    for length in range(len(data)):
        with pytest.raises(CorruptStreamError):
            decode(data[:length], contexts, tables)


def test_bit_flips_and_noise_raise_or_decode_to_the_right_length():
    symbols, contexts, counts = laplace_mix(2, 120, 3)
    tables = FrequencyTables(normalise(counts))
    data = encode(symbols, contexts, tables)
    rng = np.random.default_rng(2)
    damaged = [bytearray(data) for _ in range(8 * len(data))]
    for bit, payload in enumerate(damaged):
        payload[bit // 8] ^= 1 << bit % 8
    damaged += [bytearray(rng.bytes(int(n))) for n in rng.integers(0, 200, 300)]
    noticed = 0
    for payload in damaged:
        try:
            assert len(decode(bytes(payload), contexts, tables)) == len(symbols)
        except CorruptStreamError:
            noticed += 1
    assert noticed > 0.95 * len(damaged)
