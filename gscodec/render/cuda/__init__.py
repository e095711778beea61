"""The CUDA renderer: gsplat behind the protocol of gscodec.render. Needs the extra ``[cuda]``, a GPU and nvcc.

Importing this needs none of them; calling does, and raises BadInputError that says what is missing.
Differentiable rendering is in ``gscodec.render.cuda.autograd``. docs/cuda.md says how images differ from
``gscodec.render.cpu``'s and what has been run on a GPU.
"""

from gscodec.render.cuda.renderer import CudaRenderer, contributions, load, render, view_arguments

__all__ = ["CudaRenderer", "contributions", "load", "render", "view_arguments"]
