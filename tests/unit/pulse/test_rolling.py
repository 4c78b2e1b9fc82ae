"""Heart rate over the time of a long clip."""

import numpy as np
import pytest

from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import measure_rppg
from workers.rppg.vitals.rolling import rolling_rates

from .conftest import MakeTrack


def test_a_rising_rate_is_followed() -> None:
    times = np.arange(60 * 30) / 30
    rate_hz = (66 + 12 * times / 60) / 60
    wave = np.sin(2 * np.pi * np.cumsum(rate_hz) / 30)
    middles, rates = rolling_rates(wave, 30, 72, start_s=2.0)
    assert np.allclose(rates, 66 + 12 * (middles - 2.0) / 60, atol=0.8)
    assert middles[0] == pytest.approx(7)


def test_noise_has_no_rate_at_any_time() -> None:
    _, rates = rolling_rates(np.random.default_rng(0).normal(size=1200), 30, 72)
    assert len(rates) <= 3


@pytest.mark.parametrize("rate_per_min", [50, 100])
def test_windows_at_a_rate_beyond_the_search_range_are_left_out(rate_per_min: float) -> None:
    rate_hz = np.where(np.arange(1800) < 1200, 72, rate_per_min) / 60
    middles, rates = rolling_rates(np.sin(2 * np.pi * np.cumsum(rate_hz) / 30), 30, 72)
    assert np.abs(rates - 72).max() < 2
    assert 30 <= middles.max() <= 42


def test_only_long_clips_have_rates_over_time(make_track: MakeTrack, quick_models: RppgModels) -> None:
    for duration_s, there in ((15.0, False), (30.0, True)):
        waveforms = measure_rppg(make_track(duration_s=duration_s), quick_models).waveforms
        assert waveforms is not None
        assert ("heart_rate_over_time" in waveforms.waves) is there
