"""Oxygen saturation from the ratio of ratios: experimental, because its offset depends on the camera.

SpO2 = A - B·R with R = (AC/DC)red / (AC/DC)blue (Scully et al. 2012, IEEE Trans. Biomed. Eng. 59(2):303; Bal 2015,
Biomed. Opt. Express 6(1):86). AC is the amplitude over time in the band of the pulse, not the spread of pixels. White
balance, gamma and compression change R, so A and B belong to a camera; `lab.calibrate.oxygen` fits them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.schemas import Baseline, OxygenSaturation, OxygenSaturationDiagnostics, VitalStatus
from shared.vitals import OXYGEN_SATURATION, Reason
from workers.rppg.fusion.evidence import amplitude, relative
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.signals.filters import band_pass, detrend
from workers.rppg.signals.traces import Traces
from workers.rppg.vitals.measurement import VitalInputs, VitalResult, method_of

#: The error of always reporting 97.5 % for healthy people (VitalLens technical report).
BASELINE: Final = Baseline(value=97.5, mae=1.19, source="a constant, on healthy people of VV-Medium")

#: Level of the interval.
INTERVAL_LEVEL: Final = 0.9
_Z: Final = 1.645


@dataclass(frozen=True)
class OxygenCalibration:
    """A and B of a camera, per cent, and the residual standard deviation between people and clips.

    B is the customary slope for red and blue of webcams. A is chosen so that the pulse of the published skin model
    (relative strengths 0.33 in red and 0.53 in blue, Wang et al. 2017: R = 0.62) gives 97.5 %; the A customary with
    that slope, 125, belongs to cameras with R = 1.06, and gives 109 % here. R varies by 0.2 between clips, so an
    uncalibrated camera can't be better than `residual_sd`; ISO 80601-2-61 requires 4 % of an oximeter on the finger.
    """

    a: float = 113.6
    b: float = 26.0
    residual_sd: float = 6.0


@dataclass(frozen=True)
class RatioOfRatios:
    """R, its standard error from noise, and the relative amplitudes of red and blue (AC/DC)."""

    value: float
    standard_error: float
    red: float
    blue: float


def ratio_of_ratios(traces: Traces, pulse: Pulse) -> RatioOfRatios:
    """Return R of the whole face from the channels' projections on the fused wave, so that only the pulse counts."""
    reference = band_pass(detrend(pulse.wave, traces.fs), traces.fs)
    reference /= np.linalg.norm(reference)
    slopes, errors = [], []
    for channel in (traces.face[0], traces.face[2]):
        wave = band_pass(detrend(relative(channel), traces.fs), traces.fs)
        slope = float(wave @ reference)
        rest = wave - slope * reference
        # Samples of a band of 2.85 Hz are independent at twice that rate, not at the camera's.
        independent = max(2 * 2.85 * len(wave) / traces.fs, 2)
        slopes.append(slope)
        errors.append(float(np.linalg.norm(rest)) / np.sqrt(independent))
    (red, blue), (red_error, blue_error) = slopes, errors
    value = red / blue if blue else float("inf")
    share = np.hypot(red_error / red, blue_error / blue) if red and blue else float("inf")
    rate_hz = pulse.rate_per_min / 60
    return RatioOfRatios(
        value=value,
        standard_error=float(abs(value) * share),
        red=amplitude(relative(traces.face[0]), traces.fs, rate_hz),
        blue=amplitude(relative(traces.face[2]), traces.fs, rate_hz),
    )


def oxygen_saturation(
    traces: Traces, pulse: Pulse, calibration: OxygenCalibration, models: Iterable[str]
) -> OxygenSaturation:
    """Return the vital `oxygen_saturation` of an accepted pulse: experimental, or abstained; it is never clamped.

    `models` are the weights that took part.
    """
    spec = OXYGEN_SATURATION
    method = method_of("ratio of ratios, red over blue", models, pulse.frames)
    if traces.grey:
        detail = "the picture has no colour, and the method compares red with blue"
        return OxygenSaturation.without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NO_COLOUR, detail, method)
    if traces.high_dynamic_range:
        # Measured on one simulated clip of 96.6 %, encoded again in 10 bit: HLG gave 94.8 % and PQ 96.3 % at
        # 2.7 Mbit/s, 91.5 and 92.6 % at 0.27 and 0.54 Mbit/s. The cause is not known.
        detail = "colour measured after conversion from high dynamic range (HDR) was not found accurate"
        return OxygenSaturation.without_value(
            spec.unit, VitalStatus.ABSTAINED, Reason.HIGH_DYNAMIC_RANGE, detail, method
        )
    ratio = ratio_of_ratios(traces, pulse)
    diagnostics = OxygenSaturationDiagnostics(
        ratio_of_ratios=round(ratio.value, 3) if np.isfinite(ratio.value) else None,
        red_amplitude=round(ratio.red, 6),
        blue_amplitude=round(ratio.blue, 6),
        a=calibration.a,
        b=calibration.b,
    )
    low, high = spec.plausible or (0.0, 100.0)
    value = calibration.a - calibration.b * ratio.value
    half = _Z * float(np.hypot(calibration.b * ratio.standard_error, calibration.residual_sd))
    if not np.isfinite(value) or ratio.value <= 0 or half > (high - low) / 2:
        detail = "the pulse is too weak in red and blue"
        return OxygenSaturation.without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NO_PULSE, detail, method)
    if not low <= value <= high:
        detail = (
            f"R = {ratio.value:.2f} gives {value:.0f} % with A = {calibration.a:g}, B = {calibration.b:g}:"
            " this camera needs a calibration of its own"
        )
        silent = OxygenSaturation.without_value(
            spec.unit, VitalStatus.UNAVAILABLE, Reason.MODEL_NOT_INSTALLED, detail, method
        )
        return silent.model_copy(update={"diagnostics": diagnostics, "baseline": BASELINE})
    return OxygenSaturation(
        value=round(value, 1),
        unit=spec.unit,
        status=VitalStatus.EXPERIMENTAL,
        interval=(round(value - half, 1), round(min(value + half, 100.0), 1)),
        interval_level=INTERVAL_LEVEL,
        baseline=BASELINE,
        method=method,
        diagnostics=diagnostics,
    )


def measure(inputs: VitalInputs) -> VitalResult:
    """Measure the oxygen saturation, by the camera's `OxygenCalibration`."""
    calibration = inputs.option(OxygenCalibration)
    return VitalResult(oxygen_saturation(inputs.traces, inputs.pulse, calibration, inputs.models))
