"""Files in wrong formats: other containers and codecs, two formats at once, sound alone, a cover picture."""

import io
import zipfile
from collections.abc import Iterator
from typing import Final

import av
import av.error
from av.stream import Disposition

from lab.hostile.containers import FTYP, cluster, element, movie, track, webm
from lab.hostile.seeds import encoded

_QUICK: Final = {"deadline": "realtime", "cpu-used": "8"}
_PLAYLIST: Final = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
_SCRIPT: Final = b"ffconcat version 1.0\nfile '/etc/passwd'\n"
_PAGE: Final = b"<!doctype html><script>fetch('https://example.org')</script>"
_SDP: Final = b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"

#: Container, codec, pixel format.
_CONTAINERS: Final = (
    *(("avi", "mpeg4", "yuv420p"), ("flv", "flv", "yuv420p"), ("mpegts", "mpeg2video", "yuv420p")),
    *(
        ("mpeg", "mpeg1video", "yuv420p"),
        ("asf", "wmv2", "yuv420p"),
        ("gif", "gif", "rgb8"),
        ("nut", "ffv1", "yuv420p"),
    ),
    *(("rawvideo", "rawvideo", "yuv420p"), ("h264", "libx264", "yuv420p"), ("hevc", "libx265", "yuv420p")),
    *(
        ("ivf", "libvpx", "yuv420p"),
        ("apng", "apng", "rgb24"),
        ("mjpeg", "mjpeg", "yuvj420p"),
        ("swf", "flv", "yuv420p"),
    ),
    *(("ogg", "theora", "yuv420p"), ("yuv4mpegpipe", "rawvideo", "yuv420p"), ("mxf", "mpeg2video", "yuv420p")),
)
#: Codecs that the container allows and the service rejects.
_CODECS: Final = (
    *(
        ("mp4", "mpeg4", "yuv420p"),
        ("mp4", "mjpeg", "yuvj420p"),
        ("mp4", "png", "rgb24"),
        ("mp4", "mpeg2video", "yuv420p"),
    ),
    *(("mov", "prores_ks", "yuv422p10le"), ("mov", "qtrle", "rgb24"), ("mov", "rawvideo", "yuyv422")),
    *(
        ("mov", "dvvideo", "yuv420p"),
        ("mov", "h263", "yuv420p"),
        ("mov", "v210", "yuv422p10le"),
        ("mov", "svq1", "yuv410p"),
    ),
    *(("matroska", "ffv1", "yuv420p"), ("matroska", "ffvhuff", "yuv420p"), ("matroska", "huffyuv", "yuv422p")),
    *(("matroska", "mpeg4", "yuv420p"), ("matroska", "mpeg2video", "yuv420p"), ("matroska", "rawvideo", "yuv420p")),
    *(("matroska", "msmpeg4", "yuv420p"), ("matroska", "wmv2", "yuv420p"), ("matroska", "mjpeg", "yuvj420p")),
    *(("matroska", "theora", "yuv420p"), ("matroska", "dirac", "yuv420p"), ("matroska", "snow", "yuv420p")),
)
#: Pixel formats of accepted codecs that no camera produces.
_FORMATS: Final = (
    *(("mp4", "libx264", name) for name in ("yuv444p", "yuv422p", "yuv420p10le", "yuv444p10le", "gray", "gray10le")),
    *(("mp4", "libx265", name) for name in ("yuv444p", "yuv422p12le", "yuv444p12le", "gray12le", "gbrp", "gbrp12le")),
    *(("webm", "libvpx-vp9", name) for name in ("yuv440p", "yuv444p12le", "gbrp", "yuva420p", "yuv422p10le")),
    *(("webm", "libsvtav1", "yuv420p10le"), ("webm", "libvpx", "yuva420p"), ("mp4", "libx264rgb", "rgb24")),
)


