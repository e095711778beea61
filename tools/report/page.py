"""The whole page: one file with everything in it, and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gscodec_tools.report.bars import bars
from gscodec_tools.report.charts import curves
from gscodec_tools.report.compare import EqualQuality, deltas, equal_quality
from gscodec_tools.report.findings import Share, sentences, shares, spread
from gscodec_tools.report.literature import literature
from gscodec_tools.report.markup import Markup, element, join, paragraph
from gscodec_tools.report.pictures import pictures
from gscodec_tools.report.prune import pruning
from gscodec_tools.report.prune_rows import PruneScene
from gscodec_tools.report.rows import Row, Scene, codec_name
from gscodec_tools.report.script import SCRIPT
from gscodec_tools.report.style import CSS
from gscodec_tools.report.tables import bd_table, commands, equal_table, failures, speed_table

from gscodec import __version__

TITLE = "gscodec: rate and distortion"


def page(folder: Path, scenes: Sequence[Scene], papers: Path, pruned: Sequence[PruneScene] = ()) -> str:
    """The HTML of a report. folder: of the results, for the pictures; papers: of the published numbers.

    ``pruned``: the results of gsrd prune; what there are no results of has no section. Raises BadInputError for
    unreadable pictures or tables.
    """
    pairs = equal_quality(scenes)
    sections = _coding_sections(folder, scenes, pairs) if scenes else []
    if pruned:
        sections.append(("prune", "Pruning", "Pruning by importance scores", pruning(folder, pruned)))
    sections.append(("literature", "Literature", "Published numbers", literature(papers)))
    if scenes:
        sections.append(("reproduce", "Reproduce", "What failed, and how to measure again", _reproduce(scenes)))
    body = [
        _header(scenes, pairs) if scenes else _prune_header(pruned),
        element("nav", element("div", *(element("a", short, href=f"#{name}") for name, short, _, _ in sections))),
        element("main", *(element("section", element("h2", head), made, id=name) for name, _, head, made in sections)),
        element("footer", f"Made by gsrd report of gscodec {__version__} from the rows alone: one file, no network."),
        element("script", Markup(SCRIPT)),
    ]
    head = [
        element("meta", charset="utf-8"),
        element("link", rel="icon", href="data:,"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content=f"gsrd report, gscodec {__version__}"),
        element("title", TITLE),
        element("style", Markup(CSS)),
    ]
    return "<!DOCTYPE html>\n" + element("html", element("head", *head), element("body", *body), lang="en") + "\n"


def _coding_sections(
    folder: Path, scenes: Sequence[Scene], pairs: Sequence[EqualQuality]
) -> list[tuple[str, str, str, Markup]]:
    side_by_side = join([_about_pictures(), pictures(folder, scenes, pairs)])
    return [
        ("curves", "Curves", "Rate-distortion curves", curves(scenes)),
        ("bd", "BD-rate", "gscodec against each other codec", join([bd_table(deltas(scenes)), equal_table(pairs)])),
        ("streams", "Bytes", "Where the bytes are", bars(scenes)),
        ("speed", "Speed", "Speed and memory", speed_table(scenes)),
        ("pictures", "Pictures", "Side by side at equal size", side_by_side),
    ]


def _prune_header(pruned: Sequence[PruneScene]) -> Markup:
    """Of a page about pruning alone."""
    rows = sum(len(scene.rows) for scene in pruned)
    about = f"{_count(rows, 'row')} of pruning on {_count(len(pruned), 'scene')}; no codec was measured."
    return element("header", element("h1", TITLE), paragraph(about, class_="about"))


def _header(scenes: Sequence[Scene], pairs: Sequence[EqualQuality]) -> Markup:
    rows = [row for scene in scenes for row in scene.rows]
    cards = [
        element(
            "div",
            element("b", f"{100 * share.ratio:.0f} %"),
            element("span", f"of the bytes of {share.name} at its quality"),
            element("small", f"{_spread_text(share)}{spread(*share.psnr, 1)} dB, {_count(share.scenes, 'scene')}"),
            class_="card",
        )
        for share in shares(pairs, scenes)
    ]
    done = sum(row.ok for row in rows)
    about = f"{_count(done, 'result')} on {_count(len(scenes), 'scene')}, measured {_dates(rows)}"
    found = sentences(scenes, pairs)
    parts = [element("h1", TITLE), paragraph(about, class_="about")]
    parts += [element("div", *cards, class_="cards")] if cards else []
    parts += [element("ul", *(element("li", text) for text in found), class_="findings")] if found else []
    return element("header", *parts, _facts(scenes, rows))


def _spread_text(share: Share) -> str:
    return f"{spread(100 * share.low, 100 * share.high, 0)} %, " if share.scenes > 1 else ""


def _facts(scenes: Sequence[Scene], rows: Sequence[Row]) -> Markup:
    versions: dict[str, list[str]] = {}
    for row in rows:
        if row.ok:
            known = versions.setdefault(codec_name(row.codec), [])
            known += [row.codec_version] if row.codec_version and row.codec_version not in known else []
    facts = [
        ("Scenes", "; ".join(f"{s.name} ({s.rows[0].splats:,} splats, {s.view_text})" for s in scenes)),
        ("Codecs", "; ".join(f"{name} {', '.join(found)}".strip() for name, found in versions.items())),
        ("Machine", "; ".join(dict.fromkeys(_host(row.host) for row in rows))),
        (
            "References",
            "(b) renders of the source, never mixed with (a) photos. PSNR of floats, mean over views; 8-bit PSNR is in "
            "the tables.",
        ),
    ]
    return element(
        "dl", *(join([element("dt", name), element("dd", text)]) for name, text in facts if text), class_="facts"
    )


def _host(host: Any) -> str:
    memory = host.get("memory_bytes")
    parts = [
        f"{host['cores']} cores" if "cores" in host else "",
        str(host.get("cpu", "")),
        f"{memory / (1 << 30):.0f} GiB" if isinstance(memory, int | float) else "",
        str(host.get("gpu") or ""),
        str(host.get("system", "")),
        f"Python {host['python']}" if "python" in host else "",
    ]
    return ", ".join(part for part in parts if part)


def _dates(rows: Sequence[Row]) -> str:
    days = sorted(row.date[:10] for row in rows)
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def _about_pictures() -> Markup:
    return paragraph(
        "gscodec was run for a file of the other's size. The crops are of the first view, cut where the other codec is "
        "worst and where gscodec is, and shown pixel by pixel. Click one to flip between source, gscodec and the "
        "other. PSNR of a crop is of these 8-bit pixels.",
        class_="note",
    )


def _reproduce(scenes: Sequence[Scene]) -> Markup:
    about = (
        "The first line of each row is what to type to measure it again; the others are the commands that were timed, "
        "with the source as in.ply."
    )
    return join([failures(scenes), paragraph(about, class_="note"), commands(scenes)])


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
