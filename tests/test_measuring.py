"""What the benches and the demo stand on: child processes, and the tiled scene."""

import json
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from clouds import random_cloud
from gscodec_tools import bench_errors, bench_lossless
from gscodec_tools.bench_scale import tiled
from gscodec_tools.commands import CommandFailedError, run_command
from gscodec_tools.demo import save_comparison
from gscodec_tools.machine import machine

from gscodec.errors import BadInputError
from gscodec.formats.ply import write_ply


def test_a_command_reports_output_time_and_its_own_memory() -> None:
    ballast = np.ones(40 << 20, np.uint8)  # of the process that starts it: must not count
    small = run_command([sys.executable, "-S", "-c", "print('first'); print('{\"a\": 1}')"])
    large = run_command([sys.executable, "-S", "-c", f"bytes({ballast.size}).replace(b'\\0', b'x')"])
    assert small.data == {"a": 1}
    assert small.seconds > 0.0
    assert small.peak_bytes < ballast.nbytes < large.peak_bytes


def test_a_failing_command_says_why() -> None:
    with pytest.raises(CommandFailedError, match="out of ink") as caught:
        run_command([sys.executable, "-c", "import sys; sys.exit('out of ink')"])
    assert caught.value.code == 1


def test_a_missing_command_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="no-such-tool"):
        run_command([str(tmp_path / "no-such-tool")])


def test_tiled_copies_are_moved_and_not_identical() -> None:
    cloud = random_cloud(500, 1, seed=3)
    first, second, third, last = tiled(cloud, 1700)
    assert [len(part) for part in (first, second, third, last)] == [500, 500, 500, 200]
    for one, other in ((first, second), (second, third), (third, last)):
        moved = other.positions - one.positions[: len(other)]
        assert np.abs(moved).max(axis=1).min() > 1.0
        assert not np.array_equal(other.sh_dc, one.sh_dc[: len(other)])
    np.testing.assert_allclose(second.sh_dc, cloud.sh_dc, atol=0.06)
    assert all(map(np.array_equal, [last.positions], [part.positions for part in tiled(cloud, 1700)][3:]))


def test_a_comparison_shows_source_decoded_and_the_amplified_difference(tmp_path: Path) -> None:
    source = np.full((2, 3, 3), 0.4, np.float32)
    decoded = source + np.float32(0.02)
    save_comparison(source, decoded, tmp_path / "picture.png")
    with PIL.Image.open(tmp_path / "picture.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (2, 9, 3)
    assert pixels[0, ::3, 0].tolist() == [102, 107, 51]


def test_a_measurement_says_where_it_was_made() -> None:
    where = machine()
    assert where["cores"] >= 1
    assert where["packages"]["numpy"] == np.__version__


def test_errors_and_lossless_sizes_are_written_by_scene(tmp_path: Path) -> None:
    ply, out = tmp_path / "yard" / "point_cloud.ply", tmp_path / "out.json"
    ply.parent.mkdir()
    write_ply(ply, random_cloud(400, 1, seed=2))
    assert bench_errors.main([str(ply), "--json", str(out)]) == 0
    tree = json.loads(out.read_text())
    (scene,) = tree["scenes"]
    assert (tree["quality"], scene["scene"], scene["splats"]) == (75.0, "yard", 400)
    assert 0.0 < scene["errors"]["attributes"]["opacity"]["rms"] < 0.1
    assert bench_lossless.main([str(ply), "--json", str(out)]) == 0
    (file,) = json.loads(out.read_text())["files"]
    assert (file["scene"], file["ply"]["bytes"]) == ("yard", ply.stat().st_size)
    assert file["size_to_zstd_19"] == pytest.approx(file["gsb"]["bytes"] / file["zstd_19"]["bytes"], abs=1e-4)
    assert bench_errors.main([str(tmp_path / "absent.ply")]) == BadInputError.exit_code
