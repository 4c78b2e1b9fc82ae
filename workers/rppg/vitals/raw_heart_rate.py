"""The heart rate of a raw run: what one estimator finds, without the gate and without an interval."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from shared.schemas import HeartRate, VitalStatus
from shared.vitals import HEART_RATE, Reason
from workers.rppg.fusion.gate import RATE_RANGE_PER_MIN
from workers.rppg.signals.beats import mean_rate_per_min
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import Traces
from workers.rppg.vitals.heart_rate import BASELINE
from workers.rppg.vitals.measurement import VitalResult, method_of, spectrum_over, wave_of


def measure_raw(traces: Traces, name: str, wave: NDArray[np.float64], weights: Iterable[str]) -> VitalResult:
    """Return the mean rate of the wave (n,) of the estimator `name` near its highest peak, with wave and spectrum.

    The vital is experimental: nothing confirms that the rate is that of a pulse. It abstains if the highest power is at
    an edge of the pulse band, and so no peak, or if the rate is outside of the range. `weights` are the estimator's.
    """
    spectrum = spectrum_of(wave, traces.fs)
    peak_hz = spectrum.peak_hz()
    method = method_of(f"rate of {name}", traces.frames, weights)
    low, high = RATE_RANGE_PER_MIN
    rate = mean_rate_per_min(wave, traces.fs, 60 * peak_hz)
    if not spectrum.has_peak or not low <= rate <= high:
        detail = f"raw run: the wave of {name} has no peak within {low:g} to {high:g} /min"
        return VitalResult(
            HeartRate.without_value(HEART_RATE.unit, VitalStatus.ABSTAINED, Reason.NO_PULSE, detail, method)
        )
    vital = HeartRate(
        value=round(rate, 1),
        unit=HEART_RATE.unit,
        status=VitalStatus.EXPERIMENTAL,
        detail=f"raw run: {name} was the only estimator, and nothing confirms that its rate is that of a pulse",
        baseline=BASELINE,
        method=method,
        diagnostics={"estimators_run": 1.0, "snr_db": round(snr_db(spectrum, peak_hz), 2)},
    )
    shown = spectrum_over(60 * spectrum.frequencies_hz, spectrum.power)
    return VitalResult(vital, {"heart_rate": wave_of(traces.times_s, wave)}, {"heart_rate": shown})
