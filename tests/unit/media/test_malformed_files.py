"""Files made to break the decoder end with a reason, at a bounded cost; `make test-hostile` tries 3,000 of them."""

import ctypes
import time
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

import pytest

from lab.hostile.__main__ import MAX_CPU_S, MAX_MB
from lab.hostile.bombs import mp4_bombs, packet_bombs, table_bombs, webm_bombs
from lab.hostile.containers import box, cluster, full, movie, track, u32, vp8_key_frame, webm
from lab.hostile.decode_probe import DecodeOutcome, DecodeProbe
from lab.hostile.lab_bombs import lab_bombs
from lab.hostile.mutate import mutations
from lab.hostile.seeds import encoded
from workers.media.avi_index import check_avi
from workers.media.mp4_index import IndexRejected, check_index

Decode = Callable[[bytes], DecodeOutcome]


@pytest.fixture(name="probe", scope="module")
def _probe() -> Iterator[DecodeProbe]:
    probe = DecodeProbe()
    yield probe
    probe.close()


@pytest.fixture(name="decode")
def _decode(probe: DecodeProbe, tmp_path: Path) -> Decode:
    def decode(content: bytes) -> DecodeOutcome:
        path = tmp_path / "clip"
        path.write_bytes(content)
        return probe.run(path)

    return decode


@pytest.fixture(name="clip", scope="module")
def _clip() -> bytes:
    return encoded("mp4", "libx264", encoding={"preset": "ultrafast"})


def assert_ends_within_limits(name: str, outcome: DecodeOutcome) -> None:
    assert outcome.is_clean, f"{name}: {outcome}"
    assert outcome.cpu_s <= MAX_CPU_S, f"{name}: {outcome}"
    assert outcome.peak_mb <= MAX_MB, f"{name}: {outcome}"


def test_mutated_clips_end_with_a_reason(decode: Decode, clip: bytes) -> None:
    webms = encoded("webm", "libvpx", encoding={"deadline": "realtime", "cpu-used": "8"})
    outcomes = {}
    for name, content in islice(mutations({"h264.mp4": clip, "vp8.webm": webms}, seed=7), 200):
        outcomes[name] = decode(content)
        assert_ends_within_limits(name, outcomes[name])
    assert len({outcome.how for outcome in outcomes.values()}) >= 4


def test_bombs_in_metadata_and_packets_end_with_a_reason(decode: Decode) -> None:
    for name, content in chain(table_bombs(), mp4_bombs(), webm_bombs(), packet_bombs(), lab_bombs()):
        outcome = decode(content)
        assert_ends_within_limits(name, outcome)
        # Refused by their counts of packets and bytes, long before the budget of decoding time.
        if name == "300000-packets-of-nothing.webm":
            assert outcome.how == "clip_too_large", outcome
            assert "packets of video" in outcome.detail
        if name == "blocks-packed-by-zlib.webm":
            assert outcome.how == "clip_too_large", outcome
            assert "unpack to more bytes" in outcome.detail


def test_an_avi_with_more_beside_its_pictures_than_an_index_is_refused_unread(decode: Decode, tmp_path: Path) -> None:
    clip = encoded("avi", "mjpeg", pixels="yuvj420p")
    at = clip.index(b"idx1")
    path = tmp_path / "clip.avi"
    entry = clip[at + 8 : at + 24]
    for kind, many in (("index", b"idx1"), ("padding", b"JUNK")):
        path.write_bytes(clip[:at] + many + (16 * 1_000_000).to_bytes(4, "little") + entry * 1_000_000)
        with pytest.raises(IndexRejected, match="beside pictures and sound"):
            check_avi(path)
        outcome = decode(path.read_bytes())
        assert (outcome.how, outcome.cpu_s < 1) == ("clip_too_large", True), kind
    path.write_bytes(clip)
    check_avi(path)
    # The size of the media data is 0 where a recorder was interrupted.
    movi = clip.index(b"movi")
    path.write_bytes(clip[: movi - 4] + bytes(4) + clip[movi:])
    check_avi(path)


def test_a_bomb_of_8192_pixels_square_takes_neither_a_second_nor_150_megabytes(decode: Decode) -> None:
    bomb = encoded("mp4", "libx264", size=(8192, 8192), frames=1, encoding={"preset": "ultrafast"})
    for content in (bomb, bomb.replace(b"\x20\x00\x20\x00", b"\x00\x40\x00\x40")):
        outcome = decode(content)
        assert outcome.how == "clip_too_large"
        assert outcome.cpu_s < 1.0
        assert outcome.peak_mb < 150


