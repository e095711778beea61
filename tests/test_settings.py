"""Base steps and their offsets."""

import numpy as np
import pytest

from gscodec.branches.native.footprint import Zone
from gscodec.branches.native.settings import base_steps
from gscodec.config import StepOffsets
from gscodec.errors import BadInputError
from gscodec.transform.fixed import OCTAVE

ZONE = Zone(np.zeros(3), 1.0, 1000.0)
BALANCE = base_steps(75.0, ZONE, StepOffsets())


@pytest.mark.parametrize("refinements", [0, 1])
def test_an_octave_of_quality_and_of_all_offsets_are_the_same(refinements: int) -> None:
    all_coarser = StepOffsets(1.0, 1.0, 1.0, 1.0, 1.0, (1.0, 1.0, 1.0, 1.0))
    finer, coarser = ((90.0, 75.0), (75.0, 60.0))[refinements]
    assert base_steps(finer, ZONE, all_coarser, refinements) == base_steps(coarser, ZONE, StepOffsets(), refinements)


@pytest.mark.parametrize(
    ("quality", "refinements", "dependent", "octaves"),
    [(14.9, 0, 0, 0.0), (15.0, 0, 1, 0.2), (30.0, 0, 1, 0.2), (52.5, 0, 1, 0.1), (75.0, 0, 1, 0.0), (40.0, 1, 0, 0.0)],
)
def test_small_codes_are_not_dependent_or_have_coarser_steps(
    quality: float, refinements: int, dependent: int, octaves: float
) -> None:
    steps = base_steps(quality, ZONE, StepOffsets(), refinements)
    assert steps["dependent"] == dependent
    assert steps["dc_step"] / steps["ac_step"][0] == pytest.approx(2.0**octaves, rel=1e-3)


@pytest.mark.parametrize(
    ("attribute", "names", "change"),
    [
        ("position", {"cell_size"}, 2.0),
        ("scale", {"scale_step", "ratio_step"}, 2.0),
        ("opacity", {"opacity_step"}, 2.0),
        ("dc", {"dc_step"}, 2.0),
        ("rotation", {"direction_offset", "roll_offset"}, -OCTAVE),
    ],
)
def test_each_offset_moves_its_own_steps(attribute: str, names: set[str], change: float) -> None:
    steps = base_steps(75.0, ZONE, StepOffsets(**{attribute: 1.0}))
    assert {name for name in steps if steps[name] != BALANCE[name]} == names
    for name in names:
        if attribute == "rotation":
            assert steps[name] - BALANCE[name] == change
        else:
            assert steps[name] == pytest.approx(change * BALANCE[name], rel=0.01)


def test_sh_degrees_have_offsets_of_their_own() -> None:
    steps = base_steps(75.0, ZONE, StepOffsets(ac=(0.0, 0.0, 1.0, 0.0)))["ac_step"]
    assert steps[2] == pytest.approx(2 * BALANCE["ac_step"][2], abs=1)
    assert [steps[k] for k in (0, 1, 3)] == [BALANCE["ac_step"][k] for k in (0, 1, 3)]


@pytest.mark.parametrize("wrong", [{"dc": 17.0}, {"ac": (0.0,)}, {"ac": (0.0, 0.0, 0.0, float("nan"))}])
def test_offsets_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(BadInputError, match=next(iter(wrong))):
        StepOffsets(**wrong)
