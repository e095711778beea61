"""Plain 3DGS PLY files: read_ply and write_ply.

Source of the property names and their order: the reference trainer's output (Kerbl et al. 2023), as
gsplat, Brush, Postshot and splat-transform write it. SH beyond DC is channel-major in the file,
f_rest[c*K + k], and [N, K, 3] here.
"""

from __future__ import annotations

import mmap
import os
import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import SH_REST_COUNTS, CloudMeta, GaussianCloud, empty_cloud
from gscodec.errors import BadInputError
from gscodec.formats.ply_ascii import ascii_blocks
from gscodec.formats.ply_header import MAX_HEADER_BYTES, TYPE_NAMES, PlyElement, PlyHeader, format_header, parse_header

Buffer = bytes | mmap.mmap
# Properties of one type side by side in the file: the type, where in a row they begin, and a view [N,w] of the cloud.
Strips = list[tuple[np.dtype[Any], int, npt.NDArray[Any]]]

_FIXED = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2",
          "rot_0", "rot_1", "rot_2", "rot_3")  # fmt: skip
_REST_COUNTS = tuple(3 * k for k in SH_REST_COUNTS)
_REST_NAME = re.compile(r"f_rest_(0|[1-9]\d*)")
_ANTIALIASED = re.compile(r"\s*(splatrendermode\s*:\s*mip|antialiased\s*:?\s*1)\s*", re.IGNORECASE)
_ANTIALIASED_COMMENT = "SplatRenderMode: mip"

_COPY_ROWS = 2048  # rows whose file bytes and arrays stay in the level 2 cache while they are transposed
_CHUNK_ROWS = 65536  # rows that a thread reads before it lets go of them


def read_ply(path: str | Path) -> GaussianCloud:
    """Read a plain 3DGS PLY: ASCII or binary, any property order, SH degree 0..4.

    Standard properties of another type become float32 (``meta.converted`` names them; values beyond its range become
    infinite, which ``sanitise`` finds); every other scalar property goes to ``extras`` in its own type.
    Raises BadInputError naming field, found and allowed.
    """
    data = _map(Path(path))
    try:
        return parse_ply(data)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error.message}", field=error.field, found=error.found, allowed=error.allowed,
                            offset=error.offset) from error  # fmt: skip


def write_ply(path: str | Path, cloud: GaussianCloud, *, force: bool = False) -> None:
    """Write a cloud as binary PLY, atomically; ``force`` overwrites.

    Property order and endianness are the source's where it had them (see ``ply_chunks``).
    Raises BadInputError for a cloud that PLY cannot hold, OutputError if the file cannot be written.
    """
    atomic_write(Path(path), ply_chunks(cloud), force=force)


def parse_ply(data: Buffer) -> GaussianCloud:
    """Read a PLY from memory; see ``read_ply``."""
    header = parse_header(data[:MAX_HEADER_BYTES], len(data))
    vertex = _vertex_of(header)
    rest_count = _check_names(vertex)
    _check_size(header, vertex, len(data))
    cloud = replace(
        empty_cloud(vertex.count, _REST_COUNTS.index(rest_count), _meta_of(header, vertex)),
        extras=MappingProxyType(
            {name: np.empty(vertex.count, code) for name, code in vertex.properties if not is_standard(name)}
        ),
    )
    dtype = _row_dtype(vertex, header.ply_format)
    strips = _strips(cloud, dtype)
    if header.ply_format == "ascii":
        first = 0
        for rows in ascii_blocks(data, header.size, vertex.count, dtype):
            _copy_in(strips, rows, first)
            first += len(rows)
    elif vertex.count:
        rows = np.frombuffer(data, dtype, vertex.count, header.size)

        def copy(first: int) -> None:
            _copy_in(strips, rows[first : first + _CHUNK_ROWS], first)
            _forget(data, header.size + first * rows.itemsize, min(len(rows) - first, _CHUNK_ROWS) * rows.itemsize)

        starts = range(0, len(rows), _CHUNK_ROWS)
        if len(starts) == 1:  # nothing to gain, and a thread more than a caller may have room for
            copy(0)
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                deque(pool.map(copy, starts), 0)
    return cloud


def ply_chunks(cloud: GaussianCloud) -> Iterator[bytes]:
    """The bytes of the cloud's PLY file, in chunks of bounded size; binary, little endian unless the source was big.

    Properties come in ``meta.property_order`` if it names exactly the cloud's properties, else in the
    reference trainer's order with normals after the position and other extras at the end.
    Raises BadInputError before the first chunk for extras that PLY cannot hold.
    """
    return ply_chunks_of(cloud, len(cloud), [cloud])


