"""What decoding may need: numpy, numba, zstandard and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from clouds import random_cloud

from gscodec import EncodeConfig, encode

SCRIPT = """
import sys
for name in ("scipy", "torch", "matplotlib", "PIL"):
    sys.modules[name] = None  # importing it now fails
import gscodec
import gscodec.cli.gsdec
import gscodec.cli.gsinfo
print(len(gscodec.decode(sys.argv[1])))
"""


@pytest.mark.parametrize("lossless", [False, True])
def test_decoding_does_without_scipy(tmp_path: Path, lossless: bool) -> None:
    path = tmp_path / "scene.gsb"
    path.write_bytes(encode(random_cloud(50, 1, seed=3), EncodeConfig(lossless=lossless)))

    done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("50\n", 0), done.stderr
