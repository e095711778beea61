"""Part of the reference decoder: the chapter "The native branch" of FORMAT.md from OPACITY on, in its order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .reference_common import Planes, Table, float32, require
from .reference_geometry import (
    ENERGY,
    LEVELS,
    LN2,
    NEAR,
    ONE,
    Bases,
    Ints,
    Level,
    Params,
    Reals,
    Tile,
    clamp,
    decode_geometry,
    exp2,
    half,
    interval,
    log2,
    read,
    read_signed,
    steps_of,
    weight_log,
)

# ---- OPACITY


def decode_opacity(data: bytes, tables: list[Table], params: Params, tile: Tile) -> None:
    """OPACITY: opacity_log."""
    planes = Planes(data, tables)
    c = tile.weight
    codes = read(planes, c * 8 + np.clip(((tile.place - tile.pixels) >> 16) + 6, 0, 7))
    planes.finish()
    halves = half(codes, params.dependent)
    tile.opacity_log = np.maximum(-(halves * steps_of(params, c).opacity >> 1), -24 * 65536)


def opacity_logits(tile: Tile) -> bytes:
    """The floats of OPACITY."""
    rest = np.maximum(ONE - exp2(tile.opacity_log), ONE >> 13)
    return float32((tile.opacity_log - log2(rest)) * LN2).tobytes()


# ---- SCALE


def predict_scale(predictor: Sequence[int], known: Sequence[Ints]) -> Ints:
    """The prediction from (b, f1, f2, ...) and the values that the factors belong to."""
    products = [f * value for f, value in zip(predictor[1:], known, strict=True)]
    return clamp((predictor[0] * 4096 + np.sum(products, axis=0)) >> 12, 1 << 22)


def predict_middle(params: Params, tile: Tile) -> Ints:
    """`predicted` of middle, from opacity_log."""
    known = [weight_log(tile.weight), tile.place, tile.distance, tile.opacity_log]
    return predict_scale(params.middle_predictor, known)


def predict_long(params: Params, tile: Tile, middle: Ints) -> Ints:
    """`predicted` of long, from opacity_log and middle."""
    known = [weight_log(tile.weight), tile.place, tile.distance, tile.opacity_log, middle]
    return predict_scale(params.long_predictor, known)


def decode_away(tile: Tile, corrections: Ints) -> Ints:
    """`away` of long from its corrections, in units: what is added to the neighbours' share."""
    away = np.zeros_like(corrections)
    for level, weights in zip(tile.levels, tile.near, strict=True):
        here = level.splats
        away[here] = clamp((3 * level.predict(weights, away) >> 2) + corrections[here], 1 << 40)
    return away


def shortest(middle: Ints, ratio: Ints) -> Ints:
    """The shortest log scale from the middle one and t."""
    return clamp(middle + log2(ratio << 14), 1 << 22)


def decode_scale(data: bytes, tables: list[Table], params: Params, tile: Tile) -> None:
    """SCALE: the log scales and t."""
    planes = Planes(data, tables)
    c, steps = tile.weight, steps_of(params, tile.weight)
    halves = half(read_signed(planes, c), params.dependent)
    middle = clamp(predict_middle(params, tile) + (halves * steps.scale >> 1), 1 << 22)
    halves = half(read_signed(planes, 32 + c), params.dependent)
    long = clamp(predict_long(params, tile, middle) + decode_away(tile, halves * steps.scale >> 1), 1 << 22)
    halves = half(read(planes, 64 + c * 4 + np.clip((long - middle) >> 16, 0, 3)), params.dependent)
    planes.finish()
    t = halves * steps.ratio >> 1
    tile.ratio = np.minimum(np.maximum(t, np.maximum(steps.ratio >> 2, 1)), 131072)
    tile.scales = np.array([long, middle, shortest(middle, tile.ratio)])


# ---- ROTATION


