"""Errors of measures from beats are fitted to some people, and hold on others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.calibrate.beat_errors import LENGTHS_S, MeasureError, fit_errors, held_out, of_clips, of_patients
from lab.data.bidmc import window_beats
from workers.rppg.signals.beats import Beats, beats_at
from workers.rppg.vitals.heart_rate_variability import (
    MIN_ERRORS,
    VARIABILITY_MODEL,
    VariabilityModel,
    interval_of,
    reason_withheld,
    sdnn_ms,
)

BIDMC = Path(__file__).parents[4] / "shared" / "data" / "ppg" / "bidmc_01_26.npz"


def _table(people: int, seed: int, windows: int = 6) -> list[MeasureError]:
    """Errors of SDNN that grow with its value and with noise, and differ between people."""
    rng = np.random.default_rng(seed)
    found = []
    for person in range(people):
        own = np.exp(rng.normal(scale=0.5))
        for window in range(windows):
            duration_s = 15 if window % 2 else 30
            ibi_s, snr_db, value = rng.uniform(0.5, 1.2), rng.uniform(2, 16), rng.uniform(8, 30)
            truth = abs(value + 0.5 * value * own * np.exp(-0.08 * snr_db) * rng.normal())
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
        held.append(np.mean([part.error <= part.allowance(model) for part in others]))
    assert np.mean(held) == pytest.approx(0.9, abs=0.02)


def test_figures_are_of_people_who_were_held_out() -> None:
    found = _table(20, seed=1)
    outlier = [replace(part, subject="outlier", dataset="outlier", truth=part.value + 150) for part in found[:8]]
    model = _with(fit_errors([*found, *outlier]))
    covered = np.mean([part.error <= part.allowance(model) for part in outlier])
    figures = held_out([*found, *outlier])
    assert figures.keys() == {"15 s", "30 s", "outlier"}
    assert [of_set["people"] for of_set in figures.values()] == [20, 20, 1]
    # An outlier's interval holds by a model that was fitted to them, and not by one that was not.
    assert covered > 0.5
    assert figures["outlier"]["interval_coverage"] == 0


def test_noise_and_a_large_value_never_narrow_an_interval_whatever_the_data() -> None:
    against = 60 * np.abs(np.random.default_rng(3).normal(size=240))
    found = [
        replace(part, truth=part.value + off * np.exp(0.1 * part.snr_db) / part.value**2)
        for off, part in zip(against, _table(40, seed=3), strict=True)
    ]
    for errors in (fit_errors(found), *VARIABILITY_MODEL.errors.values()):
        _, _, clearness, _, value = errors
        assert clearness <= 0
        assert value >= 0


def _even(count: int) -> Beats:
    return beats_at(np.cumsum(np.full(count, 0.8) + 0.03 * np.sin(np.arange(count))))


def test_the_fit_uses_the_interval_of_the_vital() -> None:
    for count in (18, 40, 90):
        beats = _even(count)
        value, kept = sdnn_ms(beats), int(beats.kept.sum())
        _, high = interval_of("sdnn_ms", value, beats, 9.0)
        for truth, held in ((high - 0.01, True), (high + 0.01, False)):
            part = MeasureError("sdnn_ms", "made", "a", value, truth, kept, float(beats.intervals_s.mean()), 9.0)
            assert (part.error <= part.allowance(VARIABILITY_MODEL)) is held


@pytest.mark.parametrize("snr_db", [2.0, 4.0, 6.0, 12.0])
@pytest.mark.parametrize("spread_s", [0.01, 0.03, 0.05, 0.1])
def test_the_fit_reports_what_the_service_reports(snr_db: float, spread_s: float) -> None:
    beats = beats_at(np.cumsum(0.9 + spread_s * np.random.default_rng(0).normal(size=20)))
    value, kept = sdnn_ms(beats), int(beats.kept.sum())
    mean_s = float(beats.intervals_s[beats.kept].mean())
    part = MeasureError("sdnn_ms", "made", "a", value, value, kept, mean_s, snr_db)
    assert part.reported(VARIABILITY_MODEL) is (reason_withheld("sdnn_ms", beats, snr_db) is None)


@pytest.fixture(scope="module")
def patients() -> list[MeasureError]:
    if not BIDMC.exists():
        pytest.skip("development data (../shared/data/ppg) is not here")
    return list(of_patients(BIDMC))


@pytest.mark.parametrize("name", MIN_ERRORS)
def test_an_interval_labelled_90_percent_holds_that_share_of_patients_who_were_left_out(
    name: str, patients: list[MeasureError]
) -> None:
    figures = held_out([part for part in patients if part.name == name])
    windows = {of_set: row["reported"] for of_set, row in figures.items()}
    held = {of_set: row["interval_coverage"] for of_set, row in figures.items()}
    overall = sum(held[of_set] * windows[of_set] for of_set in held) / sum(windows.values())
    assert overall == pytest.approx(0.9, abs=0.05)
    for of_set, share in held.items():
        # Fewer than 60 windows of 18 patients estimate a share no better than this.
        assert share == pytest.approx(0.9, abs=0.05 if windows[of_set] >= 60 else 0.07), of_set


def test_the_interval_of_the_mean_beat_interval_holds_on_patients() -> None:
    if not BIDMC.exists():
        pytest.skip("development data (../shared/data/ppg) is not here")
    for length_s in LENGTHS_S:
        measured = [part.measured("mean_ibi_ms") for part in window_beats(BIDMC, length_s)]
        held = np.mean([low <= truth <= high for _, truth, (low, high) in measured])
        assert held == pytest.approx(0.9, abs=0.05), length_s


def test_clips_without_beats_and_negatives_are_excluded() -> None:
    row: dict[str, Any] = {
        "seed": 7,
        "conditions": {"kind": "live"},
        "truth": {"sdnn_ms": 25.0, "rmssd_ms": None},
        "snr_db": 6.04,
        "vitals": {"heart_rate": {"value": 75.0}},
        "beats": {"intervals": 16, "sdnn_ms": 20.0, "rmssd_ms": 22.0, "mean_ibi_ms": 800.0},
    }
    others: tuple[dict[str, Any], ...] = (
        {"conditions": {"kind": "still"}},
        {"beats": None},
        {"vitals": {"heart_rate": {"value": None}}},
        {"snr_db": VARIABILITY_MODEL.min_snr_db - 0.1},
    )
    older = {**row, "beats": {**row["beats"], "sdnn_ms": 99.0}}
    (part,) = of_clips([older, row, *({**row, "seed": seed, **other} for seed, other in enumerate(others))])
    assert part == MeasureError("sdnn_ms", "simulated clips", "7", 20.0, 25.0, 16, 0.8, 6.04)
