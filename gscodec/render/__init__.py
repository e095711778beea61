"""Rendering a cloud: one small protocol, and the renderers that follow it."""

from gscodec.render.protocol import Contributions, Renderer

__all__ = ["Contributions", "Renderer"]
