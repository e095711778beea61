"""Bits per attribute: what GETA-3DGS' equation 14 predicts, what a search on real images finds, what it is worth.

    python -m gscodec_tools.bench_allocation SCENE... [--views 3] [--encodes 12] [--jobs 1]
        [--json results/allocation.json]

A SCENE is a folder with a point_cloud.ply and its capture. Training views allocate, test views judge, both thinned out
to ``--views``. Two codecs:

- ``uniform``: the paper's own family (``uniform_quantiser``), at the bits of its uniform ablation, 6 for each value,
  and at those of Table I's compressive preset. All rows of one budget have the same bits of fixed length; beside
  them stand the order-0 entropy and the bits in which the native branch reaches the same PSNR on renders.
- ``native``: offsets of ``gscodec.rate.allocation`` at the default quality, and BD-rate against none. With few views
  that is uncertain by some percent: a splat close to one camera may decide a view.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from gscodec_tools.bd_rate import Curve, bd_rate
from gscodec_tools.machine import machine
from gscodec_tools.quality import photo_quality
from gscodec_tools.uniform_quantiser import entropy_bits, quantised, values_per_splat
from scipy.interpolate import PchipInterpolator

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, StepOffsets
from gscodec.decoder import decode
from gscodec.encoder import encode
from gscodec.errors import GsbError
from gscodec.formats.ply import read_ply
from gscodec.rate.allocation import search
from gscodec.rate.bounds import COMPRESSIVE
from gscodec.rate.reference import Reference, log_mean_error
from gscodec.rate.sensitivity import Trials
from gscodec.rate.waterfilling import allocate_bits
from gscodec.scene import Camera, load_capture

UNIFORM_BITS = 6.0  # of the paper's ablation
POSITION_BITS = 16.0  # what a uniform quantiser gives positions if it is not to move splats visibly
LEAST, MOST = 1.0, 20.0  # bits of any attribute
PROBE_BITS, ROUNDS = 10.0, 2  # the first probe; the second is where the first prediction lies
STEPS = (0.5, 0.25)  # bits, of the search
QUALITIES = (30.0, 50.0, 75.0, 100.0)


def bench_scene(folder: Path, view_count: int, encodes: int) -> dict[str, Any]:
    """All numbers of one scene. Raises GsbError."""
    cloud, capture = read_ply(folder / "point_cloud.ply"), load_capture(folder)
    views = capture.views()
    cameras = {split: _thinned([v for v in views if v.split == split], view_count) for split in ("train", "test")}
    train, test = (Reference(cloud, cameras[split]) for split in ("train", "test"))
    native = bench_native(cloud, train, test, encodes)
    uniform = bench_uniform(cloud, train, test, cameras["test"], capture.image_folder)
    add_native_bits(uniform["rows"], native["curve"])
    return {
        "scene": folder.resolve().name,
        "splats": len(cloud),
        "views": {split: [camera.name for camera in own] for split, own in cameras.items()},
        "uniform": uniform,
        "native": native,
    }


def add_native_bits(rows: Sequence[dict[str, Any]], curve: Sequence[tuple[float, float]]) -> None:
    """To each row the native bits per splat at its PSNR, by ``curve`` of (bits, PSNR); None outside of that."""
    bits, psnrs = zip(*curve, strict=True)
    log_bits = PchipInterpolator(psnrs, np.log(bits), extrapolate=False)
    for row in rows:
        found = math.exp(float(log_bits(row["psnr_renders"])))
        row["native_bits_at_psnr"] = round(found, 2) if math.isfinite(found) else None


def bench_uniform(
    cloud: GaussianCloud, train: Reference, test: Reference, cameras: Sequence[Camera], photos: Path | None
) -> dict[str, Any]:
    """Rows of uniform quantisation at two budgets, and the bits of each."""
    values = values_per_splat(cloud)
    total = sum(values.values())
    table = {name: float(COMPRESSIVE[name][0]) for name in values}
    rows = []
    for budget in (UNIFORM_BITS * total, _used(values, table)):
        sensitivities = measure_uniform(cloud, train, values, budget)
        predicted = _predicted(sensitivities, values, budget)
        others = (budget - POSITION_BITS * values["position"]) / (total - values["position"])
        allocations = {
            "uniform": dict.fromkeys(values, budget / total),
            "uniform, positions 16": dict.fromkeys(values, others) | {"position": POSITION_BITS},
            "equation 14": predicted,
            "equation 14 as printed": _printed(sensitivities, budget / total),
        }
        if budget == _used(values, table):
            allocations["Table I"] = table
        else:
            allocations["search"] = search_uniform(cloud, train, values, predicted)
        for name, bits in allocations.items():
            decoded, codes = quantised(cloud, bits)
            entropy = entropy_bits(codes)
            row: dict[str, Any] = {"allocation": name, "budget_bits": budget, "fixed_bits": _used(values, bits)}
            row |= {"entropy_bits": round(entropy, 2), "psnr_renders": round(test.psnr(decoded), 3)}
            if photos is not None:
                row["psnr_photos"] = round(photo_quality(decoded, cameras, photos).psnr, 3)
            rows.append(row | {"bits": _rounded(bits)})
    source = None if photos is None else round(photo_quality(cloud, cameras, photos).psnr, 3)
    return {"values": values, "source_psnr_photos": source, "rows": rows}


def measure_uniform(
    cloud: GaussianCloud, train: Reference, values: Mapping[str, int], budget: float
) -> dict[str, float]:
    """Equation 14's s² · v of each attribute, from the error that it alone makes, near the bits that it will have."""
    bits = dict.fromkeys(values, PROBE_BITS)
    products: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, count in values.items():
            error = log_mean_error(train.view_psnrs(quantised(cloud, {name: bits[name]})[0]))
            products[name] = max(error, 1e-12) * 12.0 * 4.0 ** bits[name] / count
        bits = _predicted(products, values, budget)
    return products


