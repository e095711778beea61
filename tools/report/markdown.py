"""The results of `gsrd run` as short Markdown tables, for a README. The numbers are those of the report."""

from __future__ import annotations

from collections.abc import Sequence

from gscodec_tools.report.compare import SATURATED_DB, Deltas, EqualQuality, deltas, equal_quality, mean_of
from gscodec_tools.report.rows import TARGETS, Row, Scene, codec_name

from gscodec.config import EncodeConfig

# Settings of other codecs, and what to call them.
SHOWN = (
    ("spz", "v4", "SPZ v4"),
    ("spz", "v3", "SPZ v3"),
    ("compressed-ply", "default", "compressed.ply"),
    ("sog", "default", "SOG"),
    ("naive", "8bit", "naive, 8 bits"),
)
NO_QUALITY_OPTION = ("spz", "compressed-ply", "sog")


def rate_tables(scenes: Sequence[Scene]) -> list[str]:
    """Lines: our default and others at theirs, then BD-rates; a table that would have no row is left out."""
    return [*_default_table(scenes), *_bd_table(scenes)]


def _default_table(scenes: Sequence[Scene]) -> list[str]:
    pairs = equal_quality(scenes)
    rows = [line for scene in scenes for line in _scene_lines(scene, pairs)]
    if not rows:
        return []
    kinds = sorted({str(scene.rows[0].views.get("kind", "")) for scene in scenes})
    return [
        f"PSNR is the mean over {' or '.join(kinds)} views of renders of the decoded against renders of the source.",
        "gscodec knows no camera of the scene: it weighs splats by virtual views of its own, and keeps all of them",
        "from quality 75 on. The last columns are its bytes at the other's PSNR, interpolated on its curves: by",
        "quality alone, and asked for sizes, where trials find what to prune (–: it was not, or beyond its curve).",
        *_others(scenes),
        "",
        "| scene, splats | codec | bytes per splat | PSNR | change on photos | our bytes at its PSNR | by size |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def _scene_lines(scene: Scene, pairs: Sequence[EqualQuality]) -> list[str]:
    default = f"q{EncodeConfig().quality:g}"
    lines = [_line(row, "gscodec, default", "", "") for row in scene.sweep if row.label == default]
    own = {(pair.row.codec, pair.row.label): pair for pair in pairs if pair.row.scene == scene.name}
    for codec, label, title in SHOWN:
        if pair := own.get((codec, label)):
            share = pair.note if pair.ratio is None else _percent(pair.ratio)
            targeted = "–" if pair.targeted_ratio is None else _percent(pair.targeted_ratio)
            lines.append(_line(pair.row, title, share, targeted))
    return lines


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.0f} %"


def _others(scenes: Sequence[Scene]) -> list[str]:
    """Which versions, in one line."""
    wanted = {(codec, label) for codec, label, _ in SHOWN}
    rows = [row for scene in scenes for row in scene.peers if (row.codec, row.label) in wanted]
    versions = {row.codec_version: None for row in rows if row.codec_version and row.codec != "naive"}
    parts = [f"Others: {', '.join(sorted(versions))}"] if versions else []
    parts += ["naive: uniform steps, Morton order, zstd"] if any(row.codec == "naive" for row in rows) else []
    return [f"{'; '.join(parts)}."] if parts else []


def _line(row: Row, title: str, *shares: str) -> str:
    size = f"{(row.bytes or 0) / row.splats:.1f}"
    quality = "equal" if row.identical else "–" if row.psnr_renders is None else f"{row.psnr_renders:.2f} dB"
    change = row.measure("delta_psnr_photos")
    photos = "" if change is None else f"{round(change, 2) + 0.0:+.2f} dB"  # + 0.0: no minus before a zero
    return f"| {row.scene}, {row.splats:,} | {title} | {size} | {quality} | {photos} | {' | '.join(shares)} |"


def _bd_table(scenes: Sequence[Scene]) -> list[str]:
    found = [delta for delta in deltas(scenes) if delta.rate is not None]
    codecs = list(dict.fromkeys(delta.codec for delta in found))
    if not codecs:
        return []
    names = [scene.name for scene in scenes]
    many = len(names) > 1
    lines = [
        "BD-rate is the change of bytes from the other codec to gscodec at equal PSNR against renders, BD-PSNR the",
        f"gain at equal bytes, averaged over what both curves reach up to {SATURATED_DB:g} dB.",
    ]
    filtered = [codec_name(codec) for codec in codecs if codec in NO_QUALITY_OPTION]
    if filtered:
        *first, last = filtered
        names_have = f"{', '.join(first)} and {last} have" if first else f"{last} has"
        lines.append(f"{names_have} no quality option: these curves come from leaving out SH degrees.")
    if TARGETS in codecs:
        lines.append(
            f"{codec_name(TARGETS)}: this codec asked for sizes, so that it finds out by trial what to prune; what is"
        )
        lines.append("positive against it is what that saves.")
    lines += ["", f"| BD-rate, BD-PSNR against | {' | '.join(names)} |" + (" mean |" if many else "")]
    lines.append("|---|" + "---|" * (len(names) + many))
    for codec in codecs:
        own = {delta.scene: delta for delta in found if delta.codec == codec}
        cells = [_deltas_cell([own[name]] if name in own else [], 1) for name in names]
        cells += [_deltas_cell(list(own.values()), len(names))] if many else []
        lines.append(f"| {codec_name(codec)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _deltas_cell(own: Sequence[Deltas], scenes: int) -> str:
    """BD-rate and BD-PSNR, averaged; how many scenes have them, if not all."""
    rates = [delta.rate.pchip for delta in own if delta.rate]
    gains = [delta.quality.pchip for delta in own if delta.quality]
    if not rates:
        return "–"
    text = f"{mean_of(rates):+.1f} %"
    text += f", {mean_of(gains):+.1f} dB" if len(gains) == len(rates) else ""
    return text if len(rates) == scenes else f"{text} ({len(rates)} of {scenes})"
