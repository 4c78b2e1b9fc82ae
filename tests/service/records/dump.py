"""Write the broker's keys of a release as JSON: a finished job, one whose rppg branch has ended, and a queued one.

Run in a checkout of that release, in an environment with its worker's packages; OUT is the file to write:

    facevitals simulate clip.mp4 --heart-rate 72 --respiration-rate 15 --seed 1
    PYTHONPATH=. python dump.py clip.mp4 OUT
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.service.conftest import new_service, wait_until

#: How each type of key is read in full.
READ: dict[str, Any] = {
    "string": lambda redis, key: redis.get(key),
    "hash": lambda redis, key: redis.hgetall(key),
    "list": lambda redis, key: redis.lrange(key, 0, -1),
    "set": lambda redis, key: sorted(redis.smembers(key)),
    "zset": lambda redis, key: redis.zrange(key, 0, -1, withscores=True),
    "stream": lambda redis, key: redis.xrange(key),
}


def dump(redis: Any) -> dict[str, Any]:  # noqa: ANN401  (redis-py's types)
    """Return every key with its type, its time to live in seconds (-1: none) and its value."""
    keys: dict[str, Any] = {}
    for key in sorted(redis.scan_iter()):
        kind = redis.type(key)
        keys[key] = {"type": kind, "ttl": redis.ttl(key), "value": READ[kind](redis, key)}
    return keys


def main(clip: Path, out: Path) -> None:
    """Produce the three jobs with the release's own gateway and workers."""
    with tempfile.TemporaryDirectory() as folder:
        service = new_service(Path(folder) / "service")
        try:
            vision, rppg = service.start_worker("vision"), service.start_worker("rppg")
            finished = service.submit(clip.read_bytes())
            service.finished(finished)
            vision.stop(10)
            half = service.submit(clip.read_bytes())
            wait_until(lambda: service.redis.hexists(f"fv:job:{half}", "outcome:rppg"), "the rppg branch ends", 120)
            rppg.stop(10)
            queued = service.submit(clip.read_bytes())
            jobs = {"finished": finished, "half_finished": half, "queued": queued}
            out.write_text(json.dumps({"jobs": jobs, "keys": dump(service.redis)}, indent=1) + "\n")
        finally:
            service.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
