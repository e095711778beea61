"""Write the measured numbers of results/ into README.md, between its two markers.

    python -m gscodec_tools.readme_results [--check]

``--check`` writes nothing and fails if the README does not say what results/ says. Rate and distortion come from
results/rd/, the rows of `gsrd run`, pruning from results/prune/, the rows of `gsrd prune`, with the report's own
arithmetic; without rows the README has none of it, nor of targets, progressive order and palettes without their files.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gscodec_tools.readme_control import larger_table, palette_table, progressive_table, target_tables
from gscodec_tools.readme_pruning import pruning_tables
from gscodec_tools.report.markdown import rate_tables
from gscodec_tools.report.prune_rows import PruneScene, load_pruning
from gscodec_tools.report.rows import Scene, has_results, load_results

from gscodec.errors import GsbError

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- results: make readme -->", "<!-- end of results -->"
LOSSLESS = {"gsb": "gscodec", "zstd_19": "zstd -19", "xz_9": "xz -9"}


def section(results: Path) -> str:
    """The text between the markers, from the JSON files in ``results``.

    Raises BadInputError for bad rows in rd/ and prune/.
    """
    names = ["errors", "lossless", "scale", "render", "bit_exact", "entropy"]
    names += [name for name in ("targets", "progressive", "palette") if (results / f"{name}.json").is_file()]
    found = {name: json.loads((results / f"{name}.json").read_text(encoding="utf-8")) for name in names}
    targets, progressive = (found.get(name, {}).get("scenes", []) for name in ("targets", "progressive"))
    scenes = load_results(results) if has_results(results) else []
    pruned = load_pruning(results)
    hosts = [tree["machine"] for tree in (*found.values(), *targets) if isinstance(tree.get("machine"), dict)]
    lines = [
        "## Measured",
        "",
        f"{_machines([*hosts, *_hosts(scenes), *_hosts(pruned)])}; by `make bench` where nothing else is said.",
        "The codec was balanced on fox and snowmiku, and its pruning network has learned from snowmiku: those are not",
        "held-out results (docs/experiments.md).",
        "",
        *rate_tables(scenes),
        *target_tables(targets),
        *pruning_tables(pruned),
        *progressive_table(progressive),
        *palette_table(found.get("palette", {}).get("rows", [])),
        *_error_table(found["errors"]["scenes"]),
        *_lossless_table(found["lossless"]["files"]),
        *_scale_table(found["scale"]),
        *larger_table(found["scale"]),
        *_render_table(found["render"]["scenes"]),
        _exact_line(found["bit_exact"]),
        _entropy_line(found["entropy"]),
    ]
    return "\n".join(lines)


def _hosts(scenes: Sequence[Scene] | Sequence[PruneScene]) -> Iterable[Any]:
    return (row.host for scene in scenes for row in scene.rows if row.ok)


def _machines(hosts: Iterable[Any]) -> str:
    return "; ".join(dict.fromkeys(f"{host['cores']} cores, {host['cpu']}" for host in hosts))


def _error_table(scenes: list[dict[str, Any]]) -> list[str]:
    """Errors at default quality. Most splats hardly show: the RMS weighted by footprint is the one that counts."""
    head = " | ".join(f"{scene['scene']}: RMS, weighted RMS, max" for scene in scenes)
    lines = [f"| error at default quality | {head} |", "|---|" + "---|" * len(scenes)]
    found = [scene["errors"]["attributes"] for scene in scenes]
    for name, first in found[0].items():
        cells = [", ".join(_error(own[name][kind]) for kind in ("rms", "weighted_rms", "max")) for own in found]
        lines.append(f"| {name.replace('_', ' ')} ({first['unit']}) | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "Weighted by footprint: opacity² · area on screen. Faint splats and the rotation of round ones hardly show,",
        "are coded coarsely and dominate RMS and maximum (so do a few that the comparison pairs wrongly).",
        "",
    ]


def _error(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _lossless_table(files: list[dict[str, Any]]) -> list[str]:
    lines = [f"| lossless, bytes (encode seconds) | {' | '.join(LOSSLESS.values())} | ours over zstd -19 |"]
    lines.append("|---|" + "---|" * (len(LOSSLESS) + 1))
    for file in files:
        cells = [f"{file[name]['bytes']:,} ({file[name]['encode_s']:.1f})" for name in LOSSLESS]
        lines.append(f"| {file['scene']} | {' | '.join(cells)} | {file['size_to_zstd_19']:.3f} |")
    return [*lines, ""]


def _scale_table(scale: dict[str, Any]) -> list[str]:
    splats, floats = scale["scene"]["splats"], scale["scene"]["float_bytes"]
    return [
        f"| {splats:,} splats, whole command | bytes per splat | encode | decode | peak memory |",
        "|---|---|---|---|---|",
        *map(_scale_row, scale["rows"]),
        "",
        f"Peak memory (encode / decode) in multiples of the float arrays, {floats / 1e6:.0f} MB.",
        "",
    ]


def _scale_row(row: dict[str, Any]) -> str:
    encode, decode = row["encode"], row["decode"]
    peak = f"{encode['peak_to_floats']:.1f} / {decode['peak_to_floats']:.1f}"
    sizes = f"{row['bytes_per_splat']:.1f} | {encode['seconds']:.1f} s | {decode['seconds']:.1f} s"
    return f"| {row['format']} | {sizes} | {peak} |"


def _render_table(scenes: list[dict[str, Any]]) -> list[str]:
    threads = max(scenes[0]["seconds"]["forward"], key=int)
    lines = [f"| CPU renderer, {threads} threads, a view | image | contributions | image and gradients |"]
    lines.append("|---|---|---|---|")
    for scene in scenes:
        kinds = ("forward", "contributions", "forward_backward")
        cells = [f"{1000 * scene['seconds'][kind][threads]:.0f} ms" for kind in kinds]
        size = f"{scene['width']}×{scene['height']} pixels"
        lines.append(f"| {scene['scene']}, {scene['splats']:,} splats, {size} | {' | '.join(cells)} |")
    return [*lines, ""]


def _exact_line(exact: dict[str, Any]) -> str:
    equal = all(row["bit_equal"] for row in exact["rows"])
    return (
        f"Decoded arrays on all scenes, both branches, from {', '.join(exact['rows'][0]['decoders'])}: "
        f"{'bit-equal' if equal else 'DIFFERENT'}."
    )


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
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    try:
        text = f"{before}{BEGIN}\n\n{section(ROOT / 'results')}\n\n{END}{after}"
    except GsbError as error:
        print(f"readme_results: {error}", file=sys.stderr)
        return error.exit_code
    if options.check:
        return 0 if text == path.read_text(encoding="utf-8") else 1
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