def ply_chunks_of(pattern: GaussianCloud, count: int, parts: Iterable[GaussianCloud]) -> Generator[bytes, None, None]:
    """As ``ply_chunks``, of a cloud that comes in ``parts``, one after the other, ``count`` splats in all.

    ``pattern``, of any length, says what all parts have in common: meta, SH degree, extras.
    """
    vertex = PlyElement("vertex", count, tuple(_properties(pattern)))
    meta = pattern.meta
    ply_format = meta.ply_format if meta.ply_format == "binary_big_endian" else "binary_little_endian"
    header = format_header(PlyHeader(ply_format, _comments(meta), (vertex,), 0))
    return _chunks(header, parts, _row_dtype(vertex, ply_format))


def is_standard(name: str) -> bool:
    """Whether a PLY property is part of GaussianCloud itself rather than of its extras."""
    return name in _FIXED or _REST_NAME.fullmatch(name) is not None


def _map(path: Path) -> Buffer:
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return b""  # which cannot be mapped
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise BadInputError(
            f"cannot read: {error}", field="path", found=str(path), allowed="a readable file"
        ) from error


def _chunks(header: bytes, parts: Iterable[GaussianCloud], dtype: np.dtype[Any]) -> Generator[bytes, None, None]:
    yield header
    for part in parts:
        strips = _strips(part, dtype)
        for first in range(0, len(part), _COPY_ROWS):
            rows = np.empty(min(_COPY_ROWS, len(part) - first), dtype)
            for field, offset, values in strips:
                _strip(rows, field, offset, values)[:] = values[first : first + len(rows)]
            yield rows.tobytes()


def _copy_in(strips: Strips, rows: npt.NDArray[Any], first: int) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(rows), _COPY_ROWS):
            block = rows[start : start + _COPY_ROWS]
            for field, offset, values in strips:
                values[first + start : first + start + len(block)] = _strip(block, field, offset, values)


def _forget(data: Buffer, start: int, size: int) -> None:
    """Let go of pages of a mapped file: else they count as memory of this process. They can be read again."""
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        page = start // mmap.PAGESIZE * mmap.PAGESIZE
        data.madvise(mmap.MADV_DONTNEED, page, start + size - page)


def _strips(cloud: GaussianCloud, dtype: np.dtype[Any]) -> Strips:
    """What rows of a file read into or are written from, as few views as the order of its properties allows."""
    k = cloud.sh_rest.shape[1]
    groups = [
        ([*"xyz"], cloud.positions),
        ([f"f_dc_{i}" for i in range(3)], cloud.sh_dc),
        *(([f"f_rest_{c * k + i}" for i in range(k)], cloud.sh_rest[:, :, c]) for c in range(3) if k),
        (["opacity"], cloud.opacity_logits[:, None]),
        ([f"scale_{i}" for i in range(3)], cloud.log_scales),
        ([f"rot_{i}" for i in range(4)], cloud.quats_wxyz),
        *(([name], values[:, None]) for name, values in cloud.extras.items()),
    ]
    strips: Strips = []
    for names, values in groups:
        fields = [dtype.fields[name][:2] for name in names] if dtype.fields else []
        field, offset = fields[0]
        if fields == [(field, offset + i * field.itemsize) for i in range(len(fields))]:
            strips.append((field, offset, values))
        else:
            strips += [(*own, values[:, i : i + 1]) for i, own in enumerate(fields)]
    return strips


