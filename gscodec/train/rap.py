"""Train RAP's network: splats are faded by their scores, and a photo tells what that costs.

Source: arXiv 2602.19753, section 4.2 and 5.1: one random view of one random scene in each iteration; the sum of the
rendering loss, the pruning loss (weight 1) and the distribution loss (weight 0.25). The paper names neither the
optimiser nor the target mean; Adam, one cycle of its learning rate, and 0.45 are this project's choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from gscodec.config import Progress, no_progress
from gscodec.errors import BadInputError
from gscodec.importance.rap_features import NAMES, features
from gscodec.importance.rap_network import HIDDEN, Network
from gscodec.train.devices import limit_threads
from gscodec.train.losses import photometric_loss
from gscodec.train.rap_losses import distribution_loss, pruning_loss
from gscodec.train.rap_render import render_faded
from gscodec.train.rap_scenes import Scene

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RapOptions:
    """Settings of a training; raises BadInputError for a value out of range.

    ``target_mean`` of the scores; the three weights of the losses; ``ssim_weight`` within the rendering loss;
    ``learning_rate`` at its peak.
    ``threads`` None means all cores: results are the same bits for the same number of threads only.
    """

    iterations: int = 15_000
    seed: int = 0
    target_mean: float = 0.45
    render_weight: float = 1.0
    pruning_weight: float = 1.0
    distribution_weight: float = 0.25
    ssim_weight: float = 0.2
    learning_rate: float = 1e-2
    device: str = "cpu"
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("render_weight", "pruning_weight", "distribution_weight"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise BadInputError("out of range", field=name, found=getattr(self, name), allowed="0 or more")
        limits = {
            "iterations": self.iterations >= 1,
            "seed": self.seed >= 0,
            "target_mean": 0.0 < self.target_mean < 1.0,
            "ssim_weight": 0.0 <= self.ssim_weight <= 1.0,
            "learning_rate": 0.0 < self.learning_rate < 1.0,
        }
        for name, good in limits.items():
            if not good:
                raise BadInputError("out of range", field=name, found=getattr(self, name))


@dataclass(frozen=True, eq=False)
class RapResult:
    """The network and, per iteration, the rendering, pruning and distribution losses float64 [iterations, 3]."""

    network: Network
    losses: npt.NDArray[np.float64]


def train_rap(
    scenes: Sequence[Scene],
    options: RapOptions,
    progress: Progress = no_progress,
    columns: Sequence[F32] | None = None,
) -> RapResult:
    """Learn from the training views of ``scenes``. Raises BadInputError without scenes or photos.

    ``columns``: for each scene, what to learn from instead of its own features, float32 [N, 15] in their order.
    """
    if not scenes:
        raise BadInputError("no scene to learn from", field="scenes", found=0, allowed="at least 1")
    with limit_threads(options.threads):
        photos = [scene.photos("train", progress) for scene in scenes]
        if columns is None:
            columns = _features(scenes, progress)
        inputs = [torch.from_numpy(column).to(options.device) for column in columns]
        torch.manual_seed(options.seed)
        rng = np.random.default_rng(options.seed)
        module = new_module(len(NAMES)).to(options.device)
        optimiser = torch.optim.Adam(module.parameters(), lr=options.learning_rate)
        cycle = one_cycle(optimiser, options.learning_rate, options.iterations)
        losses = np.zeros((options.iterations, 3))
        for iteration in range(options.iterations):
            progress("training", iteration / options.iterations)
            chosen = int(rng.integers(len(scenes)))
            view = int(rng.integers(len(photos[chosen])))
            scores = torch.sigmoid(module(inputs[chosen])[:, 0])
            image = render_faded(scenes[chosen].cloud, photos[chosen].cameras[view], scores)
            photo = photos[chosen].photo(view).to(options.device)
            terms = (
                photometric_loss(image, photo, options.ssim_weight),
                pruning_loss(scores, options.target_mean),
                distribution_loss(scores),
            )
            loss = options.render_weight * terms[0] + options.pruning_weight * terms[1]
            loss = loss + options.distribution_weight * terms[2]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            cycle.step()
            losses[iteration] = [float(term.detach()) for term in terms]
    return RapResult(as_network(module, NAMES), losses)


def _features(scenes: Sequence[Scene], progress: Progress) -> list[F32]:
    result = []
    for number, scene in enumerate(scenes):
        progress("features", number / len(scenes))
        result.append(features(scene.cloud))
    return result


def one_cycle(optimiser: torch.optim.Optimizer, peak: float, iterations: int) -> torch.optim.lr_scheduler.OneCycleLR:
    """The learning rate up to ``peak`` in the first 30 %, then down to almost 0 along a cosine (torch's defaults)."""
    return torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, total_steps=iterations + 1)


def new_module(inputs: int) -> torch.nn.Sequential:
    """The network as a torch module, with torch's own random start; its output is the score's logit [N, 1]."""
    layers: list[torch.nn.Module] = []
    width = inputs
    for outputs in HIDDEN:
        layers += [torch.nn.Linear(width, outputs), torch.nn.ReLU()]
        width = outputs
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))


def as_network(module: torch.nn.Sequential, names: Sequence[str], standard: tuple[F32, F32] | None = None) -> Network:
    """The trained numbers for inference, ``standard`` the offsets and scales of its inputs, if it has any."""
    # torch keeps weights as [outputs, inputs].
    linear = [layer for layer in module if isinstance(layer, torch.nn.Linear)]
    weights = tuple(np.ascontiguousarray(layer.weight.detach().cpu().numpy().T) for layer in linear)
    biases = tuple(layer.bias.detach().cpu().numpy().copy() for layer in linear)
    plain = np.zeros(len(names), np.float32), np.ones(len(names), np.float32)
    return Network(weights, biases, tuple(names), *(plain if standard is None else standard))
