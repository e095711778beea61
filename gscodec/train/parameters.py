"""The tensors that training moves, and Adam's memory of each splat: they grow and shrink together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from gscodec.cloud import ATTRIBUTES, SH_REST_COUNTS, CloudMeta, GaussianCloud
from gscodec.errors import BadInputError
from gscodec.train.options import TrainOptions

MOMENTS = ("exp_avg", "exp_avg_sq")
EPSILON = 1e-15  # gradients of single splats are tiny; the usual 1e-8 would swallow them


class SplatParameters:
    """Tensors by the names of GaussianCloud's arrays, each with its own Adam learning rate.

    Raises BadInputError for a cloud with values that are not finite.
    """

    def __init__(self, cloud: GaussianCloud, options: TrainOptions, extent: float) -> None:
        self.extent = extent
        self._position_rate = options.position_rate
        self._meta = CloudMeta(
            coordinate_frame=cloud.meta.coordinate_frame,
            render_mode="antialiased" if options.antialiased else "classic",
            comments=cloud.meta.comments,
        )
        rates = {
            "positions": options.position_rate(0) * extent,
            "log_scales": options.scale_lr,
            "quats_wxyz": options.rotation_lr,
            "opacity_logits": options.opacity_lr,
            "sh_dc": options.dc_lr,
            "sh_rest": options.rest_lr,
        }
        groups = []
        for name in ATTRIBUTES:
            array = getattr(cloud, name)
            if not np.isfinite(array).all():
                raise BadInputError("not finite", field=name, found="NaN or infinity", allowed="finite values")
            tensor = torch.from_numpy(np.array(array)).to(options.device).requires_grad_()
            groups.append({"params": [tensor], "lr": rates[name], "name": name})
        # Fused: one pass over the memory, several times faster than one operation after the other.
        self.adam = torch.optim.Adam(groups, lr=0.0, eps=EPSILON, fused=True)

    def __len__(self) -> int:
        return len(self["positions"])

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self._group(name)["params"][0]
        return tensor

    def harmonics(self, degree: int | None = None) -> torch.Tensor:
        """SH coefficients [N,K+1,3] up to a degree, None for all, DC first."""
        dc, rest = self["sh_dc"][:, None], self["sh_rest"]
        count = rest.shape[1] if degree is None else min(SH_REST_COUNTS[degree], rest.shape[1])
        return torch.cat([dc, rest[:, :count]], dim=1) if count else dc

    def cloud(self) -> GaussianCloud:
        """What has been learned so far."""
        arrays = {name: self[name].detach().cpu().numpy().copy() for name in ATTRIBUTES}
        return GaussianCloud(**arrays, meta=self._meta)

    def adam_step(self, iteration: int) -> None:
        """Move along the gradients, with the learning rates of an iteration; forget the gradients."""
        self._group("positions")["lr"] = self._position_rate(iteration) * self.extent
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def moments(self, name: str) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Adam's first and second moments of a tensor, in its shape; None before its first step."""
        state = self.adam.state.get(self[name])
        return (state[MOMENTS[0]], state[MOMENTS[1]]) if state else None

    def rebuild(self, keep: torch.Tensor, added: Mapping[str, torch.Tensor] | None = None) -> None:
        """Keep the splats of a mask or index [N], with their moments, then append ``added`` with moments of zero."""
        for name in ATTRIBUTES:
            old, parts = self[name], [self[name].detach()[keep]]
            if added is not None:
                parts.append(added[name].to(old))
            tensor = torch.cat(parts).requires_grad_()
            state = self.adam.state.pop(old, None)
            if state:
                for moment in MOMENTS:
                    kept = state[moment][keep]
                    state[moment] = torch.cat([kept, kept.new_zeros(len(tensor) - len(kept), *kept.shape[1:])])
                self.adam.state[tensor] = state
            self._group(name)["params"][0] = tensor

    def lower_opacities(self, logit: float) -> None:
        """Cap the opacities, and forget where they were heading."""
        with torch.no_grad():
            self["opacity_logits"].clamp_(max=logit)
        for moment in self.moments("opacity_logits") or ():
            moment.zero_()

    def _group(self, name: str) -> dict[str, Any]:
        group: dict[str, Any] = self.adam.param_groups[ATTRIBUTES.index(name)]
        return group
