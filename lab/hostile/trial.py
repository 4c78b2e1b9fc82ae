"""One file through the real decode path, in a process of its own that may crash or hang; what it cost."""

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from workers.branch.result import ClipRejected
from workers.media.clip import ClipBudget, open_clip

#: A file that takes longer than this has hung: the budget of decoding time, and as much again for the rest.
HUNG_S: Final = 2 * ClipBudget().cpu_s
DECODED: Final = "decoded"


@dataclass(frozen=True)
class Ending:
    """How a file ended: `decoded`, a rejection's code, or what must not be: `raised …`, `crashed …`, `hung`.

    `peak_mb` is above what the idle process held.
    """

    how: str
    cpu_s: float
    peak_mb: float
    frames: int = 0
    detail: str = ""

    @property
    def with_reason(self) -> bool:
        """Whether the file was analysed, or refused with a reason that its sender can read."""
        return not self.how.startswith(("raised", "crashed", "hung"))


class Prober:
    """A process that opens and decodes files as a worker does; replaced when one of them takes it down."""

    def __init__(self, read: Callable[[Path], int] | None = None, hung_s: float = HUNG_S) -> None:
        """`read` takes the place of decoding; it gives the number of frames."""
        self._read, self._hung_s = read or frames_of, hung_s
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def _start(self) -> None:
        self._ours, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_probe_for_ever, args=(theirs, self._read), daemon=True)
        self._process.start()
        theirs.close()
        self._ours.recv()

    def try_out(self, path: Path) -> Ending:
        """Decode `path` to its end."""
        self._ours.send(str(path))
        try:
            if self._ours.poll(self._hung_s):
                ending: Ending = self._ours.recv()
                return ending
            self._process.kill()
            how = "hung"
        except (EOFError, ConnectionError):
            how = ""
        self._process.join()
        code = self._process.exitcode or 0
        how = how or f"crashed {signal.Signals(-code).name if code < 0 else code}"
        self._start()
        return Ending(how, self._hung_s if how == "hung" else 0.0, 0.0)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._ours.send(None)
        self._process.join(5)
        self._process.kill()
        self._process.join()


def frames_of(path: Path) -> int:
    """Decode a clip to its end; the number of its frames.

    Raises:
        ClipRejected: it can't be.
    """
    with open_clip(path) as clip:
        return sum(1 for _ in clip.frames())


def _probe_for_ever(wire: Connection, read: Callable[[Path], int]) -> None:
    idle_mb = _memory_mb("VmRSS")
    wire.send(None)
    while path := wire.recv():
        wire.send(_measured(Path(path), read, idle_mb))


def _measured(path: Path, read: Callable[[Path], int], idle_mb: float) -> Ending:
    with contextlib.suppress(OSError):
        # From here on the kernel's high-water mark is this file's.
        Path("/proc/self/clear_refs").write_text("5")
    begun, frames, detail = time.process_time(), 0, ""
    try:
        frames, how = read(path), DECODED
    except ClipRejected as rejected:
        how, detail = rejected.code.value, rejected.detail
    except Exception as error:  # which ones there are is the question
        how, detail = f"raised {type(error).__name__}", str(error)
    return Ending(how, time.process_time() - begun, max(_memory_mb("VmHWM") - idle_mb, 0.0), frames, detail)


def _memory_mb(what: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    return 0.0
