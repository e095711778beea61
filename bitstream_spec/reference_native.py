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
    class_steps,
    decode_geometry,
    exp2,
    log2,
    read,
    read_signed,
    weight_log,
)

# ---- OPACITY


def decode_opacity(data: bytes, tables: list[Table], params: Params, tile: Tile) -> bytes:
    """OPACITY: opacity logits."""
    planes = Planes(data, tables)
    c = tile.weight
    codes = read(planes, c * 8 + np.clip(((tile.place - tile.pixels) >> 16) + 6, 0, 7))
    planes.finish()
    tile.opacity_log = np.maximum(-codes * class_steps(params.opacity_step, 65536)[c], -24 * 65536)
    rest = np.maximum(ONE - exp2(tile.opacity_log), ONE >> 13)
    return float32((tile.opacity_log - log2(rest)) * LN2).tobytes()


# ---- SCALE


def predict_scale(predictor: Sequence[int], known: Sequence[Ints]) -> Ints:
    """The prediction from (b, f1, f2, ...) and the values that the factors belong to."""
    products = [f * value for f, value in zip(predictor[1:], known, strict=True)]
    return clamp((predictor[0] * 4096 + np.sum(products, axis=0)) >> 12, 1 << 22)


def decode_scale(data: bytes, tables: list[Table], params: Params, tile: Tile) -> bytes:
    """SCALE: log scales."""
    planes = Planes(data, tables)
    c = tile.weight
    step, ratio_step = class_steps(params.scale_step, 65536)[c], class_steps(params.ratio_step, 32768)[c]
    known = [weight_log(c), tile.place, tile.distance, tile.opacity_log]
    predicted = predict_scale(params.middle_predictor, known)
    middle = clamp(predicted + read_signed(planes, c) * step, 1 << 22)
    predicted = predict_scale(params.long_predictor, [*known, middle])
    long = clamp(predicted + read_signed(planes, 32 + c) * step, 1 << 22)
    r = read(planes, 64 + c * 4 + np.clip((long - middle) >> 16, 0, 3))
    planes.finish()
    t = np.where(r > 0, np.minimum(r, 1 << 20) * ratio_step, np.maximum(ratio_step >> 2, 1))
    short = clamp(middle + log2(np.minimum(t, 131072) << 14), 1 << 22)
    tile.scales = np.array([long, middle, short])
    return float32(tile.scales * LN2).T.tobytes()


# ---- ROTATION


def dilated(scale: Ints) -> Ints:
    """The log of a scale after the pixel filter."""
    small = log2(exp2(2 * scale) + 322122547) >> 1
    return np.where(scale < 0, small, scale + (log2(ONE + (322122547 * exp2(-2 * scale) >> 30)) >> 1))


def shear(g: Ints) -> Ints:
    """How far a turn shows between axes that are g apart."""
    return g + log2(ONE - exp2(-2 * g))


def fineness(params: Params, tile: Tile) -> tuple[Ints, Ints, Ints]:
    """How finely a rotation is coded: needle, direction, roll."""
    e1, e2, e3 = dilated(clamp(tile.scales + tile.pixels, 64 * 65536))
    x, y = np.maximum(e1 - e2, 0), np.maximum(e2 - e3, 0)
    needle = x >= 65536
    along = shear(x) + (log2(ONE + (np.minimum(y, 196608) << 14)) >> 1)
    first = np.where(needle, along, np.minimum(shear(x + y), 65536))
    second = np.where(needle, np.minimum(shear(y), 65536), shear(x))
    log = weight_log(tile.weight)
    direction = np.clip((first + log + params.direction_offset) >> 14, 0, 52)
    return needle.astype(np.int64), direction, np.clip((second + log + params.roll_offset) >> 14, 0, 52)


def centre(v: Ints, n: Ints) -> Reals:
    """The centre of level v of n levels over -1 .. 1."""
    return np.asarray((2 * v + 1 - n) / n)


def quaternions(a: Reals, b: Reals, t: Reals, needle: Ints) -> Reals:
    """The quaternions [4, n] of the centres A, B and t."""
    px, py, pz = (a + b) * 0.5, (a - b) * 0.5, 1 - np.maximum(np.abs(a), np.abs(b))
    w, x, y = np.sqrt((px * px + py * py) + pz * pz) + pz, -py, px
    u = t * (0.7853981633974483 + 0.2146018366025517 * (t * t))
    qw, qx, qy, qz = w, x + y * u, y - x * u, w * u
    turned = [((qw + qx) + qy) + qz, ((qx - qw) - qy) + qz, ((qy - qw) - qz) + qx, ((qz - qw) - qx) + qy]
    qw, qx, qy, qz = np.where(needle, turned, [qw, qx, qy, qz])
    norm = np.sqrt(((qw * qw + qx * qx) + qy * qy) + qz * qz)
    return np.array([qw / norm, qx / norm, qy / norm, qz / norm])


