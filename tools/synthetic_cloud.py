"""Write a synthetic 3DGS scene of any size and its cameras: seeded, in seconds, statistically like a trained one.

    python -m gscodec_tools.synthetic_cloud OUT_DIR [--splats 100000] [--seed 7] [--sh-degree 3]

Distributions (scales, anisotropy, opacity, DC, AC, quaternion norms) follow what standard 3DGS training leaves;
nothing was trained: the splats are drawn from procedural surfaces. The same seed gives the same bytes with the same
versions of numpy and scipy.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gscodec_tools.synthetic_scene import Strands, build_scene
from gscodec_tools.synthetic_shading import coefficient_noise, grass_light, light, mirror_sh
from gscodec_tools.synthetic_surfaces import F64, Noise, Points, Surface, sample_surface, unit

from gscodec.bitstream.atomic import atomic_write
from gscodec.cloud import SH_REST_COUNTS, CloudMeta, GaussianCloud
from gscodec.errors import BadInputError, GsbError, OutputError
from gscodec.formats.ply import write_ply
from gscodec.units import dc_from_rgb, log_from_scale

MIN_SPLATS = 2000  # below this some objects would vanish
BASE_PART = 0.37  # of the splats: opaque ones that cover a surface; the others refine it
MIN_LOGIT = -5.4  # training removes what is fainter; values beyond are reflected, not piled up
FLOATERS = 0.006
STRAND_PART = 0.13
VIEWS, WIDTH, HEIGHT, FOCAL = 16, 480, 320, 410.0
WORLD_UNITS = 1.5  # of the file per unit of the scene: cameras stand some 4 to 5 units from the middle
TO_FILE = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # z up to y down, as captures have it


@dataclass(frozen=True)
class Splats:
    """Splats in the scene's axes: positions [n,3], axes [n,3,3] (columns), sigmas [n,3], logits [n], sh [n,1+K,3]."""

    positions: F64
    axes: F64
    sigmas: F64
    logits: F64
    sh: F64


def synthetic_cloud(splats: int = 100_000, seed: int = 7, sh_degree: int = 3) -> GaussianCloud:
    """The synthetic scene: exactly ``splats`` Gaussians of SH degree 0..3, axes x right, y down, z forward.

    Raises BadInputError for fewer than 2000 splats, a negative seed or another degree.
    """
    if splats < MIN_SPLATS:
        raise BadInputError("too few splats", field="splats", found=splats, allowed=f"{MIN_SPLATS} or more")
    if seed < 0:
        raise BadInputError("bad seed", field="seed", found=seed, allowed="0 or more")
    if sh_degree not in range(4):
        raise BadInputError("bad SH degree", field="sh_degree", found=sh_degree, allowed="0..3")
    rng = np.random.default_rng(seed)
    noise = Noise(rng)
    scene = build_scene(rng, noise, splats)
    parts = [_strand_splats(strands, sh_degree, rng) for strands in scene.strands]
    parts = _thin_out(parts, int(splats * STRAND_PART), rng)
    floaters = int(splats * FLOATERS)
    parts.append(_floaters(floaters, sh_degree, rng))
    left = splats - sum(len(part.positions) for part in parts)
    shares = np.array([surface.share for surface in scene.surfaces])
    ends = np.round(np.cumsum(shares) / shares.sum() * left).astype(int)
    for surface, count in zip(scene.surfaces, np.diff(ends, prepend=0), strict=True):
        base = int(count * BASE_PART)
        cover, refine = sample_surface(surface, (base, int(count) - base), rng)
        parts.append(_surface_splats(surface, cover, False, scene.blockers, sh_degree, rng))
        parts.append(_surface_splats(surface, refine, True, scene.blockers, sh_degree, rng))
    return _assemble(parts, seed, rng)


