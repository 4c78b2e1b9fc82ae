"""Windows of a recording, cut from its decoded frames one after the other, so that no two are in memory."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from workers.media.clip import Frame

#: Length of a window in seconds: that of a clip that the page records.
WINDOW_S: Final = 15.0
#: Seconds by which the frames of a whole window may end early: cameras drop frames, and the last one lasts as well.
_TOLERANCE_S: Final = 0.5


class _Frames:
    """Frames that are read in order, with a view of the next one."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames
        self.next: Frame | None = None
        self.take()

    def take(self) -> Frame | None:
        """Return the next frame, and read the one after it."""
        frame, self.next = self.next, next(self._frames, None)
        return frame


class Window:
    """A part of a recording. Iterate over its frames once; the first is at 0, as in a clip of its own.

    start_s  its nominal begin on the recording's clock, seconds
    first_s  time of its first frame
    last_s   time of the last frame that was read
    """

    def __init__(self, frames: _Frames, start_s: float, length_s: float) -> None:
        self._frames, self._stop_s = frames, start_s + length_s
        self.start_s = start_s
        self.first_s = self.last_s = start_s if frames.next is None else frames.next.time_s

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while self._frames.next is not None and self._frames.next.time_s < self._stop_s:
            frame = self._frames.take()
            if frame is not None:
                self.last_s = frame.time_s
                yield replace(frame, index=index, time_s=frame.time_s - self.first_s)
                index += 1

    @property
    def is_whole(self) -> bool:
        """Whether the frames reach its end; known once they were read."""
        return self.last_s >= self._stop_s - _TOLERANCE_S


def windows(frames: Iterator[Frame], length_s: float = WINDOW_S) -> Iterator[Window]:
    """The windows of `length_s` seconds of a recording, one after the other; those without a frame are left out.

    What is left unread of a window is skipped when the next one is taken. Exceptions of `frames` propagate.
    """
    ahead = _Frames(frames)
    while ahead.next is not None:
        window = Window(ahead, ahead.next.time_s // length_s * length_s, length_s)
        yield window
        for _ in window:
            pass
