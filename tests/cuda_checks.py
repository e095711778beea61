"""What the tests of the CUDA renderer share, with a GPU and without."""

from __future__ import annotations

from typing import Any

import numpy as np
from slow_renderer import camera

from gscodec.cloud import GaussianCloud

PARAMETERS = ("means", "log_scales", "quats", "opacity_logits", "sh")
BACKGROUND = (0.2, 0.4, 0.6)

# No multiple of the tile, and the principal point in the middle, where gsplat's guard band is ours.
VIEW = camera(width=51, height=37, cx=25.5, cy=18.5)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(np.clip(a, 0, 1).astype(np.float64) - np.clip(b, 0, 1)).mean()))


def tensors(cloud: GaussianCloud, device: str = "cpu") -> dict[str, Any]:
    import torch

    sh = np.concatenate([cloud.sh_dc[:, None], cloud.sh_rest], axis=1)
    arrays = (cloud.positions, cloud.log_scales, cloud.quats_wxyz, cloud.opacity_logits, sh)
    return {
        name: torch.tensor(array, device=device, requires_grad=True)
        for name, array in zip(PARAMETERS, arrays, strict=True)
    }


def gradients(module: Any, cloud: GaussianCloud, device: str = "cpu", view: Any = VIEW) -> dict[str, np.ndarray]:
    """Of sum(weights * image), by every parameter and by centres on the screen."""
    import torch

    inputs = tensors(cloud, device)
    antialiased = cloud.meta.render_mode == "antialiased"
    image, seen = module.render(**inputs, camera=view, background=BACKGROUND, antialiased=antialiased)
    weights = np.random.default_rng(5).normal(size=image.shape).astype(np.float32)
    (image * torch.from_numpy(weights).to(device)).sum().backward()
    found = {name: tensor.grad.cpu().numpy() for name, tensor in inputs.items()}
    return found | {"screen": seen.screen_gradient.cpu().numpy()}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
