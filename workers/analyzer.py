"""The analysis of a clip as plain calls: file → frames → tracked face → the vitals of each branch.

`facevitals analyze` and the workers use the same functions; the service runs them behind a queue.
"""

import datetime as dt
import time
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from shared.clips.first_bytes import ClipFormats
from shared.clips.store import ClipMissingError
from shared.clips.warnings import HIGH_DYNAMIC_RANGE
from shared.ids import new_id
from shared.jobs.assembly import assemble, branches_for, failed_outcome, versions
from shared.jobs.withdrawal import served_waveforms
from shared.jobs.worker_registry import LoadedModel
from shared.schemas import BranchOutcome, BranchStatus, ClipFacts, ErrorCode, JobDocument, Waveforms
from shared.settings import Settings
from shared.vitals import VITALS, Branch, Stage
from workers.branch.failures import outcome_of_exception
from workers.branch.result import BranchResult, Progress
from workers.face.mesh import FaceFinder
from workers.face.roll import upright_facts
from workers.face.tracker import FaceTrack, FaceTracker
from workers.liveness.liveness_check import LivenessThresholds
from workers.media.clip import Clip, ClipBudget, Frame, open_clip
from workers.models.deepface_client import DeepFaceOptions
from workers.models.manifest import MODELS
from workers.models.session import Device, Runner, resolve
from workers.rppg.fusion.recalibration import Recalibration
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import Examined, RppgOptions, check_choice, examine, measure_rppg
from workers.rppg.vitals.oxygen_saturation import OxygenCalibration
from workers.rppg.vitals.stress import StressThresholds
from workers.vision.age_gender.ollama import OllamaGender, OllamaOptions
from workers.vision.attribute_models import VisionOptions
from workers.vision.pipeline import VisionModels, measure_vision


@dataclass(frozen=True)
class AnalyzerOptions:
    """Options of the analysis. `threads` is the number of threads of each model's run."""

    models_dir: Path
    threads: int = 1
    open_only: bool = False
    device: Device = "auto"
    age_aggregate: Literal["median", "max"] = "median"
    ollama: OllamaOptions | None = None
    deepface: DeepFaceOptions | None = None
    bmi_from_face: bool = True
    liveness: LivenessThresholds = field(default_factory=LivenessThresholds)
    estimators: frozenset[str] | None = None
    rppg: RppgOptions = field(default_factory=RppgOptions)
    budget: ClipBudget = field(default_factory=ClipBudget)

    @classmethod
    def from_settings(cls, settings: Settings) -> "AnalyzerOptions":
        """Take the options from the settings of the service.

        Raises:
            RecalibrationUnreadable: the file of the user's calibration can't be used.
        """
        return cls(
            models_dir=settings.models_path,
            threads=settings.threads,
            open_only=settings.open_models_only,
            device=settings.device,
            age_aggregate=settings.age_aggregate,
            bmi_from_face=settings.bmi_from_face,
            liveness=LivenessThresholds(settings.liveness_pass, settings.liveness_fail, settings.liveness_decides),
            ollama=OllamaOptions(
                settings.ollama_url, settings.ollama_model, settings.ollama_timeout_s, settings.ollama_keep_alive
            )
            if settings.ollama_url
            else None,
            deepface=DeepFaceOptions(settings.deepface_path, settings.deepface_backend)
            if settings.deepface_backend != "off"
            else None,
            rppg=RppgOptions(
                OxygenCalibration(settings.spo2_a, settings.spo2_b, settings.spo2_sd),
                StressThresholds(settings.stress_sdnn_ms, settings.stress_lf_hf),
                recalibration=Recalibration.read(settings.calibration),
            ),
            budget=ClipBudget.of(ClipFormats(settings.clip_formats)),
        )


@dataclass(frozen=True)
class Analysis:
    """A finished analysis: the document, and the waves behind the vitals that have a value.

    `tracebacks` are those of unexpected exceptions, as text; they may quote the clip's content.
    """

    document: JobDocument
    waveforms: Waveforms
    tracebacks: tuple[str, ...] = ()


