"""Speed and size of the entropy coder, beside constriction's in the same run.

    python -m gscodec_tools.bench_entropy [--json FILE] [--symbols N] [--tables T]

Symbols come from Laplace laws of T widths, one table each, in random order. Times are the best of
several runs after a warm-up, so that compiling is not counted. With two threads each codes a stream of
its own, and the symbols of both count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gscodec.entropy.planes import PlaneReader, PlaneWriter
from gscodec.entropy.rans import RansDecoder, encode
from gscodec.entropy.tables import TOTAL, FrequencyTables, normalise
from gscodec.entropy.tokens import ALPHABET

SEED = 1
RUNS = 5


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench_entropy", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the numbers here, too")
    parser.add_argument("--symbols", type=int, default=10_000_000)
    parser.add_argument("--tables", type=int, default=64)
    args = parser.parse_args(argv)
    values, contexts = laplace_mix(args.symbols, args.tables)
    result: dict[str, Any] = {
        "symbols": args.symbols,
        "tables": args.tables,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "rans": bench_rans(values, contexts, args.tables),
        "planes": bench_planes(values, contexts, args.tables),
        "constriction": bench_constriction(values, contexts, args.tables),
    }
    text = json.dumps(result, indent=1)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    return 0


def laplace_mix(n: int, table_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Values uint32[n], magnitudes of Laplace laws, and their contexts uint16[n]."""
    rng = np.random.default_rng(SEED)
    contexts = rng.integers(0, table_count, n).astype(np.uint16)
    widths = np.exp(rng.uniform(-1.5, 3, table_count))[contexts]
    return np.abs(np.rint(rng.laplace(size=n) * widths)).astype(np.uint32), contexts


def bench_rans(values: np.ndarray, contexts: np.ndarray, table_count: int) -> dict[str, Any]:
    """Symbols are the values, cut off at 71."""
    symbols = np.minimum(values, ALPHABET - 1).astype(np.uint8)
    counts = histogram(symbols, contexts, table_count)
    tables = FrequencyTables(normalise(counts))
    data = encode(symbols, contexts, tables)

    def decode() -> np.ndarray:
        decoder = RansDecoder(data, tables)
        decoded = decoder.decode(contexts)
        decoder.finish()
        return decoded

    check_equal(decode(), symbols)
    return {
        "bytes": len(data),
        "over_entropy_percent": percent(len(data), entropy_bytes(counts)),
        "encode_msym_s": speeds(lambda: encode(symbols, contexts, tables), len(symbols)),
        "decode_msym_s": speeds(decode, len(symbols)),
    }


def bench_planes(values: np.ndarray, contexts: np.ndarray, table_count: int) -> dict[str, Any]:
    """Counting, tables, tokens and extra bits included."""

    def write() -> tuple[bytes, FrequencyTables]:
        writer = PlaneWriter(table_count)
        writer.put(values, contexts)
        tables = FrequencyTables(normalise(writer.counts))
        return writer.finish(tables), tables

    data, tables = write()

    def read() -> np.ndarray:
        reader = PlaneReader(data, tables)
        decoded = reader.get(contexts)
        reader.finish()
        return decoded

    check_equal(read(), values)
    return {
        "bytes": len(data),
        "over_entropy_of_values_percent": percent(
            len(data), entropy_bytes(histogram(values, contexts, table_count, int(values.max()) + 1))
        ),
        "encode_msym_s": speeds(write, len(values)),
        "decode_msym_s": speeds(read, len(values)),
    }


def bench_constriction(values: np.ndarray, contexts: np.ndarray, table_count: int) -> dict[str, Any] | None:
    """The same symbols and tables in constriction's AnsCoder, grouped by table: its fastest use. None if absent."""
    try:
        import constriction
    except ImportError:
        return None
    symbols = np.minimum(values, ALPHABET - 1).astype(np.uint8)
    freqs = normalise(histogram(symbols, contexts, table_count))
    groups = []
    for table, row in enumerate(freqs):
        used = np.flatnonzero(row)
        if len(used) > 1:  # constriction has no model of a certain symbol
            model = constriction.stream.model.Categorical(row[used] / float(TOTAL), perfect=True)
            groups.append((np.searchsorted(used, symbols[contexts == table]).astype(np.int32), model))

    def write() -> np.ndarray:
        coder = constriction.stream.stack.AnsCoder()
        for part, model in reversed(groups):
            coder.encode_reverse(part, model)
        return np.asarray(coder.get_compressed())

    data = write()

    def read() -> list[np.ndarray]:
        coder = constriction.stream.stack.AnsCoder(data)
        return [coder.decode(model, len(part)) for part, model in groups]

    for decoded, (part, _) in zip(read(), groups, strict=True):
        check_equal(decoded, part)
    ours = len(encode(symbols, contexts, FrequencyTables(freqs)))
    return {
        "bytes": data.nbytes,
        "ours_over_constriction_percent": percent(ours, data.nbytes),
        "encode_msym_s": {"1": best(write, len(symbols), 1, runs=2)},
        "decode_msym_s": {"1": best(read, len(symbols), 1, runs=2)},
    }


def speeds(work: Callable[[], object], n: int) -> dict[str, float]:
    """Million symbols per second by number of threads."""
    return {str(threads): best(work, n, threads) for threads in (1, 2)}


def best(work: Callable[[], object], n: int, threads: int, runs: int = RUNS) -> float:
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(runs):
            begin = time.perf_counter()
            for done in [pool.submit(work) for _ in range(threads)]:
                done.result()
            times.append(time.perf_counter() - begin)
    return round(threads * n / min(times) / 1e6, 1)


def histogram(symbols: np.ndarray, contexts: np.ndarray, table_count: int, alphabet: int = ALPHABET) -> np.ndarray:
    flat = np.bincount(contexts.astype(np.int64) * alphabet + symbols, minlength=table_count * alphabet)
    return flat.reshape(table_count, alphabet)


def entropy_bytes(counts: np.ndarray) -> float:
    """Empirical entropy, by context."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return float(-(counts * np.log2(np.where(counts > 0, share, 1))).sum() / 8)


def percent(size: float, reference: float) -> float:
    return round(100 * (size / reference - 1), 4)


def check_equal(decoded: np.ndarray, expected: np.ndarray) -> None:
    if not np.array_equal(decoded, expected):
        raise SystemExit("bench_entropy: decoded symbols differ from the encoded ones")


if __name__ == "__main__":
    raise SystemExit(main())
