"""Building blocks of MP4 and WebM files, for files that no encoder writes."""

from collections.abc import Iterable
from typing import Final

#: First box of an MP4 file.
FTYP: Final = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


def box(name: bytes, *content: bytes, size: int | None = None) -> bytes:
    """An MP4 box; `size` overrides the declared size."""
    body = b"".join(content)
    return (len(body) + 8 if size is None else size).to_bytes(4, "big") + name + body


def full(name: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """An MP4 box with version and flags."""
    return box(name, bytes([version]) + flags.to_bytes(3, "big"), *content)


def u16(*numbers: int) -> bytes:
    """Numbers of 16 bits."""
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def u32(*numbers: int) -> bytes:
    """Numbers of 32 bits."""
    return b"".join(number.to_bytes(4, "big") for number in numbers)


def track(
    *,
    number: int = 1,
    kind: bytes = b"vide",
    codec: bytes = b"avc1",
    size: tuple[int, int] = (64, 64),
    tables: bytes | None = None,
    extra: bytes = b"",
    references: bytes | None = None,
    matrix: tuple[int, ...] = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000),
) -> bytes:
    """A track of one sample at byte 24 of the file; every part can be replaced."""
    header = full(b"tkhd", u32(0, 0, number, 0, 1000, 0, 0, 0, 0), u32(*matrix), u16(size[0], 0, size[1], 0), flags=3)
    entry = box(codec, bytes(6), u16(1), bytes(16), u16(*size), bytes(50), extra)
    if kind == b"soun":
        entry = box(codec, bytes(6), u16(1), bytes(8), u16(1, 16, 0, 0), u32(48000 << 16), extra)
    if tables is None:
        tables = full(b"stts", u32(1, 1, 1000)) + full(b"stsc", u32(1, 1, 1, 1))
        tables += full(b"stsz", u32(0, 1, 100)) + full(b"stco", u32(1, 24))
    data = full(b"dref", u32(1), full(b"url ", flags=1)) if references is None else references
    media = box(
        b"mdia",
        full(b"mdhd", u32(0, 0, 1000, 1000), u16(0x55C4, 0)),
        full(b"hdlr", bytes(4), kind, bytes(13)),
        box(
            b"minf",
            full(b"vmhd", bytes(8), flags=1),
            box(b"dinf", data),
            box(b"stbl", full(b"stsd", u32(1), entry), tables),
        ),
    )
    return box(b"trak", header, media)


def movie(*tracks: bytes, extra: bytes = b"", duration: int = 1000) -> bytes:
    """An MP4 file of tracks."""
    header = full(
        b"mvhd", u32(0, 0, 1000, duration, 0x10000), u16(0x100, 0), bytes(8),
        u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000), bytes(24), u32(len(tracks) + 1),
    )  # fmt: skip
    return FTYP + box(b"moov", header, *tracks, extra)


def number(value: int) -> bytes:
    """An unsigned integer in as few bytes as possible."""
    return value.to_bytes(max((value.bit_length() + 7) // 8, 1), "big")


#: The EBML size "unknown": the element ends where another begins.
UNKNOWN: Final = b"\x01\xff\xff\xff\xff\xff\xff\xff"


def element(name: int, *content: bytes, size: bytes | None = None) -> bytes:
    """An EBML element; `size` overrides the declared size."""
    body = b"".join(content)
    return number(name) + (((1 << 56) | len(body)).to_bytes(8, "big") if size is None else size) + body


def webm(
    *clusters: bytes,
    codec: bytes = b"V_VP8",
    size: tuple[int, int] = (64, 64),
    info: bytes = b"",
    entry: bytes = b"",
    extra: bytes = b"",
    segment_size: bytes | None = UNKNOWN,
    scale: int = 1_000_000,
) -> bytes:
    """A WebM file: header, one video track, `extra` elements, clusters."""
    head = element(0x1A45DFA3, element(0x4282, b"webm"), element(0x4287, number(4)), element(0x4285, number(2)))
    picture = element(0xE0, element(0xB0, number(size[0])), element(0xBA, number(size[1])))
    one = element(
        0xAE,
        element(0xD7, b"\x01"),
        element(0x73C5, b"\x01"),
        element(0x83, b"\x01"),
        element(0x86, codec),
        picture,
        entry,
    )
    about = element(0x1549A966, element(0x2AD7B1, number(scale)), info)
    return head + element(0x18538067, about, element(0x1654AE6B, one), extra, *clusters, size=segment_size)


def cluster(time: int, blocks: Iterable[tuple[int, bytes]], *, size: bytes | None = None) -> bytes:
    """A cluster of simple blocks, each with its time in ms relative to the cluster's."""
    simple = [element(0xA3, b"\x81", (at % 65536).to_bytes(2, "big"), b"\x80", data) for at, data in blocks]
    return element(0x1F43B675, element(0xE7, number(time)), *simple, size=size)


def vp8_key_frame(width: int, height: int, rest: int = 60) -> bytes:
    """The header of a VP8 keyframe of any size up to 16383, followed by `rest` zeros."""
    first_part = max(rest - 20, 1)
    tag = (first_part << 5) | 0x10
    return (
        tag.to_bytes(3, "little")
        + b"\x9d\x01\x2a"
        + width.to_bytes(2, "little")
        + height.to_bytes(2, "little")
        + bytes(rest)
    )
