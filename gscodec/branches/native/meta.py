"""The META stream of the native branch: what the source file said in words. Ancillary: a reader may skip it."""

from __future__ import annotations

import json
from typing import NoReturn

from bitstream_spec.layout import Coder, RenderMode, StreamKind
from gscodec.bitstream.entries import Header, Stream
from gscodec.cloud import CloudMeta
from gscodec.entropy.bytes import compress, decompress
from gscodec.errors import BadInputError, CorruptStreamError

MAX_BYTES = 16 << 20


def pack_meta(meta: CloudMeta) -> Stream:
    """The stream: a JSON object with the list "comments". Raises BadInputError for what no decoder would take."""
    for line in meta.comments:
        if not _is_line(line):
            raise BadInputError("not one line of text", field="comments", found=ascii(line)[:80])
    text = json.dumps({"comments": list(meta.comments)}, ensure_ascii=False).encode()
    if len(text) > MAX_BYTES:
        raise BadInputError("too much text", field="comments", found=len(text), allowed=f"<= {MAX_BYTES} bytes")
    coder, payload = compress(text)
    return Stream(StreamKind.META, Coder(coder), payload, len(text), critical=False)


def unpack_meta(stream: Stream | None, header: Header) -> CloudMeta:
    """Inverse of ``pack_meta``; render mode and frame are the header's. Raises CorruptStreamError."""
    comments: tuple[str, ...] = ()
    if stream is not None:
        text = decompress(stream.coder, stream.payload, stream.raw_length, MAX_BYTES)
        try:
            found = json.loads(text.decode(), parse_constant=_refuse).get("comments", [])
            good = isinstance(found, list) and all(map(_is_line, found))
        except (ValueError, AttributeError, RecursionError):
            good = False
        if not good:
            raise CorruptStreamError("not a JSON object with a list of one-line comments", field="META")
        comments = tuple(found)
    return CloudMeta(
        coordinate_frame=header.coordinate_frame.name.lower(),
        render_mode=RenderMode(header.render_mode).name.lower(),
        comments=comments,
    )


def _refuse(name: str) -> NoReturn:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(name)


def _is_line(value: object) -> bool:
    """Whether this is a text of one line that UTF-8 can hold (json lets halves of surrogate pairs pass)."""
    return isinstance(value, str) and not any(c in "\n\r" or "\ud800" <= c <= "\udfff" for c in value)
