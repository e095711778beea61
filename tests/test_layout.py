"""layout.py as data, and FORMAT.md against it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bitstream_spec
from bitstream_spec.layout import HEADER, LAYOUTS, MAGIC, PREFIX, REGISTRIES, TILE_RECORD, TOC_ENTRY, VERSION, Layout

FORMAT = (Path(bitstream_spec.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")


def table_under(heading: str) -> list[list[str]]:
    """Cells of the first table under a heading, without its two head lines."""
    assert f"# {heading}\n" in FORMAT, f"FORMAT.md has no section {heading}"
    section = re.split(r"^#+ ", FORMAT.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_format_tables_equal_layout(layout: Layout) -> None:
    expected = [
        [str(layout.offsets[field.name]), field.name, field.type_name, field.allowed_text, field.meaning]
        for field in layout.fields
    ]
    assert table_under(layout.name) == expected


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.__name__)
def test_format_registries_equal_layout(registry: type) -> None:
    assert [row[:2] for row in table_under(registry.__name__)] == [[str(int(m)), m.name] for m in registry]


def test_format_names_the_version() -> None:
    assert FORMAT.startswith("# The .gsb file format, version {}.{}\n".format(*VERSION))


def test_sizes_never_change() -> None:
    assert [layout.size for layout in (PREFIX, HEADER, TOC_ENTRY, TILE_RECORD)] == [24, 24, 40, 32]
    assert (PREFIX.offsets["file_bytes"], HEADER.offsets["splat_count"], TOC_ENTRY.offsets["crc32"]) == (16, 8, 32)


def test_prefix_bytes() -> None:
    values = {"magic": MAGIC, "version_major": 0, "version_minor": 6, "header_bytes": 52, "file_bytes": 258}
    expected = bytes.fromhex("89475342 0d0a1a0a 0000 0600 34000000 0201000000000000")
    assert PREFIX.pack(values) == expected
    assert PREFIX.unpack(expected) == values


def test_unpack_at_an_offset_gives_tuples() -> None:
    values = {"splat_count": 7, "reserved": 0, "min": (-1.0, 0.5, 2.0), "max": (1.0, 0.75, 4.0)}
    assert TILE_RECORD.unpack(b"xyz" + TILE_RECORD.pack(values), 3) == values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"splat_count": 0}, "splat_count is 0, allowed 1..4294967295"),
        ({"splat_count": 2**32}, "splat_count is 4294967296"),
        ({"reserved": 1}, "reserved is 1, allowed 0"),
        ({"min": (0.0, 0.0)}, "min has 2 values, allowed 3"),
        ({"min": (1e300, 0.0, 0.0)}, "TILE_RECORD"),
        ({"max": ("a", 0.0, 0.0)}, "TILE_RECORD"),
        ({"surplus": 1}, "has the fields"),
    ],
)
def test_pack_refuses(change: dict[str, object], message: str) -> None:
    values = {"splat_count": 7, "reserved": 0, "min": (0.0,) * 3, "max": (1.0,) * 3}
    with pytest.raises(ValueError, match=re.escape(message)):
        TILE_RECORD.pack({**values, **change})


@pytest.mark.parametrize("offset", [-1, 1, 1000])
def test_unpack_refuses_to_run_over_the_end(offset: int) -> None:
    with pytest.raises(ValueError, match="PREFIX needs 24 bytes"):
        PREFIX.unpack(bytes(24), offset)


def test_first_fault_names_the_field() -> None:
    values = HEADER.unpack(bytes(24))
    fault = HEADER.first_fault(values)
    assert fault is not None
    assert (fault.name, fault.allowed_text) == ("branch", "1 NATIVE, 2 LOSSLESS")
    assert HEADER.first_fault({**values, "branch": 2}) is None


@pytest.mark.parametrize(
    ("value", "permitted"), [(0, False), (1, True), (2**32 - 1, True), (2**32, False), (1.0, False)]
)
def test_wide_range_is_not_walked(value: object, permitted: bool) -> None:
    assert TILE_RECORD.fields[0].permits(value) is permitted
