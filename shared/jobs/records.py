"""The job record in Redis: created once, each branch's outcome written once, assembled by whoever writes the last one.

Every step that decides something is one Lua script, so that two workers, two gateways or a redelivered message can't
both win. Every key has a time to live. Layout, under `fv:`:

    job:{id}            hash     state, options, owner, clocks, tries, outcomes, document; the clip's key, if any
    job:{id}:events     stream   what clients follow; the SSE id is the stream id
    job:{id}:waves      string   waveforms
    waiting:{branch}    zset     job id by its making: branches that no worker has begun; swept
    working             zset     "id branch" by the end of its time for work: swept, so that it becomes `branch_timeout`
    deadlines           zset     job id by the time when all of it must be over, should both of these fail
    leases              zset     "id branch" by the end of the worker's claim: swept, so that a lost try is tried again
    ready               zset     job id by the time its last outcome came: swept, should the last writer die
    erase               zset     clip key by the time its job ended: swept, should the eraser die
    webhooks            zset     job id by the time its webhook is tried next (`shared.jobs.webhooks`)
    idem:{owner}:{key}  string   idempotency keys
    active:{owner}      zset     the owner's jobs without a final document, by deadline
    pace                hash     mean seconds of a branch's work, and when one was begun last (`shared.jobs.waiting`)
    counters            hash     finished jobs; vitals by status and reason; webhooks by outcome; dropped messages

All times are the broker's: no clock of a gateway or a worker decides anything.
"""

import datetime as dt
import json
import math
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis
from pydantic import ValidationError
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from shared.clips.encryption import ClipKey
from shared.ids import new_id
from shared.jobs import lua
from shared.jobs.assembly import assemble, branch_reports
from shared.jobs.celery_messages import Dropped, job_of, message, queue_key
from shared.jobs.withdrawal import corrections, served_waveforms
from shared.observability.metrics import INTERVAL, JOB, Sample, observe
from shared.schemas import (
    BranchOutcome,
    BranchReport,
    BranchStatus,
    ErrorCode,
    JobDocument,
    JobOptions,
    JobState,
    Problem,
    Vital,
    Waveforms,
)
from shared.vitals import VITALS, Branch

PREFIX: Final = "fv:"
WAKE_CHANNEL: Final = f"{PREFIX}wake"
DEADLINES: Final = f"{PREFIX}deadlines"
LEASES: Final = f"{PREFIX}leases"
WAITING: Final = f"{PREFIX}waiting:"
WORKING: Final = f"{PREFIX}working"
READY: Final = f"{PREFIX}ready"
ERASE: Final = f"{PREFIX}erase"
WEBHOOKS: Final = f"{PREFIX}webhooks"
PACE: Final = f"{PREFIX}pace"
COUNTERS: Final = f"{PREFIX}counters"
#: Forgotten after a month in which nothing was counted.
COUNTERS_TTL_S: Final = 30 * 86_400
#: Followed by an owner; `shared.access.quotas` counts by it.
ACTIVE: Final = f"{PREFIX}active:"

#: A worker renews its claim on a branch every third of this; without renewal the try counts as lost.
LEASE_S: Final = 15.0
#: Tries of one branch; bounds a clip that kills its worker.
MAX_TRIES: Final = 2
#: A branch that nobody began so long after later ones were taken went down with the worker that took it.
STRANDED_S: Final = 10.0
#: Messages that are not about a job of ours are looked past, up to so many, where a queue's next job is wanted.
FOREIGN_IN_A_ROW: Final = 20
#: Events and waves of unfinished jobs are kept for this long at least, seconds; the longest job ends far sooner.
LIVE_TTL_S: Final = 6 * 3600
#: An assembler that has not finished after this long is taken for dead.
ASSEMBLY_GRACE_S: Final = 2.0


class Begin(StrEnum):
    """What a worker that took a message should do."""

    GO = "go"
    BUSY = "busy"
    DONE = "done"
    EXHAUSTED = "exhausted"
    GONE = "gone"


