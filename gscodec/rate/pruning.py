"""Which splats a target removes first: those that neither views nor what was learned from other scenes would miss.

The error of removal says exactly what the given views lose, and nothing of what others see: what they never see
scores zero. ``rap-distilled`` judges a splat by itself and its neighbours. The higher of both ranks counts, so that a
splat has to be unimportant to both before it goes (docs/experiments.md).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.importance.scores import score
from gscodec.importance.seen import Seen

LEARNED = "rap-distilled"
SCORED_BY = f"removal and {LEARNED}"


def target_scores(cloud: GaussianCloud, seen: Seen) -> npt.NDArray[np.float32]:
    """Importance float32[N], 0..1, from the views of ``seen`` and without any. Raises BadInputError."""
    ranks = [_ranks(score("removal", cloud, seen)), _ranks(score(LEARNED, cloud))]
    return np.asarray(np.maximum(*ranks), np.float32)


def _ranks(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """0..1, the highest score last; the mean rank for equal ones."""
    ordered = np.sort(scores)  # scipy.stats has this too, and takes half a second to import
    below, up_to = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return np.asarray((below + up_to + 1) / (2 * max(len(scores), 1)))