def _predicted(products: Mapping[str, float], values: Mapping[str, int], budget: float) -> dict[str, float]:
    roots = np.sqrt([products[name] for name in values])
    bits = allocate_bits(roots, np.ones(len(roots)), list(values.values()), budget, (LEAST, MOST))
    return dict(zip(values, map(float, bits), strict=True))


def _printed(products: Mapping[str, float], mean_bits: float) -> dict[str, float]:
    """The equation with the plain mean over attributes, which does not keep to its budget."""
    own = {name: math.log2(product) / 2.0 for name, product in products.items()}
    middle = sum(own.values()) / len(own)
    return {name: min(max(mean_bits + value - middle, LEAST), MOST) for name, value in own.items()}


def search_uniform(
    cloud: GaussianCloud, train: Reference, values: Mapping[str, int], start: Mapping[str, float]
) -> dict[str, float]:
    """Coordinate descent on the error: an attribute gains or loses bits, all others pay for it alike."""
    total = sum(values.values())
    best, least = dict(start), _error(cloud, train, start)
    for step in STEPS:
        for name in values:
            for change in (step, -step):
                shift = change * values[name] / (total - values[name])
                bits = {other: width - shift for other, width in best.items()} | {name: best[name] + change}
                if min(bits.values()) < LEAST or (error := _error(cloud, train, bits)) >= least:
                    continue
                best, least = bits, error
                break
    return best


def _error(cloud: GaussianCloud, reference: Reference, bits: Mapping[str, float]) -> float:
    return log_mean_error(reference.view_psnrs(quantised(cloud, bits)[0]))


