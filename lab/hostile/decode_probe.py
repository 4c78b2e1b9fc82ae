"""Decode one file as a worker does, in a process of its own that may crash or hang, and measure its cost."""

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from shared.clips.first_bytes import ClipFormats
from workers.branch.result import ClipRejected
from workers.media.clip import ClipBudget, open_clip

#: Seconds after which a file counts as hung: the decoding budget, and as much again for the rest.
HUNG_S: Final = 2 * ClipBudget().cpu_s
DECODED: Final = "decoded"


@dataclass(frozen=True)
class DecodeOutcome:
    """How decoding ended: `decoded`, a rejection's code, or a failure: `raised …`, `crashed …`, `hung`.

    cpu_s  processor time, seconds;  peak_mb  peak memory above that of the idle process, MB
    """

    how: str
    cpu_s: float
    peak_mb: float
    frames: int = 0
    detail: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether the file was decoded, or rejected with a reason that its sender can read."""
        return not self.how.startswith(("raised", "crashed", "hung"))


class DecodeProbe:
    """A process that opens and decodes files as a worker does; replaced when a file crashes it."""

    def __init__(self, read: Callable[[Path], int] | None = None, hung_s: float = HUNG_S) -> None:
        """`read` replaces decoding, and returns the number of frames; after `hung_s` seconds a file counts as hung."""
        self._read, self._hung_s = read or frames_of, hung_s
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def _start(self) -> None:
        self._ours, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, self._read), daemon=True)
        self._process.start()
        theirs.close()
        self._ours.recv()

    def run(self, path: Path) -> DecodeOutcome:
        """Decode `path` to its end."""
        self._ours.send(str(path))
        try:
            if self._ours.poll(self._hung_s):
                outcome: DecodeOutcome = self._ours.recv()
                return outcome
            self._process.kill()
            how = "hung"
        except (EOFError, ConnectionError):
            how = ""
        self._process.join()
        code = self._process.exitcode or 0
        how = how or f"crashed {signal.Signals(-code).name if code < 0 else code}"
        self._start()
        return DecodeOutcome(how, self._hung_s if how == "hung" else 0.0, 0.0)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._ours.send(None)
        self._process.join(5)
        self._process.kill()
        self._process.join()


def frames_of(path: Path, formats: ClipFormats = ClipFormats.ALL) -> int:
    """Decode a clip to its end; returns the number of frames.

    Raises:
        ClipRejected: the clip can't be decoded, or is of a format that `formats` does not include.
    """
    with open_clip(path, ClipBudget.of(formats)) as clip:
        return sum(1 for _ in clip.frames())


def _serve(wire: Connection, read: Callable[[Path], int]) -> None:
    idle_mb = _memory_mb("VmRSS")
    wire.send(None)
    while path := wire.recv():
        wire.send(_measured(Path(path), read, idle_mb))


def _measured(path: Path, read: Callable[[Path], int], idle_mb: float) -> DecodeOutcome:
    with contextlib.suppress(OSError):
        # Resets the kernel's high-water mark of memory.
        Path("/proc/self/clear_refs").write_text("5")
    begun, frames, detail = time.process_time(), 0, ""
    try:
        frames, how = read(path), DECODED
    except ClipRejected as rejected:
        how, detail = rejected.code.value, rejected.detail
    except Exception as error:  # any exception here is a finding
        how, detail = f"raised {type(error).__name__}", str(error)
    return DecodeOutcome(how, time.process_time() - begun, max(_memory_mb("VmHWM") - idle_mb, 0.0), frames, detail)


def _memory_mb(what: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    return 0.0
