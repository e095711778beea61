from __future__ import annotations

from pathlib import Path

import pytest
from clouds import shared_files, shared_folder


@pytest.fixture
def scene_plys() -> list[Path]:
    """The trained scenes' point_cloud.ply files; skips where there are none."""
    return _found("scenes/*/point_cloud.ply")


@pytest.fixture
def sample_plys() -> list[Path]:
    """The plain PLY files among the samples of other formats; skips where there are none."""
    return [path for path in _found("samples/*.ply") if not path.name.endswith(".compressed.ply")]


@pytest.fixture
def compressed_plys() -> list[Path]:
    """PlayCanvas compressed PLY files; skips where there are none."""
    return _found("samples/*.compressed.ply")


def _found(pattern: str) -> list[Path]:
    files = shared_files(pattern)
    if not files:
        pytest.skip(f"no {pattern} below {shared_folder()}; set GSCODEC_SHARED to the folder of real scenes")
    return files
