"""Errors of a decoded cloud attribute by attribute, whatever the order of its splats and axes.

    python -m gscodec_tools.attribute_errors source.ply decoded.ply [--json]

Beside maximum, 99th percentile and RMS over all matched splats stands the RMS weighted by about what each splat
adds to the squared error of an image, opacity² · σ1·σ2 / distance²: codecs are coarse on purpose where little is
seen. The distance is that to the scene's middle, and at least that of half of the splats.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gscodec_tools.matching import match_splats

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError, GsbError
from gscodec.formats.ply import read_ply
from gscodec.transform.rotation import sorted_axes
from gscodec.units import SH_C0, opacity_from_logit

F64 = npt.NDArray[np.float64]

ANISOTROPY = math.log(2.0)  # an axis counts where it differs from its neighbour by a factor of two

UNITS = {
    "position": "of the middle scale",
    "log_scale_long": "natural log",
    "log_scale_middle": "natural log",
    "log_scale_short": "natural log",
    "long_axis": "degrees",
    "normal": "degrees",
    "opacity": "of 0..1",
    "dc_colour": "of the colour range",
    "sh_ac": "of the colour range",
}


def attribute_errors(source: GaussianCloud, decoded: GaussianCloud) -> dict[str, Any]:
    """How far ``decoded`` is from ``source``: counts of the matching, and per attribute max, p99, rms, weighted_rms.

    position: distance over the source splat's middle scale. log_scale_*: axes sorted by length. long_axis, normal:
    angle in degrees, sign ignored, of splats whose long axis is twice the middle one, or whose short axis is half of
    it, in the source. opacity: linear. dc_colour: RGB. sh_ac: one coefficient's share of the colour, RMS over all
    directions (coefficient · SH_C0, since the basis is orthonormal); coefficients that one side lacks are zero.
    An attribute of no splat has None for all numbers. Raises BadInputError for an empty cloud or one that is
    not finite.
    """
    for name, cloud in (("source", source), ("decoded", decoded)):
        finite = all(np.isfinite(getattr(cloud, part)).all() for part in ("positions", "log_scales", "opacity_logits"))
        if len(cloud) == 0 or not finite:
            raise BadInputError("nothing to compare", field=name, found=len(cloud), allowed="finite splats, at least 1")
    match = match_splats(source, decoded)
    matched = match.index >= 0
    a, b = source.select(match.index[matched]), decoded.select(matched)
    scales, axes = sorted_axes(a.log_scales, a.quats_wxyz)
    scales_b, axes_b = sorted_axes(b.log_scales, b.quats_wxyz)
    opacity = opacity_from_logit(a.opacity_logits.astype(np.float64))
    reach = np.linalg.norm(a.positions - np.median(a.positions, axis=0), axis=1).astype(np.float64)
    weights = np.square(opacity / np.maximum(reach, max(np.median(reach), 1e-30))) * np.exp(scales[:, :2].sum(axis=1))
    needles, discs = scales[:, 0] - scales[:, 1] > ANISOTROPY, scales[:, 1] - scales[:, 2] > ANISOTROPY
    distance = np.linalg.norm(b.positions.astype(np.float64) - a.positions, axis=1)
    opacity_b = opacity_from_logit(b.opacity_logits.astype(np.float64))
    results = {"position": _summary(distance / np.exp(scales[:, 1]), weights)}
    for rank, name in enumerate(("long", "middle", "short")):
        results[f"log_scale_{name}"] = _summary(scales_b[:, rank] - scales[:, rank], weights)
    results["long_axis"] = _summary(_angles(axes[needles, :, 0], axes_b[needles, :, 0]), weights[needles])
    results["normal"] = _summary(_angles(axes[discs, :, 2], axes_b[discs, :, 2]), weights[discs])
    results["opacity"] = _summary(opacity_b - opacity, weights)
    results["dc_colour"] = _summary((b.sh_dc.astype(np.float64) - a.sh_dc) * SH_C0, weights)
    results["sh_ac"] = _summary(_ac_differences(a, b), weights)
    return {
        "source_splats": len(source),
        "decoded_splats": len(decoded),
        "matched": int(matched.sum()),
        "uncertain": int(match.uncertain.sum()),
        "unmatched_source": match.unmatched_source,
        "unmatched_decoded": match.unmatched_decoded,
        "attributes": {name: {"unit": UNITS[name], **values} for name, values in results.items()},
    }


def as_text(errors: dict[str, Any]) -> str:
    """The table for people."""
    lines = [f"{'attribute':<17} {'weighted rms':>12} {'rms':>10} {'99 %':>10} {'max':>10}  unit"]
    for name, values in errors["attributes"].items():
        numbers = [values[key] for key in ("weighted_rms", "rms", "p99", "max")]
        cells = ["-" if value is None else f"{value:.4g}" for value in numbers]
        lines.append(f"{name:<17} {cells[0]:>12} {cells[1]:>10} {cells[2]:>10} {cells[3]:>10}  {values['unit']}")
    lines.append(
        f"{errors['matched']:,} splats matched ({errors['uncertain']:,} uncertain), "
        f"{errors['unmatched_source']:,} only in the source, {errors['unmatched_decoded']:,} only decoded"
    )
    return "\n".join(lines)


def _summary(errors: F64, weights: F64) -> dict[str, float | None]:
    """Of errors [n] or [n,k] with weights [n] of their splats."""
    if errors.size == 0:
        return dict.fromkeys(("max", "p99", "rms", "weighted_rms"))
    size = np.abs(errors)
    squares = np.square(errors).reshape(len(errors), -1).mean(axis=1)
    total = float(weights.sum())
    return {
        "max": float(size.max()),
        "p99": float(np.percentile(size, 99.0)),
        "rms": math.sqrt(float(squares.mean())),
        "weighted_rms": math.sqrt(float((weights * squares).sum()) / total) if total > 0.0 else None,
    }


def _angles(a: F64, b: F64) -> F64:
    """Degrees 0..90 between lines along the unit vectors [n,3]; exact near 0, where an arc cosine is not."""
    degrees: F64 = np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), np.abs(np.einsum("ni,ni->n", a, b))))
    return degrees


def _ac_differences(a: GaussianCloud, b: GaussianCloud) -> F64:
    shared = min(a.sh_rest.shape[1], b.sh_rest.shape[1])
    parts = [b.sh_rest[:, :shared].astype(np.float64) - a.sh_rest[:, :shared]]
    parts += [cloud.sh_rest[:, shared:].astype(np.float64) for cloud in (a, b)]  # at most one of them holds more
    return np.concatenate(parts, axis=1).reshape(len(a), -1) * SH_C0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="attribute_errors", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", help="PLY of the uncompressed scene")
    parser.add_argument("decoded", help="PLY to measure")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        errors = attribute_errors(read_ply(options.source), read_ply(options.decoded))
    except GsbError as error:
        print(f"attribute_errors: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(errors, indent=1) if options.json else as_text(errors))
    return 0


if __name__ == "__main__":
    sys.exit(main())