class Analyzer:
    """Tracker and models, loaded once; analyses one clip at a time."""

    def __init__(
        self,
        tracker: FaceTracker,
        vision: VisionModels | None,
        rppg: RppgModels | None,
        options: AnalyzerOptions,
    ) -> None:
        self._tracker, self._vision, self._rppg, self._options = tracker, vision, rppg, options
        self._ollama = OllamaGender(options.ollama) if options.ollama and vision else None
        if self._ollama:
            self._ollama.warm_up()

    @classmethod
    def load(cls, options: AnalyzerOptions, branches: Sequence[Branch] = tuple(Branch)) -> "Analyzer":
        """Load the models that these branches need; a network that is not built yet is built from installed weights.

        Raises:
            ValueError: the options name an estimator that does not exist, or too few to confirm a heart rate.
            DeviceUnavailable: the device is `cuda`, and ONNX Runtime has no CUDA here.
            ModelNotInstalled: the face mesh or a face detector is missing, without which nothing is measured.
        """
        device = resolve(options.device)
        vision: VisionModels | None = None
        rppg: RppgModels | None = None
        if Branch.RPPG in branches:
            rppg = RppgModels.load(
                options.models_dir,
                options.threads,
                open_only=options.open_only,
                only=options.estimators,
                device=device,
            )
            if options.estimators is not None or options.rppg.raw:
                check_choice(rppg, raw=options.rppg.raw)
        if Branch.VISION in branches:
            vision = VisionModels.load(
                # The option, not `device`: PyTorch may see a GPU where ONNX Runtime was built without CUDA.
                VisionOptions(options.models_dir, options.threads, options.open_only, options.device, options.deepface)
            )
        return cls(FaceTracker(finder=FaceFinder(options.models_dir)), vision, rppg, options)

    def close(self) -> None:
        """Free the models."""
        self._vision = self._rppg = None

    @property
    def device(self) -> str:
        """Where the networks run; the GPU where one of them does."""
        on_gpu = any(model.device == "cuda" for model in self.loaded_models)
        return "cuda" if on_gpu else resolve(self._options.device)

    @property
    def loaded_models(self) -> list[LoadedModel]:
        """The models in memory, in the format of the worker's card."""
        networks: dict[str, Runner] = {**self._tracker.networks}
        for models in (self._vision, self._rppg):
            networks |= models.networks if models else {}
        entries = {entry.name: entry for entry in MODELS}
        return [
            LoadedModel(
                name=name,
                version=entries[name].sha256[:12],
                licence=entries[name].licence,
                serves=[*entries[name].vitals, *entries[name].checks],
                load_ms=network.loaded.load_ms,
                device=network.loaded.place,
                memory_bytes=network.loaded.weights_bytes,
            )
            for name, network in networks.items()
        ]

    @property
    def refused_models(self) -> dict[str, str]:
        """Models that are installed and were not loaded, by name, and why."""
        return {name: why for models in (self._vision, self._rppg) if models for name, why in models.refused.items()}

    def observe(
        self, path: Path, progress: Progress, branches: Collection[Branch] = tuple(Branch)
    ) -> tuple[FaceTrack, ClipFacts]:
        """Decode a clip and track its face, in one pass; only the fields of the track that `branches` need are filled.

        Raises:
            ClipRejected: the clip can't be analysed.
            ClipMissingError: the file at `path` can't be read.
        """
        progress.stage(Stage.DECODING_AND_TRACKING)
        with ExitStack() as stack:
            with _reading(path):
                clip = stack.enter_context(open_clip(path, self._options.budget))
            track = self._tracker.track(_frames(clip, path), branches)
            facts = upright_facts(clip.facts, track.size, track.rotation)
            is_hdr = facts.colour.transfer in HIGH_DYNAMIC_RANGE
            return replace(track, high_dynamic_range=is_hdr), facts

    def measure(
        self,
        branch: Branch,
        track: FaceTrack,
        requested: frozenset[str],
        progress: Progress,
        examined: Examined | None = None,
    ) -> BranchResult:
        """Measure the requested vitals of one branch on a tracked face, whose pulse may be known already.

        Raises:
            RuntimeError: the models of the branch were not loaded.
        """
        if branch is Branch.VISION:
            if self._vision is None:
                raise RuntimeError("the vision models were not loaded")
            return measure_vision(
                track,
                self._vision,
                requested,
                progress,
                aggregate=self._options.age_aggregate,
                remote_gender_model=self._ollama,
                bmi_from_face=self._options.bmi_from_face,
                thresholds=self._options.liveness,
                examined=examined,
            )
        if self._rppg is None:
            raise RuntimeError("the rppg models were not loaded")
        return measure_rppg(track, self._rppg, requested, progress, options=self._options.rppg, examined=examined)

    def branch(
        self, branch: Branch, path: Path, requested: frozenset[str], progress: Progress
    ) -> tuple[ClipFacts, BranchResult]:
        """Run one branch on a clip, from file to vitals.

        Raises:
            ClipRejected: the clip can't be analysed.
            ClipMissingError: the file at `path` can't be read.
        """
        track, facts = self.observe(path, progress, (branch,))
        for name, check in track.checks.items():
            progress.check(name, check)
        result = self.measure(branch, track, requested, progress)
        return facts, BranchResult({**track.checks, **result.checks}, result.vitals, result.waveforms)

    def analyze(self, path: Path, vitals: Sequence[str] | None = None, progress: Progress | None = None) -> Analysis:
        """Analyse a clip in this process: decode and track it once, then run each branch that `vitals` need.

        Exceptions are reported in the document, so that one clip never ends a batch: an exception while decoding,
        tracking or assembling fails the job, one in a branch fails that branch's vitals.
        """
        progress = progress or Progress()
        created_at, begun = dt.datetime.now(dt.UTC), time.monotonic()
        branches, requested = branches_for(vitals), frozenset(VITALS if vitals is None else vitals)
        outcomes: dict[Branch, BranchOutcome] = {}
        waveforms = Waveforms()
        tracebacks: list[str] = []

        def failed(error: Exception, branch: Branch) -> BranchOutcome:
            if isinstance(error, ClipMissingError):
                # The bytes of a file's name may be invalid UTF-8; a document must be valid.
                why = str(error).encode(errors="backslashreplace").decode()
                return failed_outcome(BranchStatus.ERROR, ErrorCode.CLIP_MISSING, why, _ms(begun))
            outcome = outcome_of_exception(error, branch, _ms(begun))
            if outcome.error and outcome.error.code is ErrorCode.BRANCH_FAILED:
                # As text: an exception keeps every frame of its stack, and so the clip's pictures, in memory.
                tracebacks.append("".join(traceback.format_exception(error)))
            return outcome

        try:
            track, facts = self.observe(path, progress, branches)
            for name, check in track.checks.items():
                progress.check(name, check)
        except Exception as error:
            outcomes = {branch: failed(error, branch) for branch in branches}
        else:
            examined = _examined(track) if len(branches) > 1 else None
            for branch in branches:
                try:
                    result = self.measure(branch, track, requested, progress, examined)
                except Exception as error:
                    outcomes[branch] = failed(error, branch)
                    continue
                waveforms = result.waveforms or waveforms
                outcomes[branch] = BranchOutcome(
                    status=BranchStatus.OK,
                    elapsed_ms=_ms(begun),
                    clip=facts,
                    checks={**track.checks, **result.checks},
                    vitals=result.vitals,
                )

        def assembled() -> tuple[JobDocument, Waveforms]:
            document = assemble(
                job_id=new_id(),
                created_at=created_at,
                finished_at=dt.datetime.now(dt.UTC),
                requested=branches,
                outcomes=outcomes,
                vitals=vitals,
                versions=versions(),
            )
            return document, served_waveforms(waveforms, document.vitals.by_name())

        try:
            document, served = assembled()
        except Exception as error:
            outcomes = {branch: failed(error, branch) for branch in branches}
            document, served = assembled()
        return Analysis(document, served, tuple(dict.fromkeys(tracebacks)))


def _examined(track: FaceTrack) -> Examined | None:
    """Return the pulse of a track for both branches; None where there is none, or where it can't be estimated."""
    try:
        found = examine(track)
    except Exception:  # each branch meets the same exception, and reports it
        return None
    return found if isinstance(found, Examined) else None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn an `OSError` of reading the clip into `ClipMissingError`."""
    try:
        yield
    except OSError as error:
        raise ClipMissingError(f"{path}: {error.strerror or error}") from error


def _frames(clip: Clip, path: Path) -> Iterator[Frame]:
    # An exception of the consumer is not raised in here: an `OSError` of the tracker stays one.
    with _reading(path):
        yield from clip.frames()


def _ms(begun: float) -> int:
    return round(1000 * (time.monotonic() - begun))
