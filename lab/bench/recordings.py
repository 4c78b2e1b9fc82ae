"""What is not simulated: photoplethysmograms with breaths marked by hand, and real clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks, resample_poly

from lab.bench.report import Report
from shared.schemas import Interval
from workers.face.tracker import FaceTracker
from workers.media.clip import open_clip
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import measure_rppg
from workers.rppg.signals.beats import Beats, beats_at, beats_of, mean_rate_per_min
from workers.rppg.signals.filters import band_pass, pulse_wave
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import GRID_HZ
from workers.rppg.vitals.breathing import SLOW_HZ, Breathing, fuse, modulations
from workers.rppg.vitals.heart_rate_variability import MEASURES, VARIABILITY_MODEL, exceeds_noise, interval_of
from workers.rppg.vitals.respiration_rate import refusal

Array = NDArray[np.float64]

#: BIDMC PPG and Respiration (Pimentel et al. 2017), as `bidmc_01_26.npz`: 26 patients of 8 minutes at 125 Hz.
BIDMC_HZ: Final = 125
#: Two annotators must agree within this many breaths a minute for a window to count.
ANNOTATORS_PER_MIN: Final = 2.0

#: Real clips and what is known of them: rate in /min, and how far the answer may be. That of naber.mp4 is what its
#: skin alone does; its keyframes beat at 59.0 /min (docs/keyframes.md).
REAL_CLIPS: Final = {"evm_face.mp4": (53.0, 2.0), "evm_face2.mp4": (53.5, 2.0), "naber.mp4": (75.0, 2.0)}


@dataclass(frozen=True)
class Window:
    """A stretch of one patient: the PPG (n,) at 125 Hz, and the breaths a minute that both annotators count."""

    patient: str
    ppg: Array
    breaths_per_min: float


def recordings(path: Path) -> Iterator[tuple[str, Array]]:
    """Every patient's name and PPG (n,) at 125 Hz."""
    with np.load(path) as data:
        for patient in sorted({name.split("_", maxsplit=1)[0] for name in data}):
            yield patient, data[f"{patient}_ppg"].astype(np.float64)


