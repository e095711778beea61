"""Valid BASES, profiles and energies that gscodec's encoder does not write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import numpy.typing as npt
import zstandard

from bitstream_spec.layout import Coder, StreamKind
from conformance.assembly import Parts, patched
from conformance.cases import Case, native
from conformance.sample_clouds import on_grid, scene
from conformance.uncommon_cases import repacked, with_cells, with_values
from gscodec import decode
from gscodec.bitstream.entries import Stream
from gscodec.branches.native import encode as native_encode
from gscodec.branches.native import encode_tile
from gscodec.branches.native.bases import UNIT, Bases
from gscodec.branches.native.colour_bases import ColourTransform
from gscodec.cloud import SH_REST_COUNTS, GaussianCloud

F64 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int8]
PROFILE = 72
LIMIT = 2.0**100


def uncommon_bases_cases() -> list[Case]:
    """The cases, of the bin uncommon."""
    cases: list[Case] = []

    def add(name: str, sentence: str, build: Callable[[], bytes]) -> None:
        cases.append(Case("uncommon", name, sentence, build))

    add("bases-256-regions", "256 regions, matrices of random numbers.", many_regions)
    add(
        "bases-same-centre",
        "Three regions with one centre: the first holds all splats.",
        lambda: in_bases(scene(40, 1, 310), np.full((3, 3), 0.5), random_matrices(3, 1, 310)),
    )
    add("bases-equally-far", "Splats that are as far from two centres.", equally_far)
    add(
        "bases-rounding",
        "Centres whose distances from a splat differ by rounding only.",
        rounding,
    )
    add(
        "bases-centres-far",
        "Centres at the limits: 2**100, -2**100, the smallest float, -0.",
        lambda: in_bases(scene(40, 1, 312), FAR, random_matrices(5, 1, 312)),
    )
    add("bases-at-infinity", "All splats at infinity, thus in region 0.", at_infinity)
    add("bases-singular", "Matrices of zeros: SH of degree 0 whatever the components.", lambda: singular().file())
    add("bases-singular-raw", "The same in RAW, which ZSTD would halve.",
        lambda: repacked(singular(), StreamKind.BASES, None).file())  # fmt: skip
    add(
        "bases-zstd",
        "BASES in ZSTD, where RAW is shorter.",
        lambda: repacked(two_regions(), StreamKind.BASES, zstandard.ZstdCompressor()).file(),
    )
    add("bases-lowest", "SH degree 4, matrices of -128 only, components at their limits: the largest sums.", lowest)
    add(
        "bases-degree-0",
        "A file of SH degree 0 with a BASES that is none, coder RANS, to be skipped.",
        lambda: Parts.of(native(scene(20, 0, 316))).plus(Stream(StreamKind.BASES, Coder.RANS, b"none", 99)).file(),
    )
    add(
        "bases-of-tiles-too",
        "A BASES in each tile, to be skipped, beside that of the whole file.",
        lambda: two_regions().plus(*(Stream(StreamKind.BASES, Coder.RAW, b"none", 4, i) for i in range(2))).file(),
    )
    add("bases-ancillary", "BASES whose critical bit is clear.", ancillary)
    add("bases-for-none", "No splats and no tiles, but a region.",
        lambda: in_bases(scene(0, 1, 317), np.zeros((1, 3)), random_matrices(1, 1, 317)))  # fmt: skip

    add("profile-0", "profile of zeros, components that are SH.", lambda: with_energy([0] * PROFILE))
    add("profile-largest", "profile of 65535.", lambda: with_energy([65535] * PROFILE))
    add(
        "profile-late",
        "profile of zeros but for the last components, which are 65535: the largest factors.",
        lambda: with_energy([0] * 60 + [65535] * 12, splats=20, ac_step=(1,) * 4),
    )
    add("profile-late-quiet", "The same, all but the last components 0: the largest factors times small sums.",
        lambda: with_energy([0] * 60 + [65535] * 12, splats=20, quiet=20))  # fmt: skip
    add("profile-falling", "profile 65535 for the first components and 0 for the others.",
        lambda: with_energy([65535] * 5 + [0] * 67))  # fmt: skip
    add("energy-prior-largest", "energy_prior of 65535.", lambda: with_energy([900] * PROFILE, 65535))
    add("energy-prior-0", "energy_prior of 0.", lambda: with_energy([900] * PROFILE, 0))
    return cases


FAR = np.array([[LIMIT] * 3, [-LIMIT, 0.0, 0.0], [2.0**-149, -0.0, 2.0**-149], [-0.0, 0.0, -0.0], [3.0, 1.0, -1.0]])


def in_bases(
    cloud: GaussianCloud, centres: F64, matrices: I8, forward: F64 | None = None, tile_splats: int = 65536
) -> bytes:
    """A native file with BASES as given; by default the encoder's components are those that restore the colours."""
    bases = Bases(np.ascontiguousarray(centres, np.float32), matrices)
    if forward is None:
        forward = np.linalg.pinv(complete(matrices))
    with patched(native_encode, find_bases=lambda *_: ColourTransform(bases, forward)):
        return native(cloud, tile_splats=tile_splats)


