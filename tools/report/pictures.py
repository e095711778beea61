"""Source, this codec and another one side by side at the other's size: crops, their errors, and the whole view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gscodec_tools.report.charts import number
from gscodec_tools.report.compare import MATCHED, EqualQuality
from gscodec_tools.report.images import (
    Picture,
    Window,
    amplification,
    difference,
    jpeg_uri,
    psnr,
    read_picture,
    webp_uri,
    worst_window,
)
from gscodec_tools.report.markup import Markup, details, element, join, paragraph
from gscodec_tools.report.rows import Row, Scene, codec_name

from gscodec.errors import BadInputError

BUDGET = 8_500_000  # bytes of packed pictures, to keep the page below 10 MB
LARGEST, SMALLEST = 200, 96  # edge of a crop in pixels
DENSITY = 2.0  # bytes in the page per pixel of a crop, about
THUMBNAIL = 480  # width of a whole view in pixels
VIEW_BYTES = 60_000  # of one in the page, about
REDUCED = 0.7  # edge of the crops of other settings


@dataclass(frozen=True)
class Pair:
    """A row of another codec and ours at its size, with their pictures of the first view."""

    peer: Row
    ours: Row
    source: Path
    peer_picture: Path
    our_picture: Path


def pictures(folder: Path, scenes: Sequence[Scene], equal: Sequence[EqualQuality]) -> Markup:
    """The section, scene by scene; what is missing is said. Raises BadInputError for unreadable pictures.

    Each codec's setting that does best against ours at equal quality is shown in full, its other settings smaller and
    behind a line.
    """
    ratios = {(pair.row.scene, pair.row.key): pair.ratio or 0.0 for pair in equal}
    found = {scene.name: pairs_of(folder, scene) for scene in scenes}
    full = sum(len({pair.peer.codec for pair in pairs}) for pairs, _ in found.values())
    edge = _edge(full, sum(len(pairs) for pairs, _ in found.values()) - full)
    left = [BUDGET]
    parts = []
    for number_of_scene, scene in enumerate(scenes):
        pairs, missing = found[scene.name]
        parts.append(element("h3", scene.name))
        view = f"view{number_of_scene}"
        if pairs:
            parts.append(_whole_source(pairs[0], view, left))
        by_codec: dict[str, list[Pair]] = {}
        for pair in sorted(pairs, key=lambda pair: -ratios.get((pair.peer.scene, pair.peer.key), 0.0)):
            by_codec.setdefault(pair.peer.codec, []).append(pair)
        for codec, (first, *others) in sorted(by_codec.items()):
            parts.append(_pair(first, edge, view, left, full=True))
            if others:
                more = [_pair(pair, int(edge * REDUCED), view, left, full=False) for pair in others]
                parts.append(details(f"Other settings of {codec_name(codec)}: {len(others)}", *more))
        if missing:
            parts.append(_missing(missing))
    return join(parts)


def _edge(full: int, reduced: int) -> int:
    """The edge of the crops in pixels, such that ten of each full pair and five of each other fit the page."""
    share = 10 * full + 5 * REDUCED**2 * reduced
    room = BUDGET - 2 * full * VIEW_BYTES
    return int(max(SMALLEST, min(LARGEST, math.sqrt(max(room, 0) / (DENSITY * max(share, 1))))))


def pairs_of(folder: Path, scene: Scene) -> tuple[list[Pair], dict[str, list[str]]]:
    """The pairs of which all three pictures are there, and the names of the other rows by what they miss.

    Raises BadInputError for a picture outside of the folder.
    """
    pairs: list[Pair] = []
    missing: dict[str, list[str]] = {}
    for peer in scene.peers:
        ours = scene.match_of(peer)
        if ours is None:
            missing.setdefault("no row of gscodec at its size", []).append(peer.name)
            continue
        paths = [_path(folder, row) for row in (peer, ours)]
        source = paths[0].with_name("source.png") if paths[0] else None
        absent = [name for name, path in zip(("its own", "gscodec's"), paths, strict=True) if path is None]
        if paths[0] and not (source and source.is_file()):
            absent.append("the source's")
        if absent or source is None:
            missing.setdefault(f"no picture: {' and '.join(absent)}", []).append(peer.name)
        else:
            pairs.append(Pair(peer, ours, source, *(path for path in paths if path)))
    return pairs, missing


def _path(folder: Path, row: Row) -> Path | None:
    """Where the picture of a row lies, below the folder or its rd/; None if it does not."""
    if not row.picture:
        return None
    parts = PurePosixPath(row.picture)
    if parts.is_absolute() or ".." in parts.parts:
        raise BadInputError(
            "picture outside of the results", field=f"{row.key}: picture", found=row.picture, allowed="a path below"
        )
    return next((path for path in (folder / parts, folder / "rd" / parts) if path.is_file()), None)


def _pair(pair: Pair, edge: int, view: str, left: list[int], full: bool) -> Markup:
    """Heading, crops and, of a full one, the whole views; ``left`` counts down the bytes that the page still has."""
    head = element("h4", f"{pair.peer.name} and gscodec at {_size_text(pair)}")
    if left[0] <= 0:
        about = f"Left out to keep this page below 10 MB. {_caption(pair.ours)}; {_caption(pair.peer)}."
        return element("div", head, paragraph(about, class_="empty"))
    source = read_picture(pair.source)
    ours, peer = read_picture(pair.our_picture, source), read_picture(pair.peer_picture, source)
    theirs, own = worst_window(source, peer, edge), worst_window(source, ours, edge)
    images = source, ours, peer
    if full and not theirs.covers(own):
        parts = [_strip(pair, images, theirs, view, pair.peer.name), _strip(pair, images, own, view, "gscodec")]
    else:
        parts = [_strip(pair, images, theirs, view, "both" if theirs.covers(own) else pair.peer.name)]
    if full:
        frames = [_whole(row, picture) for row, picture in ((pair.ours, ours), (pair.peer, peer))]
        parts.append(details("The whole view", element("div", *frames, class_="whole")))
    made = element("div", head, *parts, class_="compared")
    left[0] -= len(made)
    return made


def _size_text(pair: Pair) -> str:
    share = (pair.ours.bytes or 0) / (pair.peer.bytes or 1)
    if abs(share - 1) <= MATCHED:
        return f"equal size ({100 * share:.1f} % of its bytes)"
    why = f": {pair.ours.message}" if pair.ours.message else ""
    return f"{100 * share:.0f} % of its size{why}"


def _strip(pair: Pair, images: tuple[Picture, Picture, Picture], window: Window, view: str, whose: str) -> Markup:
    """Crops, where they lie, and amplified errors. The page lays them out in two rows, or as a strip to be swiped."""
    crops = [window.of(picture) for picture in images]
    factor = min(amplification(crops[0], crops[2]), amplification(crops[0], crops[1]))
    caption = f"Where the error of {whose} is largest: {window.edge} × {window.edge} pixels of the first view"
    cells = [_cell("source", crops[0], "", webp_uri(crops[0]))]
    names = "gscodec", pair.peer.name
    for name, row, crop in zip(names, (pair.ours, pair.peer), crops[1:], strict=True):
        about = f"{_caption(row)}; in this crop {_decibel(psnr(crops[0], crop))}"
        cells.append(_cell(name, crop, about, webp_uri(crop)))
    below = element("div", f"Where it lies. Right: errors, amplified {factor} times, the same for both", class_="below")
    cells.append(element("div", _place(images[0], window, view), below))
    for name, crop in zip(names, crops[1:], strict=True):
        error = difference(crops[0], crop, factor)
        cells.append(_cell(f"error of {name}, ×{factor}", error, "", webp_uri(error)))
    return element("figure", element("figcaption", caption), element("div", *cells, class_="crops"), class_="strip")


def _place(source: Picture, window: Window, view: str) -> Markup:
    """The whole source, whose pixels the page holds once, with the window marked."""
    height, width = source.shape[:2]
    places = ("left", window.left / width), ("top", window.top / height)
    places += ("width", window.edge / width), ("height", window.edge / height)
    frame = element("i", class_="frame", style=";".join(f"{name}:{100 * value:.2f}%" for name, value in places))
    alt = f"the whole first view with the crop marked, {window.left} pixels from the left, {window.top} from the top"
    fit = "height:100%" if height > width else "width:100%"
    shape = f"{fit};aspect-ratio:{width}/{height}"
    whole = element("div", frame, class_=f"map {view}", style=shape, role="img", aria_label=alt)
    return element("div", whole, class_="square")


def _cell(name: str, crop: Picture, below: str, uri: str) -> Markup:
    height, width = crop.shape[:2]
    image = element("img", src=uri, alt=f"crop: {name}", width=width, height=height, class_="crop", data_flip=name)
    texts = [element("b", name), *([element("span", below)] if below else [])]
    return element("div", image, element("div", *texts, class_="below"))


def _whole_source(pair: Pair, view: str, left: list[int]) -> Markup:
    """Source and photo of the first view; the style sheet keeps the source for the maps."""
    source = jpeg_uri(read_picture(pair.source), THUMBNAIL)
    cells = [_view("source", source, "source")]
    photo = pair.source.with_name("photo.png")
    if photo.is_file():
        cells.append(_view("photo", jpeg_uri(read_picture(photo), THUMBNAIL), "photo"))
    style = element("style", Markup(f".{view}{{background-image:url({source})}}"))
    made = join([style, element("div", *cells, class_="whole")])
    left[0] -= len(made)
    return made


def _whole(row: Row, picture: Picture) -> Markup:
    name = "gscodec" if row.ours else row.name
    return _view(name, jpeg_uri(picture, THUMBNAIL), f"{name}: {_caption(row)}")


def _view(name: str, uri: str, caption: str) -> Markup:
    return element("figure", element("img", src=uri, alt=f"whole first view: {name}"), element("figcaption", caption))


def _caption(row: Row) -> str:
    return f"{row.bytes or 0:,} bytes, {_decibel(row.psnr_renders)} over all views"


def _decibel(value: float | None) -> str:
    return "equal" if value is None or math.isinf(value) else f"{number(value, 2)} dB"


def _missing(found: dict[str, list[str]]) -> Markup:
    return element(
        "div",
        paragraph(
            "Not shown, because something is missing. ",
            element("code", "gsrd run"),
            " without --no-match and --no-pictures makes it, with the commands at the end of this page.",
        ),
        element("ul", *(element("li", f"{what}: {', '.join(names)}") for what, names in found.items())),
        class_="empty",
    )
