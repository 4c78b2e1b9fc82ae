"""Reports on recordings of real people: photoplethysmograms (BIDMC), and real clips."""

from pathlib import Path
from typing import Final

import numpy as np

from lab.data.bidmc import window_beats
from lab.report import Report
from workers.face.tracker import FaceTracker
from workers.media.clip import open_clip
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import measure_rppg
from workers.rppg.vitals.heart_rate_variability import reason_withheld

#: Real clips: heart rate in /min, and the tolerance. naber.mp4 has no reference: the rate is that of its skin; its
#: keyframes pulsate at 59.0 /min (docs/keyframes.md).
REAL_CLIPS: Final = {"evm_face.mp4": (53.0, 2.0), "evm_face2.mp4": (53.5, 2.0), "naber.mp4": (75.0, 2.0)}


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
