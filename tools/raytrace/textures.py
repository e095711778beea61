"""Procedural textures: the colour of a surface at a point, with detail at several scales.

A material is a row of ``COLUMNS`` numbers, named below. Colours are linear RGB. A texture knows the footprint of
the sample on the surface in metres and leaves out what is finer.
"""

from __future__ import annotations

import math

from gscodec_tools.raytrace.noise import cells, hashed, noise, octaves, smooth
from numba import njit

PLAIN, WOOD, BRICK, TILES, GROWTH, MARBLE, STRIPES, PRINT, COBBLES, PLAID, PICTURE, RUG, FOLIAGE = range(13)

# columns of a material
KIND, SCALE, FIRST, SECOND, THIRD = 0, 1, 2, 5, 8
SPECULAR, SHININESS, MIRROR, EMISSION, SEED, AMOUNT, TRANSLUCENT = 11, 12, 13, 14, 15, 16, 17
COLUMNS = 18


@njit(cache=True, nogil=True)
def _mix(m, a, b, t):
    """Between the colours that start in columns a and b."""
    t = min(max(t, 0.0), 1.0)
    return m[a] + t * (m[b] - m[a]), m[a + 1] + t * (m[b + 1] - m[a + 1]), m[a + 2] + t * (m[b + 2] - m[a + 2])


@njit(cache=True, nogil=True)
def _scaled(colour, factor):
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


@njit(cache=True, nogil=True)
def _blend(a, b, t):
    t = min(max(t, 0.0), 1.0)
    return a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2])


@njit(cache=True, nogil=True)
def albedo(m, x, y, z, u, v, footprint):
    """Linear RGB of material ``m`` at a point (metres; solid coordinates x y z, surface coordinates u v)."""
    kind, seed = int(m[KIND]), int(m[SEED])
    s = m[SCALE]
    f = footprint * s
    # grime of a few decimetres, which no real surface is without
    grime = 1.0 + 0.22 * m[AMOUNT] * (octaves(1.7 * x, 1.7 * y, 1.7 * z, 3, 1.7 * footprint, seed + 90) - 0.5)
    x, y, z, u, v = x * s, y * s, z * s, u * s, v * s
    if kind == PLAIN:
        colour = _scaled(_mix(m, FIRST, SECOND, octaves(x, y, z, 5, f, seed) * 1.4 - 0.2), 1.0)
    elif kind == WOOD:
        colour = _wood(m, u, v, f, seed)
    elif kind == BRICK:
        colour = _brick(m, u, v, f, seed)
    elif kind == TILES:
        colour = _tiles(m, u, v, f, seed)
    elif kind == GROWTH:
        patch = octaves(0.35 * x, 0.35 * y, 0.35 * z, 3, 0.35 * f, seed + 5)
        fine = octaves(7.0 * x, 7.0 * y, 7.0 * z, 4, 7.0 * f, seed)
        green = _mix(m, FIRST, SECOND, fine * 1.5 - 0.25)
        colour = _blend(green, (m[THIRD], m[THIRD + 1], m[THIRD + 2]), (patch - 0.55) * 3.0 + (fine - 0.5))
    elif kind == MARBLE:
        wave = math.sin(3.0 * x + 2.0 * z + 1.3 * y + 7.0 * octaves(x, y, z, 5, f, seed))
        colour = _mix(m, FIRST, SECOND, math.sqrt(abs(wave)) * 1.1)
        colour = _scaled(colour, 0.88 + 0.24 * octaves(6.0 * x, 6.0 * y, 6.0 * z, 3, 6.0 * f, seed + 3))
    elif kind == STRIPES:
        colour = _stripes(m, u, v, f, seed)
    elif kind == PRINT:
        colour = _print(m, u, v, f, seed)
    elif kind == COBBLES:
        colour = _cobbles(m, u, v, f, seed)
    elif kind == PLAID:
        colour = _plaid(m, u, v, f, seed)
    elif kind == PICTURE:
        colour = _picture(m, u, v, f, seed)
    elif kind == RUG:
        colour = _rug(m, u, v, f, seed)
    else:
        rib = smooth(0.10, 0.02, abs(v)) + 0.6 * smooth(0.22, 0.0, abs((abs(v) - 0.9 * u) % 0.28 - 0.14) * 2.0)
        colour = _mix(m, FIRST, SECOND, 0.75 * octaves(2.0 * u, 2.0 * v, 0.0, 3, 2.0 * f, seed) + 0.3 * rib)
    return _scaled(colour, grime)


