"""Baselines that the service is compared with: an ASGI app that streams a body to a file, and a Celery no-op."""

import os
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

from celery import Celery

from shared.jobs.queues import ignore_celery_variables

#: Environment variable: folder that uploads are written to.
FOLDER_VARIABLE: Final = "FACEVITALS_BENCH_FOLDER"
BROKER_VARIABLE: Final = "FACEVITALS_REDIS_URL"

Message = MutableMapping[str, Any]


async def upload(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Stream the request's body to a file and answer 202."""
    if scope["type"] != "http":
        return
    path = Path(os.environ[FOLDER_VARIABLE]) / uuid.uuid4().hex
    with path.open("wb") as out:
        while True:
            message = await receive()
            out.write(message.get("body", b""))
            if not message.get("more_body"):
                break
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


ignore_celery_variables()
celery = Celery("baseline", broker=os.environ.get(BROKER_VARIABLE), backend=os.environ.get(BROKER_VARIABLE))
celery.conf.update(
    task_default_queue="baseline",
    broker_transport_options={"global_keyprefix": "baseline:"},
    result_backend_transport_options={"global_keyprefix": "baseline:"},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    result_expires=60,
)


@celery.task(name="baseline.noop")
def noop() -> int:
    """Do nothing."""
    return 1
