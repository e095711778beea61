"""One row as a job: plain data that any process can run, on this machine or another with the same files."""

from __future__ import annotations

import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gscodec_tools.as_gsenc import as_gsenc
from gscodec_tools.commands import CommandFailedError, CommandTimeoutError, Finished
from gscodec_tools.peer_tools import FOLDER
from gscodec_tools.rd.codecs import CodecOptions, Point, all_codecs
from gscodec_tools.rd.match import match_size
from gscodec_tools.rd.measure import measure, measuring
from gscodec_tools.rd.rows import Row, new_row, picture_name, row_key
from gscodec_tools.rd.scenes import Scene

from gscodec.errors import GsbError
from gscodec.formats.ply import read_ply

MAX_MESSAGE = 2000


@dataclass(frozen=True, eq=False)
class Size:
    """Ask for the quality that gives ``target`` bytes, rather than for a point.

    ``known``: pairs of quality and bytes of this scene.
    """

    target: int
    known: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Job:
    """What to measure and how. ``version`` is of the codec, ``command`` what a user types for this row alone."""

    scene: Scene
    codec: str
    point: Point
    options: CodecOptions
    version: str | None
    limit_s: float
    pictures: bool
    jobs: int
    seed: int
    command: str
    size: Size | None = None

    @property
    def key(self) -> str:
        """Of its row."""
        return row_key(self.scene, self.codec, self.point.label, self.point.settings, self.version)

    def row(self, status: str, message: str) -> Row:
        """With nothing measured."""
        point = self.point
        run = {"jobs": self.jobs, "seed": self.seed, "command": self.command, "status": status, "message": message}
        return new_row(self.scene, self.codec, point.label, point.settings, self.version, **run)


@dataclass(frozen=True)
class Result:
    """The row, and PNGs by file name."""

    row: Row
    pictures: dict[str, bytes]


def probe(name: str, options: CodecOptions) -> tuple[str | None, str]:
    """The version of a codec where this runs; None, and why, where it is not available."""
    codec = all_codecs(options)[name]
    try:
        codec.available()
        return codec.version(), ""
    except (GsbError, CommandFailedError) as error:
        return None, str(error)[-MAX_MESSAGE:]


def run_job(job: Job) -> Result:
    """Encode, decode, measure. What goes wrong is in the row."""
    row = job.row("failed", "")
    pictures: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="gsrd_") as scratch:
        try:
            pictures = _fill(row, job, Path(scratch))
            row["status"] = "ok"
        except CommandTimeoutError:
            row |= {"status": "timeout", "message": f"more than {job.limit_s:g} seconds"}
        except (CommandFailedError, GsbError) as error:
            row["message"] = _plain(str(error), job, scratch)
        except Exception as error:  # a fault in here: the other rows go on
            row["message"] = _plain(f"{type(error).__name__}: {error}", job, scratch)
    return Result(row, pictures)


def _fill(row: Row, job: Job, scratch: Path) -> dict[str, bytes]:
    scene, point = job.scene, job.point
    codec = all_codecs(job.options)[job.codec]
    if job.size is not None:
        point = _at_size(row, job, job.size)
    coded, back = scratch / f"out{codec.ending}", scratch / "back.ply"
    encoded = codec.encode(Path(scene.ply), coded, point, job.limit_s)
    row |= {"encode_s": round(encoded.seconds, 3), "encode_peak_bytes": encoded.peak_bytes}
    row["encode_command"] = _shown(encoded, job, str(scratch))
    size = coded.stat().st_size
    row |= {"bytes": size, "bits_per_splat": round(8 * size / scene.splats, 3) if scene.splats else None}
    row["stream_bytes"] = codec.stream_bytes(coded)
    decoded = codec.decode(coded, back, job.limit_s)
    row |= {"decode_s": round(decoded.seconds, 3), "decode_peak_bytes": decoded.peak_bytes}
    row["decode_command"] = _shown(decoded, job, str(scratch))
    cloud = read_ply(back)
    row["decoded_splats"] = len(cloud)
    with measuring:
        values, files = measure(scene, cloud, job.pictures)
    note = values.pop("message", "")
    row |= values | {"message": "; ".join(filter(None, (row["message"], note)))}
    if not files:
        return {}
    own = picture_name(job.codec, job.point.label)
    row["picture"] = f"pictures/{scene.name}/{own}"
    return {own if name == "decoded" else f"{name}.png": data for name, data in files.items()}


def _at_size(row: Row, job: Job, size: Size) -> Point:
    """The point whose file is as large as wanted; its quality goes into the row."""
    cloud = read_ply(job.scene.ply)
    recipe = as_gsenc(cloud)

    def size_at(quality: float) -> int:
        return recipe.encode(quality)[1].bytes

    found = match_size(size_at, size.target, size.known)
    row["message"] = found.note
    row["settings"] = {"quality": found.quality, **job.point.settings}
    return Point(job.point.label, row["settings"])


def _shown(finished: Finished, job: Job, scratch: str) -> str:
    program, *words = finished.command
    return _plain(shlex.join([Path(program).name, *words]), job, scratch)


def _plain(text: str, job: Job, scratch: str) -> str:
    """Paths of this run and this machine replaced by what they stand for; only the end of a long text."""
    names = {
        f"{scratch}/": "",
        job.scene.ply: "in.ply",
        str(FOLDER): "tools/peers",
        sys.executable: "python",
        f"{Path(sys.executable).parent}/": "",
    }
    for path, name in names.items():
        text = text.replace(path, name)
    return text if len(text) <= MAX_MESSAGE else f"...{text[-MAX_MESSAGE:]}"
