"""The tables of a report: BD-rate, bytes at equal quality, speed and memory, how to reproduce."""

from __future__ import annotations

from collections.abc import Sequence

from gscodec_tools.bd_rate import LEAST_OVERLAP, LEAST_POINTS
from gscodec_tools.report.charts import number
from gscodec_tools.report.compare import SATURATED_DB, Deltas, EqualQuality, mean_of, mean_ratio
from gscodec_tools.report.markup import Markup, details, element, join, paragraph, table
from gscodec_tools.report.rows import Row, Scene, codec_name
from gscodec_tools.report.series import mean_rows

_BD_HEADS = (
    "codec",
    "scene",
    "BD-rate, %",
    "Akima, %",
    "BD-PSNR, dB",
    "Akima, dB",
    "overlap, %",
    "over",
    "points, notes",
)


def bd_table(found: Sequence[Deltas]) -> Markup:
    """Ours against each other codec, per scene and mean."""
    if not found:
        return paragraph("There is no other codec to compare with.", class_="empty")
    body: list[list[str]] = []
    for codec in dict.fromkeys(delta.codec for delta in found):
        own = [delta for delta in found if delta.codec == codec]
        body += [_bd_row(delta) for delta in own]
        if len(own) > 1 and any(delta.rate for delta in own):
            body.append(_bd_mean(codec, own))
    text = (
        "Change of bytes from the other codec to gscodec at equal PSNR on renders of the source (b), averaged over the "
        "range of PSNR that both have; negative: gscodec is smaller. BD-PSNR is the gain at equal bytes. PCHIP first, "
        f"as video standardisation has it, Akima beside it. Curves have at least {LEAST_POINTS} points, their Pareto "
        "front where more bytes did not give more PSNR; points beyond the other's range are left out but for the next "
        f"one on either side, and so is everything above {SATURATED_DB:g} dB. Below {LEAST_OVERLAP:g} % overlap there "
        "is no number. Nothing is extrapolated. Scenes first, then their mean."
    )
    caption = "Bjøntegaard deltas of gscodec against other codecs"
    return join([paragraph(text, class_="note"), table(caption, _BD_HEADS, body, 2, "bd")])


def _bd_row(delta: Deltas) -> list[str]:
    head = [codec_name(delta.codec), delta.scene]
    if delta.rate is None and delta.quality is None:
        return [*head, "; ".join(delta.notes)]
    rate, quality = delta.rate, delta.quality
    cells = [number(rate and rate.pchip, 2, True), number(rate and rate.akima, 2, True)]
    cells += [number(quality and quality.pchip, 3, True), number(quality and quality.akima, 3, True)]
    cells.append(number(rate.overlap if rate else None, 1))
    cells.append(f"{rate.interval[0]:.1f} to {rate.interval[1]:.1f} dB" if rate else "–")
    counts = f"{delta.our_points} of ours; its {', '.join(delta.peer_labels)}"
    return [*head, *cells, "; ".join([counts, *delta.notes])]


def _bd_mean(codec: str, own: Sequence[Deltas]) -> list[str]:
    rates = [delta.rate for delta in own if delta.rate]
    gains = [delta.quality for delta in own if delta.quality]
    values = [
        number(mean_of([delta.pchip for delta in rates]), 2, True),
        number(mean_of([delta.akima for delta in rates]), 2, True),
        number(mean_of([delta.pchip for delta in gains]) if gains else None, 3, True),
        number(mean_of([delta.akima for delta in gains]) if gains else None, 3, True),
    ]
    count = f"{len(rates)} of {len(own)} scenes"
    if len(gains) != len(rates):
        count += f", BD-PSNR {len(gains)}"
    return [codec_name(codec), "mean", *values, "", "", count]


_EQUAL_HEADS = ("codec, setting", "its PSNR (b)", "its bytes", "our bytes at it", "ours, % of its")
_EQUAL_HEADS += ("PSNR at its size", "gain, dB", "note")


def equal_table(pairs: Sequence[EqualQuality]) -> Markup:
    """Every result of another codec: ours at its quality, and at its size; means first where there are scenes."""
    if not pairs:
        return paragraph("There is no other codec to compare with.", class_="empty")
    groups: dict[str, list[EqualQuality]] = {}
    for pair in pairs:
        groups.setdefault(pair.row.name, []).append(pair)
    text = (
        f"Codecs with fewer than {LEAST_POINTS} points have no BD-rate; this table takes its place, and has the points "
        "of all others too. Our bytes at its PSNR are interpolated on our curve (PCHIP over log bytes), and left out "
        "beyond its ends. The PSNR at its size is measured: gscodec was run for a file of that size, or its nearest."
    )
    caption = "Bytes of gscodec at the PSNR of each result, and PSNR at its size"
    every = [[pair.row.name, pair.row.scene, *_equal_cells([pair])] for group in groups.values() for pair in group]
    heads = (_EQUAL_HEADS[0], "scene", *_EQUAL_HEADS[1:])
    scenes = len({pair.row.scene for pair in pairs})
    note = paragraph(text, class_="note")
    if scenes == 1:
        return join([note, table(caption, heads, every, 2, "equal")])
    body = [[name, *_equal_cells(group)] for name, group in groups.items()]
    means = f"{caption}: mean over {scenes} scenes, geometric for the shares"
    detailed = table(f"{caption}, by scene", heads, every, 2, "equal")
    return join([note, table(means, _EQUAL_HEADS, body, 1, "equal"), details("Every scene", detailed)])


