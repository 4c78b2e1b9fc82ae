"""A branch's message as Celery's worker reads it, so that one script in the broker creates the job and queues it.

Sent through Celery, the message would follow the record by a round trip or two, and a gateway that dies between them
would leave a job without workers until its deadline. It would also cost half of an upload's processor time. The format
is Celery's message protocol 2 in kombu's envelope for Redis; a test compares it with what Celery itself sends.
"""

import base64
import json
import re
from enum import StrEnum
from typing import Any, Final

from shared.jobs.keys import Key
from shared.jobs.queues import ALL_QUEUES, BROKER_PREFIX, NOOP_TASK, TASKS, queue_name
from shared.schemas import Priority
from shared.vitals import Branch

_NO_CALLBACKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}

#: Exceptions that reading a malformed message raises.
_UNREADABLE: Final = (ValueError, TypeError, LookupError, RecursionError)
_BRANCHES: Final = {task: branch for branch, task in TASKS.items()}


def queue_key(branch: Branch, priority: Priority = Priority.INTERACTIVE) -> Key:
    """Return the key of the list that is the branch's queue for jobs of a priority."""
    return Key(f"{BROKER_PREFIX}{queue_name(branch, priority)}")


class Dropped(StrEnum):
    """Why a message was dropped."""

    #: Its job ended, was deleted or expired.
    OLD = "old"
    #: It comes from another program: its task is not ours.
    FOREIGN = "foreign"
    #: It can't be read.
    MALFORMED = "malformed"


#: The form of a job's id in every release: nothing else becomes part of a key.
JOB_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")


def message(branch: Branch, job_id: str, priority: Priority = Priority.INTERACTIVE) -> str:
    """Return the message that starts a branch of a job, for the queue of its priority.

    It never expires: a worker would compare that with its own clock. Whether the job still needs it is decided by the
    job's record and the broker's clock (`shared.jobs.scripts.claim.BeginBranch`).
    """
    task_id = f"{job_id}.{branch}"
    body = json.dumps([[job_id], {}, _NO_CALLBACKS])
    return json.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": TASKS[branch],
                "id": task_id,
                "root_id": task_id,
                "parent_id": None,
                "group": None,
                "eta": None,
                "expires": None,
                "retries": 0,
                "timelimit": [None, None],
                "argsrepr": repr([job_id]),
                "kwargsrepr": "{}",
                "ignore_result": True,
            },
            "properties": {
                "correlation_id": task_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue_name(branch, priority)},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": task_id,
            },
        }
    )


def job_of(text: str) -> str | None:
    """Return the job of a waiting message, whether this service or Celery wrote it; None for any other message."""
    try:
        return job_in(_arguments(json.loads(text)))
    except _UNREADABLE:
        return None


def _arguments(envelope: Any) -> object:  # noqa: ANN401  (JSON)
    arguments, _, _ = json.loads(base64.b64decode(envelope["body"], validate=True))
    return arguments


def job_in(arguments: object) -> str | None:
    """Return the job's id from a task's arguments; None where they are not those of a branch."""
    match arguments:
        case [str(job_id)] if JOB_ID.fullmatch(job_id):
            return job_id
    return None


def canonical(envelope: Any, queue: str) -> dict[str, Any] | Dropped:  # noqa: ANN401  (JSON)
    """Return a message of this queue as this service writes it, or why it is dropped.

    Only its task, job and tag are used: not an expiry, which a worker would compare with its own clock.
    """
    try:
        task, tag = envelope["headers"]["task"], envelope["properties"]["delivery_tag"]
        if not isinstance(task, str) or not isinstance(tag, str):
            return Dropped.MALFORMED
        if task == NOOP_TASK:
            # It has no job, and the rest of it is not trusted either.
            empty: dict[str, Any] = json.loads(message(Branch.RPPG, "none"))
            empty["headers"]["task"], empty["properties"]["delivery_tag"] = NOOP_TASK, tag
            return empty
        branch = _BRANCHES.get(task)
        if branch is None:
            return Dropped.FOREIGN
        served, priority = ALL_QUEUES[queue]
        # Another queue's workers have other models.
        job_id = job_in(_arguments(envelope)) if branch is served else None
    except _UNREADABLE:
        return Dropped.MALFORMED
    if job_id is None:
        return Dropped.MALFORMED
    own: dict[str, Any] = json.loads(message(branch, job_id, priority))
    own["properties"]["delivery_tag"] = tag
    return own
