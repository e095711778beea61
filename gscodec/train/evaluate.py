"""How well a cloud shows photos that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gscodec.cloud import GaussianCloud
from gscodec.config import Progress, no_progress
from gscodec.quality import psnr
from gscodec.train.devices import renderer_for
from gscodec.train.ssim import l1_and_ssim
from gscodec.train.views import PhotoViews


@dataclass(frozen=True)
class Quality:
    """Means over views: PSNR in dB, without rounding to 8 bits, and SSIM."""

    views: int
    psnr: float
    ssim: float


def evaluate(cloud: GaussianCloud, views: PhotoViews, progress: Progress = no_progress) -> Quality:
    """Render every view in the cloud's render mode and compare with its photo, both clamped to 0..1."""
    render = renderer_for(views.device)
    arrays = (cloud.positions, cloud.log_scales, cloud.quats_wxyz, cloud.opacity_logits)
    tensors = [torch.from_numpy(np.array(array)).to(views.device) for array in arrays]
    sh = torch.from_numpy(np.concatenate([cloud.sh_dc[:, None], cloud.sh_rest], axis=1)).to(views.device)
    antialiased = cloud.meta.render_mode == "antialiased"
    values = []
    with torch.no_grad():
        for number, camera in enumerate(views.cameras):
            progress("measuring", number / len(views))
            image, _ = render(*tensors, sh, camera, views.background, antialiased=antialiased)
            shown = image.clamp(0.0, 1.0).cpu().numpy()
            photo = views.photo(number).cpu().numpy()
            _, similarity, _ = l1_and_ssim(shown.astype(np.float64), photo.astype(np.float64), 0.0)
            values.append((psnr(shown, photo), similarity))
    means = np.mean(values, axis=0)
    return Quality(len(values), float(means[0]), float(means[1]))