def _surface_splats(
    surface: Surface, points: Points, refine: bool, blockers: F64, sh_degree: int, rng: np.random.Generator
) -> Splats:
    """Discs on the surface: flat along the normal, long along the texture's contours."""
    count = len(points.positions)
    stretch = np.abs(rng.normal(0.0, 1.5 if refine else 0.8, count)) * (0.4 if surface.emissive else 1.0)
    flat = np.abs(rng.normal(0.0, 1.25, count)) + (0.0 if refine else 0.5)
    width = 0.62 if refine else 0.95 if surface.emissive else 0.74
    size = np.log(width * points.spacing) + rng.normal(0.0, 0.4 if refine else 0.12, count)
    # a splat at an edge of the texture must not cross it
    across = size - (0.7 if refine else 0.45) * stretch - 0.6 * points.edge
    long = size + (0.3 if refine else 0.55) * stretch + 0.3 * points.edge
    long -= np.log1p((np.exp(long) / surface.longest) ** 2) / 4.0
    logs = np.stack([long, across, np.minimum(across, long) - flat], axis=1)
    normals = unit(points.normals + rng.normal(0.0, 0.06, (count, 3)))
    first = unit(points.tangents - np.einsum("ij,ij->i", points.tangents, normals)[:, None] * normals)
    axes = np.stack([first, np.cross(normals, first), normals], axis=2)
    lift = rng.normal(0.0, 0.25, count) * np.exp(logs[:, 2]) - 0.4 * np.exp(logs[:, 2])
    if surface.emissive:
        colour = points.rgb
    else:
        colour = points.rgb * light(points.positions, points.normals, blockers, surface.two_sided)
    colour = colour + rng.laplace(0.0, 0.035 if refine else 0.012, (count, 1))
    colour = colour + rng.laplace(0.0, 0.012 if refine else 0.005, (count, 3))
    sh = _flat_sh(colour, sh_degree, rng)
    if surface.gloss > 0.0 and sh_degree > 0:
        sh += mirror_sh(points.normals, points.rgb, surface.gloss, surface.shine, TO_FILE, sh_degree)
    logits = rng.normal(-2.6, 1.5, count) if refine else rng.normal(2.3, 2.0, count) + 2.5 * surface.emissive
    return Splats(points.positions + lift[:, None] * points.normals, axes, np.exp(logs), logits, sh)


def _strand_splats(strands: Strands, sh_degree: int, rng: np.random.Generator) -> Splats:
    """Needles, one per segment of each polyline."""
    start, end = strands.lines[:, :-1].reshape(-1, 3), strands.lines[:, 1:].reshape(-1, 3)
    segments = strands.lines.shape[1] - 1
    count = len(start)
    forward = unit(end - start)
    side = unit(np.cross(forward, unit(rng.normal(size=(count, 3)))))
    axes = np.stack([forward, side, np.cross(forward, side)], axis=2)
    long = np.linalg.norm(end - start, axis=1) * 0.5
    along = np.tile((np.arange(segments) + 0.5) / segments, len(strands.lines))
    thin = strands.thickness * (1.1 - 0.6 * along) * np.exp(rng.normal(0.0, 0.25, count))
    sigmas = np.stack([long, np.minimum(thin, long), 0.6 * np.minimum(thin, long)], axis=1)
    middle = 0.5 * (start + end)
    colour = strands.root_rgb + along[:, None] * (strands.tip_rgb - strands.root_rgb)
    own = np.repeat(np.exp(rng.normal(0.0, 0.18, (len(strands.lines), 3))), segments, axis=0)
    sh = _flat_sh(np.clip(colour * own * grass_light(middle[:, 2]), 0.02, 1.0), sh_degree, rng)
    return Splats(middle, axes, sigmas, rng.normal(1.6, 1.8, count), sh)


def _floaters(count: int, sh_degree: int, rng: np.random.Generator) -> Splats:
    """Faint blobs in the air, as every capture has some."""
    angle, radius = rng.uniform(0.0, 2.0 * np.pi, count), rng.uniform(0.6, 6.5, count)
    positions = np.stack([radius * np.cos(angle), radius * np.sin(angle), rng.uniform(0.1, 3.2, count)], axis=1)
    axes = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    sigmas = np.sort(np.exp(rng.normal(-2.6, 0.8, (count, 3))), axis=1)[:, ::-1]
    sh = _flat_sh(rng.uniform(0.35, 0.8, (count, 1)) + rng.normal(0.0, 0.06, (count, 3)), sh_degree, rng)
    return Splats(positions, axes, sigmas, rng.normal(-4.3, 0.5, count), sh)


def _flat_sh(colour: F64, sh_degree: int, rng: np.random.Generator) -> F64:
    sh = np.zeros((len(colour), 1 + SH_REST_COUNTS[sh_degree], 3))
    sh[:, 0] = dc_from_rgb(colour)
    sh[:, 1:] = coefficient_noise(len(colour), sh_degree, rng)
    return sh


def _thin_out(parts: list[Splats], budget: int, rng: np.random.Generator) -> list[Splats]:
    """At most ``budget`` splats over all parts, dropped evenly at random."""
    total = sum(len(part.positions) for part in parts)
    kept = np.zeros(total, bool)
    kept[rng.permutation(total)[:budget]] = True
    result = []
    start = 0
    for part in parts:
        chosen = kept[start : start + len(part.positions)]
        start += len(chosen)
        fields = (part.positions, part.axes, part.sigmas, part.logits, part.sh)
        result.append(Splats(*(values[chosen] for values in fields)))
    return result


