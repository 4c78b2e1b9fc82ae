"""Respiration rate: the rate of breathing with its interval, or the reason why there is none.

It rests on the motion of shoulders and chest alone, which needs no pulse. Where no pulse shows that a living person is
seen, the chest has to move on its own.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Baseline, RespirationRate, VitalStatus
from shared.vitals import RESPIRATION_RATE, Reason
from workers.rppg.fusion.calibration import section
from workers.rppg.fusion.gate import MIN_SWAY
from workers.rppg.vitals.breathing import RATES_PER_MIN, Breathing, breathing_of
from workers.rppg.vitals.chest_checks import ChestChecks, chest_checks
from workers.rppg.vitals.measurement import VitalInputs, VitalResult, method_of, spectrum_over, wave_of

#: The error of always reporting the mean (VitalLens technical report).
BASELINE: Final = Baseline(value=16.0, mae=3.81, source="a constant, on VV-Medium")

#: Name of the method.
_METHOD: Final = "motion of the shoulders"

#: Level of the interval.
INTERVAL_LEVEL: Final = 0.9

#: Length of the clips that the model is fitted to, seconds.
FITTED_S: Final = 15.0
#: Least share of the motion that one sine explains. In longer clips a rate that changes has a prominent peak as well:
#: of about 500 rates of recorded breaths of 30 and 60 s (BIDMC), 24 were off by more than 4 /min without this
#: condition, and 2 of 366 with it.
MIN_EXPLAINED: Final = 0.5
#: Amplitude of the chest's motion, face widths, above which it is not a breath's: 7 mm up and down.
MAX_AMPLITUDE: Final = 0.05
#: Largest correlation of the light on skin and surroundings with the chest's motion: 0.70 is the 99 % quantile of right
#: rates; it is 0.79 and 0.99 where light alone gave a clear rate (`lab/calibrate/respiration_table.csv`).
MAX_LIT: Final = 0.75
#: Without a pulse: least share of the chest's motion, and its least amplitude in face widths, without the head's. Of
#: ten clear rates of prints, dolls and photographs six have less than half, and the others less than 0.006 or light
#: that varies with them; 4 % of the right rates without a pulse have less than half.
MIN_OWN: Final = 0.5
MIN_OWN_AMPLITUDE: Final = 0.006


@dataclass(frozen=True)
class RespirationModel:
    """Numbers of the vital (`python -m lab.calibrate.respiration`).

    Attributes:
        min_prominence: prominence of the belief's peak from which on the rate is reported.
        interval: weights of `interval_features`, whose product with them is the logarithm of the interval's half-width.
    """

    min_prominence: float
    interval: tuple[float, float, float]

    def half_width_per_min(self, breathing: Breathing) -> float:
        """Half-width of the 90 % interval, breaths a minute."""
        return float(np.exp(interval_features(breathing) @ np.array(self.interval)))


def interval_features(breathing: Breathing) -> NDArray[np.float64]:
    """Features (3,) of the interval's width: a constant, the clip's shortness, irregularity of the breath.

    A clip of 15 s has three breaths of 12 /min: the less alike they are, the less is their mean rate known. Clips above
    15 s get the width of 15 s: nothing was fitted to them, and a breath that changes its rate makes errors that a
    longer clip does not shrink.
    """
    shortness = max(0.0, float(np.log(FITTED_S / breathing.duration_s)))
    return np.array([1.0, shortness, np.log(1.001 - breathing.explained)])


#: The model as calibrated.
MODEL: Final = RespirationModel(**{name: section("respiration")[name] for name in ("min_prominence", "interval")})


def refusal(
    breathing: Breathing,
    checks: ChestChecks,
    *,
    alive: bool,
    sway: float | None = None,
    model: RespirationModel = MODEL,
) -> str | None:
    """Return why the rate is not reported, or None if it is.

    Args:
        breathing: the belief over the rate.
        checks: what else could move the chest.
        alive: whether an accepted pulse shows that a living person is seen.
        sway: slow motion of the head, widths of the face's crop, if it is known.
        model: the numbers that were fitted.
    """
    low, high = RESPIRATION_RATE.plausible or (RATES_PER_MIN[0], RATES_PER_MIN[-1])
    own = checks.own >= MIN_OWN and checks.own_amplitude >= MIN_OWN_AMPLITUDE
    doubts = (
        (breathing.prominence < model.min_prominence, "the motion of the shoulders is not periodic"),
        (
            breathing.at_edge,
            f"the likeliest rate is at the edge of the range {low:g} to {high:g} /min, and may be outside of it",
        ),
        (breathing.explained < MIN_EXPLAINED, "the motion of the shoulders has no steady rate"),
        (checks.amplitude > MAX_AMPLITUDE, "the shoulders move further than breathing moves them"),
        (checks.lit > MAX_LIT, "the light changes as the shoulders seem to move"),
        (not alive and not own, "the shoulders hardly move on their own, without the head"),
        (not alive and sway is not None and sway < MIN_SWAY, "the head does not move at all, as in a picture"),
    )
    return next((detail for doubtful, detail in doubts if doubtful), None)


def measure(inputs: VitalInputs) -> VitalResult:
    """Measure the respiration rate of a person whose pulse was accepted."""
    return _measure(inputs, alive=True)


def measure_without_pulse(inputs: VitalInputs) -> VitalResult | None:
    """Measure the respiration rate of someone whose pulse was refused; None if that is not certain."""
    result = _measure(inputs, alive=False)
    return result if result.vital.status is VitalStatus.OK else None


def _measure(inputs: VitalInputs, *, alive: bool) -> VitalResult:
    traces, frames = inputs.traces, inputs.pulse.frames
    if traces.chest is None:
        return VitalResult(_abstained("no shoulders are seen, or nothing on them shows whether they move", frames))
    breathing = breathing_of(traces.chest, traces.fs)
    checks = chest_checks(traces.chest, traces, breathing.rate_per_min)
    refused = refusal(breathing, checks, alive=alive, sway=inputs.pulse.sway)
    vital = respiration_rate(breathing, frames) if refused is None else _abstained(refused, frames)
    times_s = float(traces.times_s[0]) + np.arange(len(breathing.wave)) / breathing.fs
    return VitalResult(
        vital,
        {"respiration_rate": wave_of(times_s, breathing.wave)},
        {"respiration_rate": spectrum_over(RATES_PER_MIN, breathing.belief)},
    )


def respiration_rate(breathing: Breathing, frames: int) -> RespirationRate:
    """Return the vital `respiration_rate`, measured in `frames` video frames."""
    rate, half = breathing.rate_per_min, MODEL.half_width_per_min(breathing)
    return RespirationRate(
        value=round(rate, 1),
        unit=RESPIRATION_RATE.unit,
        status=VitalStatus.OK,
        interval=(round(rate - half, 1), round(rate + half, 1)),
        interval_level=INTERVAL_LEVEL,
        baseline=BASELINE,
        method=method_of(_METHOD, frames),
        diagnostics={"confidence": round(breathing.confidence, 4), "prominence": round(breathing.prominence, 2)},
    )


def _abstained(detail: str, frames: int) -> RespirationRate:
    method = method_of(_METHOD, frames)
    unit, reason = RESPIRATION_RATE.unit, Reason.NO_BREATHING_SIGNAL
    return RespirationRate.without_value(unit, VitalStatus.ABSTAINED, reason, detail, method)
