"""The rows of ``gsrd run``, read and checked: one per scene, codec and setting."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from gscodec.errors import BadInputError

FORMAT = 1
OURS = "gscodec"
TARGETS = "gscodec-targets"  # ours too, but measured like another codec
STATUSES = ("ok", "failed", "timeout", "unavailable")
NAMES = {
    TARGETS: "gscodec, target sizes",
    "spz": "SPZ",
    "compressed-ply": "compressed.ply",
    "sog": "SOG",
    "naive": "naive",
    "gsplat-png": "gsplat PNG",
    "gpcc": "G-PCC",
}

_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "Mapping[str, Any]": (dict,),
    "Sequence[Any]": (list,),
}


@dataclass(frozen=True)
class Row:
    """One codec with one setting on one scene.

    bytes: of the whole file. psnr in dB, means over views; None where images are equal (infinite) or not measured.
    "renders": against renders of the source; "photos": against the photos. Seconds, and peak bytes of the process.
    """

    key: str
    scene: str
    splats: int
    sh_degree: int
    source_bytes: int
    codec: str
    label: str
    settings: Mapping[str, Any]
    status: str
    message: str | None
    bytes: int | None
    bits_per_splat: float | None
    decoded_splats: int | None
    psnr_renders: float | None
    psnr_8bit_renders: float | None
    ssim_renders: float | None
    psnr_photos: float | None
    psnr_8bit_photos: float | None
    ssim_photos: float | None
    source_psnr_photos: float | None
    source_ssim_photos: float | None
    identical: bool | None
    views: Mapping[str, Any]
    encode_s: float | None
    decode_s: float | None
    encode_peak_bytes: int | None
    decode_peak_bytes: int | None
    stream_bytes: Mapping[str, Any] | None
    codec_version: str | None
    host: Mapping[str, Any]
    jobs: int
    seed: int | None
    date: str
    command: str
    encode_command: str | None
    decode_command: str | None
    picture: str | None

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return self.status == "ok"

    @property
    def ours(self) -> bool:
        """Whether this project's codec made it."""
        return self.codec == OURS

    @property
    def matches(self) -> str | None:
        """The key of the row whose size this one was made to match."""
        found = self.settings.get("matches")
        return found if self.ours and isinstance(found, str) else None

    @property
    def in_sweep(self) -> bool:
        """Whether it is a point of this codec's own curve."""
        named = re.fullmatch(r"q\d+(\.\d+)?", self.label)
        return self.ours and self.ok and self.psnr_renders is not None and named is not None and not self.matches

    @property
    def name(self) -> str:
        """Codec and setting for people."""
        label = self.label.strip()
        return codec_name(self.codec) if label in ("", self.codec) else f"{codec_name(self.codec)} {label}"

    def measure(self, name: str) -> float | None:
        """A field as a number; "delta_psnr_photos" and "delta_ssim_photos" are changes from the source."""
        if name.startswith("delta_"):
            own, source = getattr(self, name[6:]), getattr(self, f"source_{name[6:]}")
            return None if own is None or source is None else float(own - source)
        value = getattr(self, name)
        return None if value is None else float(value)


@dataclass(frozen=True)
class Scene:
    """All rows of one scene in the order of its file; there is at least one."""

    name: str
    rows: tuple[Row, ...]

    @property
    def results(self) -> list[Row]:
        """The rows that have one."""
        return [row for row in self.rows if row.ok]

    @property
    def sweep(self) -> list[Row]:
        """This codec's own curve by size."""
        return sorted((row for row in self.rows if row.in_sweep), key=lambda row: row.bytes or 0)

    @property
    def peers(self) -> list[Row]:
        """Results of other codecs."""
        return [row for row in self.results if not row.ours]

    def match_of(self, peer: Row) -> Row | None:
        """This codec's result at the size of ``peer``."""
        return next((row for row in self.results if row.matches == peer.key), None)

    @property
    def view_text(self) -> str:
        """Such as "7 test views"."""
        views = self.rows[0].views
        return f"{views.get('count', '?')} {views.get('kind', '')} views"


