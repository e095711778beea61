"""What tests of colour bases share."""

from __future__ import annotations

import numpy as np

from gscodec.branches.native.bases import Bases
from gscodec.transform.harmonics import SH_DC, sh_basis


def harmonics(directions: np.ndarray, terms: int) -> np.ndarray:
    """float64[n,terms] of vectors [n,3] of any length."""
    values = np.full((len(directions), terms), SH_DC)
    for row, unit in zip(values, directions / np.linalg.norm(directions, axis=1)[:, None], strict=True):
        sh_basis(*unit, terms - 1, row[1:])
    return values


def complete(bases: Bases) -> np.ndarray:
    """float64[R,K+1,K+1]: what each component adds to SH."""
    regions, count = bases.matrices.shape[:2]
    whole = np.zeros((regions, count + 1, count + 1))
    whole[:, 0, 0] = 1.0
    whole[:, 1:] = bases.matrices / 32.0
    return whole


def cone(count: int, radius: float = 50.0) -> np.ndarray:
    """Camera centres far away on one side, within about 30 degrees."""
    rng = np.random.default_rng(3)
    centres = np.array([1.0, 0, 0]) + rng.uniform(-0.4, 0.4, (count, 3))
    return radius * centres / np.linalg.norm(centres, axis=1)[:, None]
