"""Results that are not as agreed are refused, and it is said where."""

from pathlib import Path
from typing import Any

import pytest
from gscodec_tools.report.rows import load_results
from report_results import row, scene_rows, write_results

from gscodec.errors import BadInputError

CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"psnr_renders": "high"}, r"rd/0\.json: row 1: psnr_renders"),
    ({"bytes": None}, r"rd/0\.json: row 1: bytes"),
    ({"bytes": True}, r"rd/0\.json: row 1: bytes"),
    ({"status": "great"}, r"rd/0\.json: row 1: status"),
    ({"scene": "other"}, r"rd/0\.json: scene"),
    ({"key": "gscodec|q15|garden"}, r"rd/0\.json: key"),
    ({"views": []}, r"rd/0\.json: row 1: views"),
    ({"stream_bytes": {"positions": "many"}}, r"rd/0\.json: row 1: stream_bytes"),
    ({"splats": 0}, r"rd/0\.json: row 1: splats"),
]


@pytest.mark.parametrize(("change", "where"), CHANGES, ids=lambda value: str(value)[:40])
def test_wrong_fields_are_named(tmp_path: Path, change: dict[str, Any], where: str) -> None:
    rows = scene_rows("garden")
    rows[1] = rows[1] | change
    with pytest.raises(BadInputError, match=where):
        load_results(write_results(tmp_path, {"garden": rows}))


@pytest.mark.parametrize("field", sorted(row("x", "naive", "", 1, 1.0)))
def test_missing_fields_are_named(tmp_path: Path, field: str) -> None:
    rows = scene_rows("garden")
    del rows[2][field]
    with pytest.raises(BadInputError, match=rf"rd/0\.json: row 2: {field}"):
        load_results(write_results(tmp_path, {"garden": rows}))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "scene": "a", "rows": []}', '{"format": NaN}', "[" * 99999]
)
def test_files_that_are_no_results_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "rd").mkdir()
    (tmp_path / "rd" / "a.json").write_text(text)
    with pytest.raises(BadInputError, match=r"rd/a\.json"):
        load_results(tmp_path)


def test_one_scene_in_two_files_is_refused(tmp_path: Path) -> None:
    write_results(tmp_path, {"garden": scene_rows("garden")})
    (tmp_path / "rd" / "again.json").write_bytes((tmp_path / "rd" / "0.json").read_bytes())
    with pytest.raises(BadInputError, match="two files of one scene"):
        load_results(tmp_path)
