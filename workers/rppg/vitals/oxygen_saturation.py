"""Oxygen saturation from the ratio of ratios: experimental, because its offset depends on the camera.

SpO2 = A - B·R with R = (AC/DC)red / (AC/DC)blue (Scully et al. 2012, IEEE Trans. Biomed. Eng. 59(2):303; Bal 2015,
Biomed. Opt. Express 6(1):86). AC is the amplitude over time in the band of the pulse, not the spread of pixels. White
balance, gamma and compression change R, so A and B belong to a camera; `lab.calibrate.oxygen` fits them. A value by the
default A and B has the reason `not_calibrated`. A picture of one channel, whatever its tint, gives no value: its R is a
constant of the tint.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.schemas import Baseline, OxygenSaturation, OxygenSaturationDiagnostics, VitalStatus
from shared.vitals import OXYGEN_SATURATION, Reason
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.signals.filters import band_pass, detrend
from workers.rppg.signals.spectrum import amplitude, relative
from workers.rppg.signals.traces import Crops, Traces, scale_of
from workers.rppg.vitals.measurement import VitalInputs, VitalResult, method_of

#: The error of always reporting 97.5 % for healthy people (VitalLens technical report).
BASELINE: Final = Baseline(value=97.5, mae=1.19, source="a constant, on healthy people of VV-Medium")

#: Level of the interval.
INTERVAL_LEVEL: Final = 0.9
_Z: Final = 1.645

#: Largest amplitude of the pulse in red over that in green. Blood absorbs green far more than red: the ratio is 0.43 by
#: the published skin model (Wang et al. 2017), 0.25 to 0.31 in three real clips and 0.35 to 0.61 in 27 simulated ones
#: with a heart rate. It is 0.85 to 1 in grey and tinted pictures, unless the tint is strong.
MAX_RED_OVER_GREEN: Final = 0.8
#: Least variation of colour among pixels of equal brightness, root mean square of 255 levels. Simulated and real faces
#: have 4 to 34 in the more varied of red and blue; tinted pictures have at most 1.5 after encoding.
MIN_CHROMA: Final = 2.0
#: Values (of 255) outside of which pixels may be clipped, the number of crops examined, and the fewest pixels.
_UNCLIPPED: Final = (8.0, 247.0)
_CROPS: Final = 5
_MIN_PIXELS: Final = 500


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

    @property
    def is_default(self) -> bool:
        """Whether nothing was fitted to the camera."""
        return self == OxygenCalibration()


@dataclass(frozen=True)
class RatioOfRatios:
    """R, its standard error from noise, and the relative amplitudes of red and blue (AC/DC).

    `red_over_green` is the ratio of ratios of red and green.
    """

    value: float
    standard_error: float
    red: float
    blue: float
    red_over_green: float


def ratio_of_ratios(traces: Traces, pulse: Pulse) -> RatioOfRatios:
    """Return R of the whole face from the channels' projections on the fused wave, so that only the pulse counts."""
    reference = band_pass(detrend(pulse.wave, traces.fs), traces.fs)
    reference /= np.linalg.norm(reference)
    slopes, errors = [], []
    for channel in traces.face:
        wave = band_pass(detrend(relative(channel), traces.fs), traces.fs)
        slope = float(wave @ reference)
        rest = wave - slope * reference
        # Samples of a band of 2.85 Hz are independent at twice that rate, not at the camera's.
        independent = max(2 * 2.85 * len(wave) / traces.fs, 2)
        slopes.append(slope)
        errors.append(float(np.linalg.norm(rest)) / np.sqrt(independent))
    (red, green, blue), (red_error, _, blue_error) = slopes, errors
    value = red / blue if blue else float("inf")
    share = np.hypot(red_error / red, blue_error / blue) if red and blue else float("inf")
    rate_hz = pulse.rate_per_min / 60
    return RatioOfRatios(
        value=value,
        standard_error=float(abs(value) * share),
        red=amplitude(relative(traces.face[0]), traces.fs, rate_hz),
        blue=amplitude(relative(traces.face[2]), traces.fs, rate_hz),
        red_over_green=red / green if green else float("inf"),
    )


