"""The whole product on the frames of one window: what the service would report, and what it reported that from."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from lab.data.rows import Row
from shared.ids import new_id
from shared.jobs.assembly import assemble, versions
from shared.schemas import BranchOutcome, BranchStatus, Vital
from shared.vitals import VITALS, Branch
from workers.analyzer import Analyzer, AnalyzerOptions
from workers.branch.failures import outcome_of_exception
from workers.branch.result import BranchResult, Progress
from workers.face.mesh import FaceFinder
from workers.face.tracker import FaceTrack, FaceTracker
from workers.media.clip import Frame
from workers.models.session import resolve
from workers.rppg.fusion.gate import MIN_LOG_ODDS, other_refusal
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import Examined, examine, measure_rppg
from workers.rppg.vitals.heart_rate import half_width_per_min

#: Vitals of a person, which are measured once for each recording.
PERSONAL: Final = tuple(spec.name for spec in VITALS.values() if spec.branch is Branch.VISION)
#: Vitals of the pulse, which are measured in every window.
OF_PULSE: Final = tuple(spec.name for spec in VITALS.values() if spec.branch is Branch.RPPG)


class Product:
    """Tracker and models, loaded once; measures one window after another as the service measures a clip."""

    def __init__(self, options: AnalyzerOptions) -> None:
        """Load the models.

        Raises:
            DeviceUnavailable: the device is `cuda`, and ONNX Runtime has no CUDA here.
            ModelNotInstalled: the face mesh or a face detector is missing.
        """
        self._options = options
        self._tracker = FaceTracker(finder=FaceFinder(options.models_dir))
        self._analyzer = Analyzer.load(options, (Branch.VISION,))
        self._rppg = RppgModels.load(
            options.models_dir,
            options.threads,
            open_only=options.open_only,
            only=options.estimators,
            device=resolve(options.device),
        )

    def track(self, frames: Iterable[Frame], *, high_dynamic_range: bool = False) -> FaceTrack:
        """Follow the face through the frames of a window. Exceptions of the iterable propagate."""
        return replace(self._tracker.track(frames), high_dynamic_range=high_dynamic_range)

    def measure(self, track: FaceTrack, *, personal: bool) -> Row:
        """The vitals, the checks and the candidate of a tracked face; `personal`: age, gender and BMI as well.

        The candidate is the pulse before the verdict and before any calibration of the user's, so that these can be
        studied: its rate in beats a minute, the log odds that it is a pulse, those that it needs, whether another
        condition of the gate refuses it, the confidence in its rate, and half of its interval. None without a face.
        """
        requested = [*OF_PULSE, *(PERSONAL if personal else ())]
        candidate: Row | None = None
        outcomes: dict[Branch, BranchOutcome] = {}
        for branch in Branch:
            try:
                if branch is Branch.VISION:
                    # Without a vital of a person, liveness is checked nevertheless.
                    names = frozenset(PERSONAL if personal else ())
                    result = self._analyzer.measure(branch, track, names, Progress())
                else:
                    result, candidate = self._pulse(track, frozenset(requested))
            except Exception as error:  # as in the service: a branch that fails costs its own vitals
                outcomes[branch] = outcome_of_exception(error, branch, 0)
                continue
            checks = {**track.checks, **result.checks}
            outcomes[branch] = BranchOutcome(status=BranchStatus.OK, elapsed_ms=0, checks=checks, vitals=result.vitals)
        now = dt.datetime.now(dt.UTC)
        document = assemble(
            job_id=new_id(),
            created_at=now,
            finished_at=now,
            requested=tuple(Branch),
            outcomes=outcomes,
            vitals=requested,
            versions=versions(),
        )
        failed = {branch.value: outcome.error.detail for branch, outcome in outcomes.items() if outcome.error}
        return {
            "vitals": {name: _vital(vital) for name, vital in document.vitals.by_name().items() if name in requested},
            "checks": {
                name: {"status": check.status.value, "reason": check.reason}
                for name, check in document.checks.by_name().items()
                if check.reason
            },
            "candidate": candidate,
            **({"failed": failed} if failed else {}),
        }

    def _pulse(self, track: FaceTrack, requested: frozenset[str]) -> tuple[BranchResult, Row | None]:
        examined = examine(track)
        known = examined if isinstance(examined, Examined) else None
        result = measure_rppg(track, self._rppg, requested, options=self._options.rppg, examined=known)
        if known is None:
            return result, None
        pulse = known.pulse
        other = other_refusal(pulse)
        return result, {
            "heart_rate": round(pulse.rate_per_min, 2),
            "pulse_log_odds": round(pulse.verdict.log_odds, 3),
            "min_log_odds": MIN_LOG_ODDS,
            "refused_otherwise": other[0] if other else None,
            "confidence": round(pulse.verdict.probability, 4),
            "half_width": round(half_width_per_min(pulse), 3),
        }


def _vital(vital: Vital) -> Row:
    body = vital.model_dump(mode="json", include={"value", "interval", "status", "reason", "probability", "score"})
    diagnostics = vital.diagnostics.model_dump(mode="json", exclude_none=True) if vital.diagnostics else None
    return {**{name: value for name, value in body.items() if value is not None}, "diagnostics": diagnostics}