def _strip(rows: npt.NDArray[Any], field: np.dtype[Any], offset: int, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The properties from ``offset`` on, as many as ``values`` has columns, as a view of ``rows`` of a file."""
    return np.ndarray((len(rows), values.shape[1]), field, rows, offset, (rows.itemsize, field.itemsize))


def _row_dtype(vertex: PlyElement, ply_format: str) -> np.dtype[Any]:
    order = ">" if ply_format == "binary_big_endian" else "<"
    return np.dtype([(name, order + code) for name, code in vertex.properties])


def _vertex_of(header: PlyHeader) -> PlyElement:
    by_name = {element.name: element for element in header.elements}
    vertex = by_name.get("vertex")
    if vertex is None:
        raise BadInputError("PLY without vertices", field="element", found=", ".join(by_name)[:200] or "none",
                            allowed="vertex")  # fmt: skip
    if "chunk" in by_name and any(name == "packed_position" for name, _ in vertex.properties):
        raise BadInputError("a PlayCanvas compressed PLY; convert it to a plain PLY first (for example with "
                            "splat-transform)", field="vertex property", found="packed_position",
                            allowed="x, y, z, ...")  # fmt: skip
    for element in header.elements:
        if element is not vertex and element.count:
            raise BadInputError("an element beside vertex would be lost", field=f"element {element.name}",
                                found=element.count, allowed=0)  # fmt: skip
    return vertex


def _check_names(vertex: PlyElement) -> int:
    """Check the vertex properties; return the number of f_rest properties."""
    names = {name for name, _ in vertex.properties}
    for name, code in vertex.properties:
        if code == "list":
            raise BadInputError("list property in vertex", field=f"property {name}", found="list", allowed="scalars")
    missing = [name for name in _FIXED if name not in names]
    if missing:
        raise BadInputError("not a 3DGS PLY: missing property", field="vertex", found=f"no {', '.join(missing)}",
                            allowed=", ".join(_FIXED))  # fmt: skip
    rest = {name for name in names if _REST_NAME.fullmatch(name)}
    if len(rest) not in _REST_COUNTS:
        raise BadInputError("no SH degree has this many coefficients", field="number of f_rest", found=len(rest),
                            allowed=_REST_COUNTS)  # fmt: skip
    for i in range(len(rest)):
        if f"f_rest_{i}" not in rest:
            raise BadInputError("missing property", field="vertex", found=f"no f_rest_{i}",
                                allowed=f"f_rest_0 to f_rest_{len(rest) - 1}")  # fmt: skip
    return len(rest)


def _check_size(header: PlyHeader, vertex: PlyElement, found: int) -> None:
    """Compare the file size with the header before anything is allocated."""
    if header.ply_format == "ascii":  # a digit and a separator per value; the last separator may be missing
        needed = header.size + max(0, vertex.count * 2 * len(vertex.properties) - 1)
        if found < needed:
            raise BadInputError("truncated PLY data", field="file bytes", found=found, allowed=f"at least {needed}")
        return
    needed = header.size + vertex.count * sum(int(code[1]) for _, code in vertex.properties)
    if found < needed:
        raise BadInputError("truncated PLY data", field="file bytes", found=found, allowed=needed)
    if found > needed:
        raise BadInputError("trailing bytes after the PLY data", field="file bytes", found=found, allowed=needed,
                            offset=needed)  # fmt: skip


def _meta_of(header: PlyHeader, vertex: PlyElement) -> CloudMeta:
    return CloudMeta(
        render_mode="antialiased" if any(map(_ANTIALIASED.fullmatch, header.comments)) else "classic",
        comments=header.comments,
        property_order=tuple(name for name, _ in vertex.properties),
        ply_format=header.ply_format,
        converted=tuple(name for name, code in vertex.properties if is_standard(name) and code != "f4"),
    )


def _comments(meta: CloudMeta) -> tuple[str, ...]:
    said = tuple(text for text in meta.comments if _ANTIALIASED.fullmatch(text))
    if meta.render_mode == "antialiased":
        return meta.comments if said else (*meta.comments, _ANTIALIASED_COMMENT)
    return tuple(text for text in meta.comments if text not in said)  # a stale one would turn the mode on again


def _properties(cloud: GaussianCloud) -> list[tuple[str, str]]:
    extras = cloud.extras
    for name, values in extras.items():
        if values.dtype.str[1:] not in TYPE_NAMES:
            raise BadInputError("no PLY type for this", field=f"extras[{name}]", found=values.dtype,
                                allowed=", ".join(TYPE_NAMES))  # fmt: skip
        if is_standard(name) or name.split() != [name]:
            raise BadInputError("not a name for an extra property", field="extras", found=repr(name),
                                allowed="a word that is no standard property")  # fmt: skip
    names = _usual_order(3 * cloud.sh_rest.shape[1], extras)
    if sorted(cloud.meta.property_order) == sorted(names):
        names = list(cloud.meta.property_order)
    return [(name, extras[name].dtype.str[1:] if name in extras else "f4") for name in names]


def _usual_order(rest_count: int, extras: Mapping[str, Any]) -> list[str]:
    normals = [name for name in ("nx", "ny", "nz") if name in extras]
    rest = [f"f_rest_{i}" for i in range(rest_count)]
    others = [name for name in extras if name not in normals]
    return [*_FIXED[:3], *normals, *_FIXED[3:6], *rest, *_FIXED[6:], *others]
