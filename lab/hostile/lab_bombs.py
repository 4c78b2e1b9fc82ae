"""Small files in the containers of lab cameras that declare large amounts: AVI, MPEG-TS, YUV4MPEG2, Motion JPEG."""

from collections.abc import Iterator
from typing import Final

from lab.hostile.seeds import encoded

_MANY: Final = 0xFFFFFFFF


def lab_bombs() -> Iterator[tuple[str, bytes]]:
    """Names and contents."""
    for count in (1, 16, 5000):
        streams = b"".join(_stream(number) for number in range(count))
        yield f"{count}-streams.avi", _avi(streams, b"")
    for size in ((1, 1), (16383, 16383), (_MANY, _MANY)):
        yield f"raw-declared-as-{size[0]}.avi", _avi(_stream(0, size=size), bytes(400))
    entry = b"00dc" + _u32(0x10, 4, 100)
    yield "an-index-of-1000000.avi", _avi(_stream(0), bytes(400)) + _chunk(b"idx1", entry * 1_000_000)
    yield "an-index-of-everything.avi", _avi(_stream(0), bytes(400)) + b"idx1" + _u32(_MANY) + entry
    yield "a-million-empty-chunks.avi", _avi(_stream(0), (b"00dc" + _u32(0)) * 1_000_000)
    yield "a-chunk-of-everything.avi", _avi(_stream(0), b"00dc" + _u32(_MANY) + bytes(100))
    yield "pids.ts", b"".join(_packet(pid, b"\0\0\1\xe0\0\0\x80\0\0") for pid in range(32, 8190)) * 4
    tables = b"\0\0\xb0\x0d\0\1\xc1\0\0\0\1\xe0\x20" + bytes(4)
    yield "tables-only.ts", _packet(0, tables) * 50_000
    for width, height in ((1, 1), (65535, 65535), (10**9, 10**9)):
        yield f"declared-as-{width}.y4m", b"YUV4MPEG2 W%d H%d F30:1 C420\nFRAME\n" % (width, height) + bytes(1000)
    yield "frames-of-a-pixel.y4m", b"YUV4MPEG2 W2 H2 F30:1 C420\n" + (b"FRAME\n" + bytes(6)) * 300_000
    jpeg = encoded("avi", "mjpeg", pixels="yuvj420p")
    at = jpeg.index(b"\xff\xc0")
    yield "jpeg-of-65535.avi", jpeg.replace(jpeg[at : at + 9], jpeg[at : at + 5] + b"\xff" * 4)


def _u32(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + _u32(len(content)) + content


def _stream(number: int, size: tuple[int, int] = (64, 48)) -> bytes:
    head = b"vidsDIB " + _u32(0, 0, 0, 1, 30, 0, _MANY, _MANY, number, 0, 0, 0)
    picture = _u32(40, *size) + b"\1\0\x18\0" + _u32(0, 0, 0, 0, 0, 0)
    return _chunk(b"LIST", b"strl" + _chunk(b"strh", head) + _chunk(b"strf", picture))


def _avi(streams: bytes, media: bytes) -> bytes:
    head = _chunk(b"avih", _u32(33_333, 0, 0, 0x10, _MANY, 0, _MANY, 0, 64, 48, 0, 0, 0, 0))
    lists = _chunk(b"LIST", b"hdrl" + head + streams) + _chunk(b"LIST", b"movi" + media)
    return _chunk(b"RIFF", b"AVI " + lists)


def _packet(pid: int, content: bytes) -> bytes:
    return b"\x47" + (0x4000 | pid).to_bytes(2) + b"\x10" + content.ljust(184, b"\xff")
