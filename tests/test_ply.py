from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud
from plyfile import PlyData, PlyElement

from gscodec.cloud import SH_REST_COUNTS, GaussianCloud
from gscodec.errors import BadInputError
from gscodec.formats.ply import parse_ply, ply_chunks, read_ply, write_ply
from gscodec.formats.ply_header import MAX_HEADER_BYTES, format_header, parse_header

EXTRA_TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")
KINDS = {"binary_little_endian": (False, "<"), "binary_big_endian": (False, ">"), "ascii": (True, "=")}


def columns_of(cloud: GaussianCloud) -> dict[str, np.ndarray]:
    """Name to column, in the reference trainer's order: written apart from the product's own table."""
    columns = dict(zip("xyz", cloud.positions.T, strict=True))
    columns |= {name: cloud.extras[name] for name in ("nx", "ny", "nz") if name in cloud.extras}
    columns |= {f"f_dc_{c}": cloud.sh_dc[:, c] for c in range(3)}
    count = cloud.sh_rest.shape[1]
    columns |= {f"f_rest_{c * count + k}": cloud.sh_rest[:, k, c] for c in range(3) for k in range(count)}
    columns["opacity"] = cloud.opacity_logits
    columns |= {f"scale_{i}": cloud.log_scales[:, i] for i in range(3)}
    columns |= {f"rot_{i}": cloud.quats_wxyz[:, i] for i in range(4)}
    return columns | {name: values for name, values in cloud.extras.items() if name not in columns}


def with_extras(cloud: GaussianCloud, normals: bool = False, seed: int = 7) -> GaussianCloud:
    rng = np.random.default_rng(seed)
    extras = {}
    if normals:
        extras |= {name: rng.standard_normal(len(cloud)).astype(np.float32) for name in ("nx", "ny", "nz")}
    for code in EXTRA_TYPES:
        values = rng.integers(-100, 100, len(cloud)) if code[0] == "i" else rng.integers(0, 200, len(cloud))
        extras[f"extra_{code}"] = (values * np.pi if code[0] == "f" else values).astype(code)
    return replace(cloud, extras=extras)


