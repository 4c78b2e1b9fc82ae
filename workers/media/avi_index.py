"""Limits on what an AVI may hold beside its media data, checked before the file is given to a demuxer.

FFmpeg reads such bytes one by one in search of the next frame: an index of 16 MB takes 4 s of processor time.
"""

from pathlib import Path
from typing import Final

from workers.media.mp4_index import IndexRejected

#: Largest number of bytes outside the media data. An index has 16 bytes for each packet: two minutes of 120 frames a
#: second and of sound have 0.4 MB.
MAX_INDEX_BYTES: Final = 2_000_000
#: Largest number of chunks on the upper levels. A recording has about five in each gigabyte.
MAX_CHUNKS: Final = 2_000


def check_avi(path: Path) -> None:
    """Check the chunks of the AVI file at `path`; media data is skipped.

    Raises:
        IndexRejected: The file holds more than the limits above.
        OSError: The file can't be read.
    """
    beside = 0
    with path.open("rb") as file:
        end = file.seek(0, 2)
        at = 0
        for _ in range(MAX_CHUNKS):
            if at + 8 > end:
                return
            file.seek(at)
            head = file.read(12)
            name, size, kind = head[:4], int.from_bytes(head[4:8], "little"), head[8:12]
            if name == b"RIFF":
                at += 12
                continue
            after = min(at + 8 + size + size % 2, end)
            if name == b"LIST" and kind == b"movi":
                # Recorders that were interrupted leave its size 0: it lasts to the end.
                at = after if size else end
                continue
            beside += after - at
            if beside > MAX_INDEX_BYTES:
                raise IndexRejected(f"It holds more than {MAX_INDEX_BYTES // 10**6} MB beside pictures and sound")
            at = after
    raise IndexRejected(f"It consists of more than {MAX_CHUNKS:,} parts")
