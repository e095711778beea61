"""The two losses of RAP that look at scores alone: how many splats are kept, and how evenly scores are spread.

Source: arXiv 2602.19753, equations 9 to 11, and section 5.1 for the constants.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit, prange

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]

BINS = 250
WIDTH = 0.01  # sigma of the kernel
TINY = 1e-10  # keeps the logarithm of an empty bin finite
REACH = 6.0  # sigmas beyond which a kernel is left out: 1.5e-8 of its peak
BLOCKS = 16  # of the scores, each summed by one thread; fixed, so that results do not depend on their number


def pruning_loss(scores: torch.Tensor, target: float) -> torch.Tensor:
    """Squared distance of the mean of ``scores`` [N] from ``target`` (equation 9)."""
    return (scores.mean() - target) ** 2


def distribution_loss(scores: torch.Tensor, bins: int = BINS, width: float = WIDTH) -> torch.Tensor:
    """1 less the entropy of a soft histogram of ``scores`` [N] in 0..1, over its maximum (equations 10 and 11).

    Bins are centred on ``bins`` equidistant values from 0 to 1; each score counts in those near it by a Gaussian.
    """
    counts: torch.Tensor = _Histogram.apply(scores, bins, width)
    shares = counts / counts.sum()
    entropy = -(shares * torch.log(shares + TINY)).sum() / math.log(bins)
    return 1.0 - entropy.to(scores.dtype)


class _Histogram(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor, bins: int, width: float) -> torch.Tensor:
        ctx.scores, ctx.width, ctx.device = scores.detach().cpu().numpy(), width, scores.device
        parts = np.zeros((BLOCKS, bins), np.float64)
        _count(ctx.scores, width, parts)
        return torch.from_numpy(parts.sum(axis=0)).to(scores.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        result = np.empty(len(ctx.scores), np.float32)
        _differentiate(ctx.scores, ctx.width, np.ascontiguousarray(gradient.cpu().numpy()), result)
        return torch.from_numpy(result).to(ctx.device), None, None


@njit(cache=True, nogil=True)
def _near(score: float, width: float, bins: int) -> tuple[int, int]:
    """The bins within reach of a score: first, and one beyond the last."""
    step = 1.0 / (bins - 1)
    first = math.ceil((score - REACH * width) / step)
    last = math.floor((score + REACH * width) / step)
    return max(first, 0), min(last, bins - 1) + 1


@njit(cache=True, nogil=True)
def _kernel(score: float, width: float, bins: int, first: int) -> tuple[float, float, float, float, float]:
    """The kernel at bin ``first``, what takes it to the next bin, and what takes that factor to the one after it.

    Then the distance from ``first`` and the step to the next bin, both in sigmas. Neighbouring values of a Gaussian
    differ by factors that form a geometric series: two exponentials serve all bins, for they are what takes time.
    """
    step = 1.0 / (bins - 1) / width
    z = (score / width) - first * step
    return math.exp(-0.5 * z * z), math.exp(step * (z - 0.5 * step)), math.exp(-step * step), z, step


@njit(cache=True, nogil=True, parallel=True)
def _count(scores: F32, width: float, parts: F64) -> None:
    bins = parts.shape[1]
    for block in prange(BLOCKS):
        for i in range(block * len(scores) // BLOCKS, (block + 1) * len(scores) // BLOCKS):
            score = np.float64(scores[i])
            first, last = _near(score, width, bins)
            value, factor, change, _, _ = _kernel(score, width, bins, first)
            for k in range(first, last):
                parts[block, k] += value
                value *= factor
                factor *= change


@njit(cache=True, nogil=True, parallel=True)
def _differentiate(scores: F32, width: float, gradient: F64, result: F32) -> None:
    bins = len(gradient)
    for i in prange(len(scores)):
        score = np.float64(scores[i])
        first, last = _near(score, width, bins)
        value, factor, change, z, step = _kernel(score, width, bins, first)
        total = 0.0
        for k in range(first, last):
            total -= gradient[k] * value * z
            value *= factor
            factor *= change
            z -= step
        result[i] = total / width
