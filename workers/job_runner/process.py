"""One worker process: its models, and how it carries a branch of a job from claim to outcome."""

import contextlib
import hashlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

import structlog
from redis.exceptions import RedisError

from shared.clips.store import ClipStore, StoreUnavailableError
from shared.jobs.broker_errors import PASSING, troubles
from shared.jobs.celery_messages import Dropped
from shared.jobs.queues import QUEUES, QUEUES_VARIABLE
from shared.jobs.records import LEASE_S, Asked, Begin, JobRecords, connect, failed_outcome
from shared.jobs.worker_registry import RENEW_EVERY_S, WorkerCard, put_card, remove_card
from shared.observability import tracing
from shared.observability.metrics import BRANCH, STAGE, WAIT, Sample, observe
from shared.schemas import BranchOutcome, BranchStatus, Check, ErrorCode, Vital, Waveforms
from shared.settings import Settings
from shared.vitals import VITALS, Branch
from workers.branch.failures import outcome_of_exception
from workers.branch.result import Progress
from workers.job_runner.clock import warn_of_skew
from workers.models.gpu import gpu_memory

if TYPE_CHECKING:
    from workers.analyzer import Analyzer

#: A worker holds on to what it worked out, and to the message that it took, while the broker is away for so long.
PATIENCE_S: Final = 30.0

log = structlog.get_logger()

T = TypeVar("T")


class JobOverError(Exception):
    """The job was deleted, or ended without us: what is left to do is in vain."""


def queues_of_this_worker() -> list[str]:
    """The queues that this worker was started for; `facevitals worker` passes them to its processes."""
    return os.environ.get(QUEUES_VARIABLE, ",".join(QUEUES.values())).split(",")


class _JobProgress(Progress):
    """Turns stages and vitals into the job's events, and stops work on a job that is over."""

    def __init__(self, records: JobRecords, job_id: str, branch: Branch) -> None:
        self._records, self._job_id, self._branch = records, job_id, branch
        self._begun = self._stage_begun = time.monotonic()
        self._stage = ""
        self._span = contextlib.ExitStack()
        self.observed: list[Sample] = []

    def stage(self, name: str) -> None:
        self.end_stage()
        self._stage, self._stage_begun = name, time.monotonic()
        self._span.enter_context(
            tracing.span(name, **{tracing.JOB_ATTRIBUTE: self._job_id, "facevitals.branch": self._branch})
        )
        elapsed_ms = round(1000 * (time.monotonic() - self._begun))
        self._tell(lambda: self._records.emit_stage(self._job_id, self._branch, name, elapsed_ms))

    def vital(self, name: str, vital: Vital) -> None:
        self._tell(lambda: self._records.emit_vital(self._job_id, name, vital))

    def check(self, name: str, check: Check) -> None:
        data = {"name": name, "check": check.as_json()}
        self._tell(lambda: self._records.emit(self._job_id, "check", data, branch=self._branch))

    def end_stage(self) -> None:
        """The stage that runs is over; so is the branch, or another stage begins."""
        self._span.close()
        if self._stage:
            took_s = time.monotonic() - self._stage_begun
            self.observed.append(Sample(STAGE, (self._branch, self._stage), took_s))
            self._stage = ""

    @staticmethod
    def _tell(event: Callable[[], bool]) -> None:
        # Those who watch miss an event where the broker is away; the work goes on.
        with contextlib.suppress(RedisError):
            if not event():
                raise JobOverError


