"""GaussianCloud: the one data type that every stage takes or returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from gscodec.errors import BadInputError

F32 = npt.NDArray[np.float32]

SH_REST_COUNTS = (0, 3, 8, 15, 24)  # coefficients beyond DC for SH degree 0..4
RENDER_MODES = ("classic", "antialiased")
ATTRIBUTES = ("positions", "log_scales", "quats_wxyz", "opacity_logits", "sh_dc", "sh_rest")


@dataclass(frozen=True)
class CloudMeta:
    """What a file must not lose besides the numbers.

    ``property_order`` and ``ply_format`` remember the source PLY so that a lossless file can give it
    back byte for byte; both are empty for a cloud that was not read from a PLY. ``converted`` names the
    standard properties that the source stored in another type than float32. A comment is the text after
    "comment "; an obj_info line is kept whole.
    """

    coordinate_frame: str = "unknown"
    render_mode: str = "classic"
    comments: tuple[str, ...] = ()
    property_order: tuple[str, ...] = ()
    ply_format: str = ""
    converted: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class GaussianCloud:
    """N Gaussians as a structure of float32 arrays, in the units that trainers store.

    positions [N,3] world units; log_scales [N,3] natural log; quats_wxyz [N,4] not necessarily
    normalised; opacity_logits [N]; sh_dc [N,3]; sh_rest [N,K,3], K in {0,3,8,15,24}.
    ``extras`` holds any further per-splat scalar property by its PLY name, in its own type.
    """

    positions: F32
    log_scales: F32
    quats_wxyz: F32
    opacity_logits: F32
    sh_dc: F32
    sh_rest: F32
    meta: CloudMeta = field(default_factory=CloudMeta)
    extras: Mapping[str, npt.NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        n = len(self.positions)
        shapes: dict[str, tuple[int, ...]] = {
            "positions": (n, 3),
            "log_scales": (n, 3),
            "quats_wxyz": (n, 4),
            "opacity_logits": (n,),
            "sh_dc": (n, 3),
        }
        for name, shape in shapes.items():
            _check(name, getattr(self, name), shape)
        rest = self.sh_rest
        if rest.ndim != 3 or rest.shape[1] not in SH_REST_COUNTS:
            raise BadInputError(
                "wrong shape", field="sh_rest", found=rest.shape, allowed=f"({n}, K, 3), K in {SH_REST_COUNTS}"
            )
        _check("sh_rest", rest, (n, rest.shape[1], 3))
        if self.meta.render_mode not in RENDER_MODES:
            raise BadInputError(
                "unknown render mode", field="render_mode", found=self.meta.render_mode, allowed=RENDER_MODES
            )
        for name, values in self.extras.items():
            if values.shape != (n,):
                raise BadInputError("wrong shape", field=f"extras[{name}]", found=values.shape, allowed=(n,))

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def sh_degree(self) -> int:
        """SH degree 0..4, from the number of coefficients."""
        return SH_REST_COUNTS.index(self.sh_rest.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of the float arrays (236 per splat at SH degree 3), extras not counted."""
        return int(sum(getattr(self, name).nbytes for name in ATTRIBUTES))

    def select(self, index: npt.NDArray[Any] | slice) -> GaussianCloud:
        """The splats that a boolean mask, an index array or a slice picks, in its order."""
        arrays: dict[str, Any] = {name: _picked(getattr(self, name), index) for name in ATTRIBUTES}
        extras = {name: _picked(values, index) for name, values in self.extras.items()}
        return replace(self, **arrays, extras=MappingProxyType(extras))

    def at_sh_degree(self, degree: int) -> GaussianCloud:
        """Without SH coefficients of higher degrees than ``degree``; itself if it has none. Raises BadInputError."""
        if not 0 <= degree < len(SH_REST_COUNTS):
            allowed = f"0..{len(SH_REST_COUNTS) - 1}"
            raise BadInputError("no such SH degree", field="sh_degree", found=degree, allowed=allowed)
        if degree >= self.sh_degree:
            return self
        return replace(self, sh_rest=np.ascontiguousarray(self.sh_rest[:, : SH_REST_COUNTS[degree]]))

    def to_torch(self, device: str = "cpu") -> dict[str, Any]:
        """Tensors as gsplat's ``rasterization`` takes them, on ``device``; needs torch.

        means [N,3]; quats [N,4] wxyz, normalised; scales [N,3] linear; opacities [N] in 0..1;
        colors [N,K+1,3] SH coefficients, DC first; and ``sh_degree`` as an int.
        """
        try:
            import torch
        except ImportError as error:
            raise BadInputError("to_torch needs PyTorch: pip install 'gscodec[train]'") from error

        def tensor(array: F32) -> Any:
            return torch.from_numpy(np.array(array)).to(device)

        sh = np.concatenate([self.sh_dc[:, None, :], self.sh_rest], axis=1)
        return {
            "means": tensor(self.positions),
            "quats": torch.nn.functional.normalize(tensor(self.quats_wxyz), dim=-1),
            "scales": torch.exp(tensor(self.log_scales)),
            "opacities": torch.sigmoid(tensor(self.opacity_logits)),
            "colors": tensor(sh),
            "sh_degree": self.sh_degree,
        }


def _picked(values: npt.NDArray[Any], index: npt.NDArray[Any] | slice) -> npt.NDArray[Any]:
    if isinstance(index, np.ndarray) and index.dtype.kind in "iu":
        return np.asarray(np.take(values, index, axis=0))  # half the time of indexing
    return np.ascontiguousarray(values[index])


def _check(name: str, array: F32, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise BadInputError("wrong shape", field=name, found=array.shape, allowed=shape)
    if array.dtype != np.float32:
        raise BadInputError("wrong type", field=name, found=array.dtype, allowed="float32")


def empty_cloud(count: int, sh_degree: int, meta: CloudMeta | None = None) -> GaussianCloud:
    """A cloud of uninitialised arrays, for decoders to fill."""

    def array(*shape: int) -> F32:
        return np.empty((count, *shape), np.float32)

    rest = array(SH_REST_COUNTS[sh_degree], 3)
    return GaussianCloud(array(3), array(3), array(4), array(), array(3), rest, meta or CloudMeta())
