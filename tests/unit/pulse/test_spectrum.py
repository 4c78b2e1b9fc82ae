"""The rate of a wave is interpolated between the bins of its spectrum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.rppg.signals.filters import band_pass, detrend
from workers.rppg.signals.spectrum import snr_db, spectrum_of


@settings(max_examples=40, deadline=None)
@given(rate=st.floats(45, 200), phase=st.floats(0, 6.28), duration_s=st.sampled_from([8, 15, 60]))
def test_the_peak_of_a_sine_is_at_its_rate(rate: float, phase: float, duration_s: int) -> None:
    times = np.arange(30 * duration_s) / 30
    wave = np.sin(2 * np.pi * rate / 60 * times + phase)
    assert 60 * spectrum_of(wave, 30).peak_hz() == pytest.approx(rate, abs=0.3)


@pytest.mark.parametrize("rate", [36, 39, 50, 205, 210, 214])
def test_the_edge_of_the_band_is_no_peak(rate: float) -> None:
    spectrum = spectrum_of(np.sin(2 * np.pi * rate / 60 * np.arange(450) / 30), 30)
    assert spectrum.has_peak is (rate in {50, 205})


def test_a_flat_spectrum_has_no_peak() -> None:
    assert not spectrum_of(np.zeros(450), 30).has_peak


def test_noise_has_no_clear_peak() -> None:
    noise = np.random.default_rng(0).normal(size=450)
    times = np.arange(450) / 30
    sine = np.sin(2 * np.pi * 1.2 * times)
    spectrum = spectrum_of(noise, 30)
    assert snr_db(spectrum, spectrum.peak_hz()) < 0
    assert snr_db(spectrum_of(sine, 30), 1.2) > 20
    assert snr_db(spectrum_of(np.zeros(450), 30), 1.2) == -60


@pytest.mark.parametrize("fs", [15.0, 30.0, 120.0])
def test_detrending_keeps_a_slow_pulse_and_removes_a_drift(fs: float) -> None:
    times = np.arange(round(20 * fs)) / fs
    pulse = np.sin(2 * np.pi * 40 / 60 * times)
    inner = slice(round(3 * fs), -round(3 * fs))
    assert detrend(pulse, fs)[inner].std() > 0.85 * pulse[inner].std()
    assert np.abs(detrend(5 * times + 100, fs)).max() < 1e-4


def test_the_band_keeps_the_pulse_and_removes_the_rest() -> None:
    times = np.arange(900) / 30
    for rate, kept in ((30, False), (50, True), (180, True), (330, False)):
        wave = np.sin(2 * np.pi * rate / 60 * times)
        assert bool(band_pass(wave, 30)[150:-150].std() > 0.5 * wave.std()) is kept