def why_without_colour(traces: Traces, ratio: RatioOfRatios) -> str | None:
    """Return why the picture does not show the colours of blood, or None if it does."""
    if traces.grey or is_one_channel(traces.crops):
        return "the picture has no colour but a tint, and the method compares red with blue"
    if ratio.red_over_green > MAX_RED_OVER_GREEN:
        return (
            f"the pulse in red is {ratio.red_over_green:.2f} times as strong as in green, as in a picture without "
            f"colour; blood: less than {MAX_RED_OVER_GREEN:g}"
        )
    return None


def is_one_channel(crops: Crops) -> bool:
    """Return whether the colour of `crops` (n, h, h, 3) follows from their brightness, as in a tinted grey picture.

    Colour is a polynomial of the brightness there; in a picture with colour, pixels of equal brightness differ.
    """
    pixels = crops[:: max(1, len(crops) // _CROPS)].reshape(-1, 3) / scale_of(crops)
    pixels = pixels[((pixels > _UNCLIPPED[0]) & (pixels < _UNCLIPPED[1])).all(axis=1)]
    if len(pixels) < _MIN_PIXELS:
        return False
    powers = np.vander(pixels.mean(axis=1) / 255, 4)
    chroma = pixels[:, (0, 2)] - pixels[:, 1:2]
    unexplained = chroma - powers @ np.linalg.lstsq(powers, chroma, rcond=None)[0]
    return float(np.sqrt(np.square(unexplained).mean(axis=0)).max()) < MIN_CHROMA


def oxygen_saturation(traces: Traces, pulse: Pulse, calibration: OxygenCalibration) -> OxygenSaturation:
    """Return the vital `oxygen_saturation` of an accepted pulse: experimental, or abstained; it is never clamped.

    With the default calibration, a value has the reason `not_calibrated`; so has the absence of one out of range.
    """
    spec = OXYGEN_SATURATION
    method = method_of("ratio of ratios, red over blue", pulse.frames)

    def abstained(reason: Reason, detail: str) -> OxygenSaturation:
        return OxygenSaturation.without_value(spec.unit, VitalStatus.ABSTAINED, reason, detail, method)

    ratio = ratio_of_ratios(traces, pulse)
    if (detail := why_without_colour(traces, ratio)) is not None:
        return abstained(Reason.NO_COLOUR, detail)
    if traces.high_dynamic_range:
        # Measured on one simulated clip of 96.6 %, encoded again in 10 bit: HLG gave 94.8 % and PQ 96.3 % at
        # 2.7 Mbit/s, 91.5 and 92.6 % at 0.27 and 0.54 Mbit/s. The cause is not known.
        detail = "colour measured after conversion from high dynamic range (HDR) was not found accurate"
        return abstained(Reason.HIGH_DYNAMIC_RANGE, detail)
    low, high = spec.plausible or (0.0, 100.0)
    value = calibration.a - calibration.b * ratio.value
    half = _Z * float(np.hypot(calibration.b * ratio.standard_error, calibration.residual_sd))
    if not np.isfinite(value) or ratio.value <= 0 or half > (high - low) / 2:
        return abstained(Reason.NO_PULSE, "the pulse is too weak in red and blue")
    known = {
        "diagnostics": OxygenSaturationDiagnostics(
            ratio_of_ratios=round(ratio.value, 3),
            red_amplitude=round(ratio.red, 6),
            blue_amplitude=round(ratio.blue, 6),
            a=calibration.a,
            b=calibration.b,
        ),
        "baseline": BASELINE,
    }
    if not low <= value <= high:
        detail = (
            f"R = {ratio.value:.2f} gives {value:.0f} % with A = {calibration.a:g}, B = {calibration.b:g}:"
            " this camera needs a calibration of its own"
        )
        return abstained(Reason.NOT_CALIBRATED, detail).model_copy(update=known)
    detail = "by the default A and B: the camera was not calibrated, so the level may be off by any amount"
    return OxygenSaturation(
        value=round(value, 1),
        unit=spec.unit,
        status=VitalStatus.EXPERIMENTAL,
        reason=Reason.NOT_CALIBRATED if calibration.is_default else None,
        detail=detail if calibration.is_default else None,
        interval=(round(value - half, 1), round(min(value + half, 100.0), 1)),
        interval_level=INTERVAL_LEVEL,
        method=method,
        **known,
    )


def measure(inputs: VitalInputs) -> VitalResult:
    """Measure the oxygen saturation, by the camera's `OxygenCalibration`."""
    calibration = inputs.option(OxygenCalibration)
    return VitalResult(oxygen_saturation(inputs.traces, inputs.pulse, calibration))
