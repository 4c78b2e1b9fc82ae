"""The progress of a branch: stages, vitals and checks are emitted as events, stages also as spans and samples."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from shared.jobs.events import EventStream
from shared.observability import tracing
from shared.observability.metrics import STAGE, Sample
from shared.schemas import Check, Vital
from shared.vitals import Branch


class JobOverError(Exception):
    """The job was deleted, or ended without this branch: further work on it is useless."""


class BranchProgress:
    """Reports the progress of one branch. Each report stops the work on a job that is over.

    Raises:
        JobOverError: by every report, where the job or the branch has ended.
    """

    def __init__(self, events: EventStream, branch: Branch) -> None:
        self.job_id = events.job_id
        self._events, self._branch = events, branch
        self._begun = self._stage_begun = time.monotonic()
        self._stage = ""
        self._span = contextlib.ExitStack()
        #: What every span of the branch carries.
        self.attributes: dict[str, Any] = {tracing.JOB_ATTRIBUTE: self.job_id, "facevitals.branch": branch}
        #: How long each stage took.
        self.observations: list[Sample] = []

    def stage(self, name: str) -> None:
        """Report that a stage began."""
        self.end_stage()
        self._stage, self._stage_begun = name, time.monotonic()
        self._span.enter_context(tracing.span(name, **self.attributes))
        elapsed_ms = round(1000 * (time.monotonic() - self._begun))
        self._report(lambda: self._events.emit_stage(self._branch, name, elapsed_ms))

    def vital(self, name: str, vital: Vital) -> None:
        """Report a vital."""
        self._report(lambda: self._events.emit_vital(name, vital))

    def check(self, name: str, check: Check) -> None:
        """Report a check on the clip."""
        self._report(lambda: self._events.emit_check(self._branch, name, check))

    def end_stage(self) -> None:
        """End the stage that runs: the branch ends, or another stage begins."""
        self._span.close()
        if self._stage:
            took_s = time.monotonic() - self._stage_begun
            self.observations.append(Sample(STAGE, (self._branch, self._stage), took_s))
            self._stage = ""

    @staticmethod
    def _report(emit: Callable[[], bool]) -> None:
        # Clients miss an event where the broker is away; the work goes on.
        with contextlib.suppress(RedisError):
            if not emit():
                raise JobOverError
