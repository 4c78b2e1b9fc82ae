"""`Recording`: a clip of any dataset, and the pulse that a contact sensor recorded at the same time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from lab.arrays import Floats
from workers.media.clip import Frame


class NoRecordings(ValueError):  # noqa: N818  (named for what happened)
    """The folder has none of the known layouts; the message names them."""


class RecordingUnreadable(ValueError):  # noqa: N818  (named for what happened)
    """A recording's files are not what their layout requires; the message names the file and the fault."""


@dataclass(frozen=True)
class Recording:
    """One clip with its pulse.

    name         of the clip in its dataset; `subject` of the person, for splits
    bvp_times_s  (m,) seconds on the clip's clock, whose first frame is at 0
    bvp          (m,) blood volume, up is more
    frames       reads the clip from its beginning at each call
    content      files or values that identify the recording in the names of cached files
    """

    name: str
    subject: str
    bvp_times_s: Floats
    bvp: Floats
    frames: Callable[[], Iterator[Frame]]
    content: tuple[object, ...]


def video_frames(path: Path) -> Iterator[Frame]:
    """Frames of a video file in any container that FFmpeg reads, the first at 0 s. For trusted files only."""
    with av.open(str(path)) as container:
        first: float | None = None
        for index, frame in enumerate(container.decode(video=0)):
            time_s = float(frame.time)
            first = time_s if first is None else first
            rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            yield Frame(index, time_s - first, rgb, bool(frame.key_frame))
