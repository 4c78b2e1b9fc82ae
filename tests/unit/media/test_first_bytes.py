"""The first bytes decide what a file is: a container to read, or a kind that is named in the refusal."""

import base64
import gzip
from contextlib import suppress

import pytest

from shared.clips.first_bytes import ClipFormats, NotAClip, container_of


def box(name: bytes, content: bytes = b"") -> bytes:
    return (len(content) + 8).to_bytes(4) + name + content


def ebml(*elements: bytes) -> bytes:
    content = b"".join(elements)
    return b"\x1a\x45\xdf\xa3\x01" + len(content).to_bytes(7) + content


MP4 = box(b"ftyp", b"isom\0\0\2\0isomavc1") + box(b"moov", bytes(400))
WEBM = ebml(b"\x42\x82\x84webm") + b"\x18\x53\x80\x67" + bytes(400)
MATROSKA = ebml(b"\x42\x82\x88matroska")
TS = (b"\x47" + bytes(187)) * 4


@pytest.mark.parametrize(
    ("head", "demuxer", "name"),
    [
        (MP4, "mov", "mp4"),
        (box(b"ftyp", b"qt  \0\0\0\0qt  "), "mov", "mov"),
        (box(b"ftyp", b"3gp4\0\0\0\0"), "mov", "mp4"),
        *((box(first, bytes(40)) + box(b"mdat"), "mov", "mov") for first in (b"wide", b"free", b"skip", b"pnot")),
        (box(b"mdat", bytes(9000)), "mov", "mov"),
        (box(b"moov", bytes(9000)), "mov", "mov"),
        (box(b"free", bytes(9000)), "mov", "mov"),
        ((1).to_bytes(4) + b"mdat" + (1000).to_bytes(8), "mov", "mov"),
        (box(b"styp", b"msdh") + box(b"moov", bytes(40)), "mov", "mp4"),
        (WEBM, "matroska", "webm"),
        (MATROSKA, "matroska", "matroska"),
        (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm", "matroska", "webm"),
        (b"\x1a\x45\xdf\xa3\x40\x07\x42\x82\x84webm", "matroska", "webm"),
        (b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff\x42\x82\x84webm", "matroska", "webm"),
        (ebml(b"\xec\x40\xc8" + bytes(200), b"\x42\x82\x84webm"), "matroska", "webm"),
        (ebml(b"\xbf\x84\1\2\3\4", b"\x42\x82\x40\x08matroska"), "matroska", "matroska"),
        (ebml(b"\xec\x84webm", b"\x42\x82\x88matroska"), "matroska", "matroska"),
    ],
)
def test_containers_of_the_web_are_read_with_either_setting(head: bytes, demuxer: str, name: str) -> None:
    for formats in ClipFormats:
        found = container_of(head, formats)
        assert (found.demuxer, found.name) == (demuxer, name)


@pytest.mark.parametrize(
    ("head", "demuxer", "named"),
    [
        (b"RIFF\0\0\1\0AVI LIST", "avi", "AVI"),
        (TS, "mpegts", "MPEG-TS"),
        ((bytes(4) + b"\x47" + bytes(187)) * 4, "mpegts", "MPEG-TS"),
        (b"YUV4MPEG2 W64 H64 F30:1\nFRAME\n", "yuv4mpegpipe", "YUV4MPEG2"),
    ],
)
def test_containers_of_lab_cameras_are_read_where_all_are(head: bytes, demuxer: str, named: str) -> None:
    assert container_of(head, ClipFormats.ALL).demuxer == demuxer
    with pytest.raises(NotAClip, match=rf"is {named}, .*ffmpeg -i INPUT"):
        container_of(head, ClipFormats.WEB)


PART = "first part is missing. Send all parts in order"
REFUSED = {
    "empty": (b"", "empty"),
    **{f"brand-{brand}": (box(b"ftyp", brand.encode() + bytes(12)), "picture") for brand in ("heic", "mif1", "msf1")},
    "avif": (box(b"ftyp", b"avif" + bytes(12)), r"picture \(AVIF\)"),
    "heic-behind-free-space": (box(b"free") + box(b"ftyp", b"heic" + bytes(12)), r"picture \(HEIC\)"),
    "jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF", r"picture \(JPEG\)"),
    "png": (b"\x89PNG\r\n\x1a\n", r"picture \(PNG\)"),
    "gif": (b"GIF89a", r"picture \(GIF\)"),
    "webp": (b"RIFF\0\0\1\0WEBPVP8 ", r"picture \(WebP\)"),
    "m4a": (box(b"ftyp", b"M4A \0\0\0\0"), "audio only"),
    "mp3": (b"ID3\3\0", r"audio only \(MP3\)"),
    "mp3-frames": (b"\xff\xfb\x90\0", r"audio only \(MP3\)"),
    "wav": (b"RIFF\0\0\1\0WAVEfmt ", r"audio only \(WAV\)"),
    "opus": (b"OggS" + bytes(24) + b"OpusHead", r"audio only \(Ogg\)"),
    "cluster": (b"\x1f\x43\xb6\x75\1" + bytes(90), PART),
    "moof": (box(b"moof", bytes(90)), PART),
    "styp": (box(b"styp", b"msdh") + box(b"moof", bytes(90)), PART),
    "data-url": (b"data:video/webm;base64,GkXfo59C", "data: URL"),
    "base64-mp4": (base64.b64encode(MP4), "base64"),
    "base64-webm": (base64.encodebytes(WEBM), "base64"),
    "base64-in-quotes": (b'"' + base64.urlsafe_b64encode(WEBM) + b'"', "base64"),
    "base64-part": (base64.b64encode(b"\x1f\x43\xb6\x75" + bytes(90)), "base64"),
    "json": (b'{"clip": "x"}', "JSON"),
    "html": (b"\xef\xbb\xbf <!doctype html>", "HTML"),
    "text": (b"not a video at all", "is text, neither MP4 nor WebM"),
    "text-with-a-box-name": (b"I'm free today, and you", "is text, neither MP4 nor WebM"),
    "gzip": (gzip.compress(MP4), r"compressed \(gzip\)"),
    "zip": (b"PK\3\4\x14\0", r"compressed \(zip\)"),
    "zstd": (b"\x28\xb5\x2f\xfd\x24", r"compressed \(zstd\)"),
    "form": (b'--x\r\nContent-Disposition: form-data; name="clip"\r\n\r\n' + MP4[:8], "form data"),
    "playlist": (b"#EXTM3U\n#EXT-X-VERSION:3\n", "playlist"),
    "flv": (b"FLV\1\5", "in FLV, .*ffmpeg -i"),
    "asf": (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "in ASF"),
    "mpeg-ps": (b"\0\0\1\xba\x44", "in MPEG-PS"),
    "mxf": (b"\x06\x0e\x2b\x34\2\5", "in MXF"),
    "real": (b".RMF\0\0", "in RealMedia"),
    "h264": (b"\0\0\0\1\x67\x42", "elementary stream"),
    "noise": (b"\x93\x05\xf7\x00\x81" * 20, "neither MP4 nor WebM"),
    "ebml-of-another-kind": (ebml(b"\x42\x82\x83abc"), "neither WebM nor Matroska"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_names_what_was_sent_and_what_to_do(kind: str) -> None:
    head, sentence = REFUSED[kind]
    for formats in ClipFormats:
        with pytest.raises(NotAClip, match=sentence) as refused:
            container_of(head, formats)
        assert "MP4 or WebM" in str(refused.value)


@pytest.mark.parametrize("head", [MP4, WEBM, MATROSKA, TS, b"#EXTM3U", b"{}", base64.b64encode(MP4)])
def test_any_prefix_gets_a_decision(head: bytes) -> None:
    for end in range(min(len(head), 200)):
        with suppress(NotAClip):
            assert container_of(head[:end]).name
