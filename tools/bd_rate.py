"""Bjøntegaard deltas between rate-distortion curves, and rate at equal quality for codecs with one rate point.

    python -m gscodec_tools.bd_rate results/codec.json [--against other.json] [--quality psnr_renders] [--json]

Without --against: what this codec needs for the quality of each other format, scene by scene. With it: BD-rate and
BD-PSNR of the sweeps in the first file against those in the other, of which negative rates mean that the first is
smaller. PCHIP is what video standardisation uses and the headline; Akima stands beside it: where the two differ much,
the points are too few. Nothing is extrapolated. Rates are whole files.

Source: Herglotz et al., "The Bjøntegaard Bible", arXiv 2304.12852; JVET common test conditions.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

from gscodec.errors import BadInputError, GsbError

F64 = npt.NDArray[np.float64]

LEAST_POINTS = 4
LEAST_OVERLAP = 75.0


@dataclass(frozen=True)
class Curve:
    """One codec on one scene: rates (bytes or bits, of any unit) and qualities, both strictly rising."""

    name: str
    rates: tuple[float, ...]
    qualities: tuple[float, ...]

    @classmethod
    def of(cls, name: str, points: Iterable[tuple[float, float]]) -> Curve:
        """From (rate, quality) in any order.

        Raises BadInputError, naming the points, for fewer than four, for rates and qualities that are not finite or
        rates that are not positive, and where more bytes do not give more quality.
        """
        ordered = sorted((float(rate), float(quality)) for rate, quality in points)
        if len(ordered) < LEAST_POINTS:
            raise BadInputError("too few points", field=name, found=ordered, allowed=f"at least {LEAST_POINTS}")
        for rate, quality in ordered:
            if not (math.isfinite(rate) and rate > 0.0 and math.isfinite(quality)):
                raise BadInputError("not a point of a curve", field=name, found=(rate, quality), allowed="finite, > 0")
        for left, right in pairwise(ordered):
            if not (left[0] < right[0] and left[1] < right[1]):
                allowed = "quality that rises strictly with rate"
                raise BadInputError("curve is not monotone", field=name, found=(left, right), allowed=allowed)
        rates, qualities = zip(*ordered, strict=True)
        return cls(name, rates, qualities)

    @property
    def log_rates(self) -> F64:
        """Decimal logarithms of the rates."""
        logarithms: F64 = np.log10(np.array(self.rates))
        return logarithms


@dataclass(frozen=True)
class Delta:
    """A Bjøntegaard delta by both interpolations.

    ``overlap`` is the percentage of the union of the two curves' ranges that both cover; ``interval`` is where the
    delta was taken, in quality for BD-rate and in the unit of the rates for BD-PSNR.
    """

    pchip: float
    akima: float
    overlap: float
    interval: tuple[float, float]


def bd_rate(anchor: Curve, test: Curve, min_overlap: float = LEAST_OVERLAP) -> Delta:
    """Mean change of rate in percent from ``anchor`` to ``test`` at equal quality; negative: ``test`` is smaller.

    Raises BadInputError if the ranges of quality overlap by less than ``min_overlap`` percent, or not at all.
    """
    sides = [(np.array(curve.qualities), curve.log_rates) for curve in (anchor, test)]
    pchip, akima, overlap, interval = _deltas(f"{anchor.name}, {test.name}", sides, min_overlap)
    return Delta(100.0 * (10.0**pchip - 1.0), 100.0 * (10.0**akima - 1.0), overlap, interval)


def bd_psnr(anchor: Curve, test: Curve, min_overlap: float = LEAST_OVERLAP) -> Delta:
    """Mean gain of quality (dB for PSNR) from ``anchor`` to ``test`` at equal rate; positive: ``test`` is better.

    Raises BadInputError if the ranges of log rate overlap by less than ``min_overlap`` percent, or not at all.
    """
    sides = [(curve.log_rates, np.array(curve.qualities)) for curve in (anchor, test)]
    pchip, akima, overlap, (low, high) = _deltas(f"{anchor.name}, {test.name}", sides, min_overlap)
    return Delta(pchip, akima, overlap, (10.0**low, 10.0**high))


def rate_at_quality(curve: Curve, quality: float) -> float:
    """Rate at which ``curve`` has that quality, PCHIP over log rate. Raises BadInputError outside of its range."""
    low, high = curve.qualities[0], curve.qualities[-1]
    if not low <= quality <= high:
        raise BadInputError("quality outside of the curve", field=curve.name, found=quality, allowed=f"{low}..{high}")
    return float(10.0 ** PchipInterpolator(curve.qualities, curve.log_rates)(quality))


def _deltas(name: str, sides: list[tuple[F64, F64]], least: float) -> tuple[float, float, float, tuple[float, float]]:
    """Mean over the common range of x of y of the second side minus that of the first: PCHIP, Akima; overlap, range."""
    first, last = [float(x[0]) for x, _ in sides], [float(x[-1]) for x, _ in sides]
    low, high = max(first), min(last)
    overlap = 100.0 * max(high - low, 0.0) / (max(last) - min(first))
    if overlap < least or high <= low:
        found = f"{overlap:.1f} %"
        raise BadInputError("curves overlap too little", field=name, found=found, allowed=f"{least:g} % and above 0")
    means = []
    for method in (PchipInterpolator, Akima1DInterpolator):
        anchor, test = (float(method(x, y).integrate(low, high)) for x, y in sides)
        means.append((test - anchor) / (high - low))
    return means[0], means[1], overlap, (low, high)


def peers_at_equal_quality(scene: dict[str, Any], quality: str) -> list[dict[str, Any]]:
    """Of one scene of codec.json: our bytes at each other format's quality, and their share of its bytes.

    ``our_bytes`` and ``ratio`` are None where our sweep does not reach that quality.
    """
    curve = sweep_curve(scene, quality)
    rows = []
    for name, peer in scene.get("peers", {}).items():
        size, value = _number(peer, "bytes", name), _number(peer, quality, name)
        if not size > 0.0:
            raise BadInputError("no bytes", field=f"{name}: bytes", found=size, allowed="above 0")
        inside = curve.qualities[0] <= value <= curve.qualities[-1]
        ours = rate_at_quality(curve, value) if inside else None
        ratio = None if ours is None else ours / size
        rows.append({"peer": name, "quality": value, "bytes": size, "our_bytes": ours, "ratio": ratio})
    return rows


def sweep_curve(scene: dict[str, Any], quality: str) -> Curve:
    """Our curve of one scene of codec.json. Raises BadInputError if it is no curve."""
    name = str(scene["scene"])
    return Curve.of(name, [(_number(row, "bytes", name), _number(row, quality, name)) for row in scene["sweep"]])


def load_scenes(path: str | Path) -> list[dict[str, Any]]:
    """The scenes of a codec.json of bench_codec. Raises BadInputError."""
    try:
        scenes = json.loads(Path(path).read_text(encoding="utf-8"))["scenes"]
        for scene in scenes:
            parts = (scene["scene"], str), (scene["sweep"], list), (scene.get("peers", {}), dict)
            if not all(isinstance(part, kind) for part, kind in parts):
                raise TypeError("not a scene of bench_codec")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInputError(f"cannot read results: {error!r}", field="codec.json", found=str(path)) from error
    return list(scenes)


def _number(row: dict[str, Any], key: str, name: str) -> float:
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, int | float):  # null stands for an infinite PSNR
        raise BadInputError("no number", field=f"{name}: {key}", found=value, allowed="a finite number")
    return float(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bd_rate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", help="codec.json of bench_codec")
    parser.add_argument("--against", metavar="JSON", help="codec.json of another run, the anchor")
    parser.add_argument("--quality", default="psnr_renders", help="measure of codec.json (default: %(default)s)")
    parser.add_argument("--min-overlap", type=float, default=LEAST_OVERLAP, metavar="PERCENT")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        scenes = load_scenes(options.results)
        if options.against is None:
            tree: Any = {scene["scene"]: peers_at_equal_quality(scene, options.quality) for scene in scenes}
            text = _peers_text(tree, options.quality)
        else:
            tree = _compare(load_scenes(options.against), scenes, options.quality, options.min_overlap)
            text = _deltas_text(tree)
    except GsbError as error:
        print(f"bd_rate: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(tree, indent=1) if options.json else text)
    return 0


def _compare(
    anchors: list[dict[str, Any]], tests: list[dict[str, Any]], quality: str, min_overlap: float
) -> dict[str, Any]:
    old, new = ({scene["scene"]: sweep_curve(scene, quality) for scene in side} for side in (anchors, tests))
    if not old or old.keys() != new.keys():
        raise BadInputError("not the same scenes", field="scenes", found=sorted(new), allowed=sorted(old))
    scenes = {
        name: {
            "bd_rate": asdict(bd_rate(old[name], curve, min_overlap)),
            "bd_quality": asdict(bd_psnr(old[name], curve, min_overlap)),
        }
        for name, curve in new.items()
    }
    means = {
        f"{delta}_{method}": float(np.mean([scene[delta][method] for scene in scenes.values()]))
        for delta in ("bd_rate", "bd_quality")
        for method in ("pchip", "akima")
    }
    return {"scenes": scenes, "mean": means}


def _peers_text(tree: dict[str, list[dict[str, Any]]], quality: str) -> str:
    lines = [f"{'scene':<14} {'other format':<18} {quality:>13} {'its bytes':>12} {'our bytes':>12} {'ours/its':>9}"]
    for scene, rows in tree.items():
        for row in rows:
            ours = "off our sweep" if row["our_bytes"] is None else f"{row['our_bytes']:,.0f}"
            ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
            lines.append(
                f"{scene:<14} {row['peer']:<18} {row['quality']:>13.3f} {row['bytes']:>12,.0f} {ours:>12} {ratio:>9}"
            )
    return "\n".join(lines)


def _deltas_text(tree: dict[str, Any]) -> str:
    lines = [
        f"{'scene':<14} {'BD-rate %':>10} {'Akima':>8} {'BD-qual.':>9} {'Akima':>8} {'overlap %':>10}  quality interval"
    ]
    for name, scene in tree["scenes"].items():
        rate, gain = scene["bd_rate"], scene["bd_quality"]
        low, high = rate["interval"]
        lines.append(
            f"{name:<14} {rate['pchip']:>+10.2f} {rate['akima']:>+8.2f} {gain['pchip']:>+9.3f} {gain['akima']:>+8.3f} "
            f"{rate['overlap']:>10.1f}  {low:.3f} to {high:.3f}"
        )
    means = list(tree["mean"].values())
    lines.append(f"{'mean':<14} {means[0]:>+10.2f} {means[1]:>+8.2f} {means[2]:>+9.3f} {means[3]:>+8.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
