"""Malicious files are rejected with a reason and at a bounded cost; `make test-hostile` tries 3,000 of them."""

import ctypes
import time
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

import pytest

from lab.hostile.__main__ import MOST_CPU_S, MOST_MB
from lab.hostile.bombs import mp4_bombs, packet_bombs, table_bombs, webm_bombs
from lab.hostile.mutate import mutations
from lab.hostile.parts import box, cluster, full, movie, track, u32, vp8_key_frame, webm
from lab.hostile.seeds import encoded
from lab.hostile.trial import Ending, Prober
from workers.media.mp4_index import IndexRejected, check_index

Try = Callable[[bytes], Ending]


@pytest.fixture(name="prober", scope="module")
def _prober() -> Iterator[Prober]:
    prober = Prober()
    yield prober
    prober.close()


@pytest.fixture(name="try_out")
def _try_out(prober: Prober, tmp_path: Path) -> Try:
    def try_out(content: bytes) -> Ending:
        path = tmp_path / "clip"
        path.write_bytes(content)
        return prober.try_out(path)

    return try_out


@pytest.fixture(name="clip", scope="module")
def _clip() -> bytes:
    return encoded("mp4", "libx264", encoding={"preset": "ultrafast"})


def assert_well(name: str, ending: Ending) -> None:
    assert ending.with_reason, f"{name}: {ending}"
    assert ending.cpu_s <= MOST_CPU_S, f"{name}: {ending}"
    assert ending.peak_mb <= MOST_MB, f"{name}: {ending}"


def test_mutated_clips_end_with_a_reason(try_out: Try, clip: bytes) -> None:
    webms = encoded("webm", "libvpx", encoding={"deadline": "realtime", "cpu-used": "8"})
    endings = {}
    for name, content in islice(mutations({"h264.mp4": clip, "vp8.webm": webms}, seed=7), 200):
        endings[name] = try_out(content)
        assert_well(name, endings[name])
    assert len({ending.how for ending in endings.values()}) >= 4


def test_bombs_in_metadata_and_packets_end_with_a_reason(try_out: Try) -> None:
    for name, content in chain(table_bombs(), mp4_bombs(), webm_bombs(), packet_bombs()):
        # Limited by the decoding budget only; the whole corpus contains them.
        if not name.startswith(("300000-packets", "blocks-packed-by-zlib")):
            assert_well(name, try_out(content))


def test_a_bomb_of_8192_pixels_square_takes_neither_a_second_nor_150_megabytes(try_out: Try) -> None:
    bomb = encoded("mp4", "libx264", size=(8192, 8192), frames=1, encoding={"preset": "ultrafast"})
    for content in (bomb, bomb.replace(b"\x20\x00\x20\x00", b"\x00\x40\x00\x40")):
        ending = try_out(content)
        assert ending.how == "clip_too_large"
        assert ending.cpu_s < 1.0
        assert ending.peak_mb < 150


@pytest.mark.parametrize("count", [2_000_001, 50_000_000, 170_000_000])
def test_an_index_with_too_many_declared_samples_is_rejected(try_out: Try, count: int) -> None:
    """579 bytes took 1.8 GB."""
    tables = full(b"stts", u32(1, count, 1)) + full(b"ctts", u32(1, count, 1)) + full(b"stsc", u32(1, 1, count, 1))
    content = movie(track(tables=tables + full(b"stco", u32(1, 24)) + full(b"stsz", u32(1, count))))
    ending = try_out(content)
    assert ending.how == "clip_too_large"
    assert "samples" in ending.detail
    assert ending.peak_mb < 100


def test_samples_in_an_unknown_box_with_a_wrong_size_are_found(tmp_path: Path) -> None:
    hidden = box(b"udta", box(b"what", full(b"stsz", u32(100, 5_000_000)), size=0x7FFFFFFF))
    path = tmp_path / "clip"
    path.write_bytes(movie(track(), extra=hidden))
    with pytest.raises(IndexRejected, match="samples"):
        check_index(path)


def test_samples_behind_a_size_of_64_bits_are_found(tmp_path: Path) -> None:
    """Two of 217,000 mutated files took 536 and 1304 MB this way."""
    path = tmp_path / "clip"
    run = box(b"trun", u32(0, 40), u32(0, 30_000_000), size=1)
    path.write_bytes(movie(track()) + box(b"moof", box(b"traf", run)))
    with pytest.raises(IndexRejected, match="samples"):
        check_index(path)


def test_box_names_in_a_comment_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    path.write_bytes(
        movie(track(), extra=box(b"udta", box(b"\xa9cmt", b"A trunk was truncated: elsewhere, stszerosome")))
    )
    check_index(path)


def test_media_data_is_not_searched_for_an_index(clip: bytes, try_out: Try) -> None:
    words = full(b"stsz", u32(1, 50_000_000)) * 3
    assert try_out(clip + box(b"mdat", words)).how == "decoded"
    assert try_out(clip + box(b"free", words)).how == "clip_too_large"


def test_half_a_minute_of_uncompressed_audio_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    path.write_bytes(encoded("mov", "libx264", frames=900, encoding={"preset": "ultrafast"}, sound="pcm_s16le"))
    check_index(path)


def test_packets_without_frames_stop_at_the_budget(tmp_path: Path) -> None:
    from workers.branch.result import ClipRejected
    from workers.media.clip import ClipBudget, open_clip

    path = tmp_path / "clip"
    path.write_bytes(webm(cluster(0, [(0, b"\x00")] * 100_000)))
    begun = time.process_time()
    with pytest.raises(ClipRejected, match="Decoding took"), open_clip(path, ClipBudget(cpu_s=0.1)) as clip:
        list(clip.frames())
    assert time.process_time() - begun < 2.0


def test_packets_kept_while_a_clip_is_opened_are_bounded(try_out: Try) -> None:
    """4 MB of packets of one byte took 144 MB before the first was decoded."""
    assert try_out(webm(cluster(0, [(0, b"\x00")] * 60_000))).peak_mb < 60


def test_frames_with_equal_times_count_as_well(tmp_path: Path) -> None:
    from workers.branch.result import ClipRejected
    from workers.media.clip import ClipBudget, open_clip

    path = tmp_path / "clip"
    path.write_bytes(webm(cluster(0, [(0, vp8_key_frame(16, 16))] * 300)))
    with pytest.raises(ClipRejected, match="more than 200 frames"), open_clip(path, ClipBudget(frames=200)) as clip:
        list(clip.frames())


@pytest.mark.parametrize("size", [(4096, 2), (2, 4096)])
def test_a_strip_is_rejected_before_face_detection(try_out: Try, size: tuple[int, int]) -> None:
    ending = try_out(encoded("mp4", "libx264", size=size, encoding={"preset": "ultrafast"}))
    assert ending.how == "clip_undecodable"
    assert "strip" in ending.detail


def _segfault(path: Path) -> int:
    return len(ctypes.string_at(0)) if path.read_bytes() == b"crash" else 1


def _hang(path: Path) -> int:
    time.sleep(60 if path.read_bytes() == b"hang" else 0)
    return 1


def test_the_trial_detects_crashes_and_hangs_and_continues(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    for read, content, how in ((_segfault, b"crash", "crashed SIGSEGV"), (_hang, b"hang", "hung")):
        prober = Prober(read, hung_s=2.0)
        path.write_bytes(content)
        assert prober.try_out(path).how == how
        path.write_bytes(b"fine")
        assert prober.try_out(path).how == "decoded"
        prober.close()
