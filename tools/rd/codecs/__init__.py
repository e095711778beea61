"""Codecs that `gsrd run` measures: a wrapper each, and the table of them."""

from __future__ import annotations

from gscodec_tools.rd.codecs.base import Codec, CodecOptions, Point
from gscodec_tools.rd.codecs.external import ExternalCodec
from gscodec_tools.rd.codecs.gsplat_png import GsplatPng
from gscodec_tools.rd.codecs.naive import Naive
from gscodec_tools.rd.codecs.own import OwnCodec, OwnTargets
from gscodec_tools.rd.codecs.splat_transform import CompressedPly, Sog, Spz

from gscodec.errors import BadInputError

_ALL: tuple[type[Codec], ...] = (OwnCodec, OwnTargets, Spz, CompressedPly, Sog, GsplatPng, Naive)
CODECS: dict[str, type[Codec]] = {codec.name: codec for codec in _ALL}


def all_codecs(options: CodecOptions) -> dict[str, Codec]:
    """Every codec by its name, external ones last. Raises BadInputError for a bad template or a name used twice."""
    codecs: dict[str, Codec] = {name: make() for name, make in CODECS.items()}
    for template in options.external:
        codec = ExternalCodec(template)
        if codec.name in codecs:
            raise BadInputError("two codecs of one name", field="external", found=codec.name)
        codecs[codec.name] = codec
    return codecs


__all__ = ["CODECS", "Codec", "CodecOptions", "Point", "all_codecs"]
