"""Hashed noise: random numbers of lattice points, smooth noise, sums of octaves, cells. The same on every machine."""

from __future__ import annotations

import math

from numba import njit

MASK = 0xFFFFFFFF


@njit(cache=True, nogil=True)
def hashed(x, y, z, seed):
    """A number in 0..1 that depends on four integers in no visible way."""
    h = (x * 0x8DA6B343 + y * 0xD8163841 + z * 0xCB1AB31F + seed * 0x9E3779B1) & MASK
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & MASK
    h = ((h ^ (h >> 15)) * 0x846CA68B) & MASK
    return (h ^ (h >> 16)) / 4294967296.0


@njit(cache=True, nogil=True)
def noise(x, y, z, seed):
    """Value noise in 0..1, one period per unit."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    i, j, k = int(fx), int(fy), int(fz)
    u, v, w = x - fx, y - fy, z - fz
    u, v, w = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v), w * w * (3.0 - 2.0 * w)
    result = 0.0
    for corner in range(8):
        a, b, c = corner & 1, corner >> 1 & 1, corner >> 2
        weight = (u if a else 1.0 - u) * (v if b else 1.0 - v) * (w if c else 1.0 - w)
        result += weight * hashed(i + a, j + b, k + c, seed)
    return result


@njit(cache=True, nogil=True)
def octaves(x, y, z, count, footprint, seed):
    """Sum of ``count`` octaves, about 0..1; an octave finer than ``footprint`` (units) is replaced by its mean."""
    total, weight, sum_of_weights, frequency = 0.0, 1.0, 0.0, 1.0
    for octave in range(count):
        visible = smooth(1.0, 0.35, footprint * frequency)
        if visible > 0.0:
            # turned a little, so that the lattices of the octaves do not line up
            value = noise(
                (0.8 * x + 0.6 * y) * frequency + 17.1 * octave,
                (0.8 * y - 0.6 * x) * frequency - 9.3 * octave,
                z * frequency + 5.7 * octave,
                seed + octave,
            )
        else:
            value = 0.5
        total += weight * (0.5 + visible * (value - 0.5))
        sum_of_weights += weight
        weight *= 0.58
        frequency *= 2.03
    return 0.5 + 1.6 * (total / sum_of_weights - 0.5)


@njit(cache=True, nogil=True)
def smooth(low, high, x):
    """0 at ``low``, 1 at ``high``, smooth between; ``low`` may be the larger."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True, nogil=True)
def cells(x, y, seed):
    """Worley's cells in the plane, one per unit: distances to the nearest two points, and a hash of the first."""
    fx, fy = math.floor(x), math.floor(y)
    first, second, name = 9.0, 9.0, 0.0
    for i in range(fx - 1, fx + 2):
        for j in range(fy - 1, fy + 2):
            px = i + 0.15 + 0.7 * hashed(i, j, 1, seed)
            py = j + 0.15 + 0.7 * hashed(i, j, 2, seed)
            d = math.sqrt((x - px) ** 2 + (y - py) ** 2)
            if d < first:
                second, first, name = first, d, hashed(i, j, 3, seed)
            elif d < second:
                second = d
    return first, second, name
