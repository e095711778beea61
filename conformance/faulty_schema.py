"""Faults in the SCHEMA of a lossless file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import zstandard

from bitstream_spec.layout import Coder, StreamKind
from conformance.cases import Case
from conformance.faulty_base import CORRUPT, fault
from conformance.faulty_lossless import parts
from gscodec.entropy.bytes import decompress

SCHEMA = StreamKind.SCHEMA


def schema_cases() -> Iterator[Case]:
    """SCHEMA that is not what it must be."""
    stream = parts().find(SCHEMA)
    text = decompress(stream.coder, stream.payload, stream.raw_length, stream.raw_length)

    def edited(**members: Any) -> bytes:
        fields = json.loads(text) | members
        return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()

    types = [["nx", "f4"], ["ny", "f4"], ["nz", "f4"], ["extra_i2", "i2"], ["label", "i4"]]
    wrong: tuple[tuple[str, str, bytes], ...] = (
        ("empty", "SCHEMA of no bytes.", b""),
        ("not-json", "SCHEMA is not JSON.", text[:-1]),
        ("array", "SCHEMA is a JSON array.", b"[]"),
        ("nan", "SCHEMA is NaN.", b"NaN"),
        ("not-ascii", "SCHEMA with a byte above 127.", text.replace(b"label", b"lab\xc3\xa9l")),
        ("member-missing", "SCHEMA without comments.", edited(comments=None)),
        ("member-more", "SCHEMA with a further member.", edited(more=1)),
        ("member-twice", "SCHEMA with comments twice.", text[:-1] + b',"comments":[]}'),
        ("extras-object", "extras is an object.", edited(extras={})),
        ("extras-type", "An extra of type f2.", edited(extras=[*types[:3], ["extra_i2", "f2"], types[4]])),
        (
            "extras-type-list",
            "An extra whose type is a list.",
            edited(extras=[*types[:3], ["extra_i2", ["i2"]], types[4]]),
        ),
        ("extras-name", "An extra whose name has a space.", edited(extras=[*types[:4], ["la bel", "i4"]])),
        ("extras-name-empty", "An extra without a name.", edited(extras=[*types[:4], ["", "i4"]])),
        ("extras-twice", "Two extras of one name.", edited(extras=[*types[:4], ["nx", "i4"]])),
        ("extras-fewer", "An extra fewer than EXTRAS has.", edited(extras=types[:4])),
        ("extras-more", "An extra more than EXTRAS has.", edited(extras=[*types, ["more", "u1"]])),
        ("extras-many", "A million extras.", edited(extras=[["a", "u1"]] * 100_000)),
        ("comment-number", "A comment is a number.", edited(comments=[1])),
        ("comment-line-end", "A comment with a line end.", edited(comments=["a\nend_header"])),
        ("comment-surrogate", "A comment with half of a surrogate pair.", edited(comments=["\ud800"])),
        ("order-twice", "property_order names x twice.", edited(property_order=["x", "x"])),
        ("order-number", "property_order holds a number.", edited(property_order=[1])),
        ("format", "ply_format is not known.", edited(ply_format="binary_middle_endian")),
        ("format-number", "ply_format is a number.", edited(ply_format=1)),
        ("nested", "SCHEMA of a hundred thousand brackets.", b"[" * 100_000),
    )
    for name, sentence, raw in wrong:
        yield fault(f"schema-{name}", sentence, CORRUPT, "", lambda r=raw: with_schema(r))


def with_schema(raw: bytes) -> bytes:
    """Another SCHEMA, packed."""
    if len(raw) < 1000:
        return parts().put(SCHEMA, None, raw, coder=Coder.RAW).file()
    packed = zstandard.ZstdCompressor(level=19).compress(raw)
    return parts().put(SCHEMA, None, packed, coder=Coder.ZSTD, raw_length=len(raw)).file()
