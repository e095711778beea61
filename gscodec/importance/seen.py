"""What the views of a cloud say of its splats: passes over the views that several scores share.

Each pass is made when a score first asks for it and kept, so that one render pass per view serves all scores from
contributions and one backward pass per view all from gradients. All sums over views are of double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gscodec.cloud import ATTRIBUTES, GaussianCloud
from gscodec.errors import BadInputError
from gscodec.render import Contributions, Renderer, cpu
from gscodec.render.measuring import FisherRenderer, GradientRenderer, RemovalRenderer
from gscodec.scene.camera import Camera
from gscodec.scene.capture import downscaled

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Report = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class GradientSums:
    """Sums over views of the absolute gradients, float64; what they are gradients of says ``Seen.gradients``.

    ``sh`` [N,K+1,3] and ``covariances`` [N,6]: of each entry's absolute value, taken per view. ``positions`` [N] and
    ``screen_means`` [N]: of the vector's length, taken per view.
    """

    sh: F64
    covariances: F64
    positions: F64
    screen_means: F64


class Seen:
    """A cloud from given views. Scores take it in place of the views.

    Splats that are not finite in every number are left out, for their colours would spoil all others. Splats at the
    very same depth are blended in the cloud's order, so that scores of such depend on that order.

    ``renderer``: the CPU renderer for None. ``photos``: float32 [height, width, 3] for each view, for the scores
    that can use them. ``progress``: called with ("scoring", share of the pass done).
    Raises BadInputError without views, or for another number of photos.
    """

    def __init__(
        self,
        cloud: GaussianCloud,
        views: Sequence[Camera] | None,
        renderer: Renderer | None = None,
        photos: Sequence[F32] | None = None,
        progress: Report | None = None,
    ) -> None:
        if not views:
            raise BadInputError("this score needs views", field="views", found=0, allowed="at least 1")
        if photos is not None and len(photos) != len(views):
            raise BadInputError("a photo for each view", field="photos", found=len(photos), allowed=len(views))
        self.cloud = cloud
        self.views = tuple(views)
        self.renderer: Renderer = cpu if renderer is None else renderer
        self.photos = photos
        self._progress = progress
        self._fisher: dict[int, F64] = {}
        sound = finite_splats(cloud)
        hidden = np.where(sound, cloud.opacity_logits, np.float32(-np.inf))
        self._shown = cloud if sound.all() else replace(cloud, opacity_logits=hidden)

    @property
    def pixels(self) -> int:
        """Of all views together."""
        return sum(view.width * view.height for view in self.views)

    @cached_property
    def contributions(self) -> Contributions:
        """Summed over views; ``max_weight`` is the largest of all views, ``hits`` can count 2**31 - 1 pixels."""
        count = len(self.cloud)
        weight, light, hits = np.zeros(count), np.zeros(count), np.zeros(count, np.int64)
        peak = np.zeros(count, np.float32)
        for view in self._each_view():
            found = self.renderer.contributions(self._shown, view)
            weight += found.weight_sum
            light += found.transmittance_opacity
            hits += found.hits
            np.maximum(peak, found.max_weight, out=peak)
        return Contributions(weight, np.minimum(hits, 2**31 - 1).astype(np.int32), peak, light)

    @cached_property
    def gradients(self) -> GradientSums:
        """Of the sum of all values of each view, as C3DGS has it; needs no photos."""
        return self._gradients(None)

    @cached_property
    def loss_gradients(self) -> GradientSums:
        """Of each view's mean absolute error against its photo; where there are no photos, ``gradients``."""
        return self.gradients if self.photos is None else self._gradients(self.photos)

    def fisher_information(self, resolution: int = 1) -> F64:
        """float64 [N,21] as FisherRenderer has it, views made ``resolution`` times smaller. Raises BadInputError."""
        if resolution not in self._fisher:
            renderer = self.renderer
            if not isinstance(renderer, FisherRenderer):
                raise self._not_offered("Fisher information")
            total = np.zeros((len(self.cloud), 21))
            for view in self._each_view():
                smaller = downscaled(view, resolution) if resolution > 1 else view
                total += renderer.fisher_information(self._shown, smaller)
            self._fisher[resolution] = total
        return self._fisher[resolution]

    @cached_property
    def removal_error(self) -> F64:
        """float64 [N] as RemovalRenderer has it."""
        renderer = self.renderer
        if not isinstance(renderer, RemovalRenderer):
            raise self._not_offered("the error of removing a splat")
        total = np.zeros(len(self.cloud))
        for view in self._each_view():
            total += renderer.removal_error(self._shown, view)
        return total

    def _gradients(self, photos: Sequence[F32] | None) -> GradientSums:
        renderer, count = self.renderer, len(self.cloud)
        if not isinstance(renderer, GradientRenderer):
            raise self._not_offered("gradients")
        terms = self.cloud.sh_rest.shape[1] + 1
        sums = GradientSums(np.zeros((count, terms, 3)), np.zeros((count, 6)), np.zeros(count), np.zeros(count))
        for number, view in enumerate(self._each_view()):
            found = renderer.gradients(self._shown, view, None if photos is None else photos[number])
            sums.sh[:] += np.abs(found.sh)
            sums.covariances[:] += np.abs(found.covariances)
            sums.positions[:] += _lengths(found.positions)
            sums.screen_means[:] += _lengths(found.screen_means)
        return sums

    def _not_offered(self, what: str) -> BadInputError:
        name = getattr(self.renderer, "__name__", type(self.renderer).__name__)
        return BadInputError(
            f"this renderer does not offer {what}", field="renderer", found=name, allowed="the CPU renderer"
        )

    def _each_view(self) -> Iterator[Camera]:
        for number, view in enumerate(self.views):
            if self._progress is not None:
                self._progress("scoring", number / len(self.views))
            yield view


Views = Sequence[Camera] | Seen | None


def seen(cloud: GaussianCloud, views: Views, renderer: Renderer | None) -> Seen:
    """``views`` itself if it is the Seen of this cloud, else a new one. Raises BadInputError."""
    if not isinstance(views, Seen):
        return Seen(cloud, views, renderer)
    if views.cloud is not cloud:
        raise BadInputError("these are the views of another cloud", field="views", found="Seen of another cloud")
    return views


def finite_splats(cloud: GaussianCloud) -> npt.NDArray[np.bool_]:
    """Mask bool [N] of the splats of which every standard number is finite; an infinite opacity logit is sound too."""
    sound = ~np.isnan(cloud.opacity_logits)
    for name in ATTRIBUTES:
        if name != "opacity_logits":
            finite = np.isfinite(getattr(cloud, name))
            sound &= finite.all(axis=tuple(range(1, finite.ndim)))
    return sound


def _lengths(vectors: F32) -> F64:
    wide = vectors.astype(np.float64)
    return np.asarray(np.sqrt((wide * wide).sum(axis=1)), np.float64)
