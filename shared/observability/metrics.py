"""Histograms, summed up in the broker: workers have no port that Prometheus could scrape.

All are stored in one hash, `fv:figures`, with a field for each bucket and each sum.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from shared.schemas import BranchOutcome

#: The broker's key of the hash.
METRICS_KEY: Final = "fv:figures"
#: The status of a branch that rejected its clip. It is no failure of the service, so alerts ignore it.
REJECTED: Final = "rejected"
#: Seconds without a sample after which the hash expires.
_TTL_S: Final = 30 * 86_400


@dataclass(frozen=True)
class HistogramSpec:
    """A histogram for Prometheus. `bounds` are the upper bounds of its buckets, without the last open one."""

    name: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]


#: Bounds of the histograms of durations, in seconds.
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 45.0, 90.0)

#: The histograms.
WAIT: Final = HistogramSpec(
    "facevitals_queue_wait_seconds", "From a job's creation until a worker began the branch.", ("branch",), _SECONDS
)
STAGE: Final = HistogramSpec("facevitals_stage_seconds", "Stages of a branch.", ("branch", "stage"), _SECONDS)
BRANCH: Final = HistogramSpec(
    "facevitals_branch_seconds", "Branches, from begin to outcome.", ("branch", "status"), _SECONDS
)
JOB: Final = HistogramSpec(
    "facevitals_job_seconds", "Interactive jobs, from creation to document.", ("state",), _SECONDS
)
INTERVAL: Final = HistogramSpec(
    "facevitals_interval_width",
    "Width of a vital's interval, in the vital's unit.",
    ("vital",),
    (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 50.0, 100.0),
)
#: The histograms by name.
HISTOGRAMS: Final = {each.name: each for each in (WAIT, STAGE, BRANCH, JOB, INTERVAL)}


@dataclass(frozen=True)
class Sample:
    """One value of a histogram."""

    spec: HistogramSpec
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True)
class Histogram:
    """The state of a histogram for one set of label values.

    counts  number of values by bucket, not cumulative, the last bucket open
    total   sum of all values
    """

    spec: HistogramSpec
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    total: float


def status_label(outcome: BranchOutcome) -> str:
    """Return the label `status` of a branch: the outcome's own status, or `rejected` where the clip was rejected."""
    return REJECTED if outcome.error is not None and outcome.error.code.rejects_clip else outcome.status.value


def observe(redis: Any, samples: Iterable[Sample]) -> None:  # noqa: ANN401  (redis-py's types)
    """Add samples. They are lost while the broker can't be reached: no job waits for its metrics."""
    with contextlib.suppress(RedisError), redis.pipeline(transaction=False) as pipe:
        for sample in samples:
            field = "|".join((sample.spec.name, *sample.labels))
            bucket = sum(sample.value > bound for bound in sample.spec.bounds)
            pipe.hincrby(METRICS_KEY, f"{field}|{bucket}", 1)
            pipe.hincrbyfloat(METRICS_KEY, f"{field}|sum", round(sample.value, 4))
        pipe.expire(METRICS_KEY, _TTL_S)
        pipe.execute()


def read_histograms(redis: Any) -> Iterator[Histogram]:  # noqa: ANN401
    """Yield all histograms. Fields of other releases, with other names or labels, are ignored."""
    counts: defaultdict[tuple[str, ...], dict[int, int]] = defaultdict(dict)
    totals: dict[tuple[str, ...], float] = {}
    for field, value in redis.hgetall(METRICS_KEY).items():
        *series, part = field.split("|")
        if part == "sum":
            totals[tuple(series)] = float(value)
        else:
            counts[tuple(series)][int(part)] = int(value)
    for series, by_bucket in sorted(counts.items()):
        spec = HISTOGRAMS.get(series[0])
        if spec is not None and len(series) == 1 + len(spec.labels):
            buckets = tuple(by_bucket.get(bucket, 0) for bucket in range(len(spec.bounds) + 1))
            yield Histogram(spec, series[1:], buckets, totals.get(series, 0.0))
