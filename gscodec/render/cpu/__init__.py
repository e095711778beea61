"""The CPU renderer: 3D Gaussian Splatting as published, in numba, the same bits for any number of threads.

Differentiable rendering is in ``gscodec.render.cpu.autograd``, which needs torch.
"""

from gscodec.render.cpu.contributions import contributions
from gscodec.render.cpu.forward import render

__all__ = ["contributions", "render"]
