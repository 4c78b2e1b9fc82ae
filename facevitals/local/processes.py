"""Child processes that end with this process: started in sessions of their own, stopped in order, killed if need be."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1


class Stopped(Exception):  # noqa: N818  (a request, not an error)
    """SIGINT or SIGTERM was received."""


@contextmanager
def until_stopped(clean_up: Callable[[], None]) -> Iterator[None]:
    """End the block with `Stopped` on SIGTERM or SIGINT; `clean_up` runs however it ends, uninterrupted by signals."""

    numbers = (signal.SIGINT, signal.SIGTERM)

    def request_stop(_signal: int, _frame: FrameType | None) -> None:
        # At once: a second signal must not interrupt the clean-up.
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    previous = {number: signal.signal(number, request_stop) for number in numbers}
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        clean_up()
        for number, handler in previous.items():
            signal.signal(number, handler)


@dataclass
class Child:
    """One child process."""

    name: str
    process: subprocess.Popen[bytes]

    def stop(self, grace_s: float) -> None:
        """Send SIGTERM, wait `grace_s` seconds, then kill the whole session."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(grace_s)
        # Its own children share its session and its process group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_child(
    name: str,
    command: list[str],
    *,
    env: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
    on_our_death: signal.Signals = signal.SIGTERM,
) -> Child:
    """Start a process that a Ctrl-C in this terminal does not reach, and that the kernel ends with this one (Linux).

    Call it from the main thread: the kernel watches the thread that started the process, not the process.

    Args:
        name: of the process, for messages.
        command: program and arguments.
        env: variables in addition to those of this process.
        log: file for standard output and error.
        on_our_death: the signal that ends it with this process; SIGKILL where it may be frozen (SIGSTOP) then.
    """
    process = subprocess.Popen(
        command,
        env=None if env is None else _merged(env),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT if log else None,
        start_new_session=True,
        preexec_fn=_die_with_parent(on_our_death) if sys.platform == "linux" else None,  # noqa: PLW1509  (no threads run at start)
    )
    return Child(name, process)


def _merged(env: Mapping[str, str]) -> dict[str, str]:
    # Names of settings are case-insensitive, so `facevitals_port` of this environment would compete.
    given = {name.upper() for name in env}
    return {**{name: value for name, value in os.environ.items() if name.upper() not in given}, **env}


def _die_with_parent(how: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def set_death_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, how)
        if os.getppid() != parent:
            os._exit(1)

    return set_death_signal


def allow_many_files() -> None:
    """Raise the limit on open files to what the system permits, for this process and its children."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
