"""A smooth function from few samples: a trend of which something is known before, and local deviations from it.

Kriging with a Gaussian prior on the trend (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006,
section 2.7): it goes through exact samples, and far from all of them it is the trend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Kriging:
    """A function of P coordinates; all numbers are standard deviations, of a prior with mean 0.

    ``offset``: of a constant; ``slopes`` [P]: of the slope along each coordinate; ``local``: of what is neither, alike
    for points that are less than ``lengths`` [P] apart.
    """

    offset: float
    slopes: Sequence[float]
    local: float
    lengths: Sequence[float]

    def predict(self, samples: F64, values: F64, noise: F64, points: F64) -> F64:
        """The likeliest values [M] at ``points`` [M,P], after ``values`` [N] +- ``noise`` [N] at ``samples`` [N,P].

        Without samples all are 0.
        """
        if len(samples) == 0:
            return np.zeros(len(points))
        covariance = self._covariance(samples, samples) + np.diag(noise**2)
        return np.asarray(self._covariance(points, samples) @ np.linalg.solve(covariance, values))

    def _covariance(self, a: F64, b: F64) -> F64:
        slopes, lengths = np.asarray(self.slopes), np.asarray(self.lengths)
        apart = (a / lengths)[:, None, :] - (b / lengths)[None, :, :]
        near = np.exp(-0.5 * (apart**2).sum(axis=2))
        return np.asarray(self.offset**2 + (a * slopes) @ (b * slopes).T + self.local**2 * near)
