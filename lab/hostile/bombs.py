"""Small files that declare or expand to large amounts of pixels, frames, duration, metadata or packets."""

import bz2
import zlib
from collections.abc import Iterator
from typing import Final

from lab.hostile.containers import (
    FTYP,
    UNKNOWN,
    box,
    cluster,
    element,
    full,
    movie,
    track,
    u16,
    u32,
    vp8_key_frame,
    webm,
)
from lab.hostile.seeds import encoded

_QUICK: Final = {"deadline": "realtime", "cpu-used": "8"}
_MANY: Final = 0x0FFFFFFF


def bombs() -> Iterator[tuple[str, bytes]]:
    """Names and contents of all files of this module."""
    yield from pixel_bombs()
    yield from time_bombs()
    yield from table_bombs()
    yield from mp4_bombs()
    yield from webm_bombs()
    yield from packet_bombs()


def pixel_bombs() -> Iterator[tuple[str, bytes]]:
    """Pictures that are too large, narrow strips, and headers that contradict the data."""
    big = encoded("mp4", "libx264", size=(8192, 8192), frames=1, encoding={"preset": "ultrafast"})
    yield "8192-pixels-square.mp4", big
    for width, height in ((64, 64), (0, 0), (0xFFFF, 0xFFFF)):
        declared = big.replace(b"\x20\x00\x20\x00", u16(width, height))
        yield f"8192-pixels-square-declared-as-{width}.mp4", declared
    wide = encoded("webm", "libvpx-vp9", size=(16384, 1024), frames=2, encoding=_QUICK)
    yield "16384-by-1024.webm", wide
    yield "16384-by-1024-declared-as-64.webm", wide.replace(b"\xb0\x82\x40\x00", b"\xb0\x82\x00\x40")
    yield "8192-by-512.webm", encoded("webm", "libvpx-vp9", size=(8192, 512), frames=36, encoding=_QUICK)
    for side in (1, 2, 4096, 8192, 16383):
        frames = [(33 * index, vp8_key_frame(side, side)) for index in range(40)]
        yield f"vp8-head-alone-{side}.webm", webm(cluster(0, frames))
    growing = [(33 * index, vp8_key_frame(16 << index % 10, 16 << index % 10)) for index in range(60)]
    yield "vp8-growing.webm", webm(cluster(0, growing))
    for size in ((0, 0), (1, 1), (0xFFFFFFFF, 0xFFFFFFFF), (1 << 40, 2)):
        frames = [(33 * index, vp8_key_frame(160, 120)) for index in range(40)]
        yield f"webm-declared-as-{size[0]}-by-{size[1]}.webm", webm(cluster(0, frames), size=size)
    yield "two-pixels.mp4", encoded("mp4", "libx264", size=(2, 2), encoding={"preset": "ultrafast"})
    yield "a-line-of-4096.mp4", encoded("mp4", "libx264", size=(4096, 2), encoding={"preset": "ultrafast"})
    yield "a-column-of-4096.mp4", encoded("mp4", "libx264", size=(2, 4096), encoding={"preset": "ultrafast"})


