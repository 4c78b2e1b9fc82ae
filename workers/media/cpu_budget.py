"""The limit on processor time for decoding one clip, and the file object through which FFmpeg reads it.

The limit counts processor time, because a stopped process, a busy machine or a slow disk add to wall time alone and are
not the clip's fault. A wait that uses no processor time, such as for a disk that never answers, is ended by the time
limits of the worker's task.
"""

import time
from io import FileIO

from shared.schemas import ErrorCode
from workers.branch.result import ClipRejected


class CpuBudget:
    """Context manager that sums up the processor time of the calling thread, with a limit of `limit_s` seconds.

    It may be passed from one thread to another, but not be entered by two at once. FFmpeg works in the calling thread,
    because decoders are opened with a `thread_count` of 1.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._spent_s = 0.0
        self._since_s: float | None = None

    def check(self) -> None:
        """Compare the time spent so far with the limit.

        Raises:
            ClipRejected: The limit is exceeded.
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


class StreamedFile:
    """File object for PyAV that is read from start to end and checks a `CpuBudget` at each read.

    A demuxer can search a file for a long time before it returns a packet, so the budget is checked here too. Where
    FFmpeg opens a file itself it treats a disk error as the end of the file; here the error is raised.
    """

    def __init__(self, file: FileIO, budget: CpuBudget) -> None:
        self._file, self._budget = file, budget

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes.

        Raises:
            ClipRejected: The processor time is spent.
            OSError: The file can't be read.
        """
        self._budget.check()
        return self._file.read(size)


class BudgetedFile(StreamedFile):
    """A `StreamedFile` in which FFmpeg may seek."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to `offset` bytes from the start, the position or the end, as `io.IOBase.seek` does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._file.tell()