@njit(cache=True, nogil=True)
def _wood(m, u, v, f, seed):
    """Planks along u, a unit wide and nine long, with growth rings and pores."""
    row = math.floor(v)
    shift = 9.0 * hashed(int(row), 3, 0, seed)
    plank = math.floor((u + shift) / 9.0)
    own = hashed(int(row), int(plank), 1, seed)
    across, along = v + 31.0 * own, u * 0.12 + 11.0 * own
    bend = octaves(along, 0.7 * across, own * 7.0, 3, 0.7 * f, seed)
    ring = across * 2.0 + 4.0 * bend
    ring = 0.5 + (0.5 * math.sin(6.2832 * ring) + 0.25 * math.sin(17.0 * ring)) * smooth(0.5, 0.12, f)
    pores = octaves(along * 8.0, across * 26.0, own * 5.0, 2, 26.0 * f, seed + 7)
    colour = _scaled(_mix(m, FIRST, SECOND, 0.25 + 0.42 * ring + 0.5 * (pores - 0.5)), 0.82 + 0.36 * own)
    if m[AMOUNT] < 0.0:  # one solid piece
        return colour
    gap = min(v - row, 1.0 - (v - row), 4.0 * abs((u + shift) / 9.0 - plank))
    return _scaled(colour, 1.0 - 0.75 * smooth(0.035 + f, 0.01, gap))


@njit(cache=True, nogil=True)
def _brick(m, u, v, f, seed):
    """Stretcher bond; a brick is one unit long, a third high."""
    row = math.floor(v * 3.0)
    along = u + 0.5 * (int(row) & 1) + 0.02 * (noise(u * 9.0, v * 9.0, 0.0, seed) - 0.5)
    column = math.floor(along)
    edge = min(min(along - column, column + 1.0 - along), (min(v * 3.0 - row, row + 1.0 - v * 3.0)) / 3.0)
    edge += 0.012 * (octaves(14.0 * u, 14.0 * v, 1.0, 2, 14.0 * f, seed) - 0.5)
    own = hashed(int(column), int(row), 0, seed)
    rough = octaves(9.0 * u, 9.0 * v, 3.0 * own, 4, 9.0 * f, seed + 1)
    shade = 0.62 + 0.62 * rough + 0.2 * (hashed(int(column), int(row), 5, seed) - 0.5)
    stone = _scaled(_mix(m, FIRST, SECOND, own), shade)
    mortar = (m[THIRD], m[THIRD + 1], m[THIRD + 2])
    mortar = _scaled(mortar, 0.7 + 0.6 * octaves(22.0 * u, 22.0 * v, 0.0, 2, 22.0 * f, seed + 2))
    return _blend(mortar, stone, smooth(0.016 - 0.5 * f, 0.034 + 0.5 * f, edge))


