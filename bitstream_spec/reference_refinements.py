"""Part of the reference decoder: the chapter "Refinements" of FORMAT.md, in its order."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .reference_common import Planes, Table, read_tables, require
from .reference_geometry import ALPHABET, LEVELS, TABLE_AT_MOST, Ints, Params, Steps, Tile, clamp, read_signed, steps_of
from .reference_native import (
    Energies,
    ac_context,
    factors,
    fineness,
    negate,
    predict_long,
    predict_middle,
    shortest,
)

MOST = 3  # refinements
REFINEMENT_BYTES = 208  # NATIVE_REFINEMENT
TABLE_COUNT = 2847
REFINEMENTS_AT_MOST = 1 + MOST * REFINEMENT_BYTES + TABLE_COUNT * TABLE_AT_MOST  # bytes


# ---- REFINEMENTS, Parameters of refinement r


def read_refinements(data: bytes, params: Params) -> tuple[list[Params], list[Table]]:
    """REFINEMENTS: PARAMS and the parameters of each refinement, and the tables."""
    require(params.dependent == 0, "PARAMS: dependent is not 0 in a file with REFINEMENTS")
    require(len(data) >= 1 and 1 <= data[0] <= MOST, "REFINEMENTS: wrong number of refinements")
    ends = [1 + REFINEMENT_BYTES * r for r in range(data[0] + 1)]
    require(ends[-1] <= len(data), "REFINEMENTS: truncated")
    refined = [refined_params(params, r, data[ends[r - 1] : ends[r]]) for r in range(1, data[0] + 1)]
    return [params, *refined], read_tables(data[ends[-1] :], TABLE_COUNT, ALPHABET)


def refined_params(params: Params, r: int, data: bytes) -> Params:
    """The parameters of refinement r from PARAMS and its NATIVE_REFINEMENT."""
    return replace(
        params,
        scale_step=max(params.scale_step // 3**r, 1),
        ratio_step=max(params.ratio_step // 3**r, 1),
        opacity_step=max(params.opacity_step // 3**r, 1),
        dc_step=max(params.dc_step // 3**r, 1),
        ac_step=tuple(max(step // 3**r, 1) for step in params.ac_step),
        direction_offset=params.direction_offset + 103872 * r,
        roll_offset=params.roll_offset + 103872 * r,
        energy_prior=np.array(struct.unpack_from("<32H", data), np.int64),
        profile=struct.unpack_from("<72H", data, 64),
    )


# ---- REFINE*r*


def refine(data: bytes, tables: list[Table], stages: Sequence[Params], tile: Tile) -> None:
    """The next REFINE stream of the tile; stages: PARAMS and the parameters of each refinement."""
    planes = Planes(data, tables)
    params = stages[tile.refinements + 1]
    before, now = steps_of(stages[tile.refinements], tile.weight), steps_of(params, tile.weight)
    refine_offset(planes, tile)
    refine_opacity(planes, tile, before, now)
    refine_scales(planes, tile, params, before, now)
    refine_rotation(planes, tile, params)
    refine_dc(planes, tile, now)
    refine_ac(planes, tile, params, before, now)
    planes.finish()
    tile.refinements += 1


def way(v: Ints, s: Ints) -> Ints:
    """Which way and how far v is from 0, in halves of a step s."""
    return clamp((2 * v + (s >> 1)) // s, 4) + 4


def refine_offset(planes: Planes, tile: Tile) -> None:
    """The offsets of x, y, z."""
    t = np.array([read_signed(planes, np.zeros_like(axis)) for axis in tile.offset])
    require(bool((np.abs(t) <= 1).all()), "REFINE: correction of an offset is not -1, 0 or 1")
    tile.offset = 3 * tile.offset + t


def refine_opacity(planes: Planes, tile: Tile, before: Steps, now: Steps) -> None:
    """opacity_log."""
    t = read_signed(planes, 1 + 32 * np.minimum(-tile.opacity_log // before.opacity, 3) + tile.weight)
    tile.opacity_log = np.clip(tile.opacity_log + t * now.opacity, -24 * 65536, 0)


def refine_scales(planes: Planes, tile: Tile, params: Params, before: Steps, now: Steps) -> None:
    """middle, long and ratio."""
    c, (long, middle, _) = tile.weight, tile.scales
    w = way(predict_middle(params, tile) - middle, now.scale)
    middle = clamp(middle + read_signed(planes, 129 + 9 * c + w) * now.scale, 1 << 22)
    w = way(predict_long(params, tile, middle) - long, now.scale)
    long = clamp(long + read_signed(planes, 417 + 9 * c + w) * now.scale, 1 << 22)
    t = read_signed(planes, 705 + 32 * np.minimum(tile.ratio // before.ratio, 3) + c)
    tile.ratio = np.minimum(np.maximum(tile.ratio + t * now.ratio, np.maximum(now.ratio >> 2, 1)), 131072)
    tile.scales = np.array([long, middle, shortest(middle, tile.ratio)])


def refine_rotation(planes: Planes, tile: Tile, params: Params) -> None:
    """The rotation codes a, b, r and their numbers of levels."""
    direction, roll = fineness(params, tile)
    wanted = LEVELS[np.array([direction, direction, roll])]
    p = np.maximum((2 * wanted + tile.code_levels) // (2 * tile.code_levels), 1)
    contexts = np.array([[833], [833], [841]]) + np.minimum(p, 8) - 1
    t = np.array([read_signed(planes, context) for context in contexts])
    tile.codes = tile.codes * p + (p >> 1) + t
    tile.code_levels = tile.code_levels * p
    fits = (tile.codes >= 0) & (tile.codes < tile.code_levels)
    require(bool(fits.all()), "REFINE: rotation code out of bounds")


def refine_dc(planes: Planes, tile: Tile, now: Steps) -> None:
    """Component 0."""
    for channel, o in enumerate(tile.components[0]):
        for level, weights in zip(tile.levels, tile.alike, strict=True):
            here = level.splats
            step, own = now.dc[here], o[here]
            known = level.predict(weights, o) - own if len(weights) else np.zeros_like(own)
            t = read_signed(planes, 849 + 9 * (32 * channel + tile.weight[here]) + way(known, step))
            o[here] = clamp(own + t * step, 1 << 40)


def refine_ac(planes: Planes, tile: Tile, params: Params, before: Steps, now: Steps) -> None:
    """Components 1 .. K; W and E begin anew."""
    energies = Energies(params, tile.weight)
    pairs = iter(factors(params.profile, len(tile.components) - 1))
    ends = [(degree + 1) ** 2 for degree in range(1, 5)]  # of the components of AC1 .. AC4
    for number, component in enumerate(tile.components[1:], 1):
        stream = int(np.searchsorted(ends, number, side="right"))
        steps = (before.ac[stream], now.ac[stream])
        for channel, o in enumerate(component):
            refine_component(planes, channel, steps, tile, o, energies, next(pairs))


def refine_component(
    planes: Planes, channel: int, steps: Sequence[Ints], tile: Tile, o: Ints, energies: Energies, pair: tuple[int, int]
) -> None:
    """The values o of a component and channel; steps: the AC steps before and now; pair: f and g."""
    before, now = steps
    for level, weights in zip(tile.levels, tile.alike, strict=True):
        here = level.splats
        s, step, own, predicted = before[here], now[here], o[here], level.predict(weights, o)
        contexts = ac_context(energies.bucket(here, channel, pair), step, predicted, channel)
        t = read_signed(planes, 1713 + 3 * contexts + np.minimum((np.abs(own) + (s >> 1)) // s, 2))
        t = negate(t, (own < 0) | ((own == 0) & (predicted < 0)))
        o[here] = clamp(own + t * step, 1 << 40)
        energies.add(here, channel, np.minimum((np.abs(o[here]) + (step >> 1)) // step, 40) * 256)
