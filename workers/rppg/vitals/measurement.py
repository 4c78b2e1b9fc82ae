"""What every vital of the pulse has in common: its inputs, its result, and its module.

The module of a vital has the vital's name, and a function `measure`. `shared.vitals.VITALS` lists the vitals.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Method, Spectrum, Vital, Wave
from shared.version import VERSION
from shared.vitals import VitalSpec
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.signals.traces import Traces

T = TypeVar("T")


@dataclass(frozen=True)
class VitalInputs:
    """The inputs of a vital.

    Attributes:
        traces: traces of the longest stretch in which the face was seen, without gaps.
        pulse: their pulse. `measure` gets one that the gate accepted, except that of the heart rate.
        options: the users' options of single vitals, each an object of its own class.
        known: the vitals that were measured before from the same pulse, by name, in the order of `VITALS`; the first is
            the heart rate.
    """

    traces: Traces
    pulse: Pulse
    options: tuple[object, ...] = ()
    known: Mapping[str, Vital] = field(default_factory=dict)

    def option(self, kind: type[T]) -> T:
        """Return the options of this class, or its defaults."""
        return next((options for options in self.options if isinstance(options, kind)), None) or kind()


@dataclass(frozen=True)
class VitalResult:
    """A vital, with the waves and spectra behind it by name; names begin with the vital's (`heart_rate_over_time`)."""

    vital: Vital
    waves: Mapping[str, Wave] = field(default_factory=dict)
    spectra: Mapping[str, Spectrum] = field(default_factory=dict)


class VitalModule(Protocol):
    """The module of a vital."""

    def measure(self, inputs: VitalInputs, /) -> VitalResult:
        """Measure the vital, or abstain with a reason."""


class WithoutPulse(Protocol):
    """The module of a vital that can be measured without a pulse."""

    def measure_without_pulse(self, inputs: VitalInputs, /) -> VitalResult | None:
        """Measure the vital of traces whose pulse the gate refused; None if that is not possible."""


def module_of(spec: VitalSpec) -> VitalModule:
    """Import the module of a vital.

    Raises:
        ModuleNotFoundError: `workers.rppg.vitals` has no module of the vital's name.
    """
    return cast("VitalModule", import_module(f"workers.rppg.vitals.{spec.name}"))


def measure_without_pulse(module: VitalModule, inputs: VitalInputs) -> VitalResult | None:
    """Measure a vital of traces whose pulse the gate refused; None if the vital needs a pulse."""
    if not hasattr(module, "measure_without_pulse"):
        return None
    return cast("WithoutPulse", module).measure_without_pulse(inputs)


def method_of(name: str, frames: int, models: Iterable[str] = ()) -> Method:
    """Describe a method: its name, this version, the weights that took part, and the number of frames measured."""
    return Method(name=name, version=VERSION, models=sorted(models), frames=frames)


def wave_of(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> Wave:
    """Return a wave (n,) for display: zero mean, scaled to [-1, 1]."""
    scale = float(np.abs(values - values.mean()).max()) or 1.0
    standard = (values - values.mean()) / scale
    return Wave(times_s=np.round(times_s, 4).tolist(), values=np.round(standard, 4).tolist())


def spectrum_over(rates_per_min: NDArray[np.float64], power: NDArray[np.float64]) -> Spectrum:
    """Return a spectrum (k,) over rates (k,) for display, scaled to a highest power of 1."""
    highest = float(power.max()) or 1.0
    return Spectrum(rates_per_min=np.round(rates_per_min, 2).tolist(), power=np.round(power / highest, 6).tolist())
