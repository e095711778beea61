"""Fixed-point logarithms and the tables behind them, against exact arithmetic."""

from __future__ import annotations

import math

import pytest

from bitstream_spec import tables
from gscodec.transform.fixed import LOG_ZERO, OCTAVE, ONE, exp2_fixed, log2_fixed


def slow_exp2(g: int) -> int:
    """As FORMAT.md has it."""
    if g >= 0:
        return ONE
    shift = -(g >> 16)
    if shift > 31:
        return 0
    j, p = (g & 65535) >> 10, g & 1023
    low, high = tables.EXP2_TABLE[j : j + 2]
    return (low + ((high - low) * p >> 10)) >> shift


def slow_log2(v: int) -> int:
    if v <= 0:
        return -31 * 65536
    top = v.bit_length() - 1
    m = v << (30 - top) if top <= 30 else v >> (top - 30)
    j, p = (m - ONE) >> 24, (m - ONE) >> 8 & 65535
    low, high = tables.LOG2_TABLE[j : j + 2]
    return (top - 30) * 65536 + low + ((high - low) * p >> 16)


def test_tables_are_their_formulas() -> None:
    assert tuple(round(2**30 * 2 ** (j / 64)) for j in range(65)) == tables.EXP2_TABLE
    assert tuple(round(65536 * math.log2(1 + j / 64)) for j in range(65)) == tables.LOG2_TABLE
    assert tuple(round(2 ** (i / 4)) for i in range(53)) == tables.ROTATION_LEVELS
    steps = tuple(math.ceil(16 * (2 ** ((b + 1) / 2) - 1)) for b in range(13))
    assert steps == tables.ENERGY_STEPS


@pytest.mark.parametrize("first", [-33 * OCTAVE, -32 * OCTAVE - 5, -OCTAVE - 700, -1100, 0, 1 << 40])
def test_exp2_is_exact(first: int) -> None:
    for g in range(first, first + 1024, 13):
        assert exp2_fixed(g) == slow_exp2(g), g


def test_log2_is_exact() -> None:
    values = [*range(-2, 300), *(2**n + d for n in range(9, 40) for d in (-1, 0, 1, 2 ** (n // 2)))]
    for v in values:
        assert log2_fixed(v) == slow_log2(v), v
    assert log2_fixed(0) == LOG_ZERO


def test_both_are_within_their_bound_of_the_true_function() -> None:
    # Linear interpolation over 1/64: (1/64)² / 8 / ln 2 octaves of log2, (ln 2 / 64)² / 8 / ln 2 of exp2; rounding adds
    # a unit or two of 1/65536 to the one, of 2**-30 to the other.
    for v in range(ONE // 2, 2 * ONE, 1234567):
        assert abs(log2_fixed(v) / OCTAVE - math.log2(v / ONE)) < 5e-5 + 2 / OCTAVE
    for g in range(-14 * OCTAVE, 0, 4321):
        assert abs(math.log2(exp2_fixed(g) / ONE) - g / OCTAVE) < 5e-5 + 2.0 ** (-14)
    for g in range(-10 * OCTAVE, 0, 4321):
        assert abs(log2_fixed(exp2_fixed(g)) - g) < 2 * 5e-5 * OCTAVE + 2


@pytest.mark.parametrize("g", [-5 * OCTAVE, -1, 0])
def test_monotone(g: int) -> None:
    assert exp2_fixed(g - 1) <= exp2_fixed(g)
    assert log2_fixed(g + 6 * OCTAVE) <= log2_fixed(g + 6 * OCTAVE + 1)
