"""The conformance files: gscodec and the reference decoder do with each what expected.json says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitstream_spec import reference_decoder

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from conformance import run  # noqa: E402

CASES = run.load_cases()
VALID = [case for case in CASES if case["bin"] != "faulty"]
FAULTY = [case for case in CASES if case["bin"] == "faulty"]

# Decodes the main files given on the command line, with so many threads, and prints what is wrong.
_DECODE_MAIN = """\
import json, sys
sys.path.insert(0, sys.argv[1])
from conformance import run
results = {case["name"]: run.check_in_process(case, threads=int(sys.argv[2])) for case in run.load_cases(["main"])}
print(json.dumps(results))
"""


def names(cases: list[run.Case]) -> list[str]:
    return [case["name"] for case in cases]


def test_the_suite_is_as_large_as_promised() -> None:
    count = {name: sum(case["bin"] == name for case in CASES) for name in run.BINS}
    assert count["main"] >= 14
    assert count["uncommon"] >= 6
    assert count["faulty"] >= 45
    size = sum(path.stat().st_size for path in run.FOLDER.rglob("*") if "__pycache__" not in path.parts)
    assert size <= 2_200_000


def test_files_and_expectations_belong_together() -> None:
    assert run.stray_files() == []


def test_each_sentence_is_in_the_readme() -> None:
    readme = (run.FOLDER / "README.md").read_text(encoding="utf-8")
    rows = [f"| {case['name'].split('/')[1]} | {case['sentence']} |" for case in CASES]
    assert [row for row in rows if row not in readme] == []


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_gscodec(case: run.Case) -> None:
    assert run.check_in_process(case) == ""


@pytest.mark.parametrize("case", VALID, ids=names(VALID))
def test_the_reference_decoder_decodes_exactly(case: run.Case, tmp_path: Path) -> None:
    assert run.check_file(case) == ""
    path = tmp_path / "out.ply"
    path.write_bytes(reference_decoder.ply(reference_decoder.decode(case["path"].read_bytes())))
    assert run.differences(case, run.digests(*run.read_ply(path))) == ""


@pytest.mark.parametrize("case", FAULTY, ids=names(FAULTY))
def test_the_reference_decoder_refuses(case: run.Case) -> None:
    assert run.check_file(case) == ""
    with pytest.raises(reference_decoder.FormatError):
        reference_decoder.decode(case["path"].read_bytes())


def decode_main(threads: int, **environment: str) -> dict[str, str]:
    command = [sys.executable, "-c", _DECODE_MAIN, str(ROOT), str(threads)]
    environment = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    results: dict[str, str] = json.loads(done.stdout)
    return results


def all_right() -> dict[str, str]:
    return {case["name"]: "" for case in CASES if case["bin"] == "main"}


@pytest.mark.parametrize("threads", [1, 2])
def test_arrays_do_not_depend_on_vector_units_or_threads(threads: int) -> None:
    features: dict[str, Any] = np.show_config(mode="dicts")["SIMD Extensions"]  # type: ignore[call-overload]
    assert decode_main(threads, NPY_DISABLE_CPU_FEATURES=" ".join(features.get("found", []))) == all_right()


@pytest.mark.slow
def test_arrays_do_not_depend_on_the_processor_that_kernels_are_compiled_for(tmp_path: Path) -> None:
    environment = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert decode_main(1, **environment) == all_right()


def test_a_command_is_judged_by_what_it_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copier = tmp_path / "copier.py"
    copier.write_text("import shutil, sys\nshutil.copy(sys.argv[1], sys.argv[2])\n")
    command = f"{sys.executable} {copier} {{in}} {{out}}"
    case = next(case for case in VALID if case["name"] == "main/native-one")
    assert run.check_command(case, command, 60.0).startswith("wrote no PLY that can be read")
    assert run.check_command(FAULTY[0], command, 60.0) == "accepted"
    copier.write_text("import os\nos.kill(os.getpid(), 9)\n")
    assert run.check_command(FAULTY[0], command, 60.0) == "killed by signal 9"
    copier.write_text("import sys\nopen(sys.argv[2], 'w').close()\nsys.exit(3)\n")
    assert run.check_command(FAULTY[0], command, 60.0) == "refused, but left out.ply behind"
    copier.write_text("import time\ntime.sleep(60)\n")
    assert run.check_command(FAULTY[0], command, 0.5) == "no end after 0.5 s"
    copier.write_text("import sys\nsys.exit(3)\n")
    assert run.check_command(FAULTY[0], command, 60.0) == ""
    assert run.check_command({**case, "bin": "uncommon"}, command, 60.0) == run.REFUSED
    assert run.check_command(case, command, 60.0) == "refused with exit code 3: "
    assert run.check_command({**case, "file_sha256": "0"}, command, 60.0) == "the file was changed"
    assert run.check_command({**case, "path": tmp_path / "no.gsb"}, command, 60.0) == "the file is missing"
    assert run.main(["--decoder", command, "--bin", "main"]) == 1
    assert capsys.readouterr().out.endswith(f"0 passed, {len(all_right())} failed\n")


def test_a_wrong_hash_fails() -> None:
    case = next(case for case in VALID if case["name"] == "main/lossless-extras")
    assert run.check_in_process({**case, "sha256": {**case["sha256"], "sh_dc": "0"}}) == "wrong: sh_dc"
    assert run.check_in_process({**case, "extras": {}}).startswith("wrong: extra extra_f4")
    assert run.check_in_process({**case, "splats": 1}).startswith("wrong: splats 40, expected 1")
