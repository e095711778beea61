"""The README says what results/ says, and its Python example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clouds import random_cloud
from gscodec_tools.readme_results import main

from gscodec import read_ply, write_ply

README = Path(__file__).parent.parent / "README.md"


def test_numbers_are_those_of_results() -> None:
    assert main(["--check"]) == 0


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_ply("scene.ply", random_cloud(50, 3, seed=1))
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)

    exec(compile(example, "README.md", "exec"), {})

    assert len(read_ply("back.ply")) == 50
