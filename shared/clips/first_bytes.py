"""The container of a file by its first bytes, for the gateway and the analysis alike.

Nothing is parsed beyond the first `HEAD_BYTES`, and no media package is imported. Files of any other kind are refused
with a sentence that names the kind and what to do.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.clips.known_signatures import AUDIO_BRANDS, PICTURE_BRANDS, SIGNATURES

__all__ = ["ADVICE", "HEAD_BYTES", "ClipContainer", "ClipFormats", "NotAClip", "container_of"]

#: Number of first bytes that decide.
HEAD_BYTES: Final = 4096
#: A command that converts any video.
CONVERSION: Final = "ffmpeg -i INPUT -c:v libx264 -crf 15 -pix_fmt yuv420p OUTPUT.mp4"
#: What the user can do about a video that is not accepted.
ADVICE: Final = f"Record it again as MP4 or WebM, or convert it with `{CONVERSION}`."
_SEND: Final = "Send an MP4 or WebM file, as a browser's MediaRecorder makes it."
_PART: Final = (
    "The file is a later part of a recording: the first part is missing. Send all parts in order, as one MP4 or WebM."
)
_EBML: Final = b"\x1a\x45\xdf\xa3"
_DOC_TYPE: Final = 0x4282
#: Boxes that may precede the index or the pictures of an MP4 or MOV file, and those that can be its first.
_LEADING_BOXES: Final = frozenset({b"wide", b"free", b"skip", b"pnot", b"uuid"})
_FIRST_BOXES: Final = frozenset({b"mdat", b"moov"})
#: Boxes that begin a later segment of a fragmented MP4.
_SEGMENT_BOXES: Final = frozenset({b"styp", b"moof", b"sidx", b"emsg", b"prft"})
#: ASCII text read as the size of a box is larger, and no clip is.
_MAX_BOX_BYTES: Final = 0x20000000
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_=\s-]+")


class ClipFormats(StrEnum):
    """The containers and codecs that are read: those of browsers and phones, or those of lab cameras as well."""

    WEB = "web"
    ALL = "all"


@dataclass(frozen=True)
class ClipContainer:
    """A container that can be read: FFmpeg's name of its demuxer, and the name in reports."""

    demuxer: str
    name: str


class NotAClip(Exception):  # noqa: N818  (named for what happened)
    """The file is not a clip of the accepted formats. The message is a sentence for the user."""


_MP4: Final = ClipContainer("mov", "mp4")
_MOV: Final = ClipContainer("mov", "mov")
_LAB_NAMES: Final = {"avi": "AVI", "mpegts": "MPEG-TS", "y4m": "YUV4MPEG2"}


def container_of(head: bytes, formats: ClipFormats = ClipFormats.ALL) -> ClipContainer:
    """Return the container of the file that begins with `head`; bytes after the first `HEAD_BYTES` are ignored.

    Raises:
        NotAClip: The file is of another kind, or in a container that `formats` does not include.
    """
    head = head[:HEAD_BYTES]
    if not head:
        raise NotAClip(f"The file is empty. {_SEND}")
    container = _matroska(head) or _iso_media(head)
    if container is not None:
        return container
    if (container := _lab_container(head)) is not None:
        if formats is ClipFormats.ALL:
            return container
        raise NotAClip(f"The file is {_LAB_NAMES[container.name]}, a container that is not accepted. {ADVICE}")
    raise NotAClip(_refusal(head))


def _matroska(head: bytes) -> ClipContainer | None:
    if head[:4] == b"\x1f\x43\xb6\x75":
        raise NotAClip(_PART)
    if head[:4] != _EBML:
        return None
    doc_type = _doc_type(head)
    if doc_type not in {b"webm", b"matroska"}:
        raise NotAClip(f"The file is EBML, but neither WebM nor Matroska. {ADVICE}")
    return ClipContainer("matroska", doc_type.decode())


def _doc_type(head: bytes) -> bytes:
    """Return the document type of an EBML header. Matroska is the type of a header without one."""
    size, at = _vint(head, 4, keep_marker=False)
    end = min(at + size, len(head))
    while at < end:
        name, at = _vint(head, at, keep_marker=True)
        size, at = _vint(head, at, keep_marker=False)
        if name == _DOC_TYPE:
            return head[at : at + size].rstrip(b"\0")
        at += size
    return b"matroska"


