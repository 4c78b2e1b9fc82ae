"""An encoder's keyframes beat like a heart, and are not one."""

from dataclasses import replace

import numpy as np
import pytest

from workers.face import FaceTrack
from workers.rppg.branch import measure_rppg
from workers.rppg.keyframes import group_length, without_pattern
from workers.rppg.models import RppgModels

from .conftest import MakeTrack


def _coded(track: FaceTrack, length: int, depth: float, *, told: bool = True) -> FaceTrack:
    """The track as an encoder with a keyframe every `length` frames leaves it: colours drift, and jump back."""
    since = np.arange(len(track.times_s)) % length
    drift = depth * np.array([0.3, 1.0, -0.6]) * (since / length - 0.5)[:, None]
    regions = (track.regions * (1 + drift[:, None])).astype(np.float32)
    return replace(track, regions=regions, keys=(since == 0) if told else None)


@pytest.mark.parametrize("rate", [52.0, 75.0, 97.0])
def test_keyframes_once_a_second_are_not_a_heart_of_sixty(
    make_track: MakeTrack, quick_models: RppgModels, rate: float
) -> None:
    track = make_track(rate_per_min=rate, strength=0.006, noise=0.001)
    misled = measure_rppg(_coded(track, 30, 0.03, told=False), quick_models).vitals["heart_rate"]
    assert misled.value is None or misled.value == pytest.approx(60, abs=1)
    vital = measure_rppg(_coded(track, 30, 0.03), quick_models).vitals["heart_rate"]
    assert vital.value == pytest.approx(rate, abs=1)


def test_keyframes_without_a_pulse_are_not_one(make_track: MakeTrack, quick_models: RppgModels) -> None:
    track = _coded(make_track(strength=0), 30, 0.03)
    assert measure_rppg(track, quick_models).vitals["heart_rate"].value is None


def test_a_weak_pulse_that_may_have_gone_with_the_keyframes_is_not_replaced_by_another(
    make_track: MakeTrack, quick_models: RppgModels
) -> None:
    track = _coded(make_track(rate_per_min=60, strength=0.002, noise=0.004), 30, 0.03)
    assert measure_rppg(track, quick_models).vitals["heart_rate"].value is None


def test_a_pattern_is_told_from_enough_regular_groups_alone() -> None:
    keys = np.zeros(450, dtype=np.bool_)
    assert group_length(keys) is None
    keys[::250] = True
    assert group_length(keys) is None
    keys[:] = False
    keys[::30] = True
    assert group_length(keys) == 30
    assert group_length(np.ones(450, dtype=np.bool_)) is None


def test_what_groups_repeat_goes_and_the_rest_stays() -> None:
    rng = np.random.default_rng(0)
    keys = np.arange(450) % 30 == 0
    signal = np.sin(2 * np.pi * 1.27 * np.arange(450) / 30)[:, None].astype(np.float32)
    pattern = rng.normal(size=30).astype(np.float32)
    cleaned = without_pattern(signal + pattern[np.arange(450) % 30, None], keys)
    assert np.corrcoef(cleaned[:, 0], signal[:, 0])[0, 1] > 0.97


def test_frames_without_a_face_stay_unmeasured() -> None:
    keys = np.arange(450) % 30 == 0
    values = np.ones((450, 2), dtype=np.float32)
    values[100:200] = np.nan
    cleaned = without_pattern(values, keys)
    assert np.isnan(cleaned[100:200]).all()
    assert np.isfinite(cleaned[200:]).all()
