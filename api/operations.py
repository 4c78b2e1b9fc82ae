"""Endpoints for operators: health, readiness, metrics, models."""

import os
from collections.abc import Iterable
from itertools import accumulate
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from pydantic import BaseModel
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api import problems
from api.authentication import Owner
from api.dependencies import Gateway, gateway_of
from api.queue_limit import broker_memory
from shared.clips.store import StoreUnavailableError
from shared.jobs.broker_errors import failure_kind, failure_log
from shared.jobs.celery_messages import Dropped
from shared.jobs.counters import DROPPED, REJECTED
from shared.jobs.keys import PREFIX
from shared.jobs.pauses import paused
from shared.jobs.queues import ALL_QUEUES, QUEUES
from shared.jobs.waiting import oldest_s, queue_loads
from shared.jobs.webhooks import COUNTED, Outcome, Webhooks
from shared.jobs.worker_registry import WorkerCard, worker_cards
from shared.observability.metrics import HISTOGRAMS, Histogram, read_histograms
from shared.schemas import ErrorCode, Priority

router = APIRouter(tags=["operations"])

GatewayDep = Annotated[Gateway, Depends(gateway_of)]


#: Time to live of the key that the readiness check writes into the broker, seconds.
PROBE_TTL_S: Final = 5


class Health(BaseModel):
    """Whether the process answers."""

    status: str


class Readiness(BaseModel):
    """Whether uploads can be accepted, and the number of workers by queue.

    `broker`: ok, short_of_memory (uploads are refused, results are served), full, away or refused.
    `paused`: queues whose uploads an operator has paused; the gateway is ready, because it serves results.
    """

    status: str
    broker: str
    store: str
    workers: dict[str, int]
    paused: list[str]


class ModelList(BaseModel):
    """The worker processes with the models that each has loaded."""

    workers: list[WorkerCard]


@router.get("/livez", response_model=Health)
async def get_livez() -> Response:
    """Check that the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness, "description": "Not ready."}})
async def get_readyz(gateway: GatewayDep) -> Response:
    """Check that broker and store can be used. Workers are counted but not required: jobs wait for them."""
    body = await run_in_threadpool(_readiness, gateway)
    return JSONResponse(body.model_dump(), status_code=200 if body.status == "ok" else 503)


def _readiness(gateway: Gateway) -> Readiness:
    redis = gateway.records.redis
    broker = store = "ok"
    workers = dict.fromkeys(QUEUES.values(), 0)
    pauses: list[str] = []
    try:
        for card in worker_cards(redis):
            # A worker that takes batch jobs alone is in the metrics, and is none for those whom people wait for.
            for queue in workers.keys() & set(card.queues):
                workers[queue] += 1
        pauses = [QUEUES[branch] for branch in paused(redis)]
        broker = "short_of_memory" if broker_memory(redis).is_short else "ok"
        # A broker at its `maxmemory` answers reads and refuses writes.
        redis.set(f"{PREFIX}ready:{os.getpid()}", "1", ex=PROBE_TTL_S)
    except (RedisError, OSError) as error:
        failure_log.warn("not ready for the broker", error)
        broker = failure_kind(error).value
    try:
        gateway.store.check()
    except StoreUnavailableError:
        store = "away"
    # Short of memory, the gateway refuses uploads but still serves results: it stays in rotation.
    status = "ok" if broker in {"ok", "short_of_memory"} and store == "ok" else "unavailable"
    return Readiness(status=status, broker=broker, store=store, workers=workers, paused=pauses)


@router.get(
    "/v1/models",
    response_model=ModelList,
    responses=problems.responses(
        *problems.KEY_PROBLEMS, problems.BrokerAway, problems.BrokerRefused, problems.BrokerFull
    ),
)
async def list_models(gateway: GatewayDep, _: Owner) -> Response:
    """List the workers with the models that each has loaded: vitals served, licence, load time."""
    cards = await run_in_threadpool(worker_cards, gateway.records.redis)
    return JSONResponse({"workers": [card.model_dump(mode="json") for card in cards]})


class _Collector:
    """Reads the metrics from the broker at each scrape."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterable[Metric]:
        jobs = self._gateway.jobs
        up = GaugeMetricFamily("facevitals_broker_up", "Whether the broker answers.")
        try:
            counters = jobs.counters.read()
            active = jobs.records.active()
            memory = broker_memory(jobs.redis)
            cards = worker_cards(jobs.redis)
            loads = {priority: queue_loads(jobs.redis, priority) for priority in Priority}
            pauses = paused(jobs.redis)
            ages = {queue: oldest_s(jobs.redis, *of) for queue, of in ALL_QUEUES.items()}
            batch = jobs.records.batch()
            seen = list(read_histograms(jobs.redis))
            webhooks = Webhooks(jobs.redis).waiting()
        except (RedisError, OSError) as error:
            failure_log.warn("metrics without the broker", error)
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield GaugeMetricFamily("facevitals_jobs_active", "Jobs without a final document.", value=active)
        depth = GaugeMetricFamily("facevitals_queue_waiting", "Tasks waiting in a queue.", labels=["queue"])
        consumers = GaugeMetricFamily("facevitals_workers", "Worker processes by queue.", labels=["queue"])
        expected = GaugeMetricFamily(
            "facevitals_queue_expected_seconds", "Expected wait of a new job.", labels=["queue"]
        )
        halted = GaugeMetricFamily("facevitals_queue_paused", "1 while uploads are paused.", labels=["queue"])
        for queue, (branch, priority) in ALL_QUEUES.items():
            load = loads[priority][branch]
            depth.add_metric([queue], load.waiting)
            halted.add_metric([queue], branch in pauses)
            expected.add_metric([queue], load.expected_wait_s)
            consumers.add_metric([queue], sum(queue in card.queues for card in cards))
        yield depth
        yield halted
        yield expected
        yield consumers
        age = GaugeMetricFamily("facevitals_queue_oldest_seconds", "Age of the job taken next.", labels=["queue"])
        for queue, seconds in ages.items():
            age.add_metric([queue], seconds)
        yield age
        yield GaugeMetricFamily("facevitals_batch_jobs_active", "Unfinished batch jobs.", value=batch.jobs)
        yield GaugeMetricFamily("facevitals_batch_clip_bytes", "Size of their clips.", value=batch.clip_bytes)
        yield GaugeMetricFamily("facevitals_broker_memory_used_bytes", "Memory of the broker.", memory.used)
        yield GaugeMetricFamily("facevitals_broker_memory_max_bytes", "Its maximum; 0: unlimited.", memory.maximum)
        yield from _of_workers(cards)
        yield from _of_distributions(seen)
        yield from _of_counters(counters)
        yield GaugeMetricFamily("facevitals_webhooks_waiting", "Webhooks neither delivered nor given up.", webhooks)
        waiting = self._gateway.notifier.waiting
        yield GaugeMetricFamily("facevitals_waiting_clients", "Clients that follow or long-poll.", value=waiting)


