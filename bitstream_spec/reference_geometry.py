"""Part of the reference decoder: the chapter "The native branch" of FORMAT.md up to and with GEOMETRY, in its order.

All arrays are int64 or float64, one value for each splat unless said otherwise.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .reference_common import Planes, Table, float32, read_tables, require

Ints = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

ALPHABET = 72
GROUP_SIZES = (1048, 256, 192, 212, 221, 378, 163)  # GEOMETRY, OPACITY, SCALE, ROTATION, DC, AC, PALETTE
TABLE_AT_MOST = 1 + 3 * ALPHABET  # bytes
SPLATS_AT_MOST = 1048576  # of a tile
PARAMS_BYTES = 340
REGIONS_AT_MOST = 256  # of BASES


# ---- Planes of arrays


def read(planes: Planes, contexts: Ints) -> Ints:
    """Read a plane."""
    return np.array(planes.read(contexts.tolist()), dtype=np.int64)


def read_signed(planes: Planes, contexts: Ints) -> Ints:
    """Read a plane through unzigzag."""
    v = read(planes, contexts)
    return np.where(v % 2 == 0, v // 2, -(v + 1) // 2)


# ---- NATIVE_PARAMS, TABLES, BASES


@dataclass(frozen=True)
class Params:
    """NATIVE_PARAMS."""

    zone_centre: tuple[float, ...]
    zone_radius: float
    cell_size: float
    pixel_log: int
    scale_step: int
    ratio_step: int
    opacity_step: int
    dc_step: int
    ac_step: tuple[int, ...]
    direction_offset: int
    roll_offset: int
    dependent: int  # 0 or 1
    energy_prior: Ints  # one for each weight class
    profile: tuple[int, ...]  # 3 * (component - 1) + channel
    middle_predictor: tuple[int, ...]
    long_predictor: tuple[int, ...]


def read_params(data: bytes) -> Params:
    """NATIVE_PARAMS and its rules; data has PARAMS_BYTES bytes."""
    reals, (pixel_log, *steps) = struct.unpack_from("<5d", data), struct.unpack_from("<i8I", data, 40)
    (*offsets, dependent), prior = struct.unpack_from("<2iI", data, 76), struct.unpack_from("<32H", data, 88)
    profile, predictors = struct.unpack_from("<72H", data, 152), struct.unpack_from("<11i", data, 296)
    require(all(abs(real) <= 2.0**100 for real in reals), "PARAMS: a float is not finite or too large")  # NaN fails
    require(min(reals[3:]) >= 2.0**-100, "PARAMS: zone_radius or cell_size is too small")
    require(all(1 <= step < 1 << 24 for step in steps), "PARAMS: a step is out of bounds")
    require(max(map(abs, (pixel_log, *offsets, *predictors))) <= 1 << 22, "PARAMS: a value is out of bounds")
    require(dependent <= 1, "PARAMS: dependent is not 0 or 1")
    scale, ratio, opacity, dc, *ac = steps
    own = (pixel_log, scale, ratio, opacity, dc, tuple(ac), offsets[0], offsets[1], dependent)
    return Params(reals[:3], reals[3], reals[4], *own, np.array(prior), profile, predictors[:5], predictors[5:])


def read_groups(data: bytes, sizes: Sequence[int]) -> list[list[Table]]:
    """TABLES: the groups, of these numbers of tables."""
    tables = read_tables(data, sum(sizes), ALPHABET)
    ends = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    return [tables[start:end] for start, end in pairwise(ends)]


@dataclass(frozen=True)
class Bases:
    """BASES; no regions: components are SH coefficients."""

    centres: Reals  # [R, 3]
    matrices: Ints  # [R, K, K + 1]


def region_bytes(rest: int) -> int:
    """What a region takes in BASES; rest is K."""
    return 12 + rest * (rest + 1)


def read_bases(data: bytes, rest: int) -> Bases:
    """BASES and its rules; rest is K."""
    count, left = divmod(len(data), region_bytes(rest))
    require(left == 0 and count <= REGIONS_AT_MOST, "BASES: wrong size")
    centres = np.frombuffer(data, "<f4", 3 * count).astype(np.float64).reshape(count, 3)
    require(bool((np.abs(centres) <= 2.0**100).all()), "BASES: a centre is not finite or too large")  # NaN fails
    matrices = np.frombuffer(data, np.int8, offset=12 * count).astype(np.int64)
    return Bases(centres, matrices.reshape(count, rest, rest + 1))


# ---- Fixed-point functions

ONE = 1 << 30
EXP2: Ints = np.array([round(2.0 ** (30 + j / 64)) for j in range(65)])
LOG2: Ints = np.array([round(65536 * math.log2(1 + j / 64)) for j in range(65)])
LEVELS: Ints = np.array([round(2.0 ** (i / 4)) for i in range(53)])
ENERGY: Ints = np.array([7, 16, 30, 48, 75, 112, 166, 240, 347, 496, 709, 1008, 1433])
NEAR = (2, 5, 10, 16, 26, 44, 80, 160)
LN2 = 0.6931471805599453 / 65536


def exp2(g: Ints) -> Ints:
    """2**(g / 65536) in 2**-30, at most ONE."""
    g = np.minimum(g, 0)
    shift = -(g >> 16)
    j, p = (g & 65535) >> 10, g & 1023
    return np.where(shift > 31, 0, (EXP2[j] + ((EXP2[j + 1] - EXP2[j]) * p >> 10)) >> np.minimum(shift, 31))


def log2(v: Ints) -> Ints:
    """log2(v / ONE) in units, for v below 2**53."""
    positive = np.maximum(v, 1)
    top = np.frexp(positive.astype(np.float64))[1].astype(np.int64) - 1
    m = (positive << np.maximum(30 - top, 0)) >> np.maximum(top - 30, 0)
    j, p = (m - ONE) >> 24, (m - ONE) >> 8 & 65535
    return np.where(v <= 0, -31 * 65536, (top - 30) * 65536 + LOG2[j] + ((LOG2[j + 1] - LOG2[j]) * p >> 16))


def class_step(base: int, cap: int, c: int) -> int:
    """The step of weight class c."""
    h = 20 - c
    k = h >> 1
    s = base * 92682 >> 16 if h % 2 else base
    s = s << k if k >= 0 else s >> -k
    return min(max(s, 1), cap)


def class_steps(base: int, cap: int) -> Ints:
    """class_step of all weight classes."""
    return np.array([class_step(base, cap, c) for c in range(32)])


@dataclass(frozen=True)
class Steps:
    """The steps of each splat; ac: of AC1 .. AC4."""

    scale: Ints
    ratio: Ints
    opacity: Ints
    dc: Ints
    ac: list[Ints]


def steps_of(params: Params, c: Ints) -> Steps:
    """The steps of splats of the weight classes c."""
    scale, ratio = class_steps(params.scale_step, 65536)[c], class_steps(params.ratio_step, 32768)[c]
    opacity, dc = class_steps(params.opacity_step, 65536)[c], class_steps(params.dc_step, 1 << 26)[c]
    return Steps(scale, ratio, opacity, dc, [class_steps(base, 1 << 26)[c] for base in params.ac_step])


def weight_log(c: Ints) -> Ints:
    """How much a splat covers, as a log."""
    return (c - 20) * 32768


# ---- Dependent quantisation

TRELLIS = ((0, 4), (5, 1), (1, 5), (4, 0), (6, 2), (3, 7), (7, 3), (2, 6))


def states(v: Ints, changes: npt.NDArray[np.bool_]) -> Ints:
    """The state before each of the codes v of a plane; `changes`: whether the code changes it."""
    state, before = 0, []
    for odd, change in zip((v & 1).tolist(), changes.tolist(), strict=True):
        before.append(state)
        state = TRELLIS[state][odd] if change else state
    return np.array(before, np.int64)


def half(v: Ints, dependent: int) -> Ints:
    """The meaning of all codes v of a plane, in halves of a step."""
    if not dependent:
        return 2 * v
    q = np.where(states(v, np.full(len(v), True)) >= 4, 1, 0)
    return np.where(v > 0, 2 * v - q, np.where(v < 0, 2 * v + q, 0))


def interval(v: Ints, n: Ints, dependent: int) -> Reals:
    """The meaning of all codes v of a plane, in -1 .. 1; each below its n."""
    plain = np.asarray((2 * v + 1 - n) / n)
    if not dependent:
        return plain
    q = np.where(states(v, n >= 4) >= 4, 1, -1)
    return np.where(n < 4, plain, (4 * v + 2 - 2 * n + q) / (2 * n))


def clamp(v: Ints, limit: int) -> Ints:
    """Bound v to -limit .. limit."""
    return np.clip(v, -limit, limit)


# ---- GEOMETRY


@dataclass(frozen=True)
class Leaves:
    """Nodes of the octrees, in the end the leaves."""

    depth: Ints
    cell: Ints  # [3, n]
    family: Ints

    def pick(self, which: Ints) -> Leaves:
        """Some of them, in this order."""
        return Leaves(self.depth[which], self.cell[:, which], self.family[which])


def grow_trees(planes: Planes, depth_mask: int, count: int) -> Leaves:
    """The octrees."""
    depths = [d for d in range(21, -1, -1) if depth_mask >> d & 1]
    require(len(depths) <= count, "GEOMETRY: more trees than splats")
    nodes = Leaves(np.array(depths), np.zeros((3, len(depths)), np.int64), np.zeros(len(depths), np.int64))
    for level in range(depths[0]):
        grows = nodes.depth > level
        left, family = nodes.depth[grows] - level, np.minimum(nodes.family[grows], 3)
        low = read(planes, np.minimum(left - 1, 15) * 4 + family)
        require(low.max() <= 15, "GEOMETRY: value above 15")
        high = read(planes, 64 + (np.minimum(left - 1, 3) * 4 + family) * 16 + low)
        require(high.max() <= 15, "GEOMETRY: value above 15")
        occupancy = np.ones_like(nodes.depth)  # a node that does not grow is its own only child
        occupancy[grows] = high * 16 + low
        require(occupancy.min() > 0, "GEOMETRY: node without children")
        bits = occupancy[:, np.newaxis] >> np.arange(8) & 1
        require(bits.sum() <= count, "GEOMETRY: more nodes than splats")
        parent, b = np.nonzero(bits)
        nodes, grown = nodes.pick(parent), grows[parent]
        cell = np.where(grown, 2 * nodes.cell + np.array([b & 1, b >> 1 & 1, b >> 2]), nodes.cell)
        nodes = Leaves(nodes.depth, cell, np.where(grown, bits.sum(axis=1)[parent], nodes.family))
    return nodes


@dataclass(frozen=True)
class Splats:
    """Where the splats are."""

    depth: Ints
    cell: Ints  # [3, n]
    part: Ints  # [3, n]
    within: Reals  # [3, n]

    def pick(self, which: Ints) -> Splats:
        """Some of them, in this order."""
        return Splats(self.depth[which], self.cell[:, which], self.part[:, which], self.within[:, which])


def decode_splats(planes: Planes, leaves: Leaves, dependent: int, count: int) -> Splats:
    """What the leaves hold, leaf by leaf."""
    held = read(planes, np.full(len(leaves.depth), 320)) + 1
    require(held.sum() == count, "GEOMETRY: leaves do not hold the tile's splats")
    own = leaves.pick(np.repeat(np.arange(len(held)), held))
    v = np.array([read(planes, np.full(count, 321)) for _ in range(3)])
    require(v.max() <= 3, "GEOMETRY: part above 3")
    places = np.array([interval(codes, np.full(count, 4), dependent) for codes in v])
    return Splats(own.depth, own.cell, 4 * own.cell + v, places)


# ---- Coding order, Neighbours


@dataclass
class Level:
    """The splats of a level, and their neighbours j on the first axis (none at level 7)."""

    splats: slice
    neighbours: Ints  # [8, n], or [0, n] at level 7: their places in the coding order, 0 if they do not exist
    exist: npt.NDArray[np.bool_]  # [8, n]

    def weights(self, q: Ints, features: Sequence[Ints] = ()) -> Ints:
        """The weights w_j, [8, n], from the points q [3, all splats] and the features of all splats."""
        squares = sum((axis[self.neighbours] - axis[self.splats]) ** 2 for axis in q)
        distances = np.where(self.exist, squares, 1 << 50)
        least = np.maximum(distances.min(axis=0, initial=1 << 50), 1)
        far = np.minimum((distances << 8) // least, 1 << 24)
        unlikes = (clamp(f[self.neighbours] - f[self.splats], 1 << 20) ** 2 for f in features)
        unlike = sum(unlikes, np.zeros_like(far))
        share = np.where(self.exist, (1 << 24) // (far + np.minimum(unlike, 1 << 24) + 51), 0)
        return np.asarray((share << 12) // np.maximum(share.sum(axis=0), 1))

    def predict(self, weights: Ints, values: Ints) -> Ints:
        """P of the values of all splats, of which those of higher levels are known."""
        return np.asarray((weights * values[self.neighbours]).sum(axis=0) >> 12)


def ranks_and_levels(count: int) -> tuple[Ints, list[Level]]:
    """The ranks of so many splats in the coding order, and the levels from 7 to 0."""
    rank = np.arange(count)
    level_of_rank = np.minimum.reduce([np.where(rank % 2**k, k - 1, 7) for k in range(1, 8)])
    ranks = np.argsort(-level_of_rank, kind="stable")
    place_of_rank, levels = np.argsort(ranks), []
    for number in np.unique(level_of_rank)[::-1].tolist():  # those that have splats
        own = rank[level_of_rank == number]
        offsets = np.array([-1, 1, -3, 3, -5, 5, -7, 7] if number < 7 else [], np.int64) << number
        others = own + offsets[:, np.newaxis]
        exist = (others >= 0) & (others < count)
        here = slice(int(place_of_rank[own[0]]), int(place_of_rank[own[-1]]) + 1)
        levels.append(Level(here, place_of_rank[np.where(exist, others, 0)], exist))
    return ranks, levels


def coding_order(splats: Splats) -> tuple[Splats, list[Level]]:
    """The splats in the coding order, from those in the order of the three planes, and the levels from 7 to 0."""
    x, y, z = splats.part << (21 - splats.depth) >> 2
    code = np.zeros_like(x)
    for bit in range(20, -1, -1):
        code = code << 3 | (x >> bit & 1) + 2 * (y >> bit & 1) + 4 * (z >> bit & 1)
    ranks, levels = ranks_and_levels(len(code))
    return splats.pick(np.argsort(code, kind="stable")[ranks]), levels


# ---- Weight classes and positions


@dataclass
class Tile:
    """The values of a tile; those without a value here are set by the streams after GEOMETRY."""

    levels: list[Level]
    near: list[Ints]  # weights of each level
    q: Ints  # [3, n]
    weight: Ints  # weight class c
    points: Reals  # [3, n]: the positions before any refinement, not rounded to float32
    size: Reals
    place: Ints
    distance: Ints
    pixels: Ints
    offset: Ints  # [3, n]; what refinements make of it
    refinements: int = 0  # how many are decoded
    opacity_log: Ints = field(init=False)
    scales: Ints = field(init=False)  # [3, n]: long, middle, short
    ratio: Ints = field(init=False)  # t of SCALE
    needle: Ints = field(init=False)
    codes: Ints = field(init=False)  # [3, n]: a, b, r of ROTATION
    code_levels: Ints = field(init=False)  # [3, n]: their numbers of levels
    alike: list[Ints] = field(init=False)  # weights of each level
    components: Ints = field(init=False)  # [K + 1, 3, n]: o


def decode_geometry(data: bytes, tables: list[Table], params: Params, count: int) -> Tile:
    """TILE_GEOMETRY, positions, weight classes and the distances to the viewing zone."""
    require(len(data) >= 32, "GEOMETRY: truncated")
    *origin, exponent, reserved, depth_mask = struct.unpack_from("<3dhHI", data)
    require(all(abs(value) <= 2.0**100 for value in origin), "GEOMETRY: origin is not finite or too large")
    require(abs(exponent) <= 512 and reserved == 0, "GEOMETRY: exponent out of bounds or reserved field not 0")
    require(1 <= depth_mask <= 4194303, "GEOMETRY: depth_mask is out of bounds")
    planes = Planes(data[32:], tables)
    leaves = grow_trees(planes, depth_mask, count)
    splats, levels = coding_order(decode_splats(planes, leaves, params.dependent, count))
    d, q = splats.depth, (2 * splats.part + 1) << (21 - splats.depth)
    near = [level.weights(q) for level in levels]
    weight = decode_weights(planes, d, levels, near)
    planes.finish()
    size = np.ldexp(params.cell_size, exponent - d)  # exact
    points = np.array(origin)[:, np.newaxis] + ((2 * splats.cell + 1) + splats.within) * (size * 0.5)
    distance = distance_to_zone(float32(points).astype(np.float64), params)
    logs = ((d - exponent) * 65536, distance, params.pixel_log - distance)  # place, distance, pixels
    return Tile(levels, near, q, weight, points, size, *logs, np.zeros_like(q))


def decode_weights(planes: Planes, d: Ints, levels: list[Level], near: list[Ints]) -> Ints:
    """The weight classes."""
    weight, h = np.zeros_like(d), np.zeros_like(d)
    for level, weights in zip(levels, near, strict=True):
        depth = d[level.splats]
        contexts = 344 + 32 * depth + np.clip(depth + ((level.predict(weights, h) + 8) >> 4), 0, 31)
        c = read(planes, contexts if len(weights) else 322 + depth)
        require(c.max() <= 31, "GEOMETRY: weight class above 31")
        weight[level.splats], h[level.splats] = c, 16 * (c - depth)
    return weight


def distance_to_zone(p: Reals, params: Params) -> Ints:
    """Distance to the viewing zone of the points p, [3, n]."""
    x, y, z = p - np.array(params.zone_centre)[:, np.newaxis]
    s = ((x * x + y * y) + z * z) + params.zone_radius * params.zone_radius
    m, e = np.frexp(s)
    q = -4 + (m >= 0.5946035575013605).astype(np.int64) + (m >= 0.7071067811865476) + (m >= 0.8408964152537145)
    return np.where(np.isinf(s), -1, 4 * e.astype(np.int64) + q) * 8192