def _assemble(parts: list[Splats], seed: int, rng: np.random.Generator) -> GaussianCloud:
    """One cloud in random order, each splat's axes in random order and sign, quaternions not normalised."""
    count = sum(len(part.positions) for part in parts)
    order = rng.permutation(count)

    def gather(name: str) -> F64:
        return np.concatenate([getattr(part, name) for part in parts])[order]

    axes, sigmas = TO_FILE @ gather("axes"), gather("sigmas")
    shuffle = np.argsort(rng.random((count, 3)), axis=1)
    sigmas = np.take_along_axis(sigmas, shuffle, axis=1)
    axes = np.take_along_axis(axes, shuffle[:, None, :], axis=2) * rng.choice([-1.0, 1.0], (count, 1, 3))
    axes[:, :, 2] *= np.sign(np.linalg.det(axes))[:, None]
    quats = _quaternions(axes) * rng.choice([-1.0, 1.0], (count, 1))
    quats *= np.minimum(0.7 * np.exp(np.abs(rng.normal(0.17, 0.13, (count, 1)))), 1.5)
    sh = gather("sh").astype(np.float32)
    return GaussianCloud(
        (WORLD_UNITS * gather("positions") @ TO_FILE.T).astype(np.float32),
        log_from_scale(WORLD_UNITS * sigmas).astype(np.float32),
        quats.astype(np.float32),
        (np.abs(gather("logits") - MIN_LOGIT) + MIN_LOGIT).astype(np.float32),
        np.clip(sh[:, 0], -1.9, 2.6),
        np.ascontiguousarray(sh[:, 1:]),
        CloudMeta(comments=(f"synthetic scene, seed {seed}",)),
    )


def _quaternions(axes: F64) -> F64:
    """Unit quaternions wxyz [n,4] of rotation matrices [n,3,3]: largest eigenvector of Bar-Itzhack's matrix."""
    m = axes
    four = np.empty((len(m), 4, 4))
    four[:, 0, 0] = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        four[:, i + 1, i + 1] = m[:, i, i] - m[:, j, j] - m[:, k, k]
        four[:, j + 1, k + 1] = four[:, k + 1, j + 1] = m[:, j, k] + m[:, k, j]
        four[:, 0, i + 1] = four[:, i + 1, 0] = m[:, k, j] - m[:, j, k]
    # the matrix is 4 q q^T - 1, so any non-zero column of it plus one is q up to its length
    four += np.eye(4)
    best = np.argmax(np.einsum("nii->ni", four), axis=1)
    return unit(four[np.arange(len(m)), :, best])


def synthetic_cameras() -> list[dict[str, Any]]:
    """Entries of cameras.json: views on an uneven orbit at eye height; every 8th by name is the test split."""
    entries = []
    for view in range(VIEWS):
        angle = 2.0 * np.pi * view / VIEWS - 1.9
        radius = 3.05 + 0.35 * np.sin(2.7 * view)
        eye = np.array([radius * np.cos(angle), radius * np.sin(angle), 1.25 + 0.4 * np.sin(1.9 * view + 0.5)])
        target = np.array([0.1 * np.sin(view), 0.1 * np.cos(1.3 * view), 0.5])
        forward = unit(target - eye)
        right = unit(np.cross(forward, [0.0, 0.0, 1.0]))
        rotation = np.stack([right, np.cross(forward, right), forward])
        matrix = np.eye(4)
        matrix[:3, :3] = rotation @ TO_FILE.T
        matrix[:3, 3] = -WORLD_UNITS * rotation @ eye
        name = f"view_{view:02d}.png"
        entries.append(
            {
                "name": name,
                "image": f"images/{name}",
                "width": WIDTH,
                "height": HEIGHT,
                "fx": FOCAL,
                "fy": FOCAL,
                "cx": WIDTH / 2.0,
                "cy": HEIGHT / 2.0,
                "world_to_camera": matrix.tolist(),
                "split": "test" if view % 8 == 0 else "train",
            }
        )
    return entries


def write_synthetic(out_dir: str | Path, splats: int = 100_000, seed: int = 7, sh_degree: int = 3) -> tuple[Path, Path]:
    """Write point_cloud.ply and cameras.json into ``out_dir`` (made if absent, files overwritten); return their paths.

    Raises BadInputError as ``synthetic_cloud`` does, OutputError if a file cannot be written.
    """
    out_dir = Path(out_dir)
    cloud = synthetic_cloud(splats, seed, sh_degree)
    ply, cameras = out_dir / "point_cloud.ply", out_dir / "cameras.json"
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder: {error}", field="out_dir", found=str(out_dir)) from error
    write_ply(ply, cloud, force=True)
    atomic_write(cameras, [(json.dumps(synthetic_cameras(), indent=1) + "\n").encode()], force=True)
    return ply, cameras


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="synthetic_cloud", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    parser.add_argument("--splats", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--sh-degree", type=int, default=3, choices=range(4))
    options = parser.parse_args(argv)
    try:
        ply, cameras = write_synthetic(options.out_dir, options.splats, options.seed, options.sh_degree)
    except GsbError as error:
        print(f"synthetic_cloud: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{ply}\n{cameras}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