def _vint(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """Return a variable-length integer of EBML (RFC 8794) and the offset behind it; the end of `data` if damaged."""
    if at >= len(data) or data[at] == 0:
        return 0, len(data)
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length])
    return value if keep_marker else value & ((1 << 7 * length) - 1), at + length


def _iso_media(head: bytes) -> ClipContainer | None:
    for name, content in _boxes(head):
        if name == b"ftyp":
            return _by_brand(content)
        if name in _SEGMENT_BOXES:
            if any(box == b"moov" for box, _ in _boxes(head)):
                return _MP4
            raise NotAClip(_PART)
        if name in _FIRST_BOXES:
            return _MOV
        if name not in _LEADING_BOXES:
            return None
    # Only free space so far, such as one large `free` box.
    return _MOV if next(_boxes(head), None) else None


def _boxes(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and the contents of the leading boxes that `head` contains, as far as they are plausible."""
    at = 0
    while at + 8 <= len(head):
        size, name, start = int.from_bytes(head[at : at + 4]), head[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(head[at + 8 : at + 16]), at + 16
        # The first box may have any size where it is `ftyp`, which no text has there.
        if name != b"ftyp" and size != 0 and not 8 <= size < _MAX_BOX_BYTES:
            return
        yield name, head[start : max(at + size, start) if size else len(head)]
        if size < 8:
            return
        at += size


def _by_brand(content: bytes) -> ClipContainer:
    brand = content[:4]
    if brand in PICTURE_BRANDS:
        raise NotAClip(f"The file is a picture ({PICTURE_BRANDS[brand]}), not a video. {_SEND}")
    if brand in AUDIO_BRANDS:
        raise NotAClip(f"The file contains audio only (M4A). Record the face as video. {_SEND}")
    return _MOV if brand == b"qt  " else _MP4


def _lab_container(head: bytes) -> ClipContainer | None:
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return ClipContainer("avi", "avi")
    if head.startswith(b"YUV4MPEG2 "):
        return ClipContainer("yuv4mpegpipe", "y4m")
    # Packets of 188 bytes, or of 192 with a time code first (M2TS).
    for start, step in ((0, 188), (4, 192)):
        sync = head[start::step]
        if len(sync) >= 3 and set(sync) == {0x47}:
            return ClipContainer("mpegts", "mpegts")
    return None


def _refusal(head: bytes) -> str:
    for offset, signature, sentence in SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return f"{sentence} {ADVICE if sentence.startswith('The file is a video') else _SEND}"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"--") and b"content-disposition" in text.lower():
        return f"The file is form data. Send it as multipart/form-data, with the boundary in its Content-Type. {_SEND}"
    if not _is_text(text):
        return f"The file is neither MP4 nor WebM by its first bytes. {ADVICE}"
    return f"{_kind_of_text(text)} {_SEND}"


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode()
    return not any(ord(character) < 32 and character not in "\t\n\r\f" for character in text)


def _kind_of_text(text: bytes) -> str:
    start = text[:5].lower()
    if start == b"data:":
        return "The file is the text of a data: URL. Decode its base64 part and send the bytes."
    for prefix, sentence in (
        (b"#EXTM3U", "The file is a playlist (HLS), which contains no video. Send the video itself."),
        (b"<", "The file is HTML or XML text, not a video."),
        (b"{", "The file is JSON text, not a video. Send the video's bytes."),
        (b"[", "The file is JSON text, not a video. Send the video's bytes."),
    ):
        if text.startswith(prefix):
            return sentence
    if _is_base64_clip(text):
        return "The file is base64 text. Decode it and send the bytes."
    return "The file is text, neither MP4 nor WebM. Send the video's bytes."


def _is_base64_clip(text: bytes) -> bool:
    text = text.strip(b"\"'")
    if not _BASE64.fullmatch(text):
        return False
    digits = b"".join(text.split())[: HEAD_BYTES // 2].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        decoded = base64.b64decode(digits[: len(digits) // 4 * 4])
        return (_matroska(decoded) or _iso_media(decoded) or _lab_container(decoded)) is not None
    except binascii.Error:
        return False
    except NotAClip:
        return True
