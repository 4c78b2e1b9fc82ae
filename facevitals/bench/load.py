"""`facevitals bench load`: the service compared with baselines, and the cost of followers, waiting jobs and workers."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from facevitals.bench import baselines
from facevitals.bench.load_services import environment, servers_running, wait, workers_running
from facevitals.local.broker import free_port, start_broker
from facevitals.local.isolated_settings import isolated_settings
from facevitals.local.processes import Child, allow_many_files, start_child
from facevitals.local.worker_command import worker_command
from lab.report import Report
from shared.jobs.connection import connect
from shared.jobs.queues import QUEUES, QUEUES_VARIABLE
from shared.jobs.worker_registry import worker_cards
from shared.settings import Settings
from shared.vitals import Branch

#: Jobs created to compare an empty queue with a long one.
_PROBES: Final = 300


@dataclass(frozen=True)
class LoadPlan:
    """What to measure, and how much of it. 0, or an empty `processes`, leaves a measurement out.

    seconds, rounds  length of a round of uploads, and rounds of service and baseline in turn
    jobs             jobs and no-ops in each round
    followers        event streams held open
    waiting          jobs in the queue while others are queued
    processes        numbers of worker processes whose throughput is measured
    uploads          whether jobs and uploads are compared with the baselines
    clips            jobs by which the cost of a clip is measured
    """

    seconds: float
    rounds: int
    jobs: int
    followers: int
    waiting: int
    processes: Sequence[int]
    uploads: bool
    clips: int


def measure_load(plan: LoadPlan, folder: Path) -> Report:
    """Run the plan with all files in `folder`.

    Raises:
        TimeoutError: a process did not start, or workers did not finish.
    """
    allow_many_files()
    broker = start_broker(folder / "broker")
    config = isolated_settings(
        folder,
        redis_url=broker.url,
        port=free_port(),
        max_queued=1_000_000,
        # Everything is queued at once, and no job may be refused.
        max_wait_s=1e6,
        job_deadline_s=600,
        clip_ttl_s=3_000_000,
        max_upload_mb=50,
        log_level="warning",
    )
    os.environ[baselines.BROKER_VARIABLE] = broker.url
    baselines.celery.conf.broker_url = baselines.celery.conf.result_backend = broker.url
    report = Report("load", "Load: the service beside baselines", ["what", "ours", "baseline", "ratio"])
    try:
        with servers_running(config, folder) as (gateway, baseline_port):
            if plan.uploads:
                _jobs_and_uploads(plan, config, folder, report, gateway, baseline_port)
            gateway_ms = _uploads_cost(config, folder, report, gateway) if plan.clips else 0.0
            if plan.followers:
                _followers(plan, config, report, gateway)
        if plan.clips:
            _costs(plan, config, folder, report, gateway_ms)
        for count in plan.processes:
            _worker_scaling(count, plan.processes[0], config, folder, report)
        if plan.waiting:
            with servers_running(config, folder) as (gateway, _):
                _long_queue(plan, config, report, gateway)
    finally:
        broker.child.stop(3)
    return report


def _jobs_and_uploads(
    plan: LoadPlan, config: Settings, folder: Path, report: Report, gateway: Child, baseline_port: int
) -> None:
    from facevitals.bench import jobs_and_uploads as parts
    from facevitals.bench.process_usage import peak_memory

    ours_s: list[float] = []
    baseline_s: list[float] = []
    with workers_running(config, folder):
        parts.job_times(config, 10)
        parts.noop_times(10)
        for _ in range(plan.rounds):
            ours_s += parts.job_times(config, plan.jobs)
            baseline_s += parts.noop_times(plan.jobs)
    ours_ms, baseline_ms = parts.median_ms(ours_s), parts.median_ms(baseline_s)
    report.add("job without analysis, two branches to document: median ms", ours_ms, baseline_ms, ours_ms / baseline_ms)
    ours_95, baseline_95 = (1000 * parts.percentile(times, 0.95) for times in (ours_s, baseline_s))
    report.add("the same, 95th percentile ms", ours_95, baseline_95, ours_95 / baseline_95)
    ratios = []
    for upload in parts.UPLOAD_BYTES:
        rates = []
        parts.uploads_per_s(config.port, "/v1/jobs", upload, 1)
        parts.uploads_per_s(baseline_port, "/", upload, 1)
        for _ in range(plan.rounds):
            ours = parts.uploads_per_s(config.port, "/v1/jobs", upload, plan.seconds)
            rates.append((ours, parts.uploads_per_s(baseline_port, "/", upload, plan.seconds)))
            _empty(folder)
        ours_rate, baseline_rate = (median(rate[side] for rate in rates) for side in (0, 1))
        ratios.append(median(ours / baseline for ours, baseline in rates))
        report.add(f"uploads of {upload / 1e6:.1f} MB a second", ours_rate, baseline_rate, ratios[-1])
    size = config.max_upload_bytes - 1000
    before, peak = peak_memory(gateway.process.pid, lambda: parts.upload_together(config.port, 20, size))
    report.add("gateway MB, before and while 20 clients upload 50 MB each", peak, before, peak / before)
    report.notes.append(
        "The baselines: a Celery no-op with a Redis result; an ASGI app that streams the body to a file."
    )
    report.summary |= {
        "job_ms": round(ours_ms, 2),
        "noop_ms": round(baseline_ms, 2),
        "uploads_per_s": round(ours_rate, 1),
        "uploads_ratio": round(ratios[-1], 2),
        "uploads_ratio_short": round(ratios[0], 2),
        "gateway_mb_idle": round(before),
        "gateway_mb_peak": round(peak),
    }


def _uploads_cost(config: Settings, folder: Path, report: Report, gateway: Child) -> float:
    """Processor time of the gateway for one clip, ms: upload, job, response."""
    from facevitals.bench.costs import CLIP_BYTES
    from facevitals.bench.followers import clear
    from facevitals.bench.jobs_and_uploads import uploads_per_s
    from facevitals.bench.process_usage import cpu_s

    uploads_per_s(config.port, "/v1/jobs", CLIP_BYTES, 1)
    before_s, begun = cpu_s(gateway.process.pid), time.perf_counter()
    rate = uploads_per_s(config.port, "/v1/jobs", CLIP_BYTES, 4)
    took_ms = 1000 * (cpu_s(gateway.process.pid) - before_s) / (rate * (time.perf_counter() - begun))
    clear(config)
    _empty(folder)
    report.add(f"gateway: processor ms of an upload of {CLIP_BYTES / 1e6:.1f} MB", took_ms, "", "")
    return took_ms


def _costs(plan: LoadPlan, config: Settings, folder: Path, report: Report, gateway_ms: float) -> None:
    """Cost of a real clip's job in each process, and the machines that rates of clips need."""
    from facevitals.bench.costs import ClipCost, job_cost, machines
    from facevitals.bench.replay import record, save
    from facevitals.bench.worker_variables import RECORDING_VARIABLE
    from facevitals.local.generated_clip import generated_clip
    from lab.bench.speed import cost_of
    from workers.analyzer import Analyzer, AnalyzerOptions

    clip, _ = generated_clip(folder)
    analyzer = Analyzer.load(AnalyzerOptions.from_settings(config))
    # The first run warms the models up and is recorded; the second is timed.
    save({branch: record(branch, clip, analyzer) for branch in Branch}, folder / "recording.json")
    branch_s = {branch: cost_of(partial(record, branch, clip, analyzer)).cpu_s for branch in Branch}
    analyzer.close()
    env = {
        **environment(config, folder),
        RECORDING_VARIABLE: str(folder / "recording.json"),
        QUEUES_VARIABLE: ",".join(QUEUES.values()),
    }
    command = worker_command("facevitals.bench.replay_worker", list(QUEUES.values()), 1, "warning")
    with (folder / "log").open("ab") as log:
        worker = start_child("replay", command, env=env, log=log)
    try:
        client = connect(config.redis_url)
        wait(lambda: len(worker_cards(client)) == 1, "the worker", folder)
        job = job_cost(config, worker.process.pid, plan.clips)
    finally:
        worker.stop(10)
        wait(lambda: not worker_cards(client), "the last workers' cards to go", folder)
    for branch in Branch:
        report.add(f"{branch} branch of a clip of 15 s: processor s", branch_s[branch], "", "")
    report.add("worker, beside the analysis: processor ms a job", job.worker_ms, "", "")
    report.add("broker: processor ms a job", job.broker_ms, "", "")
    report.add("broker: KiB that a finished job keeps", job.kept_kib, "", "")
    report.add("broker: kB that a job adds to the append-only file", job.written_kb, "", "")
    worker_s = sum(branch_s.values()) + job.worker_ms / 1000
    cost = ClipCost(worker_s, gateway_ms / 1000, job.broker_ms / 1000, job.kept_kib)
    hours = [machines(cost, clips) for clips in (1, 1000, 1_000_000)]
    for each in hours:
        for name, value in asdict(each).items():
            if name != "clips_per_hour":
                report.add(f"{each.clips_per_hour:,} clips an hour: {name.replace('_', ' ')}", value, "", "")
    report.summary["cost"] = {name: round(value, 5) for name, value in asdict(cost).items()}
    report.summary["machines"] = [{name: round(value, 4) for name, value in asdict(each).items()} for each in hours]


