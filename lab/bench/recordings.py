"""Reports on recordings of real people: photoplethysmograms with annotated breaths (BIDMC), and real clips."""

from pathlib import Path
from typing import Final

import numpy as np

from lab.arrays import Floats
from lab.data.bidmc import at_30_hz, window_beats, windows
from lab.report import Report
from workers.face.tracker import FaceTracker
from workers.media.clip import open_clip
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import measure_rppg
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.spectrum import spectrum_of
from workers.rppg.signals.traces import GRID_HZ
from workers.rppg.vitals.breathing import SLOW_HZ, Breathing, fuse, modulations
from workers.rppg.vitals.heart_rate_variability import reason_withheld
from workers.rppg.vitals.respiration_rate import refusal

#: Real clips: heart rate in /min, and the tolerance. naber.mp4 has no reference: the rate is that of its skin; its
#: keyframes pulsate at 59.0 /min (docs/keyframes.md).
REAL_CLIPS: Final = {"evm_face.mp4": (53.0, 2.0), "evm_face2.mp4": (53.5, 2.0), "naber.mp4": (75.0, 2.0)}


def respiration(path: Path) -> Report:
    """Respiration rate from the PPG of BIDMC at a webcam's 30 Hz, in windows of 32 s and of 15 s."""
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
            for (true, breathing), accepted in zip(rows, ok, strict=True)
            if accepted
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


def breathing_in(ppg: Floats) -> Breathing:
    """Breathing estimated from a PPG (n,) at 125 Hz, resampled to the traces' 30 Hz first."""
    raw = at_30_hz(ppg)
    wave = to_pulse_wave(raw, GRID_HZ)
    rate = 60 * spectrum_of(wave, GRID_HZ).peak_hz()
    signals = modulations(wave, raw / (np.abs(raw).max() or 1.0), GRID_HZ, rate)
    return fuse({name: (signal, SLOW_HZ) for name, signal in signals.items()})


def variability(path: Path) -> Report:
    """SDNN and RMSSD of the PPG of BIDMC at 30 Hz, against the moments of its steepest rise at 125 Hz."""
    report = Report(
        "accuracy-bidmc-variability",
        "Variability from the PPG at 30 Hz against 125 Hz: BIDMC",
        ("window s", "measure", "windows", "reported", "mae", "median error", "median truth", "interval coverage"),
    )
    for length_s in (30, 15):
        found = list(window_beats(path, length_s))
        for name in ("sdnn_ms", "rmssd_ms"):
            rows = [
                window.measured(name) for window in found if reason_withheld(name, window.beats, window.snr_db) is None
            ]
            error = np.array([value - true for value, true, _ in rows])
            middle = float(np.median([true for _, true, _ in rows]))
            inside = float(np.mean([low <= true <= high for _, true, (low, high) in rows]))
            mae = float(np.abs(error).mean())
            report.add(length_s, name, len(found), len(rows), mae, float(np.median(error)), middle, inside)
            figures = {"reported": len(rows), "mae": round(mae, 1), "interval_coverage": round(inside, 3)}
            report.summary[f"{name}_{length_s}_s"] = figures
    return report


def real_clips_report(folder: Path, models: RppgModels) -> Report:
    """Heart rate in /min of the clips of `REAL_CLIPS` that are in `folder`."""
    columns = ("clip", "reference, or estimate of other methods", "reported", "interval", "status", "reason")
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
