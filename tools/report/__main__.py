"""``python -m gscodec_tools.report``: the same as ``gsrd report``."""

import sys

from gscodec_tools.report.command import DESCRIPTION, EXAMPLES, configure, work

from gscodec.cli.common import new_parser, run

if __name__ == "__main__":
    parser = new_parser("gsrd report", DESCRIPTION, EXAMPLES)
    configure(parser)
    sys.exit(run(parser, work, sys.argv[1:]))
