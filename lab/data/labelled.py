"""`LabelledRecording`: a recording of any data set with the references that a measurement is compared with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import av
import av.error

from lab.data.recording import RecordingUnreadable
from lab.data.reference import References
from shared.clips.rejection import ClipRejected
from shared.clips.warnings import HIGH_DYNAMIC_RANGE
from workers.media.clip import ClipBudget, Frame, open_clip
from workers.media.colour import transfer_of

Sex = Literal["female", "male"]

#: Spellings of a sex in tables.
_SEXES: Final[dict[str, Sex]] = {
    **dict.fromkeys(("f", "female", "w", "woman", "weiblich"), "female"),
    **dict.fromkeys(("m", "male", "man", "männlich"), "male"),
}


@dataclass(frozen=True)
class Person:
    """What is known about the person of a recording: years, kg/m2, and Fitzpatrick's skin type from 1 to 6."""

    age: float | None = None
    gender: Sex | None = None
    bmi: float | None = None
    skin_type: int | None = None


@dataclass(frozen=True)
class LabelledRecording:
    """One recording. Its files are opened by `frames` and `references` alone, so that a broken one fails alone.

    name        of the recording in its data set, unique: the path of its file below the data's folder
    subject     name of the person
    condition   such as "rest"; None where not known
    frames      reads the frames from the beginning at each call
    references  reads the references
    video       the video file; None for a folder of pictures

    `frames` and `references` raise `RecordingUnreadable` or OSError.
    """

    name: str
    subject: str
    frames: Callable[[], Iterator[Frame]]
    references: Callable[[], References]
    condition: str | None = None
    person: Person = field(default_factory=Person)
    video: Path | None = None


def clip_frames(path: Path) -> Iterator[Frame]:
    """Frames of a video file, decoded as the workers do it, without the limits on uploads. For trusted files only.

    Raises:
        RecordingUnreadable: the file is not a video, or in a format that is not read.
        OSError: the file can't be read.
    """
    try:
        with open_clip(path, ClipBudget.unlimited()) as clip:
            yield from clip.frames()
    except ClipRejected as error:
        raise RecordingUnreadable(f"{path}: {error.detail}") from error


def has_high_dynamic_range(path: Path) -> bool:
    """Whether the first picture of a video file has a high dynamic range; False where it can't be decoded."""
    try:
        with av.open(str(path)) as container:
            return any(transfer_of(picture) in HIGH_DYNAMIC_RANGE for picture in _first(container.decode(video=0)))
    except (av.error.FFmpegError, IndexError, ValueError):
        return False


def _first(pictures: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    picture = next(pictures, None)
    if picture is not None:
        yield picture


def sex_of(text: str) -> Sex | None:
    """The sex that a table's cell names; None for an empty cell.

    Raises:
        ValueError: the cell has another text.
    """
    cell = text.strip().lower()
    if cell and cell not in _SEXES:
        raise ValueError(f"{text!r} is not a sex: write female or male")
    return _SEXES.get(cell)
