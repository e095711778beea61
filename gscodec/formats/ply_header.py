"""The header of a PLY file: text to PlyHeader and back.

Source: Greg Turk, "The PLY Polygon File Format" (1994), with the type names that later writers use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gscodec.errors import BadInputError

MAX_HEADER_BYTES = 1 << 20
FORMATS = ("binary_little_endian", "binary_big_endian", "ascii")

# PLY type name -> numpy kind and width; the first name of each type is the one that is written
TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
TYPE_NAMES = {code: name for name, code in reversed(TYPES.items())}

_END = re.compile(rb"\nend_header\r?\n")
_NOT_PLAIN_COMMENT = re.compile(r"(obj_info|comment)(\s|$)")


@dataclass(frozen=True)
class PlyElement:
    """One element: its properties in file order as (name, numpy type code); lists have the code 'list'."""

    name: str
    count: int
    properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PlyHeader:
    """``size`` is the offset of the first data byte; ``comments`` as in CloudMeta."""

    ply_format: str
    comments: tuple[str, ...]
    elements: tuple[PlyElement, ...]
    size: int


def parse_header(data: bytes, file_size: int) -> PlyHeader:
    """Parse the header from the first ``MAX_HEADER_BYTES`` of a file of ``file_size`` bytes.

    Raises BadInputError for anything that is not a complete, well-formed PLY header.
    """
    if not data.startswith((b"ply\n", b"ply\r\n")):
        raise BadInputError("not a PLY file", field="magic", found=data[:4], allowed=b"ply\n", offset=0)
    end = _END.search(data)
    if end is None:
        if file_size > MAX_HEADER_BYTES:
            raise BadInputError("no end_header in reach", field="header bytes", found=file_size,
                                allowed=f"at most {MAX_HEADER_BYTES}")  # fmt: skip
        raise BadInputError("PLY header without end", field="header", found="end of file",
                            allowed="a line end_header", offset=file_size)  # fmt: skip
    ply_format = ""
    comments: list[str] = []
    counts: dict[str, int] = {}
    properties: dict[str, dict[str, str]] = {}  # element name -> property name -> type code
    offset = 0
    for raw in data[: end.start() + 1].split(b"\n")[:-1]:
        line = _decode(raw.removesuffix(b"\r"))
        words = line.split()
        keyword = words[0] if words else ""
        if offset == 0 or keyword == "":
            pass  # the magic, checked above; blank lines say nothing
        elif keyword in ("comment", "obj_info"):
            comments.append(_comment_from_line(line))
        elif keyword == "format" and len(words) == 3 and not ply_format:
            if words[1] not in FORMATS or words[2] != "1.0":
                raise BadInputError("unknown PLY format", field="format", found=" ".join(words[1:]),
                                    allowed=f"{', '.join(FORMATS)}; 1.0", offset=offset)  # fmt: skip
            ply_format = words[1]
        elif keyword == "element" and len(words) == 3:
            element = words[1]
            counts[element] = _count(words, counts, offset)
            properties[element] = {}
        elif keyword == "property" and counts:
            name, code = _property(words, properties[element], element, offset)
            properties[element][name] = code
        else:
            raise BadInputError("malformed PLY header line", field="header", found=line[:80],
                                allowed="format, comment, obj_info, element, property", offset=offset)  # fmt: skip
        offset += len(raw) + 1
    if not ply_format:
        raise BadInputError("PLY header without format", field="format", found="nothing", allowed=FORMATS)
    elements = tuple(PlyElement(name, count, tuple(properties[name].items())) for name, count in counts.items())
    return PlyHeader(ply_format, tuple(comments), elements, end.end())


def format_header(header: PlyHeader) -> bytes:
    """The header's bytes in the usual form (``size`` is not used): format, comments, elements."""
    lines = ["ply", f"format {header.ply_format} 1.0"]
    lines += [_line_from_comment(text) for text in header.comments]
    for element in header.elements:
        lines.append(f"element {element.name} {element.count}")
        lines += [f"property {TYPE_NAMES[code]} {name}" for name, code in element.properties]
    try:
        return "\n".join([*lines, "end_header", ""]).encode()
    except UnicodeEncodeError as error:
        raise BadInputError("not text", field="PLY header", found=ascii(error.object[error.start : error.end]),
                            allowed="Unicode characters") from error  # fmt: skip


def _comment_from_line(line: str) -> str:
    # Only "comment " plus text is shortened to the text. Whatever would not come back from that alone
    # (obj_info, a bare or tabbed keyword, a text that looks like a whole line) is kept as the whole line.
    text = line.removeprefix("comment ")
    plain = text != line and text != "" and not _NOT_PLAIN_COMMENT.match(text)
    return text if plain else line


def _line_from_comment(text: str) -> str:
    if "\n" in text or text.endswith("\r"):
        raise BadInputError("a PLY comment is one line", field="comments", found=repr(text[:80]), allowed="one line")
    return text if _NOT_PLAIN_COMMENT.match(text) else f"comment {text}"


def _count(words: list[str], seen: dict[str, int], offset: int) -> int:
    _, name, count = words
    if not (count.isascii() and count.isdigit() and len(count) <= 18):
        raise BadInputError("bad element count", field=f"element {name}", found=count[:40],
                            allowed="a whole number from 0", offset=offset)  # fmt: skip
    if name in seen:
        raise BadInputError("duplicated element", field="element", found=name, allowed="each once", offset=offset)
    return int(count)


def _property(words: list[str], seen: dict[str, str], element: str, offset: int) -> tuple[str, str]:
    is_list = len(words) == 5 and words[1] == "list"
    if not is_list and len(words) != 3:
        raise BadInputError("malformed property", field=f"element {element}", found=" ".join(words)[:80],
                            allowed="property <type> <name>", offset=offset)  # fmt: skip
    name = words[-1]
    for kind in words[2:4] if is_list else words[1:2]:
        if kind not in TYPES:
            raise BadInputError("unknown property type", field=f"property {name}", found=kind[:40],
                                allowed=", ".join(TYPES), offset=offset)  # fmt: skip
    if name in seen:
        raise BadInputError("duplicated property", field=f"element {element}", found=name, allowed="each once",
                            offset=offset)  # fmt: skip
    return name, "list" if is_list else TYPES[words[1]]


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")  # every byte has a meaning there; written back as UTF-8
