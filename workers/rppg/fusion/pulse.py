"""The pulse of a clip: the fused wave with its rate, and the evidence for it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.rppg.fusion.agreement import Agreement, Estimate
from workers.rppg.fusion.evidence import Evidence
from workers.rppg.signals.spectrum import PowerSpectrum


@dataclass(frozen=True)
class Pulse:
    """The fused pulse wave with its rate, the estimates behind it, and the evidence for it.

    Attributes:
        rate_per_min: mean rate over the clip, counted in the fused wave near the rate that the estimators agree on.
        fs: sampling rate, Hz.
        times_s: (n,) times of the samples, seconds since the clip's first frame.
        wave: (n,) fused pulse wave, standardised, rising with blood volume.
        spectrum: power spectrum of the wave.
        estimates: the rate of each estimator, and of each part of the face that one looked at.
        agreement: the rate that the estimators agree on, and the confidence in it.
        evidence: what else in the traces supports a pulse of that rate.
        frames: video frames in which the face was measured.
        between_keyframes: pulse of the regions' colours with the change across keyframes interpolated
            (`Traces.keyframes_interpolated`). None if keyframes do not make the rate doubtful, or come at the
            pulse's own rate.
    """

    rate_per_min: float
    fs: float
    times_s: NDArray[np.float64]
    wave: NDArray[np.float64]
    spectrum: PowerSpectrum
    estimates: tuple[Estimate, ...]
    agreement: Agreement
    evidence: Evidence
    frames: int
    between_keyframes: "Pulse | None" = None

    @property
    def duration_s(self) -> float:
        """Length of the wave in seconds."""
        return len(self.wave) / self.fs
