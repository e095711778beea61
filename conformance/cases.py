"""The list of conformance cases, and those of the bin main: what every decoder must decode exactly."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from conformance.assembly import patched
from conformance.sample_clouds import (
    extremes,
    noise,
    on_grid,
    partial_copies,
    repeated,
    scene,
    wide,
    with_extras,
    with_meta,
    with_shared_sh,
)
from gscodec import EncodeConfig, encode
from gscodec.branches.lossless import encode as lossless_encode
from gscodec.branches.native import colour_bases, tiling
from gscodec.branches.native import encode as native_encode
from gscodec.cloud import GaussianCloud

BINS = ("main", "uncommon", "faulty")

COMMENTS = (
    "Grüße aus Köln",
    "深度を考える 🌍",
    "שלום",
    "",
    "  two  spaces ",
    "a\tb \u2028 c",
    'quotes " and \\ \x00 end',
)


@dataclass(frozen=True)
class Case:
    """One file: ``name`` without ending, a sentence about it, and how to make its bytes.

    For the bin faulty, ``codes`` are the error codes that gscodec may give and ``about`` is a part of its message, so
    that a case cannot be refused for something else than what it is about.
    """

    bin: str
    name: str
    sentence: str
    build: Callable[[], bytes]
    codes: tuple[str, ...] = ()
    about: str = ""


def native(
    cloud: GaussianCloud,
    quality: float = 75.0,
    tile_splats: int = 65536,
    splats_per_region: int = 4096,
    refinements: int = 0,
    palette: bool = False,
) -> bytes:
    """Encoded by the native branch with at most ``tile_splats`` splats a tile; progressive with any ``refinements``.
    ``palette``: SH that splats share in a palette, whatever it costs, else not.

    One region for each ``splats_per_region`` splats, but none below a quarter of as many: with the usual number
    files as small as these have none. All rows of matrices are there, as in files with more splats.
    """
    with (
        warnings.catch_warnings(),
        patched(tiling, TILE_SPLATS=tile_splats),
        patched(colour_bases, SPLATS_PER_REGION=splats_per_region, FEWEST_SPLATS=splats_per_region // 4),
        patched(native_encode, without_rare=lambda colours, *_: colours),
        patched(native_encode, cost=lambda *_: math.inf),  # of components
    ):
        warnings.simplefilter("error")  # a splat left out would make another case than the one described
        progressive = refinements > 0
        config = EncodeConfig(quality, progressive=progressive, refinements=refinements or None, palette=palette)
        return encode(cloud, config)


def lossless(cloud: GaussianCloud) -> bytes:
    """Encoded by the lossless branch."""
    return encode(cloud, EncodeConfig(lossless=True))


def main_cases() -> list[Case]:
    """The bin main."""
    cases: list[Case] = []

    def add(name: str, sentence: str, build: Callable[[], bytes]) -> None:
        cases.append(Case("main", name, sentence, build))

    for degree, count in enumerate((400, 300, 200, 150, 100)):
        add(
            f"native-degree{degree}",
            f"{count} splats of SH degree {degree}, no regions.",
            lambda n=count, d=degree: native(scene(n, d, 100 + d)),
        )
    for degree, count in ((1, 200), (2, 120), (3, 100), (4, 80)):
        add(
            f"native-regions-degree{degree}",
            f"{count} splats of SH degree {degree} in several regions, each with colours in a basis of its own.",
            lambda n=count, d=degree: native(scene(n, d, 140 + d), splats_per_region=n // (6 - d)),
        )
    add("native-region", "60 splats of SH degree 3 in one region.",
        lambda: native(scene(60, 3, 145), splats_per_region=60))  # fmt: skip
    add(
        "native-regions-tiles",
        "Five regions and four tiles, most of them with splats of several regions, SH degree 2.",
        lambda: native(scene(80, 2, 146), tile_splats=20, splats_per_region=16),
    )
    for quality in (1, 40, 90, 100):
        add(f"native-quality{quality}", f"Quality {quality}.", lambda q=quality: native(scene(120, 1, 110), q))
    add("native-empty", "No splats and no tiles, SH degree 3.", lambda: native(scene(0, 3, 120)))
    add("native-one", "One splat.", lambda: native(scene(1, 3, 121)))
    add("native-two", "Two splats.", lambda: native(scene(2, 2, 122)))
    add("native-equal", "500 splats, all equal: one leaf holds all.", lambda: native(repeated(scene(1, 1, 123), 500)))
    add("native-tiles", "200 splats in tiles of at most 25.", lambda: native(scene(200, 0, 124), tile_splats=25))
    add("native-tiles-of-one", "Seven splats in seven tiles.", lambda: native(scene(7, 1, 125), tile_splats=1))
    add(
        "native-wide",
        "Positions from 1e-3 to 1e6 world units with tiny splats far outside: a chain of tiles.",
        lambda: native(wide(150, 126)),
    )
    add(
        "native-extremes",
        "Needles, discs, spheres, opacities at both limits, SH values up to 1e5.",
        lambda: native(extremes(120, 127)),
    )
    add("native-plane", "All splats in one plane and many at the same place.", lambda: native(on_grid(200, 128)))
    add(
        "native-antialiased",
        "Render mode antialiased.",
        lambda: native(with_meta(scene(60, 1, 129), render_mode="antialiased")),
    )
    add(
        "native-comments",
        "Comments in many scripts, empty ones, with control characters.",
        lambda: native(scene(20, 0, 130, COMMENTS)),
    )
    for degree, count, number in ((0, 150, 1), (1, 100, 3), (2, 80, 2), (3, 60, 1), (4, 40, 2)):
        add(
            f"native-progressive-degree{degree}",
            f"Progressive: {count} splats of SH degree {degree} in several regions, refinements: {number}.",
            lambda n=count, d=degree, r=number: native(scene(n, d, 150 + d), 60, 65536, max(n // 3, 4), r),
        )
    add("native-progressive-tiles", "Progressive, three tiles, two refinements.",
        lambda: native(scene(60, 1, 156), tile_splats=20, refinements=2))  # fmt: skip
    for degree, count, entries in ((1, 300, 40), (2, 200, 33), (3, 150, 64), (4, 80, 5)):
        add(
            f"native-palette-degree{degree}",
            f"{count} splats of SH degree {degree} that share {entries} entries of a palette.",
            lambda n=count, d=degree, m=entries: native(with_shared_sh(scene(n, d, 170 + d), m, d), palette=True),
        )
    add("native-palette-tiles", "A palette of 40 entries for several tiles.",
        lambda: native(with_shared_sh(scene(200, 1, 175), 40, 5), tile_splats=40, palette=True))  # fmt: skip
    add("native-palette-one", "A palette of one entry: INDICES has no bits.",
        lambda: native(with_shared_sh(scene(40, 2, 176), 1, 6), palette=True))  # fmt: skip
    add("native-palette-extremes", "Large SH values in a palette of 12 entries.",
        lambda: native(with_shared_sh(extremes(120, 177), 12, 7), palette=True))  # fmt: skip
    add("native-progressive-extremes", "Progressive: needles, discs, opacities at both limits, large SH values.",
        lambda: native(extremes(90, 157), 90, refinements=2))  # fmt: skip
    add("native-progressive-wide", "Progressive: tiny splats far outside, a chain of tiles.",
        lambda: native(wide(60, 158), refinements=2))  # fmt: skip
    add("native-progressive-equal", "Progressive: 60 splats, all equal.",
        lambda: native(repeated(scene(1, 1, 159), 60), 60, refinements=2))  # fmt: skip
    add("native-progressive-one", "Progressive: one splat, three refinements.",
        lambda: native(scene(1, 3, 160), refinements=3))  # fmt: skip
    add("native-progressive-empty", "Progressive: no splats, two refinements.",
        lambda: native(scene(0, 2, 161), refinements=2))  # fmt: skip
    add("native-far", "A scene of size 4 whose centre is 30000 away from the origin.", lambda: native(far(131)))

    for degree, count in enumerate((100, 45, 25, 15, 10)):
        add(
            f"lossless-degree{degree}",
            f"{count} splats of SH degree {degree}.",
            lambda n=count, d=degree: lossless(scene(n, d, 200 + d)),
        )
    add("lossless-empty", "No splats and no tiles, with extras.", lambda: lossless(with_extras(scene(0, 2, 220), 220)))
    add("lossless-one", "One splat.", lambda: lossless(scene(1, 3, 221)))
    add("lossless-two", "Two splats.", lambda: lossless(scene(2, 1, 222)))
    add(
        "lossless-equal",
        "3000 splats, all equal: constants and copies.",
        lambda: lossless(repeated(scene(1, 2, 223), 3000)),
    )
    add(
        "lossless-noise",
        "NaN of all payloads, infinities, denormals, negative zeros.",
        lambda: lossless(noise(60, 1, 224)),
    )
    add(
        "lossless-extras",
        "An extra property of each PLY type, float32 ones with NaN.",
        lambda: lossless(with_extras(scene(40, 0, 225), 225)),
    )
    add(
        "lossless-big-endian",
        "From a big-endian PLY with extras between the usual properties.",
        lambda: lossless(big_endian(226)),
    )
    add(
        "lossless-comments",
        "Comments in many scripts, antialiased.",
        lambda: lossless(with_meta(scene(20, 0, 227, COMMENTS[:-1]), render_mode="antialiased")),
    )
    add(
        "lossless-tiles",
        "Two tiles: 65800 rows, most of them copies of the row before.",
        lambda: many_rows(228),
    )
    add("lossless-copies", "Rows that copy single attributes of earlier rows, columns of few values.",
        lambda: lossless(partial_copies(90, 1, 229)))  # fmt: skip
    return cases


def far(seed: int) -> GaussianCloud:
    """A scene far from the origin."""
    cloud = scene(100, 1, seed)
    return replace(cloud, positions=cloud.positions + np.array([30000, -20000, 5000], np.float32))


def many_rows(seed: int) -> bytes:
    """More rows than a tile holds; each refers to the row before: fewer bytes than what the encoder would choose."""
    with patched(lossless_encode, choose_references=lambda near, *_rest: np.arange(-1, len(near) - 1, dtype=np.int32)):
        return lossless(scene(7, 0, seed).select(np.arange(65800) // 9400))


def big_endian(seed: int) -> GaussianCloud:
    """A cloud whose source had an order and an endianness of its own."""
    cloud = with_extras(scene(40, 1, seed), seed, ("u2", "f8"))
    rest = [f"f_rest_{i}" for i in range(9)]
    names = ["label", "z", "y", "x", "extra_f8", "rot_0", "rot_1", "rot_2", "rot_3", *rest[::-1], "nx", "ny", "nz",
             "opacity", "scale_2", "scale_1", "scale_0", "extra_u2", "f_dc_0", "f_dc_1", "f_dc_2"]  # fmt: skip
    return with_meta(cloud, property_order=tuple(names), ply_format="binary_big_endian", comments=("big",))
