"""Base steps for a quality: the one place that balances the attributes against each other.

The steps are those at which a further bit lowers the squared error of the image by about the same amount
in every attribute (docs/experiments.md); quality scales all of them together, by a factor of two every 15 points
(but for ``_coarser``).
"""

from __future__ import annotations

import math
from typing import Any

from bitstream_spec.tables import CELL_PARTS
from gscodec.branches.native.footprint import Zone
from gscodec.branches.native.refinement import FACTOR
from gscodec.config import StepOffsets
from gscodec.transform.fixed import LN2_PER_UNIT, OCTAVE

DEFAULT_QUALITY = 75.0
POINTS_PER_FACTOR_OF_TWO = 15.0

# At DEFAULT_QUALITY and weight class WEIGHT_ZERO.
PART = 0.063  # pixels: of a leaf cell, along each axis
SCALE = 0.063  # natural log
RATIO = 0.072  # of the middle axis
OPACITY = 0.054  # natural log
ROTATION = 0.072  # radians
COMPONENT = 0.045  # of colour: errors of all components show alike

DEPENDENT_FROM = 15.0  # quality below which codes are too small for dependent quantisation
COARSER = 0.2  # octaves by which dependent steps are coarser up to COARSER_UP_TO; less above, none from the default
COARSER_UP_TO = 30.0

LOWEST_QUALITY = 3.0  # of what a progressive file begins with
MOST_REFINEMENTS = 2  # each makes a file some per cent larger

AC_ROUND_UP = 0.45  # component magnitudes round up from here: rounding to nearest loses energy, and errors add up


def step_factor(quality: float) -> float:
    """What every base step is multiplied by at ``quality`` 1..100."""
    return float(2.0 ** ((DEFAULT_QUALITY - quality) / POINTS_PER_FACTOR_OF_TWO))


def _coarser(quality: float) -> float:
    """Octaves by which steps of what is quantised dependently are coarser: small codes gain less than they cost.

    So a quality keeps its size, and what it gains is fidelity.
    """
    return COARSER * min(max((DEFAULT_QUALITY - quality) / (DEFAULT_QUALITY - COARSER_UP_TO), 0.0), 1.0)


def refinement_count(quality: float) -> int:
    """Refinements of a progressive file: as many as leave something to be seen without them, but at least one."""
    finer = math.floor((quality - LOWEST_QUALITY) / (POINTS_PER_FACTOR_OF_TWO * math.log2(FACTOR)))
    return min(max(finer, 1), MOST_REFINEMENTS)


def base_steps(quality: float, zone: Zone, offsets: StepOffsets, refinements: int = 0) -> dict[str, Any]:
    """The fields of NATIVE_PARAMS that quality, offsets and zone decide; ``refinements`` come on top of them."""
    factor = step_factor(quality) * float(FACTOR**refinements)
    dependent = not refinements and quality >= DEPENDENT_FROM
    ours = factor * math.exp2(_coarser(quality)) if dependent else factor
    rotation = ROTATION * ours * math.exp2(offsets.rotation)

    def whole(step: float, times: float, offset: float) -> int:
        return min(max(round(step * times * math.exp2(offset)), 1), (1 << 24) - 1)

    return {
        "zone_centre": tuple(float(x) for x in zone.centre),
        "zone_radius": zone.radius,
        "cell_size": CELL_PARTS * PART * ours * math.exp2(offsets.position),
        "pixel_log": round(math.log2(zone.focal) * OCTAVE),
        "scale_step": whole(SCALE / LN2_PER_UNIT, ours, offsets.scale),
        "ratio_step": whole(RATIO * OCTAVE, ours, offsets.scale),
        "opacity_step": whole(OPACITY / LN2_PER_UNIT, ours, offsets.opacity),
        "dc_step": whole(COMPONENT * (1 << 20), ours, offsets.dc),
        "ac_step": tuple(whole(COMPONENT * (1 << 20), factor, own) for own in offsets.ac),
        "dependent": int(dependent),
        # Levels span 1.6 radians of direction and pi of roll; the eighth of an octave rounds to nearest.
        "direction_offset": round((math.log2(1.6 / rotation) + 0.125) * OCTAVE),
        "roll_offset": round((math.log2(math.pi / rotation) + 0.125) * OCTAVE),
    }
