"""Adaptive density control (Kerbl et al. 2023, section 5.2): splats where the image asks for them, none where not.

A splat whose centre is pulled about on the screen covers what it cannot show: a small one gets a twin, a large one
falls into two. Splats that hardly show, or that have grown out of proportion, go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gscodec.cloud import ATTRIBUTES
from gscodec.errors import BadInputError
from gscodec.scene.camera import Camera
from gscodec.train.options import TrainOptions
from gscodec.train.parameters import SplatParameters


@dataclass(frozen=True)
class Change:
    """How many splats were cloned, split and pruned."""

    cloned: int
    split: int
    pruned: int


class ScreenStatistics:
    """What a number of views have shown of each splat since the last densification.

    ``gradient`` float32 [N]: sum of the lengths of the loss's gradient by the centre on screen, in half image sides;
    ``views`` int32 [N]: how many saw it; ``span`` float32 [N]: the smallest length in the world that, at the splat,
    fills the longer side of the image.
    """

    def __init__(self, count: int, device: str) -> None:
        self.gradient = torch.zeros(count, device=device)
        self.views = torch.zeros(count, dtype=torch.int32, device=device)
        self.span = torch.full((count,), math.inf, device=device)

    def add(self, view: Any, camera: Camera, positions: torch.Tensor | None = None) -> None:
        """Add a rendered and differentiated view; ``span`` needs the splats' ``positions`` [N,3]."""
        x = view.screen_gradient[:, 0] * (camera.width / 2.0)
        y = view.screen_gradient[:, 1] * (camera.height / 2.0)
        self.gradient += torch.sqrt(x * x + y * y)  # zero for what is not seen
        self.views += view.visible
        if positions is not None:
            row = [float(value) for value in camera.world_to_camera[2]]
            x, y, z = positions.detach().unbind(dim=1)
            depth = x * row[0] + y * row[1] + z * row[2] + row[3]
            span = depth * (max(camera.width / camera.fx, camera.height / camera.fy))
            self.span = torch.where(view.visible, torch.minimum(self.span, span), self.span)

    def mean_gradient(self) -> torch.Tensor:
        """Per view that saw the splat, [N]."""
        return self.gradient / self.views.clamp(min=1)


def densify(
    parameters: SplatParameters,
    statistics: ScreenStatistics,
    options: TrainOptions,
    rng: np.random.Generator,
    *,
    limit_size: bool,
) -> Change:
    """Clone, split and prune in place; the order of what stays is kept, what is new comes last, clones first.

    ``limit_size``: prune splats that are too large, too. Raises BadInputError if none would be left.
    """
    # Logarithms are compared, and few splats worked on in numpy: torch's exp depends on the number of threads.
    sizes = parameters["log_scales"].detach().amax(dim=1)
    faint = parameters["opacity_logits"].detach() < _logit(options.minimum_opacity)
    gone = faint | _too_large(sizes, statistics, options, parameters.extent) if limit_size else faint
    growing = (statistics.mean_gradient() >= options.gradient_threshold) & ~gone
    if options.max_splats is not None:
        room = max(0, options.max_splats - int((~gone).sum()))
        growing = _strongest(growing, statistics, room, options.split_count - 1)
    small = sizes <= math.log(options.dense_share * parameters.extent)
    cloned, split = growing & small, growing & ~small
    keep = ~(gone | split)
    change = Change(int(cloned.sum()), int(split.sum()), int(gone.sum()))
    if int(keep.sum()) + change.split == 0:
        raise BadInputError("no splat is left: none became visible in the photos", field="splats", found=0)
    twins = {name: parameters[name].detach()[cloned] for name in ATTRIBUTES}
    halves = _halves(parameters, split, options, rng)
    parameters.rebuild(keep, {name: torch.cat([twins[name], halves[name]]) for name in ATTRIBUTES})
    return change


def _too_large(sizes: torch.Tensor, statistics: ScreenStatistics, options: TrainOptions, extent: float) -> torch.Tensor:
    large = sizes > math.log(options.largest_in_world * extent)
    if options.largest_on_screen > 0.0:
        reach = torch.from_numpy(3.0 * np.exp(sizes.cpu().numpy())).to(sizes.device)
        large |= reach > options.largest_on_screen * statistics.span
    return large


def _strongest(growing: torch.Tensor, statistics: ScreenStatistics, room: int, splat_each: int) -> torch.Tensor:
    """The part of ``growing`` with the highest gradients that ``room`` more splats allow."""
    allowed = room // max(1, splat_each)
    candidates = torch.nonzero(growing)[:, 0]
    if len(candidates) <= allowed:
        return growing
    order = torch.sort(statistics.mean_gradient()[candidates], descending=True, stable=True).indices
    chosen = torch.zeros_like(growing)
    chosen[candidates[order[:allowed]]] = True
    return chosen


def _halves(
    parameters: SplatParameters, split: torch.Tensor, options: TrainOptions, rng: np.random.Generator
) -> dict[str, torch.Tensor]:
    """What large splats fall into: ``split_count`` smaller ones each, at places drawn from the splat itself."""
    old = {name: parameters[name].detach()[split].cpu().numpy() for name in ATTRIBUTES}
    new = {name: np.concatenate([array] * options.split_count) for name, array in old.items()}
    offsets = rng.standard_normal(new["positions"].shape) * np.exp(new["log_scales"].astype(np.float64))
    rotated = np.einsum("nij,nj->ni", rotation_matrices(new["quats_wxyz"]), offsets)
    new["positions"] = (new["positions"] + rotated).astype(np.float32)
    new["log_scales"] = new["log_scales"] - np.float32(math.log(options.split_shrink))
    return {name: torch.from_numpy(array).to(split.device) for name, array in new.items()}


def rotation_matrices(quats_wxyz: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Rotations float64 [N,3,3] of quaternions [N,4] of any length but 0."""
    quats = quats_wxyz.astype(np.float64)
    w, x, y, z = (quats / np.maximum(np.linalg.norm(quats, axis=1, keepdims=True), 1e-30)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _logit(opacity: float) -> float:
    return math.log(opacity / (1.0 - opacity))