def complete(matrices: I8) -> F64:
    """float64[R,K+1,K+1] from components to SH, as columns."""
    size = matrices.shape[2]
    whole = np.eye(size)[None].repeat(len(matrices), axis=0)
    whole[:, :, 1:] = matrices.transpose(0, 2, 1) / UNIT
    return whole


def random_matrices(regions: int, sh_degree: int, seed: int) -> I8:
    """Of all entries that there are."""
    count = SH_REST_COUNTS[sh_degree]
    return np.random.default_rng(seed).integers(-128, 128, (regions, count, count + 1)).astype(np.int8)


def two_regions() -> Parts:
    """Two tiles, two regions, RAW."""
    centres = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    return Parts.of(in_bases(scene(30, 1, 318), centres, random_matrices(2, 1, 318), tile_splats=15))


def many_regions() -> bytes:
    """As many as there may be, the last 60 of them each where a splat is."""
    cloud = scene(60, 1, 319)
    centres = np.concatenate([np.random.default_rng(319).uniform(-3, 3, (196, 3)), cloud.positions])
    return in_bases(cloud, centres, random_matrices(256, 1, 319))


def equally_far() -> bytes:
    """All splats in one plane, and pairs of centres that are mirrored in it."""
    cloud = on_grid(60, 320)
    y = decode(native(cloud)).positions[0, 1]
    centres = np.array([[x, y + way * 0.125, 0.0] for x in (-1.5, 1.5) for way in (1, -1)], np.float32)
    return in_bases(cloud, centres.astype(np.float64), random_matrices(4, 1, 320))


def rounding() -> bytes:
    """All splats on the diagonal, centres with the same coordinates in another order."""
    cloud = scene(80, 1, 321)
    cloud = replace(cloud, positions=np.ascontiguousarray(cloud.positions[:, :1].repeat(3, axis=1)))
    centres = np.array(list(permutations((0.002318914, 0.02273858, 0.02149627))))
    return in_bases(cloud, centres, random_matrices(6, 1, 321))


def at_infinity() -> bytes:
    """Cells that are far larger than any float32."""
    bases = Bases(np.zeros((2, 3), np.float32), random_matrices(2, 2, 322))
    colours = ColourTransform(bases, np.linalg.pinv(complete(bases.matrices)))
    with (
        patched(encode_tile, tile_exponent=lambda *_: 512),
        patched(native_encode, find_bases=lambda *_: colours),
    ):
        return with_cells(LIMIT)


def singular() -> Parts:
    """Three regions, SH degree 2; the encoder codes SH as they are."""
    centres, zeros = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), np.zeros((3, 8, 9), np.int8)
    return Parts.of(in_bases(scene(40, 2, 323), centres, zeros, np.eye(9)[None].repeat(3, axis=0)))


def lowest() -> bytes:
    """Three regions, with -128, with 127 and with both; components are SH times ten million."""
    cloud = scene(18, 4, 324)
    own = np.arange(18) % 2 == 0  # the others have one sign in all components
    alike = np.where(np.arange(18) % 4 == 1, 0.5, -0.5).astype(np.float32)[:, None]
    rest = np.where(own[:, None, None], cloud.sh_rest, alike[:, :, None] * [1.0, 0.5, -0.5]).astype(np.float32)
    cloud = replace(cloud, sh_rest=rest, sh_dc=np.where(own[:, None], cloud.sh_dc, alike).astype(np.float32))
    matrices = np.stack([np.full((24, 25), -128), np.full((24, 25), 127), np.where(np.eye(24, 25) > 0, 127, -128)])
    centres = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return in_bases(cloud, centres, matrices.astype(np.int8), 1e7 * np.eye(25)[None].repeat(3, axis=0))


def ancillary() -> bytes:
    """The bit has no effect, the reader knows the kind."""
    parts = two_regions()
    return parts.put(StreamKind.BASES, None, parts.payload(StreamKind.BASES), critical=False).file()


def with_energy(profile: Sequence[int], prior: int = 256, splats: int = 40, quiet: int = 0, **values: object) -> bytes:
    """Another profile and one prior for all weight classes; the first ``quiet`` SH coefficients beyond DC are 0."""
    cloud = scene(splats, 4, 325)
    cloud.sh_rest[:, :quiet] = 0.0
    expected = {"energy_prior": (prior,) * 32, "profile": tuple(profile)}
    with patched(native_encode, _expected_energy=lambda *_: expected):
        return with_values(cloud, **values)
