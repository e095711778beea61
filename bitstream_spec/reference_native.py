"""Part of the reference decoder: the chapter "The native branch" of FORMAT.md, in its order."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .reference_common import Planes, Table, float32, interleave, read_tables, require

ALPHABET = 72
GROUP_SIZES = (343, 256, 192, 212, 96, 672)  # GEOMETRY, OPACITY, SCALE, ROTATION, DC, AC
TABLES_AT_MOST = sum(GROUP_SIZES) * (1 + 3 * ALPHABET)  # bytes
SPLATS_AT_MOST = 1048576  # of a tile
PARAMS_BYTES = 152


# ---- NATIVE_PARAMS, TABLES


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
    middle_predictor: tuple[int, ...]
    long_predictor: tuple[int, ...]
    dc_predictor: tuple[int, ...]


def read_params(data: bytes) -> Params:
    """NATIVE_PARAMS and its rules; data has PARAMS_BYTES bytes."""
    reals, values = struct.unpack_from("<5d", data), struct.unpack_from("<i8I19i", data, 40)
    require(all(abs(real) <= 2.0**100 for real in reals), "PARAMS: a float is not finite or too large")  # NaN fails
    require(min(reals[3:]) >= 2.0**-100, "PARAMS: zone_radius or cell_size is too small")
    require(all(1 <= step < 1 << 24 for step in values[1:9]), "PARAMS: a step is out of bounds")
    require(all(abs(value) <= 1 << 22 for value in (values[0], *values[9:])), "PARAMS: a value is out of bounds")
    pixel_log, scale, ratio, opacity, dc, *ac = values[:9]
    steps = (pixel_log, scale, ratio, opacity, dc, tuple(ac))
    predictors = (values[11:16], values[16:22], values[22:28])
    return Params(reals[:3], reals[3], reals[4], *steps, values[9], values[10], *predictors)


def read_groups(data: bytes) -> list[list[Table]]:
    """TABLES: the six groups."""
    tables = read_tables(data, sum(GROUP_SIZES), ALPHABET)
    ends = [sum(GROUP_SIZES[:number]) for number in range(len(GROUP_SIZES) + 1)]
    return [tables[start:end] for start, end in pairwise(ends)]


# ---- Fixed-point functions

ONE = 1 << 30
EXP2: list[int] = [round(2.0 ** (30 + j / 64)) for j in range(65)]
LOG2: list[int] = [round(65536 * math.log2(1 + j / 64)) for j in range(65)]
LEVELS: list[int] = [round(2.0 ** (i / 4)) for i in range(53)]
ENERGY = (7, 16, 30, 48, 75, 112, 166, 240, 347, 496, 709, 1008, 1433)
LN2 = 0.6931471805599453 / 65536


def exp2(g: int) -> int:
    """2**(g / 65536) in 2**-30, at most ONE."""
    if g >= 0:
        return ONE
    shift = -(g >> 16)
    if shift > 31:
        return 0
    j, p = (g & 65535) >> 10, g & 1023
    return (EXP2[j] + ((EXP2[j + 1] - EXP2[j]) * p >> 10)) >> shift


def log2(v: int) -> int:
    """log2(v / ONE) in units."""
    if v <= 0:
        return -31 * 65536
    top = v.bit_length() - 1
    m = v << (30 - top) if top <= 30 else v >> (top - 30)
    j, p = (m - ONE) >> 24, (m - ONE) >> 8 & 65535
    return (top - 30) * 65536 + LOG2[j] + ((LOG2[j + 1] - LOG2[j]) * p >> 16)


def class_step(base: int, cap: int, c: int) -> int:
    """The step of weight class c."""
    h = 20 - c
    k = h >> 1
    s = base * 92682 >> 16 if h % 2 else base
    s = s << k if k >= 0 else s >> -k
    return min(max(s, 1), cap)


def class_steps(base: int, cap: int) -> list[int]:
    """class_step of all weight classes."""
    return [class_step(base, cap, c) for c in range(32)]


WEIGHT_LOG = [(c - 20) * 32768 for c in range(32)]


def bound(v: int, low: int, high: int) -> int:
    """Bound v to low .. high."""
    return low if v < low else high if v > high else v


def clamp(v: int, limit: int) -> int:
    """Bound v to -limit .. limit."""
    return bound(v, -limit, limit)


# ---- GEOMETRY

Node = tuple[int, int, int, int, int]  # tree depth d, cell x, y, z, family


@dataclass
class Tile:
    """What the streams of a tile hand on, a value for each splat."""

    weight: list[int]  # weight class c
    place: list[int]
    distance: list[int]
    pixels: list[int]
    opacity_log: list[int]
    scales: list[tuple[int, int, int]]  # long, middle, short


def grow_trees(planes: Planes, depth_mask: int, count: int) -> list[Node]:
    """The octrees: the list of leaves."""
    nodes: list[Node] = [(d, 0, 0, 0, 0) for d in range(21, -1, -1) if depth_mask >> d & 1]
    require(len(nodes) <= count, "GEOMETRY: more trees than splats")
    for level in range(nodes[0][0]):
        growing = [(min(node[0] - level - 1, 15), min(node[4], 3)) for node in nodes if node[0] > level]
        lows = planes.read([left * 4 + family for left, family in growing])
        require(max(lows) <= 15, "GEOMETRY: value above 15")
        pairs = zip(growing, lows, strict=True)
        highs = planes.read([64 + (min(left, 3) * 4 + family) * 16 + low for (left, family), low in pairs])
        require(max(highs) <= 15, "GEOMETRY: value above 15")
        occupancy = iter([high * 16 + low for low, high in zip(lows, highs, strict=True)])
        families = [children(node, next(occupancy)) if node[0] > level else [node] for node in nodes]
        nodes = [node for family in families for node in family]
        require(len(nodes) <= count, "GEOMETRY: more nodes than splats")
    return nodes


def children(node: Node, occupancy: int) -> list[Node]:
    """The children of a growing node."""
    require(occupancy != 0, "GEOMETRY: node without children")
    d, x, y, z, _ = node
    family = occupancy.bit_count()
    return [
        (d, 2 * x + (b & 1), 2 * y + (b >> 1 & 1), 2 * z + (b >> 2), family) for b in range(8) if occupancy >> b & 1
    ]


def decode_geometry(data: bytes, tables: list[Table], params: Params, count: int) -> tuple[bytes, Tile]:
    """TILE_GEOMETRY, positions, weight classes and the distances to the viewing zone."""
    require(len(data) >= 32, "GEOMETRY: truncated")
    *origin, exponent, reserved, depth_mask = struct.unpack_from("<3dhHI", data)
    require(all(abs(value) <= 2.0**100 for value in origin), "GEOMETRY: origin is not finite or too large")
    require(abs(exponent) <= 512 and reserved == 0, "GEOMETRY: exponent out of bounds or reserved field not 0")
    require(1 <= depth_mask <= 4194303, "GEOMETRY: depth_mask is out of bounds")
    planes = Planes(data[32:], tables)
    leaves = grow_trees(planes, depth_mask, count)
    held = planes.read([320] * len(leaves))
    require(sum(held) + len(held) == count, "GEOMETRY: leaves do not hold the tile's splats")
    nodes = [node for node, r in zip(leaves, held, strict=True) for _ in range(r + 1)]
    weight = planes.read([321 + node[0] for node in nodes])
    require(max(weight) <= 31, "GEOMETRY: weight class above 31")
    planes.finish()
    half = [params.cell_size * 2.0 ** (exponent - d) * 0.5 for d in range(22)]
    axes = [float32([origin[i] + (2 * node[1 + i] + 1) * half[node[0]] for node in nodes]) for i in range(3)]
    place = [(node[0] - exponent) * 65536 for node in nodes]
    points = zip(*(struct.unpack(f"<{count}f", axis) for axis in axes), strict=True)
    distance = [distance_to_zone(p, params) for p in points]
    return interleave(axes), Tile(weight, place, distance, [params.pixel_log - value for value in distance], [], [])


def distance_to_zone(p: tuple[float, ...], params: Params) -> int:
    """Distance to the viewing zone."""
    x, y, z = p[0] - params.zone_centre[0], p[1] - params.zone_centre[1], p[2] - params.zone_centre[2]
    s = ((x * x + y * y) + z * z) + params.zone_radius * params.zone_radius
    if math.isinf(s):
        return -1 * 8192
    m, e = math.frexp(s)
    q = -4 + (m >= 0.5946035575013605) + (m >= 0.7071067811865476) + (m >= 0.8408964152537145)
    return (4 * e + q) * 8192


# ---- OPACITY


def decode_opacity(data: bytes, tables: list[Table], params: Params, tile: Tile) -> bytes:
    """OPACITY: opacity logits."""
    planes = Planes(data, tables)
    logs = zip(tile.weight, tile.place, tile.pixels, strict=True)
    codes = planes.read([c * 8 + bound(((place - pixels) >> 16) + 6, 0, 7) for c, place, pixels in logs])
    planes.finish()
    steps = class_steps(params.opacity_step, 65536)
    tile.opacity_log = [max(-r * steps[c], -24 * 65536) for r, c in zip(codes, tile.weight, strict=True)]
    return float32([(v - log2(max(ONE - exp2(v), ONE >> 13))) * LN2 for v in tile.opacity_log])


# ---- SCALE


def predict_scale(predictor: Sequence[int], known: Sequence[int]) -> int:
    """The prediction from (b, f1, f2, ...) and the values that the factors belong to."""
    total = predictor[0] * 4096 + sum(f * value for f, value in zip(predictor[1:], known, strict=True))
    return clamp(total >> 12, 1 << 22)


def decode_scale(data: bytes, tables: list[Table], params: Params, tile: Tile) -> bytes:
    """SCALE: log scales."""
    planes = Planes(data, tables)
    steps, ratio_steps = class_steps(params.scale_step, 65536), class_steps(params.ratio_step, 32768)
    middles = planes.read_signed(tile.weight)
    longs = planes.read_signed([32 + c for c in tile.weight])
    contexts = []
    for i, c in enumerate(tile.weight):
        known = [WEIGHT_LOG[c], tile.place[i], tile.distance[i], tile.opacity_log[i]]
        middles[i] = clamp(predict_scale(params.middle_predictor, known) + middles[i] * steps[c], 1 << 22)
        longs[i] = clamp(predict_scale(params.long_predictor, [*known, middles[i]]) + longs[i] * steps[c], 1 << 22)
        contexts.append(64 + c * 4 + bound((longs[i] - middles[i]) >> 16, 0, 3))
    codes = planes.read(contexts)
    planes.finish()
    shorts = []
    for r, c, middle in zip(codes, tile.weight, middles, strict=True):
        t = min(r, 1 << 20) * ratio_steps[c] if r > 0 else max(ratio_steps[c] >> 2, 1)
        shorts.append(clamp(middle + log2(min(t, 131072) << 14), 1 << 22))
    tile.scales = list(zip(longs, middles, shorts, strict=True))
    return interleave([float32([value * LN2 for value in column]) for column in (longs, middles, shorts)])


# ---- ROTATION


def dilated(scale: int) -> int:
    """The log of a scale after the pixel filter."""
    if scale < 0:
        return log2(exp2(2 * scale) + 322122547) >> 1
    return scale + (log2(ONE + (322122547 * exp2(-2 * scale) >> 30)) >> 1)


def shear(g: int) -> int:
    """How far a turn shows between axes that are g apart."""
    return g + log2(ONE - exp2(-2 * g))


def fineness(scales: tuple[int, int, int], pixels: int, weight_log: int, params: Params) -> tuple[int, int, int]:
    """How finely a rotation is coded: needle, direction, roll."""
    e1, e2, e3 = (dilated(clamp(scale + pixels, 64 * 65536)) for scale in scales)
    x, y = max(e1 - e2, 0), max(e2 - e3, 0)
    needle = int(x >= 65536)
    if needle:
        first = shear(x) + (log2(ONE + (min(y, 196608) << 14)) >> 1)
        second = min(shear(y), 65536)
    else:
        first = min(shear(x + y), 65536)
        second = shear(x)
    direction = bound((first + weight_log + params.direction_offset) >> 14, 0, 52)
    return needle, direction, bound((second + weight_log + params.roll_offset) >> 14, 0, 52)


def centre(v: int, n: int) -> float:
    """The centre of level v of n levels over -1 .. 1."""
    return (2 * v + 1 - n) / n


def quaternion(a: int, b: int, r: int, needle: int, directions: int, rolls: int) -> tuple[float, float, float, float]:
    """The quaternion of the codes a, b below `directions` and r below `rolls`."""
    first, other = centre(a, directions), centre(b, directions)
    px, py, pz = (first + other) * 0.5, (first - other) * 0.5, 1 - max(abs(first), abs(other))
    length = math.sqrt((px * px + py * py) + pz * pz)
    w, x, y = length + pz, -py, px
    t = centre(r, rolls)
    u = t * (0.7853981633974483 + 0.2146018366025517 * (t * t))
    qw, qx, qy, qz = w, x + y * u, y - x * u, w * u
    if needle:
        qw, qx, qy, qz = ((qw + qx) + qy) + qz, ((qx - qw) - qy) + qz, ((qy - qw) - qz) + qx, ((qz - qw) - qx) + qy
    norm = math.sqrt(((qw * qw + qx * qx) + qy * qy) + qz * qz)
    return qw / norm, qx / norm, qy / norm, qz / norm


def decode_rotation(data: bytes, tables: list[Table], params: Params, tile: Tile) -> bytes:
    """ROTATION: quaternions."""
    planes = Planes(data, tables)
    splats = zip(tile.scales, tile.pixels, tile.weight, strict=True)
    fine = [fineness(scales, pixels, WEIGHT_LOG[c], params) for scales, pixels, c in splats]
    directions, rolls = [LEVELS[direction] for _, direction, _ in fine], [LEVELS[roll] for _, _, roll in fine]
    contexts = [needle * 53 + direction for needle, direction, _ in fine]
    a, b = planes.read(contexts), planes.read(contexts)
    r = planes.read([106 + needle * 53 + roll for needle, _, roll in fine])
    planes.finish()
    require(all(map(int.__lt__, a, directions)), "ROTATION: code too large")
    require(all(map(int.__lt__, b, directions)), "ROTATION: code too large")
    require(all(map(int.__lt__, r, rolls)), "ROTATION: code too large")
    needles = [needle for needle, _, _ in fine]
    rows = [quaternion(*codes) for codes in zip(a, b, r, needles, directions, rolls, strict=True)]
    return interleave([float32(column) for column in zip(*rows, strict=True)])


# ---- Colours

U, A, B, C, D = 2.0**-20, 0.5773502691896258, 0.7071067811865476, 0.4082482904638631, 0.8164965809277261


def colours(o0: Sequence[int], o1: Sequence[int], o2: Sequence[int]) -> list[bytes]:
    """Columns red, green, blue from the opponent values."""
    bright, rb, g = [v * U * A for v in o0], [v * U * B for v in o1], [v * U for v in o2]
    red = float32([(p + q) + v * C for p, q, v in zip(bright, rb, g, strict=True)])
    green = float32([p - v * D for p, v in zip(bright, g, strict=True)])
    blue = float32([(p - q) + v * C for p, q, v in zip(bright, rb, g, strict=True)])
    return [red, green, blue]


def decode_dc(data: bytes, tables: list[Table], params: Params, tile: Tile) -> bytes:
    """DC: SH coefficients of degree 0."""
    planes = Planes(data, tables)
    steps = class_steps(params.dc_step, 1 << 26)
    opponents = []
    for channel in range(3):
        f1, f2 = params.dc_predictor[2 * channel : 2 * channel + 2]
        column, before, earlier = [], 0, 0
        values = planes.read_signed([32 * channel + c for c in tile.weight])
        for value, c in zip(values, tile.weight, strict=True):
            predicted = (f1 * before + f2 * earlier) >> 12
            earlier, before = before, clamp(predicted + value * steps[c], 1 << 40)
            column.append(before)
        opponents.append(column)
    planes.finish()
    return interleave(colours(*opponents))


# ---- AC1 .. AC4

BUCKETS = [sum(energy <= level for energy in ENERGY) for level in range(40 * 256 + 1)]


def decode_ac(datas: Sequence[bytes], tables: list[Table], params: Params, tile: Tile) -> bytes:
    """AC1 .. AC4: sh_rest."""
    energies = [[0] * len(tile.weight) for _ in range(4)]
    columns: list[bytes] = []
    for degree, data in enumerate(datas, 1):
        planes = Planes(data, tables)
        steps = class_steps(params.ac_step[degree - 1], 1 << 26)
        for _ in range(2 * degree + 1):
            columns += colours(*(read_channel(planes, channel, steps, tile.weight, energies) for channel in range(3)))
        planes.finish()
    return interleave(columns)


def read_channel(planes: Planes, channel: int, steps: list[int], weight: list[int], e: list[list[int]]) -> list[int]:
    """A plane of AC: the opponent values of a channel; updates the splats' integers E[0] and E[1 + channel]."""
    common, own = e[0], e[1 + channel]
    bucket = BUCKETS
    states = zip(common, own, weight, strict=True)
    values = planes.read_signed([(bucket[(p + q) >> 1] * 16 + (c >> 1)) * 3 + channel for p, q, c in states])
    energies = [min(abs(value), 40) * 256 for value in values]
    e[0] = [p + ((m - p) >> 3) for p, m in zip(common, energies, strict=True)]
    e[1 + channel] = [q + ((m - q) >> 2) for q, m in zip(own, energies, strict=True)]
    return [value * steps[c] for value, c in zip(values, weight, strict=True)]


# ---- A tile


def decode_tile(streams: Sequence[bytes], count: int, params: Params, groups: Sequence[list[Table]]) -> list[bytes]:
    """The tile's arrays in the order of "Decoding a scene" from GEOMETRY, OPACITY, SCALE, ROTATION, DC, AC1 .."""
    positions, tile = decode_geometry(streams[0], groups[0], params, count)
    opacity = decode_opacity(streams[1], groups[1], params, tile)
    scales = decode_scale(streams[2], groups[2], params, tile)
    rotations = decode_rotation(streams[3], groups[3], params, tile)
    dc = decode_dc(streams[4], groups[4], params, tile)
    return [positions, scales, rotations, opacity, dc, decode_ac(streams[5:], groups[5], params, tile)]