#: What dropped messages are counted under in `COUNTERS`.
DROPPED: Final = "dropped"


@dataclass(frozen=True)
class Event:
    """One entry of a job's stream."""

    id: str
    name: str
    data: str


@dataclass(frozen=True)
class Asked:
    """What was requested, where the clip lies, its key if any, the job's age, and its trace ("" for none)."""

    options: JobOptions
    clip_key: str
    encryption_key: ClipKey | None
    waited_s: float
    traceparent: str


@dataclass(frozen=True)
class LostTry:
    """A branch whose worker stopped renewing its claim; `again` says whether a try is left."""

    job_id: str
    branch: Branch
    again: bool


def connect(url: str) -> redis.Redis:
    """A client that rides out a broker's restart of a few seconds."""
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        # Another program may have left anything in a queue: it is no text, and no error.
        encoding_errors="replace",
        socket_connect_timeout=2,
        socket_timeout=10,
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(cap=1.0, base=0.05), 6),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError],
    )


class JobRecords:
    """All that happens to job records. Safe to share between threads."""

    def __init__(self, client: redis.Redis, result_ttl_s: int) -> None:
        # redis-py's types do not know `decode_responses`: every reply would be bytes or str.
        self.redis: Any = client
        self._ttl = result_ttl_s
        # What an unfinished job has must not end before the job does, however shortly results are kept.
        self._live_ttl = max(result_ttl_s, LIVE_TTL_S)
        self._scripts = {
            name: client.register_script(source)
            for name, source in {
                "create": lua.CREATE,
                "begin": lua.BEGIN,
                "renew": lua.RENEW,
                "event": lua.EVENT,
                "outcome": lua.OUTCOME,
                "finish": lua.FINISH,
                "lost": lua.LOST,
                "lose": lua.LOSE,
                "stranded": lua.STRANDED,
                "overwaited": lua.OVERWAITED,
                "requeue": lua.REQUEUE,
                "replace": lua.REPLACE,
                "delete": lua.DELETE,
            }.items()
        }

    @staticmethod
    def key(job_id: str) -> str:
        """The record's key."""
        return f"{PREFIX}job:{job_id}"

    @classmethod
    def events_key(cls, job_id: str) -> str:
        """The event stream's key."""
        return f"{cls.key(job_id)}:events"

    @classmethod
    def waves_key(cls, job_id: str) -> str:
        """The waveforms' key."""
        return f"{cls.key(job_id)}:waves"

    def _run(self, script: str, keys: list[str], *args: str | float) -> Any:  # noqa: ANN401  (Lua replies)
        return self._scripts[script](keys=keys, args=list(args))

    # --- the gateway's side

    def create(
        self,
        job_id: str,
        branches: list[Branch],
        options: JobOptions,
        *,
        owner: str,
        clip_key: str,
        deadline_s: float,
        most_active: int | None = None,
        most_waiting: Mapping[Branch, int] | None = None,
        encryption_key: ClipKey | None = None,
        traceparent: str = "",
    ) -> JobDocument | None:
        """Write a new record and queue its branches, in one step. `deadline_s`: by then all of it is over.

        None: `most_active` jobs are unfinished already, or `most_waiting` messages wait in one of its queues.
        """
        queued = [(branch, message(branch, job_id), (most_waiting or {}).get(branch, -1)) for branch in branches]
        made = self._run(
            "create",
            [self.key(job_id), self.events_key(job_id), DEADLINES, ACTIVE + owner, *map(queue_key, branches)],
            *(job_id, self._ttl + int(deadline_s), deadline_s, " ".join(branches)),
            -1 if most_active is None else most_active,
            *(argument for each in queued for argument in each),
            *("options", options.model_dump_json(), "owner", owner, "clip_key", clip_key),
            *(("seal", encryption_key.text) if encryption_key else ()),
            *(("traceparent", traceparent) if traceparent else ()),
            *(("webhook_id", new_id()) if options.webhook_url else ()),
        )
        if not made:
            return None
        waiting = {branch: BranchReport(status=BranchStatus.PENDING) for branch in branches}
        return _unfinished(job_id, JobState.QUEUED, _moment(float(made)), waiting)

    def document(self, job_id: str, *, owner: str | None = None) -> JobDocument | None:
        """The job document as it stands, or None if unknown, expired or (with `owner`) somebody else's."""
        record = self.redis.hgetall(self.key(job_id))
        if not record or (owner is not None and record["owner"] != owner):
            return None
        if "document" in record:
            return JobDocument.read(record["document"])
        return _unfinished(job_id, JobState(record["state"]), _created(record), _reports(record))

    def asked(self, job_id: str) -> Asked | None:
        """What a worker needs to know of the job; None if it is gone."""
        options, clip_key, encryption_key, created, parent = self.redis.hmget(
            self.key(job_id), "options", "clip_key", "seal", "created", "traceparent"
        )
        if not options:
            return None
        waited_s = max(self.now() - float(created), 0.0) if created else 0.0
        return Asked(
            JobOptions.read(options),
            clip_key,
            ClipKey.parse(encryption_key) if encryption_key else None,
            waited_s,
            parent or "",
        )

    def now(self) -> float:
        """Seconds since the epoch by the broker's clock."""
        seconds, microseconds = self.redis.time()
        return float(seconds + microseconds / 1e6)

    def waveforms(self, job_id: str) -> str | None:
        """The waveforms as JSON, or None."""
        waves: str | None = self.redis.get(self.waves_key(job_id))
        return waves

    def events_after(self, job_id: str, last_id: str) -> list[Event]:
        """Events after `last_id` ("0" for all), in order."""
        start = "-" if last_id == "0" else f"({last_id}"
        entries = self.redis.xrange(self.events_key(job_id), min=start)
        return [Event(id=entry, name=fields["event"], data=fields["data"]) for entry, fields in entries]

    def delete(self, job_id: str) -> bool:
        """Erase record, events and waveforms, and order the clip's erasure. False if there was no such job."""
        clip_key = self.redis.hget(self.key(job_id), "clip_key") or ""
        keys = [self.key(job_id), self.events_key(job_id), self.waves_key(job_id), DEADLINES, READY, LEASES, ERASE]
        return bool(self._run("delete", keys, job_id, clip_key, self._ttl, *Branch))

    def is_unfinished(self, job_id: str) -> bool:
        """Whether there is such a job, and it has no final document yet."""
        state = self.redis.hget(self.key(job_id), "state")
        return state is not None and not JobState(state).is_final

    def active(self) -> int:
        """Jobs that have no final document yet."""
        return int(self.redis.zcard(DEADLINES))

    def counters(self) -> dict[str, int]:
        """Everything that is counted, by what and how it ended."""
        return {name: int(value) for name, value in self.redis.hgetall(COUNTERS).items()}

    # --- the worker's side

    def count_dropped(self, queue: str, why: Dropped) -> None:
        """A message was taken from a queue without any work."""
        with self.redis.pipeline(transaction=False) as pipe:
            pipe.hincrby(COUNTERS, f"{DROPPED}:{queue}:{why}", 1)
            pipe.expire(COUNTERS, COUNTERS_TTL_S)
            pipe.execute()

    def begin(self, job_id: str, branch: Branch, token: str, work_s: float) -> Begin:
        """Claim a branch for at most `work_s` seconds of work. Only `GO` may work on it."""
        keys = [self.key(job_id), self.events_key(job_id), LEASES, WORKING]
        return Begin(self._run("begin", keys, job_id, branch, token, MAX_TRIES, LEASE_S, self._live_ttl, work_s))

    def renew(self, job_id: str, branch: Branch, token: str) -> bool:
        """Keep the claim. False: it is no longer ours, or the job is gone."""
        return bool(self._run("renew", [self.key(job_id), LEASES], job_id, branch, token, LEASE_S))

    def expire_lease(self, job_id: str, branch: Branch) -> None:
        """The worker is known to be dead: let the sweep act at once."""
        self.redis.zadd(LEASES, {f"{job_id} {branch}": 0}, xx=True)

    def emit(self, job_id: str, name: str, data: Mapping[str, Any], *, branch: Branch | None = None) -> bool:
        """Append an event, of a branch's worker if one is named.

        False: the job is over or gone, or the branch has its outcome: work on it may stop.
        """
        keys = [self.key(job_id), self.events_key(job_id)]
        token = secrets.token_hex(4)
        return bool(self._run("event", keys, job_id, name, json.dumps(data), self._live_ttl, token, branch or ""))

    def emit_stage(self, job_id: str, branch: Branch, stage: str, elapsed_ms: int) -> bool:
        """A stage of a branch began."""
        return self.emit(job_id, "stage", {"branch": branch, "stage": stage, "elapsed_ms": elapsed_ms}, branch=branch)

    def emit_vital(self, job_id: str, name: str, vital: Vital) -> bool:
        """A vital is known."""
        branch = VITALS[name].branch
        return self.emit(job_id, "vital", {"name": name, "vital": vital.as_json()}, branch=branch)

    # --- whoever ends a branch or a job

    def write_outcome(
        self,
        job_id: str,
        branch: Branch,
        outcome: BranchOutcome,
        waveforms: Waveforms | None = None,
        *,
        only_waiting: bool = False,
    ) -> tuple[bool, bool]:
        """Write a branch's outcome, once; if asked, only of one that still waits for a worker.

        Returns (written, and it was the last one missing).
        """
        report = BranchReport(status=outcome.status, elapsed_ms=outcome.elapsed_ms, error=outcome.error)
        result = self._run(
            "outcome",
            [self.key(job_id), self.events_key(job_id), READY, self.waves_key(job_id)],
            *(job_id, branch, outcome.model_dump_json(), report.model_dump_json(), self._live_ttl),
            waveforms.model_dump_json() if waveforms else "",
            # A clip that is rejected at once says nothing of how long the others take.
            int(outcome.status is BranchStatus.OK),
            int(only_waiting),
        )
        return result > 0, result == 2

    def finish(self, job_id: str) -> str | None:
        """Assemble the document from the outcomes that are there and make it final.

        Returns the key of the clip to erase now, if there is one and this call ended the job.
        """
        record = self.redis.hgetall(self.key(job_id))
        if not record or JobState(record["state"]).is_final:
            self.redis.zrem(DEADLINES, job_id)
            self.redis.zrem(READY, job_id)
            return None
        options = JobOptions.read(record["options"])
        outcomes = {
            branch: _outcome(record[f"outcome:{branch}"])
            for branch in map(Branch, record["branches"].split())
            if f"outcome:{branch}" in record
        }
        now = _moment(self.now())
        document = assemble(
            job_id=job_id,
            created_at=_created(record),
            finished_at=now,
            asked=[Branch(name) for name in record["branches"].split()],
            outcomes=outcomes,
            wanted=options.vitals,
            versions=versions(),
        )
        self._withdraw(job_id, document)
        erase = "" if options.retain_clip else record["clip_key"]
        counters = [
            f"jobs:{document.state}",
            *(f"vitals:{n}:{v.status}:{v.reason or ''}" for n, v in document.vitals.by_name().items()),
        ]
        won = self._run(
            "finish",
            [self.key(job_id), self.events_key(job_id), DEADLINES, READY, ERASE, COUNTERS, WEBHOOKS],
            *(job_id, document.state, now.isoformat(), document.model_dump_json(), self._ttl, erase),
            *("webhook" if options.webhook_url else "", COUNTERS_TTL_S, *counters),
        )
        if won:
            observe(self.redis, _figures(document))
        return erase if won and erase else None

    def _withdraw(self, job_id: str, document: JobDocument) -> None:
        """Take back, before the end is announced, what the document refuses. Done twice, it changes nothing more."""
        if stored := self.waveforms(job_id):
            try:
                served = served_waveforms(Waveforms.read(stored), document.vitals.by_name())
            except ValidationError:
                served = Waveforms()  # another release wrote them: whose they are is not known
            self._run("replace", [self.waves_key(job_id)], served.model_dump_json())
        emitted = ((event.name, json.loads(event.data)) for event in self.events_after(job_id, "0"))
        for name, data in corrections(document, emitted):
            self.emit(job_id, name, data)

    def erased(self, clip_key: str) -> None:
        """The clip is gone from the store."""
        self.redis.zrem(ERASE, clip_key)

    # --- the sweep

    def _due(self, key: str, age_s: float) -> list[str]:
        return list(self.redis.zrangebyscore(key, "-inf", self.now() - age_s, start=0, num=500))

    def overdue(self) -> list[str]:
        """Jobs all of which should be over by now."""
        return self._due(DEADLINES, 0)

    def overworked(self) -> Iterator[tuple[str, Branch]]:
        """Branches that a worker began and did not end in the time for work."""
        for member in self._due(WORKING, 0):
            if known := _known(member):
                yield known

    def overwaited(self, branch: Branch, wait_s: float) -> list[str]:
        """Jobs whose branch no worker has begun in `wait_s`."""
        return list(self._run("overwaited", [WAITING + branch], self.key(""), branch, wait_s))

    def unassembled(self) -> list[str]:
        """Jobs all of whose outcomes came, but whose assembler seems dead."""
        return self._due(READY, ASSEMBLY_GRACE_S)

    def unerased(self) -> list[str]:
        """Clips of ended jobs that are still to be erased."""
        return self._due(ERASE, ASSEMBLY_GRACE_S)

    def lost_tries(self) -> Iterator[LostTry]:
        """Branches whose worker stopped renewing; those that have a try left were queued again by this."""
        for member in self._run("lost", [LEASES], LEASE_S):
            if (known := _known(member)) is None:
                continue
            job_id, branch = known
            keys = [self.key(job_id), LEASES, queue_key(branch)]
            verdict = self._run("lose", keys, job_id, branch, MAX_TRIES, message(branch, job_id))
            if verdict:
                yield LostTry(job_id, branch, again=verdict == 1)

    def stranded(self, branch: Branch) -> list[str]:
        """Jobs whose message is gone though no worker began the branch; each is handed out once per `STRANDED_S`.

        A worker that dies between taking a message and beginning it keeps the message until Celery's visibility
        time-out, long after anybody waits for the job. Queues are first in, first out: what is older than the message
        that is taken next was taken before.
        """
        horizon = self.now() - STRANDED_S
        if (first := self._first_waiting(branch)) is not None:
            horizon = min(horizon, first - 1e-3)
        return list(self._run("stranded", [WAITING + branch], self.key(""), horizon, branch, STRANDED_S))

    def requeue(self, job_id: str, branch: Branch) -> None:
        """Send a branch's message once more, to the head of its queue. A second message does no harm."""
        self._run("requeue", [queue_key(branch)], message(branch, job_id))

    def _first_waiting(self, branch: Branch) -> float | None:
        """When the job was made whose message is taken next; None where none waits. Messages of others don't count."""
        for text in reversed(self.redis.lrange(queue_key(branch), -FOREIGN_IN_A_ROW, -1)):
            job_id = job_of(text)
            made = self.redis.zscore(WAITING + branch, job_id) if job_id else None
            if made is not None:
                return float(made)
        return None

    def idle_s(self, branch: Branch) -> float:
        """Seconds since a worker last began this branch of any job; infinite where none ever did."""
        begun = self.redis.hget(PACE, f"begun:{branch}")
        return math.inf if begun is None else max(self.now() - float(begun), 0.0)

    def oldest_s(self, branch: Branch) -> float:
        """For how long the job has waited whose message is taken next, seconds; 0 where none waits."""
        first = self._first_waiting(branch)
        return 0.0 if first is None else max(self.now() - first, 0.0)

    def end_branch(
        self, job_id: str, branch: Branch, code: ErrorCode, detail: str, *, only_waiting: bool = False
    ) -> None:
        """Give a branch that can't be waited for any longer its outcome; ends the job if it was the last one.

        `only_waiting`: unless a worker has begun it meanwhile.
        """
        status = BranchStatus.ERROR if code is ErrorCode.BRANCH_FAILED else BranchStatus.TIMEOUT
        outcome = failed_outcome(status, code, detail)
        _, last = self.write_outcome(job_id, branch, outcome, only_waiting=only_waiting)
        if last:
            self.finish(job_id)

    def time_out(self, job_id: str) -> None:
        """End a job all of which should be over, with `branch_timeout` for what is missing."""
        record = self.redis.hgetall(self.key(job_id))
        for branch in map(Branch, record.get("branches", "").split()):
            if f"outcome:{branch}" not in record:
                detail = f"The {branch} branch did not end in the time that it has. Submit the clip again."
                self.end_branch(job_id, branch, ErrorCode.BRANCH_TIMEOUT, detail)
        self.finish(job_id)


