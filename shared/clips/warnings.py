"""What is unusual about a clip that was analysed nevertheless, by its facts alone."""

from collections.abc import Iterator
from typing import Final

from shared.schemas import ClipFacts, ClipWarning, RotationSource, WarningCode

#: Transfer functions of high dynamic range.
HIGH_DYNAMIC_RANGE: Final = frozenset({"hlg", "pq"})


def warnings_of(facts: ClipFacts) -> list[ClipWarning]:
    """Return the warnings about a clip with these facts."""
    return [ClipWarning(code=code, detail=detail) for code, detail in _warnings(facts)]


def _warnings(facts: ClipFacts) -> Iterator[tuple[WarningCode, str]]:
    if facts.rotation_source is RotationSource.FACE and not facts.rotation:
        yield (
            WarningCode.ROTATED_BY_FACE,
            "The rotation that the file requires would turn the face on its side or upside down; the frames were not "
            "turned. The recorder stored a wrong rotation.",
        )
    elif facts.rotation_source is RotationSource.FACE:
        yield (
            WarningCode.ROTATED_BY_FACE,
            f"The face was on its side or upside down; the frames were turned by {facts.rotation} degrees clockwise. "
            "The recorder did not store how the camera was held.",
        )
    if facts.mirrored:
        yield WarningCode.MIRRORED, "The file asks to be shown mirrored; the frames were mirrored."
    if facts.pixel_aspect != 1.0:
        yield (
            WarningCode.PIXELS_NOT_SQUARE,
            f"A pixel of the file is {facts.pixel_aspect:g} times as wide as high; the frames were scaled to square "
            "pixels.",
        )
    if facts.size_changes:
        yield (
            WarningCode.SIZE_CHANGED,
            "The size of the picture changes during the recording. Keep the device in one position, or record with a "
            "fixed size.",
        )
    if facts.colour.transfer in HIGH_DYNAMIC_RANGE:
        yield (
            WarningCode.HIGH_DYNAMIC_RANGE,
            "The clip has a high dynamic range (HDR), which was converted to standard range. Turn HDR video off for "
            "measurements of colour.",
        )
    if facts.colour.grey:
        yield WarningCode.GREY_PICTURE, "The picture has no colour. Record with a colour camera in visible light."
    if any(track.kind == "video" for track in facts.tracks_ignored):
        yield (
            WarningCode.VIDEO_TRACKS_IGNORED,
            "The file has more than one video track; one of them was analysed.",
        )
