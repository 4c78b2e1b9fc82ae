"""Errors of measures from beats are fitted to some people, and hold on others."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lab.calibrate.beat_errors import MeasureError, fit_errors, held_out, of_clips
from workers.rppg.signals.beats import Beats, beats_at
from workers.rppg.vitals.heart_rate_variability import (
    STRETCHES_S,
    VARIABILITY_MODEL,
    VariabilityModel,
    exceeds_noise,
    interval_of,
    sampling_interval,
    sdnn_ms,
)


def _table(people: int, seed: int, windows: int = 6) -> list[MeasureError]:
    """Errors of SDNN that grow with slower rates, noise and longer windows, and differ between people."""
    rng = np.random.default_rng(seed)
    found = []
    for person in range(people):
        own = np.exp(rng.normal(scale=0.5))
        for window in range(windows):
            duration_s = 15 if window % 2 else 30
            ibi_s, snr_db, truth = rng.uniform(0.5, 1.2), rng.uniform(2, 16), rng.uniform(8, 30)
            scale = 20 * own * ibi_s * np.exp(-0.08 * snr_db) * (duration_s / 15) ** 0.5
            value = abs(truth + scale * rng.normal())
            name = f"{duration_s} s"
            intervals = round(duration_s / ibi_s)
            found.append(MeasureError("sdnn_ms", name, str(person), value, truth, intervals, ibi_s, snr_db))
    return found


def _with(errors: tuple[float, ...]) -> VariabilityModel:
    return replace(VARIABILITY_MODEL, errors={"sdnn_ms": errors, "rmssd_ms": errors})


def test_errors_fitted_to_few_people_hold_on_others() -> None:
    others = _table(200, seed=99)
    held = []
    for seed in range(8):
        model = _with(fit_errors(_table(15, seed)))
        held.append(np.mean([part.beside_sampling_ms <= part.error_ms(model) for part in others]))
    # A plain quantile regression holds 87 % of them.
    assert np.mean(held) == pytest.approx(0.9, abs=0.02)


def test_figures_are_of_people_who_were_held_out() -> None:
    found = _table(20, seed=1)
    outlier = [replace(part, subject="outlier", dataset="outlier", value_ms=part.truth_ms + 150) for part in found[:8]]
    model = _with(fit_errors([*found, *outlier]))
    covered = np.mean([part.beside_sampling_ms <= part.error_ms(model) for part in outlier])
    figures = held_out([*found, *outlier])
    assert figures.keys() == {"15 s", "30 s", "outlier"}
    assert [of_set["people"] for of_set in figures.values()] == [20, 20, 1]
    # An outlier's interval holds by a model that was fitted to them, and not by one that was not.
    assert covered > 0.5
    assert figures["outlier"]["interval_coverage"] == 0


def test_noise_slowness_and_length_never_narrow_an_interval_whatever_the_data() -> None:
    against = 60 * np.abs(np.random.default_rng(3).normal(size=240))
    found = [
        replace(part, value_ms=part.truth_ms + off * np.exp(0.1 * part.snr_db) / part.mean_ibi_s**2 / part.intervals)
        for off, part in zip(against, _table(40, seed=3), strict=True)
    ]
    for errors in (fit_errors(found), *VARIABILITY_MODEL.errors.values()):
        _, slowness, clearness, length = errors
        assert slowness >= 0
        assert clearness <= 0
        assert length >= 0


def test_sampling_error_is_not_counted_as_an_error_of_the_beats() -> None:
    low, high = sampling_interval(20.0, 20)
    base = MeasureError("sdnn_ms", "made", "a", 20.0, 0.0, 20, 0.8, 8.0)
    assert replace(base, truth_ms=high - 0.1).beside_sampling_ms == 0
    assert replace(base, truth_ms=low + 0.1).beside_sampling_ms == 0
    assert replace(base, truth_ms=20 + 2 * (high - 20)).beside_sampling_ms == pytest.approx(3**0.5 * (high - 20))


def _even(count: int) -> Beats:
    return beats_at(np.cumsum(np.full(count, 0.8) + 0.03 * np.sin(np.arange(count))))


def test_the_fit_uses_the_interval_of_the_vital() -> None:
    for count in (18, 40, 90):
        beats = _even(count)
        value, kept = sdnn_ms(beats), int(beats.kept.sum())
        _, high = interval_of("sdnn_ms", value, beats, 9.0)
        for truth, held in ((high - 0.01, True), (high + 0.01, False)):
            part = MeasureError("sdnn_ms", "made", "a", value, truth, kept, float(beats.intervals_s.mean()), 9.0)
            assert (part.beside_sampling_ms <= part.error_ms(VARIABILITY_MODEL)) is held


def test_a_longer_window_is_reported_as_a_short_one_is() -> None:
    model = VARIABILITY_MODEL
    assert model.error_ms("sdnn_ms", 0.8, 4.0, STRETCHES_S[1]) > model.error_ms("sdnn_ms", 0.8, 4.0)
    assert [exceeds_noise("sdnn_ms", _even(count), 4.0) for count in (18, 80)] == [True, True]


def test_clips_without_beats_and_negatives_are_excluded() -> None:
    row: dict[str, Any] = {
        "seed": 7,
        "conditions": {"kind": "live"},
        "truth": {"sdnn_ms": 25.0, "rmssd_ms": None},
        "evidence": {"snr_db": 6.04},
        "vitals": {"heart_rate": {"value": 75.0}},
        "beats": {"intervals": 16, "sdnn_ms": 20.0, "rmssd_ms": 22.0, "mean_ibi_ms": 800.0},
    }
    others: tuple[dict[str, Any], ...] = (
        {"conditions": {"kind": "still"}},
        {"beats": None},
        {"vitals": {"heart_rate": {"value": None}}},
        {"evidence": {"snr_db": VARIABILITY_MODEL.min_snr_db - 0.1}},
    )
    older = {**row, "beats": {**row["beats"], "sdnn_ms": 99.0}}
    (part,) = of_clips([older, row, *({**row, "seed": seed, **other} for seed, other in enumerate(others))])
    assert part == MeasureError("sdnn_ms", "simulated clips", "7", 20.0, 25.0, 16, 0.8, 6.04)
