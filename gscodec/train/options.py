"""How to train: every constant of the optimisation, with its source, and what it becomes in a short training.

Where no other source is named, values are those of Kerbl et al. 2023 (section 5 and appendix B). They were chosen for
30,000 iterations and serve at 7,000; below that, what happens at a certain iteration moves forward in proportion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from gscodec.cloud import SH_REST_COUNTS
from gscodec.errors import BadInputError

UNSCALED = 7000  # iterations from which on the published schedule holds as it is
RECOVERY = 1000  # iterations that must follow a reset: each moves the logit by no more than the learning rate
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class TrainOptions:
    """Settings of a training; raises BadInputError for a value out of range.

    ``iterations``: optimiser steps, each on one view. ``sh_degree`` of the result, 0..4. ``max_splats``: densification
    stops there; None for no limit. ``background``: colour behind everything, also behind transparent photos.
    ``antialiased``: render mode trained for. ``densify``: clone, split, prune and reset opacities; without it the
    number of splats stays as it is. ``threads`` None means all cores; on the CPU it does not change the result.
    Learning rates are Adam's; those of positions are multiplied by the extent of the scene.
    """

    iterations: int = 7000
    sh_degree: int = 3
    max_splats: int | None = None
    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    antialiased: bool = False
    densify: bool = True

    ssim_weight: float = 0.2  # of 1 - SSIM in the loss; the rest is L1
    position_lr: float = 1.6e-4
    position_lr_final: float = 1.6e-6
    dc_lr: float = 2.5e-3
    rest_lr: float = 2.5e-3 / 20
    opacity_lr: float = 0.05
    scale_lr: float = 5e-3
    rotation_lr: float = 1e-3

    sh_every: int = 1000  # iterations until the next SH degree joins
    densify_from: int = 500
    densify_every: int = 100  # never fewer: in between, optimisation must have shown what it can do without new splats
    densify_share: float = 0.5  # of all iterations: densification ends there
    reset_every: int = 3000
    gradient_threshold: float = 2e-4  # loss by position on screen, in half image sides
    dense_share: float = 0.01  # of the extent: larger splats are split, others cloned
    split_count: int = 2
    split_shrink: float = 1.6
    minimum_opacity: float = 0.005
    reset_opacity: float = 0.01
    largest_in_world: float = 0.1  # of the extent; from the first reset on
    largest_on_screen: float = 0.0  # three sigma by the longer side; 0: no limit, which is gsplat's default too

    initial_opacity: float = 0.1
    random_points: int = 50_000  # where the capture has no points

    def __post_init__(self) -> None:
        self._check("iterations", self.iterations >= 1, "1 or more")
        self._check("sh_degree", 0 <= self.sh_degree < len(SH_REST_COUNTS), f"0..{len(SH_REST_COUNTS) - 1}")
        self._check("max_splats", self.max_splats is None or self.max_splats >= 1, "1 or more")
        self._check("seed", self.seed >= 0, "0 or more")
        self._check("device", self.device in DEVICES, DEVICES)
        self._check("threads", self.threads is None or self.threads >= 1, "1 or more")
        inside = len(self.background) == 3 and all(0.0 <= value <= 1.0 for value in self.background)
        self._check("background", inside, "three numbers in 0..1")
        for name in ("sh_every", "densify_every", "reset_every", "split_count", "random_points"):
            self._check(name, getattr(self, name) >= 1, "1 or more")

    def _check(self, name: str, good: bool, allowed: Any) -> None:
        if not good:
            raise BadInputError("out of range", field=name, found=getattr(self, name), allowed=allowed)

    @classmethod
    def fine_tuning(cls, iterations: int, **changes: Any) -> Self:
        """Options that improve a trained cloud without changing its number: positions hardly move any more."""
        return cls(**{"iterations": iterations, "densify": False, "position_lr": cls.position_lr_final, **changes})

    def after(self, iteration: int) -> int:
        """What a published number of iterations becomes here: as many or, in a short training, fewer; at least 1."""
        return max(1, iteration * min(self.iterations, UNSCALED) // UNSCALED)

    def position_rate(self, iteration: int) -> float:
        """Learning rate of positions before the extent: falls exponentially from the first iteration to the last."""
        share = min(1.0, iteration / self.iterations)
        return math.exp((1.0 - share) * math.log(self.position_lr) + share * math.log(self.position_lr_final))

    def active_sh_degree(self, iteration: int) -> int:
        """The SH degree that is trained in an iteration."""
        return min(self.sh_degree, iteration // self.after(self.sh_every))

    @property
    def densify_until(self) -> int:
        """The iteration at which densification ends."""
        return int(self.iterations * self.densify_share)

    def densifies(self, iteration: int) -> bool:
        """Whether splats are cloned, split and pruned after an iteration, counted from 1."""
        inside = self.after(self.densify_from) < iteration <= self.densify_until
        return self.densify and inside and iteration % self.densify_every == 0

    def resets_opacity(self, iteration: int) -> bool:
        """Whether opacities are reset after an iteration: not so late that they could not recover."""
        last = min(self.densify_until - self.after(self.densify_from), self.iterations - RECOVERY)
        return self.densify and iteration <= last and iteration % self.after(self.reset_every) == 0
