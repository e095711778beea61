"""The rows of ``gsrd prune``, read and checked: one for each scene, score and amount."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from gscodec_tools.report.rows import STATUSES, check_field, no_number

from gscodec.errors import BadInputError

FORMAT = 1
FOLDER = "prune"
KINDS = ("curve", "views", "coding", "picture")
ANCHOR = "opacity"
UNPRUNED = "none"
NAMES = {
    "rap": "RAP (ours)",
    "rap-distilled": "RAP, distilled (ours)",
    "opacity": "opacity",
    "volume-opacity": "volume × opacity",
    "lightgaussian": "LightGaussian",
    "mesongs": "MesonGS",
    "eagles": "EAGLES",
    "geta": "GETA-3DGS",
    "c3dgs": "C3DGS",
    "trim": "Trimming the Fat",
    "pup": "PUP 3D-GS",
    "removal": "removal error",
    UNPRUNED: "not pruned",
}


@dataclass(frozen=True)
class PruneRow:
    """What one score made of one scene. ``retention``: share of the splats kept. Seconds; psnr in dB, means over views.

    "renders": against renders of the whole source; "photos": against the photos; None where images are equal.
    """

    key: str
    scene: str
    splats: int
    source_bytes: int
    kind: str
    method: str
    params: Mapping[str, Any]
    retention: float
    share: str | None
    quality: float | None
    status: str
    message: str
    kept: int | None
    bytes: int | None
    psnr_renders: float | None
    psnr_8bit_renders: float | None
    ssim_renders: float | None
    psnr_photos: float | None
    psnr_8bit_photos: float | None
    ssim_photos: float | None
    source_psnr_photos: float | None
    source_ssim_photos: float | None
    load_seconds: float | None
    score_seconds: float | None
    seconds_per_million: float | None
    passes: Mapping[str, Any] | None
    shared_passes: Sequence[Any] | None
    histogram: Sequence[Any] | None
    picture: str | None
    views: Mapping[str, Any]
    scoring_views: Mapping[str, Any] | None
    version: str
    host: Mapping[str, Any]
    date: str
    command: str

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return self.status == "ok"

    @property
    def name(self) -> str:
        """The score for people."""
        return method_name(self.method)

    def measure(self, name: str) -> float | None:
        """A field as a number; "delta_psnr_photos" is the change from the source."""
        if name == "delta_psnr_photos":
            own, source = self.psnr_photos, self.source_psnr_photos
            return None if own is None or source is None else own - source
        value = getattr(self, name)
        return None if value is None else float(value)


@dataclass(frozen=True)
class PruneScene:
    """All rows of one scene in the order of its file; there is at least one."""

    name: str
    rows: tuple[PruneRow, ...]

    def of(self, kind: str, method: str | None = None) -> list[PruneRow]:
        """The results of a kind, and of a method."""
        return [row for row in self.rows if row.ok and row.kind == kind and method in (None, row.method)]

    @property
    def about(self) -> str:
        """Splats and views in words."""
        first = self.rows[0]
        return f"{first.splats:,} splats, {first.views.get('count', '?')} {first.views.get('kind', '')} views"


def method_name(method: str) -> str:
    """The name of a score for people."""
    return NAMES.get(method, method)


def methods_of(scenes: Iterable[PruneScene], *kinds: str) -> list[str]:
    """Scores with results of these kinds: ours first, the anchor second, then in the order of the table of names."""
    found = {row.method: None for scene in scenes for kind in kinds for row in scene.of(kind)}
    order = {name: place for place, name in enumerate(NAMES)}
    return sorted((name for name in found if name != UNPRUNED), key=lambda name: (order.get(name, len(order)), name))


def load_pruning(folder: Path) -> list[PruneScene]:
    """The scenes of ``<folder>/prune/*.json`` by name, none where there are none.

    Raises BadInputError naming the file, row and field that is not as agreed.
    """
    scenes = [_scene(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    names = [scene.name for scene in scenes]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError("two files of one scene", field="scene", found=name, allowed="one file each")
    return scenes


def _scene(path: Path) -> PruneScene:
    where = f"{FOLDER}/{path.name}"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"), parse_constant=no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"cannot read results: {error}", field=where, found=str(path)) from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        found = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
        raise BadInputError("not results of gsrd prune", field=f"{where}: format", found=found, allowed=FORMAT)
    name, rows = tree.get("scene"), tree.get("rows")
    if not isinstance(name, str) or not isinstance(rows, list) or not rows:
        raise BadInputError("no scene with rows", field=f"{where}: scene, rows", found=name, allowed="a name, a list")
    made = tuple(_row(row, f"{where}: row {number}") for number, row in enumerate(rows))
    for row in made:
        if row.scene != name:
            raise BadInputError("row of another scene", field=f"{where}: scene", found=row.scene, allowed=name)
    return PruneScene(name, made)


def _row(tree: Any, where: str) -> PruneRow:
    if not isinstance(tree, dict):
        raise BadInputError("not a row", field=where, found=type(tree).__name__, allowed="an object")
    for item in fields(PruneRow):
        check_field(tree, item.name, str(item.type), where)
    row = PruneRow(**{item.name: tree[item.name] for item in fields(PruneRow)})
    for name, found, allowed in (("status", row.status, STATUSES), ("kind", row.kind, KINDS)):
        if found not in allowed:
            raise BadInputError(f"unknown {name}", field=f"{where}: {name}", found=found, allowed=allowed)
    if row.splats < 1 or not 0.0 < row.retention <= 1.0:
        found = (row.splats, row.retention)
        raise BadInputError("no amount", field=f"{where}: splats, retention", found=found, allowed="above 0; 0..1")
    if row.ok and (row.kept is None or row.kept < 1):
        raise BadInputError("nothing kept", field=f"{where}: kept", found=row.kept, allowed="1 or more")
    _check_numbers(row, where)
    return row


def _check_numbers(row: PruneRow, where: str) -> None:
    """What is in the lists and mappings, and text that is read as a number."""
    seconds = list((row.passes or {}).values())
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in seconds):
        raise BadInputError("not seconds", field=f"{where}: passes", found=seconds, allowed="numbers by name")
    counts = list(row.histogram or [])
    if row.histogram is not None and not (counts and all(type(count) is int and count >= 0 for count in counts)):
        raise BadInputError("not counts", field=f"{where}: histogram", found=str(counts)[:80], allowed="whole numbers")
    try:
        share = None if row.share is None else Fraction(row.share)
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if share is not None and not 0 < share <= 1:
        raise BadInputError("not a share", field=f"{where}: share", found=row.share, allowed="such as 3/8")
    if row.ok and row.kind == "coding" and (row.quality is None or not row.bytes):
        found = (row.quality, row.bytes)
        raise BadInputError("no size", field=f"{where}: quality, bytes", found=found, allowed="above 0")
