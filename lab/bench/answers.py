"""What the product answers on a kept clip of the world, without decoding it again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.bench.two_lines import TwoLines, two_lines
from lab.render.measured import load
from shared.schemas import RespirationRate, VitalStatus
from shared.vitals import HEART_RATE, RESPIRATION_RATE
from workers.rppg.estimators import whole_face_wave
from workers.rppg.fusion.gate import is_explained, other_refusal
from workers.rppg.fusion.pulse import pulse_of
from workers.rppg.signals.nuisances import without_nuisances
from workers.rppg.signals.spectrum import spectrum_of
from workers.rppg.vitals.heart_rate import heart_rate
from workers.rppg.vitals.measurement import VitalInputs, measure_without_pulse, module_of

#: Largest error of a right answer, /min; and of an estimate that is near.
WRONG_PER_MIN: Final = 5.0
NEAR_PER_MIN: Final = 3.0


@dataclass(frozen=True)
class Answer:
    """The product's answer on one clip.

    truth       of the clip; `rate_per_min` over the stretch that was measured, None where no living person is seen
    reported    heart rate, /min, or None with a `reason`
    likeliest   the rate that would be reported at any threshold, /min; None where nothing was measured
    score       clips are reported from a threshold of it on
    interval    of the reported rate
    respiration reported rate, /min
    rival       the two lines on the same traces
    explained   whether a check, or what is seen beside a pulse, refuses the rival's rate
    nearest     smallest error of any estimator, /min
    """

    name: str
    truth: dict[str, Any]
    rate_per_min: float | None
    reported: float | None
    reason: str | None
    likeliest: float | None
    score: float
    interval: tuple[float, float] | None
    respiration: float | None
    rival: TwoLines | None
    explained: bool
    nearest: float | None

    @property
    def alive(self) -> bool:
        """Whether a living person is seen."""
        return bool(self.truth["alive"])

    @property
    def wrong(self) -> bool:
        """Whether a rate is reported that is off by more than `WRONG_PER_MIN`, or that no pulse has."""
        return self.reported is not None and self.is_off(self.reported)

    @property
    def rival_reported(self) -> float | None:
        """Heart rate by the two lines, /min, or None where they abstain."""
        return None if self.rival is None else self.rival.rate_per_min()

    @property
    def checked_rival(self) -> float | None:
        """Heart rate by the two lines with our checks and conditions on light and motion, /min, or None."""
        return None if self.explained else self.rival_reported

    def is_off(self, rate_per_min: float | None, limit: float = WRONG_PER_MIN) -> bool:
        """Whether a rate is missing, or off by more than `limit`, /min."""
        return rate_per_min is None or self.rate_per_min is None or abs(rate_per_min - self.rate_per_min) > limit


def answer(file: Path) -> Answer:
    """The product's answer on a kept clip, by its `.truth.json`."""
    kept = load(file)
    true = kept.rate_per_min
    traces = kept.traces
    if traces is None:
        return Answer(kept.name, kept.truth, true, None, kept.refused, None, -1e3, None, None, None, True, None)
    rival = two_lines(traces.face, traces.fs)
    pulse = pulse_of(traces, without_nuisances(traces), kept.cleaned["mrc"])
    vital = heart_rate(pulse)
    inputs = VitalInputs(traces, pulse, known={HEART_RATE.name: vital})
    module = module_of(RESPIRATION_RATE)
    ok = vital.status is VitalStatus.OK and kept.refused is None
    breath = module.measure(inputs) if ok else measure_without_pulse(module, inputs)
    respiration = None if breath is None or kept.refused else breath.vital
    nearest = (
        None
        if true is None
        else min(
            abs(60 * spectrum_of(whole_face_wave(wave), traces.fs).peak_hz() - true)
            for wave in (*kept.waves.values(), *kept.cleaned.values())
        )
    )
    return Answer(
        name=kept.name,
        truth=kept.truth,
        rate_per_min=true,
        reported=vital.value if ok else None,
        reason=kept.refused or (None if ok else str(vital.reason)),
        likeliest=pulse.rate_per_min,
        score=-1e3 if kept.refused or other_refusal(pulse) else pulse.verdict.log_odds,
        interval=vital.interval if ok else None,
        respiration=respiration.value if isinstance(respiration, RespirationRate) else None,
        rival=rival,
        explained=kept.refused is not None or is_explained(pulse, rival.pos_per_min),
        nearest=nearest,
    )
