"""What every renderer offers. A module of plain functions is a renderer too: ``gscodec.render.cpu`` is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.scene.camera import Camera

BLACK = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each splat of a cloud adds to one view; a pixel is hit where the splat is blended into it.

    With alpha the splat's opacity there, T the light that the splats in front let pass, and opacity the splat's
    own (compensated in antialiased mode): ``weight_sum`` float64 [N], sum of alpha·T over pixels; ``hits`` int32
    [N], pixels; ``max_weight`` float32 [N], largest alpha·T; ``transmittance_opacity`` float64 [N], sum of
    T·opacity over the pixels hit. All zero for a splat that is not seen.
    """

    weight_sum: npt.NDArray[np.float64]
    hits: npt.NDArray[np.int32]
    max_weight: npt.NDArray[np.float32]
    transmittance_opacity: npt.NDArray[np.float64]


@runtime_checkable
class Renderer(Protocol):
    def render(
        self, cloud: GaussianCloud, camera: Camera, background: Sequence[float] = BLACK
    ) -> npt.NDArray[np.float32]:
        """The view as float32 [height, width, 3], linear in the SH colours and not clamped."""
        ...

    def contributions(self, cloud: GaussianCloud, camera: Camera) -> Contributions:
        """What each splat adds to the view, in the order of the cloud."""
        ...
