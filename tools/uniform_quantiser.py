"""The plain quantiser that GETA-3DGS allocates bits for: one range and one bit width per attribute, for all splats.

Each attribute is rounded to evenly spaced levels between its least and greatest value, quaternions after they are
normalised with w >= 0. Widths need not be whole: b bits are round(2**b) levels. Arrays only: sizes are counted, as
levels of fixed length and as the order-0 entropy of each column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud

Codes = npt.NDArray[np.int64]

PARTS = {
    "position": "positions",
    "scale": "log_scales",
    "rotation": "quats_wxyz",
    "opacity": "opacity_logits",
    "dc": "sh_dc",
    "ac": "sh_rest",
}


def values_per_splat(cloud: GaussianCloud) -> dict[str, int]:
    """Values of each attribute; one that the cloud lacks is left out."""
    counts = {name: int(np.prod(getattr(cloud, part).shape[1:])) for name, part in PARTS.items()}
    return {name: count for name, count in counts.items() if count}


def quantised(cloud: GaussianCloud, bits: Mapping[str, float]) -> tuple[GaussianCloud, dict[str, Codes]]:
    """The cloud with each attribute in ``bits`` rounded, and by attribute the levels' numbers int64[n, values]."""
    found, arrays = {}, {}
    for name, width in bits.items():
        values = getattr(cloud, PARTS[name]).astype(np.float64)
        if name == "rotation":
            values /= np.linalg.norm(values, axis=1, keepdims=True)
            values *= np.where(values[:, :1] < 0.0, -1.0, 1.0)
        low, span = float(values.min()), float(np.ptp(values)) or 1.0
        steps = max(round(2.0**width) - 1, 1)
        codes = np.rint((values - low) * (steps / span)).astype(np.int64)
        arrays[PARTS[name]] = (low + codes * (span / steps)).astype(np.float32)
        found[name] = codes.reshape(len(cloud), -1)
    return replace(cloud, **arrays), found


def entropy_bits(codes: Mapping[str, Codes]) -> float:
    """Order-0 entropy in bits per splat, each column by itself."""
    return sum(_entropy(column) for columns in codes.values() for column in columns.T)


def _entropy(codes: Codes) -> float:
    _, counts = np.unique(codes, return_counts=True)
    shares = counts / len(codes)
    return float(-(shares * np.log2(shares)).sum())
