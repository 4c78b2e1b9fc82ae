"""How many jobs wait, as read a moment ago: an upload that has no place is refused before its body is read."""

import time
from typing import Final

from starlette.concurrency import run_in_threadpool

from shared.records import JobRecords

#: Age up to which a reading serves, seconds. The job record's creation counts again, at that very moment.
READING_S: Final = 0.5


class Admission:
    """Reads the number of unfinished jobs, seldom."""

    def __init__(self, records: JobRecords, most: int) -> None:
        self._records, self._most = records, most
        self._active = 0
        self._read_at = -READING_S

    async def full(self) -> bool:
        """Whether as many jobs wait as may.

        Raises:
            redis.exceptions.RedisError: the broker is away.
        """
        now = time.monotonic()
        # A full queue is read anew each time: whoever comes as a place falls free shall have it.
        if now - self._read_at >= READING_S or self._active >= self._most:
            self._active = await run_in_threadpool(self._records.active)
            self._read_at = now
        return self._active >= self._most