def _followers(plan: LoadPlan, config: Settings, report: Report, gateway: Child) -> None:
    from facevitals.bench.followers import clear, follow_all

    cost = follow_all(config, gateway.process.pid, plan.followers)
    clear(config)  # its messages would disturb the next measurement
    report.add(f"{cost.followers} event streams: KiB each", cost.kib_each, "", "")
    report.add("the same, idle: share of a core", cost.cpu_share, "", "")
    report.add("the same: median s until an event is read", cost.latency_s, "", "")
    report.add("the same: 99th percentile s", cost.latency_p99_s, "", "")
    report.summary |= {
        "followers": cost.followers,
        "followers_ended": cost.ended,
        "follower_kib": round(cost.kib_each, 1),
        "followers_idle_cpu": round(cost.cpu_share, 3),
        "follower_latency_s": round(cost.latency_s, 3),
        "follower_latency_p99_s": round(cost.latency_p99_s, 3),
    }


def _long_queue(plan: LoadPlan, config: Settings, report: Report, gateway: Child) -> None:
    from facevitals.bench.followers import broker_mb, clear, create_ms, make_jobs
    from facevitals.bench.process_usage import cpu_share

    create_ms(config, _PROBES)
    # The short queue is measured before and after the long one, so that other load on the machine affects both.
    short = [create_ms(config, _PROBES)]
    before_mb = broker_mb(config)
    waiting = make_jobs(config, plan.waiting)
    after_mb = broker_mb(config)
    long = [create_ms(config, _PROBES), create_ms(config, _PROBES)]
    sweep_share = cpu_share(gateway.process.pid, 10.0)
    clear(config)
    short.append(create_ms(config, _PROBES))
    short_ms, long_ms = sum(short) / 2, sum(long) / 2
    kib = (after_mb - before_mb) * 1e6 / 1024 / len(waiting)
    report.add(
        f"creating and queueing a job: ms behind {plan.waiting} and behind none", long_ms, short_ms, long_ms / short_ms
    )
    report.add("broker: KiB a waiting job", kib, "", "")
    report.add("the gateway's sweep of them: share of a core", sweep_share, "", "")
    report.summary |= {
        "waiting": len(waiting),
        "enqueue_ms": round(long_ms, 3),
        "enqueue_ratio": round(long_ms / short_ms, 2),
        "waiting_kib": round(kib, 2),
        "sweep_cpu": round(sweep_share, 3),
    }


