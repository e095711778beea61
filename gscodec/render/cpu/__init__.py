"""The CPU renderer: 3D Gaussian Splatting as published, in numba, the same bits for any number of threads.

Differentiable rendering is in ``gscodec.render.cpu.autograd``, which needs torch.
"""

from gscodec.render.cpu.adjoint import colour_residuals
from gscodec.render.cpu.contributions import contributions
from gscodec.render.cpu.fisher import fisher_information
from gscodec.render.cpu.forward import render
from gscodec.render.cpu.removal import removal_error
from gscodec.render.cpu.sensitivity import gradients
from gscodec.render.cpu.sight import visibility

__all__ = [
    "colour_residuals",
    "contributions",
    "fisher_information",
    "gradients",
    "removal_error",
    "render",
    "visibility",
]
