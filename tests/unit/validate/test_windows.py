"""Windows are cut from decoded frames; only the frames of one are read at a time."""

from collections.abc import Iterator

import numpy as np
import pytest

from lab.validate.windows import windows
from workers.media.clip import Frame

PICTURE = np.zeros((2, 2, 3), np.uint8)


def frames(times_s: Iterator[float] | list[float], read: list[float] | None = None) -> Iterator[Frame]:
    for index, time_s in enumerate(times_s):
        if read is not None:
            read.append(time_s)
        yield Frame(index, time_s, PICTURE, is_keyframe=index == 0)


def test_a_minute_has_four_windows_with_clocks_of_their_own() -> None:
    times = [index / 30 for index in range(30 * 60)]
    found = []
    for window in windows(frames(times), 15):
        inside = list(window)
        found.append((window.start_s, len(inside), window.is_whole))
        assert [frame.index for frame in inside] == list(range(450))
        assert inside[0].time_s == 0
        assert inside[-1].time_s == pytest.approx(449 / 30)
        assert (window.first_s, window.last_s) == pytest.approx((window.start_s, window.start_s + 449 / 30))
    assert found == [(0, 450, True), (15, 450, True), (30, 450, True), (45, 450, True)]


def test_what_remains_is_not_whole() -> None:
    found = []
    for window in windows(frames([index / 10 for index in range(220)]), 15):
        count = len(list(window))
        found.append((count, window.is_whole))
    assert found == [(150, True), (70, False)]


def test_a_window_that_is_not_read_is_skipped() -> None:
    starts = [window.start_s for window in windows(frames([index / 10 for index in range(450)]), 15)]
    assert starts == [0, 15, 30]


def test_a_pause_of_the_camera_shifts_no_window() -> None:
    times = [*np.arange(0, 10, 0.1), *np.arange(40, 60, 0.1)]
    found = []
    for window in windows(frames(times), 15):
        times_s = [frame.time_s for frame in window]
        found.append((window.start_s, window.first_s, len(times_s)))
        assert times_s[0] == 0
    assert found == [(0, 0, 100), (30, 40, 50), (45, pytest.approx(45), 150)]


def test_no_more_than_one_frame_is_read_ahead() -> None:
    read: list[float] = []
    for window in windows(frames([index / 10 for index in range(450)], read), 15):
        for frame in window:
            assert read[-1] <= window.first_s + frame.time_s + 0.1 + 1e-9


def test_a_recording_without_a_frame_has_no_window() -> None:
    assert list(windows(frames([]), 15)) == []
