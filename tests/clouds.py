"""Clouds that tests share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gscodec.cloud import ATTRIBUTES, SH_REST_COUNTS, GaussianCloud


def random_cloud(count: int, sh_degree: int, seed: int) -> GaussianCloud:
    """A cloud with the spread of a trained scene, the same for the same arguments."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, scale: float, mean: float = 0.0) -> np.ndarray:
        return (mean + scale * rng.standard_normal((count, *shape))).astype(np.float32)

    return GaussianCloud(
        positions=normal(3, scale=2.0),
        log_scales=normal(3, scale=1.0, mean=-4.0),
        quats_wxyz=normal(4, scale=1.0),
        opacity_logits=normal(scale=2.0),
        sh_dc=normal(3, scale=1.0),
        sh_rest=normal(SH_REST_COUNTS[sh_degree], 3, scale=0.1),
    )


def assert_same_arrays(found: GaussianCloud, expected: GaussianCloud) -> None:
    """Bit-equal standard attributes and extras; meta is not compared."""
    for name in ATTRIBUTES:
        assert getattr(found, name).shape == getattr(expected, name).shape, name
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes(), name
    assert list(found.extras) == list(expected.extras)
    for name, values in expected.extras.items():
        assert found.extras[name].dtype == values.dtype, name
        assert found.extras[name].tobytes() == values.tobytes(), name


def shared_folder() -> Path:
    """Where real scenes and samples lie: $GSCODEC_SHARED, else the folder `shared` beside the repository."""
    return Path(os.environ.get("GSCODEC_SHARED") or Path(__file__).parents[2] / "shared")


def shared_files(pattern: str) -> list[Path]:
    """The real files that match a glob below the shared folder; empty where it is absent."""
    return sorted(shared_folder().glob(pattern))
