"""Refinements: what a progressive file says of its splats after all of them have been said coarsely.

Each refinement divides every step by three and corrects every value by a whole number of the new steps, mostly -1, 0 or
1: a multiple of a step is a multiple of a third of it, too, so that zeros stay where they are. Encoder and decoder walk
through the values of a tile alike (``refine``); what differs, writing and reading, is a ``Corrections``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from bitstream_spec.layout import NATIVE_REFINEMENT, StreamKind
from bitstream_spec.tables import WEIGHT_CLASSES
from gscodec.branches.native.placement import Neighbours, Placement
from gscodec.branches.native.syntax import TABLE_COUNTS, Params, ac_range
from gscodec.branches.native.values import Rotations, TileValues, levels_of
from gscodec.cloud import SH_REST_COUNTS
from gscodec.entropy.tables import FrequencyTables, pack, unpack
from gscodec.entropy.tokens import ALPHABET
from gscodec.errors import CorruptStreamError
from gscodec.transform.neighbours import put_ranked, ranked_zeros
from gscodec.transform.opacity import MIN_LOG
from gscodec.transform.residuals import LIMIT as COLOUR_LIMIT
from gscodec.transform.rotation import LEVELS
from gscodec.transform.scales import LIMIT, MAX_RATIO, least_ratios, predict
from gscodec.transform.trellis import PLAIN

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]

KINDS = (StreamKind.REFINE1, StreamKind.REFINE2, StreamKind.REFINE3)
FACTOR = 3  # of a step over that of the next refinement
FACTOR_LOG = 103872  # log2(3) in 1/65536 octave
EXPECTED = tuple(field.name for field in NATIVE_REFINEMENT.fields)

# Contexts of a refinement. Opacity and ratio: by weight class and steps so far from the end of the range; scales and
# colours: by weight class and how far, in half steps, the value lies from what it is expected to be; rotation: by
# parts of a level; components: ``energy_context`` and the magnitude so far, 0, 1, more.
PLACES = 4
WAYS = 9
PARTS = 8
POSITION = 0
OPACITY = POSITION + 1
MIDDLE = OPACITY + PLACES * WEIGHT_CLASSES
LONG = MIDDLE + WAYS * WEIGHT_CLASSES
RATIO = LONG + WAYS * WEIGHT_CLASSES
DIRECTION = RATIO + PLACES * WEIGHT_CLASSES
ROLL = DIRECTION + PARTS
COLOUR = ROLL + PARTS
COMPONENT = COLOUR + 3 * WEIGHT_CLASSES * WAYS
MAGNITUDES = 3
TABLE_COUNT = COMPONENT + TABLE_COUNTS[StreamKind.AC1] * MAGNITUDES
MAX_PAYLOAD = 1 + len(KINDS) * NATIVE_REFINEMENT.size + TABLE_COUNT * (1 + 3 * ALPHABET)


@dataclass(frozen=True)
class Refinements:
    """What all tiles need of the refinements of a file: parameters of each, tables of all."""

    params: tuple[Params, ...]
    tables: FrequencyTables

    @classmethod
    def unpack(cls, payload: bytes, base: Params) -> Refinements:
        """Inverse of ``pack``; ``base``: parameters of the coarse values. Raises CorruptStreamError."""
        count = payload[0] if payload else 0
        size = NATIVE_REFINEMENT.size
        if not 1 <= count <= len(KINDS):
            raise CorruptStreamError(
                "wrong number of refinements", field="REFINEMENTS", found=count, allowed=f"1..{len(KINDS)}"
            )
        if len(payload) < 1 + count * size:
            raise CorruptStreamError(
                "truncated", field="REFINEMENTS", found=len(payload), allowed=f">= {1 + count * size}"
            )
        fields = [NATIVE_REFINEMENT.unpack(payload[1 + i * size : 1 + (i + 1) * size]) for i in range(count)]
        params = tuple(params_of(base, number, own) for number, own in enumerate(fields, start=1))
        return cls(params, FrequencyTables(unpack(payload[1 + count * size :], TABLE_COUNT, ALPHABET)))

    def pack(self) -> bytes:
        """The REFINEMENTS payload before compression."""
        own = [{name: params.values[name] for name in EXPECTED} for params in self.params]
        fields = b"".join(map(NATIVE_REFINEMENT.pack, own))
        return bytes([len(self.params)]) + fields + pack(self.tables.freqs)


def params_of(base: Params, number: int, expected: Mapping[str, Any]) -> Params:
    """Parameters of refinement ``number`` from 1; ``expected``: the fields of NATIVE_REFINEMENT."""
    divisor: int = FACTOR**number

    def finer(step: int) -> int:
        return max(step // divisor, 1)

    values = dict(base.values) | {name: expected[name] for name in EXPECTED}
    for name in ("scale_step", "ratio_step", "opacity_step", "dc_step"):
        values[name] = finer(values[name])
    values["ac_step"] = tuple(map(finer, values["ac_step"]))
    for name in ("direction_offset", "roll_offset"):
        values[name] += number * FACTOR_LOG
    return Params(values)


def refined_bytes(sh_degree: int, count: int) -> int:
    """Bytes of float32 of ``count`` splats, all of which a refinement is about: its raw_length."""
    return 4 * (14 + 3 * SH_REST_COUNTS[sh_degree]) * count


class ComponentPlane(NamedTuple):
    """One channel of a component, row ``number`` of ``TileValues.others``, with what ``decode_correction`` takes."""

    number: int
    neighbours: tuple[npt.NDArray[np.int16], I64]
    before: I64
    steps: I64
    energy: I32
    factors: I64
    ranked: I64
    values: I64

    @property
    def given(self) -> tuple[Any, ...]:
        """Arguments of the kernels, in their order."""
        steps, place = (self.before, self.steps), (self.number % 3, self.ranked, self.values, COMPONENT)
        return (*self.neighbours, *steps, self.energy, self.factors, *place)


class Corrections(Protocol):
    """One refinement of one tile, written or read."""

    def plane(
        self, name: str, column: int, values: I64, steps: I64 | int, contexts: U16 | int, start: int = 0, /
    ) -> I64:
        """How many ``steps`` to add to ``values``, int64[m] both.

        ``values``: of column ``column`` of what ``name`` says, from splat ``start`` on.
        """
        ...

    def component(self, plane: ComponentPlane) -> None:
        """Correct the values of a plane as ``decode_correction`` does."""
        ...


def refine(
    values: TileValues,
    placement: Placement,
    alike: Neighbours,
    before: Params,
    after: Params,
    corrections: Corrections,
) -> None:
    """Make ``values``, in steps of ``before``, as precise as ``after``. Raises CorruptStreamError."""
    values.refined += 1
    _refine_offsets(values, corrections)
    _refine_opacity_and_scales(values, placement, before, after, corrections)
    _refine_rotations(values, placement, after, corrections)
    _refine_colours(values, placement.weights, alike, after, corrections)
    _refine_components(values, placement.weights, alike, before, after, corrections)


def _refine_offsets(values: TileValues, corrections: Corrections) -> None:
    for axis in range(3):
        coarse = values.offsets[:, axis] * FACTOR
        moved = corrections.plane("offsets", axis, coarse, 1, POSITION)
        if np.any(np.abs(moved) > 1):
            stream, found = KINDS[values.refined - 1].name, int(moved[np.argmax(np.abs(moved))])
            raise CorruptStreamError("a position leaves its part of a cell", field=stream, found=found, allowed="-1..1")
        values.offsets[:, axis] = coarse + moved


def _refine_opacity_and_scales(
    values: TileValues, placement: Placement, before: Params, after: Params, corrections: Corrections
) -> None:
    weights = placement.weights
    classes, steps = weights.astype(np.uint16), after.opacity_steps[weights]
    place = np.minimum(-values.opacity // before.opacity_steps[weights], PLACES - 1)
    contexts = np.asarray(OPACITY + classes + WEIGHT_CLASSES * place, np.uint16)
    values.opacity += corrections.plane("opacity", 0, values.opacity, steps, contexts) * steps
    np.clip(values.opacity, MIN_LOG, 0, out=values.opacity)

    steps, features = after.scale_steps[weights], placement.features(values.opacity)
    for name, first in (("middle", MIDDLE), ("long", LONG)):
        own: I64 = getattr(values, name)
        expected = predict(after.factors(f"{name}_predictor"), features)
        contexts = np.asarray(first + WAYS * classes + ways(expected - own, steps), np.uint16)
        own += corrections.plane(name, 0, own, steps, contexts) * steps
        np.clip(own, -LIMIT, LIMIT, out=own)
        features = np.concatenate([features, own[:, None]], axis=1)

    steps, place = after.ratio_steps[weights], np.minimum(values.ratio // before.ratio_steps[weights], PLACES - 1)
    contexts = np.asarray(RATIO + classes + WEIGHT_CLASSES * place, np.uint16)
    values.ratio += corrections.plane("ratio", 0, values.ratio, steps, contexts) * steps
    np.clip(values.ratio, least_ratios(steps), MAX_RATIO, out=values.ratio)


def _refine_colours(
    values: TileValues, weights: U8, alike: Neighbours, after: Params, corrections: Corrections
) -> None:
    classes, steps = weights.astype(np.uint16), after.dc_steps[weights]
    for channel in range(3):
        ranked = ranked_zeros(len(weights))
        for level, start, stop in alike.levels():
            own, step = values.colours[start:stop, channel], steps[start:stop]
            away = alike.predict(ranked, level) - own if start else np.zeros_like(own)
            rows = WEIGHT_CLASSES * channel + classes[start:stop]
            contexts = np.asarray(COLOUR + WAYS * rows + ways(away, step), np.uint16)
            own += corrections.plane("colours", channel, own, step, contexts, start) * step
            np.clip(own, -COLOUR_LIMIT, COLOUR_LIMIT, out=own)
            put_ranked(own, level, ranked)


def _refine_components(
    values: TileValues, weights: U8, alike: Neighbours, before: Params, after: Params, corrections: Corrections
) -> None:
    energy, ranked = after.first_energy(weights), ranked_zeros(len(weights))
    for degree in range(1, 5):
        first, last = ac_range(degree)
        if 3 * last > len(values.others):
            break
        coarse, steps = before.ac_steps(degree)[weights], after.ac_steps(degree)[weights]
        for number in range(3 * first, 3 * last):
            factors, near = after.plane_factors[number // 3, number % 3], (alike.weights, alike.starts)
            plane = ComponentPlane(number, near, coarse, steps, energy, factors, ranked, values.others[number])
            corrections.component(plane)


def ways(away: I64, steps: I64) -> I64:
    """How far a value lies from what it is expected to be, int64[n] 0 .. WAYS - 1, from their difference int64[n]."""
    return np.asarray(np.clip((2 * away + (steps >> 1)) // steps, -(WAYS // 2), WAYS // 2) + WAYS // 2)


def parts_of(values: TileValues, placement: Placement, after: Params) -> tuple[I64, I64]:
    """Into how many each level of a rotation is divided, of directions and of rolls, int64[n].

    That brings their number nearest to what the scales, which have been refined by now, ask for.
    """
    old = values.rotations
    wanted = levels_of(after, placement, values.scale_logs, old.needle)
    direction, roll = (
        np.maximum((2 * LEVELS[now] + was) // (2 * was), 1) for now, was in zip(wanted, old.levels, strict=True)
    )
    return direction, roll


def _refine_rotations(values: TileValues, placement: Placement, after: Params, corrections: Corrections) -> None:
    old, parts = values.rotations, parts_of(values, placement, after)
    codes = np.empty_like(old.codes)
    for plane, (number, first) in enumerate(((0, DIRECTION), (0, DIRECTION), (1, ROLL))):
        expected = old.codes[plane] * parts[number] + (parts[number] >> 1)
        contexts = np.asarray(first + np.minimum(parts[number], PARTS) - 1, np.uint16)
        codes[plane] = expected + corrections.plane("rotations", plane, expected, 1, contexts)
    values.rotations = Rotations(codes, old.needle, (old.levels[0] * parts[0], old.levels[1] * parts[1]), PLAIN)
    values.rotations.check(KINDS[values.refined - 1].name)
