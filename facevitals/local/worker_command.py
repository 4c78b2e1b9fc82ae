"""Celery's command line for a worker."""

import os
import sys


def worker_command(app: str, queues: list[str], concurrency: int, log_level: str) -> list[str]:
    """Celery's command line for a worker that executes the tasks of the module `app`."""
    return [
        *(sys.executable, "-m", "celery", "-A", app, "worker", "--queues", ",".join(queues)),
        # CUDA can't survive a fork, so processes are spawned; time limits work in no other pool than prefork.
        *("--pool", "prefork", "--pool-start-method", "spawn", "--concurrency", str(concurrency)),
        *("--hostname", f"{'-'.join(queues)}-{os.getpid()}@%h", "--loglevel", log_level),
        *("--without-gossip", "--without-mingle"),
    ]