@pytest.mark.parametrize("count", [2_000_001, 50_000_000, 170_000_000])
def test_an_index_of_missing_samples_is_refused(decode: Decode, count: int) -> None:
    """579 bytes took 1.8 GB."""
    tables = full(b"stts", u32(1, count, 1)) + full(b"ctts", u32(1, count, 1)) + full(b"stsc", u32(1, 1, count, 1))
    content = movie(track(tables=tables + full(b"stco", u32(1, 24)) + full(b"stsz", u32(1, count))))
    outcome = decode(content)
    assert outcome.how == "clip_too_large"
    assert "samples" in outcome.detail
    assert outcome.peak_mb < 100


def test_samples_hidden_in_an_unknown_box_of_a_wrong_size_are_found(tmp_path: Path) -> None:
    hidden = box(b"udta", box(b"what", full(b"stsz", u32(100, 5_000_000)), size=0x7FFFFFFF))
    path = tmp_path / "clip"
    path.write_bytes(movie(track(), extra=hidden))
    with pytest.raises(IndexRejected, match="samples"):
        check_index(path)


def test_samples_after_a_64_bit_size_are_found(tmp_path: Path) -> None:
    """Two of 217,000 mutated files reached 536 and 1304 MB so."""
    path = tmp_path / "clip"
    run = box(b"trun", u32(0, 40), u32(0, 30_000_000), size=1)
    path.write_bytes(movie(track()) + box(b"moof", box(b"traf", run)))
    with pytest.raises(IndexRejected, match="samples"):
        check_index(path)


def test_words_in_a_comment_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    path.write_bytes(
        movie(track(), extra=box(b"udta", box(b"\xa9cmt", b"A trunk was truncated: elsewhere, stszerosome")))
    )
    check_index(path)


def test_media_data_is_not_searched_for_an_index(clip: bytes, decode: Decode) -> None:
    words = full(b"stsz", u32(1, 50_000_000)) * 3
    assert decode(clip + box(b"mdat", words)).how == "decoded"
    assert decode(clip + box(b"free", words)).how == "clip_too_large"


def test_uncompressed_sound_of_half_a_minute_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    path.write_bytes(encoded("mov", "libx264", frames=900, encoding={"preset": "ultrafast"}, sound="pcm_s16le"))
    check_index(path)


def test_packets_of_which_no_picture_comes_stop_at_the_budget(tmp_path: Path) -> None:
    from workers.branch.result import ClipRejected
    from workers.media.clip import ClipBudget, open_clip

    path = tmp_path / "clip"
    path.write_bytes(webm(cluster(0, [(0, b"\x00")] * 100_000)))
    begun = time.process_time()
    with pytest.raises(ClipRejected, match="Decoding took"), open_clip(path, ClipBudget(cpu_s=0.1)) as clip:
        list(clip.frames())
    assert time.process_time() - begun < 2.0


def test_packets_buffered_while_a_clip_is_opened_are_limited(decode: Decode) -> None:
    """4 MB of packets of one byte took 144 MB before the first was decoded."""
    assert decode(webm(cluster(0, [(0, b"\x00")] * 60_000))).peak_mb < 60


def test_pictures_at_one_and_the_same_time_count_too(tmp_path: Path) -> None:
    from workers.branch.result import ClipRejected
    from workers.media.clip import ClipBudget, open_clip

    path = tmp_path / "clip"
    path.write_bytes(webm(cluster(0, [(0, vp8_key_frame(16, 16))] * 300)))
    with pytest.raises(ClipRejected, match="more than 200 frames"), open_clip(path, ClipBudget(frames=200)) as clip:
        list(clip.frames())


@pytest.mark.parametrize("size", [(4096, 2), (2, 4096)])
def test_a_strip_is_refused_before_the_face_detector_stumbles_over_it(decode: Decode, size: tuple[int, int]) -> None:
    outcome = decode(encoded("mp4", "libx264", size=size, encoding={"preset": "ultrafast"}))
    assert outcome.how == "clip_undecodable"
    assert "strip" in outcome.detail


def _segfault(path: Path) -> int:
    return len(ctypes.string_at(0)) if path.read_bytes() == b"crash" else 1


def _hang(path: Path) -> int:
    time.sleep(60 if path.read_bytes() == b"hang" else 0)
    return 1


def test_the_probe_detects_crashes_and_hangs_and_continues(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    for read, content, how in ((_segfault, b"crash", "crashed SIGSEGV"), (_hang, b"hang", "hung")):
        probe = DecodeProbe(read, hung_s=2.0)
        path.write_bytes(content)
        assert probe.run(path).how == how
        path.write_bytes(b"fine")
        assert probe.run(path).how == "decoded"
        probe.close()
