"""Makes the conformance files, expected.json and README.md anew: the only way in which they ever change.

    python conformance/regenerate.py

Nothing is written unless gscodec's own decoder agrees with every case: it decodes main and uncommon files twice to the
same arrays, and refuses faulty ones with the code and for the reason that the case names.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from bitstream_spec.layout import VERSION  # noqa: E402
from conformance.cases import BINS, Case, main_cases  # noqa: E402
from conformance.faulty_bases import bases_cases  # noqa: E402
from conformance.faulty_container import container_cases  # noqa: E402
from conformance.faulty_lengths import length_cases  # noqa: E402
from conformance.faulty_lossless import lossless_cases  # noqa: E402
from conformance.faulty_native import native_cases  # noqa: E402
from conformance.faulty_palette import palette_cases  # noqa: E402
from conformance.faulty_planes import plane_cases  # noqa: E402
from conformance.faulty_refinements import refinement_cases  # noqa: E402
from conformance.faulty_schema import schema_cases  # noqa: E402
from conformance.run import digests  # noqa: E402
from conformance.uncommon_bases import uncommon_bases_cases  # noqa: E402
from conformance.uncommon_cases import uncommon_cases  # noqa: E402
from conformance.uncommon_palettes import uncommon_palette_cases  # noqa: E402
from gscodec import GsbError, decode  # noqa: E402
from gscodec.bitstream.atomic import atomic_write  # noqa: E402
from gscodec.cloud import ATTRIBUTES  # noqa: E402

_INTRO = """\
# Conformance files

Small `.gsb` files of format version {version} in three bins. `python conformance/regenerate.py` makes them and this
text.

- **main** ({main}): every decoder must decode these to exactly the arrays whose SHA-256 `expected.json` gives.
- **uncommon** ({uncommon}): valid, but nothing that this project's encoder writes. A decoder must decode them exactly
  or refuse them cleanly: exit with an error and leave no output behind.
- **faulty** ({faulty}): every decoder must refuse these cleanly, and neither crash nor hang. One thing is wrong with
  each, and all checksums are right unless the sentence says otherwise.

To test a decoder, any command that turns a `.gsb` file into a binary PLY:

    python conformance/run.py --decoder "gsdec {{in}} -o {{out}}"

`run.py` needs Python and numpy and imports nothing of gscodec. In `expected.json`: `sha256` of `positions`,
`log_scales`, `quats_wxyz`, `opacity_logits`, `sh_dc` and `sh_rest` (coefficient, then red, green, blue), float32,
little endian, in C order, as FORMAT.md orders them; `extras` type and SHA-256 of each further property; `codes` the
error codes of gscodec, which with `meta` only `run.py --in-process` looks at.
"""


def all_cases() -> Iterator[Case]:
    """The cases of all bins."""
    yield from main_cases()
    yield from uncommon_cases()
    yield from uncommon_bases_cases()
    yield from uncommon_palette_cases()
    yield from container_cases()
    yield from length_cases()
    yield from native_cases()
    yield from bases_cases()
    yield from refinement_cases()
    yield from palette_cases()
    yield from plane_cases()
    yield from lossless_cases()
    yield from schema_cases()


def expectation(case: Case, data: bytes) -> dict[str, Any]:
    """The entry of expected.json. Raises RuntimeError where gscodec's decoder does not do what the case says."""
    entry: dict[str, Any] = {
        "bin": case.bin,
        "sentence": case.sentence,
        "file_sha256": hashlib.sha256(data).hexdigest(),
    }
    if case.bin == "faulty":
        try:
            decode(data)
        except GsbError as error:
            if error.code in case.codes and case.about in str(error):
                return entry | {"codes": list(case.codes)}
            raise RuntimeError(f"{case.name}: expected {case.codes} about {case.about!r}, got {error!r}") from error
        raise RuntimeError(f"{case.name}: decoded, though faulty")
    found = []
    for threads in (1, 2):
        try:
            cloud = decode(data, threads=threads)
        except GsbError as error:
            raise RuntimeError(f"{case.name}: {error}") from error
        found.append(digests({name: getattr(cloud, name) for name in ATTRIBUTES}, dict(cloud.extras)))
        found[-1]["meta"] = {"render_mode": cloud.meta.render_mode, "comments": list(cloud.meta.comments)}
    if found[0] != found[1]:
        raise RuntimeError(f"{case.name}: two decodes differ")
    return entry | found[0]


def readme(cases: list[Case]) -> str:
    """README.md."""
    counts = {name: sum(case.bin == name for case in cases) for name in BINS}
    text = _INTRO.format(version="{}.{}".format(*VERSION), **counts)
    for name in BINS:
        rows = [f"| {case.name} | {case.sentence} |" for case in cases if case.bin == name]
        text += "\n".join(["", f"## {name}", "", "| file | what it is |", "|---|---|", *rows, ""])
    return text


def main() -> int:
    """Build and check everything, then write it. Files that are no case any more are removed."""
    cases = list(all_cases())
    files: dict[str, bytes] = {}
    expected: dict[str, Any] = {}
    for case in cases:
        key = f"{case.bin}/{case.name}"
        if key in files:
            raise RuntimeError(f"two cases {key}")
        files[key] = case.build()
        expected[key] = expectation(case, files[key])
    for name in BINS:
        (FOLDER / name).mkdir(exist_ok=True)
        for path in (FOLDER / name).glob("*.gsb"):
            if f"{name}/{path.stem}" not in files:
                path.unlink()
    for key, data in files.items():
        atomic_write(FOLDER / f"{key}.gsb", [data], force=True)
    text = json.dumps(expected, indent=1, ensure_ascii=False) + "\n"
    atomic_write(FOLDER / "expected.json", [text.encode()], force=True)
    atomic_write(FOLDER / "README.md", [readme(cases).encode()], force=True)
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
