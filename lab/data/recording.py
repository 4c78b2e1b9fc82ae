"""A recording: a clip, and the pulse that a sensor recorded beside it, whatever data set it comes from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from workers.media.clip import Frame

Floats = NDArray[np.float64]


class NoRecordings(ValueError):  # noqa: N818  (named for what happened)
    """The folder holds nothing in a layout that is known; the message names those that are."""


class RecordingUnreadable(ValueError):  # noqa: N818  (named for what happened)
    """A recording's files don't hold what their layout promises; the message says which and what."""


@dataclass(frozen=True)
class Recording:
    """One clip with its pulse.

    name         of the clip in its data set; `subject` of the person, for splits
    bvp_times_s  (m,) seconds on the clip's clock, on which the first frame is at 0
    bvp          (m,) blood volume, up is more
    frames       reads the clip, from the beginning, each time that it is called
    content      what stands for the recording's contents in the name of what is made of it: files, or values
    """

    name: str
    subject: str
    bvp_times_s: Floats
    bvp: Floats
    frames: Callable[[], Iterator[Frame]]
    content: tuple[object, ...]


def video_frames(path: Path) -> Iterator[Frame]:
    """The frames of a video file in any container that FFmpeg reads, the first at 0 s. For files that are trusted."""
    with av.open(str(path)) as container:
        first: float | None = None
        for index, frame in enumerate(container.decode(video=0)):
            time_s = float(frame.time)
            first = time_s if first is None else first
            rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            yield Frame(index, time_s - first, rgb, bool(frame.key_frame))
