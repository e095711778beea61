"""Write the measured numbers of results/ into README.md, between its two markers.

    python -m gscodec_tools.readme_results [--check]

``--check`` writes nothing and fails if the README does not say what results/ says.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from gscodec_tools.bd_rate import Curve, rate_at_quality

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- results: make readme -->", "<!-- end of results -->"
LOSSLESS = ("gscodec", "zstd -19", "xz -9")


def section(results: Path) -> str:
    """The text between the markers, from the JSON files in ``results``."""
    codec, scale = (json.loads((results / f"{name}.json").read_text()) for name in ("codec", "scale"))
    exact, entropy = (json.loads((results / f"{name}.json").read_text()) for name in ("bit_exact", "entropy"))
    machine = codec["machine"]
    lines = [
        "## Measured",
        "",
        f"{machine['cores']} cores, {machine['cpu']}; {machine['peers']}; every table is one run (`make bench`).",
        "PSNR is the mean over test views of renders of the decoded against renders of the source cloud. The codec was",
        "balanced on these same scenes (docs/experiments.md), so these are not held-out results.",
        "",
        "| scene, splats | codec | bytes per splat | PSNR | change on photos | our bytes at its PSNR |",
        "|---|---|---|---|---|---|",
    ]
    for scene in codec["scenes"]:
        lines += _codec_rows(scene)
    lines += ["", *_error_table(codec["scenes"]), ""]
    lines += [
        "Weighted by footprint: opacity² · area on screen. Faint splats and the rotation of round ones hardly show,",
        "are coded coarsely and dominate RMS and maximum (so do a few that the comparison pairs wrongly).",
    ]
    lines += ["", "| lossless, bytes (encode seconds) | " + " | ".join(LOSSLESS) + " | ours over zstd -19 |"]
    lines += ["|---|" + "---|" * (len(LOSSLESS) + 1)]
    lines += [_lossless_row(scene) for scene in codec["scenes"]]
    lines += [
        "",
        f"| {scale['scene']['splats']:,} splats, whole command | bytes per splat | encode | decode | peak memory |",
    ]
    lines += ["|---|---|---|---|---|", *map(_scale_row, scale["rows"]), ""]
    lines += [
        f"Peak memory (encode / decode) in multiples of the float arrays, {scale['scene']['float_bytes'] / 1e6:.0f} MB."
    ]
    equal = all(row["bit_equal"] for row in exact["rows"])
    lines += [
        f"Decoded arrays on all scenes, both branches, from {', '.join(exact['rows'][0]['decoders'])}: "
        f"{'bit-equal' if equal else 'DIFFERENT'}.",
        _entropy_line(entropy),
    ]
    return "\n".join(lines)


def _codec_rows(scene: dict[str, Any]) -> list[str]:
    name = f"{scene['scene']}, {scene['splats']:,}"
    source = scene.get("source_psnr_photos")
    curve = Curve.of("gscodec", [(row["bytes"], row["psnr_renders"]) for row in scene["sweep"]])

    def row(codec: str, values: dict[str, Any], share: str) -> str:
        photos = f"{values['psnr_photos'] - source:+.2f} dB" if source and "psnr_photos" in values else ""
        size, quality = f"{values['bytes_per_splat']:.1f}", f"{values['psnr_renders']:.2f} dB"
        return f"| {name} | {codec} | {size} | {quality} | {photos} | {share} |"

    rows = [row("gscodec, default", scene["default"], "")]
    for codec, values in scene["peers"].items():
        share = rate_at_quality(curve, values["psnr_renders"]) / values["bytes"]
        rows.append(row(codec, values, f"{100 * share:.0f} %"))
    return rows


def _error_table(scenes: list[dict[str, Any]]) -> list[str]:
    """Errors at default quality. Most splats hardly show: the RMS weighted by footprint is the one that counts."""
    head = " | ".join(f"{scene['scene']}: RMS, weighted RMS, max" for scene in scenes)
    lines = [f"| error at default quality | {head} |", "|---|" + "---|" * len(scenes)]
    found = [scene["default"]["errors"]["attributes"] for scene in scenes]
    for name, first in found[0].items():
        cells = [f"{own[name]['rms']:.3g}, {own[name]['weighted_rms']:.3g}, {own[name]['max']:.3g}" for own in found]
        lines.append(f"| {name.replace('_', ' ')} ({first['unit']}) | {' | '.join(cells)} |")
    return lines


def _lossless_row(scene: dict[str, Any]) -> str:
    found = scene["lossless"]
    cells = [f"{found[name]['bytes']:,} ({found[name]['encode_s']:.1f})" for name in LOSSLESS]
    return f"| {scene['scene']} | {' | '.join(cells)} | {found['gscodec']['bytes'] / found['zstd -19']['bytes']:.3f} |"


def _scale_row(row: dict[str, Any]) -> str:
    encode, decode = row["encode"], row["decode"]
    peak = f"{encode['peak_to_floats']:.1f} / {decode['peak_to_floats']:.1f}"
    sizes = f"{row['bytes_per_splat']:.1f} | {encode['seconds']:.1f} s | {decode['seconds']:.1f} s"
    return f"| {row['format']} | {sizes} | {peak} |"


def _entropy_line(entropy: dict[str, Any]) -> str:
    rans = entropy["rans"]
    speed = f"{rans['encode_msym_s']['2']:.0f} and {rans['decode_msym_s']['2']:.0f}"
    return (
        f"Entropy coder on two threads: {speed} million symbols per second each way; "
        f"{entropy['constriction']['ours_over_constriction_percent']:+.3f} % bytes against constriction, "
        f"{rans['over_entropy_percent']:+.3f} % against the entropy."
    )


def main(argv: list[str] | None = None) -> int:
    """Command line; exit code 1 if ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(prog="readme_results", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(argv)
    path = ROOT / "README.md"
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    text = f"{before}{BEGIN}\n\n{section(ROOT / 'results')}\n\n{END}{after}"
    if options.check:
        return 0 if text == path.read_text() else 1
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
