"""Where rows are kept: one JSON file for each scene, whole at every moment, and the pictures beside it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gscodec_tools.rd.rows import Row

from gscodec.bitstream.atomic import atomic_write
from gscodec.errors import BadInputError, OutputError

FORMAT = 1
ROW_KEYS = ("key", "scene", "codec", "label", "status", "bytes", "settings")


@dataclass(frozen=True)
class Layout:
    """What the files of one command are like. ``folder``: below that of all results; ``keys``: that rows must have.

    ``place``: rows of equal place replace each other. ``order``: the key that rows of a file are sorted by.
    """

    command: str
    folder: str
    keys: tuple[str, ...]
    place: Callable[[Row], tuple[Any, ...]]
    order: Callable[[Row], tuple[Any, ...]]


def _place(row: Row) -> tuple[Any, ...]:
    return row["codec"], row["label"]


def _order(row: Row) -> tuple[Any, ...]:
    return row["codec"], row["bytes"] is None, row["bytes"] or 0, row["label"]


RUN = Layout("gsrd run", "rd", ROW_KEYS, _place, _order)


def read_rows(path: Path, layout: Layout = RUN) -> list[Row]:
    """The rows of a scene's file, none if there is no file.

    Raises BadInputError for a file that cannot be read or is no such file.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise BadInputError(f"cannot read results: {error}", field="results", found=str(path)) from error
    found = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
    rows: Any = tree.get("rows") if isinstance(tree, dict) else None
    if found != FORMAT or not isinstance(rows, list):
        raise BadInputError(f"{path} is no results of {layout.command}", field="format", found=found, allowed=FORMAT)
    for row in rows:
        missing = [key for key in layout.keys if not isinstance(row, dict) or key not in row]
        if missing:
            what = f"{path} has a row that {layout.command} did not write"
            raise BadInputError(what, field="rows", found=f"no {missing[0]}")
    return rows


class Store:
    """The results of one folder. Use as a context: it is locked against others as long."""

    def __init__(self, folder: Path, scenes: list[str], layout: Layout = RUN) -> None:
        self._folder = folder / layout.folder
        self._scenes = scenes
        self._layout = layout
        self._rows: dict[str, list[Row]] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Store:
        """Raises OutputError if the folder cannot be made, BadInputError if it is locked or has foreign files."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {self._folder}: {error.strerror or error}") from error
        with contextlib.ExitStack() as stack:
            stack.enter_context(_locked(self._folder / ".lock", self._layout.command))
            self._rows = {scene: read_rows(self._path(scene), self._layout) for scene in self._scenes}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rows(self, scene: str) -> list[Row]:
        """In the order of the file."""
        return list(self._rows[scene])

    def done(self, scene: str, key: str) -> Row | None:
        """The row of that key if it has been measured."""
        return next((row for row in self._rows[scene] if row["key"] == key and row["status"] == "ok"), None)

    def put(self, row: Row) -> None:
        """Add a row and write the file. It replaces the row of its place, whatever that was made of.

        A codec that is not available here does not replace what was measured elsewhere. Raises OutputError.
        """
        scene, place = row["scene"], self._layout.place
        same = [old for old in self._rows[scene] if place(old) == place(row)]
        if row["status"] == "unavailable" and any(old["status"] == "ok" for old in same):
            return
        rows = [old for old in self._rows[scene] if place(old) != place(row)]
        self._rows[scene] = sorted([*rows, row], key=self._layout.order)
        tree = {"format": FORMAT, "scene": scene, "rows": self._rows[scene]}
        text = json.dumps(tree, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        atomic_write(self._path(scene), [text.encode()], force=True)

    def put_pictures(self, scene: str, pictures: dict[str, bytes]) -> None:
        """Write PNGs by file name. Raises OutputError."""
        folder = self._folder / "pictures" / scene
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {folder}: {error.strerror or error}") from error
        for name, data in pictures.items():
            path = folder / name
            if not (path.is_file() and path.read_bytes() == data):
                atomic_write(path, [data], force=True)

    def _path(self, scene: str) -> Path:
        return self._folder / f"{scene}.json"


@contextlib.contextmanager
def _locked(path: Path, command: str) -> Iterator[None]:
    """The system gives the lock back when the process ends, however it ends."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInputError(f"another {command} writes to this folder", field="output", found=str(path)) from error
        yield
    finally:
        os.close(fd)
