"""What the command line tools share: options, checks before work, summary, errors, exit codes.

A tool is a parser and a function ``work(args) -> Summary``. The summary goes to stdout and everything else to
stderr; with --json one object goes to stdout instead. docs/exit-codes.md lists what ``run`` returns.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from gscodec import __version__
from gscodec.bitstream.atomic import atomic_write
from gscodec.cli.progress import Progress
from gscodec.cli.text import json_text, printable
from gscodec.errors import BadInputError, GsbError, LimitExceededError, OutputError

EXIT_INTERRUPTED = 130

STDOUT = ("-", "/dev/stdout")
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}  # powers


@dataclass(frozen=True)
class Summary:
    """The result of a tool: (label, text) lines for people and ``data`` for --json; a line without label continues.

    ``to_stderr``: stdout holds the tool's output itself.
    """

    lines: Sequence[tuple[str, str]]
    data: Mapping[str, Any]
    to_stderr: bool = False


def new_parser(prog: str, description: str, examples: str) -> argparse.ArgumentParser:
    """A parser with --version and --json; ``examples`` ends the help."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument("--version", action="version", version=f"{prog} {__version__}")
    return parser


def add_conversion_options(parser: argparse.ArgumentParser, output_help: str) -> None:
    """The options that gsenc and gsdec have in common."""
    parser.add_argument("-o", "--output", metavar="FILE", help=output_help)
    parser.add_argument("-f", "--force", action="store_true", help="replace an existing output file")
    parser.add_argument("-q", "--quiet", action="store_true", help="print warnings and errors only")
    parser.add_argument("--threads", type=whole_number, metavar="N", help="threads to use (default: all cores)")


def whole_number(text: str) -> int:
    """A number >= 1, for argparse."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number >= 1")
    return int(text)


def byte_size(text: str) -> int:
    """Bytes from "1000000", "5MB" (powers of 1000), "64M", "1.5G", "4GiB" (powers of 1024). For argparse."""
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)([KMGT]?)(i?B)?", text, re.IGNORECASE | re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 1000000, 64M or 4G")
    base = 1000 if (match[3] or "").upper() == "B" else 1024
    return int(float(match[1]) * base ** _UNITS[match[2].upper()])


def run(parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], Summary], argv: Sequence[str]) -> int:
    """Parse, work, print; the exit code. Exceptions that are no GsbError are bugs and pass through."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file name may hold what the terminal's encoding has no sign for
            stream.reconfigure(errors="backslashreplace")
    json_wanted = False
    try:
        try:
            args = parser.parse_args(argv)
            json_wanted = args.json
            summary = work(args)
            _print_summary(summary, args)
        except MemoryError as error:
            raise LimitExceededError(f"not enough memory{f': {error}' if str(error) else ''}") from error
        except SystemExit as stop:  # --help, --version or a usage error, and argparse has said it; or SIGTERM
            _print("", sys.stdout)
            return int(stop.code or 0)
    except GsbError as error:
        say(f"{parser.prog}: error: {error}")
        with contextlib.suppress(GsbError):  # the first error counts
            _print(json_text({"error": _error_data(error)}) if json_wanted else "", sys.stdout)
        return error.exit_code
    except KeyboardInterrupt:
        say(f"{parser.prog}: interrupted")
        return EXIT_INTERRUPTED
    return 0


def check_output(args: argparse.Namespace, output: str) -> None:
    """Refuse before any work what could not be written, or would destroy the input.

    Raises BadInputError if ``output`` is the input file or exists without --force, OutputError if there is
    no directory to write it to.
    """
    if output in STDOUT:
        if args.json:
            raise BadInputError("--json and the output cannot both go to stdout", field="output", found=output)
        return
    path = Path(output)
    try:
        mode = path.stat().st_mode if path.exists() else None
        same = mode is not None and Path(args.input).exists() and path.samefile(args.input)
        parent = path.resolve().parent
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    if same:
        raise BadInputError("the output is the input file", field="output", found=output, allowed="another file")
    if mode is not None and stat.S_ISDIR(mode):
        raise OutputError(f"cannot write {output}: it is a directory")
    if mode is not None and not stat.S_ISREG(mode):
        return  # a device or pipe
    if mode is not None and not args.force:
        raise BadInputError(f"{output} exists already: use --force to replace it")
    if not parent.is_dir():
        raise OutputError(f"cannot write {output}: there is no directory {parent}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {output}: no permission to write to {parent}")


def write(output: str, chunks: Iterable[bytes], total: int, force: bool, progress: Progress) -> int:
    """Write ``chunks`` atomically, reporting progress against ``total`` bytes; the bytes written."""
    written = 0

    def counted() -> Iterator[bytes]:
        nonlocal written
        for chunk in chunks:
            progress("writing", min(written / max(total, 1), 1.0))
            yield chunk
            written += len(chunk)

    atomic_write(output, counted(), force=force)
    return written


def say(text: str) -> None:
    """One line to stderr; a stderr that cannot be written to is no reason to fail."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(printable(text), file=sys.stderr, flush=True)


def _error_data(error: GsbError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "field": error.field,
        "found": error.found,
        "allowed": error.allowed,
        "offset": error.offset,
    }


def _print_summary(summary: Summary, args: argparse.Namespace) -> None:
    stream = sys.stderr if summary.to_stderr else sys.stdout
    if args.json:
        _print(json_text(summary.data), stream)
    elif not getattr(args, "quiet", False):
        _print("\n".join(f"{label:<9} {printable(text)}".rstrip() for label, text in summary.lines), stream)


def _print(text: str, stream: TextIO | None) -> None:
    """Write a line, or nothing for "", and flush. Raises OutputError."""
    if stream is None:  # closed by the caller: nobody wants to know
        return
    try:
        print(text, end="\n" if text else "", file=stream, flush=True)
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # Python flushes again at exit: let that go nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):  # which is a reader that has seen enough: `gsinfo ... | head`
            raise OutputError(f"cannot write standard output: {error.strerror or error}") from error
