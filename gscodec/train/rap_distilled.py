"""Train the distilled score: on scenes with cameras, how long does each splat stay when the least needed go first?

The teacher removes splats in rounds, in each those that the renders would miss least (gscodec.importance.removal), and
looks anew after each: of two splats that stand in for each other, one gets important when the other is gone. The
rank of a splat's removal is what the network learns from its features. Photos are not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata

from gscodec.cloud import GaussianCloud
from gscodec.config import Progress, no_progress
from gscodec.errors import BadInputError
from gscodec.importance.rap_distilled_features import NAMES, features
from gscodec.importance.rap_network import LIMIT, Network
from gscodec.render.cpu.removal import removal_error
from gscodec.scene.camera import Camera
from gscodec.train.devices import limit_threads
from gscodec.train.rap import as_network, new_module, one_cycle
from gscodec.train.rap_scenes import Scene

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

SPREAD = 4.0  # ranks 0..1 become logits -2..2, scores 0.12..0.88
STEADY = 0.5  # error of a logit up to which the loss is a square


@dataclass(frozen=True)
class DistilOptions:
    """Settings of a training; raises BadInputError for a value out of range.

    ``rounds`` of removal by the teacher; ``iterations`` of the optimiser, each on ``batch`` splats from all scenes in
    equal shares; ``learning_rate`` at its peak (one cycle of Adam). Nothing of the network runs on more than one
    thread, and rendering gives the same bits for any number: results do not depend on ``threads``.
    """

    iterations: int = 1000
    seed: int = 0
    rounds: int = 20
    batch: int = 4096
    learning_rate: float = 1e-2
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("iterations", "rounds", "batch"):
            if getattr(self, name) < 1:
                raise BadInputError("out of range", field=name, found=getattr(self, name), allowed="1 or more")
        if self.seed < 0:
            raise BadInputError("out of range", field="seed", found=self.seed, allowed="0 or more")
        if not 0.0 < self.learning_rate < 1.0:
            raise BadInputError("out of range", field="learning_rate", found=self.learning_rate, allowed="0..1")


@dataclass(frozen=True, eq=False)
class DistilResult:
    """The network, and the loss of each iteration float64 [iterations]."""

    network: Network
    losses: F64


def removal_ranks(
    cloud: GaussianCloud, cameras: Sequence[Camera], rounds: int, progress: Progress = no_progress
) -> F64:
    """When each splat is removed, float64 [N] in 0..1, by ``rounds`` rounds that each remove as many.

    Splats that no view shows go first and share one rank. Raises BadInputError without cameras.
    """
    if not cameras:
        raise BadInputError("no view to learn from", field="cameras", found=0, allowed="at least 1")
    count = len(cloud)
    ranks, left, removed = np.zeros(count), np.arange(count), 0
    for number in range(rounds):
        progress("removing", number / rounds)
        shown = cloud.select(left)
        errors = np.zeros(len(left))
        for camera in cameras:
            errors += removal_error(shown, camera)
        least = max((number + 1) * count // rounds - removed, int(np.count_nonzero(errors == 0.0)))
        order = np.argsort(errors, kind="stable")[:least] if number + 1 < rounds else np.arange(len(left))
        ranks[left[order]] = removed + rankdata(errors[order]) - 0.5
        removed += len(order)
        left = np.delete(left, order)
        if len(left) == 0:
            break
    return ranks / max(count, 1)


def train_distilled(scenes: Sequence[Scene], options: DistilOptions, progress: Progress = no_progress) -> DistilResult:
    """Learn from the training views of ``scenes``. Raises BadInputError without scenes."""
    if not scenes:
        raise BadInputError("no scene to learn from", field="scenes", found=0, allowed="at least 1")
    with limit_threads(options.threads):
        inputs, ranks = [], []
        for number, scene in enumerate(scenes):
            progress("features", number / len(scenes))
            inputs.append(features(scene.cloud))
            ranks.append(removal_ranks(scene.cloud, scene.cameras, options.rounds, progress))
    with limit_threads(1):
        return fit(inputs, ranks, options, progress)


def fit(
    inputs: Sequence[F32], ranks: Sequence[F64], options: DistilOptions, progress: Progress = no_progress
) -> DistilResult:
    """Learn ``ranks`` [N] from ``inputs`` [N, features] of each scene."""
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    # Each scene counts as much as any other, however many splats it has.
    offsets = np.mean([part.mean(axis=0, dtype=np.float64) for part in inputs], axis=0)
    squares = np.mean([((part - offsets) ** 2).mean(axis=0) for part in inputs], axis=0)
    scales = np.where(squares > 0.0, np.sqrt(squares), 1.0).astype(np.float32)
    offsets = offsets.astype(np.float32)
    tables = [torch.from_numpy(np.clip((part - offsets) / scales, -LIMIT, LIMIT)) for part in inputs]
    goals = [torch.from_numpy((SPREAD * (part - 0.5)).astype(np.float32)) for part in ranks]
    module = new_module(len(NAMES))
    optimiser = torch.optim.Adam(module.parameters(), lr=options.learning_rate)
    cycle = one_cycle(optimiser, options.learning_rate, options.iterations)
    share = -(-options.batch // len(inputs))
    losses = np.zeros(options.iterations)
    for iteration in range(options.iterations):
        progress("training", iteration / options.iterations)
        rows = [torch.from_numpy(rng.integers(len(table), size=share)) for table in tables]
        batch = torch.cat([table[row] for table, row in zip(tables, rows, strict=True)])
        goal = torch.cat([part[row] for part, row in zip(goals, rows, strict=True)])
        loss = torch.nn.functional.smooth_l1_loss(module(batch)[:, 0], goal, beta=STEADY)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        cycle.step()
        losses[iteration] = float(loss.detach())
    return DistilResult(as_network(module, NAMES, (offsets, scales)), losses)