@njit(cache=True, nogil=True)
def _tiles(m, u, v, f, seed):
    """Square tiles of two colours with grout, each mottled in its own way."""
    i, j = math.floor(u), math.floor(v)
    own = hashed(int(i), int(j), 0, seed)
    mottled = octaves(5.0 * u + 9.0 * own, 5.0 * v, 3.0 * own, 5, 5.0 * f, seed)
    odd = (int(i) + int(j)) & 1
    colour = _mix(m, FIRST if odd else SECOND, SECOND if odd else FIRST, 0.12 * own)
    speck = octaves(40.0 * u, 40.0 * v, own, 2, 40.0 * f, seed + 1)
    colour = _scaled(colour, 0.45 + 0.7 * mottled + 0.35 * (own - 0.5) + 0.35 * (speck - 0.5))
    edge = min(min(u - i, i + 1.0 - u), min(v - j, j + 1.0 - v))
    grout = (m[THIRD], m[THIRD + 1], m[THIRD + 2])
    return _blend(grout, colour, smooth(0.012 - 0.5 * f, 0.026 + 0.5 * f, edge))


@njit(cache=True, nogil=True)
def _stripes(m, u, v, f, seed):
    """Woven cloth with stripes of uneven width across u."""
    stripe = math.floor(v)
    t = smooth(0.0, 0.06 + f, v - stripe - 0.25 - 0.3 * hashed(int(stripe), 0, 0, seed))
    colour = _mix(m, FIRST, SECOND, t)
    if hashed(int(stripe), 1, 0, seed) > 0.66:
        line = smooth(0.04 + f, 0.02, abs(v - stripe - 0.85))
        colour = _blend(colour, (m[THIRD], m[THIRD + 1], m[THIRD + 2]), line)
    return _scaled(colour, _weave(u, v, f, seed))


@njit(cache=True, nogil=True)
def _weave(u, v, f, seed):
    visible = smooth(0.10, 0.03, f)
    thread = math.sin(u * 90.0) * math.sin(v * 90.0)
    return 0.86 + 0.10 * visible * thread + 0.3 * (octaves(4.0 * u, 4.0 * v, 0.0, 4, 4.0 * f, seed + 4) - 0.5)


@njit(cache=True, nogil=True)
def _print(m, u, v, f, seed):
    """A printed page or label: a heading and a coloured band, then lines of words of made-up letters; a unit wide."""
    shade = 0.92 + 0.16 * octaves(3.0 * u, 3.0 * v, 0.0, 4, 3.0 * f, seed)
    page = _scaled((m[FIRST], m[FIRST + 1], m[FIRST + 2]), shade)
    ink = (m[SECOND], m[SECOND + 1], m[SECOND + 2])
    block = math.floor(v)
    inside = v - block
    if inside > 0.8:
        band = smooth(0.8, 0.81 + f, inside) * smooth(0.97, 0.96 - f, inside)
        page = _blend(page, (m[THIRD], m[THIRD + 1], m[THIRD + 2]), band)
        size, low, paint = 0.1, 0.835, (m[FIRST], m[FIRST + 1], m[FIRST + 2])
        row = -1
    else:
        size = 0.075
        row = math.floor(inside / (1.7 * size))
        low, paint = row * 1.7 * size + 0.3 * size, ink
    height = (inside - low) / size
    if not 0.0 <= height < 1.0:
        return page
    step = 0.62 * size
    letter = math.floor(u / step)
    word = hashed(int(letter), row, 7 + int(block), seed)
    if word < 0.16 or (row >= 0 and hashed(math.floor(u / (9.0 * step)), row, 3, seed) < 0.12):
        return page
    # a letter is a 3 x 5 pattern of strokes with at least a stem
    cx, cy = int((u / step - letter) * 4.0), int(height * 5.0)
    stroke = cx < 3 and (cx == int(2.9 * word) or hashed(int(word * 997.0), cx, cy, 5) > 0.5)
    visible = smooth(0.9, 0.25, f / (0.2 * size))
    return _blend(page, paint, visible * (0.9 if stroke else 0.0) + (1.0 - visible) * 0.4)


