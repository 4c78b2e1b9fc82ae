"""Distributions of what happened, summed up in the broker: workers have no port that Prometheus could ask.

One hash, `fv:figures`: a field for each bucket and each sum.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

FIGURES: Final = "fv:figures"
#: Forgotten after a month in which nothing happened.
_TTL_S: Final = 30 * 86_400


@dataclass(frozen=True)
class Distribution:
    """A histogram for Prometheus. `bounds`: upper ends of its buckets, the last open one left out."""

    name: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]


_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 45.0, 90.0)

WAIT: Final = Distribution(
    "facevitals_queue_wait_seconds", "From a job's making until a worker began the branch.", ("branch",), _SECONDS
)
STAGE: Final = Distribution("facevitals_stage_seconds", "Stages of a branch.", ("branch", "stage"), _SECONDS)
BRANCH: Final = Distribution(
    "facevitals_branch_seconds", "Branches, from begin to outcome.", ("branch", "status"), _SECONDS
)
JOB: Final = Distribution("facevitals_job_seconds", "Jobs, from their making to the document.", ("state",), _SECONDS)
INTERVAL: Final = Distribution(
    "facevitals_interval_width",
    "Width of a vital's interval, in the vital's unit.",
    ("vital",),
    (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 50.0, 100.0),
)
DISTRIBUTIONS: Final = {each.name: each for each in (WAIT, STAGE, BRANCH, JOB, INTERVAL)}


@dataclass(frozen=True)
class Observation:
    """One value of a distribution."""

    of: Distribution
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True)
class Histogram:
    """What a distribution came to under some labels: counts by bucket, the last one open, and the sum of all values."""

    of: Distribution
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    total: float


def observe(redis: Any, observations: Iterable[Observation]) -> None:  # noqa: ANN401  (redis-py's types)
    """Add values. Where the broker is away they are lost: no job waits for its figures."""
    with contextlib.suppress(RedisError), redis.pipeline(transaction=False) as pipe:
        for each in observations:
            field = "|".join((each.of.name, *each.labels))
            bucket = sum(each.value > bound for bound in each.of.bounds)
            pipe.hincrby(FIGURES, f"{field}|{bucket}", 1)
            pipe.hincrbyfloat(FIGURES, f"{field}|sum", round(each.value, 4))
        pipe.expire(FIGURES, _TTL_S)
        pipe.execute()


def histograms(redis: Any) -> Iterator[Histogram]:  # noqa: ANN401
    """Everything that was observed; fields of releases that name other distributions are left out."""
    counts: defaultdict[tuple[str, ...], dict[int, int]] = defaultdict(dict)
    totals: dict[tuple[str, ...], float] = {}
    for field, value in redis.hgetall(FIGURES).items():
        *series, what = field.split("|")
        if what == "sum":
            totals[tuple(series)] = float(value)
        else:
            counts[tuple(series)][int(what)] = int(value)
    for series, by_bucket in sorted(counts.items()):
        of = DISTRIBUTIONS.get(series[0])
        if of is not None and len(series) == 1 + len(of.labels):
            each = tuple(by_bucket.get(bucket, 0) for bucket in range(len(of.bounds) + 1))
            yield Histogram(of, series[1:], each, totals.get(series, 0.0))
