"""What gsenc says about a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def target_lines(data: Mapping[str, Any], source_bytes: int, size: int) -> list[tuple[str, str]]:
    """The lines of a Summary: what was asked, and what came out."""
    asked = []
    if data["size"] is not None:
        asked.append(f"{data['size']:,} bytes ({source_bytes / data['size']:.2f} times smaller)")
    if data["min_psnr"] is not None:
        asked.append(f"at least {data['min_psnr']:g} dB")
    found = []
    if data["size"] is not None:
        found.append(f"{100.0 * (size / data['size'] - 1.0):+.2f} % of the size")
    if data["psnr"] is not None:
        found.append(f"{data['psnr']:.2f} dB against renders of the input from {data['views']['source']}")
    chosen = [f"quality {data['quality']:g}", f"SH degree {data['sh_degree']}"]
    if data["pruned_fraction"]:
        chosen.insert(0, f"{100.0 * data['pruned_fraction']:g} % pruned")
    trials = f"{data['trials']} {'trial' if data['trials'] == 1 else 'trials'}"
    return [
        ("target", ", ".join(asked)),
        ("reached", ", ".join(found)),
        ("", f"{', '.join(chosen)}; {trials}, {data['seconds']:.2f} s"),
    ]
