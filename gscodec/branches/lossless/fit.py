"""Choice of a column's parameters: mode, unit, and weights by iteratively reweighted least squares.

Only the encoder looks here: any parameters decode. What an entropy coder pays for is near the mean logarithm of the
residuals, so large residuals get small weights (an L1 fit), and only a sample of the rows is used.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gscodec.branches.lossless.parameters import Parameters, order_bits, order_keys
from gscodec.branches.lossless.syntax import MAX_PALETTE, MODE_CELLS, MODE_CONSTANT, MODE_PALETTE
from gscodec.transform.float_bits import MAX_BASE, MIN_BASE, trailing_zeros
from gscodec.transform.reference_prediction import WEIGHT_BITS, WEIGHTS

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]

_SAMPLE = 2048  # rows that a fit looks at
_ROUNDS = 3
_UNITS_LOG2 = 3  # the median residual is about 8 units
_HUGE_BITS = int(np.float32(1e30).view(np.uint32))  # magnitudes beyond, and NaN, take no part in a fit
_PALETTE_ROWS = 8  # a palette needs as many rows per entry


def choose_parameters(
    bits: U32, companions: list[tuple[F64, int]], rows: I64, references: I32, seconds: I32
) -> Parameters:
    """Parameters for float bits uint32[n].

    ``companions``: values and unit exponent of each companion column, nearest first; ``rows``: the sample to fit.
    """
    if np.all(bits == bits[0]):
        return Parameters(MODE_CONSTANT, constant=int(bits[0]))
    palette = _palette(bits)
    if palette is not None:
        values, unit = np.searchsorted(order_keys(palette), order_keys(bits)).astype(np.float64), 0
    else:
        values, unit = float_values(bits), 0
    columns = [values, values, *(v for v, _ in companions for _ in range(2))]
    j, k = references[rows], seconds[rows]
    chosen = [j, k, *(r for _ in companions for r in (rows, j))]
    inputs = np.stack([values_[index] for values_, index in zip(columns, chosen, strict=True)], axis=1)
    weights, median = _fit(values[rows], inputs)
    if palette is None:
        unit = math.floor(math.log2(median)) - _UNITS_LOG2 if median > 0 else 0
        base = min(max(unit + 127, MIN_BASE), MAX_BASE)
        unit = base - 127
    units = [unit, unit, *(u for _, u in companions for _ in range(2))]
    fixed = np.zeros(WEIGHTS, np.int64)
    for i, (weight, own) in enumerate(zip(weights, units, strict=True)):
        fixed[i] = round(min(max(math.ldexp(weight, own - unit + WEIGHT_BITS), -32768.0), 32767.0))
    if palette is not None:
        return Parameters(MODE_PALETTE, palette=palette, weights=fixed)
    return Parameters(MODE_CELLS, base=base, dropped=trailing_zeros(bits), weights=fixed)


def sample_rows(references: I32, copied: npt.NDArray[np.bool_]) -> I64:
    """int64[m]: about 2048 rows, evenly spread, that have a reference and are not copied."""
    rows = np.flatnonzero((references >= 0) & ~copied)
    return rows[:: max(1, len(rows) // _SAMPLE)]


def float_values(bits: U32) -> F64:
    """float64[n] of float bits, zero for what no fit should see."""
    sane = (bits & np.uint32(0x7FFFFFFF)) < _HUGE_BITS  # a signalling NaN must not become a float64
    return np.where(sane, bits, np.uint32(0)).view(np.float32).astype(np.float64)


def _palette(bits: U32) -> U32 | None:
    limit = min(MAX_PALETTE, len(bits) // _PALETTE_ROWS)
    sample = bits[:: max(1, len(bits) // 2048)]
    if len(np.unique(sample)) > min(limit, 0.9 * len(sample)):
        return None
    keys = np.unique(order_keys(bits))
    return order_bits(keys) if len(keys) <= limit else None


def _fit(values: F64, inputs: F64) -> tuple[F64, float]:
    """Weights float64[f] and the median of the absolute residuals that are not zero (0.0 if all are)."""
    count = inputs.shape[1]
    weights = np.zeros(count)
    weights[0] = 1.0
    if len(values) < 4 * count:
        return weights, _typical(values)
    scale = np.abs(inputs).mean(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    scaled = inputs / scale
    solution = weights * scale
    for _ in range(_ROUNDS):
        residuals = np.abs(values - scaled @ solution)
        trust = 1.0 / (residuals + 0.3 * residuals.mean() + 1e-300)
        trust /= trust.max()
        weighted = scaled * trust[:, None]
        matrix = weighted.T @ scaled
        matrix[np.diag_indices(count)] += 1e-9 * np.trace(matrix) + 1e-300
        solution = np.linalg.solve(matrix, weighted.T @ values)
    fitted = solution / scale
    if not np.isfinite(fitted).all():
        return weights, _typical(values)
    return fitted, _typical(values - inputs @ fitted)


def _typical(values: F64) -> float:
    sizes = np.abs(values[values != 0])
    return float(np.median(sizes)) if len(sizes) else 0.0
