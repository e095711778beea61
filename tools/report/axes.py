"""Axes of a plot: a range, a scale and the ticks that fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_PER_DECADE: tuple[tuple[float, ...], ...] = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.5, 2, 3, 4, 5, 6, 8))
_SSIM_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 0.99999)


@dataclass(frozen=True)
class Axis:
    """low, high: ends of the range, in the unit of the values. scale: monotone map to where they are drawn."""

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]
    tick_text: Callable[[float], str]
    scale: Callable[[float], float]

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        low, high = self.scale(self.low), self.scale(self.high)
        return (self.scale(value) - low) / (high - low)


def log_axis(title: str, values: Sequence[float]) -> Axis:
    """Decimal logarithm of positive values."""
    low, high = min(values) / 1.2, max(values) * 1.2
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in _PER_DECADE:
        found = [step * 10.0**ten for ten in tens for step in steps if low <= step * 10.0**ten <= high]
        if len(found) > 7 and ticks:
            break
        ticks = found
    return Axis(title, low, high, tuple(ticks), _short, math.log10)


def linear_axis(title: str, values: Sequence[float]) -> Axis:
    """Equal distances, about six ticks."""
    low, high = min(values), max(values)
    margin = 0.07 * (high - low) or 1.0
    low, high = low - margin, high + margin
    step = _step((high - low) / 6)
    first, last = math.ceil(low / step), math.floor(high / step)
    ticks = tuple(number * step for number in range(first, last + 1))
    digits = next((digits for digits in range(9) if math.isclose(step, round(step, digits))), 9)
    return Axis(title, low, high, ticks, lambda tick: minus(f"{tick:.{digits}f}"), lambda value: value)


def change_axis(title: str, values: Sequence[float], unit: float) -> Axis:
    """Changes around 0: linear up to about ``unit``, logarithmic beyond, so that small and large ones show."""

    def scale(value: float) -> float:
        return math.asinh(value / unit)

    low, high = min(*values, -2 * unit), max(*values, unit)
    margin = 0.06 * (scale(high) - scale(low))
    low, high = unit * math.sinh(scale(low) - margin), unit * math.sinh(scale(high) + margin)
    tens = range(math.floor(math.log10(unit)), math.floor(math.log10(unit)) + 6)
    sizes = [step * 10.0**ten for ten in tens for step in (1, 2, 5) if step * 10.0**ten >= 0.99 * unit]
    all_ticks = [tick for tick in [-size for size in reversed(sizes)] + [0.0, *sizes] if low <= tick <= high]
    ticks: list[float] = [0.0]  # outwards from 0, none closer than a twelfth of the axis to the one before
    for side in ([t for t in all_ticks if t > 0], [t for t in reversed(all_ticks) if t < 0]):
        before = 0.0
        for tick in side:
            if abs(scale(tick) - scale(before)) >= (scale(high) - scale(low)) / 12:
                ticks.append(tick)
                before = tick
    return Axis(title, low, high, tuple(sorted(ticks)), lambda tick: minus(f"{tick:+g}") if tick else "0", scale)


def ssim_axis(title: str, values: Sequence[float]) -> Axis:
    """SSIM by the logarithm of what is missing to 1."""

    def scale(value: float) -> float:
        return -math.log10(max(1.0 - value, 1e-7))

    low, high = 1.0 - (1.0 - min(values)) * 1.25, 1.0 - (1.0 - max(values)) / 1.25
    ticks = tuple(tick for tick in _SSIM_TICKS if low <= tick <= high)
    return Axis(title, low, high, ticks, lambda tick: f"{tick:g}", scale)


def minus(text: str) -> str:
    """With the sign for minus that is as wide as a plus."""
    return text.replace("-", "−")


def _short(value: float) -> str:
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _step(rough: float) -> float:
    ten = 10.0 ** math.floor(math.log10(rough))
    return next(step * ten for step in _STEPS if step * ten >= rough * 0.999)
