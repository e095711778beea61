"""What a renderer may offer beside images and contributions, for scores that need it.

The CPU renderer offers all of it. Each offer is a protocol of its own, so that a renderer which has one of them can
be used for the scores that need no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.scene.camera import Camera

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gradients:
    """The gradient of one number made of a view, by what scores look at; float32, zero where a splat is not seen.

    ``positions`` [N,3]: per world unit. ``screen_means`` [N,2]: by the centre in the image, per pixel. ``sh``
    [N,K+1,3]: by the SH coefficients, DC first. ``covariances`` [N,6]: by xx, xy, xz, yy, yz, zz of the covariance
    in the world, per world unit squared; an entry off the diagonal stands for both of its places.
    """

    positions: F32
    screen_means: F32
    sh: F32
    covariances: F32


@runtime_checkable
class GradientRenderer(Protocol):
    def gradients(self, cloud: GaussianCloud, camera: Camera, photo: F32 | None = None) -> Gradients:
        """Of the sum of all values of the image; with ``photo`` [height, width, 3], of its mean absolute error."""
        ...


@runtime_checkable
class FisherRenderer(Protocol):
    def fisher_information(self, cloud: GaussianCloud, camera: Camera) -> F64:
        """[N,21]: upper triangles, row by row, of each splat's 6x6 matrix, sum over pixels and channels of g gᵀ.

        g is the gradient of the pixel's value by position (world units) and log-scales of the splat.
        """
        ...


@runtime_checkable
class RemovalRenderer(Protocol):
    def removal_error(self, cloud: GaussianCloud, camera: Camera) -> F64:
        """[N]: by how much the image changes without the splat, squared, summed over pixels and channels."""
        ...


@runtime_checkable
class ColourRenderer(Protocol):
    def colour_residuals(self, cloud: GaussianCloud, camera: Camera, wanted: F32) -> F64:
        """[N,4]: what the view lacks of an image [height, width, 3], times each splat's share of the pixel, summed over
        pixels for red, green and blue; and the sum of the shares."""
        ...
