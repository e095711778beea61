"""Opacity: codes of its logarithm, logits back."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from test_fixed import slow_exp2, slow_log2

from gscodec.transform.fixed import LN2_PER_UNIT, OCTAVE, ONE
from gscodec.transform.opacity import MIN_LOG, decode_opacity, log_opacities, opacity_logits, quantise_opacity
from gscodec.transform.trellis import DEPENDENT, PLAIN, halves


def slow_decode(code: int, step: int) -> tuple[int, np.float32]:
    log = max(-code * step, -24 * 65536)
    rest = max(ONE - slow_exp2(log), ONE >> 13)
    return log, np.float32((log - slow_log2(rest)) * (0.6931471805599453 / 65536))


def test_dependent_codes_decode_from_their_halves() -> None:
    codes = np.random.default_rng(1).integers(0, 60, 400).astype(np.uint32)
    steps = np.full(400, 6617, np.int64)
    expected = [max(-(half * 6617 >> 1), -24 * 65536) for half in halves(codes, DEPENDENT).tolist()]
    assert decode_opacity(codes, steps, DEPENDENT).tolist() == expected


def test_decode_is_exact() -> None:
    rng = np.random.default_rng(0)
    codes = np.concatenate([np.arange(200), rng.integers(0, 2**32, 200)]).astype(np.uint32)
    steps = rng.choice([1, 77, 6618, 65536], 400)
    logs = decode_opacity(codes, steps, PLAIN)
    logits = opacity_logits(logs)
    expected = [slow_decode(int(code), int(step)) for code, step in zip(codes, steps, strict=True)]
    assert logs.tolist() == [log for log, _ in expected]
    assert logits.tobytes() == np.array([logit for _, logit in expected], np.float32).tobytes()


@pytest.mark.parametrize("machine", [PLAIN, DEPENDENT])
def test_log_opacity_comes_back_within_half_a_step_or_one(machine: np.ndarray) -> None:
    logits = np.linspace(-16, 9, 2000, dtype=np.float32)
    steps = np.full(2000, 500, np.int64)
    logs = log_opacities(logits)
    found = decode_opacity(quantise_opacity(logs, steps, machine), steps, machine)
    decoded = opacity_logits(found)
    assert (np.abs(found - logs) <= (250 if machine is PLAIN else 500) + 1e-6).all()
    # What the logit says of opacity A is off by the interpolation of exp2 and log2 (5e-5 octave each, and
    # of the rest 1 - A that is A / (1 - A) times as much), or the floor of 1 - A.
    again = log_opacities(decoded)
    assert (np.abs(again - found) <= 2 * 5e-5 * OCTAVE + 2.0**-13 / LN2_PER_UNIT).all()


@pytest.mark.parametrize("machine", [PLAIN, DEPENDENT])
def test_saturated_logits_stay_finite_and_on_their_side(machine: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logs = log_opacities(np.array([-1e6, -40, 40, 1e6], np.float32))
    assert logs[0] == logs[1] == MIN_LOG
    steps = np.full(4, 6618, np.int64)
    logits = opacity_logits(decode_opacity(quantise_opacity(logs, steps, machine), steps, machine))
    assert np.isfinite(logits).all()
    assert (logits[:2] < -16).all()
    assert (logits[2:] > 9).all()
