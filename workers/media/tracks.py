"""Choice of a clip's video track, and the tracks that are left out."""

from collections.abc import Collection, Sequence
from typing import Any, Final, Literal

from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from shared.schemas import IgnoredTrack

#: Tracks that hold a still picture and no recording.
_STILLS: Final = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
#: Number of ignored tracks that are reported.
_MAX_IGNORED: Final = 16


def recorded_tracks(container: InputContainer) -> list[VideoStream]:
    """Return the video tracks of `container` without cover pictures and thumbnails."""
    return [stream for stream in container.streams.video if not stream.disposition & _STILLS]


def best_track(tracks: Sequence[VideoStream], accepted: Collection[str]) -> VideoStream:
    """Return the track to analyse, by these criteria in order.

    Its decoder is one of `accepted`; it is the default; it has the largest picture; it is the longest; it comes first.
    Phones store depth, previews and second cameras as further tracks.
    """
    return max(tracks, key=lambda track: _rank(track, accepted))


def ignored_tracks(container: InputContainer, chosen: VideoStream) -> list[IgnoredTrack]:
    """Return the tracks of `container` other than `chosen`, at most 16."""
    others = [stream for stream in container.streams if stream.index != chosen.index]
    return [IgnoredTrack(kind=_kind(stream), codec=_codec(stream)) for stream in others[:_MAX_IGNORED]]


def _rank(track: VideoStream, accepted: Collection[str]) -> tuple[bool, bool, int, float]:
    context: Any = track.codec_context  # None where FFmpeg has no decoder
    if context is None:
        return False, False, 0, 0.0
    is_default = bool(track.disposition & Disposition.default)
    duration_s = float(track.duration * track.time_base) if track.duration and track.time_base else 0.0
    return context.name in accepted, is_default, context.width * context.height, duration_s


def _kind(stream: Stream) -> Literal["video", "audio", "other"]:
    if stream.type == "video":
        return "other" if stream.disposition & _STILLS else "video"
    return "audio" if stream.type == "audio" else "other"


def _codec(stream: Stream) -> str | None:
    context: Any = stream.codec_context  # None for data and where FFmpeg has no decoder
    return None if context is None else context.codec.canonical_name
