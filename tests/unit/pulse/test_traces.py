"""Frames with irregular times are resampled to traces on an even grid."""

import numpy as np
import pytest

from workers.rppg.signals.spectrum import spectrum_of
from workers.rppg.signals.traces import GRID_HZ, NoTraces, traces_of

from .conftest import MakeTrack


@pytest.mark.parametrize("fps", [15.0, 24.0, 27.3, 30.0, 60.0])
def test_every_frame_rate_is_resampled_to_the_same_grid_and_keeps_the_rate(make_track: MakeTrack, fps: float) -> None:
    traces = traces_of(make_track(rate_per_min=70, fps=fps, jitter_s=0.3 / fps))
    assert traces.fs == GRID_HZ
    assert np.allclose(np.diff(traces.times_s), 1 / GRID_HZ)
    assert traces.duration_s == pytest.approx(15, abs=0.1)
    assert 60 * spectrum_of(traces.face[1] - traces.face[1].mean(), traces.fs).peak_hz() == pytest.approx(70, abs=0.5)


def test_ignoring_frame_times_gives_a_wrong_rate(make_track: MakeTrack) -> None:
    track = make_track(rate_per_min=70, fps=27.3)
    green = track.regions[:, 0, 1].astype(np.float64)
    assert 60 * spectrum_of(green - green.mean(), 30.0).peak_hz() == pytest.approx(76.9, abs=0.5)


def test_a_short_loss_is_bridged_and_a_long_one_is_a_gap(make_track: MakeTrack) -> None:
    assert traces_of(make_track(lost_s=(5.0, 5.3))).gaps == ()
    traces = traces_of(make_track(lost_s=(5.0, 8.0)))
    ((start, stop),) = traces.gaps
    assert start == pytest.approx(5, abs=0.1)
    assert stop == pytest.approx(8, abs=0.1)
    longest = traces.longest_seen()
    assert longest.duration_s == pytest.approx(7, abs=0.2)
    assert longest.times_s[0] == pytest.approx(8, abs=0.1)
    assert longest.crops.shape[0] == longest.regions.shape[-1] == len(longest.motion) == len(longest.times_s)


def test_a_clip_without_a_face_has_no_traces(make_track: MakeTrack) -> None:
    with pytest.raises(NoTraces):
        traces_of(make_track(lost_s=(0.0, 100.0)))


def test_a_region_that_is_rarely_visible_is_excluded(make_track: MakeTrack) -> None:
    track = make_track()
    track.regions[: len(track.times_s) // 2, 2] = np.nan
    traces = traces_of(track)
    assert np.isnan(traces.regions[2]).all()
    assert np.isfinite(traces.regions[[0, 1, 3]]).all()


def test_motion_is_low_for_a_still_face_and_high_for_a_swaying_one(make_track: MakeTrack) -> None:
    still = make_track()
    assert np.median(traces_of(still).motion) < 0.02
    swaying = make_track()
    swaying.landmarks[..., 0] += 40 * np.sin(2 * np.pi * 0.5 * swaying.times_s)[:, None]
    assert np.median(traces_of(swaying).motion) > 0.2