def oracle_write(path: Path, columns: dict[str, np.ndarray], kind: str, comments: tuple[str, ...] = ()) -> None:
    rows = np.empty(len(columns["x"]), [(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        rows[name] = values
    text, order = KINDS[kind]
    element = PlyElement.describe(rows, "vertex")
    PlyData([element], text=text, byte_order=order, comments=list(comments)).write(path)


def plain(count: int = 3, degree: int = 1) -> bytes:
    return b"".join(ply_chunks(random_cloud(count, degree, 0)))


def edited(old: bytes, new: bytes, data: bytes | None = None) -> bytes:
    data = plain() if data is None else data
    assert old in data
    return data.replace(old, new, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", range(5))
@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_reads_what_plyfile_writes(tmp_path: Path, kind: str, degree: int, count: int) -> None:
    cloud = with_extras(random_cloud(count, degree, degree), normals=degree % 2 == 1)
    columns = columns_of(cloud)
    order = [str(name) for name in np.random.default_rng(count).permutation(list(columns))]
    path = tmp_path / "scene.ply"
    if kind == "ascii" and count == 0:
        path.write_bytes(edited(b"binary_little_endian", b"ascii", b"".join(ply_chunks(cloud))))
        order = list(columns)
    else:
        oracle_write(path, {name: columns[name] for name in order}, kind, ("made by hand",))
    found = read_ply(path)
    assert_same_arrays(replace(found, extras={name: found.extras[name] for name in cloud.extras}), cloud)
    assert found.sh_degree == degree
    assert found.meta.property_order == tuple(order)
    assert found.meta.ply_format == kind
    assert found.meta.converted == ()


@pytest.mark.parametrize("degree", range(5))
@pytest.mark.parametrize("ply_format", ["", "binary_big_endian", "ascii"])
def test_plyfile_reads_what_is_written(tmp_path: Path, degree: int, ply_format: str) -> None:
    cloud = with_extras(random_cloud(70, degree, 1), normals=True)
    cloud = replace(cloud, meta=replace(cloud.meta, ply_format=ply_format, comments=("a b", "")))
    path = tmp_path / "scene.ply"
    path.write_bytes(b"".join(ply_chunks(cloud)))
    oracle = PlyData.read(path)
    columns = columns_of(cloud)
    assert not oracle.text
    assert oracle.byte_order == (">" if ply_format == "binary_big_endian" else "<")
    assert [prop.name for prop in oracle["vertex"].properties] == list(columns)
    for name, values in columns.items():
        found = oracle["vertex"][name]
        assert found.dtype.newbyteorder("=") == values.dtype
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("kind", ["binary_little_endian", "binary_big_endian"])
def test_binary_files_come_back_byte_for_byte(tmp_path: Path, kind: str) -> None:
    columns = columns_of(with_extras(random_cloud(100, 2, 5), normals=True))
    order = [str(name) for name in np.random.default_rng(5).permutation(list(columns))]
    path = tmp_path / "scene.ply"
    oracle_write(path, {name: columns[name] for name in order}, kind, ("first", "SplatRenderMode: mip"))
    assert b"".join(ply_chunks(read_ply(path))) == path.read_bytes()


def test_more_splats_than_one_chunk() -> None:
    cloud = random_cloud(65536 + 2049, 0, 3)
    chunks = list(ply_chunks(cloud))
    assert len(chunks) == 1 + 34
    assert_same_arrays(parse_ply(b"".join(chunks)), cloud)


def test_ascii_of_more_lines_than_one_block(tmp_path: Path) -> None:
    cloud = random_cloud(4099, 0, 3)
    oracle_write(tmp_path / "scene.ply", columns_of(cloud), "ascii")
    assert_same_arrays(read_ply(tmp_path / "scene.ply"), cloud)


def test_nan_payloads_and_negative_zero_survive() -> None:
    cloud = random_cloud(4, 1, 0)
    bits = np.array([0x7FC00001, 0x7F800001, 0xFF800000, 0x80000000], np.uint32)
    cloud.positions[:, 1] = bits.view(np.float32)
    for ply_format in ("binary_little_endian", "binary_big_endian"):
        source = replace(cloud, meta=replace(cloud.meta, ply_format=ply_format))
        assert_same_arrays(parse_ply(b"".join(ply_chunks(source))), cloud)


def test_other_types_become_float32(tmp_path: Path) -> None:
    columns = columns_of(random_cloud(5, 0, 0))
    columns["x"] = np.array([0.1, -1.0, 1e300, -1e300, np.nan], np.float64)
    columns["rot_0"] = np.arange(5, dtype=np.uint8)
    path = tmp_path / "scene.ply"
    oracle_write(path, columns, "binary_little_endian")
    found = read_ply(path)
    assert found.meta.converted == ("x", "rot_0")
    np.testing.assert_array_equal(found.positions[:, 0], np.array([0.1, -1, np.inf, -np.inf, np.nan], np.float32))
    np.testing.assert_array_equal(found.quats_wxyz[:, 0], np.arange(5, dtype=np.float32))


def test_ascii_is_read_in_any_spacing_and_case() -> None:
    source = edited(b"binary_little_endian", b"ascii", plain(0, 0)).replace(b"\n", b"\r\n")
    row = b"1 2e0 \t+3. -inf nan inf 0.5 0 0 0 1 0 0 0"
    found = parse_ply(source.replace(b"vertex 0", b"vertex 2") + b"\r\n" + row + b"\r\n\r\n" + row)
    np.testing.assert_array_equal(found.positions, np.array([[1, 2, 3], [1, 2, 3]], np.float32))
    np.testing.assert_array_equal(found.sh_dc[0], np.array([-np.inf, np.nan, np.inf], np.float32))


COMMENT_LINES = ("comment plain", "comment", "comment ", "comment   indented", "comment obj_info x", "obj_info",
                 "obj_info num_rows 3", "comment comment twice", "comment\ttab", "comment grüße")  # fmt: skip


def test_comment_lines_come_back_as_they_were() -> None:
    data = edited(b"element", "".join(f"{line}\n" for line in COMMENT_LINES).encode() + b"element")
    found = parse_ply(data)
    assert found.meta.comments[0] == "plain"
    assert found.meta.comments[6] == "obj_info num_rows 3"
    assert b"".join(ply_chunks(found)) == data


def test_comment_that_is_not_utf8_is_kept_as_text() -> None:
    assert parse_ply(edited(b"element", b"comment caf\xe9\nelement")).meta.comments == ("café",)


@pytest.mark.parametrize(
    ("comment", "mode"),
    [
        ("SplatRenderMode: mip", "antialiased"),
        ("splatrendermode: MIP", "antialiased"),
        ("antialiased 1", "antialiased"),
        ("SplatRenderMode: default", "classic"),
        ("SplatRenderMode: mipmap", "classic"),
        ("antialiased 0", "classic"),
        ("antialiased 10", "classic"),
    ],
)
def test_render_mode_comes_from_comments(comment: str, mode: str) -> None:
    data = edited(b"element", f"comment {comment}\nelement".encode())
    found = parse_ply(data)
    assert found.meta.render_mode == mode
    assert b"".join(ply_chunks(found)) == data


def test_render_mode_is_written() -> None:
    cloud = random_cloud(1, 0, 0)
    mip = replace(cloud, meta=replace(cloud.meta, render_mode="antialiased", comments=("kept",)))
    found = parse_ply(b"".join(ply_chunks(mip)))
    assert (found.meta.render_mode, found.meta.comments) == ("antialiased", ("kept", "SplatRenderMode: mip"))
    back = replace(found, meta=replace(found.meta, render_mode="classic"))
    again = parse_ply(b"".join(ply_chunks(back)))
    assert (again.meta.render_mode, again.meta.comments) == ("classic", ("kept",))


def test_property_order_that_does_not_fit_gives_the_usual_order() -> None:
    cloud = parse_ply(plain(2, 2))
    smaller = replace(cloud, sh_rest=cloud.sh_rest[:, :3])
    found = parse_ply(b"".join(ply_chunks(smaller)))
    assert found.meta.property_order == tuple(columns_of(smaller))
    assert_same_arrays(found, smaller)


def test_empty_other_elements_are_ignored() -> None:
    data = edited(b"end_header", b"element face 0\nproperty list uchar int vertex_indices\nend_header")
    data = edited(b"element vertex", b"element edge 0\nproperty int a\nelement vertex", data)
    assert_same_arrays(parse_ply(data), random_cloud(3, 1, 0))


def header_of(*lines: str) -> bytes:
    return "\n".join(["ply", *lines, "end_header", ""]).encode()


LITTLE = "format binary_little_endian 1.0"
BAD_FILES = {
    "empty": (b"", "not a PLY"),
    "another format": (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a PLY"),
    "ply is only a prefix": (b"plywood\n", "not a PLY"),
    "old Mac line ends": (plain(0).replace(b"\n", b"\r"), "not a PLY"),
    "truncated by a byte": (plain()[:-1], "truncated"),
    "truncated to the header": (plain(1, 0)[:-56], "truncated"),
    "trailing byte": (plain() + b"\0", "trailing"),
    "trailing byte after no splats": (plain(0) + b"\n", "trailing"),
    "huge count": (edited(b"vertex 3", b"vertex 4000000000"), "truncated"),
    "huge count in ASCII": (edited(b"binary_little_endian", b"ascii", edited(b"vertex 3", b"vertex 4000000000")),
                            "truncated"),
    "absurd count": (edited(b"vertex 3", b"vertex " + b"9" * 5000), "element count"),
    "negative count": (edited(b"vertex 3", b"vertex -3"), "element count"),
    "count with underscores": (edited(b"vertex 3", b"vertex 1_0"), "element count"),
    "duplicated property": (edited(b"float y", b"float x"), "duplicated property"),
    "duplicated element": (edited(b"end_header", b"element vertex 3\nend_header"), "duplicated element"),
    "missing property": (edited(b"float opacity", b"float opacitee"), "no opacity"),
    "missing SH property": (edited(b"float f_rest_8\n", b"float f_rest_9\n"), "no f_rest_8"),
    "wrong number of SH": (edited(b"property float f_rest_8\n", b""), "number of f_rest"),
    "list in vertex": (edited(b"end_header", b"property list uchar int v\nend_header"), "list property"),
    "unknown type": (edited(b"float y", b"half y"), "unknown property type"),
    "unknown list type": (edited(b"end_header", b"property list uchar half v\nend_header"), "unknown property type"),
    "property of three words": (edited(b"float y", b"float y y"), "malformed property"),
    "property before element": (header_of(LITTLE, "property float x"), "malformed PLY header line"),
    "unknown keyword": (edited(b"end_header", b"elemental\nend_header"), "malformed PLY header line"),
    "unknown format": (edited(b"little", b"middle"), "unknown PLY format"),
    "unknown version": (edited(b" 1.0", b" 2.0"), "unknown PLY format"),
    "two formats": (edited(b"element", b"format ascii 1.0\nelement"), "malformed PLY header line"),
    "no format": (header_of("element vertex 0"), "without format"),
    "no elements": (header_of(LITTLE), "without vertices"),
    "no vertex": (header_of(LITTLE, "element face 0"), "without vertices"),
    "no end": (header_of(LITTLE).replace(b"end_header\n", b""), "without end"),
    "end without line end": (header_of(LITTLE)[:-1], "without end"),
    "header too long": (b"ply\n" + b"comment x\n" * (MAX_HEADER_BYTES // 10) + plain()[4:], "no end_header in reach"),
    "other element": (edited(b"end_header", b"element face 1\nproperty int a\nend_header") + bytes(4), "would be lost"),
    "compressed": (header_of(LITTLE, "element chunk 1", "property float min_x", "element vertex 1",
                             "property uint packed_position"), "convert it to a plain PLY"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_is_a_typed_error(tmp_path: Path, name: str) -> None:
    data, expected = BAD_FILES[name]
    path = tmp_path / "bad.ply"
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=expected) as caught:
        read_ply(path)
    assert str(path) in str(caught.value)
    assert caught.value.field is not None
    assert caught.value.found is not None
    assert caught.value.allowed is not None


ASCII_EMPTY = edited(b"binary_little_endian", b"ascii", edited(b"vertex 0", b"vertex 2", plain(0, 0)))
ROW = b"1 2 3 4 5 6 7 8 9 10 11 12 13 14"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (ROW + b"\n" + ROW.replace(b"7", b"seven"), "not a number"),
        (ROW + b"\n" + ROW.replace(b"10", b"1_0"), "not a number"),
        (ROW + b"\n" + ROW.replace(b"7", b"\xff\xfe"), "not a number"),
        (ROW + b"\n" + ROW[:-3], "wrong number of values"),
        (ROW + b" 15\n" + ROW, "wrong number of values"),
        (ROW + b"\n" + b"\n" * 100, "truncated"),
        (ROW, "truncated"),
        (ROW + b"\n" + ROW + b"\n" + ROW, "trailing"),
    ],
)
def test_bad_ascii_data_is_a_typed_error(body: bytes, expected: str) -> None:
    with pytest.raises(BadInputError, match=expected):
        parse_ply(ASCII_EMPTY + body)


@pytest.mark.parametrize("value", [b"256", b"-1", b"1.5", b"nan", b"inf"])
def test_ascii_value_outside_of_its_type(value: bytes) -> None:
    source = edited(b"end_header", b"property uchar label\nend_header", ASCII_EMPTY)
    with pytest.raises(BadInputError, match="vertex 1, property label"):
        parse_ply(source + ROW + b" 255\n" + ROW + b" " + value)


def test_every_truncation_is_a_typed_error() -> None:
    data = plain(2, 0)
    for length in range(len(data)):
        with pytest.raises(BadInputError):
            parse_ply(data[:length])


def test_damaged_bytes_give_a_cloud_or_a_typed_error() -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for source in (plain(2, 0), ASCII_EMPTY + ROW + b"\n" + ROW):
        for _ in range(1000):
            data = bytearray(source)
            for at in rng.integers(0, len(data), rng.integers(1, 4)):
                data[at] = rng.integers(256)
            try:
                assert len(parse_ply(bytes(data))) <= len(data)
            except BadInputError:
                refused += 1
    assert refused > 1000


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.ply", tmp_path, Path("null\0byte.ply")):
        with pytest.raises(BadInputError, match="cannot read"):
            read_ply(path)


@pytest.mark.parametrize(
    ("name", "values"),
    [("wide", np.zeros(1, np.int64)), ("flag", np.zeros(1, bool)), ("two words", np.zeros(1, np.uint8)),
     ("", np.zeros(1, np.uint8)), ("x", np.zeros(1, np.float32)), ("f_rest_0", np.zeros(1, np.float32))],
)  # fmt: skip
def test_extras_that_ply_cannot_hold(name: str, values: np.ndarray) -> None:
    with pytest.raises(BadInputError, match="extra"):
        ply_chunks(replace(random_cloud(1, 0, 0), extras={name: values}))


@pytest.mark.parametrize("text", ["a\nelement face 1", "a\r", "\ud800"])
def test_comment_that_is_no_line_of_text_is_refused(text: str) -> None:
    cloud = random_cloud(1, 0, 0)
    with pytest.raises(BadInputError, match=r"one line|not text"):
        ply_chunks(replace(cloud, meta=replace(cloud.meta, comments=(text,))))


def test_header_comes_back() -> None:
    data = plain(3, 4)
    header = parse_header(data, len(data))
    assert data[: header.size] == format_header(header)
    assert len(header.elements[0].properties) == 14 + 3 * SH_REST_COUNTS[4]


def test_write_then_read(tmp_path: Path) -> None:
    cloud = with_extras(random_cloud(10, 3, 0))
    path = tmp_path / "scene.ply"
    write_ply(path, cloud)
    assert_same_arrays(read_ply(path), cloud)
    assert [entry.name for entry in tmp_path.iterdir()] == ["scene.ply"]


def test_real_scenes_come_back_byte_for_byte(scene_plys: list[Path]) -> None:
    for path in scene_plys:
        cloud = read_ply(path)
        assert len(cloud) > 0
        assert b"".join(ply_chunks(cloud)) == path.read_bytes()


def test_real_samples_come_back_byte_for_byte_and_agree_with_plyfile(sample_plys: list[Path]) -> None:
    for path in sample_plys:
        cloud = read_ply(path)
        oracle = PlyData.read(path)["vertex"]
        for name, values in columns_of(cloud).items():
            np.testing.assert_array_equal(oracle[name], values)
        assert b"".join(ply_chunks(cloud)) == path.read_bytes()


def test_real_compressed_ply_is_refused_by_name(compressed_plys: list[Path]) -> None:
    for path in compressed_plys:
        with pytest.raises(BadInputError, match="PlayCanvas compressed PLY"):
            read_ply(path)
