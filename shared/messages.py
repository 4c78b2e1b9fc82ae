"""A branch's message as Celery's worker reads it, so that one script in the broker makes the job and queues it.

Sent through Celery, the message would follow the record by a round trip or two, and a gateway that dies between them
leaves a job that nobody works on until its deadline. It costs half an upload's processor time besides. The form is
Celery's message protocol 2 in kombu's envelope for Redis; a test compares it with what Celery itself sends.
"""

import base64
import datetime as dt
import json

from shared.queues import BROKER_PREFIX, QUEUES, TASKS
from shared.vitals import Branch

_NO_CALLBACKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def queue_key(branch: Branch) -> str:
    """The Redis list that is the branch's queue."""
    return f"{BROKER_PREFIX}{QUEUES[branch]}"


def message(branch: Branch, job_id: str, expires: dt.datetime) -> str:
    """The message that starts a branch of a job; a worker that takes it after `expires` drops it."""
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
                "expires": expires.isoformat(),
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
                "delivery_info": {"exchange": "", "routing_key": QUEUES[branch]},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": task_id,
            },
        }
    )


def job_of(text: str) -> str:
    """The job that a waiting message is about, whoever sent it."""
    arguments, _, _ = json.loads(base64.b64decode(json.loads(text)["body"]))
    return str(arguments[0])
