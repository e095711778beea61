"""Contexts that share a table."""

from __future__ import annotations

import numpy as np

from gscodec.entropy.merging import BITS_PER_FREQUENCY, merge_counts


def test_like_contexts_are_merged_and_unlike_ones_are_not() -> None:
    counts = np.zeros((5, 72), np.int64)
    counts[0, :2] = 9000, 1000
    counts[1, :2] = 9, 1
    counts[3, :2] = 1000, 9000
    counts[4, :2] = 899, 101
    merged = merge_counts(counts)
    together = counts[0] + counts[1] + counts[4]
    assert merged[0].tolist() == merged[1].tolist() == merged[4].tolist() == together.tolist()
    assert merged[3].tolist() == counts[3].tolist()
    assert merged[2].tolist() == [0] * 72


def bits(counts: np.ndarray, tables: np.ndarray) -> float:
    used = tables[counts > 0] / np.broadcast_to(tables.sum(axis=1, keepdims=True), tables.shape)[counts > 0]
    kinds = {row.tobytes() for row in tables if row.any()}
    frequencies = sum(np.count_nonzero(np.frombuffer(row, np.int64)) for row in kinds)
    return float(-(counts[counts > 0] * np.log2(used)).sum() + BITS_PER_FREQUENCY * frequencies)


def test_merging_saves_bits() -> None:
    rng = np.random.default_rng(0)
    shapes = np.exp(-np.arange(72) / np.linspace(2, 6, 40)[:, None])
    counts = rng.poisson(200 * shapes).astype(np.int64)
    merged = merge_counts(counts)
    assert len({row.tobytes() for row in merged}) < 20
    assert bits(counts, merged) < bits(counts, counts) - 1000


def test_nothing_to_merge() -> None:
    assert merge_counts(np.zeros((3, 72), np.int64)).tolist() == [[0] * 72] * 3
    assert merge_counts(np.zeros((0, 72), np.int64)).shape == (0, 72)
