"""What gsenc says about its work: as data, as lines, as warnings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bitstream_spec.layout import StreamKind
from gscodec.cli.target_lines import target_lines
from gscodec.cli.text import per_splat, stream_lines
from gscodec.cloud import GaussianCloud
from gscodec.encoder import EncodeReport
from gscodec.importance.prune import PruneReport
from gscodec.inspect import HEAD
from gscodec.rate.fixed_quality import BY_QUALITY


def encode_data(
    args: argparse.Namespace,
    output: str,
    source: GaussianCloud,
    pruned: PruneReport | None,
    cloud: GaussianCloud,
    report: EncodeReport,
    seconds: Mapping[str, float],
    quality: float,
    weighed: str,
    target: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """For --json, and all that the lines and warnings are made of.

    ``quality`` is what the file was made with, ``weighed`` from which views splats were weighed, "" for none, and
    ``target`` what `gscodec.cli.targets` says of its target, if any.
    """
    sizes = {HEAD: report.bytes - sum(report.stream_bytes.values())}
    sizes |= {kind.name: report.stream_bytes[kind.name] for kind in StreamKind if kind.name in report.stream_bytes}
    return {
        "input": {
            "file": args.input,
            "bytes": Path(args.input).stat().st_size,
            "splats": len(source),
            "sh_degree": source.sh_degree,
        },
        "branch": "lossless" if args.lossless else "native",
        "quality": None if args.lossless else quality,
        "weighed_by": weighed or None,
        "target": target,
        "pruned": pruned and vars(pruned),
        "dropped": dict(report.dropped),
        "not_kept": [{"name": name, "all_zero": not cloud.extras[name].any()} for name in report.lost_properties],
        "converted_to_float32": source.meta.converted,
        "output": {
            "file": output,
            "bytes": report.bytes,
            "splats": report.splats,
            "tiles": report.tiles,
            "stream_bytes": sizes,
        },
        "seconds": dict(seconds),
    }


def encode_lines(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The lines of a Summary for people."""
    source, output, pruned = data["input"], data["output"], data["pruned"]

    lines = [("input", source["file"])]
    text = f"{source['bytes']:,} bytes, {source['splats']:,} splats, SH degree {source['sh_degree']}"
    lines.append(("", text + per_splat(source["bytes"], source["splats"])))
    if pruned:
        by = f"by {pruned['method']}"
        if pruned["method"] == BY_QUALITY:
            by = f"that quality {data['quality']:g} does not show"
        text = f"{pruned['removed']:,} splats removed {by}, {pruned['kept']:,} kept"
        text += ", which make up for them" if pruned["compensated"] else ""
        lines.append(("pruned", f"{text}, {pruned['seconds']:.2f} s"))
    if data["dropped"]:
        lines.append(("dropped", counts(data["dropped"])))
    for label, zero in (("not kept", True), ("not kept", False)):
        names = [item["name"] for item in data["not_kept"] if item["all_zero"] == zero]
        if names:
            lines.append((label, ", ".join(names) + (" (all zero)" if zero else " (not all zero)")))
    if data["converted_to_float32"]:
        lines.append(("converted", ", ".join(data["converted_to_float32"]) + " to float32"))
    lines.append(("output", output["file"]))
    mode = "lossless" if data["quality"] is None else f"quality {data['quality']:g}"
    ratio = f"{source['bytes'] / output['bytes']:.2f} times smaller"
    lines.append(("", f"{output['bytes']:,} bytes, {ratio}{per_splat(output['bytes'], output['splats'])}"))
    lines.append(
        (
            "",
            f"{mode}, {output['splats']:,} splats in {output['tiles']:,} {'tile' if output['tiles'] == 1 else 'tiles'}",
        )
    )
    if data["weighed_by"]:
        lines.append(("", f"precise where {data['weighed_by']} look"))
    if data["target"]:
        lines += target_lines(data["target"], source["bytes"], output["bytes"])
    lines += stream_lines(output["stream_bytes"], output["splats"])
    lines.append(("time", ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in data["seconds"].items())))
    return lines


def encode_warnings(data: Mapping[str, Any]) -> list[str]:
    """What was lost beyond the precision that the user chose."""
    warnings = []
    if data["dropped"]:
        total = sum(data["dropped"].values())
        warnings.append(f"{total:,} splats left out that cannot be coded ({counts(data['dropped'])})")
    lost = [item["name"] for item in data["not_kept"] if not item["all_zero"]]
    if lost:
        warnings.append(f"properties not kept without --lossless: {', '.join(lost)}")
    if data["target"] and data["target"]["note"]:
        warnings.append(data["target"]["note"])
    return warnings


def counts(dropped: Mapping[str, int]) -> str:
    """Splats by reason, in words."""
    return ", ".join(f"{reason} {count:,}" for reason, count in dropped.items())
