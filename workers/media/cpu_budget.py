"""How much processor time decoding a clip may take, and the file through which FFmpeg reads it.

Processor time, because a clip must not be blamed for a slow server: a process that was stopped, a busy machine or a
slow disk add to wall time alone. What waits without using a processor, such as for a disk that never answers, is ended
by the time limits of the worker's task.
"""

import time
from io import FileIO

from shared.schemas import ErrorCode
from workers.branch.result import ClipRejected


class CpuBudget:
    """Sums up the processor time that the calling thread spends inside of `with`.

    It may be handed from one thread to another, but not be entered by two at once. FFmpeg works in the thread that
    calls it, because decoders are opened with a `thread_count` of 1.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._spent_s = 0.0
        self._since_s: float | None = None

    def check(self) -> None:
        """Compare what was spent so far with the limit.

        Raises:
            ClipRejected: the budget is spent.
        """
        running_s = 0.0 if self._since_s is None else time.thread_time() - self._since_s
        if self._spent_s + running_s > self._limit_s:
            raise ClipRejected(
                ErrorCode.CLIP_TOO_LARGE,
                f"Decoding took more than {self._limit_s:g} s of processor time. Record at a lower resolution.",
            )

    def __enter__(self) -> None:
        self._since_s = time.thread_time()

    def __exit__(self, *_: object) -> None:
        if self._since_s is not None:
            self._spent_s += time.thread_time() - self._since_s
            self._since_s = None


class BudgetedFile:
    """A clip's bytes for PyAV; the budget is checked at each read.

    A demuxer can search a file for a long time before it gives a packet. And where FFmpeg reads a file by itself, an
    error of the disk looks like the file's end; here it is raised.
    """

    def __init__(self, file: FileIO, budget: CpuBudget) -> None:
        self._file, self._budget = file, budget

    def read(self, size: int) -> bytes:
        """Up to `size` bytes.

        Raises:
            ClipRejected: the budget is spent.
            OSError: the file can't be read.
        """
        self._budget.check()
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to `offset` bytes from the start, the position or the end, as `io.IOBase.seek` does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position in bytes."""
        return self._file.tell()
