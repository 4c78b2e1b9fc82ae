"""The terminal that commands write to."""

import sys
from typing import Final

from rich.console import Console

#: Columns of what is not a terminal (a log, a pipe).
_PIPE_WIDTH: Final = 100


def output() -> Console:
    """A console on stdout, wide enough for the table where nobody has set a width."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