def wrong_formats() -> Iterator[tuple[str, bytes]]:
    """Names and contents; formats that this FFmpeg can't write are left out."""
    yield from _other_formats()
    for container, codec, pixels in (*_CONTAINERS, *_CODECS, *_FORMATS):
        size = (720, 480) if codec == "dvvideo" else (352, 288)
        encoding = {"x265-params": "log-level=none"} if codec == "libx265" else _QUICK if "libvpx" in codec else {}
        try:
            clip = encoded(container, codec, size=size, pixels=pixels, encoding=encoding)
        except (av.error.FFmpegError, ValueError):
            continue
        yield f"{codec}-{pixels}.{container}", clip
    yield from _sound_alone()
    yield from _polyglots()


def _other_formats() -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "one-byte", b"\x00"
    for length in (4, 8, 11, 12, 24):
        yield f"first-{length}-bytes.mp4", FTYP[:length]
        yield f"first-{length}-bytes.webm", webm()[:length]
    yield "playlist", _PLAYLIST
    yield "script", _SCRIPT
    yield "page", _PAGE
    yield "sdp", _SDP
    yield "nothing-but-a-head.webm", webm()
    yield "nothing-but-a-head.mp4", FTYP
    yield "no-tracks.mp4", movie()
    for codec in (b"encv", b"mp4v", b"drmi", b"s263", b"\0\0\0\0", b"vvc1", b"apv1", b"tx3g", b"text", b"rtp "):
        yield f"a-track-of-{codec.hex()}.mp4", movie(track(codec=codec))
    for kind in (b"soun", b"subt", b"text", b"hint", b"meta", b"tmcd", b"auxv", b"\0\0\0\0"):
        yield f"a-track-for-{kind.hex()}.mp4", movie(track(kind=kind))
    for name in (
        b"V_UNCOMPRESSED",
        b"V_MS/VFW/FOURCC",
        b"V_QUICKTIME",
        b"V_MPEG4/IS0/ASP",
        b"V_REAL/RV40",
        b"",
        b"V_" * 999,
    ):
        blocks = [(33 * index, bytes(300)) for index in range(40)]
        yield f"a-track-of-{name[:20].hex()}.webm", webm(cluster(0, blocks), codec=name)


def _sound_alone() -> Iterator[tuple[str, bytes]]:
    for container, codec in (
        ("mp4", "aac"),
        ("webm", "libopus"),
        ("mp4", "libmp3lame"),
        ("mov", "pcm_s16le"),
        ("matroska", "flac"),
    ):
        try:
            sound = encoded(container, "", pixels=None, sound=codec)
        except (av.error.FFmpegError, ValueError):
            continue
        yield f"{codec}-alone.{container}", sound
    for container, codec in (("mp4", "mjpeg"), ("mp4", "png"), ("matroska", "mjpeg")):
        pixels = "rgb24" if codec == "png" else "yuvj420p"
        yield (
            f"sound-with-a-cover-{codec}.{container}",
            encoded(container, codec, pixels=pixels, frames=1, sound="aac", disposition=Disposition.attached_pic),
        )


def _polyglots() -> Iterator[tuple[str, bytes]]:
    mp4 = encoded("mp4", "libx264", encoding={"preset": "ultrafast"})
    vp8 = encoded("webm", "libvpx", encoding=_QUICK)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("index.html", _PAGE)
    tails = {
        "playlist": _PLAYLIST,
        "script": _SCRIPT,
        "page": _PAGE,
        "zip": archive.getvalue(),
        "mp4": mp4,
        "webm": vp8,
    }
    for name, tail in tails.items():
        yield f"mp4-then-{name}", mp4 + tail
        yield f"webm-then-{name}", vp8 + tail
        yield f"head-of-mp4-then-{name}", FTYP + tail
        yield f"head-of-webm-then-{name}", webm() + tail
        yield f"{name}-then-mp4", tail + mp4
    yield "ftyp-in-a-webm", element(0x1A45DFA3, element(0x4282, b"webm")) + mp4
    yield "webm-in-an-mdat", FTYP + (len(vp8) + 8).to_bytes(4, "big") + b"mdat" + vp8
    yield "ftyp-behind-a-playlist", b"#EXT" + b"ftyp" + _PLAYLIST
    yield "ftyp-of-an-avi", b"RIFFftypAVI LIST" + bytes(500)