def _equal_cells(group: Sequence[EqualQuality]) -> list[str]:
    """The numbers of one setting, averaged over its scenes; none where a scene has none. Notes in the last cell."""
    shares = [pair.ratio for pair in group if pair.ratio is not None]
    share = f"{100 * mean_ratio(shares):.1f}" if len(shares) == len(group) else "–"
    cells = [
        _mean_cell([pair.row.psnr_renders for pair in group], 2),
        _mean_cell([pair.row.bytes for pair in group], 0),
        _mean_cell([pair.ours for pair in group], 0),
        share,
        _mean_cell([pair.match.psnr_renders if pair.match else None for pair in group], 2),
        _mean_cell([pair.gain for pair in group], 2, signed=True),
    ]
    notes = [note for pair in group for note in _equal_notes(pair)]
    return [*cells, "; ".join(dict.fromkeys(notes))]


def _mean_cell(values: Sequence[float | None], digits: int, signed: bool = False) -> str:
    found = [value for value in values if value is not None]
    return number(mean_of(found) if len(found) == len(values) else None, digits, signed)


def _equal_notes(pair: EqualQuality) -> list[str]:
    match = pair.match
    notes = [pair.note] if pair.note else []
    if match is None:
        return [*notes, "no row of ours at its size"]
    if match.psnr_renders is None and match.identical:
        notes.append("ours is equal to the source at that size")
    return [*notes, f"our file: {match.message}"] if match.message else notes


_SPEED = ("encode_s", "decode_s", "encode_peak_bytes", "decode_peak_bytes")
_SPEED_HEADS = ("codec, setting", "encode, s per million", "decode, s per million", "encode, peak", "decode, peak")
_REPLACED = "sog"  # its encoder runs with a part of it replaced, see rd/codecs/splat_transform.py


def speed_table(scenes: Sequence[Scene]) -> Markup:
    """Mean over scenes of seconds per million splats and peak memory by source size, and every scene behind it."""
    rows = mean_rows(scenes)
    body = [[row.name, *(_mean_speed(row.rows, name) for name in _SPEED)] for row in rows]
    every = [
        [row.name, row.scene, *(_mean_speed((row,), name) for name in _SPEED)]
        for scene in scenes
        for row in scene.results
        if not row.matches
    ]
    jobs = sorted({row.jobs for scene in scenes for row in scene.results})
    sharing = (
        "Rows ran one at a time (jobs: 1); what else the machine did meanwhile is not in the rows."
        if jobs == [1]
        else f"Up to {max(jobs, default=1)} rows ran at the same time (jobs: {', '.join(map(str, jobs))}) and shared "
        "the cores: seconds are upper bounds, and no basis for claims about speed; run with one job for that."
    )
    text = (
        "Seconds of the whole command, starting the program and reading and writing files included, per million "
        "splats of the source; a small scene makes starting look large. Peak memory of the process, in multiples of "
        f"the source file. {sharing}"
    )
    if any(row.codec == _REPLACED for scene in scenes for row in scene.results):
        text += f" Encoding {codec_name(_REPLACED)} is left out: a search in it was replaced to make it end."
    many = f"mean over {len(scenes)} scenes" if len(scenes) > 1 else scenes[0].name
    parts = [paragraph(text, class_="note"), table(f"Speed and memory, {many}", _SPEED_HEADS, body)]
    if len(scenes) > 1:
        heads = (_SPEED_HEADS[0], "scene", *_SPEED_HEADS[1:])
        parts.append(details("Every scene", table("Speed and memory by scene", heads, every, 2)))
    return join(parts)


def _mean_speed(rows: Sequence[Row], name: str) -> str:
    if name.startswith("encode") and any(row.codec == _REPLACED for row in rows):
        return "–"
    values = []
    for row in rows:
        value = row.measure(name)
        if value is None:
            return "–"
        values.append(value / row.source_bytes if name.endswith("bytes") else 1e6 * value / row.splats)
    return f"{mean_of(values):.1f}×" if name.endswith("bytes") else f"{mean_of(values):.2f}"


def failures(scenes: Sequence[Scene]) -> Markup:
    """Rows without a result, with what they said."""
    rows = [row for scene in scenes for row in scene.rows if not row.ok]
    if not rows:
        return paragraph("Every row has a result.")
    body = [[row.name, row.scene, row.status, row.message or "no message"] for row in rows]
    return table("Rows without a result", ("codec, setting", "scene", "status", "message"), body, 4, "messages")


def commands(scenes: Sequence[Scene]) -> Markup:
    """What to type to measure again, row by row."""
    parts = []
    for scene in scenes:
        body = [
            [row.name, row.codec_version or "–", row.date, _code(row.command, row.encode_command, row.decode_command)]
            for row in scene.rows
        ]
        heads = ("codec, setting", "version", "date", "row; encode; decode")
        caption = f"Commands of {scene.name}"
        made = table(caption, heads, body, 4, "commands")
        parts.append(details(f"{scene.name}: {len(scene.rows)} rows", made))
    return join(parts)


def _code(*lines: str | None) -> Markup:
    return join(element("code", line) for line in lines if line)
