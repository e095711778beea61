"""Sensitivities from encodes, and the search on them: small clouds, and a made-up codec whose optimum is known."""

import math

import numpy as np
import pytest
from clouds import random_cloud

from gscodec.config import EncodeConfig, StepOffsets
from gscodec.decoder import decode
from gscodec.encoder import encode
from gscodec.errors import BadInputError
from gscodec.rate.allocation import REACH, Allocation, allocate, predict, search
from gscodec.rate.reference import Reference, log_mean_error
from gscodec.rate.sensitivity import Sensitivity, Trial, Trials, attributes, measure, offsets_of
from gscodec.scene.virtual import look_at

ERRORS = {"position": 4.0, "scale": 1.0, "opacity": 0.5, "rotation": 1.0, "dc": 2.0, "ac1": 3.0, "ac2": 4.0}
BITS = {"position": 3.0, "scale": 3.0, "opacity": 1.0, "rotation": 3.0, "dc": 3.0, "ac1": 5.0, "ac2": 9.0}
SHARED = 100.0  # bits that no step changes


def camera(distance=-8.0):
    return look_at(np.array([0.0, distance, 1.0]), np.zeros(3), np.array([0.0, 0.0, 1.0]), 64, 48)


class ModelTrials(Trials):
    """Each attribute adds ERRORS · 4**octaves to the error and takes BITS less per octave."""

    def __init__(self):
        self.attributes = attributes(2)
        self.count = 0
        self.seen = []

    def run(self, octaves):
        self.count += 1
        self.seen.append(dict(octaves))
        error = sum(own * 4.0 ** octaves.get(name, 0.0) for name, own in ERRORS.items())
        bits = SHARED + sum(own * (8.0 - octaves.get(name, 0.0)) for name, own in BITS.items())
        return Trial(offsets_of(octaves), bits, 1e-6 * error)


class RecordedTrials(Trials):
    """Keeps what it made."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.made = []

    def run(self, octaves):
        self.made.append(super().run(octaves))
        return self.made[-1]


def best_at_equal_size():
    """Octaves with equal error per bit, and no change of the sum of bits."""
    own = {name: math.log2(ERRORS[name] / BITS[name]) / 2.0 for name in ERRORS}
    middle = sum(BITS[name] * own[name] for name in own) / sum(BITS.values())
    return {name: middle - value for name, value in own.items()}


def test_sensitivities_of_a_model_are_its_own():
    trials = ModelTrials()
    found = measure(trials, trials.run({}))
    assert list(found) == list(ERRORS)
    for name, one in found.items():
        assert one.error == pytest.approx(1e-6 * ERRORS[name], rel=1e-9)
        assert one.bits == pytest.approx(BITS[name], rel=1e-9)


def test_prediction_is_the_optimum_of_the_model():
    sensitivities = {name: Sensitivity(ERRORS[name], BITS[name]) for name in ERRORS}
    found = predict(sensitivities)
    assert found == pytest.approx(best_at_equal_size(), abs=1e-9)
    assert sum(BITS[name] * octaves for name, octaves in found.items()) == pytest.approx(0.0, abs=1e-9)


def test_prediction_stays_within_reach():
    found = predict({"position": Sensitivity(1.0, 3.0), "dc": Sensitivity(1e-9, 3.0), "ac1": Sensitivity(1.0, 0.0)})
    assert found == pytest.approx({"position": -REACH, "dc": REACH, "ac1": 0.0})
    assert predict({"dc": Sensitivity(1.0, -1.0)}) == {"dc": 0.0}


def test_search_takes_the_prediction_and_then_finds_little():
    trials = ModelTrials()
    result = search(trials, 40)
    assert isinstance(result, Allocation)
    assert result.encodes == trials.count <= 40
    assert result.offsets == offsets_of(result.found)
    best = best_at_equal_size()
    for name, octaves in result.found.items():
        assert abs(octaves - best[name]) <= 0.25
    assert result.saving > 0.0


def test_search_keeps_to_its_encodes_and_repeats_itself():
    runs = []
    for _ in range(2):
        trials = ModelTrials()
        runs.append((search(trials, 12), trials.seen))
        assert trials.count == 12
    assert runs[0] == runs[1]


def test_no_offsets_where_nothing_wins():
    class Worse(ModelTrials):
        def run(self, octaves):
            trial = super().run(octaves)
            moved = len(set(octaves.values()) | ({0.0} if len(octaves) < len(ERRORS) else set())) > 1
            return Trial(trial.offsets, trial.bits + 100.0, trial.error) if moved and self.count > 9 else trial

    result = search(Worse(), 30)
    assert result.offsets == StepOffsets()
    assert result.saving == 0.0


def test_too_few_encodes():
    with pytest.raises(BadInputError, match="encodes"):
        search(ModelTrials(), 9)


def test_unknown_attribute():
    with pytest.raises(BadInputError, match="ac5"):
        offsets_of({"ac5": 1.0})
    assert offsets_of({"dc": 0.5, "ac3": -1.0}) == StepOffsets(dc=0.5, ac=(0.0, 0.0, -1.0, 0.0))


@pytest.mark.parametrize(("count", "config"), [(0, EncodeConfig()), (5, EncodeConfig(lossless=True))])
def test_nothing_to_allocate(count, config):
    cloud = random_cloud(5, 1, seed=1)
    reference = Reference(cloud, [camera()])
    with pytest.raises(BadInputError, match="allocate"):
        Trials(cloud.select(np.arange(count)), config, reference)


def test_real_encodes():
    cloud = random_cloud(1000, 1, seed=3)
    reference = Reference(cloud, [camera(-9.0), camera(7.0)])
    config = EncodeConfig(quality=60.0, preset="fast")
    data = encode(cloud, config)
    error = log_mean_error(reference.view_psnrs(decode(data)))
    trials = RecordedTrials(cloud, config, reference)
    result = search(trials, 9)
    base, coarser = trials.made[:2]
    assert result.encodes == len(trials.made) == 9
    assert (base.bits, base.error) == (8.0 * len(data) / 1000, error)
    assert list(result.sensitivities) == ["position", "scale", "opacity", "rotation", "dc", "ac1"]
    # An octave of a value's step is about a bit.
    for name, values in (("position", 3.0), ("scale", 3.0), ("rotation", 3.0), ("dc", 3.0), ("ac1", 9.0)):
        assert 0.5 * values < result.sensitivities[name].bits < 1.1 * values
    slope = math.log(coarser.error / base.error) / (base.bits - coarser.bits)
    best = next(trial for trial in trials.made if trial.offsets == result.offsets)
    gain = math.log(best.error / base.error) + slope * (best.bits - base.bits)
    assert result.saving == pytest.approx(-gain / (slope * base.bits), abs=1e-12)
    assert result.saving >= 0.0


def test_allocate_is_the_search():
    cloud = random_cloud(100, 0, seed=4)
    reference = Reference(cloud, [camera()])
    config = EncodeConfig(preset="fast")
    assert allocate(cloud, config, reference, encodes=8) == search(Trials(cloud, config, reference), 8).offsets
