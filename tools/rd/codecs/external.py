"""Any codec with a command that turns a PLY into a file and one that turns it back, given as a template.

    name=enc {in} {out} {point} ;; dec {in} {out}
    name=enc {in} {out.drc} --bits {point} ;; dec {in} {out} ;; 8 10 12

``{in}`` and ``{out}`` are paths; ``{out.drc}`` in the first command gives the coded file that ending, for tools that
choose a format by it. The third part lists the values of ``{point}``, one rate point each. No shell is involved.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from pathlib import Path

from gscodec_tools.commands import Finished, run_command
from gscodec_tools.rd.codecs.base import Point

from gscodec.errors import BadInputError

FORM = "'name=enc {in} {out} {point} ;; dec {in} {out} ;; VALUE VALUE ...'"
_OUT = re.compile(r"\{out((?:\.\w+)*)\}")


class ExternalCodec:
    """Parsed from a template. Raises BadInputError for one that cannot be read."""

    def __init__(self, template: str) -> None:
        self.template = template
        name, equals, rest = template.partition("=")
        self.name = name.strip()
        parts = [part.strip() for part in rest.split(";;")]
        if not (equals and re.fullmatch(r"\w[\w.-]*", self.name) and len(parts) in (2, 3) and all(parts)):
            raise BadInputError("cannot read the codec's template", field="external", found=template, allowed=FORM)
        try:
            self._encode, self._decode = (shlex.split(part) for part in parts[:2])
        except ValueError as error:
            raise BadInputError(f"cannot read the template: {error}", field="external", found=template) from error
        found = _OUT.search(parts[0])
        wrong = found is None or not all("{in}" in part for part in parts[:2]) or "{out}" not in parts[1]
        if wrong or ("{point}" in parts[0]) != (len(parts) == 3):
            raise BadInputError("the template lacks a part", field="external", found=template, allowed=FORM)
        self.ending = (found[1] if found else "") or ".bin"
        self._values = parts[2].split() if len(parts) == 3 else []

    def points(self) -> list[Point]:
        """One for each value; without values, "default"."""
        return [Point(value, {"point": value}) for value in self._values] or [Point("default")]

    def available(self) -> None:
        """Raises BadInputError if a command is not there."""
        for command in (self._encode, self._decode):
            _program(command[0])

    def version(self) -> str:
        """A digest of the template and of the programs that it starts."""
        state = hashlib.sha256(self.template.partition("=")[2].rpartition(";;")[0].encode())
        for command in (self._encode, self._decode):
            state.update(_program(command[0]).read_bytes())
        return f"external {state.hexdigest()[:12]}"

    def encode(self, ply: Path, output: Path, point: Point, limit_s: float) -> Finished:
        """The first command."""
        return run_command(_filled(self._encode, ply, output, point.settings.get("point", "")), limit_s=limit_s)

    def decode(self, coded: Path, ply: Path, limit_s: float) -> Finished:
        """The second."""
        return run_command(_filled(self._decode, coded, ply, ""), limit_s=limit_s)

    def stream_bytes(self, coded: Path) -> None:
        """Not told."""
        del coded


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise BadInputError("an external codec is not installed, or not on PATH", field="command", found=name)
    return Path(found)


def _filled(command: list[str], source: Path, target: Path, point: str) -> list[str]:
    values = {"in": str(source), "point": point}

    def value(match: re.Match[str]) -> str:
        return values.get(match[1], str(target))

    return [re.sub(r"\{(in|point|out(?:\.\w+)*)\}", value, word) for word in command]
