"""The bits per value that GETA-3DGS lets each attribute have: its Table I (arXiv 2605.02086), as data.

Both presets' bounds hold for values counted as the paper counts them (its equation 4): four of a quaternion, and all
SH AC degrees together. The mean bits that the paper reports as learned, 7.41 (Table IV) and 63.7 bytes per splat
(Table III), are those of all attributes at their lower bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

VALUES: Mapping[str, int] = MappingProxyType(
    {"position": 3, "scale": 3, "rotation": 4, "opacity": 1, "dc": 3, "ac": 45}
)  # per splat of SH degree 3
COMPRESSIVE: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"position": (12, 16), "scale": (8, 8), "rotation": (8, 8), "opacity": (6, 6), "dc": (8, 8), "ac": (7, 8)}
)
COMPETITIVE: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"position": (14, 16), "scale": (10, 10), "rotation": (10, 10), "opacity": (8, 10), "dc": (10, 10), "ac": (8, 10)}
)