def _known(member: str) -> tuple[str, Branch] | None:
    """Job and branch of a claim; None for a branch of another release, which is left to its gateways."""
    job_id, _, branch = member.partition(" ")
    return (job_id, Branch(branch)) if branch in list(Branch) else None


def failed_outcome(status: BranchStatus, code: ErrorCode, detail: str, elapsed_ms: int = 0) -> BranchOutcome:
    """The outcome of a branch that gave nothing."""
    return BranchOutcome(status=status, elapsed_ms=elapsed_ms, error=Problem(code=code, detail=detail))


def _figures(document: JobDocument) -> Iterator[Sample]:
    if document.finished_at is not None:
        yield Sample(JOB, (document.state,), (document.finished_at - document.created_at).total_seconds())
    for name, vital in document.vitals.by_name().items():
        if vital.interval is not None:
            yield Sample(INTERVAL, (name,), vital.interval[1] - vital.interval[0])


def _outcome(text: str) -> BranchOutcome:
    try:
        return BranchOutcome.read(text)
    except ValidationError:
        # Old and new releases run side by side during an upgrade; the job must end all the same.
        detail = "The outcome was written by another release and could not be read. Submit the clip again."
        return failed_outcome(BranchStatus.ERROR, ErrorCode.BRANCH_FAILED, detail)


def versions() -> dict[str, str]:
    """What made the document."""
    from shared.version import VERSION

    return {"facevitals": VERSION}


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _created(record: Mapping[str, str]) -> dt.datetime:
    # Jobs of releases before carry it as text.
    return _moment(float(record["created"])) if "created" in record else dt.datetime.fromisoformat(record["created_at"])


def _unfinished(
    job_id: str, state: JobState, created_at: dt.datetime, reports: Mapping[Branch, BranchReport]
) -> JobDocument:
    return JobDocument(
        id=job_id, state=state, created_at=created_at, branches=branch_reports(reports), versions=versions()
    )


def _reports(record: Mapping[str, str]) -> dict[Branch, BranchReport]:
    reports = {}
    for branch in map(Branch, record["branches"].split()):
        if outcome := record.get(f"outcome:{branch}"):
            ended = _outcome(outcome)
            reports[branch] = BranchReport(status=ended.status, elapsed_ms=ended.elapsed_ms, error=ended.error)
        else:
            reports[branch] = BranchReport(status=BranchStatus(record.get(f"status:{branch}", "pending")))
    return reports
