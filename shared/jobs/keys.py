"""Names of the broker's keys. Every key has a time to live. Layout, under `fv:`:

    job:{id}            hash     state, options, owner, clocks, tries, outcomes, document; the clip's key, if encrypted
    job:{id}:events     stream   what clients follow; the SSE id is the stream id
    job:{id}:waves      string   waveforms
    waiting:{branch}    zset     jobs whose branch no worker has begun, by creation time
    waiting:{branch}.batch       the same of batch jobs
    working             zset     claims ("id branch") by the end of their time for work
    leases              zset     claims ("id branch") by the end of the worker's lease
    deadlines           zset     unfinished jobs by the time when all of their work must be over
    ready               zset     jobs whose last outcome was written, by that time; the sweep assembles what is left
    erase               zset     clips of ended jobs by the end of the job; the sweep erases what is left
    webhooks            zset     jobs by the time of the next webhook attempt (`shared.jobs.webhooks`)
    active:{owner}      zset     the owner's unfinished jobs and uploads (`shared.access.quotas`)
    active:{owner}.batch         the same of batch jobs
    batch               zset     unfinished batch jobs by the time when all of their work must be over
    batch:bytes         hash     sizes of their clips, and the sum of these, `total`
    idem:{owner}:{key}  string   idempotency keys
    pace                hash     mean seconds of a branch's work, and when one was last begun (`shared.jobs.waiting`)
    counters            hash     finished jobs; vitals by status and reason; webhooks by outcome; dropped messages
    key:{id}            hash     an API key without its secret; `keys` is the list of them (`shared.access.api_keys`)
    paused:{branch}     string   a paused queue (`shared.jobs.pauses`)
    rate:{owner}        string   time at which the owner's next clip conforms to its limit (`shared.access.quotas`)
    usage:{owner}:{day} hash     counts of the owner's jobs and their clips' milliseconds (`shared.jobs.usage`)
    figures             hash     histograms of all jobs (`shared.observability.metrics`)
    worker:{id}         string   a worker process's card; `workers` is the list of them

All times are the broker's: no clock of a gateway or a worker decides anything.
"""

from typing import Final, NewType

from shared.schemas import Priority
from shared.vitals import Branch

#: The name of a key in the broker. A type of its own, so that scripts can distinguish their keys from their arguments.
Key = NewType("Key", str)

#: Prefix of every key.
PREFIX: Final = "fv:"
#: Prefix of the keys of usage.
USAGE_PREFIX: Final = f"{PREFIX}usage:"
#: The channel on which the id of a job is published when the job has changed.
WAKE_CHANNEL: Final = f"{PREFIX}wake"

#: Keys without a parameter; their types and contents are in the layout above.
DEADLINES: Final = Key(f"{PREFIX}deadlines")
LEASES: Final = Key(f"{PREFIX}leases")
WORKING: Final = Key(f"{PREFIX}working")
READY: Final = Key(f"{PREFIX}ready")
ERASE: Final = Key(f"{PREFIX}erase")
WEBHOOKS: Final = Key(f"{PREFIX}webhooks")
BATCH: Final = Key(f"{PREFIX}batch")
BATCH_BYTES: Final = Key(f"{PREFIX}batch:bytes")
PACE: Final = Key(f"{PREFIX}pace")
COUNTERS: Final = Key(f"{PREFIX}counters")
#: Time to live of `COUNTERS` after the last count, seconds.
COUNTERS_TTL_S: Final = 30 * 86_400


def record_key(job_id: str) -> Key:
    """Return the key of a job's record."""
    return Key(f"{PREFIX}job:{job_id}")


def events_key(job_id: str) -> Key:
    """Return the key of a job's event stream."""
    return Key(f"{record_key(job_id)}:events")


def waveforms_key(job_id: str) -> Key:
    """Return the key of a job's waveforms."""
    return Key(f"{record_key(job_id)}:waves")


def waiting_key(branch: str, priority: Priority = Priority.INTERACTIVE) -> Key:
    """Return the key of the jobs of a priority that wait for a worker of a branch."""
    return Key(f"{PREFIX}waiting:{branch}{suffix(priority)}")


def waiting_keys(*branches: str) -> tuple[Key, ...]:
    """Return the keys of the jobs of every priority that wait for a worker of these branches."""
    return tuple(waiting_key(branch, priority) for branch in branches for priority in Priority)


def pause_key(branch: str) -> Key:
    """Return the key that exists while the queue of a branch is paused."""
    return Key(f"{PREFIX}paused:{branch}")


def active_key(owner: str, priority: Priority = Priority.INTERACTIVE) -> Key:
    """Return the key of an owner's unfinished jobs of a priority."""
    return Key(f"{PREFIX}active:{owner}{suffix(priority)}")


def suffix(priority: Priority) -> str:
    """Return what the names of a priority's queues and keys end with."""
    return "" if priority is Priority.INTERACTIVE else f".{priority}"


def usage_key(owner: str, day: str) -> Key:
    """Return the key of an owner's usage on a day, in ISO 8601."""
    return Key(f"{USAGE_PREFIX}{owner}:{day}")


def parse_claim(member: str) -> tuple[str, Branch] | None:
    """Return job and branch of a member of `LEASES` or `WORKING`; None for a branch that only another release has."""
    job_id, _, branch = member.partition(" ")
    return (job_id, Branch(branch)) if branch in list(Branch) else None
