"""One worker process: its models, its card, and the analysis of the branches that it claims."""

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING

import structlog
from redis.exceptions import RedisError

from shared.clips.store import ClipStore
from shared.jobs.broker_errors import failure_log
from shared.jobs.claim import BranchClaims, Claim, NotClaimedError
from shared.jobs.job_store import JobStore
from shared.jobs.progress import JobOverError
from shared.jobs.queues import ALL_QUEUES, QUEUES_VARIABLE
from shared.jobs.worker_registry import RENEW_EVERY_S, WorkerCard, put_card, remove_card
from shared.schemas import BranchOutcome, BranchStatus, Check, ErrorCode, Vital, Waveforms
from shared.settings import Settings
from shared.vitals import VITALS, Branch
from workers.branch.failures import outcome_of_exception
from workers.branch.result import Progress
from workers.job_runner.clock import warn_of_skew
from workers.models.gpu import gpu_memory

if TYPE_CHECKING:
    from workers.analyzer import Analyzer

log = structlog.get_logger()


def queues_of_this_worker() -> list[str]:
    """Return the queues that this worker serves; `facevitals worker` passes them to its processes."""
    return os.environ.get(QUEUES_VARIABLE, ",".join(ALL_QUEUES)).split(",")


class _ClaimProgress(Progress):
    """Reports the analyzer's progress to the claim."""

    def __init__(self, claim: Claim) -> None:
        self._progress = claim.progress

    def stage(self, name: str) -> None:
        self._progress.stage(name)

    def vital(self, name: str, vital: Vital) -> None:
        self._progress.vital(name, vital)

    def check(self, name: str, check: Check) -> None:
        self._progress.check(name, check)


class WorkerProcess:
    """One worker process, with the models and connections that it keeps until it ends."""

    def __init__(self, jobs: JobStore, clips: ClipStore, analyzer: "Analyzer", card: WorkerCard, work_s: float) -> None:
        self._jobs, self._analyzer, self._card = jobs, analyzer, card
        self._claims = BranchClaims(jobs, clips, work_s)
        self._over = threading.Event()
        threading.Thread(target=self._renew_card, name="card", daemon=True).start()

    @classmethod
    def start(cls, settings: Settings, queues: list[str]) -> "WorkerProcess":
        """Load the models that the queues need, and register the process.

        Raises:
            DeviceUnavailable: the device is `cuda`, and ONNX Runtime has no CUDA here.
        """
        # A heavy import, which the parent process, which only distributes tasks, does not need.
        from workers.analyzer import Analyzer, AnalyzerOptions

        served = {ALL_QUEUES[queue][0] for queue in queues}
        branches = [branch for branch in Branch if branch in served]
        analyzer = Analyzer.load(AnalyzerOptions.from_settings(settings), branches)
        card = WorkerCard(
            id=f"{socket.gethostname()}:{os.getpid()}",
            queues=queues,
            device=analyzer.device,
            models=analyzer.loaded_models,
            refused=analyzer.refused_models,
        )
        for name, why in card.refused.items():
            log.warning("model refused", model=name, why=why)
        log.info("worker process ready", queues=queues, models=[model.name for model in card.models])
        return cls(
            JobStore.connect(settings.redis_url, settings.result_ttl_s),
            ClipStore(settings.store),
            analyzer,
            card,
            settings.job_deadline_s,
        )

    def close(self) -> None:
        """Remove the card and free the models."""
        self._over.set()
        with contextlib.suppress(RedisError):
            remove_card(self._jobs.redis, self._card.id)
        self._analyzer.close()

    def run(self, branch: Branch, job_id: str) -> None:
        """Run one branch of one job; failures of the analysis become an outcome in the job's record.

        Raises:
            redis.exceptions.RedisError: the broker is away or full for too long, or refuses.
        """
        with contextlib.suppress(NotClaimedError), self._claims.claim(job_id, branch) as claim:
            claim.complete(*self._analyze(claim))

    def _analyze(self, claim: Claim) -> tuple[BranchOutcome, Waveforms | None]:
        branch, vitals = claim.branch, claim.request.options.vitals
        requested = frozenset(vitals if vitals is not None else VITALS)
        try:
            with claim.clip() as path:
                facts, result = self._analyzer.branch(branch, path, requested, _ClaimProgress(claim))
        except (JobOverError, RedisError):
            raise
        except Exception as error:
            # The log names the place; a message could quote the clip's content, so neither clients nor the log get it.
            reference = claim.log_reference
            outcome = outcome_of_exception(error, branch, claim.elapsed_ms(), log_reference=reference)
            if outcome.error and outcome.error.code is ErrorCode.BRANCH_FAILED:
                log.exception("branch failed", branch=branch, reference=reference)
            return outcome, None
        outcome = BranchOutcome(
            status=BranchStatus.OK,
            elapsed_ms=claim.elapsed_ms(),
            clip=facts,
            checks=result.checks,
            vitals=result.vitals,
        )
        return outcome, result.waveforms

    def _renew_card(self) -> None:
        while True:
            card = self._card
            if card.device == "cuda":
                card = card.model_copy(update={"gpu": gpu_memory()})
            try:
                put_card(self._jobs.redis, card)
                warn_of_skew(self._jobs)
            except RedisError as error:
                failure_log.warn("worker's card not renewed", error)
            if self._over.wait(RENEW_EVERY_S):
                return
