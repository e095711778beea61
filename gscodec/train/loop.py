"""The training loop: 3D Gaussian Splatting from photos, and fine-tuning of a cloud that there is already."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from gscodec.cloud import GaussianCloud
from gscodec.config import Progress, no_progress
from gscodec.errors import BadInputError
from gscodec.scene.capture import Capture
from gscodec.train.densify import ScreenStatistics, densify
from gscodec.train.devices import limit_threads, renderer_for
from gscodec.train.initialise import initial_cloud, scene_extent
from gscodec.train.losses import photometric_loss
from gscodec.train.options import TrainOptions
from gscodec.train.parameters import SplatParameters
from gscodec.train.views import PhotoViews, load_views, shuffled

LOOP = 1  # the random numbers of the loop are others than those of the start


class Record(NamedTuple):
    """One iteration, counted from 1: the loss before its step, the number of splats after it."""

    iteration: int
    loss: float
    splats: int


@dataclass(frozen=True, eq=False)
class TrainResult:
    """The trained cloud, and a record of every iteration."""

    cloud: GaussianCloud
    history: tuple[Record, ...]

    @property
    def final_loss(self) -> float:
        """Mean loss of the last tenth of the iterations, at least one."""
        last = self.history[-max(1, len(self.history) // 10) :]
        return sum(record.loss for record in last) / len(last)


class Trainer:
    """A training in progress. ``step`` is one iteration; between two of them ``prune`` may remove splats.

    What alternates pruning and fine-tuning makes one of these with ``densify`` off and takes turns:
    ``trainer.run(500)``, ``trainer.prune(keep)``, ``trainer.run(500)``, ``trainer.cloud()``.
    """

    def __init__(self, views: PhotoViews, start: GaussianCloud, options: TrainOptions, extent: float) -> None:
        self.views = views
        self.options = options
        self.parameters = SplatParameters(start, options, extent)
        self.history: list[Record] = []
        self.full_degree = False  # train all SH degrees from the first iteration on
        self._render = renderer_for(options.device)
        self._rng = np.random.default_rng([options.seed, LOOP])
        self._order = shuffled(len(views), self._rng)
        self._was_reset = False
        self._statistics = ScreenStatistics(len(self.parameters), options.device)

    @property
    def iteration(self) -> int:
        """Iterations done."""
        return len(self.history)

    def cloud(self) -> GaussianCloud:
        """What has been learned so far."""
        return self.parameters.cloud()

    def prune(self, keep: npt.NDArray[np.bool_]) -> None:
        """Keep the splats of a mask [N], and Adam's memory of them. Raises BadInputError if none would be left."""
        if keep.shape != (len(self.parameters),) or not keep.any():
            found = f"{keep.shape}, {int(keep.sum())} kept"
            raise BadInputError("bad mask", field="keep", found=found, allowed=f"({len(self.parameters)},), 1 or more")
        self.parameters.rebuild(torch.from_numpy(keep).to(self.options.device))
        self._statistics = ScreenStatistics(len(self.parameters), self.options.device)

    def run(
        self,
        iterations: int,
        progress: Progress = no_progress,
        on_iteration: Callable[[Trainer], None] | None = None,
    ) -> None:
        """Take so many steps; ``on_iteration`` is called after each."""
        for done in range(iterations):
            progress("training", done / iterations)
            self.step()
            if on_iteration is not None:
                on_iteration(self)

    def step(self) -> Record:
        """One iteration: a view, its loss and gradients, a step of Adam, and what the schedule has for it.

        Raises BadInputError if the loss is no number any more or no splat is left.
        """
        options, parameters = self.options, self.parameters
        number = next(self._order)
        camera = self.views.cameras[number]
        degree = None if self.full_degree else options.active_sh_degree(self.iteration)
        image, view = self._render(
            parameters["positions"],
            parameters["log_scales"],
            parameters["quats_wxyz"],
            parameters["opacity_logits"],
            parameters.harmonics(degree),
            camera,
            options.background,
            antialiased=options.antialiased,
        )
        loss = photometric_loss(image, self.views.photo(number), options.ssim_weight)
        loss.backward()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise BadInputError("training went astray", field="loss", found=value, allowed="a finite number")
        if options.densify and self.iteration < options.densify_until:
            positions = parameters["positions"] if options.largest_on_screen > 0.0 else None
            self._statistics.add(view, camera, positions)
        parameters.adam_step(self.iteration)
        self._control_density(self.iteration + 1)
        self.history.append(Record(self.iteration + 1, value, len(parameters)))
        return self.history[-1]

    def _control_density(self, iteration: int) -> None:
        options = self.options
        if options.densifies(iteration):
            densify(self.parameters, self._statistics, options, self._rng, limit_size=self._was_reset)
            self._statistics = ScreenStatistics(len(self.parameters), options.device)
        if options.resets_opacity(iteration):
            odds = options.reset_opacity / (1.0 - options.reset_opacity)
            self.parameters.lower_opacities(math.log(odds))
            self._was_reset = True


def train(
    capture: Capture,
    options: TrainOptions | None = None,
    *,
    start: GaussianCloud | None = None,
    progress: Progress = no_progress,
    on_iteration: Callable[[Trainer], None] | None = None,
) -> TrainResult:
    """Train a cloud from the photos of the capture's split "train".

    It begins with the capture's points, with random ones where it has none, or with ``start``, whose SH degrees are
    then trained from the first iteration on, in whose render mode, and whose extras are left out;
    ``TrainOptions.fine_tuning`` makes fitting options. On the CPU the same arguments give the same bits on the same
    machine, for any number of threads.

    Raises BadInputError for a capture without photos or cameras to train from, a photo that is missing or does not
    fit, a start that is empty or not finite, and a device that is not there.
    """
    options = options or TrainOptions()
    with limit_threads(options.threads):
        trainer = prepare(capture, options, start=start, progress=progress)
        trainer.run(options.iterations, progress, on_iteration)
        return TrainResult(trainer.cloud(), tuple(trainer.history))


def prepare(
    capture: Capture,
    options: TrainOptions,
    *,
    start: GaussianCloud | None = None,
    views: PhotoViews | None = None,
    progress: Progress = no_progress,
) -> Trainer:
    """A Trainer that has not begun; see ``train``. ``views`` are loaded from the capture if they are not given."""
    renderer_for(options.device)  # before the photos are read
    if start is not None and len(start) == 0:
        raise BadInputError("nothing to start from", field="splats", found=0, allowed="at least 1")
    if start is not None and start.meta.render_mode == "antialiased":
        options = replace(options, antialiased=True)
    views = views or load_views(capture, "train", options.background, options.device, progress)
    cameras = views.cameras
    points = capture.sfm_points() if start is None else capture.points
    cloud = initial_cloud(cameras, points, options) if start is None else start
    trainer = Trainer(views, cloud, options, scene_extent(cameras, points))
    trainer.full_degree = start is not None
    return trainer