def dilated(scale: Ints) -> Ints:
    """The log of a scale after the pixel filter."""
    small = log2(exp2(2 * scale) + 322122547) >> 1
    return np.where(scale < 0, small, scale + (log2(ONE + (322122547 * exp2(-2 * scale) >> 30)) >> 1))


def shear(g: Ints) -> Ints:
    """How far a turn shows between axes that are g apart."""
    return g + log2(ONE - exp2(-2 * g))


def gaps(tile: Tile) -> tuple[Ints, Ints]:
    """x and y: how far the axes are apart on the screen."""
    e1, e2, e3 = dilated(clamp(tile.scales + tile.pixels, 64 * 65536))
    return np.maximum(e1 - e2, 0), np.maximum(e2 - e3, 0)


def fineness(params: Params, tile: Tile) -> tuple[Ints, Ints]:
    """How finely a rotation is coded, from needle: direction, roll."""
    x, y = gaps(tile)
    along = shear(x) + (log2(ONE + (np.minimum(y, 196608) << 14)) >> 1)
    first = np.where(tile.needle, along, np.minimum(shear(x + y), 65536))
    second = np.where(tile.needle, np.minimum(shear(y), 65536), shear(x))
    log = weight_log(tile.weight)
    direction = np.clip((first + log + params.direction_offset) >> 14, 0, 52)
    return direction, np.clip((second + log + params.roll_offset) >> 14, 0, 52)


def quaternions(a: Reals, b: Reals, t: Reals, needle: Ints) -> Reals:
    """The quaternions [4, n] from A, B and t."""
    px, py, pz = (a + b) * 0.5, (a - b) * 0.5, 1 - np.maximum(np.abs(a), np.abs(b))
    w, x, y = np.sqrt((px * px + py * py) + pz * pz) + pz, -py, px
    u = t * (0.7853981633974483 + 0.2146018366025517 * (t * t))
    qw, qx, qy, qz = w, x + y * u, y - x * u, w * u
    turned = [((qw + qx) + qy) + qz, ((qx - qw) - qy) + qz, ((qy - qw) - qz) + qx, ((qz - qw) - qx) + qy]
    qw, qx, qy, qz = np.where(needle, turned, [qw, qx, qy, qz])
    norm = np.sqrt(((qw * qw + qx * qx) + qy * qy) + qz * qz)
    return np.array([qw / norm, qx / norm, qy / norm, qz / norm])


def decode_rotation(data: bytes, tables: list[Table], params: Params, tile: Tile) -> None:
    """ROTATION: needle, the codes and their numbers of levels."""
    planes = Planes(data, tables)
    tile.needle = (gaps(tile)[0] >= 65536).astype(np.int64)
    direction, roll = fineness(params, tile)
    contexts = [tile.needle * 53 + direction] * 2 + [106 + tile.needle * 53 + roll]
    tile.codes = np.array([read(planes, context) for context in contexts])
    planes.finish()
    tile.code_levels = LEVELS[np.array([direction, direction, roll])]
    require(bool((tile.codes < tile.code_levels).all()), "ROTATION: code too large")


# ---- Colours: DC

SPREAD = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)


def spread_bucket(level: Level, weights: Ints, o: Ints, step: Ints) -> Ints:
    """b of a level's splats: how far the neighbours' values of o are apart, in steps."""
    if not len(weights):
        return np.full_like(step, 12)
    distances = np.abs(o[level.neighbours] - level.predict(weights, o))
    spread = (weights * distances).sum(axis=0) >> 12
    return np.asarray(sum(t * step <= 4 * spread for t in SPREAD))


def dc_context(b: Ints, before: Ints) -> Ints:
    """The contexts of DC from b and the values of the channels before: none, v0, or v0 and v1."""
    if len(before) == 0:
        return b
    first: Ints = 4 * b + np.minimum(np.abs(before[0]), 3)
    return 13 + first if len(before) == 1 else 65 + 3 * first + np.minimum(np.abs(before[1]), 2)


