"""Tables of pruning: Bjøntegaard deltas against the opacity, seconds of every score, coding with and without."""

from __future__ import annotations

from collections.abc import Sequence

from gscodec_tools.bd_rate import LEAST_POINTS
from gscodec_tools.report.charts import number
from gscodec_tools.report.compare import SATURATED_DB, mean_of
from gscodec_tools.report.markup import Markup, details, element, join, paragraph, table
from gscodec_tools.report.prune_compare import OVERLAP, REFERENCES, PruneDelta, coding_deltas, pruning_deltas
from gscodec_tools.report.prune_rows import UNPRUNED, PruneRow, PruneScene, method_name, methods_of

BD_CAPTION = "BD-rate of scores against opacity, splats kept as the rate"
_BD_HEADS = ("score", "scene", "(b): BD-rate, %", "Akima, %", "overlap, %", "(a): BD-rate, %", "Akima, %", "overlap, %")
_BD_HEADS += ("notes",)


def bd_section(scenes: Sequence[PruneScene]) -> Markup:
    """Every score against the opacity, per scene and mean."""
    found = [pruning_deltas(scenes, measure) for measure, _ in REFERENCES]
    if not found[0]:
        return paragraph("A BD-rate needs the curve of opacity and that of another score.", class_="empty")
    text = (
        "Change of the number of splats kept from opacity to the score at equal PSNR, averaged over the range of PSNR "
        "that both have (Bjøntegaard): negative means that the score needs fewer splats. Against renders of the source "
        f"(b) and, apart, against photos (a). PCHIP first, Akima beside it. Curves have at least {LEAST_POINTS} "
        "points; where more splats did not give more PSNR, the curve is its Pareto front, and the notes say so. "
        f"Everything above {SATURATED_DB:g} dB and, but for the next one, beyond the range of the other is left out. "
        f"Below {OVERLAP:g} % overlap there is no number. Nothing is extrapolated."
    )
    body = _bd_body(scenes, found)
    return join([paragraph(text, class_="note"), table(BD_CAPTION, _BD_HEADS, body, 2, "bd")])


def _bd_body(scenes: Sequence[PruneScene], found: Sequence[Sequence[PruneDelta]]) -> list[list[str]]:
    body: list[list[str]] = []
    for method in dict.fromkeys(delta.method for delta in found[0]):
        pairs = [one for one in zip(*found, strict=True) if one[0].method == method]
        for pair in pairs:
            cells = [cell for delta in pair for cell in _delta_cells(delta)]
            notes = [
                f"{reference}: {note}"
                for delta, (_, reference) in zip(pair, REFERENCES, strict=True)
                for note in delta.notes
            ]
            body.append([method_name(method), pair[0].scene, *cells, "; ".join(notes)])
        if len(scenes) > 1:
            cells = [cell for side in zip(*pairs, strict=True) for cell in _mean_cells(side)]
            count = ", ".join(f"{sum(delta.rate is not None for delta in side)}" for side in zip(*pairs, strict=True))
            body.append([method_name(method), "mean", *cells, f"of {count} scenes"])
    return body


def _delta_cells(delta: PruneDelta) -> list[str]:
    rate = delta.rate
    values = (rate.pchip, rate.akima) if rate is not None else (None, None)
    return [*(number(value, 2, True) for value in values), number(rate.overlap if rate is not None else None, 1)]


def _mean_cells(side: Sequence[PruneDelta]) -> list[str]:
    rates = [delta.rate for delta in side if delta.rate is not None]
    if not rates:
        return ["–", "–", ""]
    return [number(mean_of([getattr(rate, name) for rate in rates]), 2, True) for name in ("pchip", "akima")] + [""]


_TIME_HEADS = ("score", "scene", "views", "passes, s", "loading, s", "scoring, s", "s per million splats")


def time_section(scenes: Sequence[PruneScene]) -> Markup:
    """Seconds of every score, loading included, per scene and mean."""
    body, shared = [], False
    for method in methods_of(scenes, "curve"):
        rows = [timed for scene in scenes if (timed := timed_row(scene.of("curve", method))) is not None]
        for row in rows:
            shared = shared or bool(row.shared_passes)
            passes = [
                f"{name} {seconds:.2f}{'*' if name in (row.shared_passes or ()) else ''}"
                for name, seconds in (row.passes or {}).items()
            ]
            views = str((row.scoring_views or {}).get("count", "–"))
            times = [number(row.load_seconds, 2), number(row.score_seconds, 2), number(row.seconds_per_million, 2)]
            body.append([row.name, row.scene, views, ", ".join(passes) or "–", *times])
        if len(scenes) > 1 and rows:
            means = [mean_of([row.measure(name) or 0.0 for row in rows]) for name in _TIMES]
            body.append([method_name(method), "mean", "", "", *(number(value, 2) for value in means)])
    if not body:
        return paragraph("No curve has been measured.", class_="empty")
    hosts = dict.fromkeys(f"{row.host.get('cores', '?')} cores, {row.host.get('cpu', '')}" for row in _curves(scenes))
    text = (
        "Seconds of reading the .ply and of scoring, all passes over the views included, as if each score were made "
        "alone; seconds per million splats are of both together. Compiling is not counted. What else the machine did "
        f"meanwhile is not in the numbers. Measured with {'; '.join(hosts)}."
    )
    note = " Passes marked * were made once for several scores, and their seconds count for each of these."
    return join(
        [paragraph(text + (note if shared else ""), class_="note"), table("Seconds of scores", _TIME_HEADS, body, 2)]
    )


