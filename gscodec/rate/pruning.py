"""Which splats go where nobody says how many: for a target by what views would miss, for a quality by what it can show.

The error of removal says exactly what the given views lose, and nothing of what others see: what they never see
scores zero. ``rap-distilled`` judges a splat by itself and its neighbours. For a target the higher of both ranks
counts, so that a splat has to be unimportant to both before it goes (docs/experiments.md).

A quality says how large errors may be, and steps follow from the weight of each splat (``native/footprint.py``): one
whose weight is so small that it shows less than they do is not worth its bits. How many these are the weights say;
which ones, ``rap-distilled`` says better: weights do not know what else is there.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gscodec.branches.native.footprint import log_weights, viewing_zone
from gscodec.branches.native.settings import DEFAULT_QUALITY, step_factor
from gscodec.cloud import GaussianCloud
from gscodec.config import Visibility
from gscodec.importance.scores import score
from gscodec.importance.seen import Seen
from gscodec.sanitise import usable

F64 = npt.NDArray[np.float64]

LEARNED = "rap-distilled"
SCORED_BY = f"removal and {LEARNED}"
LEARNED_UP_TO = 4_000_000  # splats: features and a copy of the cloud take 1 kB of memory each
KEEPS_ALL_FROM = DEFAULT_QUALITY  # what is to look like the source keeps its splats
NEGLIGIBLE = -2.5  # octaves of weight at DEFAULT_QUALITY below which a splat is not worth its bits
GROWTH = 0.7  # of that for each octave of steps: what is missing adds up, and the coarser the steps the more goes
MOST_LIGHT, LIGHT_GROWTH = 0.002, 1.6  # share of all light that may go, and its octaves for each of steps
ONSET, ONSET_STEPS = 5.0, 1.0 / 3.0  # octaves that weights must be below all this at KEEPS_ALL_FROM; none from here on


def target_scores(cloud: GaussianCloud, seen: Seen) -> npt.NDArray[np.float32]:
    """Importance float32[N], 0..1, from the views of ``seen`` and without any. Raises BadInputError."""
    ranks = [_ranks(score("removal", cloud, seen)), _ranks(score(LEARNED, cloud))]
    return np.asarray(np.maximum(*ranks), np.float32)


def visible_octaves(cloud: GaussianCloud, visibility: Visibility | None = None) -> F64:
    """How much each splat shows, float64[N] in octaves of the encoder's weights; inf for what no file keeps.

    The weights of the cloud, put in the order of ``rap-distilled``; as they are where that would take too much memory.
    """
    octaves = np.full(len(cloud), np.inf)
    sound = usable(cloud)[0]
    if not sound.any():
        return octaves
    if not sound.all():
        cloud = cloud.select(sound)
        visibility = visibility and visibility.select(np.flatnonzero(sound))
    zone = viewing_zone(cloud.positions, cloud.log_scales)
    own, _ = log_weights(zone, cloud.positions, cloud.log_scales, cloud.opacity_logits, visibility)
    if len(cloud) > LEARNED_UP_TO:
        octaves[sound] = own
        return octaves
    ranks = _ranks(score(LEARNED, cloud)) * len(cloud) - 0.5
    octaves[sound] = np.sort(own)[ranks.astype(np.int64)]
    return octaves


def worth_keeping(octaves: F64, quality: float, gradually: bool = False) -> npt.NDArray[np.bool_]:
    """Mask bool[N] of the splats that a file of ``quality`` 1..100 keeps, at least one; ``visible_octaves`` [N].

    Those that go have little light together: of fog, which is nothing but faint splats, most stays. ``gradually``: from
    KEEPS_ALL_FROM downwards, where all stay, ever more may go, so that sizes have no gap there.
    """
    steps = math.log2(step_factor(quality))
    limit = NEGLIGIBLE + GROWTH * steps
    if gradually:
        limit -= ONSET * max(1.0 - steps / ONSET_STEPS, 0.0)
    kept = octaves >= limit
    known = octaves[np.isfinite(octaves)]
    if len(known) and not kept.all():
        ordered = np.sort(known)
        light = np.cumsum(np.exp2(2.0 * (ordered - ordered[-1])))  # squared weights go with light
        allowed = min(MOST_LIGHT * 2.0 ** (LIGHT_GROWTH * steps), 1.0) * light[-1]
        # At least the brightest stays.
        kept |= octaves >= ordered[min(int(np.searchsorted(light, allowed, "right")), len(ordered) - 1)]
    return np.asarray(kept)


def _ranks(scores: npt.NDArray[np.float32]) -> F64:
    """0..1, the highest score last; the mean rank for equal ones."""
    order = np.argsort(scores, kind="stable")  # scipy.stats has this too, and takes half a second to import
    ordered = scores[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)])
    counts = np.diff(np.r_[first, len(ordered)])
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(first + (counts + 1) / 2.0, counts) / max(len(scores), 1)
    return ranks
