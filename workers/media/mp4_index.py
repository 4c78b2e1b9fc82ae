"""Limits on what the index of an MP4 may declare, checked before the file is given to a demuxer.

A table of 20 bytes can declare 10^8 samples of constant size, and FFmpeg allocates an entry of at least 24 bytes for
each: a file of 579 bytes took 1.8 GB. So the boxes outside the media data are searched for such declarations first. The
search is by name instead of by parsing, so that no nesting can hide a table that FFmpeg would find.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

#: Largest number of declared samples, over all tracks. Two minutes of 60 frames a second and of AAC have 13,000; a MOV
#: with uncompressed audio declares 48,000 a second. FFmpeg takes about 40 bytes for each.
MAX_SAMPLES: Final = 2_000_000
#: Largest number of samples over all fragments. FFmpeg's cost grows with fragments and samples (9,000 fragments of 200
#: samples took 12 s).
MAX_FRAGMENT_SAMPLES: Final = 100_000
#: Largest number of bytes outside the media data. Two minutes with one fragment per frame take 2 MB.
MAX_INDEX_BYTES: Final = 16_000_000
#: Largest number of top-level boxes. A fragment has two.
MAX_BOXES: Final = 20_000
#: Largest number of entries in the edit lists. FFmpeg walks through a track's samples for each.
MAX_EDITS: Final = 200
#: Counts from here on fail FFmpeg's overflow checks, so nothing is allocated. ASCII text read as a number is larger.
_OVERFLOW: Final = 0x20000000
_TABLES: Final = re.compile(b"stsz|stz2|stsc|stco|co64|trun|elst|cmov(?=.{4,12}dcom)", re.DOTALL)


class IndexRejected(Exception):  # noqa: N818  (named for what happened)
    """The index declares more than a clip may hold. The message is a sentence for the user."""


@dataclass
class _Declared:
    """Totals declared by one file."""

    samples: int = 0
    fragment_samples: int = 0
    chunks: int = 0
    largest_chunk: int = 0
    edits: int = 0

    def check(self) -> None:
        # FFmpeg indexes uncompressed audio by chunk, in entries of 1024 samples.
        entries = self.chunks * self.largest_chunk // 1024 if self.largest_chunk > MAX_SAMPLES else 0
        if self.samples > MAX_SAMPLES or entries > MAX_SAMPLES:
            raise IndexRejected(f"Its index declares more than {MAX_SAMPLES:,} samples")
        if self.fragment_samples > MAX_FRAGMENT_SAMPLES:
            raise IndexRejected(f"Its fragments declare more than {MAX_FRAGMENT_SAMPLES:,} samples")
        if self.edits > MAX_EDITS:
            raise IndexRejected(f"Its edit list has more than {MAX_EDITS} cuts")


def check_index(path: Path) -> None:
    """Check the boxes of the MP4 or MOV file at `path`; media data is skipped.

    Raises:
        IndexRejected: The index declares more than the limits above.
        OSError: The file can't be read.
    """
    declared = _Declared()
    read = 0
    with path.open("rb") as file:
        end = file.seek(0, 2)
        at = 0
        for _ in range(MAX_BOXES):
            if at + 8 > end:
                return
            name, start, after = _box(file, at, end)
            if name != b"mdat":
                read += after - start
                if read > MAX_INDEX_BYTES:
                    raise IndexRejected(f"It holds more than {MAX_INDEX_BYTES // 10**6} MB beside pictures and sound")
                file.seek(start)
                _count(file.read(after - start), declared)
                declared.check()
            at = after
    raise IndexRejected(f"It consists of more than {MAX_BOXES:,} parts")


def _box(file: BinaryIO, at: int, end: int) -> tuple[bytes, int, int]:
    """Return a box's name, the offset of its content and that of the next box, as FFmpeg computes them."""
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
    for match in _TABLES.finditer(content):
        name, at = match.group(), match.end()
        if content[match.start() - 4 : match.start()] == b"\0\0\0\1":
            at += 8  # a size in 64 bits precedes the content
        if name == b"cmov":
            raise IndexRejected("Its index is compressed")
        _, first, second = (int(number) for number in np.frombuffer(content[at : at + 12].ljust(12, b"\0"), ">u4"))
        count = second if name in {b"stsz", b"stz2"} else first
        if count >= _OVERFLOW:
            continue
        if name in {b"stsz", b"stz2"}:
            declared.samples += count
        elif name == b"trun":
            declared.fragment_samples += count
        elif name in {b"stco", b"co64"}:
            declared.chunks += min(count, len(content) // 4)
        elif name == b"elst":
            declared.edits += count
        else:
            rows = min(count, (len(content) - at - 8) // 12)
            if rows > 0:
                per_chunk = np.frombuffer(content, ">u4", 3 * rows, at + 8)[1::3]
                declared.largest_chunk = max(declared.largest_chunk, int(per_chunk.max()))
