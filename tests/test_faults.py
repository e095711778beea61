"""Damaged files: each ends in a GsbError; behind the checksums in nothing worse than wrong splats within the limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from clouds import random_cloud
from damage import fault, flips, noise, repaired, same, truncations

from gscodec import EncodeConfig, GaussianCloud, decode, encode

DAMAGE = Path(__file__).with_name("damage.py")
BRANCHES = ("native", "lossless")
STEP = 11  # of the sampled flips; no multiple of 2, so that all bits of a byte have their turn


@pytest.fixture(scope="module", params=BRANCHES)
def data(request: pytest.FixtureRequest) -> bytes:
    """A file of 1 to 3 kB of each branch."""
    cloud = random_cloud(4, 1, 7)
    if request.param == "native":
        return encode(replace(cloud, meta=replace(cloud.meta, comments=("é",))))
    extras = {"label": np.arange(4, dtype=np.int16), "nx": np.zeros(4, np.float32)}
    return encode(replace(cloud, extras=MappingProxyType(extras)), EncodeConfig(lossless=True))


@pytest.fixture(scope="module")
def cloud(data: bytes) -> GaussianCloud:
    """What the file decodes to."""
    return decode(data)


@pytest.fixture
def on_disk(data: bytes, tmp_path: Path) -> Path:
    """The file, for another process."""
    path = tmp_path / "small.gsb"
    path.write_bytes(data)
    return path


def test_the_files_are_small(data: bytes) -> None:
    assert 1000 <= len(data) <= 3000


def test_every_truncation_is_refused(data: bytes) -> None:
    assert {fault(damaged, None) for damaged in truncations(data)} == {""}


def test_every_bit_flip_is_refused(data: bytes) -> None:
    assert {fault(damaged, None) for damaged in flips(data)} == {""}


def test_random_damage_is_refused(data: bytes) -> None:
    assert {fault(damaged, None) for damaged in noise(data, 500, 1) if damaged != data} == {""}


@pytest.mark.parametrize("first", [0, 1])
def test_flips_behind_the_checksums(data: bytes, first: int) -> None:
    assert {fault(damaged, None, ignore_checksums=True) for damaged in flips(data, first, 2 * STEP)} == {""}


def test_flips_with_repaired_checksums(data: bytes, cloud: GaussianCloud) -> None:
    assert {fault(repaired(damaged), cloud) for damaged in flips(data, 0, STEP)} == {""}


def test_truncations_with_repaired_checksums(data: bytes) -> None:
    assert {fault(repaired(damaged), None) for damaged in truncations(data)} == {""}


def test_random_damage_with_repaired_checksums(data: bytes, cloud: GaussianCloud) -> None:
    assert {fault(repaired(damaged), cloud) for damaged in noise(data, 500, 2)} == {""}


def test_random_damage_behind_the_checksums(data: bytes) -> None:
    assert {fault(damaged, None, ignore_checksums=True) for damaged in noise(data, 500, 3)} == {""}


def test_repairing_changes_nothing_in_a_good_file(data: bytes, cloud: GaussianCloud) -> None:
    assert repaired(data) == data
    assert same(decode(data), cloud)


def in_little_memory(path: Path, mode: str, first: int, step: int, count: int) -> list[str]:
    """What went wrong in damage.py; no end within ten minutes is an error too."""
    command = [sys.executable, "-W", "error", str(DAMAGE), str(path), mode, str(first), str(step), str(count)]
    # One arena: glibc reserves 64 MiB of address space for each further one.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    faults: list[str] = json.loads(done.stdout)
    return faults


@pytest.mark.parametrize("mode", ["ignore", "repaired"])
def test_damage_takes_no_more_memory_than_the_limits(on_disk: Path, mode: str) -> None:
    assert in_little_memory(on_disk, mode, 5, 37, 300) == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ignore", "repaired"])
def test_all_flips_behind_the_checksums(on_disk: Path, mode: str) -> None:
    assert in_little_memory(on_disk, mode, 0, 1, 10_000) == []
