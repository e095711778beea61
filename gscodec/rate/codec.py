"""A cloud as what a target is reached with: pruned, truncated, encoded, and seen from the views that judge it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, Progress, Visibility, no_progress
from gscodec.decoder import decode
from gscodec.encoder import EncodeReport, encode_chunks
from gscodec.importance.compensate import compensated
from gscodec.importance.prune import lowest
from gscodec.rate.losses import Losses
from gscodec.rate.model import Choice, Trial, squared_errors
from gscodec.rate.reference import Reference

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EncodedFile:
    """Chunks of a file, and what encode did; ``removed``: splats that were pruned before."""

    chunks: list[bytes]
    report: EncodeReport
    removed: int


class CloudCodec:
    """``cloud`` with the settings of ``config`` but for its quality; every splat of it has to be usable.

    ``reference``: renders to judge by; without it quality alone is chosen. ``scores`` float32[N]: importance, to prune
    by; None: nothing is pruned. What stays makes up for what goes (``gscodec.importance.compensate``).
    """

    def __init__(
        self,
        cloud: GaussianCloud,
        config: EncodeConfig,
        reference: Reference | None = None,
        scores: F32 | None = None,
        visibility: Visibility | None = None,
        progress: Progress = no_progress,
    ) -> None:
        self._cloud, self._config, self._progress = cloud, config, progress
        self._reference, self._scores, self._visibility = reference, scores, visibility
        self.splats, self.degree = len(cloud), cloud.sh_degree
        self.losses: Losses | None = None
        if reference is not None:
            self.losses = Losses(self._loss, range(cloud.sh_degree, -1, -1), prunes=scores is not None)

    def encode(self, choice: Choice) -> tuple[Trial, EncodedFile]:
        """As ``control.Codec``."""
        kept = self._kept(choice.fraction)
        cloud = self._part(kept, choice.degree)
        visibility = self._visibility
        if visibility is not None and kept is not None:
            visibility = visibility.select(np.flatnonzero(kept))
        config = replace(self._config, quality=choice.quality)
        chunks, report = encode_chunks(cloud, config, self._progress, visibility)
        sizes = tuple(report.stream_bytes.get(f"AC{degree}", 0) for degree in range(1, choice.degree + 1))
        errors = losses = None
        if self._reference is not None and self.losses is not None:
            self._progress("judging", 0.0)
            errors = squared_errors(self._reference.view_psnrs(decode(b"".join(chunks), threads=config.threads)))
            losses = self.losses.at(choice.fraction, choice.degree)
        removed = self.splats - len(cloud)
        return Trial(choice, report.bytes, sizes, errors, losses), EncodedFile(chunks, report, removed)

    def _loss(self, fraction: float, degree: int) -> F64:
        assert self._reference is not None
        self._progress("judging", 0.0)
        return squared_errors(self._reference.view_psnrs(self._part(self._kept(fraction), degree)))

    def _kept(self, fraction: float) -> npt.NDArray[np.bool_] | None:
        if fraction == 0.0:
            return None
        assert self._scores is not None
        count = min(math.floor(self.splats * fraction + 0.5), self.splats - 1)  # of a few splats one stays
        return ~lowest(self._cloud, self._scores, count)

    def _part(self, kept: npt.NDArray[np.bool_] | None, degree: int) -> GaussianCloud:
        cloud = self._cloud if kept is None else compensated(self._cloud, kept)
        return cloud.at_sh_degree(degree)
