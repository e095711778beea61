"""A row: what one codec at one rate point made of one scene. Plain JSON; every key is always there."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from typing import Any

from gscodec_tools.machine import machine
from gscodec_tools.rd.scenes import Scene

Row = dict[str, Any]

STATUSES = ("ok", "failed", "timeout", "unavailable")
MATCH = "match:"  # labels of rows at the size of another codec's row begin with it
_MEASURED = (
    "bytes",
    "bits_per_splat",
    "decoded_splats",
    "psnr_renders",
    "psnr_8bit_renders",
    "ssim_renders",
    "psnr_photos",
    "psnr_8bit_photos",
    "ssim_photos",
    "source_psnr_photos",
    "source_ssim_photos",
    "encode_s",
    "decode_s",
    "encode_peak_bytes",
    "decode_peak_bytes",
    "stream_bytes",
    "encode_command",
    "decode_command",
    "picture",
)


def row_key(scene: Scene, codec: str, label: str, settings: Mapping[str, Any], version: str | None) -> str:
    """Equal for rows that would come out equal but for times: what is measured, on what, by which version.

    ``settings`` as asked for: the quality of a row at another's size is an answer, and not part of its key.
    """
    asked = json.dumps(dict(settings), sort_keys=True, separators=(",", ":"))
    return "|".join((codec, label, asked, scene.digest, version or "", scene.views.identity))


def is_of(row: Row, scene: Scene) -> bool:
    """Whether a row is of this content of the scene, seen from these views."""
    return f"|{scene.digest}|" in row["key"] and row["key"].endswith(f"|{scene.views.identity}")


def new_row(scene: Scene, codec: str, label: str, settings: Mapping[str, Any], version: str | None, **run: Any) -> Row:
    """A row with nothing measured yet, of status "failed". ``run``: jobs, seed and command."""
    views, host = scene.views, machine()
    where = {key: value for key, value in host.items() if key not in ("date", "command")}
    row: Row = {
        "key": row_key(scene, codec, label, settings, version),
        "scene": scene.name,
        "splats": scene.splats,
        "sh_degree": scene.sh_degree,
        "source_bytes": scene.source_bytes,
        "codec": codec,
        "label": label,
        "settings": dict(settings),
        "status": "failed",
        "message": "",
        "identical": False,
        **dict.fromkeys(_MEASURED),
        "views": {
            "kind": views.kind,
            "count": len(views.cameras),
            "seed": views.seed,
            "names": [camera.name for camera in views.cameras],
        },
        "codec_version": version,
        "host": where,
        "jobs": None,
        "seed": None,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": "",
    }
    return row | run


def picture_name(codec: str, label: str) -> str:
    """File name of the row's picture."""
    return re.sub(r"[^\w.-]+", "_", f"{codec}-{label}") + ".png"


def row_text(row: Row) -> str:
    """One line for people: scene, codec, label, size, quality against renders, loss against photos, seconds."""
    head = f"{row['scene']} {row['codec']} {row['label']}:"
    if row["status"] != "ok":
        first = (row["message"].splitlines() or [""])[0]
        return f"{head} {row['status']}, {first}"
    parts = [f"{row['bytes']:,} bytes"]
    if row["bits_per_splat"] is not None:
        parts.append(f"{row['bits_per_splat']:.1f} bits/splat")
    parts.append("identical" if row["identical"] else f"{_decibel(row['psnr_renders'])} dB")
    if row["psnr_photos"] is not None and row["source_psnr_photos"] is not None:
        parts.append(f"photos {row['psnr_photos'] - row['source_psnr_photos']:+.2f} dB")
    parts.append(f"{row['encode_s']:.1f} + {row['decode_s']:.1f} s")
    return f"{head} {', '.join(parts)}" + (f" ({row['message']})" if row["message"] else "")


def _decibel(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