def _worker_scaling(count: int, first: int, config: Settings, folder: Path, report: Report) -> None:
    from facevitals.bench.process_usage import family_cpu_s
    from facevitals.bench.worker_scaling import BRANCH_S, throughput
    from facevitals.bench.worker_variables import SLEEP_VARIABLE

    env = {**environment(config, folder), SLEEP_VARIABLE: str(BRANCH_S), QUEUES_VARIABLE: ",".join(QUEUES.values())}
    command = worker_command("facevitals.bench.idle_worker", list(QUEUES.values()), count, "warning")
    with (folder / "log").open("ab") as log:
        worker = start_child("workers", command, env=env, log=log)
    try:
        client = connect(config.redis_url)
        wait(lambda: len(worker_cards(client)) == count, f"{count} worker processes", folder, 60 + 15 * count)
        before_s = family_cpu_s(worker.process.pid)
        done = throughput(config, count)
        cpu_ms = 1000 * (family_cpu_s(worker.process.pid) - before_s) / done.jobs / len(Branch)
    finally:
        worker.stop(10)
        wait(lambda: not worker_cards(client), "the last workers' cards to go", folder)
    efficiencies: dict[str, Any] = report.summary.setdefault("worker_scaling", {})
    efficiencies[str(count)] = round(done.efficiency, 3)
    base = efficiencies[str(first)]
    report.summary["worker_scaling_branch_cpu_ms"] = round(cpu_ms, 1)
    report.summary["worker_scaling_linear"] = round(done.efficiency / base, 3)
    what = f"jobs a second of {count} processes whose branches sleep {BRANCH_S} s; at best; share"
    report.add(what, done.jobs_per_s, count / len(Branch) / BRANCH_S, done.efficiency)


def _empty(folder: Path) -> None:
    for place in (folder / "clips" / "clips", folder / "baseline"):
        for path in place.iterdir():
            path.unlink(missing_ok=True)
