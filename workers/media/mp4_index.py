"""What an MP4's own index asks for, before a demuxer believes it.

A table of 20 bytes can declare 10^8 samples of constant size, and FFmpeg allocates an entry of 24 bytes and more for
each: 579 bytes took 1.8 GB. So the boxes outside of the media data are looked through for such declarations first. They
are searched for by name rather than parsed, so that no nesting can hide one that FFmpeg would find.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

#: Declared samples of all tracks together. Two minutes of 60 pictures a second and of AAC are 13,000; a MOV with
#: uncompressed sound declares one a sample, 48,000 a second. FFmpeg takes about 40 bytes each.
MOST_SAMPLES: Final = 2_000_000
#: Samples that all fragments declare together; FFmpeg's cost grows with both (9,000 of 200 took 12 s).
MOST_IN_FRAGMENTS: Final = 100_000
#: Bytes outside of the media data; two minutes in a fragment a picture take 2 MB.
MOST_BYTES: Final = 16_000_000
#: Boxes at the top; a fragment has two.
MOST_BOXES: Final = 20_000
#: Cuts in the edit lists; FFmpeg goes through a track's samples for each.
MOST_EDITS: Final = 200
#: Counts from here on overflow FFmpeg's own checks, and nothing is allocated; letters read as a number lie above it.
_OVERFLOWS: Final = 0x20000000
_TABLES: Final = re.compile(b"stsz|stz2|stsc|stco|co64|trun|elst|cmov(?=.{4,12}dcom)", re.DOTALL)


class IndexRefused(Exception):  # noqa: N818  (named for what happened)
    """The index declares more than a clip may hold; the message says what, for people."""


@dataclass
class _Declared:
    """Sums over a file."""

    samples: int = 0
    in_fragments: int = 0
    chunks: int = 0
    widest_chunk: int = 0
    edits: int = 0

    def check(self) -> None:
        # Uncompressed sound is indexed by the chunk, in entries of 1024 samples.
        entries = self.chunks * self.widest_chunk // 1024 if self.widest_chunk > MOST_SAMPLES else 0
        if self.samples > MOST_SAMPLES or entries > MOST_SAMPLES:
            raise IndexRefused(f"Its index declares more than {MOST_SAMPLES:,} samples")
        if self.in_fragments > MOST_IN_FRAGMENTS:
            raise IndexRefused(f"Its fragments declare more than {MOST_IN_FRAGMENTS:,} samples")
        if self.edits > MOST_EDITS:
            raise IndexRefused(f"Its edit list has more than {MOST_EDITS} cuts")


def look_through(path: Path) -> None:
    """Read the boxes of an MP4 or MOV at `path`, its media data left out.

    Raises:
        IndexRefused: decoding it would cost more than a clip is worth.
    """
    declared = _Declared()
    read = 0
    with path.open("rb") as file:
        end = file.seek(0, 2)
        at = 0
        for _ in range(MOST_BOXES):
            if at + 8 > end:
                return
            name, start, after = _box(file, at, end)
            if name != b"mdat":
                read += after - start
                if read > MOST_BYTES:
                    raise IndexRefused(f"It holds more than {MOST_BYTES // 1_000_000} MB beside pictures and sound")
                file.seek(start)
                _count(file.read(after - start), declared)
                declared.check()
            at = after
    raise IndexRefused(f"It falls into more than {MOST_BOXES:,} parts")


def _box(file: BinaryIO, at: int, end: int) -> tuple[bytes, int, int]:
    """A box's name, where its content starts and where the next box does, read as FFmpeg reads it."""
    file.seek(at)
    head = file.read(16)
    size, name = int.from_bytes(head[:4], "big"), head[4:8]
    start = at + 8
    if size == 1 and len(head) == 16:
        size, start = int.from_bytes(head[8:], "big"), at + 16
    if size == 0:
        size = end - at
    return name, start, min(max(at + size, start), end)


def _count(content: bytes, declared: _Declared) -> None:
    for found in _TABLES.finditer(content):
        name, at = found.group(), found.end()
        if content[found.start() - 4 : found.start()] == b"\0\0\0\1":
            at += 8  # its size follows in 64 bits
        if name == b"cmov":
            raise IndexRefused("Its index is compressed")
        _, first, second = (int(number) for number in np.frombuffer(content[at : at + 12].ljust(12, b"\0"), ">u4"))
        count = second if name in {b"stsz", b"stz2"} else first
        if count >= _OVERFLOWS:
            continue
        if name in {b"stsz", b"stz2"}:
            declared.samples += count
        elif name == b"trun":
            declared.in_fragments += count
        elif name in {b"stco", b"co64"}:
            declared.chunks += min(count, len(content) // 4)
        elif name == b"elst":
            declared.edits += count
        else:
            rows = min(count, (len(content) - at - 8) // 12)
            if rows > 0:
                per_chunk = np.frombuffer(content, ">u4", 3 * rows, at + 8)[1::3]
                declared.widest_chunk = max(declared.widest_chunk, int(per_chunk.max()))