def codec_name(codec: str) -> str:
    """The name of a codec for people."""
    return NAMES.get(codec, codec)


def has_results(folder: Path) -> bool:
    """Whether there is any file that ``load_results`` would read."""
    return any((folder / "rd").glob("*.json"))


def load_results(folder: Path) -> list[Scene]:
    """The scenes of ``<folder>/rd/*.json`` by name.

    Raises BadInputError naming the folder where there are none, or the file, row and field that is not as agreed.
    """
    paths = sorted((folder / "rd").glob("*.json"))
    if not paths:
        raise BadInputError(
            f"no results to report: `gsrd run SCENE... -o {folder}` makes them",
            field="results",
            found=str(folder),
            allowed="a folder with rd/<scene>.json",
        )
    scenes = [_scene(path) for path in paths]
    names = [scene.name for scene in scenes]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError("two files of one scene", field="scene", found=name, allowed="one file each")
    return scenes


def _scene(path: Path) -> Scene:
    where = f"rd/{path.name}"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"), parse_constant=no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"cannot read results: {error}", field=where, found=str(path)) from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        found = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
        raise BadInputError("not results of gsrd run", field=f"{where}: format", found=found, allowed=FORMAT)
    name, rows = tree.get("scene"), tree.get("rows")
    if not isinstance(name, str) or not name:
        raise BadInputError("no scene", field=f"{where}: scene", found=name, allowed="a name")
    if not isinstance(rows, list) or not rows:
        raise BadInputError("no rows", field=f"{where}: rows", found=rows, allowed="a list of rows")
    made = tuple(_row(row, f"{where}: row {number}") for number, row in enumerate(rows))
    keys = [row.key for row in made]
    for row in made:
        if row.scene != name:
            raise BadInputError("row of another scene", field=f"{where}: scene", found=row.scene, allowed=name)
        if keys.count(row.key) > 1:
            raise BadInputError("two rows of one key", field=f"{where}: key", found=row.key, allowed="one row each")
    return Scene(name, made)


def _row(tree: Any, where: str) -> Row:
    if not isinstance(tree, dict):
        raise BadInputError("not a row", field=where, found=type(tree).__name__, allowed="an object")
    for item in fields(Row):
        check_field(tree, item.name, str(item.type), where)
    if tree["status"] not in STATUSES:
        raise BadInputError("unknown status", field=f"{where}: status", found=tree["status"], allowed=STATUSES)
    if tree["status"] == "ok":
        for name in ("bytes", "bits_per_splat"):
            if tree[name] is None or tree[name] <= 0:
                raise BadInputError("no size", field=f"{where}: {name}", found=tree[name], allowed="above 0")
    if tree["splats"] < 1 or tree["source_bytes"] < 1:
        found = (tree["splats"], tree["source_bytes"])
        raise BadInputError("empty scene", field=f"{where}: splats, source_bytes", found=found, allowed="above 0")
    return Row(**{item.name: tree[item.name] for item in fields(Row)})


def check_field(tree: Mapping[str, Any], name: str, kind: str, where: str) -> None:
    """That a row has a field of that kind, as annotations name kinds. Raises BadInputError, naming ``where``."""
    if name not in tree:
        raise BadInputError("field is missing", field=f"{where}: {name}", found="nothing", allowed=kind)
    value, optional = tree[name], kind.endswith(" | None")
    if value is None and optional:
        return
    kinds = _KINDS[kind.removesuffix(" | None")]
    wrong_bool = isinstance(value, bool) and bool not in kinds
    if wrong_bool or not isinstance(value, kinds) or (isinstance(value, float) and not math.isfinite(value)):
        raise BadInputError("wrong kind of value", field=f"{where}: {name}", found=repr(value)[:80], allowed=kind)
    if name == "stream_bytes" and not all(type(size) is int and size >= 0 for size in value.values()):
        raise BadInputError("not sizes", field=f"{where}: {name}", found=repr(value)[:80], allowed="bytes by name")


def no_number(text: str) -> NoReturn:
    """For json.loads: Infinity and NaN are no JSON. Raises ValueError."""
    raise ValueError(f"{text} is no JSON number")