class WorkerProcess:
    """What one process holds for its whole life."""

    def __init__(
        self, records: JobRecords, store: ClipStore, analyzer: "Analyzer", card: WorkerCard, work_s: float
    ) -> None:
        self._records, self._store, self._analyzer, self._card = records, store, analyzer, card
        self._work_s = work_s
        self._over = threading.Event()
        threading.Thread(target=self._show_card, name="card", daemon=True).start()

    @classmethod
    def start(cls, settings: Settings, queues: list[str]) -> "WorkerProcess":
        """Load the models that the queues need."""
        # Heavy: the parent process, which only hands out tasks, must not pay for it.
        from workers.analyzer import Analyzer, AnalyzerOptions

        branches = [branch for branch, queue in QUEUES.items() if queue in queues]
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
            JobRecords(connect(settings.redis_url), settings.result_ttl_s),
            ClipStore(settings.store),
            analyzer,
            card,
            settings.job_deadline_s,
        )

    def close(self) -> None:
        """Take the card away and free the models."""
        self._over.set()
        with contextlib.suppress(RedisError):
            remove_card(self._records.redis, self._card.id)
        self._analyzer.close()

    def run(self, branch: Branch, job_id: str) -> None:
        """Carry out one branch of one job. Whatever happens inside ends as an outcome in the job's record."""
        token = uuid.uuid4().hex
        begin = _patiently(lambda: self._records.begin(job_id, branch, token, self._work_s))
        if begin is Begin.EXHAUSTED:
            detail = "The worker died on this clip before. Record it again, or convert it to H.264 MP4."
            self._end(job_id, branch, failed_outcome(BranchStatus.ERROR, ErrorCode.BRANCH_FAILED, detail))
            return
        if begin is not Begin.GO:
            log.info("nothing to do", branch=branch, why=begin)
            if begin is not Begin.BUSY:
                self.count_dropped(QUEUES[branch], Dropped.OLD)
            return
        begun = time.monotonic()
        with self._claim(job_id, branch, token):
            try:
                outcome, waveforms = self._watched(branch, job_id, begun)
            except JobOverError:
                log.info("job is over", branch=branch)
                return
            self._end(job_id, branch, outcome, waveforms)
        log.info("branch ended", branch=branch, status=outcome.status, elapsed_ms=outcome.elapsed_ms)

    def count_dropped(self, queue: str, why: Dropped) -> None:
        """A message was taken from a queue, and nothing is to be done about it."""
        with contextlib.suppress(RedisError):
            self._records.count_dropped(queue, why)

    def _watched(self, branch: Branch, job_id: str, begun: float) -> tuple[BranchOutcome, Waveforms | None]:
        """`_measure`, with its trace and its figures."""
        asked = _patiently(lambda: self._records.asked(job_id))
        if asked is None:
            raise JobOverError
        progress = _JobProgress(self._records, job_id, branch)
        about = {tracing.JOB_ATTRIBUTE: job_id, "facevitals.branch": branch}
        with tracing.span(f"{branch} branch", parent=asked.traceparent, **about):
            try:
                outcome, waveforms = self._measure(branch, job_id, asked, progress, begun)
            finally:
                progress.end_stage()
            tracing.set_attributes(status=outcome.status)
        took_s = outcome.elapsed_ms / 1000
        figures = [Sample(WAIT, (branch,), asked.waited_s), Sample(BRANCH, (branch, outcome.status), took_s)]
        observe(self._records.redis, figures + progress.observed)
        return outcome, waveforms

    def _measure(
        self, branch: Branch, job_id: str, asked: Asked, progress: _JobProgress, begun: float
    ) -> tuple[BranchOutcome, Waveforms | None]:
        def elapsed_ms() -> int:
            return round(1000 * (time.monotonic() - begun))

        wanted = frozenset(asked.options.vitals if asked.options.vitals is not None else VITALS)
        try:
            with self._store.local_copy(asked.clip_key, asked.encryption_key) as path:
                facts, result = self._analyzer.branch(branch, path, wanted, progress)
        except (JobOverError, RedisError):
            raise
        except Exception as error:
            # The log says where; a message could say what was in the clip, so neither clients nor the log get it.
            reference = hashlib.sha256(f"{job_id}{branch}".encode()).hexdigest()[:8]
            outcome = outcome_of_exception(error, branch, elapsed_ms(), log_reference=reference)
            if outcome.error and outcome.error.code is ErrorCode.BRANCH_FAILED:
                log.exception("branch failed", branch=branch, reference=reference)
            return outcome, None
        outcome = BranchOutcome(
            status=BranchStatus.OK, elapsed_ms=elapsed_ms(), clip=facts, checks=result.checks, vitals=result.vitals
        )
        return outcome, result.waveforms

    def _end(self, job_id: str, branch: Branch, outcome: BranchOutcome, waveforms: Waveforms | None = None) -> None:
        _, last = _patiently(lambda: self._records.write_outcome(job_id, branch, outcome, waveforms))
        if not last:
            return
        clip_key = _patiently(lambda: self._records.finish(job_id))
        if clip_key:
            try:
                self._store.erase(clip_key)
            except StoreUnavailableError:
                log.warning("clip not erased; the sweep will", clip=clip_key)
                return
            self._records.erased(clip_key)

    @contextlib.contextmanager
    def _claim(self, job_id: str, branch: Branch, token: str) -> Iterator[None]:
        """Renew the claim on the branch while the block runs."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE_S / 3):
                with contextlib.suppress(RedisError):
                    if not self._records.renew(job_id, branch, token):
                        return

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()

    def _show_card(self) -> None:
        while True:
            card = self._card
            if card.device == "cuda":
                card = card.model_copy(update={"gpu": gpu_memory()})
            try:
                put_card(self._records.redis, card)
                warn_of_skew(self._records)
            except RedisError as error:
                troubles.warn("worker's card not shown", error)
            if self._over.wait(RENEW_EVERY_S):
                return


def _patiently(ask: Callable[[], T]) -> T:
    """Ask the broker, again and again while it is away or full.

    Raises:
        redis.exceptions.RedisError: it still is after `PATIENCE_S`, or it refuses.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except PASSING as error:
            troubles.warn("worker waits for the broker", error)
            if time.monotonic() >= end:
                raise
            time.sleep(0.5)