def decode_dc(data: bytes, tables: list[Table], params: Params, tile: Tile) -> None:
    """DC: component 0, and the alike weights."""
    planes, step = Planes(data, tables), steps_of(params, tile.weight).dc
    values, opponents = np.zeros((3, len(step)), np.int64), np.zeros((3, len(step)), np.int64)
    for channel, o in enumerate(opponents):
        for level, weights in zip(tile.levels, tile.near, strict=True):
            here = level.splats
            b = spread_bucket(level, weights, o, step[here])
            values[channel, here] = read_signed(planes, dc_context(b, values[:channel, here]))
            halves = half(values[channel, : here.stop], params.dependent)[here]  # the state runs through all levels
            o[here] = clamp(level.predict(weights, o) + (halves * step[here] >> 1), 1 << 40)
    planes.finish()
    tile.components = opponents[np.newaxis]
    features = [scale >> 13 for scale in tile.scales] + [o >> 14 for o in opponents]
    tile.alike = [level.weights(tile.q, features) for level in tile.levels]


# ---- Colours: AC1 .. AC4


def factors(profile: Sequence[int], components: int) -> list[tuple[int, int]]:
    """The factors f and g of components 1 .. `components`, place 3 * (component - 1) + channel."""
    w, pairs = [4096] * 4, []
    for number, p in enumerate(profile[: 3 * components]):
        own = 1 + number % 3
        pairs.append(((p << 16) // w[0], (p << 16) // w[own]))
        w[0] += p - (w[0] >> 2)
        w[own] += p - (w[own] >> 2)
    return pairs


class Energies:
    """E[0..3] of all splats."""

    def __init__(self, params: Params, weight: Ints) -> None:
        """As they are before component 1, from the weight classes."""
        self.values = [4 * params.energy_prior[weight] for _ in range(4)]

    def bucket(self, splats: slice, channel: int, pair: tuple[int, int]) -> Ints:
        """`bucket`; pair: f and g."""
        level = (self.values[0][splats] * pair[0] + self.values[1 + channel][splats] * pair[1]) >> 17
        return np.searchsorted(ENERGY, level, side="right").astype(np.int64)

    def add(self, splats: slice, channel: int, m: Ints) -> None:
        """Add the magnitudes m of a plane."""
        for energy in (self.values[0], self.values[1 + channel]):
            energy[splats] += m - (energy[splats] >> 2)


def ac_context(bucket: Ints, step: Ints, predicted: Ints, channel: int) -> Ints:
    """The contexts of AC from bucket, and near from step and P(o)."""
    near = sum(t * step <= 20 * np.abs(predicted) for t in NEAR)
    return (bucket * 9 + near) * 3 + channel


def negate(value: Ints, where: npt.NDArray[np.bool_]) -> Ints:
    """The values negated at some places; -2**31 stays."""
    return np.where(where & (value > -(1 << 31)), -value, value)


def decode_ac(datas: Sequence[bytes], tables: list[Table], params: Params, tile: Tile) -> None:
    """AC1 .. AC4: components 1 .. K."""
    streams = [Planes(data, tables) for data in datas]
    components = read_components(streams, params, tile.weight, list(zip(tile.levels, tile.alike, strict=True)))
    for planes in streams:
        planes.finish()
    tile.components = np.array([*tile.components, *components])


def read_components(
    streams: Sequence[Planes], params: Params, weight: Ints, levels: Sequence[tuple[Level, Ints]]
) -> list[Ints]:
    """Components 1 .. K, [3, n] each, from the planes of each degree, weight classes, and levels with their weights."""
    steps, energies = steps_of(params, weight), Energies(params, weight)
    pairs = iter(factors(params.profile, (len(streams) + 1) ** 2 - 1))
    components = []
    for planes, ac_steps, degree in zip(streams, steps.ac, range(1, 5), strict=False):
        for _ in range(2 * degree + 1):
            opponents = np.zeros((3, len(weight)), np.int64)
            for channel, o in enumerate(opponents):
                read_ac(planes, channel, ac_steps, levels, o, energies, next(pairs))
            components.append(opponents)
    return components


def read_ac(
    planes: Planes,
    channel: int,
    steps: Ints,
    levels: Sequence[tuple[Level, Ints]],
    o: Ints,
    energies: Energies,
    pair: tuple[int, int],
) -> None:
    """The planes of a component and channel of AC: sets its values o; pair: f and g."""
    for level, weights in levels:
        here = level.splats
        step, predicted = steps[here], level.predict(weights, o)
        value = read_signed(planes, ac_context(energies.bucket(here, channel, pair), step, predicted, channel))
        value = negate(value, predicted < 0)
        energies.add(here, channel, np.minimum(np.abs(value), 40) * 256)
        o[here] = clamp(value * step, 1 << 40)


# ---- Colours: Regions, SH

U, A, B, C, D = 2.0**-25, 0.5773502691896258, 0.7071067811865476, 0.4082482904638631, 0.8164965809277261


def regions(positions: Reals, bases: Bases) -> Ints:
    """The region of each of the positions [n, 3]; region 0 if there are none."""
    region, least = np.zeros(len(positions), np.int64), np.full(len(positions), np.inf)
    for r, centre_of_r in enumerate(bases.centres):
        x, y, z = (positions - centre_of_r).T
        s = (x * x + y * y) + z * z
        region[s < least] = r
        least = np.minimum(least, s)
    return region


def spherical_harmonics(components: Ints, region: Ints, bases: Bases) -> Ints:
    """S of components, both [K + 1, 3, n]."""
    if not len(bases.centres):
        return 32 * components
    sums = np.zeros_like(components)
    sums[0] = 32 * components[0]
    for r, matrix in enumerate(bases.matrices):
        here = region == r
        for j, row in enumerate(matrix):
            sums[:, :, here] += row[:, np.newaxis, np.newaxis] * components[j + 1][:, here]
    return sums


def colours(s: Ints) -> npt.NDArray[np.float32]:
    """Red, green, blue from S of three channels: [n, 3] from [3, n]."""
    bright, rb, g = s[0] * U * A, s[1] * U * B, s[2] * U
    return float32(np.array([(bright + rb) + g * C, bright - g * D, (bright - rb) + g * C]).T)


# ---- A tile


def decode_tile(streams: Sequence[bytes], count: int, params: Params, groups: Sequence[list[Table]]) -> Tile:
    """The tile's values from GEOMETRY, OPACITY, SCALE, ROTATION, DC, AC1 .. AC*d*; without AC only component 0."""
    tile = decode_geometry(streams[0], groups[0], params, count)
    decode_opacity(streams[1], groups[1], params, tile)
    decode_scale(streams[2], groups[2], params, tile)
    decode_rotation(streams[3], groups[3], params, tile)
    decode_dc(streams[4], groups[4], params, tile)
    decode_ac(streams[5:], groups[5], params, tile)
    return tile


def tile_arrays(tile: Tile, dependent: int, bases: Bases) -> list[bytes]:
    """The tile's arrays in the order of "Decoding a scene" from its values, refined or not."""
    positions = float32(tile.points + tile.offset * (tile.size / 4 / 3**tile.refinements))
    scales = float32(tile.scales * LN2)
    a, b, t = (interval(v, n, dependent) for v, n in zip(tile.codes, tile.code_levels, strict=True))
    rotations = float32(quaternions(a, b, t, tile.needle))
    region = regions(float32(tile.points).T.astype(np.float64), bases)  # without refinements
    sh_dc, *rest = (colours(s) for s in spherical_harmonics(tile.components, region, bases))
    sh_rest = np.stack(rest, axis=1).tobytes() if rest else b""
    floats = [array.T.tobytes() for array in (positions, scales, rotations)]
    return [*floats, opacity_logits(tile), sh_dc.tobytes(), sh_rest]
