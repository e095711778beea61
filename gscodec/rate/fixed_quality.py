"""A cloud at the quality asked for: pruned of what that does not show, if it may be, and encoded."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, Progress, Visibility, no_progress
from gscodec.encoder import EncodeReport, encode_chunks
from gscodec.importance.compensate import compensated
from gscodec.importance.prune import PruneReport
from gscodec.rate.allocation import allocate
from gscodec.rate.pruning import KEEPS_ALL_FROM, visible_octaves, worth_keeping
from gscodec.rate.reference import Reference

BY_QUALITY = "auto"  # the method that reports and --prune name


class FixedQuality:
    """``cloud`` with the settings of ``config`` but for its quality; what views show of it, if any are known.

    ``prunes_below``: the quality below which splats go that it does not show, while those that stay make up for them;
    math.inf: at any. A lossless file keeps all. ``judge``: renders by which bits are moved between attributes.
    """

    def __init__(
        self,
        cloud: GaussianCloud,
        config: EncodeConfig,
        visibility: Visibility | None = None,
        prunes_below: float = KEEPS_ALL_FROM,
        judge: Reference | None = None,
    ) -> None:
        self._cloud, self._config, self._visibility, self._judge = cloud, config, visibility, judge
        self._prunes_below = 0.0 if config.lossless else prunes_below

    def encode(
        self, quality: float, progress: Progress = no_progress
    ) -> tuple[list[bytes], EncodeReport, PruneReport | None]:
        """Chunks of the file, and what encode and pruning did; None where no splat went."""
        config = replace(self._config, quality=quality)
        cloud, visibility, pruned = self._shown(quality, progress)
        if self._judge is not None:
            progress("judging", 0.0)
            config = replace(config, offsets=allocate(cloud, config, self._judge, visibility))
        chunks, report = encode_chunks(cloud, config, progress, visibility)
        return chunks, report, pruned

    def _shown(self, quality: float, progress: Progress) -> tuple[GaussianCloud, Visibility | None, PruneReport | None]:
        """What the quality shows of the cloud."""
        cloud, visibility = self._cloud, self._visibility
        if quality >= self._prunes_below:
            return cloud, visibility, None
        start = time.perf_counter()
        progress("pruning", 0.0)
        kept = worth_keeping(self._octaves, quality, gradually=self._prunes_below < math.inf)
        if kept.all():
            return cloud, visibility, None
        shown = compensated(cloud, kept)
        views = 0 if visibility is None else len(visibility.centres)
        report = PruneReport(
            BY_QUALITY, len(shown), len(cloud) - len(shown), time.perf_counter() - start, views, compensated=True
        )
        return shown, visibility and visibility.select(np.flatnonzero(kept)), report

    @cached_property
    def _octaves(self) -> npt.NDArray[np.float64]:
        return visible_octaves(self._cloud, self._visibility)
