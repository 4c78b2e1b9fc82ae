"""References of a recording: signals and numbers of other devices, as one value for any part of the recording."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.stats import skew

from lab.arrays import Floats
from lab.contact_ppg import BIDMC_HZ, steepest_rises
from shared.vitals import VITALS
from workers.rppg.signals.beats import beats_at

#: Seconds of the wave before and after a part in which its beats are found: filters need them.
_AROUND_S: Final = 2.0
#: Least share of a part's beat intervals that are plausible, and of its duration that they cover, for a reference.
MIN_KEPT_SHARE: Final = 0.8
_MIN_COVERED: Final = 0.6
#: Largest difference of an interval from the median of the part, as a share of that: a missed beat doubles it.
_MAX_CHANGE: Final = 0.4
#: Longest gap between two samples of a wave, seconds. A part with a longer one has no reference.
_MAX_GAP_S: Final = 0.5


class Reference(Protocol):
    """A reference of one vital."""

    def between(self, start_s: float, stop_s: float) -> float | None:
        """The vital's value between two times of the clip in seconds; None where there is no usable one."""
        ...


#: References by the name of their vital.
References = Mapping[str, Reference]


@dataclass(frozen=True)
class Constant:
    """One number for the whole recording."""

    value: float

    def between(self, start_s: float, stop_s: float) -> float | None:  # noqa: ARG002  (the protocol's)
        """Return the number."""
        return self.value


@dataclass(frozen=True)
class Series:
    """Values (n,) of a monitor at times (n,) in seconds on the clip's clock.

    Values outside of `plausible` are left out: monitors write 0, 1 or 127 where they have none.
    """

    times_s: Floats
    values: Floats
    plausible: tuple[float, float]

    def between(self, start_s: float, stop_s: float) -> float | None:
        """Return the mean of the values, or None if more than half of them are missing."""
        inside = self.values[(self.times_s >= start_s) & (self.times_s <= stop_s)]
        usable = inside[(inside >= self.plausible[0]) & (inside <= self.plausible[1])]
        return float(usable.mean()) if 2 * len(usable) > len(inside) else None


@dataclass(frozen=True)
class BeatTimes:
    """Moments (n,) of the heart's beats in seconds on the clip's clock, as from the RR intervals of a chest strap."""

    times_s: Floats

    def between(self, start_s: float, stop_s: float) -> float | None:
        """Return 60 over the mean interval of the beats; None if too many intervals are implausible or missing."""
        beats = beats_at(self.times_s[(self.times_s >= start_s) & (self.times_s <= stop_s)])
        if len(beats.kept) == 0:
            return None
        # Where every second or third beat is missed, long intervals are alike to their neighbours.
        middle = np.median(beats.intervals_s)
        kept = beats.kept & (np.abs(beats.intervals_s - middle) <= _MAX_CHANGE * middle)
        usable = beats.intervals_s[kept]
        if kept.mean() < MIN_KEPT_SHARE or usable.sum() < _MIN_COVERED * (stop_s - start_s):
            return None
        return 60 / float(usable.mean())


@dataclass(frozen=True)
class PulseWave:
    """A contact photoplethysmogram (n,), either way up, at times (n,) in seconds on the clip's clock."""

    times_s: Floats
    values: Floats

    def between(self, start_s: float, stop_s: float) -> float | None:
        """Return 60 over the mean interval of the beats, each at its steepest rise; None as for `BeatTimes`."""
        times_s, first = np.unique(self.times_s, return_index=True)
        near = (times_s >= start_s - _AROUND_S) & (times_s <= stop_s + _AROUND_S)
        times_s, values = times_s[near], self.values[first][near]
        if len(times_s) < 4 or np.diff(times_s).max() > _MAX_GAP_S or np.ptp(values) == 0:
            return None
        grid = np.arange(times_s[0], times_s[-1], 1 / BIDMC_HZ)
        wave = PchipInterpolator(times_s, values)(grid)
        # Blood enters faster than it leaves.
        up = wave if skew(np.diff(wave)) >= 0 else -wave
        return BeatTimes(float(grid[0]) + steepest_rises(up)).between(start_s, stop_s)


def spo2_series(times_s: Floats, values: Floats) -> Series:
    """The series of an oximeter's saturation in per cent."""
    return Series(times_s, values, VITALS["oxygen_saturation"].plausible or (70, 100))


def constants(values: Mapping[str, float | None]) -> dict[str, Reference]:
    """The numbers that are known, as references."""
    return {name: Constant(value) for name, value in values.items() if value is not None}