_TIMES = ("load_seconds", "score_seconds", "seconds_per_million")


def _curves(scenes: Sequence[PruneScene]) -> list[PruneRow]:
    return [row for scene in scenes for row in scene.of("curve")]


def timed_row(rows: Sequence[PruneRow]) -> PruneRow | None:
    """The row of the latest run that has all times, None without any: rows of one run share them."""
    timed = [row for row in rows if all(row.measure(name) is not None for name in _TIMES)]
    return max(timed, key=lambda row: row.date, default=None)


_CODING_HEADS = ("quality", "kept, %", "bytes", "of not pruned, %", "PSNR (b)", "PSNR (a)", "change (a)", "less (a)")


def coding_section(scenes: Sequence[PruneScene]) -> Markup:
    """Files of scenes coded whole and pruned: sizes, quality, BD-rate; "" without any."""
    deltas = [coding_deltas(scenes, measure) for measure, _ in REFERENCES]
    if not deltas[0]:
        return join([])
    text = (
        "The scene coded by gscodec at several qualities, whole and pruned. Bytes are of the file; (b) is against "
        "renders of the whole scene, so that what pruning changed counts; (a) is against photos: the change from the "
        "source, and by how much that is more or less than without pruning. BD-rates are of bytes at equal PSNR; "
        "negative: pruning makes smaller files of the same quality."
    )
    heads = ("pruned by", *_BD_HEADS[1:])
    parts = [element("h3", "Coding after pruning"), paragraph(text, class_="note")]
    parts.append(
        table("BD-rate of coding after pruning against coding without", heads, _bd_body(scenes, deltas), 2, "bd")
    )
    for scene in scenes:
        for method in methods_of([scene], "coding"):
            pruned = {row.quality: row for row in scene.of("coding", method)}
            whole = {row.quality: row for row in scene.of("coding", UNPRUNED)}
            body = [
                _coding_cells(row, whole[quality])
                for quality in sorted(whole, key=lambda one: one or 0.0)
                for row in (whole[quality], pruned.get(quality))
                if row is not None
            ]
            caption = f"{scene.name}: coded whole, and pruned by {method_name(method)}"
            parts.append(details(caption, table(caption, _CODING_HEADS, body)))
    return join(parts)


def _coding_cells(row: PruneRow, whole: PruneRow) -> list[str]:
    change, before = row.measure("delta_psnr_photos"), whole.measure("delta_psnr_photos")
    less = None if change is None or before is None or row is whole else change - before
    share = None if row is whole or not row.bytes or not whole.bytes else 100 * row.bytes / whole.bytes
    return [
        f"q{row.quality or 0:g}, {row.name}",
        number(100 * (row.kept or 0) / row.splats, 1),
        number(row.measure("bytes"), 0),
        number(share, 1),
        number(row.psnr_renders, 3),
        number(row.psnr_photos, 3),
        number(change, 3, True),
        number(less, 3, True),
    ]


def prune_failures(scenes: Sequence[PruneScene]) -> Markup:
    """Scores without a result, with what they said; "" where every row has one."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for scene in scenes:
        for row in scene.rows:
            if not row.ok:
                found.setdefault((row.name, scene.name, row.message or "no message"), []).append(row.kind)
    if not found:
        return join([])
    body = [[name, scene, str(len(kinds)), message] for (name, scene, message), kinds in found.items()]
    return table("Rows of pruning without a result", ("score", "scene", "rows", "message"), body, 4, "messages")


def prune_commands(scenes: Sequence[PruneScene]) -> Markup:
    """What to type to measure again, row by row."""
    parts = []
    for scene in scenes:
        body = [[row.name, row.kind, row.version, row.date, element("code", row.command)] for row in scene.rows]
        made = table(f"Commands of {scene.name}", ("score", "kind", "version", "date", "row"), body, 5, "commands")
        parts.append(details(f"Commands of {scene.name}: {len(scene.rows)} rows", made))
    return join(parts)
