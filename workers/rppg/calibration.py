"""Every threshold and error bar of the pulse, read from `calibration.json` beside this file.

`python -m lab.calibrate` writes that file, and says in it which data it saw.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final


@dataclass(frozen=True)
class Gate:
    """What a pulse must show before its rate is told; see `workers.rppg.evidence.Evidence` for the quantities."""

    support: int
    signal_members: int
    snr_db: float
    region_coherence: float
    region_correlation: float
    background_coherence: float
    background_share: float


@dataclass(frozen=True)
class Calibration:
    """Gate, and half-widths of 90 % intervals (/min) by the number of agreeing estimators."""

    gate: Gate
    half_widths_per_min: dict[int, float]

    def half_width_per_min(self, support: int) -> float:
        """Half-width of the interval for that many agreeing estimators; more than were calibrated count as the most
        that were.
        """
        return self.half_widths_per_min[min(support, max(self.half_widths_per_min))]


def read_calibration(document: dict[str, Any]) -> Calibration:
    """The calibration in the document that `lab.calibrate` writes."""
    return Calibration(
        gate=Gate(**document["gate"]),
        half_widths_per_min={int(support): float(half) for support, half in document["half_widths_per_min"].items()},
    )


CALIBRATION: Final = read_calibration(json.loads((files("workers.rppg") / "calibration.json").read_text("utf-8")))
