"""Each estimator finds a pulse of known rate with the right sign, despite slow changes of the light."""

import numpy as np
import pytest

from workers.rppg.estimators import ESTIMATORS, whole_face_wave
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.spectrum import snr_db, spectrum_of

from .conftest import MakeTraces, pulse_at

SPECS = {spec.name: spec for spec in ESTIMATORS}


@pytest.mark.parametrize("rate", [45.0, 72.0, 110.0, 170.0])
@pytest.mark.parametrize("name", [spec.name for spec in ESTIMATORS if not spec.neural])
def test_an_estimator_finds_the_rate(make_traces: MakeTraces, name: str, rate: float) -> None:
    traces = make_traces(rate_per_min=rate)
    wave = whole_face_wave(SPECS[name].bind()(traces))
    spectrum = spectrum_of(wave, traces.fs)
    assert 60 * spectrum.peak_hz() == pytest.approx(rate, abs=0.5)
    assert snr_db(spectrum, rate / 60) > 0
    truth = to_pulse_wave(pulse_at(traces.times_s, rate), traces.fs)
    assert np.corrcoef(wave, truth)[0, 1] > 0.6, "the wave does not rise with blood volume"


@pytest.mark.parametrize("name", [spec.name for spec in ESTIMATORS if spec.default])
def test_a_wave_is_standardised_and_as_long_as_the_traces(
    make_traces: MakeTraces, models: RppgModels, name: str
) -> None:
    if name not in models.estimators:
        pytest.skip(models.left_out[name])
    traces = make_traces(duration_s=5.3)
    waves = np.atleast_2d(models.estimators[name](traces))
    assert waves.shape[1:] == traces.times_s.shape
    assert waves.mean(axis=1) == pytest.approx(0, abs=1e-9)
    assert waves.std(axis=1) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", ["pos", "chrom", "lgi", "omit", "pbv"])
def test_projections_remove_flicker_of_the_light(make_traces: MakeTraces, name: str) -> None:
    traces = make_traces(rate_per_min=66, strength=0.01, flicker=0.01, flicker_per_min=100)
    assert 60 * spectrum_of(SPECS[name].bind()(traces), traces.fs).peak_hz() == pytest.approx(66, abs=1)
