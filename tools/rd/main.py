"""gsrd: rate-distortion curves of splat codecs on trained scenes, what pruning does, and the report about both."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from gscodec.cli.common import Summary, new_parser, run

_EXAMPLES = """\
  gsrd run scenes/garden my.ply -o results --codecs gscodec,spz,naive
  gsrd prune scenes/garden -o results --methods opacity,eagles
  gsrd report results -o report.html

`gsrd run --help`, `gsrd prune --help` and `gsrd report --help` say more."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    wanted = next((word for word in words if not word.startswith("-")), None)
    return run(_parser(wanted), _work, words)


def _parser(wanted: str | None) -> argparse.ArgumentParser:
    """The commands do not need each other: only the one that is asked for is imported."""
    parser = new_parser("gsrd", "Measure splat codecs against each other on trained scenes.", _EXAMPLES)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("run", "measure codecs on scenes"),
        ("prune", "measure importance scores on scenes"),
        ("report", "curves, tables and pictures as one page"),
    ):
        command = commands.add_parser(
            name, help=text, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object instead of text"
        )
        if name == wanted == "run":
            from gscodec_tools.rd.command import EXAMPLES, configure

            command.description, command.epilog = "Measure codecs on scenes.", f"examples:\n{EXAMPLES}"
            configure(command)
        elif name == wanted == "prune":
            from gscodec_tools.rd.prune_command import EXAMPLES as PRUNE_EXAMPLES
            from gscodec_tools.rd.prune_command import configure as configure_prune

            command.description = "Measure what is left of scenes that are pruned by importance scores."
            command.epilog = f"examples:\n{PRUNE_EXAMPLES}"
            configure_prune(command)
        elif name == wanted == "report":
            from gscodec_tools.report.command import configure as configure_report

            configure_report(command)
    return parser


def _work(args: argparse.Namespace) -> Summary:
    if args.command == "run":
        from gscodec_tools.rd.command import work
    elif args.command == "prune":
        from gscodec_tools.rd.prune_command import work
    else:
        from gscodec_tools.report.command import work
    return work(args)


if __name__ == "__main__":
    sys.exit(main())