@njit(cache=True, nogil=True)
def _cobbles(m, u, v, f, seed):
    """Rounded stones of different size and colour, sand between them."""
    wobble = 0.25 * (octaves(3.0 * u, 3.0 * v, 0.0, 2, 3.0 * f, seed) - 0.5)
    first, second, name = cells(u + wobble, v - wobble, seed)
    gap = second - first
    rough = octaves(8.0 * u, 8.0 * v, 5.0 * name, 4, 8.0 * f, seed + 1)
    stone = _scaled(_mix(m, FIRST, SECOND, name), (0.6 + 0.6 * rough) * (0.72 + 0.38 * smooth(0.0, 0.4, gap)))
    sand = (m[THIRD], m[THIRD + 1], m[THIRD + 2])
    sand = _scaled(sand, 0.6 + 0.8 * octaves(20.0 * u, 20.0 * v, 0.0, 3, 20.0 * f, seed + 2))
    return _blend(sand, stone, smooth(0.05 - 0.5 * f, 0.14 + 0.5 * f, gap))


@njit(cache=True, nogil=True)
def _plaid(m, u, v, f, seed):
    """Two sets of crossing stripes in woven cloth."""
    blur = 0.03 + f
    a = smooth(0.0, blur, abs(u - math.floor(u) - 0.5) - 0.22)
    b = smooth(0.0, blur, abs(v - math.floor(v) - 0.5) - 0.22)
    colour = _mix(m, FIRST, SECOND, 0.5 * (a + b))
    thin = max(
        smooth(blur, 0.0, abs(u - math.floor(u) - 0.5) - 0.02), smooth(blur, 0.0, abs(v - math.floor(v) - 0.5) - 0.02)
    )
    colour = _blend(colour, (m[THIRD], m[THIRD + 1], m[THIRD + 2]), 0.8 * thin)
    return _scaled(colour, _weave(u, v, f, seed))


@njit(cache=True, nogil=True)
def _picture(m, u, v, f, seed):
    """A painted landscape: sky, ridges one behind the other, brush strokes."""
    stroke = octaves(3.0 * u, 14.0 * v, 0.0, 4, 14.0 * f, seed + 8) - 0.5
    colour = _mix(m, FIRST, SECOND, v + 0.5 + 0.6 * stroke)
    sun = (u - 0.6 * (hashed(1, 2, 3, seed) - 0.5)) ** 2 + (v - 0.25) ** 2
    colour = _blend(colour, (1.0, 0.78, 0.4), smooth(0.012, 0.008, sun))
    for ridge in range(4):
        rough = octaves(2.2 * u + 7.0 * ridge, 3.0 * ridge, 0.0, 4, 2.2 * f, seed + ridge)
        line = 0.22 - 0.2 * ridge + 0.4 * (rough - 0.5)
        shade = 0.9 - 0.2 * ridge + 0.7 * stroke
        land = _scaled(_mix(m, SECOND, THIRD, 0.35 + 0.25 * ridge), shade)
        colour = _blend(colour, land, smooth(line + 0.006 + f, line - 0.006, v))
    return colour


@njit(cache=True, nogil=True)
def _rug(m, u, v, f, seed):
    """Diamonds inside a border of small figures; knotted wool."""
    i, j = math.floor(u), math.floor(v)
    a, b = abs(u - i - 0.5), abs(v - j - 0.5)
    diamond = a + b
    t = smooth(0.0, 0.03 + f, 0.40 - diamond) - smooth(0.0, 0.03 + f, 0.27 - diamond)
    colour = _mix(m, FIRST, SECOND, t)
    figure = smooth(0.0, 0.02 + f, 0.12 - max(a, b)) + smooth(0.0, 0.02 + f, 0.06 - abs(diamond - 0.72))
    colour = _blend(colour, (m[THIRD], m[THIRD + 1], m[THIRD + 2]), figure)
    knots = octaves(24.0 * u, 24.0 * v, 0.0, 2, 24.0 * f, seed + 6)
    return _scaled(colour, (0.66 + 0.4 * knots) * (0.85 + 0.3 * octaves(2.0 * u, 2.0 * v, 0.0, 3, 2.0 * f, seed)))
