"""Damaged files for fault tests, and what a decode of one comes to. As a program: many of them, with little memory.

    python tests/damage.py FILE {ignore,repaired} FIRST STEP NOISE

decodes FILE with every STEP-th bit flipped from bit FIRST on, and NOISE random damages, under a limit of address space.
Prints a JSON list of what went wrong.
"""

from __future__ import annotations

import json
import random
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from conformance.assembly import seal_streams  # noqa: E402
from gscodec import DecodeLimits, GaussianCloud, GsbError, decode  # noqa: E402
from gscodec.cloud import ATTRIBUTES  # noqa: E402

LIMITS = DecodeLimits(max_splats=1000, max_memory=64 << 20, max_streams=1000, max_header_bytes=1 << 20)
# Beyond what the process has once it has decoded a file: max_memory, and what an allocator and a thread want.
SPARE_BYTES = LIMITS.max_memory + (128 << 20)


def truncations(data: bytes) -> Iterator[bytes]:
    """Every proper prefix."""
    for length in range(len(data)):
        yield data[:length]


def flips(data: bytes, first: int = 0, step: int = 1) -> Iterator[bytes]:
    """Every ``step``-th bit flipped, one at a time."""
    for bit in range(first, 8 * len(data), step):
        out = bytearray(data)
        out[bit // 8] ^= 1 << bit % 8
        yield bytes(out)


def noise(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """``count`` times a few random bytes, a run of equal ones, a piece left out, repeated or moved."""
    rng = random.Random(seed)
    for _ in range(count):
        out = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 5))):
            at, size = rng.randrange(len(out)), min(rng.choice((1, 2, 4, 8, 40)), len(out))
            match rng.randrange(5):
                case 0:
                    out[at : at + size] = rng.randbytes(len(out[at : at + size]))
                case 1:
                    out[at : at + size] = rng.choice((b"\0", b"\xff", b"\x80", b"\x7f")) * len(out[at : at + size])
                case 2:
                    del out[at : at + size]
                case 3:
                    out[at:at] = out[at : at + size]
                case 4:
                    other = rng.randrange(len(out))
                    out[at : at + size] = out[other : other + size]
        yield bytes(out)


def repaired(data: bytes) -> bytes:
    """``data`` with file_bytes and all checksums as they would be right, where the head still has places for them."""
    if len(data) < 48:
        return data
    return seal_streams(data[:16] + len(data).to_bytes(8, "little") + data[24:])


def same(found: GaussianCloud, expected: GaussianCloud) -> bool:
    """Bit-equal arrays, whatever the extras are called."""
    pairs = [(getattr(found, name), getattr(expected, name)) for name in ATTRIBUTES]
    pairs += zip(found.extras.values(), expected.extras.values(), strict=False)
    equal = all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs)
    return equal and len(found.extras) == len(expected.extras)


def fault(data: bytes, expected: GaussianCloud | None, ignore_checksums: bool = False) -> str:
    """What is wrong with how a damaged file decodes, or "".

    Right are a GsbError or, if ``expected`` is given, exactly that; if checksums are ignored, any cloud within LIMITS.
    """
    try:
        cloud = decode(data, limits=LIMITS, threads=1, ignore_checksums=ignore_checksums)
    except GsbError:
        return ""
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if ignore_checksums:
        return "" if len(cloud) <= LIMITS.max_splats else f"{len(cloud)} splats"
    if expected is None:
        return "accepted"
    return "" if same(cloud, expected) else "decoded to other arrays"


def main() -> int:
    """Run the program."""
    path, mode, first, step, count = sys.argv[1:]
    data = Path(path).read_bytes()
    expected = decode(data, threads=1)
    for warm in (*flips(data, 0, 97), *noise(data, 20, 0)):  # compiles and loads what damaged files reach
        fault(warm, None, ignore_checksums=True)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    used = int(status["VmSize"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_BYTES, used + SPARE_BYTES))
    faults = []
    for number, damaged in enumerate((*flips(data, int(first), int(step)), *noise(data, int(count), int(first)))):
        ignore = mode == "ignore"
        found = fault(damaged, None, True) if ignore else fault(repaired(damaged), expected)
        if found:
            faults.append(f"damage {number}: {found}")
    print(json.dumps(faults))
    return 0


if __name__ == "__main__":
    sys.exit(main())
