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


COMMAND = """
import sys
from gscodec.cli.gsdec import main
code = main(["-q", sys.argv[1]])
assert "numba.np.arraymath" in sys.modules, "numba has other modules now: is scipy loaded somewhere else?"
before = set(sys.modules)
import numba, numpy, scipy.linalg
product = numba.njit(lambda a: numpy.dot(a, a))(numpy.full((2, 2), 2.0))
print(code, "scipy.linalg" in before, product.tolist())
"""


def test_gsdec_does_not_load_scipy_for_numba(tmp_path: Path) -> None:
    """And other code of the process may have numba multiply matrices all the same."""
    path = tmp_path / "scene.gsb"
    path.write_bytes(encode(random_cloud(50, 1, seed=3)))

    done = subprocess.run([sys.executable, "-c", COMMAND, str(path)], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("0 False [[8.0, 8.0], [8.0, 8.0]]\n", 0), done.stderr
