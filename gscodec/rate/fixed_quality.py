"""A cloud at the quality asked for: pruned of what that cannot show, if it may be, and encoded."""

from __future__ import annotations

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
from gscodec.rate.pruning import KEEPS_ALL_FROM, ordered_by, visible_octaves, worth_keeping


class FixedQuality:
    """``cloud`` with the settings of ``config`` but for its quality; what views show of it, if any are known.

    ``prunes_below``: the quality below which splats go that it does not show; those that stay make up for them.
    """

    def __init__(
        self,
        cloud: GaussianCloud,
        config: EncodeConfig,
        visibility: Visibility | None = None,
        prunes_below: float = KEEPS_ALL_FROM,
    ) -> None:
        self._cloud, self._config, self._visibility, self._prunes_below = cloud, config, visibility, prunes_below

    def encode(
        self, quality: float, progress: Progress = no_progress
    ) -> tuple[list[bytes], EncodeReport, PruneReport | None]:
        """Chunks of the file, and what encode and pruning did; None where no splat may go."""
        cloud, visibility, pruned = self._cloud, self._visibility, None
        if quality < self._prunes_below:
            start = time.perf_counter()
            progress("pruning", 0.0)
            kept = worth_keeping(self._octaves, quality)
            removed = int(np.count_nonzero(~kept))
            if removed:
                cloud = compensated(cloud, kept)
                visibility = visibility and visibility.select(np.flatnonzero(kept))
            seconds, views = time.perf_counter() - start, 0 if visibility is None else len(visibility.centres)
            pruned = PruneReport(ordered_by(len(self._cloud)), len(cloud), removed, seconds, views, removed > 0)
        chunks, report = encode_chunks(cloud, replace(self._config, quality=quality), progress, visibility)
        return chunks, report, pruned

    @cached_property
    def _octaves(self) -> npt.NDArray[np.float64]:
        return visible_octaves(self._cloud, self._visibility)
