"""Colours that make up for all else that a file changes: what is decoded decides, as renders show it. Preset "max".

Blending is linear in the colours, so that what renders of the decoded file lack of those of the source says how to
move them: each splat's mean colour (SH DC) by the mean of what is lacking where it shows, weighted by how much it does
(SIRT, Gregor and Benson 2008). It is the value before rounding that moves, so that moves add up until a code changes.
Positions, shapes and opacities stay: they decide the steps and the order of the splats, and so what is decoded.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, Progress, Visibility, no_progress
from gscodec.decoder import decode
from gscodec.encoder import encode_chunks
from gscodec.rate.reference import Reference
from gscodec.sanitise import VALUE_LIMIT
from gscodec.transform.harmonics import SH_DC

RATES = (2.0, 1.5, 1.5, 1.0, 1.0)  # of each round: how far colours move of what a splat alone would need
LEAST_GAIN = 0.05  # dB that moved colours have to bring: they take 0.1 to 0.2 % more bytes
UNSURE = 10.0  # pixels of light that a splat has to give, in all views, to be moved half of the way


def recoloured(
    cloud: GaussianCloud,
    config: EncodeConfig,
    reference: Reference,
    visibility: Visibility | None = None,
    progress: Progress = no_progress,
) -> GaussianCloud:
    """``cloud`` with the SH DC that make its file, with ``config`` and ``visibility``, look most like ``reference``.

    One encode, and two renders of each view of the reference, for each of RATES. On one machine the same for the same
    arguments, with any number of threads.
    """
    colours = cloud.sh_dc.astype(np.float64)
    for number, rate in enumerate(RATES):
        progress("recolouring", number / len(RATES))
        cloud = replace(cloud, sh_dc=colours.astype(np.float32))
        chunks, report = encode_chunks(cloud, config, visibility=visibility)
        lacking = reference.lacking(decode(b"".join(chunks), threads=config.threads))
        rows = np.concatenate([np.zeros(0, np.int64), *report.rows])
        colours[rows] += rate * lacking[:, :3] / (SH_DC * (lacking[:, 3:] + UNSURE))
        np.clip(colours, -VALUE_LIMIT, VALUE_LIMIT, out=colours)  # NaN of a splat that no file keeps stays
    return replace(cloud, sh_dc=colours.astype(np.float32))
