"""Mutations of valid clips: cut, flipped, shuffled, spliced, and with corrupted headers. Seeded."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Final

import numpy as np

Mutation = Callable[[bytearray, np.random.Generator, list[bytes]], bytearray]

#: Boxes of an MP4 whose sizes, counts and times decide what a demuxer allocates and where it seeks.
_BOXES: Final = (
    *(b"ftyp", b"moov", b"mvhd", b"trak", b"tkhd", b"edts", b"elst", b"mdia", b"mdhd", b"hdlr", b"minf", b"vmhd"),
    *(b"dinf", b"dref", b"url ", b"stbl", b"stsd", b"avc1", b"avcC", b"hvc1", b"hev1", b"hvcC", b"vp09", b"vpcC"),
    *(b"av01", b"av1C", b"mp4a", b"esds", b"pasp", b"colr", b"btrt", b"stts", b"stss", b"ctts", b"stsc", b"stsz"),
    *(b"stco", b"sgpd", b"sbgp", b"udta", b"meta", b"ilst", b"mdat", b"free", b"moof", b"mfhd", b"traf", b"tfhd"),
    *(b"tfdt", b"trun", b"mvex", b"trex", b"mfra", b"sidx"),
)
#: Elements of a WebM, by their ids.
_ELEMENTS: Final = (
    *(b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x2a\xd7\xb1", b"\x44\x89", b"\x16\x54\xae\x6b"),
    *(b"\xae", b"\xe0", b"\xb0", b"\xba", b"\x86", b"\x63\xa2", b"\x83", b"\xd7", b"\x23\xe3\x83", b"\x1f\x43\xb6\x75"),
    *(b"\xe7", b"\xa3", b"\xa0", b"\xa1", b"\x9b", b"\x1c\x53\xbb\x6b", b"\x11\x4d\x9b\x74", b"\x12\x54\xc3\x67"),
)
_ODD_NUMBERS: Final = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_NAMES: Final = re.compile(b"|".join(map(re.escape, _BOXES)))
_IDS: Final = re.compile(b"|".join(map(re.escape, _ELEMENTS)))


def _span(size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Start and end of a random span; short ones are more frequent."""
    start = int(rng.integers(0, max(size, 1)))
    return start, min(size, start + int(2 ** rng.uniform(0, 12)))


def cut_off(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Truncate at a random byte."""
    return data[: int(rng.integers(0, len(data) + 1))]


def cut_out(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Remove a span."""
    start, end = _span(len(data), rng)
    return data[:start] + data[end:]


def repeated(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Repeat a span up to 39 times."""
    start, end = _span(len(data), rng)
    return data[:end] + data[start:end] * int(rng.integers(1, 40)) + data[end:]


def bits_flipped(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Flip single bits anywhere."""
    for at in rng.integers(0, max(len(data), 1), int(2 ** rng.uniform(0, 9))):
        if at < len(data):
            data[at] ^= 1 << int(rng.integers(0, 8))
    return data


def head_flipped(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Flip bits behind the first bytes, where headers are."""
    for at in rng.integers(12, 700, int(rng.integers(1, 12))):
        if at < len(data):
            data[at] ^= 1 << int(rng.integers(0, 8))
    return data


def noise(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Overwrite a span with random bytes, zeros or ones."""
    start, end = _span(len(data), rng)
    fill = [rng.bytes(end - start), bytes(end - start), b"\xff" * (end - start)][int(rng.integers(0, 3))]
    data[start:end] = fill
    return data


def box_corrupted(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Overwrite the size of an MP4 box, or a number inside it."""
    found = list(_NAMES.finditer(data))
    for _round in range(int(rng.integers(1, 4))):
        if not found:
            break
        at = found[int(rng.integers(0, len(found)))].start()
        where = at - 4 if rng.random() < 0.4 else at + 4 * int(rng.integers(1, 12))
        width = int(rng.choice([2, 4, 8]))
        number = int(rng.choice(_ODD_NUMBERS)) << int(rng.choice([0, 0, 0, 8, 16]))
        data[max(where, 0) : max(where, 0) + width] = (number % (1 << (8 * width))).to_bytes(width, "big")
    return data


def element_corrupted(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Overwrite the size of a WebM element, or its first bytes."""
    found = list(_IDS.finditer(data))
    for _round in range(int(rng.integers(1, 4))):
        if not found:
            break
        at = found[int(rng.integers(0, len(found)))].end()
        sizes = [b"\xff", b"\x01" + b"\xff" * 7, b"\x80", b"\x40\x00", b"\x08\xff\xff\xff\xff", b"\xfe", b"\x00"]
        chosen = sizes[int(rng.integers(0, len(sizes)))] if rng.random() < 0.6 else rng.bytes(int(rng.integers(1, 5)))
        data[at : at + len(chosen)] = chosen
    return data


def names_swapped(data: bytearray, rng: np.random.Generator, _: list[bytes]) -> bytearray:
    """Rename an MP4 box as another."""
    found = list(_NAMES.finditer(data))
    for _round in range(int(rng.integers(1, 4))):
        if found:
            at = found[int(rng.integers(1, max(len(found), 2))) % len(found)].start()
            data[at : at + 4] = _BOXES[int(rng.integers(0, len(_BOXES)))]
    return data


def spliced(data: bytearray, rng: np.random.Generator, others: list[bytes]) -> bytearray:
    """Join the beginning of one clip to the end of another."""
    other = others[int(rng.integers(0, len(others)))]
    return data[: int(rng.integers(12, len(data) + 12))] + other[int(rng.integers(0, len(other))) :]


def grafted(data: bytearray, rng: np.random.Generator, others: list[bytes]) -> bytearray:
    """Insert a span of another clip."""
    other = others[int(rng.integers(0, len(others)))]
    start, end = _span(len(other), rng)
    at = int(rng.integers(12, len(data) + 12))
    return data[:at] + other[start:end] + (data[at:] if rng.random() < 0.5 else data[at + end - start :])


#: Every mutation.
MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(cut_off, cut_out, repeated, bits_flipped, head_flipped, noise, box_corrupted, element_corrupted, names_swapped),
    *(spliced, grafted),
)


def mutations(seeds: Mapping[str, bytes], seed: int) -> Iterator[tuple[str, bytes]]:
    """Mutated clips without end, named by how they were made; the same ones for the same seed."""
    names, clips = list(seeds), list(seeds.values())
    for number in count():
        rng = np.random.default_rng([seed, number])
        origin = number % len(names)
        data, how = bytearray(clips[origin]), []
        for _ in range(1 if rng.random() < 0.6 else int(rng.integers(2, 5))):
            mutation = MUTATIONS[int(rng.integers(0, len(MUTATIONS)))]
            if len(data) > 16:
                data = mutation(data, rng, clips)
                how.append(mutation.__name__)
        yield f"{number:06d}-{names[origin]}-{'+'.join(how)}", bytes(data)
