"""The only place for conversions between what trainers store and what people and formats mean.

Every function takes an array of any shape and returns a new one; float32 stays float32.
Source: the activations of the reference trainer (Kerbl et al. 2023).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

SH_C0 = 0.28209479177387814  # the constant SH basis function, 1 / (2 sqrt(pi))


def opacity_from_logit(logit: Floats) -> Floats:
    """Sigmoid: any logit to an opacity in 0..1, without overflow."""
    from scipy import special  # here, as it takes longer to import than many a call

    opacity: Floats = special.expit(logit)
    return opacity


def logit_from_opacity(opacity: Floats) -> Floats:
    """Inverse of ``opacity_from_logit``; 0 and 1 give -inf and +inf, anything outside 0..1 NaN."""
    from scipy import special

    logit: Floats = special.logit(opacity)
    return logit


def scale_from_log(log_scale: Floats) -> Floats:
    """Natural log scale to a length in world units; infinite where the type cannot hold it."""
    with np.errstate(over="ignore"):
        return np.exp(log_scale)


def log_from_scale(scale: Floats) -> Floats:
    """Inverse of ``scale_from_log``; 0 gives -inf, a negative length NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(scale)


def rgb_from_dc(dc: Floats) -> Floats:
    """SH DC coefficient to a colour, 0..1 where it is displayable; not clipped."""
    return dc * SH_C0 + 0.5


def dc_from_rgb(rgb: Floats) -> Floats:
    """Inverse of ``rgb_from_dc``."""
    return (rgb - 0.5) / SH_C0


def xyzw_from_wxyz(quats: Floats) -> Floats:
    """Quaternions [..., 4] with the real part moved from the front to the end."""
    return np.roll(quats, -1, axis=-1)


def wxyz_from_xyzw(quats: Floats) -> Floats:
    """Inverse of ``xyzw_from_wxyz``."""
    return np.roll(quats, 1, axis=-1)
