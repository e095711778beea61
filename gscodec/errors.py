"""The one error family. Every failure of gscodec is a GsbError with a stable code.

The command line tools exit with ``exit_code``; scripts test ``code``. Neither ever changes meaning.
"""

from __future__ import annotations

from typing import Any, ClassVar


class GsbError(Exception):
    """Base of all errors: names the field, what was found, what is allowed, and where."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        found: Any = None,
        allowed: Any = None,
        offset: int | None = None,
    ) -> None:
        self.message = message
        self.field = field
        self.found = found
        self.allowed = allowed
        self.offset = offset
        super().__init__(self._text())

    def _text(self) -> str:
        parts = []
        if self.field is not None:
            parts.append(f"field {self.field}")
        if self.found is not None:
            parts.append(f"found {self.found}")
        if self.allowed is not None:
            parts.append(f"allowed {self.allowed}")
        if self.offset is not None:
            parts.append(f"at byte {self.offset}")
        return f"{self.message} ({', '.join(parts)})" if parts else self.message


class BadInputError(GsbError):
    """The input file, array or option cannot be used as asked."""

    code = "bad-input"
    exit_code = 3


class BadMagicError(GsbError):
    """The bytes are not a .gsb file."""

    code = "bad-magic"
    exit_code = 4


class UnsupportedVersionError(GsbError):
    """A .gsb file of another format version."""

    code = "unsupported-version"
    exit_code = 5


class UnsupportedFeatureError(GsbError):
    """A well-formed file that needs something this decoder does not have."""

    code = "unsupported-feature"
    exit_code = 6


class CorruptStreamError(GsbError):
    """The bytes contradict the format: truncated, altered or miswritten."""

    code = "corrupt-stream"
    exit_code = 7


class LimitExceededError(GsbError):
    """Decoding would need more than the caller's DecodeLimits allow."""

    code = "limit-exceeded"
    exit_code = 8


class OutputError(GsbError):
    """The result could not be written; nothing was left behind."""

    code = "output"
    exit_code = 9


class UnreachableTargetError(GsbError):
    """No file of the size or quality asked can be made; ``allowed`` says what can."""

    code = "unreachable-target"
    exit_code = 10
