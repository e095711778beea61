"""gscodec: a codec for trained 3D Gaussian Splatting scenes.

>>> import gscodec
>>> cloud = gscodec.read_ply("scene.ply")
>>> data = gscodec.encode(cloud, gscodec.EncodeConfig(quality=75))
>>> gscodec.write_ply("back.ply", gscodec.decode(data))
"""

from gscodec.cloud import CloudMeta, GaussianCloud
from gscodec.config import DecodeLimits, EncodeConfig
from gscodec.decoder import decode
from gscodec.encoder import encode
from gscodec.errors import (
    BadInputError,
    BadMagicError,
    CorruptStreamError,
    GsbError,
    LimitExceededError,
    OutputError,
    UnsupportedFeatureError,
    UnsupportedVersionError,
)
from gscodec.formats.ply import read_ply, write_ply

__version__ = "0.1.0"

__all__ = [
    "BadInputError",
    "BadMagicError",
    "CloudMeta",
    "CorruptStreamError",
    "DecodeLimits",
    "EncodeConfig",
    "GaussianCloud",
    "GsbError",
    "LimitExceededError",
    "OutputError",
    "UnsupportedFeatureError",
    "UnsupportedVersionError",
    "decode",
    "encode",
    "read_ply",
    "write_ply",
]
