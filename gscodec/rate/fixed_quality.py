"""A cloud at the quality asked for: pruned of what that does not show, if it may be, and encoded."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, Progress, Visibility, no_progress
from gscodec.decoder import decode
from gscodec.encoder import EncodeReport, encode_chunks
from gscodec.importance.compensate import compensated
from gscodec.importance.prune import PruneReport
from gscodec.rate.allocation import allocate
from gscodec.rate.pruning import KEEPS_ALL_FROM, LEARNED_UP_TO, visible_octaves, worth_keeping
from gscodec.rate.recolour import LEAST_GAIN, recoloured
from gscodec.rate.reference import Reference

BY_QUALITY = "auto"  # the method that reports and --prune name


@dataclass(frozen=True, eq=False)
class Judges:
    """Renders of the source that the preset "max" goes by, from other views each.

    ``steps``: bits are moved between attributes by these, and colours only if that shows in them. ``colours``: what
    colours are moved by.
    """

    steps: Reference
    colours: Reference


class FixedQuality:
    """``cloud`` with the settings of ``config`` but for its quality; what views show of it, if any are known.

    ``prunes_below``: the quality below which splats go that it does not show, while those that stay make up for them
    (not in a cloud so large that there is no room for a changed copy); math.inf: at any. A lossless file keeps all.
    ``judges``: renders to search by; None: nothing is searched.
    """

    def __init__(
        self,
        cloud: GaussianCloud,
        config: EncodeConfig,
        visibility: Visibility | None = None,
        prunes_below: float = KEEPS_ALL_FROM,
        judges: Judges | None = None,
    ) -> None:
        self._cloud, self._config, self._visibility, self._judges = cloud, config, visibility, judges
        self._prunes_below = 0.0 if config.lossless else prunes_below

    def encode(
        self, quality: float, progress: Progress = no_progress
    ) -> tuple[list[bytes], EncodeReport, PruneReport | None]:
        """Chunks of the file, and what encode and pruning did; None where no splat went."""
        config = replace(self._config, quality=quality)
        cloud, visibility, wanted, pruned = self._cloud, self._visibility, None, None
        if quality < self._prunes_below:
            start = time.perf_counter()
            progress("pruning", 0.0)
            kept = worth_keeping(self._octaves, quality, gradually=self._prunes_below < math.inf)
            removed = int(np.count_nonzero(~kept))
            large = len(cloud) > LEARNED_UP_TO  # of which there is no room for a copy
            if removed and large:
                wanted = kept
            elif removed:
                cloud = compensated(cloud, kept)
                visibility = visibility and visibility.select(np.flatnonzero(kept))
            if removed:
                views = 0 if self._visibility is None else len(self._visibility.centres)
                seconds = time.perf_counter() - start
                pruned = PruneReport(BY_QUALITY, len(kept) - removed, removed, seconds, views, not large)
        if self._judges is None:
            chunks, report = encode_chunks(cloud, config, progress, visibility, wanted)
        else:
            if wanted is not None:
                cloud, visibility = cloud.select(wanted), visibility and visibility.select(np.flatnonzero(wanted))
            chunks, report = _searched(cloud, config, visibility, self._judges, progress)
        return chunks, report, pruned

    @cached_property
    def _octaves(self) -> npt.NDArray[np.float64]:
        return visible_octaves(self._cloud, self._visibility)


def _searched(
    cloud: GaussianCloud, config: EncodeConfig, visibility: Visibility | None, judges: Judges, progress: Progress
) -> tuple[list[bytes], EncodeReport]:
    """As ``encode_chunks``, of the best that was found."""
    progress("judging", 0.0)
    config = replace(config, offsets=allocate(cloud, config, judges.steps, visibility))
    other = recoloured(cloud, config, judges.colours, visibility, progress)
    files = [encode_chunks(each, config, progress, visibility) for each in (cloud, other)]
    shown = [judges.steps.psnr(decode(b"".join(chunks), threads=config.threads)) for chunks, _ in files]
    return files[1] if shown[1] > shown[0] + LEAST_GAIN else files[0]
