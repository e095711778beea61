"""A view of a cloud whose splats are faded by scores, differentiable by the scores and by nothing else.

RAP (arXiv 2602.19753, equation 7) multiplies each splat's opacity and scales by its score S while it trains. Both
move the exponent of the splat in each pixel, and by log S the derivative of alpha's logarithm is 1 + dᵀ(K - 0.3 K²)d:
1 from the opacity, the rest from the covariance S²Σ + 0.3 I with the inverse K. So one sum per splat and tile is all
that the backward pass needs, where the renderer's own (gscodec.render.cpu.autograd) takes nine and goes on to 3D.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit, prange

from gscodec.cloud import GaussianCloud
from gscodec.render.cpu import pixels as px
from gscodec.render.cpu import projection as pj
from gscodec.render.cpu.forward import background_colour, blend
from gscodec.render.cpu.tiles import TILE, TiledView, tile_view
from gscodec.render.protocol import BLACK
from gscodec.scene.camera import Camera
from gscodec.train.devices import renderer_for
from gscodec.units import logit_from_opacity, opacity_from_logit

F32 = npt.NDArray[np.float32]
SMALLEST = 1e-6  # score; the splat has long vanished
HIGHEST_LOGIT = 30.0  # an opacity that is 1 in float32; its logit would be infinite


def faded(cloud: GaussianCloud, scores: F32) -> GaussianCloud:
    """The cloud with opacities and scales multiplied by ``scores`` float32 [N] in 0..1."""
    share = np.clip(scores, SMALLEST, 1.0)
    opacity = opacity_from_logit(cloud.opacity_logits.astype(np.float64)) * share
    logits = np.minimum(logit_from_opacity(opacity), HIGHEST_LOGIT).astype(np.float32)
    scales = cloud.log_scales + np.log(share)[:, None]
    return replace(cloud, opacity_logits=logits, log_scales=scales.astype(np.float32))


def render_faded(cloud: GaussianCloud, camera: Camera, scores: torch.Tensor) -> torch.Tensor:
    """The view of ``faded`` on black as a tensor [height, width, 3] that depends on ``scores`` float32 [N].

    On another device than the CPU it is rendered by that device's differentiable renderer.
    Raises BadInputError as ``renderer_for``.
    """
    if scores.device.type == "cpu":
        image: torch.Tensor = _Fade.apply(scores, cloud, camera)
        return image
    return render_by_parameters(cloud, camera, scores)


def render_by_parameters(cloud: GaussianCloud, camera: Camera, scores: torch.Tensor) -> torch.Tensor:
    """What ``render_faded`` gives, through a renderer with gradients by all parameters, on any device."""
    render = renderer_for(scores.device.type)

    def tensor(array: F32) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(scores.device)

    share = scores.clamp(SMALLEST, 1.0)
    opacity = torch.sigmoid(tensor(cloud.opacity_logits).double()) * share
    logits = torch.logit(opacity).float().clamp(max=HIGHEST_LOGIT)
    log_scales = tensor(cloud.log_scales) + torch.log(share)[:, None]
    sh = tensor(np.concatenate([cloud.sh_dc[:, None], cloud.sh_rest], axis=1))
    antialiased = cloud.meta.render_mode == "antialiased"
    geometry = tensor(cloud.positions), log_scales, tensor(cloud.quats_wxyz), logits, sh
    image: torch.Tensor = render(*geometry, camera, BLACK, antialiased=antialiased)[0]
    return image


class _Fade(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor, cloud: GaussianCloud, camera: Camera) -> torch.Tensor:
        ctx.scores = scores.detach().numpy()
        ctx.antialiased = cloud.meta.render_mode == "antialiased"
        ctx.view = tile_view(faded(cloud, ctx.scores), camera, pj.CENTRE_LIMIT)
        ctx.image = blend(ctx.view, camera, background_colour(BLACK))
        return torch.from_numpy(ctx.image.copy())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, image_gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        upstream = np.ascontiguousarray(image_gradient.numpy())
        gradient = score_gradient(ctx.view, ctx.image, upstream, ctx.scores, ctx.antialiased)
        return torch.from_numpy(gradient), None, None


def score_gradient(view: TiledView, image: F32, image_gradient: F32, scores: F32, antialiased: bool) -> F32:
    """The gradient of a loss by ``scores`` float32 [N], from that by the image [height, width, 3]."""
    per_pair = np.zeros(len(view.pairs), np.float32)
    _walk(view.screen, view.offsets, view.pairs, view.columns, image, image_gradient, antialiased, per_pair)
    by_log = np.bincount(view.pairs, per_pair, len(view.index))
    gradient = np.zeros(len(scores), np.float32)
    gradient[view.index] = by_log / np.clip(scores[view.index], SMALLEST, 1.0)
    return gradient


@njit(cache=True, nogil=True, parallel=True, fastmath=True, error_model="numpy")
def _walk(
    screen: F32,
    offsets: npt.NDArray[np.int64],
    pairs: npt.NDArray[np.int32],
    columns: int,
    image: F32,
    image_gradient: F32,
    antialiased: bool,
    per_pair: F32,
) -> None:
    """Fill ``per_pair`` [pairs] with the gradient by log S; the walk is that of gscodec.render.cpu.backward."""
    height, width = image.shape[0], image.shape[1]
    zero, one, blur = np.float32(0.0), np.float32(1.0), np.float32(pj.DILATION)
    pixel_x, pixel_y = px.pixel_grid()
    for tile in prange(len(offsets) - 1):
        left, top = (tile % columns) * TILE, (tile // columns) * TILE
        wide, high = min(TILE, width - left), min(TILE, height - top)
        passed = np.ones(px.PIXELS, np.float32)
        is_open = px.open_pixels(wide, high)
        by_red, by_green, by_blue, behind = (
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
            np.zeros(px.PIXELS, np.float32),
        )
        for row in range(high):
            for column in range(wide):
                p = row * TILE + column
                g, light = image_gradient[top + row, left + column], image[top + row, left + column]
                by_red[p], by_green[p], by_blue[p] = g[0], g[1], g[2]
                behind[p] = g[0] * light[0] + g[1] * light[1] + g[2] * light[2]
        first_open, last_open = 0, high - 1
        for n in range(offsets[tile], offsets[tile + 1]):
            if (n - offsets[tile]) % px.LIVE_CHECK == 0:
                first_open, last_open = px.open_rows(is_open, first_open, last_open)
                if first_open > last_open:
                    break
            s = screen[pairs[n]]
            a, b, c = px.power_eighths(s)
            kxx, kxy, kyy = s[pj.CONIC_XX], s[pj.CONIC_XY], s[pj.CONIC_YY]
            qxx, qyy = kxx - blur * (kxx * kxx + kxy * kxy), kyy - blur * (kyy * kyy + kxy * kxy)
            qxy = kxy - blur * kxy * (kxx + kyy)
            # Antialiased, the opacity carries sqrt(det S²Σ / det (S²Σ + 0.3 I)) as well.
            own_part = one + blur * (kxx + kyy) if antialiased else one
            mx, my, opacity = s[pj.X] - np.float32(left), s[pj.Y] - np.float32(top), s[pj.OPACITY]
            sr, sg, sb = s[pj.RED], s[pj.GREEN], s[pj.BLUE]
            first, last = px.touched_rows(s, my, first_open, last_open)
            total = zero
            for k in range((last + 1 - first) * TILE):
                # Unsigned: an index that might count from the end would stop the vectoriser.
                i = np.uint64(first * TILE) + np.uint64(k)
                dx, dy = pixel_x[i] - mx, pixel_y[i] - my
                u = (a * dx + b * dy) * dx + c * dy * dy
                full = opacity * px.exp_eighths(u)
                alpha = min(full, px.CEILING)
                drawn = (alpha >= px.FLOOR) & (u <= zero)
                alpha = alpha * is_open[i] if drawn else zero
                t = passed[i]
                rest = t * (one - alpha)
                closes = rest < px.CLOSING
                weight = zero if closes else alpha * t
                is_open[i] = zero if closes else is_open[i]
                passed[i] = t if closes else rest
                own = weight * (sr * by_red[i] + sg * by_green[i] + sb * by_blue[i])
                left_over = behind[i] - own
                behind[i] = left_over
                passes = (weight > zero) & (full < px.CEILING)
                by_power = own - left_over * alpha / (one - alpha) if passes else zero
                total += by_power * (own_part + qxx * dx * dx + (qxy + qxy) * dx * dy + qyy * dy * dy)
            per_pair[n] = total
