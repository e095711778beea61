"""Runs a decoder on every conformance file and says what it got wrong. Needs Python and numpy, and nothing of gscodec.

    python conformance/run.py --decoder "gsdec {in} -o {out}"
    python conformance/run.py --in-process

A decoder is any command that reads a .gsb file {in} and writes a binary PLY {out}. README.md says what is promised.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parent
BINS = ("main", "uncommon", "faulty")
REFUSED = "refused"

Array = npt.NDArray[Any]
Case = dict[str, Any]
Check = Callable[[Case], str]

_TYPES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
          "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
          "float32": "f4", "float64": "f8"}  # fmt: skip


def load_cases(bins: Sequence[str] = BINS) -> list[Case]:
    """The cases of expected.json with their ``name`` and ``path``."""
    expected = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
    cases = [{"name": name, "path": FOLDER / f"{name}.gsb", **case} for name, case in expected.items()]
    return [case for case in cases if case["bin"] in bins]


def stray_files() -> list[str]:
    """Files of the bins that expected.json does not name, and the reverse."""
    there = {path.relative_to(FOLDER).as_posix() for name in BINS for path in (FOLDER / name).glob("*")}
    return sorted(there ^ {f"{case['name']}.gsb" for case in load_cases()})


def digests(attributes: dict[str, Array], extras: dict[str, Array]) -> Case:
    """What expected.json holds of decoded arrays: SHA-256 of each, little endian, in C order."""

    def sha(array: Array) -> str:
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        return hashlib.sha256(little.tobytes()).hexdigest()

    coefficients = attributes["sh_rest"].shape[1]
    return {
        "splats": len(attributes["positions"]),
        "sh_degree": round((coefficients + 1) ** 0.5) - 1,
        "sha256": {name: sha(array) for name, array in attributes.items()},
        "extras": {name: [array.dtype.str[1:], sha(array)] for name, array in extras.items()},
    }


def read_ply(path: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    """(attributes, extras) of a binary 3DGS PLY. ValueError for anything else."""
    data = path.read_bytes()
    end = data.find(b"end_header\n")
    if not data.startswith(b"ply\n") or end < 0:
        raise ValueError("no PLY header")
    fields: list[tuple[str, str]] = []
    order, count = "", -1
    for line in data[:end].decode("utf-8", "replace").split("\n"):
        words = line.split()
        if words[:1] == ["format"]:
            order = {"binary_little_endian": "<", "binary_big_endian": ">"}[words[1]]
        elif words[:1] == ["element"]:
            if words[1] != "vertex" or count >= 0:
                raise ValueError(f"element {words[1]}")
            count = int(words[2])
        elif words[:1] == ["property"]:
            fields.append((words[2], order + _TYPES[words[1]]))
    rows = np.frombuffer(data, np.dtype(fields), offset=end + len(b"end_header\n"))
    if len(rows) != count:
        raise ValueError(f"{len(rows)} rows, the header says {count}")

    def columns(*names: str) -> Array:
        for name in names:
            if rows.dtype[name].str[1:] != "f4":
                raise ValueError(f"{name} is not float32")
        # Through uint32: moving a float about may quiet a signalling NaN.
        bits = [np.ascontiguousarray(rows[name]).view(order + "u4").astype("<u4") for name in names]
        return np.stack(bits, axis=1).view("<f4") if bits else np.zeros((count, 0), "<f4")

    rest = sum(re.fullmatch(r"f_rest_\d+", name) is not None for name, _ in fields) // 3
    attributes = {
        "positions": columns("x", "y", "z"),
        "log_scales": columns("scale_0", "scale_1", "scale_2"),
        "quats_wxyz": columns("rot_0", "rot_1", "rot_2", "rot_3"),
        "opacity_logits": columns("opacity")[:, 0],
        "sh_dc": columns("f_dc_0", "f_dc_1", "f_dc_2"),
        # In the file colour by colour; here coefficient by coefficient.
        "sh_rest": columns(*(f"f_rest_{c * rest + k}" for k in range(rest) for c in range(3))).reshape(count, rest, 3),
    }
    standard = re.compile(r"[xyz]|(scale|f_dc)_[012]|rot_[0123]|opacity|f_rest_\d+")
    extras = {name: rows[name] for name, _ in fields if not standard.fullmatch(name)}
    return attributes, extras


def differences(case: Case, found: Case) -> str:
    """What of ``found`` (see ``digests``) is not as expected, or an empty string."""
    wrong = [f"{key} {found[key]}, expected {case[key]}" for key in ("splats", "sh_degree") if found[key] != case[key]]
    wrong += [name for name, sha in case["sha256"].items() if found["sha256"].get(name) != sha]
    names = sorted({*case["extras"], *found["extras"]})
    wrong += [f"extra {name}" for name in names if case["extras"].get(name) != found["extras"].get(name)]
    return f"wrong: {', '.join(wrong)}" if wrong else ""


def check_file(case: Case) -> str:
    """Whether the file is there and the one that expected.json was made with."""
    if not case["path"].is_file():
        return "the file is missing"
    found = hashlib.sha256(case["path"].read_bytes()).hexdigest()
    return "" if found == case["file_sha256"] else "the file was changed"


def check_command(case: Case, command: str, timeout: float) -> str:
    """Run a decoder on a case: "" if it passed, REFUSED if it cleanly refused an uncommon file, else the fault."""
    fault = check_file(case)
    if fault:
        return fault
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.ply"
        words = [word.replace("{in}", str(case["path"])).replace("{out}", str(out)) for word in shlex.split(command)]
        try:
            done = subprocess.run(words, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False)
        except subprocess.TimeoutExpired:
            return f"no end after {timeout:g} s"
        if done.returncode < 0:
            return f"killed by signal {-done.returncode}"
        left = sorted(path.name for path in Path(folder).iterdir())
        if done.returncode:
            if left:
                return f"refused, but left {', '.join(left)} behind"
            if case["bin"] == "main":
                words = done.stderr.decode("utf-8", "replace").strip().splitlines()
                return f"refused with exit code {done.returncode}: {words[-1] if words else ''}"
            return REFUSED if case["bin"] == "uncommon" else ""
        if case["bin"] == "faulty":
            return "accepted"
        if left != ["out.ply"]:
            return f"wrote {left}"
        try:
            return differences(case, digests(*read_ply(out)))
        except (ValueError, KeyError) as error:
            return f"wrote no PLY that can be read: {error!r}"


def check_in_process(case: Case, **options: Any) -> str:
    """The same of gscodec itself, which decodes uncommon files too and gives the expected code for faulty ones."""
    from gscodec import GsbError, decode
    from gscodec.cloud import ATTRIBUTES

    fault = check_file(case)
    if fault:
        return fault
    try:
        cloud = decode(case["path"].read_bytes(), **options)
    except GsbError as error:
        if case["bin"] == "faulty":
            return "" if error.code in case["codes"] else f"refused as {error.code}, expected {case['codes']}: {error}"
        return f"refused: {error}"
    if case["bin"] == "faulty":
        return "accepted"
    meta = {"render_mode": cloud.meta.render_mode, "comments": list(cloud.meta.comments)}
    wrong = differences(case, digests({name: getattr(cloud, name) for name in ATTRIBUTES}, dict(cloud.extras)))
    return wrong or ("" if meta == case["meta"] else f"wrong meta: {meta}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; its exit code: 0 if all passed."""
    parser = argparse.ArgumentParser(description="Run a decoder on every conformance file.", allow_abbrev=False)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--decoder", metavar="COMMAND", help='a command with {in} and {out}: "gsdec {in} -o {out}"')
    which.add_argument("--in-process", action="store_true", help="gscodec's own decoder, without starting it each time")
    parser.add_argument("--bin", default=",".join(BINS), help="bins to run, separated by commas (default %(default)s)")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="for one file (default 60)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="decoders run at once")
    args = parser.parse_args(argv)
    bins = args.bin.split(",")
    if not set(bins) <= set(BINS):
        parser.error(f"--bin takes {', '.join(BINS)}")
    if args.decoder and not ("{in}" in args.decoder and "{out}" in args.decoder):
        parser.error("--decoder needs {in} and {out}")
    if args.in_process:
        sys.path.insert(0, str(FOLDER.parent))

    def check(case: Case) -> str:
        return check_in_process(case) if args.in_process else check_command(case, args.decoder, args.timeout)

    cases = load_cases(bins)
    with ThreadPoolExecutor(1 if args.in_process else args.jobs) as pool:
        results = list(pool.map(check, cases))
    failed = 0
    for case, result in zip(cases, results, strict=True):
        if result:
            print(f"{case['name']}: {result}")
            failed += result != REFUSED
    for name in stray_files():
        print(f"{name}: not both in its folder and in expected.json")
        failed += 1
    print(f"{len(cases) - sum(bool(r) and r != REFUSED for r in results)} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