def windows(path: Path, length_s: int, step_s: int = 16) -> Iterator[Window]:
    """Every window in which the annotators agree."""
    with np.load(path) as data:
        for patient in sorted({name.split("_", maxsplit=1)[0] for name in data}):
            ppg = data[f"{patient}_ppg"].astype(np.float64)
            marks = [column[column >= 0] / BIDMC_HZ for column in data[f"{patient}_breaths"].T]
            for start in range(0, len(ppg) // BIDMC_HZ - length_s, step_s):
                counted = [_breaths(mark[(mark >= start) & (mark <= start + length_s)]) for mark in marks]
                if min(counted) > 0 and abs(counted[0] - counted[1]) <= ANNOTATORS_PER_MIN:
                    part = ppg[start * BIDMC_HZ : (start + length_s) * BIDMC_HZ]
                    yield Window(patient, part, float(np.mean(counted)))


def respiration(path: Path) -> Report:
    """Breathing read from the PPG alone, at a webcam's 30 Hz, in windows of 32 and of 15 s."""
    report = Report(
        "accuracy-bidmc-respiration",
        "Respiration from the PPG alone: BIDMC at 30 Hz",
        ("window s", "windows", "coverage", "rmse", "mae", "p95", "rmse of all", "interval coverage"),
    )
    for length_s in (32, 15):
        rows = [(window.breaths_per_min, breathing_in(window.ppg)) for window in windows(path, length_s)]
        error = np.array([breathing.rate_per_min - true for true, breathing in rows])
        ok = np.array([refusal(breathing) is None for _, breathing in rows])
        inside = [
            low <= true <= high
            for (true, breathing), given in zip(rows, ok, strict=True)
            if given
            for low, high in [breathing.interval()]
        ]
        report.add(
            length_s,
            len(rows),
            float(ok.mean()),
            float(np.sqrt((error[ok] ** 2).mean())),
            float(np.abs(error[ok]).mean()),
            float(np.percentile(np.abs(error[ok]), 95)),
            float(np.sqrt((error**2).mean())),
            float(np.mean(inside)),
        )
        report.summary[f"{length_s}_s"] = {
            "coverage": round(float(ok.mean()), 3),
            "rmse": round(float(np.sqrt((error[ok] ** 2).mean())), 2),
        }
    return report


def breathing_in(ppg: Array) -> Breathing:
    """Breathing in a PPG (n,) at 125 Hz, resampled to the traces' grid first."""
    raw = resample_poly(ppg, 6, 25)
    wave = pulse_wave(raw, GRID_HZ)
    rate = 60 * spectrum_of(wave, GRID_HZ).peak_hz()
    signals = modulations(wave, raw / (np.abs(raw).max() or 1.0), GRID_HZ, rate)
    return fuse({name: (signal, SLOW_HZ) for name, signal in signals.items()})


@dataclass(frozen=True)
class PlacedBeats:
    """Beats of a stretch of one patient's PPG as a webcam's 30 Hz give them, those at 125 Hz, and the wave's SNR."""

    patient: str
    beats: Beats
    truth: Beats
    snr_db: float

    def told(self, name: str) -> tuple[float, float, Interval]:
        """Value, truth and interval of SDNN or RMSSD."""
        value = MEASURES[name](self.beats)
        return value, MEASURES[name](self.truth), interval_of(name, value, self.beats, self.snr_db)


def placed_beats(path: Path, length_s: int) -> Iterator[PlacedBeats]:
    """Every stretch in which both are regular enough; the truth is the moments of the steepest rise at 125 Hz."""
    for window in windows(path, length_s, length_s):
        truth = beats_at(steepest(window.ppg))
        if len(truth.kept) < 8 or truth.kept_share < 0.97:
            continue
        beats, snr = beats_in(window.ppg)
        if beats.kept.sum() >= 8:
            yield PlacedBeats(window.patient, beats, truth, snr)


def beats_in(ppg: Array) -> tuple[Beats, float]:
    """Beats of a PPG (n,) at 125 Hz, resampled to the traces' grid first, and the SNR of its wave there."""
    wave = pulse_wave(resample_poly(ppg, 6, 25), GRID_HZ)
    spectrum = spectrum_of(wave, GRID_HZ)
    rate = mean_rate_per_min(wave, GRID_HZ, 60 * spectrum.peak_hz())
    snr = snr_db(spectrum, rate / 60)
    return beats_of(wave, GRID_HZ, rate, half_band_hz=VARIABILITY_MODEL.half_band_hz(snr)), snr


def variability(path: Path) -> Report:
    """SDNN and RMSSD of the PPG at 30 Hz, against the moments of its steepest rise at 125 Hz."""
    report = Report(
        "accuracy-bidmc-variability",
        "Variability from the PPG at 30 Hz against 125 Hz: BIDMC",
        ("window s", "measure", "windows", "told", "mae", "median error", "median truth", "interval coverage"),
    )
    for length_s in (30, 15):
        placed = list(placed_beats(path, length_s))
        for name in VARIABILITY_MODEL.errors:
            rows = [part.told(name) for part in placed if exceeds_noise(name, part.beats, part.snr_db)]
            error = np.array([value - true for value, true, _ in rows])
            middle = float(np.median([true for _, true, _ in rows]))
            inside = float(np.mean([low <= true <= high for _, true, (low, high) in rows]))
            mae = float(np.abs(error).mean())
            report.add(length_s, name, len(placed), len(rows), mae, float(np.median(error)), middle, inside)
            figures = {"told": len(rows), "mae": round(mae, 1), "interval_coverage": round(inside, 3)}
            report.summary[f"{name}_{length_s}_s"] = figures
    return report


def real_clips(folder: Path, models: RppgModels) -> Report:
    """The clips of `REAL_CLIPS` that lie in a folder."""
    columns = ("clip", "known, or read by other means", "told", "interval", "status", "reason")
    report = Report("accuracy-real", "Real clips, heart rate /min", columns)
    tracker = FaceTracker()
    for name, (known, _) in REAL_CLIPS.items():
        if not (folder / name).is_file():
            continue
        with open_clip(folder / name) as clip:
            track = tracker.track(clip.frames())
        vital = measure_rppg(track, models).vitals["heart_rate"]
        report.add(name, known, vital.value, vital.interval, vital.status.value, vital.reason)
        report.summary[name] = vital.value
    return report


def _breaths(marks_s: Array) -> float:
    return 60 * (len(marks_s) - 1) / float(marks_s[-1] - marks_s[0]) if len(marks_s) > 2 else 0.0


def steepest(ppg: Array) -> Array:
    """Moments (k,) of the steepest rise of each beat, by a parabola between samples."""
    slope = np.gradient(band_pass(ppg, BIDMC_HZ, (0.5, 8.0)))
    peaks, _ = find_peaks(slope, distance=round(0.3 * BIDMC_HZ), height=0.35 * float(np.percentile(slope, 97)))
    peaks = peaks[(peaks > 0) & (peaks < len(slope) - 1)]
    left, middle, right = slope[peaks - 1], slope[peaks], slope[peaks + 1]
    return np.asarray((peaks + 0.5 * (left - right) / (left - 2 * middle + right)) / BIDMC_HZ, np.float64)
