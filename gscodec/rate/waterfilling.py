"""Bits for each attribute by reverse water-filling: GETA-3DGS' equation 14 (arXiv 2605.02086), exact and within bounds.

An attribute of d values a splat, each of variance v and with b bits, adds d · s² · v/12 · 2^(-2b) to the squared error
of the image, where s is the rendering sensitivity. For a budget of bits the sum is least where every attribute that is
at no bound has the same s² · v · 2^(-2b): b = level + log2(s² · v)/2. Equation 14 as printed takes the plain mean over
attributes of the last term to find the level, which meets its own budget only where all attributes have equally many
values; here the level is the one that does.

Bits and steps: one octave of a step is one bit per value. A uniform quantiser with b bits between two bounds has
2^b levels, so its step is their distance over 2^b - 1. The native coder has no such bounds and no whole bits: its steps
are relative to a balance, and an offset of x octaves stands for -x bits (``config.StepOffsets``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError

F64 = npt.NDArray[np.float64]

UNIFORM = 1.0 / 12.0  # squared error of a uniform quantiser with a step of one


def allocate_bits(
    sensitivities: npt.ArrayLike,
    variances: npt.ArrayLike,
    values: npt.ArrayLike,
    budget: float,
    bounds: npt.ArrayLike = (0.0, np.inf),
) -> F64:
    """Bits per value float64[k] of k attributes, ``values`` · bits adding up to ``budget`` bits per splat.

    ``bounds``: (least, most) bits, [2] or [k,2]; what an attribute at its bound does not take or need goes to the
    others. The first three arguments are float[k], above zero. Raises BadInputError for a budget out of the bounds'
    reach and for shapes or values that do not fit.
    """
    gains, counts, low, high = _checked(sensitivities, variances, values, bounds)
    least, most = float(counts @ low), float(counts @ high)
    if not least <= budget <= most or not np.isfinite(budget):
        raise BadInputError("out of reach", field="budget", found=budget, allowed=f"{least:g}..{most:g}")

    def used(level: float) -> float:
        return float(counts @ np.clip(level + gains, low, high))

    width = 1.0
    while used(-width) > budget or used(width) < budget:
        width *= 2.0
    low_level, high_level = -width, width
    while low_level < (level := (low_level + high_level) / 2.0) < high_level:
        if used(level) < budget:
            low_level = level
        else:
            high_level = level
    return np.asarray(np.clip(high_level + gains, low, high), np.float64)


def bits_at_slope(
    sensitivities: npt.ArrayLike,
    variances: npt.ArrayLike,
    slope: float,
    bounds: npt.ArrayLike = (0.0, np.inf),
) -> F64:
    """Bits per value float64[k] where one bit more for a value takes ``slope`` off the squared error.

    Other arguments as for ``allocate_bits``, which gives the same bits for the budget that these use. Raises
    BadInputError for a slope that is not above zero.
    """
    if not 0.0 < slope < np.inf:
        raise BadInputError("bad slope", field="slope", found=slope, allowed="above 0")
    gains, _, low, high = _checked(sensitivities, variances, np.ones(np.shape(sensitivities)), bounds)
    return np.asarray(np.clip(gains + np.log2(2.0 * np.log(2.0) * UNIFORM / slope) / 2.0, low, high), np.float64)


def _checked(
    sensitivities: npt.ArrayLike, variances: npt.ArrayLike, values: npt.ArrayLike, bounds: npt.ArrayLike
) -> tuple[F64, F64, F64, F64]:
    """(log2(s² v)/2, values, least bits, most bits), float64[k] each."""
    given = {"sensitivities": sensitivities, "variances": variances, "values": values}
    columns = {name: np.asarray(column, np.float64) for name, column in given.items()}
    shape = columns["sensitivities"].shape
    for name, column in columns.items():
        if len(shape) != 1 or column.shape != shape or not np.all((column > 0.0) & np.isfinite(column)):
            raise BadInputError("bad column", field=name, found=column.tolist(), allowed="[k] finite, above 0")
    limits = np.asarray(bounds, np.float64)
    if limits.shape not in ((2,), (*shape, 2)) or not np.all(limits[..., 0] <= limits[..., 1]):
        raise BadInputError("bad bounds", field="bounds", found=limits.tolist(), allowed="(least, most), [2] or [k,2]")
    low, high = (np.broadcast_to(limits[..., side], shape).astype(np.float64) for side in (0, 1))
    gains = np.log2(columns["sensitivities"]) + np.log2(columns["variances"]) / 2.0
    return gains, columns["values"], low, high
