"""Encoders that change the priority of their caller."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Give the calling thread the priority that it has now when the block ends.

    SVT-AV1 makes the thread that opens an encoder a real-time thread where it may (as root), and leaves it so. Such a
    thread and all processes that it starts come before the ordinary threads that they wait for (OpenBLAS, broker,
    browser): what took a second takes minutes.
    """
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