def bench_native(cloud: GaussianCloud, train: Reference, test: Reference, encodes: int) -> dict[str, Any]:
    """Octaves predicted and found on the training views; curves and BD-rate on the test views."""
    found = search(Trials(cloud, EncodeConfig(), train), encodes)
    curves = [_curve(cloud, test, offsets) for offsets in (StepOffsets(), found.offsets)]
    delta = bd_rate(Curve.of("balance", curves[0]), Curve.of("offsets", curves[1]), min_overlap=50.0)
    sensitivities = {
        name: {"error_share": one.error / sum(each.error for each in found.sensitivities.values()), "bits": one.bits}
        for name, one in found.sensitivities.items()
    }
    return {
        "sensitivities": {name: _rounded(one) for name, one in sensitivities.items()},
        "predicted_octaves": _rounded(found.predicted),
        "found_octaves": _rounded(found.found),
        "encodes": found.encodes,
        "saving_on_training_views": round(found.saving, 4),
        "bd_rate_on_test_views": round(delta.pchip, 2),
        "curve": curves[0],
        "curve_with_offsets": curves[1],
    }


def _curve(cloud: GaussianCloud, test: Reference, offsets: StepOffsets) -> list[tuple[float, float]]:
    points = []
    for quality in QUALITIES:
        data = encode(cloud, EncodeConfig(quality=quality, offsets=offsets))
        points.append((round(8.0 * len(data) / len(cloud), 3), round(test.psnr(decode(data)), 3)))
    return points


def as_text(scene: Mapping[str, Any]) -> str:
    """The tables for people."""
    uniform, native = scene["uniform"], scene["native"]
    names = list(uniform["values"])
    lines = [
        f"{scene['scene']}, {scene['splats']:,} splats; the source has {uniform['source_psnr_photos']} dB on photos"
    ]
    head = f"{'uniform quantiser':<24}{'bits':>7}{'entropy':>9}{'PSNR':>8}{'photos':>8}{'native':>8}"
    lines.append(head + "".join(f"{name:>10}" for name in names))
    for row in uniform["rows"]:
        numbers = f"{row['fixed_bits']:>7.0f}{row['entropy_bits']:>9.1f}{row['psnr_renders']:>8.2f}"
        numbers += "".join(_cell(row.get(key)) for key in ("psnr_photos", "native_bits_at_psnr"))
        lines.append(f"{row['allocation']:<24}{numbers}" + "".join(f"{row['bits'][name]:>10.2f}" for name in names))
    names = list(native["predicted_octaves"])
    lines.append(f"{'native, octaves':<24}" + "".join(f"{name:>10}" for name in names))
    for label, key in (("equation 14", "predicted_octaves"), ("search", "found_octaves")):
        lines.append(f"{label:<24}" + "".join(f"{native[key][name]:>10.2f}" for name in names))
    lines.append(
        f"saves {100.0 * native['saving_on_training_views']:.1f} % on training views by the slope, "
        f"BD-rate on test views {native['bd_rate_on_test_views']:+.2f} %, {native['encodes']} encodes"
    )
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return f"{'-':>8}" if value is None else f"{value:>8.2f}"


def _used(values: Mapping[str, int], bits: Mapping[str, float]) -> float:
    return sum(count * bits[name] for name, count in values.items())


def _thinned(views: list[Camera], count: int) -> list[Camera]:
    return views[:: max(1, len(views) // count)][:count]


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: round(number, 3) for name, number in numbers.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench_allocation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="+", metavar="SCENE", help="folder of a scene with its capture")
    parser.add_argument("--views", type=int, default=3, help="of each split (default: 3)")
    parser.add_argument("--encodes", type=int, default=12, help="of the native search (default: 12)")
    parser.add_argument("--jobs", type=int, default=1, help="scenes at a time (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args(arguments)
    try:
        scenes = []
        work = functools.partial(bench_scene, view_count=options.views, encodes=options.encodes)
        with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
            for scene in pool.map(work, options.scenes):
                scenes.append(scene)
                print(as_text(scene) + "\n", flush=True)
        if options.json:
            tree = {"machine": machine(), "quality": EncodeConfig().quality, "scenes": scenes}
            atomic_write(options.json, [(json.dumps(tree, indent=1) + "\n").encode()], force=True)
    except GsbError as error:
        print(f"bench_allocation: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