def time_bombs() -> Iterator[tuple[str, bytes]]:
    """Too many pictures, endless or broken times, odd rotations."""
    tiny = encoded("webm", "libvpx", size=(16, 16), frames=1, encoding=_QUICK)
    picture = _first_block(tiny)

    def clip(times_ms: list[int], *, scale: int = 1_000_000, size: bytes | None = UNKNOWN) -> bytes:
        parts = [times_ms[start : start + 500] for start in range(0, len(times_ms), 500)]
        clusters = [cluster(part[0], [(at - part[0], picture) for at in part], size=size) for part in parts]
        return webm(*clusters, size=(16, 16), scale=scale)

    yield "endless.webm", clip(list(range(0, 400_000, 40)))
    yield "endless-sized-clusters.webm", clip(list(range(0, 400_000, 40)), size=None)
    yield "ten-thousand-frames.webm", clip(list(range(0, 100_000, 10)))
    yield "forty-thousand-frames-in-four-seconds.webm", clip([index // 10 for index in range(40_000)])
    yield "all-at-the-same-time.webm", clip([0] * 20_000)
    yield "backwards-in-time.webm", clip(list(range(30_000, 0, -10)))
    yield "one-picture-an-hour.webm", clip([3_600_000 * hour for hour in range(40)])
    yield "a-jump-to-the-year-10000.webm", clip([*range(0, 2000, 33), 250_000_000_000_000])
    for scale in (0, 1, 1 << 55):
        yield f"time-scale-{scale}.webm", clip(list(range(0, 2000, 33)), scale=scale)
    honest = encoded("mp4", "libx264", size=(64, 64), encoding={"preset": "ultrafast"})
    at = honest.index(b"stts")
    for step in (0, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"step-of-{step}.mp4", honest[: at + 16] + u32(step) + honest[at + 20 :]
    for scale in (0, 1, 0xFFFFFFFF):
        at = honest.index(b"mdhd")
        yield f"time-scale-{scale}.mp4", honest[: at + 16] + u32(scale) + honest[at + 20 :]
    turned = honest.index(b"tkhd") + 44
    for name, matrix in (("zero", [0] * 9), ("huge", [0x7FFFFFFF] * 9), ("least", [0x80000000] * 9)):
        yield f"turned-by-a-matrix-of-{name}.mp4", honest[:turned] + u32(*matrix) + honest[turned + 36 :]


def _first_block(clip: bytes) -> bytes:
    """The first picture of a WebM with one short frame."""
    at = clip.index(b"\x9d\x01\x2a") - 3
    return clip[at : at + 400] if len(clip) - at > 400 else clip[at:]


def table_bombs() -> Iterator[tuple[str, bytes]]:
    """MP4 indexes that declare samples which do not exist."""
    one_chunk = full(b"stsc", u32(1, 1, _MANY, 1)) + full(b"stco", u32(1, 24))
    for count in (1_000_000, 20_000_000, _MANY, 0xFFFFFFFF):
        chunk = full(b"stsc", u32(1, 1, count % (1 << 32), 1)) + full(b"stco", u32(1, 24))
        times = full(b"stts", u32(1, count, 1))
        for each in (0, 1, 100):
            tables = times + chunk + full(b"stsz", u32(each, count))
            yield f"{count}-samples-of-{each}.mp4", movie(track(tables=tables))
    tables = full(b"stts", u32(1, 0xFFFFFFFF, 1)) + one_chunk + full(b"stsz", u32(100, 40))
    yield "times-for-all-samples-there-are.mp4", movie(track(tables=tables))
    for count in (40, 50_000_000, 170_000_000, _MANY):
        tables = full(b"stts", u32(1, count, 1)) + full(b"ctts", u32(1, count, 1))
        tables += full(b"stsc", u32(1, 1, count, 1)) + full(b"stco", u32(1, 24)) + full(b"stsz", u32(1, count))
        yield f"{count}-composition-times.mp4", movie(track(tables=tables))
    for name in (
        b"stts",
        b"ctts",
        b"stsc",
        b"stsz",
        b"stco",
        b"co64",
        b"stss",
        b"sbgp",
        b"sgpd",
        b"saio",
        b"saiz",
        b"stz2",
    ):
        declared = (
            full(name, u32(0xFFFFFFFF, 0xFFFFFFFF, 1, 1)) if name != b"stsz" else full(name, u32(0, 0xFFFFFFFF, 1))
        )
        yield f"{name.decode()}-of-everything.mp4", movie(track(tables=declared + one_chunk))
        yield f"{name.decode()}-of-much.mp4", movie(track(tables=full(name, u32(0x01000000)) + bytes(100)))
    sound = full(b"stts", u32(1, 0x7FFFFFFF, 1)) + full(b"stsc", u32(1, 1, 0x7FFFFFFF, 1)) + full(b"stsz", u32(2, 1000))
    for count in (1, 20, 80):
        chunks = full(b"stco", u32(count, *([24] * count)))
        yield f"{count}-endless-chunks-of-sound.mp4", movie(track(kind=b"soun", codec=b"sowt", tables=sound + chunks))
    edits = b"".join(u32(1, 0, 0x10000) for _ in range(100_000))
    chunk = full(b"stsc", u32(1, 1, 3000, 1)) + full(b"stco", u32(1, 24)) + full(b"stsz", u32(1, 3000))
    edited = track(tables=full(b"stts", u32(1, 3000, 1)) + chunk)
    one = edited[8:] + box(b"edts", full(b"elst", u32(100_000), edits))
    yield "a-hundred-thousand-edits.mp4", movie(box(b"trak", one))
    fragmented = movie(track(), extra=box(b"mvex", full(b"trex", u32(1, 1, 1, 1, 0))))
    for count, samples in ((1, _MANY), (1, 50_000_000), (1, 1_900_000), (9_000, 200), (40_000, 50), (2_000_000, 0)):
        run = full(b"trun", u32(samples))
        fragment = box(b"moof", full(b"mfhd", u32(1)), box(b"traf", full(b"tfhd", u32(1)), run)) if samples else b""
        yield f"{count}-fragments-of-{samples}.mp4", fragmented + (fragment or box(b"free")) * count
    yield "an-index-of-everything.mp4", movie(track()) + full(b"sidx", u32(1, 1000, 0, 0), u16(0, 0xFFFF), bytes(100))


def mp4_bombs() -> Iterator[tuple[str, bytes]]:
    """MP4 files full of tracks, boxes and text."""
    for count in (200, 5000):
        yield f"{count}-tracks.mp4", movie(*(track(number=index + 1) for index in range(count)))
        yield (
            f"{count}-sound-tracks.mp4",
            movie(*(track(number=n + 1, kind=b"soun", codec=b"mp4a") for n in range(count))),
        )
    nested = b""
    for _ in range(30_000):
        nested = box(b"moov", nested) if len(nested) < 300_000 else nested
    yield "moov-in-moov-in-moov.mp4", FTYP + nested
    for name in (b"trak", b"udta", b"meta", b"stbl", b"wave", b"edts"):
        nested = b""
        for _ in range(5000):
            nested = box(name, nested)
        yield f"{name.decode()}-in-{name.decode()}.mp4", FTYP + box(b"moov", nested)
    words = box(b"\xa9cmt", u16(0xFFFF, 0) + b"x" * 0xFFFF)
    yield "comments.mp4", movie(track(), extra=box(b"udta", words * 150))
    tags = box(b"\xa9cmt", box(b"data", u32(1, 0), b"y" * 10_000))
    kept = full(b"meta", full(b"hdlr", bytes(4), b"mdir", bytes(13)), box(b"ilst", tags * 1000))
    yield "tags.mp4", movie(track(), extra=box(b"udta", kept))
    for size in (0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"moov-of-{size}.mp4", FTYP + box(b"moov", bytes(500), size=size)
        yield f"comment-of-{size}.mp4", movie(track(), extra=box(b"udta", box(b"\xa9cmt", bytes(40), size=size)))
        yield f"avcC-of-{size}.mp4", movie(track(extra=box(b"avcC", bytes(60), size=size)))
    wide = (1).to_bytes(4, "big") + b"mdat" + (0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")
    yield "a-box-of-all-bytes-there-are.mp4", FTYP + wide + bytes(100)
    yield (
        "compressed-moov.mp4",
        FTYP + box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", u32(0x7FFFFFFF), bytes(99)))),
    )
    yield "free-space.mp4", FTYP + box(b"free", bytes(8)) * 200_000
    items = full(b"iloc", u16(0x4444), u16(0xFFFF), bytes(2000)) + full(b"iinf", u16(0xFFFF), bytes(2000))
    yield (
        "a-still-picture.mp4",
        FTYP.replace(b"mp42isom", b"heicmif1") + full(b"meta", full(b"hdlr", bytes(4), b"pict", bytes(13)), items),
    )
    other = full(b"dref", u32(1), full(b"alis", bytes(150) + u16(2, 11) + b"/etc/passwd\0" + u16(0xFFFF)))
    yield "its-data-in-another-file.mp4", movie(track(references=other))
    other = full(b"dref", u32(1), full(b"url ", b"http://169.254.169.254/latest/meta-data/\0"))
    yield "its-data-at-an-address.mp4", movie(track(references=other))


def webm_bombs() -> Iterator[tuple[str, bytes]]:
    """WebM files full of tracks, elements and compressed data."""
    frames = cluster(0, [(33 * index, vp8_key_frame(64, 64)) for index in range(40)])
    tag = element(0x7373, element(0x67C8, element(0x45A3, b"A" * 40), element(0x4487, b"b" * 400)))
    yield "tags.webm", webm(frames, extra=element(0x1254C367, tag * 20_000))
    nested = b""
    for _ in range(20_000):
        nested = element(0x67C8, nested) if len(nested) < 200_000 else nested
    yield "tag-in-tag-in-tag.webm", webm(frames, extra=element(0x1254C367, element(0x7373, nested)))
    nested = b""
    for _ in range(2000):
        nested = element(0xB6, nested)
    yield "chapter-in-chapter.webm", webm(frames, extra=element(0x1043A770, element(0x45B9, nested)))
    yield (
        "chapters.webm",
        webm(frames, extra=element(0x1043A770, element(0x45B9, element(0xB6, element(0x91, b"\x01")) * 200_000))),
    )
    yield "cues.webm", webm(frames, extra=element(0x1C53BB6B, element(0xBB, element(0xB3, b"\x01")) * 200_000))
    yield "nothing.webm", webm(frames, extra=element(0xEC, bytes(8)) * 400_000)
    yield "private-data.webm", webm(frames, entry=element(0x63A2, bytes(8_000_000)))
    file = element(
        0x61A7,
        element(0x466E, b"a.png"),
        element(0x4660, b"image/png"),
        element(0x46AE, b"\x07"),
        element(0x465C, bytes(4000)),
    )
    yield "attachments.webm", webm(frames, extra=element(0x1941A469, file * 3000))
    one = element(
        0xAE,
        element(0xD7, b"\x02"),
        element(0x83, b"\x01"),
        element(0x86, b"V_VP9"),
        element(0xE0, element(0xB0, b"\x40"), element(0xBA, b"\x40")),
    )
    yield "3000-tracks.webm", webm(frames, extra=element(0x1654AE6B, one * 3000))
    for name, size in (("unknown", UNKNOWN), ("everything", b"\x01\xff\xff\xff\xff\xff\xff\xfe"), ("none", b"\x80")):
        yield f"tracks-of-size-{name}.webm", webm(frames, extra=element(0x1654AE6B, one, size=size))
        yield f"private-data-of-size-{name}.webm", webm(frames, entry=element(0x63A2, b"", size=size))
        yield (
            f"block-of-size-{name}.webm",
            webm(element(0x1F43B675, element(0xE7, b"\x00"), element(0xA3, bytes(50), size=size))),
        )
    for name, algorithm, packed in (
        ("zlib", b"\x00", zlib.compress(bytes(9_000_000))),
        ("bz2", b"\x01", bz2.compress(bytes(9_000_000))),
    ):
        encodings = element(
            0x6D80, element(0x6240, element(0x5033, b"\x00"), element(0x5034, element(0x4254, algorithm)))
        )
        blocks = [(33 * index, packed) for index in range(200)]
        yield f"blocks-packed-by-{name}.webm", webm(cluster(0, blocks), entry=encodings)
        private = element(0x63A2, packed)
        yield f"private-data-packed-by-{name}.webm", webm(frames, entry=encodings + private)


def packet_bombs() -> Iterator[tuple[str, bytes]]:
    """Packets that decode to no picture."""
    nothing = [(0, b"\x00")] * 300_000
    yield "300000-packets-of-nothing.webm", webm(cluster(0, nothing))
    for codec in (b"V_VP9", b"V_AV1", b"V_MPEG4/ISO/AVC", b"V_MPEGH/ISO/HEVC"):
        blocks = [(index % 30_000, b"\x00\x00\x00\x01\x67\x42" + bytes(4)) for index in range(20_000)]
        yield f"packets-of-nothing-{codec.decode().replace('/', '-')}.webm", webm(cluster(0, blocks), codec=codec)
    laced = b"\x81\x00\x00\x06\xff" + b"\x01" * 300
    yield "laced.webm", webm(element(0x1F43B675, element(0xE7, b"\x00"), element(0xA3, laced) * 5000))
