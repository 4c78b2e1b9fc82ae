"""The frozen rival: two lines that the verdict is compared with."""

import numpy as np
import pytest

from lab.arrays import Floats
from lab.bench.two_lines import two_lines
from lab.simulate import pulse_wave
from workers.rppg.estimators import chrom, pos
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import Traces

FS = 30.0


def face(rate: float, noise: float, seed: int) -> Floats:
    """Linear RGB (3, 450) of skin with a pulse and with noise of `noise` times the green pulse."""
    rng = np.random.default_rng(seed)
    wave = pulse_wave(rate, 15, 15, FS, seed).values
    return np.array([[0.4], [0.3], [0.25]]) * (
        1 - 0.01 * np.array([[0.43], [1.0], [0.69]]) * (wave + noise * rng.standard_normal((3, 450)))
    )


@pytest.mark.parametrize("rate", [48.0, 75.0, 132.0])
def test_it_reports_a_clear_pulse(rate: float) -> None:
    found = two_lines(face(rate, 0.1, 1), FS)
    assert found.rate_per_min() == pytest.approx(rate, abs=1.5)


def test_it_abstains_on_noise() -> None:
    assert all(two_lines(face(75, 40, seed), FS).rate_per_min() is None for seed in range(5))


def test_it_was_frozen_from_the_estimators_of_the_product() -> None:
    rgb = face(66, 1.5, 3)
    rows = np.zeros(450)
    traces = Traces(
        fs=FS,
        times_s=np.arange(450) / FS,
        regions=np.stack([rgb] * 4),
        background=np.full((3, 450), np.nan),
        motion=rows,
        crops=np.zeros((450, 0, 0, 3), np.uint8),
        position=np.stack((rows, rows)),
        seen=np.ones(450, np.bool_),
        gaps=(),
        frames=450,
    )
    spectra = [spectrum_of(estimator.estimate(traces), FS) for estimator in (pos, chrom)]
    found = two_lines(rgb, FS)
    assert found.pos_per_min == pytest.approx(60 * spectra[0].peak_hz(), abs=1e-3)
    assert found.chrom_per_min == pytest.approx(60 * spectra[1].peak_hz(), abs=1e-3)
    assert found.snr_db == pytest.approx(snr_db(spectra[0], spectra[0].peak_hz()), abs=1e-3)