def _of_counters(counters: dict[str, int]) -> Iterable[Metric]:
    # Counts of 0 are reported as well: an alert can't detect the rise of a missing series to 1.
    counted = dict.fromkeys((f"{COUNTED}:{outcome}" for outcome in Outcome), 0) | counters
    dropped = [f"{DROPPED}:{queue}:{why}" for queue in QUEUES.values() for why in Dropped]
    rejected = [f"{REJECTED}:{code}" for code in ErrorCode if code.rejects_clip]
    counted = dict.fromkeys([*dropped, *rejected], 0) | counted
    families = {
        "jobs": CounterMetricFamily("facevitals_jobs_finished", "Finished jobs.", labels=["state"]),
        "vitals": CounterMetricFamily(
            "facevitals_vitals", "Vitals of finished jobs.", labels=["vital", "status", "reason"]
        ),
        REJECTED: CounterMetricFamily("facevitals_clips_rejected", "Rejected clips by error code.", labels=["code"]),
        COUNTED: CounterMetricFamily("facevitals_webhooks", "Attempts by outcome.", labels=["outcome"]),
        DROPPED: CounterMetricFamily(
            "facevitals_messages_dropped", "Messages taken without any work.", labels=["queue", "why"]
        ),
    }
    for name, value in sorted(counted.items()):
        kind, *labels = name.split(":")
        # A gateway of a later release may count more.
        if kind in families:
            families[kind].add_metric(labels, value)
    return families.values()


def _of_workers(cards: list[WorkerCard]) -> Iterable[Metric]:
    load = GaugeMetricFamily("facevitals_model_load_seconds", "Loading of models.", labels=["worker", "model"])
    memory = GaugeMetricFamily("facevitals_model_memory_bytes", "Weights in memory.", labels=["worker", "model"])
    used = GaugeMetricFamily("facevitals_gpu_memory_used_bytes", "GPU memory in use.", labels=["worker"])
    total = GaugeMetricFamily("facevitals_gpu_memory_total_bytes", "Total GPU memory.", labels=["worker"])
    for card in cards:
        for model in card.models:
            load.add_metric([card.id, model.name], model.load_ms / 1000)
            memory.add_metric([card.id, model.name], model.memory_bytes)
        if card.gpu is not None:
            used.add_metric([card.id], card.gpu.used_bytes)
            total.add_metric([card.id], card.gpu.total_bytes)
    return load, memory, used, total


def _of_distributions(seen: list[Histogram]) -> Iterable[Metric]:
    for of in HISTOGRAMS.values():
        family = HistogramMetricFamily(of.name, of.help, labels=of.labels)
        for each in (one for one in seen if one.spec is of):
            bounds = [*map(str, of.bounds), "+Inf"]
            family.add_metric(each.labels, list(zip(bounds, accumulate(each.counts), strict=True)), each.total)
        yield family


_METRICS_RESPONSE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Prometheus text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/metrics", response_class=Response, responses=_METRICS_RESPONSE)
async def get_metrics(gateway: GatewayDep) -> Response:
    """Get the metrics for Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(gateway))
    return Response(await run_in_threadpool(generate_latest, registry), media_type=CONTENT_TYPE_LATEST)
