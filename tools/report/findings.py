"""What the numbers say, in sentences: computed from the rows, for or against this codec alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gscodec_tools.report.compare import SATURATED_DB, EqualQuality, mean_of, mean_ratio
from gscodec_tools.report.rows import Row, Scene, codec_name
from gscodec_tools.report.series import codecs_of

from gscodec.config import EncodeConfig


@dataclass(frozen=True)
class Share:
    """Our bytes over another codec's at its quality: its setting that does best against ours, over all its scenes."""

    codec: str
    name: str
    ratio: float
    low: float
    high: float
    scenes: int
    psnr: tuple[float, float]


def shares(pairs: Sequence[EqualQuality], scenes: Sequence[Scene]) -> list[Share]:
    """One for each other codec that has a setting within our sweep on every scene that it has results on.

    Saturated qualities do not count.
    """
    found = []
    for codec in codecs_of(scenes):
        own = [pair for pair in pairs if pair.row.codec == codec]
        count = len({pair.row.scene for pair in own})
        best: Share | None = None
        for label in dict.fromkeys(pair.row.label for pair in own):
            chosen = [pair for pair in own if pair.row.label == label]
            ratios = [pair.ratio for pair in chosen if pair.ratio is not None]
            if len(ratios) < count:
                continue
            quality = [pair.row.psnr_renders for pair in chosen if pair.row.psnr_renders is not None]
            ends = min(quality), max(quality)
            if ends[1] > SATURATED_DB:
                continue
            share = Share(codec, chosen[0].row.name, mean_ratio(ratios), min(ratios), max(ratios), count, ends)
            best = share if best is None or share.ratio > best.ratio else best
        found += [best] if best else []
    return found


def sentences(scenes: Sequence[Scene], pairs: Sequence[EqualQuality]) -> list[str]:
    """Three to five findings; each is left out where its rows are missing."""
    found = [_equal_quality(shares(pairs, scenes)), _equal_size(pairs, scenes), _default(scenes), _lossless(scenes)]
    return [sentence for sentence in (*found, _missing(scenes)) if sentence]


def _equal_quality(found: list[Share]) -> str:
    parts = [
        f"{100 * share.ratio:.0f} % of the bytes of {share.name} ({spread(*share.psnr, 1)} dB, {_scenes(share.scenes)})"
        for share in found
    ]
    return f"At equal quality on renders of the source, gscodec needs {_listed(parts)}." if parts else ""


def _equal_size(pairs: Sequence[EqualQuality], scenes: Sequence[Scene]) -> str:
    parts = []
    for share in shares(pairs, scenes):
        own = [pair for pair in pairs if pair.row.name == share.name]
        gains = [pair.gain for pair in own if pair.gain is not None and pair.sizes_match]
        if own and len(gains) == len(own):
            parts.append(f"{mean_of(gains):+.1f} dB".replace("-", "−") + f" against {share.name}")
    return f"PSNR at equal size, on renders of the source: {_listed(parts)}." if parts else ""


def default_rows(scenes: Sequence[Scene]) -> list[Row]:
    """Our rows at the default quality, one for each scene; none if a scene lacks it."""
    label = f"q{EncodeConfig().quality:g}"
    rows = [row for scene in scenes for row in scene.sweep if row.label == label]
    return rows if len(rows) == len(scenes) else []


def _default(scenes: Sequence[Scene]) -> str:
    rows = default_rows(scenes)
    if not rows:
        return ""
    quality = [row.psnr_renders for row in rows if row.psnr_renders is not None]
    bits = [row.bits_per_splat for row in rows if row.bits_per_splat is not None]
    share = mean_ratio([(row.bytes or 0) / row.source_bytes for row in rows])
    text = (
        f"At its default quality ({rows[0].label}) a file has {100 * share:.1f} % of the bytes of its source, "
        f"{spread(min(bits), max(bits), 0)} bits per splat, with {spread(min(quality), max(quality), 1)} dB against "
        "renders of the source"
    )
    photos = [change for row in rows if (change := row.measure("delta_psnr_photos")) is not None]
    if photos:
        text += f"; against photos, PSNR changes by {spread(min(photos), max(photos), 2, '+')} dB"
    return f"{text} ({_scenes(len(rows))})."


def _lossless(scenes: Sequence[Scene]) -> str:
    rows = [row for scene in scenes for row in scene.results if row.ours and row.identical]
    best = {row.scene: row for row in rows}
    if not best:
        return ""
    share = mean_ratio([(row.bytes or 0) / row.source_bytes for row in best.values()])
    return f"With {100 * share:.0f} % of the source's bytes, its renders equal the source's ({_scenes(len(best))})."


def _missing(scenes: Sequence[Scene]) -> str:
    rows = [row for scene in scenes for row in scene.rows]
    without = [row for row in rows if not row.ok]
    if not without:
        return ""
    names = _listed(list(dict.fromkeys(codec_name(row.codec) for row in without)))
    have = "row has" if len(rows) == 1 else "rows have"
    return f"Not everything worked: {len(without)} of {len(rows)} {have} no result ({names}); what they said is below."


def spread(low: float, high: float, digits: int, sign: str = "") -> str:
    """ "34.1 to 34.4", or one number where both read the same."""
    first, last = f"{low:{sign}.{digits}f}", f"{high:{sign}.{digits}f}"
    return (first if first == last else f"{first} to {last}").replace("-", "−")


def _scenes(count: int) -> str:
    return "1 scene" if count == 1 else f"{count} scenes"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
