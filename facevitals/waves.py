"""The waves and spectra behind the vitals, as numpy arrays."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from shared.schemas import Spectrum, Wave, Waveforms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Signal:
    """A sampled signal.

    times_s  (n,) float64  seconds since the clip's first frame
    values   (n,) float64  in `unit`; without a unit scaled to a mean of 0 and a largest magnitude of 1
    """

    times_s: "NDArray[np.float64]"
    values: "NDArray[np.float64]"
    unit: str | None = None

    @classmethod
    def of(cls, wave: Wave) -> Self:
        """The arrays of a wave of the HTTP interface."""
        import numpy as np

        return cls(np.array(wave.times_s, np.float64), np.array(wave.values, np.float64), wave.unit)


@dataclass(frozen=True, eq=False)
class RateSpectrum:
    """Power over rate.

    rates_per_min  (m,) float64  per minute, increasing
    power          (m,) float64  scaled to a highest value of 1
    """

    rates_per_min: "NDArray[np.float64]"
    power: "NDArray[np.float64]"

    @classmethod
    def of(cls, spectrum: Spectrum) -> Self:
        """The arrays of a spectrum of the HTTP interface."""
        import numpy as np

        return cls(np.array(spectrum.rates_per_min, np.float64), np.array(spectrum.power, np.float64))

    @property
    def frequencies_hz(self) -> "NDArray[np.float64]":
        """(m,) float64, the rates in Hz."""
        return self.rates_per_min / 60


@dataclass(frozen=True, eq=False)
class Waves:
    """The waves and spectra behind the vitals that have a value; None for those that have none.

    pulse                 30 Hz; rises with the blood volume
    respiration           7.5 Hz; rises and falls with the breath
    heart_rate_over_time  /min, in windows along the clip; longer clips only
    pulse_spectrum        power of the pulse over the heart rate
    respiration_spectrum  evidence for each respiration rate
    """

    pulse: Signal | None = None
    respiration: Signal | None = None
    heart_rate_over_time: Signal | None = None
    pulse_spectrum: RateSpectrum | None = None
    respiration_spectrum: RateSpectrum | None = None

    @classmethod
    def of(cls, waveforms: Waveforms) -> Self:
        """The arrays of the waveforms of the HTTP interface, which rounds them."""
        signals = {name: Signal.of(wave) for name, wave in waveforms.waves.items()}
        spectra = {name: RateSpectrum.of(spectrum) for name, spectrum in waveforms.spectra.items()}
        return cls(
            pulse=signals.get("heart_rate"),
            respiration=signals.get("respiration_rate"),
            heart_rate_over_time=signals.get("heart_rate_over_time"),
            pulse_spectrum=spectra.get("heart_rate"),
            respiration_spectrum=spectra.get("respiration_rate"),
        )
