"""What a process of a pool does when the terminal interrupts it. Imports nothing large: it has to be set early."""

import os
import signal


def end_when_interrupted() -> None:
    """Let Ctrl-C, which reaches every process of a terminal, end this process without a traceback."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
