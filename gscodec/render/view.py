"""What a differentiable renderer says of a view besides its image; shared by the CPU and the CUDA renderer."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gscodec.errors import BadInputError


@dataclass(eq=False)
class View:
    """What densification needs to know of one rendered view.

    ``visible`` bool [N]: splats that reach 1/255 somewhere in the view. ``screen_gradient`` float32 [N,2]: the
    gradient by their centres in pixels (x, y); None until the loss has been differentiated.
    """

    visible: torch.Tensor
    screen_gradient: torch.Tensor | None = None

    def screen_gradient_norm(self) -> torch.Tensor:
        """Per splat [N], the length of ``screen_gradient``. Raises BadInputError before backward."""
        if self.screen_gradient is None:
            raise BadInputError("no gradient yet: call backward first", field="screen_gradient")
        return self.screen_gradient.norm(dim=1)