def decode_rotation(data: bytes, tables: list[Table], params: Params, tile: Tile) -> bytes:
    """ROTATION: quaternions."""
    planes = Planes(data, tables)
    needle, direction, roll = fineness(params, tile)
    a, b = read(planes, needle * 53 + direction), read(planes, needle * 53 + direction)
    r = read(planes, 106 + needle * 53 + roll)
    planes.finish()
    directions, rolls = LEVELS[direction], LEVELS[roll]
    fits = (a < directions) & (b < directions) & (r < rolls)
    require(bool(fits.all()), "ROTATION: code too large")
    centres = (centre(a, directions), centre(b, directions), centre(r, rolls))
    return float32(quaternions(*centres, needle)).T.tobytes()


# ---- Colours: DC


def decode_dc(data: bytes, tables: list[Table], params: Params, tile: Tile) -> list[Ints]:
    """DC: component 0, its three channels."""
    planes = Planes(data, tables)
    c = tile.weight
    values = [read_signed(planes, c)]
    known = np.minimum(np.abs(values[0]), 3)
    values += [read_signed(planes, 32 + ((channel - 1) * 32 + c) * 4 + known) for channel in (1, 2)]
    planes.finish()
    step = class_steps(params.dc_step, 1 << 26)[c]
    opponents = [np.zeros_like(c) for _ in range(3)]
    for o, value in zip(opponents, values, strict=True):
        for level, weights in zip(tile.levels, tile.near, strict=True):
            here = level.splats
            o[here] = clamp(level.predict(weights, o) + value[here] * step[here], 1 << 40)
    return opponents


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


def decode_ac(
    datas: Sequence[bytes], tables: list[Table], params: Params, tile: Tile, dc: Sequence[Ints]
) -> list[list[Ints]]:
    """AC1 .. AC4: components 1 .. K, three channels of each."""
    features = [scale >> 13 for scale in tile.scales] + [o >> 14 for o in dc]
    alike = [level.weights(tile.q, features) for level in tile.levels] if datas else []
    energies = [4 * params.energy_prior[tile.weight] for _ in range(4)]
    pairs = iter(factors(params.profile, (len(datas) + 1) ** 2 - 1))
    components = []
    for degree, data in enumerate(datas, 1):
        planes = Planes(data, tables)
        step = class_steps(params.ac_step[degree - 1], 1 << 26)[tile.weight]
        for _ in range(2 * degree + 1):
            opponents = [np.zeros_like(step) for _ in range(3)]
            for channel, o in enumerate(opponents):
                f, g = next(pairs)
                for level, weights in zip(tile.levels, alike, strict=True):
                    common, own = energies[0][level.splats], energies[1 + channel][level.splats]
                    bucket = np.searchsorted(ENERGY, (common * f + own * g) >> 17, side="right")
                    value = read_ac(planes, channel, step, level, weights, o, bucket)
                    m = np.minimum(np.abs(value), 40) * 256
                    common += m - (common >> 2)  # in place: slices of the energies
                    own += m - (own >> 2)
            components.append(opponents)
        planes.finish()
    return components


def read_ac(
    planes: Planes, channel: int, steps: Ints, level: Level, weights: Ints, o: Ints, bucket: npt.NDArray[np.intp]
) -> Ints:
    """A plane of AC: sets the values o of a level and returns the codes."""
    step, predicted = steps[level.splats], level.predict(weights, o)
    near = sum(t * step <= 20 * np.abs(predicted) for t in NEAR)
    value = read_signed(planes, (bucket * 9 + near) * 3 + channel)
    value = np.where((predicted < 0) & (value > -(1 << 31)), -value, value)
    o[level.splats] = clamp(value * step, 1 << 40)
    return value


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


def decode_tile(
    streams: Sequence[bytes], count: int, params: Params, groups: Sequence[list[Table]], bases: Bases
) -> list[bytes]:
    """The tile's arrays in the order of "Decoding a scene" from GEOMETRY, OPACITY, SCALE, ROTATION, DC, AC1 .."""
    positions, tile = decode_geometry(streams[0], groups[0], params, count)
    opacity = decode_opacity(streams[1], groups[1], params, tile)
    scales = decode_scale(streams[2], groups[2], params, tile)
    rotations = decode_rotation(streams[3], groups[3], params, tile)
    dc = decode_dc(streams[4], groups[4], params, tile)
    components = np.array([dc, *decode_ac(streams[5:], groups[5], params, tile, dc)])
    region = regions(np.frombuffer(positions, "<f4").reshape(count, 3).astype(np.float64), bases)
    sh_dc, *rest = (colours(s) for s in spherical_harmonics(components, region, bases))
    sh_rest = np.stack(rest, axis=1).tobytes() if rest else b""
    return [positions, scales, rotations, opacity, sh_dc.tobytes(), sh_rest]
