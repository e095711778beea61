"""A cloud as what a target is reached with: pruned, truncated, encoded, and seen from the views that judge it.

Of a large cloud, some tiles stand for all where only the size is to be learned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gscodec.branches.native.settings import refinement_count
from gscodec.branches.native.tiling import cut
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, Progress, Visibility, no_progress
from gscodec.decoder import decode
from gscodec.encoder import EncodeReport, encode_chunks
from gscodec.importance.compensate import compensated
from gscodec.importance.prune import lowest
from gscodec.rate.losses import Losses
from gscodec.rate.model import Choice, Trial, squared_errors
from gscodec.rate.recolour import recoloured
from gscodec.rate.reference import Reference

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
BOOL = npt.NDArray[np.bool_]

LARGE = 2_000_000  # splats from which a sample is worth its while
SAMPLE_TILES = 8
UNCUT = 2.0**100  # a cell so large that no tile is cut for the sake of its depth


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
        self._refinements: int | None = None
        self._shares: tuple[float, ...] = ()
        self.losses: Losses | None = None
        if reference is not None:
            self.losses = Losses(self._loss, range(cloud.sh_degree, -1, -1), prunes=scores is not None)

    def encode(self, choice: Choice) -> tuple[Trial, EncodedFile]:
        """As ``control.Codec``."""
        kept = self._kept(choice.fraction)
        cloud, config, seen = self._part(kept, choice.degree), self._settings(choice.quality), self._seen(kept)
        chunks, report = encode_chunks(cloud, config, self._progress, seen)
        errors = losses = None
        if self._reference is not None and self.losses is not None:
            self._progress("judging", 0.0)
            errors = squared_errors(self._reference.view_psnrs(decode(b"".join(chunks), threads=config.threads)))
            losses = self.losses.at(choice.fraction, choice.degree)
        removed = self.splats - len(cloud)
        sizes = self._degree_bytes(report, cloud, config, seen)
        trial = Trial(choice, report.bytes, sizes, errors, losses)
        return trial, EncodedFile(chunks, report, removed)

    def recoloured(self, choice: Choice, colours: Reference) -> CloudCodec:
        """Of what a choice leaves, with colours moved by ``colours`` at its quality; nothing more is pruned."""
        kept = self._kept(choice.fraction)
        cloud, config, seen = self._part(kept, choice.degree), self._settings(choice.quality), self._seen(kept)
        moved = recoloured(cloud, config, colours, seen, self._progress)
        return CloudCodec(moved, config, self._reference, None, seen, self._progress)

    def sample(self, choice: Choice) -> Trial | None:
        """As ``control.Codec``: what a file of some tiles says of one of all."""
        if self.splats < LARGE:
            return None
        kept = self._kept(choice.fraction)
        part = self._sampled if kept is None else self._sampled & kept
        if not part.any():
            return None
        cloud = self._cloud.select(part).at_sh_degree(choice.degree)
        config, seen = self._settings(choice.quality), self._seen(part)
        _, report = encode_chunks(cloud, config, self._progress, seen)
        times = (self.splats if kept is None else np.count_nonzero(kept)) / len(cloud)
        palette = report.stream_bytes.get("PALETTE", 0)  # of some tiles nearly all that the scene needs
        of_degrees = [times * size for size in self._degree_bytes(report, cloud, config, seen)]
        if of_degrees:
            of_degrees[0] -= (times - 1.0) * palette
        return Trial(choice, round(times * report.bytes - (times - 1.0) * palette), tuple(map(round, of_degrees)))

    @cached_property
    def _sampled(self) -> BOOL:
        """Tiles evenly spread over those of the whole cloud."""
        tiles = cut(self._cloud.positions, np.zeros(self.splats, np.int32), UNCUT)
        chosen = np.linspace(0, len(tiles) - 1, min(SAMPLE_TILES, len(tiles))).round().astype(int)
        sampled = np.zeros(self.splats, bool)
        for number in chosen.tolist():
            sampled[tiles[number]] = True
        return sampled

    def _settings(self, quality: float) -> EncodeConfig:
        """As many refinements for all trials as for the first: with another number, sizes would jump."""
        if self._refinements is None:
            self._refinements = self._config.refinements or refinement_count(quality)
        return replace(self._config, quality=quality, refinements=self._refinements)

    def _degree_bytes(
        self, report: EncodeReport, cloud: GaussianCloud, config: EncodeConfig, seen: Visibility | None
    ) -> tuple[int, ...]:
        """Of each SH degree from 1 on, a palette counting for the first. Refinements are of all at once: a plain file
        tells their parts, once.
        """
        kinds = [f"AC{degree}" for degree in range(1, cloud.sh_degree + 1)]
        if not config.progressive:
            shared = sum(report.stream_bytes.get(kind, 0) for kind in ("PALETTE", "INDICES"))
            return tuple(report.stream_bytes.get(kind, shared if kind == "AC1" else 0) for kind in kinds)
        if len(self._shares) < len(kinds):
            plain = encode_chunks(cloud, replace(config, progressive=False, palette=False), self._progress, seen)[1]
            self._shares = tuple(plain.stream_bytes.get(kind, 0) / plain.bytes for kind in kinds)
        return tuple(round(share * report.bytes) for share in self._shares[: len(kinds)])

    def _seen(self, kept: BOOL | None) -> Visibility | None:
        if self._visibility is None or kept is None:
            return self._visibility
        return self._visibility.select(np.flatnonzero(kept))

    def _loss(self, fraction: float, degree: int) -> F64:
        assert self._reference is not None
        self._progress("judging", 0.0)
        return squared_errors(self._reference.view_psnrs(self._part(self._kept(fraction), degree)))

    def _kept(self, fraction: float) -> BOOL | None:
        if fraction == 0.0:
            return None
        assert self._scores is not None
        count = min(math.floor(self.splats * fraction + 0.5), self.splats - 1)  # of a few splats one stays
        return ~lowest(self._cloud, self._scores, count)

    def _part(self, kept: BOOL | None, degree: int) -> GaussianCloud:
        cloud = self._cloud if kept is None else compensated(self._cloud, kept)
        return cloud.at_sh_degree(degree)
