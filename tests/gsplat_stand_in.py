"""gsplat's functions as the CUDA renderer calls them, in plain torch on the CPU, for clouds of a few hundred splats.

Written from gsplat 1.5.3's documentation and the rules of its kernels; a test compares it with gsplat's own torch
reference where gsplat is installed. Rows of splats that are not drawn hold NaN, as gsplat's hold whatever was there.
"""

from __future__ import annotations

import math
from typing import Any

import torch

__version__ = "1.5.3"
MAX_ALPHA = 0.999
MIN_ALPHA = 1 / 255
CLOSED = 1e-4


def fully_fused_projection(
    means: torch.Tensor,
    covars: None,
    quats: torch.Tensor,
    scales: torch.Tensor,
    viewmats: torch.Tensor,
    Ks: torch.Tensor,  # noqa: N803 (gsplat's name)
    width: int,
    height: int,
    eps2d: float = 0.3,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    packed: bool = False,
    sparse_grad: bool = False,
    calc_compensations: bool = False,
    camera_model: str = "pinhole",
    opacities: torch.Tensor | None = None,
) -> tuple[Any, ...]:
    assert covars is None
    assert not packed
    assert not sparse_grad
    assert camera_model == "pinhole"
    assert opacities is not None
    view, (fx, fy, cx, cy) = viewmats[0], (Ks[0, 0, 0], Ks[0, 1, 1], Ks[0, 0, 2], Ks[0, 1, 2])
    x, y, z = (means @ view[:3, :3].T + view[:3, 3]).unbind(1)
    # The Jacobian is taken at most 0.3 half fields of view beyond the image's borders.
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    tx = torch.clamp(x / z, -cx / fx - margin_x, (width - cx) / fx + margin_x)
    ty = torch.clamp(y / z, -cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    rows = torch.stack([fx / z, zero, -fx * tx / z, zero, fy / z, -fy * ty / z], 1).reshape(-1, 2, 3)
    axes = rows @ view[:3, :3] @ rotations(quats) * scales[:, None, :]
    covariance = axes @ axes.transpose(1, 2)
    before = torch.linalg.det(covariance)
    xx, yy, xy = covariance[:, 0, 0] + eps2d, covariance[:, 1, 1] + eps2d, covariance[:, 0, 1]
    det = xx * yy - xy * xy
    compensations = torch.sqrt(torch.clamp_min(before / det, 0.0))
    effective = opacities * compensations if calc_compensations else opacities
    extent = torch.clamp_max(torch.sqrt(torch.clamp_min(2 * torch.log(effective / MIN_ALPHA), 0.0)), 3.33)
    radius = torch.ceil(extent[:, None] * torch.sqrt(torch.stack([xx, yy], 1))).detach()
    centre = torch.stack([fx * x / z + cx, fy * y / z + cy], 1)
    size = torch.tensor([width, height])
    drawn = (z >= near_plane) & (z <= far_plane) & (det > 0) & (effective >= MIN_ALPHA)
    drawn &= (radius > radius_clip).any(1) & ((centre + radius > 0) & (centre - radius < size)).all(1)
    conics = torch.stack([yy / det, -xy / det, xx / det], 1)

    def shown(values: torch.Tensor, otherwise: float = math.nan) -> torch.Tensor:
        mask = drawn.reshape(-1, *[1] * (values.ndim - 1))
        return torch.where(mask, values, torch.full_like(values, otherwise))[None]

    radii = shown(radius, 0.0).int()
    return radii, shown(centre), shown(z), shown(conics), shown(compensations, 0.0) if calc_compensations else None


def rotations(quats: torch.Tensor) -> torch.Tensor:
    w, x, y, z = torch.nn.functional.normalize(quats, dim=1).unbind(1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
    rows += [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
    rows += [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, 1).reshape(-1, 3, 3)


def spherical_harmonics(
    degrees_to_use: int, dirs: torch.Tensor, coeffs: torch.Tensor, masks: torch.Tensor | None = None
) -> torch.Tensor:
    """As Sloan 2013 has them: cos and sin of m times the azimuth by recurrence, times a polynomial in z."""
    x, y, z = torch.nn.functional.normalize(dirs, dim=-1).unbind(-1)
    real, imaginary = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(degrees_to_use):
        real, imaginary = (
            [*real, x * real[-1] - y * imaginary[-1]],
            [*imaginary, x * imaginary[-1] + y * real[-1]],
        )
    basis = []
    for degree in range(degrees_to_use + 1):
        for order in range(-degree, degree + 1):
            m = abs(order)
            turn = real[m] if order >= 0 else imaginary[m]
            norm = math.sqrt((2 * degree + 1) / (4 * math.pi) * math.factorial(degree - m) / math.factorial(degree + m))
            basis.append((-1) ** m * norm * (math.sqrt(2) if m else 1.0) * legendre(degree, m, z) * turn)
    colours = (torch.stack(basis, -1)[..., None] * coeffs[..., : len(basis), :]).sum(-2)
    if masks is None:
        return colours
    return torch.where(masks[..., None], colours, torch.full_like(colours, math.nan))


def legendre(degree: int, order: int, z: torch.Tensor) -> torch.Tensor:
    """The associated Legendre function over sin^order, without the Condon-Shortley sign."""
    before, now = torch.zeros_like(z), torch.full_like(z, float(math.prod(range(1, 2 * order, 2))))
    for n in range(order + 1, degree + 1):
        before, now = now, ((2 * n - 1) * z * now - (n + order - 1) * before) / (n - order)
    return now


def isect_tiles(
    means2d: torch.Tensor,
    radii: torch.Tensor,
    depths: torch.Tensor,
    tile_size: int,
    tile_width: int,
    tile_height: int,
    sort: bool = True,
    segmented: bool = False,
    packed: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    assert sort
    assert not segmented
    assert not packed
    keys, splats, counts = [], [], torch.zeros(radii.shape[:2], dtype=torch.int32)
    bits = depths.detach()[0].contiguous().view(torch.int32).tolist()
    for i in torch.nonzero((radii[0] > 0).all(1)).squeeze(1).tolist():
        (x, y), (rx, ry) = means2d.detach()[0, i].tolist(), radii[0, i].tolist()
        left, right = max(0, math.floor((x - rx) / tile_size)), min(tile_width, math.ceil((x + rx) / tile_size))
        top, bottom = max(0, math.floor((y - ry) / tile_size)), min(tile_height, math.ceil((y + ry) / tile_size))
        tiles = [row * tile_width + column for row in range(top, bottom) for column in range(left, right)]
        counts[0, i] = len(tiles)
        keys += [tile << 32 | bits[i] for tile in tiles]
        splats += [i] * len(tiles)
    order = torch.sort(torch.tensor(keys, dtype=torch.int64), stable=True)
    return counts, order.values, torch.tensor(splats, dtype=torch.int32)[order.indices]


def isect_offset_encode(isect_ids: torch.Tensor, n_images: int, tile_width: int, tile_height: int) -> torch.Tensor:
    assert n_images == 1
    tiles = torch.arange(tile_width * tile_height) << 32
    return torch.searchsorted(isect_ids, tiles).int().reshape(1, tile_height, tile_width)


def rasterize_to_pixels(
    means2d: torch.Tensor,
    conics: torch.Tensor,
    colors: torch.Tensor,
    opacities: torch.Tensor,
    image_width: int,
    image_height: int,
    tile_size: int,
    isect_offsets: torch.Tensor,
    flatten_ids: torch.Tensor,
    backgrounds: torch.Tensor | None = None,
    masks: None = None,
    packed: bool = False,
    absgrad: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    assert masks is None
    assert not packed
    assert not absgrad
    image, left = [None] * (image_width * image_height), [None] * (image_width * image_height)
    arguments = (means2d, conics, opacities, image_width, image_height, tile_size, isect_offsets, flatten_ids)
    for pixels, splats, weights, passed in blended(*arguments):
        colours = weights @ colors[0, splats]
        if backgrounds is not None:
            colours = colours + passed[:, None] * backgrounds[0]
        for n, pixel in enumerate(pixels.tolist()):
            image[pixel], left[pixel] = colours[n], passed[n]
    shape = (1, image_height, image_width, -1)
    return torch.stack(image).reshape(shape), 1 - torch.stack(left).reshape(shape)


def rasterize_to_indices_in_range(
    range_start: int,
    range_end: int,
    transmittances: torch.Tensor,
    means2d: torch.Tensor,
    conics: torch.Tensor,
    opacities: torch.Tensor,
    image_width: int,
    image_height: int,
    tile_size: int,
    isect_offsets: torch.Tensor,
    flatten_ids: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    assert (range_start, range_end) == (0, 1 << 30)
    assert bool((transmittances == 1).all())
    assert transmittances.shape == (1, image_height, image_width)
    all_splats, all_pixels = [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0, dtype=torch.int64)]
    arguments = (means2d, conics, opacities, image_width, image_height, tile_size, isect_offsets, flatten_ids)
    for pixels, splats, weights, _ in blended(*arguments):
        row, column = torch.nonzero(weights > 0, as_tuple=True)
        all_splats.append(splats[column])
        all_pixels.append(pixels[row])
    pixel, order = torch.sort(torch.cat(all_pixels), stable=True)
    return torch.cat(all_splats)[order], pixel, torch.zeros_like(pixel)


def blended(
    means2d: torch.Tensor,
    conics: torch.Tensor,
    opacities: torch.Tensor,
    width: int,
    height: int,
    tile_size: int,
    offsets: torch.Tensor,
    order: torch.Tensor,
) -> Any:
    """For each tile its pixels [P], splats front to back [S], their weights alpha·T [P,S], and what passes all [P]."""
    columns = offsets.shape[2]
    ends = [*offsets.flatten().tolist(), len(order)]
    for tile in range(offsets.numel()):
        top, left = tile // columns * tile_size, tile % columns * tile_size
        y, x = torch.meshgrid(
            torch.arange(top, min(top + tile_size, height)),
            torch.arange(left, min(left + tile_size, width)),
            indexing="ij",
        )
        x, y = x.flatten(), y.flatten()
        splats = order[ends[tile] : ends[tile + 1]].long()
        dx = means2d[0, splats, 0] - (x[:, None] + 0.5)
        dy = means2d[0, splats, 1] - (y[:, None] + 0.5)
        xx, xy, yy = conics[0, splats].unbind(1)
        sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
        alpha = torch.clamp_max(opacities[0, splats] * torch.exp(-sigma), MAX_ALPHA)
        alpha = torch.where((sigma >= 0) & (alpha >= MIN_ALPHA), alpha, torch.zeros_like(alpha))
        after = torch.cumprod(1 - alpha, 1)
        # The splat that would close a pixel is left out, and all behind it.
        alpha = torch.where(after > CLOSED, alpha, torch.zeros_like(alpha))
        after = torch.cumprod(1 - alpha, 1)
        before = torch.cat([torch.ones((len(x), 1)), after[:, :-1]], 1)
        passed = after[:, -1] if len(splats) else torch.ones(len(x))
        yield y * width + x, splats, alpha * before[:, : len(splats)], passed
