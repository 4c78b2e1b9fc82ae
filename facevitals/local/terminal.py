"""The terminal that commands write to."""

import sys
from typing import Final

from rich.console import Console

#: Columns where stdout is not a terminal: a log, a pipe.
_PIPE_WIDTH: Final = 100


def output() -> Console:
    """A console on stdout, wide enough for the table where stdout is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
