"""Patches of skin are weighted by their noise, independently of any rate."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.rppg.estimators import BY_COLOUR, mrc
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import Traces

from .conftest import PULSATILE, MakeTraces, pulse_at

RATE_PER_MIN = 80.0


def _with_crops(traces: Traces, crops: NDArray[np.float64]) -> Traces:
    return replace(traces, crops=np.clip(np.rint(crops), 0, 255).astype(np.uint8))


@pytest.fixture(name="face")
def _face(make_traces: MakeTraces) -> tuple[Traces, NDArray[np.float64]]:
    """Traces, and crops (n, 72, 72, 3) of skin with a weak pulse and little noise."""
    traces = make_traces()
    beat = 1 - 0.002 * pulse_at(traces.times_s, RATE_PER_MIN)[:, None] * PULSATILE
    skin = np.array([120.0, 80.0, 60.0]) * beat
    rng = np.random.default_rng(5)
    return traces, skin[:, None, None] + rng.normal(scale=1.5, size=(len(beat), 72, 72, 3))


def _snr_db(wave: NDArray[np.float64], traces: Traces) -> float:
    return snr_db(spectrum_of(wave, traces.fs), RATE_PER_MIN / 60)


def test_a_noisy_patch_spoils_the_mean_but_not_the_combination(face: tuple[Traces, NDArray[np.float64]]) -> None:
    traces, crops = face
    rng = np.random.default_rng(6)
    crops[:, 40:52, 24:48] += 12 * rng.normal(size=(len(crops), 1, 1, 1))
    mean = to_pulse_wave(-crops[:, 12:60, 18:54, 1].mean(axis=(1, 2)), traces.fs)
    combined = mrc.estimate(_with_crops(traces, crops))
    assert _snr_db(mean, traces) < 0
    assert _snr_db(combined[0], traces) > _snr_db(mean, traces) + 6


def test_patches_without_the_skins_colour_have_almost_no_weight(face: tuple[Traces, NDArray[np.float64]]) -> None:
    traces, crops = face
    curtain = 1 + 0.02 * np.sin(2 * np.pi * 1.7 * traces.times_s)
    crops[:, :, :24] = (np.array([60.0, 80.0, 120.0]) * curtain[:, None])[:, None, None]
    wave = mrc.estimate(_with_crops(traces, crops))[0]
    assert 60 * spectrum_of(wave, traces.fs).peak_hz() == pytest.approx(RATE_PER_MIN, abs=1)


def test_patches_frozen_by_the_encoder_have_little_weight(face: tuple[Traces, NDArray[np.float64]]) -> None:
    traces, crops = face
    crops[:, :30] = crops[:1, :30]
    assert _snr_db(mrc.estimate(_with_crops(traces, crops))[0], traces) > 0


def test_halves_share_no_pixel(face: tuple[Traces, NDArray[np.float64]]) -> None:
    traces, crops = face
    before = mrc.estimate(_with_crops(traces, crops))
    crops[:, :, 37:] += 8 * np.sin(2 * np.pi * 2.1 * traces.times_s)[:, None, None, None]
    after = mrc.estimate(_with_crops(traces, crops))
    # The usual noise is estimated from the whole face.
    assert np.corrcoef(before[1], after[1])[0, 1] > 0.998
    assert 60 * spectrum_of(after[2], traces.fs).peak_hz() == pytest.approx(126, abs=1)


def test_no_skin_gives_zeros(make_traces: MakeTraces) -> None:
    traces = make_traces()
    assert not mrc.estimate(_with_crops(traces, np.zeros((450, 72, 72, 3)))).any()
    assert not mrc.estimate(_with_crops(traces, np.full((450, 72, 72, 3), 90.0))).any()
    assert not mrc.estimate(_with_crops(traces, np.full((450, 1, 1, 3), 90.0))).any()


def test_noise_correlates_by_chance_alone(make_traces: MakeTraces) -> None:
    found = []
    for seed in range(8):
        crops = 90 + np.random.default_rng(seed).normal(scale=3, size=(450, 72, 72, 3))
        _, left, right = mrc.estimate(_with_crops(make_traces(), crops))
        found.append(float(np.corrcoef(left, right)[0, 1]))
    assert abs(np.mean(found)) < 0.15


def test_estimators_of_crops_are_not_among_those_by_colour() -> None:
    assert {"pos", "chrom", "omit", "pbv"} <= set(BY_COLOUR)
    assert not {"mrc", "2sr", "deepphys"} & set(BY_COLOUR)
