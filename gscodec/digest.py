"""Digest of decoded arrays: proof that this decoder made of a tile what the encoder saw."""

from __future__ import annotations

import hashlib

import numpy as np

from gscodec.cloud import ATTRIBUTES, GaussianCloud

DIGEST_BYTES = 32


def digest(cloud: GaussianCloud) -> bytes:
    """SHA-256 of positions, log_scales, quats_wxyz, opacity_logits, sh_dc, sh_rest, then the extras in their order.

    Each array as little-endian bytes in C order, one after the other.
    """
    state = hashlib.sha256()
    for array in (*(getattr(cloud, name) for name in ATTRIBUTES), *cloud.extras.values()):
        state.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return state.digest()
