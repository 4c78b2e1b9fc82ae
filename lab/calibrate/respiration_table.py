"""The table that the respiration rate is fitted to: what is measured of the chest in each clip of the world.

It holds numbers alone, no pictures and no traces. Each clip is in it twice, whole and as a cut of 10 to 14 seconds.
Clips that a check refuses, and clips without a chest to follow, are counted in it, because coverage is a share of all.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.render.measured import Measured, load
from lab.world.pulse import rate_between
from shared.schemas import VitalStatus
from shared.vitals import RESPIRATION_RATE
from workers.rppg.fusion.pulse import pulse_of
from workers.rppg.signals.nuisances import without_nuisances
from workers.rppg.signals.traces import Traces
from workers.rppg.vitals.breathing import RATES_PER_MIN, SLOW_HZ, Breathing, breathing_of
from workers.rppg.vitals.chest_checks import ChestChecks, chest_checks
from workers.rppg.vitals.heart_rate import heart_rate

#: The table in the repository.
TABLE: Final = Path(__file__).with_name("respiration_table.csv")
#: Lengths of cuts, seconds: from the shortest clip with a respiration rate.
CUTS_S: Final = (RESPIRATION_RATE.minimum_s, 14.0)


@dataclass(frozen=True)
class Example:
    """A clip or a cut of it.

    name, renderer, portrait, stratum  of the clip
    alive          whether a living person is seen
    whole          whether it is the whole clip
    true_per_min   true respiration rate; NaN where no person breathes
    pulse_known    whether the heart rate of the clip is reported
    seen           whether a chest can be followed
    duration_s     length; 0 where the clip is refused, or no chest can be followed: the rest is NaN then
    sway           slow motion of the head, face widths; NaN where it was not measured
    rate_per_min, prominence, explained, confidence, amplitude, own, lit  as in the product
    """

    name: str
    renderer: str
    portrait: str
    stratum: str
    alive: bool
    whole: bool
    true_per_min: float
    pulse_known: bool
    seen: bool
    duration_s: float = 0.0
    sway: float = np.nan
    rate_per_min: float = np.nan
    prominence: float = np.nan
    explained: float = np.nan
    confidence: float = np.nan
    amplitude: float = np.nan
    own: float = np.nan
    lit: float = np.nan

    @property
    def measured(self) -> bool:
        """Whether a rate was measured."""
        return self.duration_s > 0

    @property
    def breathing(self) -> Breathing:
        """What is kept of the belief."""
        edge = self.rate_per_min in (RATES_PER_MIN[0], RATES_PER_MIN[-1])
        wave = np.zeros(round(self.duration_s * SLOW_HZ))
        belief = np.zeros(0)
        return Breathing(
            belief, self.rate_per_min, edge, self.confidence, self.prominence, self.explained, wave, SLOW_HZ
        )

    @property
    def checks(self) -> ChestChecks:
        """The checks of the chest's motion."""
        return ChestChecks(self.amplitude, self.own, self.lit)

    @property
    def error_per_min(self) -> float:
        """Absolute error; infinite where no person breathes."""
        return abs(self.rate_per_min - self.true_per_min) if self.alive else float("inf")


def examples_of(folders: Sequence[Path]) -> Iterator[Example]:
    """The examples of kept clips (`python -m lab.render.measured`)."""
    for file in (file for folder in folders for file in sorted(folder.glob("*.truth.json"))):
        kept = load(file)
        true = kept.truth["respiration_rate"]
        if kept.truth["alive"] and true is None:
            continue
        traces = kept.traces
        seen = traces is not None and traces.chest is not None
        if traces is None or kept.refused is not None or not seen:
            yield Example(**_named(kept), whole=True, true_per_min=_number(true), pulse_known=False, seen=seen)
            continue
        pulse = pulse_of(traces, without_nuisances(traces), kept.cleaned["mrc"])
        known = heart_rate(pulse).status is VitalStatus.OK
        yield _example(kept, traces, known, pulse.sway, whole=True)
        n = len(traces.times_s)
        rng = np.random.default_rng(int.from_bytes(kept.name.encode(), "big") % 2**32)
        length = min(round(rng.uniform(*CUTS_S) * traces.fs), n)
        start = int(rng.integers(n - length + 1))
        yield _example(kept, traces.part(start, start + length), known, pulse.sway, whole=False)


def _example(kept: Measured, traces: Traces, known: bool, sway: float | None, *, whole: bool) -> Example:
    if traces.chest is None:
        raise ValueError(f"{kept.name}: no chest")
    breathing = breathing_of(traces.chest, traces.fs)
    checks = chest_checks(traces.chest, traces, breathing.rate_per_min)
    true = kept.truth["respiration_rate"]
    if not whole and true is not None:
        events = np.array(kept.truth["breath_times_s"])
        true = rate_between(events, float(traces.times_s[0]), float(traces.times_s[-1])) or true
    return Example(
        **_named(kept),
        whole=whole,
        true_per_min=_number(true),
        pulse_known=known,
        duration_s=traces.duration_s,
        seen=True,
        sway=_number(sway),
        rate_per_min=breathing.rate_per_min,
        prominence=breathing.prominence,
        explained=breathing.explained,
        confidence=breathing.confidence,
        amplitude=checks.amplitude,
        own=checks.own,
        lit=checks.lit,
    )


def _named(kept: Measured) -> dict[str, Any]:
    conditions = kept.truth["conditions"]
    return {
        "name": kept.name,
        "renderer": kept.truth["renderer"],
        "portrait": str(conditions["portrait"]),
        "stratum": conditions["stratum"],
        "alive": bool(kept.truth["alive"]),
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def save(examples: Sequence[Example], path: Path) -> None:
    """Write the table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Example)])
        for example in examples:
            writer.writerow([f"{value:.5g}" if isinstance(value, float) else value for value in astuple(example)])


def read(path: Path = TABLE) -> list[Example]:
    """Read the table."""
    kinds: dict[str, Callable[[str], Any]] = {"str": str, "bool": "True".__eq__, "float": float}
    convert = {field.name: kinds[str(getattr(field.type, "__name__", field.type))] for field in fields(Example)}
    with path.open(encoding="utf-8", newline="") as file:
        return [Example(**{name: convert[name](text) for name, text in row.items()}) for row in csv.DictReader(file)]
