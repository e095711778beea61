"""LPIPS with VGG16: a learned distance between images, smaller is closer. Needs PyTorch and a file of weights.

The weights belong to others and are never downloaded. The file is one PyTorch state dict with the convolutions of
torchvision's VGG16 (``features.0.weight`` ... ``features.28.bias``) and the linear layers of LPIPS
(``lin0.model.1.weight`` ... ``lin4.model.1.weight``); torch.save({**vgg16, **linear}, path) makes it from the two.

Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gscodec_tools.metrics import Image, check_images

from gscodec.errors import BadInputError

# How the image enters the network. 3DGS feeds 0..1 where LPIPS was trained on -1..1: the two do not compare.
VARIANTS = {"lpips_vgg": (2.0, -1.0), "lpips_vgg_3dgs": (1.0, 0.0)}
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
SMALLEST_SIDE = 16  # four poolings
EPSILON = 1e-10

# VGG16 up to relu5_3, cut where LPIPS compares: (index below ``features``, channels in, out) of each convolution
SLICES = (
    ((0, 3, 64), (2, 64, 64)),
    ((5, 64, 128), (7, 128, 128)),
    ((10, 128, 256), (12, 256, 256), (14, 256, 256)),
    ((17, 256, 512), (19, 512, 512), (21, 512, 512)),
    ((24, 512, 512), (26, 512, 512), (28, 512, 512)),
)


class Lpips:
    """LPIPS of one variant of ``VARIANTS``, weights loaded once; call it with two images."""

    def __init__(self, weights: str | Path, variant: str) -> None:
        """Raises BadInputError without PyTorch, for an unknown variant, and for weights that do not fit."""
        if variant not in VARIANTS:
            raise BadInputError("no such LPIPS", field="variant", found=variant, allowed=", ".join(VARIANTS))
        self.variant = variant
        self._torch = _import_torch()
        self._weights = self._load(Path(weights))

    def __call__(self, a: Image, b: Image) -> float:
        """The distance of two RGB images [H,W,3], clamped to [0, 1], with sides of at least ``SMALLEST_SIDE``.

        Raises BadInputError for images that differ in shape, are not finite, not RGB or too small.
        """
        check_images(a, b)
        if a.shape[2] != 3 or min(a.shape[:2]) < SMALLEST_SIDE:
            allowed = f"at least {SMALLEST_SIDE} x {SMALLEST_SIDE} x 3"
            raise BadInputError("image unfit for LPIPS", field="image", found=a.shape, allowed=allowed)
        torch, function = self._torch, self._torch.nn.functional
        with torch.inference_mode():
            x = torch.cat([self._input(a), self._input(b)])
            total = 0.0
            for rank, layers in enumerate(SLICES):
                if rank:
                    x = function.max_pool2d(x, kernel_size=2, stride=2)
                for index, _, _ in layers:
                    weight, bias = (self._weights[f"features.{index}.{part}"] for part in ("weight", "bias"))
                    x = torch.relu(function.conv2d(x, weight, bias, padding=1))
                unit = x / (torch.sqrt(torch.sum(x * x, dim=1, keepdim=True)) + EPSILON)
                difference = torch.square(unit[:1] - unit[1:])
                linear = self._weights[f"lin{rank}.model.1.weight"]
                total += float(function.conv2d(difference, linear).mean())
        return total

    def _input(self, image: Image) -> Any:
        factor, offset = VARIANTS[self.variant]
        pixels = np.clip(image, 0.0, 1.0).astype(np.float32) * np.float32(factor) + np.float32(offset)
        normal = (pixels - np.array(SHIFT, np.float32)) / np.array(SCALE, np.float32)
        return self._torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1)[None]))

    def _load(self, path: Path) -> dict[str, Any]:
        if not path.is_file():
            raise BadInputError("LPIPS needs a file of weights", field="weights", found=str(path))
        try:
            state = self._torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises many unrelated types for files that are not its own
            raise BadInputError(f"cannot read weights: {error}", field="weights", found=str(path)) from error
        shapes: dict[str, tuple[int, ...]] = {}
        for rank, layers in enumerate(SLICES):
            for index, channels_in, channels_out in layers:
                shapes[f"features.{index}.weight"] = (channels_out, channels_in, 3, 3)
                shapes[f"features.{index}.bias"] = (channels_out,)
            shapes[f"lin{rank}.model.1.weight"] = (1, layers[-1][2], 1, 1)
        chosen = {}
        for name, shape in shapes.items():
            value: Any = state.get(name) if isinstance(state, dict) else None
            found = tuple(value.shape) if isinstance(value, self._torch.Tensor) else None
            if found != shape:
                raise BadInputError("weights do not fit VGG16 and LPIPS", field=name, found=found, allowed=shape)
            chosen[name] = value.to(self._torch.float32)
        return chosen


def lpips(a: Image, b: Image, weights: str | Path, variant: str) -> float:
    """LPIPS of one pair of images; for many pairs keep an ``Lpips``. Raises BadInputError as it does."""
    return Lpips(weights, variant)(a, b)


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise BadInputError("LPIPS needs PyTorch: pip install 'gscodec[train]'") from error
    return torch
