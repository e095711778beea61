"""Coders of plain bytes, for what is too small or too irregular for tables of its own."""

from __future__ import annotations

import zstandard

from gscodec.errors import BadInputError, CorruptStreamError, LimitExceededError

RAW = 0
ZSTD = 1
DEFAULT_LEVEL = 19

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
WINDOW_LIMIT = 1 << 27  # what zstd itself allows without --long; libzstd allocates no more than the content needs


def compress(data: bytes, level: int = DEFAULT_LEVEL) -> tuple[int, bytes]:
    """(coder, bytes): a zstd frame that states its content size, or the data itself where that is not longer."""
    if not 1 <= level <= zstandard.MAX_COMPRESSION_LEVEL:
        raise BadInputError(
            "bad zstd level", field="level", found=level, allowed=f"1..{zstandard.MAX_COMPRESSION_LEVEL}"
        )
    packed = zstandard.ZstdCompressor(level=level, write_content_size=True).compress(data)
    return (ZSTD, packed) if len(packed) < len(data) else (RAW, data)


def decompress(coder: int, data: bytes, raw_length: int, limit: int) -> bytes:
    """Inverse of ``compress``: exactly ``raw_length`` bytes, at most ``limit`` of them.

    Nothing is allocated before the lengths agree. Raises LimitExceededError and CorruptStreamError.
    """
    if raw_length > limit:
        raise LimitExceededError("stream too long", field="raw_length", found=raw_length, allowed=f"<= {limit}")
    if coder == RAW:
        if len(data) != raw_length:
            raise CorruptStreamError("wrong length of raw bytes", field="raw", found=len(data), allowed=raw_length)
        return bytes(data)
    if coder != ZSTD:
        raise CorruptStreamError("unknown byte coder", field="coder", found=coder, allowed=(RAW, ZSTD))
    _check_frame(data, raw_length)
    try:
        decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT)
        raw = decompressor.decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptStreamError(f"bad zstd frame: {error}", field="zstd") from error
    if len(raw) != raw_length:
        raise CorruptStreamError("wrong length of zstd content", field="zstd", found=len(raw), allowed=raw_length)
    return raw


def _check_frame(data: bytes, raw_length: int) -> None:
    # python-zstandard believes a frame's content size, whatever max_output_size says, and looks no further
    # into a frame of size zero: so the first must be checked here and the second refused.
    if bytes(data[:4]) != ZSTD_MAGIC:
        raise CorruptStreamError("no zstd frame", field="zstd magic", found=bytes(data[:4]).hex(), allowed="28b52ffd")
    try:
        frame = zstandard.get_frame_parameters(data)
    except zstandard.ZstdError as error:
        raise CorruptStreamError(f"bad zstd frame header: {error}", field="zstd") from error
    if frame.content_size != raw_length or raw_length == 0:
        raise CorruptStreamError(
            "wrong zstd content size",
            field="zstd content size",
            found=frame.content_size,
            allowed=f"{raw_length}, stated, not zero",
        )
    if frame.dict_id:
        raise CorruptStreamError("zstd dictionary", field="zstd dictionary id", found=frame.dict_id, allowed=0)
    if frame.window_size > WINDOW_LIMIT:
        raise LimitExceededError(
            "zstd window too large", field="zstd window size", found=frame.window_size, allowed=f"<= {WINDOW_LIMIT}"
        )
