"""`facevitals bench …`: measured reports, JSON and Markdown; the last line printed is one JSON object."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from facevitals.broker import free_port, start_broker
from facevitals.processes import Child, start_child
from facevitals.service import generated_clip, worker_command
from shared.logs import silence_native_stderr
from shared.queues import QUEUES_VARIABLE
from shared.settings import Settings, settings
from shared.vitals import Branch
from shared.workers import worker_cards

console = Console(stderr=True)
app = typer.Typer(help="Measured reports; the last line printed is one JSON object.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="Folder of the reports.")]


@app.command()
def speed(
    clip: Annotated[Path | None, typer.Option(help="A clip; by default a generated one of 15 s.")] = None,
    rounds: Annotated[int, typer.Option(help="Times that each run is repeated.", min=1)] = 5,
    out: Out = Path("bench-out"),
) -> None:
    """The whole analysis against decoding the same clip, in turns."""
    silence_native_stderr()
    from lab.bench.speed import measure
    from workers.analysis import AnalyzerOptions

    with tempfile.TemporaryDirectory(prefix="facevitals-bench-") as folder:
        path = clip or generated_clip(Path(folder))[0]
        report = measure(path, AnalyzerOptions.from_settings(settings()), rounds)
    path = report.write(out)
    console.print(report.markdown, markup=False, highlight=False)
    console.print(f"Written to {path}")
    print(json.dumps(report.summary))


@app.command()
def accuracy(
    live: Annotated[int, typer.Option(help="Simulated clips of a living person.", min=0)] = 240,
    negatives: Annotated[int, typer.Option(help="Simulated clips that have no pulse to be told.", min=0)] = 300,
    data: Annotated[Path | None, typer.Option(help="Folder of real clips and signals; left out where absent.")] = None,
    clips: Annotated[Path, typer.Option(help="Folder where filmed clips stay: 5 MB each.")] = Path("bench-out/clips"),
    processes: Annotated[int, typer.Option(help="Processes that film and measure, all stepping behind.", min=1)] = 2,
    out: Out = Path("bench-out"),
) -> None:
    """How right the vitals are, how often they are told, and whether their intervals hold. Goes on where it stopped."""
    silence_native_stderr()
    from rich.progress import track as progress_over

    from lab.bench import accuracy as tables
    from lab.bench import recordings
    from lab.bench.trial import rows as measured
    from lab.simulate import ClipSpec
    from lab.trials import MEASUREMENT_SEED, film, specs
    from workers.clip import open_clip
    from workers.face import FaceTracker
    from workers.rppg.models import RppgModels
    from workers.rppg.traces import traces_of

    config = settings()
    models = RppgModels.load(config.models_path, 1, open_only=config.open_models_only)
    chosen = list(specs(live, negatives, MEASUREMENT_SEED))
    made = measured(
        chosen,
        config.models_path,
        clips,
        out / "accuracy-rows.jsonl",
        processes,
        open_only=config.open_models_only,
    )
    rows = list(progress_over(made, "clips", total=len(chosen), console=console))
    reports = [table(rows) for table in tables.TABLES]
    with open_clip(film(ClipSpec(), clips).path) as clip:
        traces = traces_of(FaceTracker().track(clip.frames()))
    reports.append(tables.by_estimator(rows, tables.costs_ms(models, traces)))
    if data is not None:
        reports.append(recordings.real_clips(data / "clips", models))
        signals = data / "ppg" / "bidmc_01_26.npz"
        if signals.is_file():
            reports += [recordings.respiration(signals), recordings.variability(signals)]
    for report in reports:
        report.write(out)
        console.print(report.markdown, markup=False, highlight=False)
    tables.plot(rows, out)
    console.print(f"Written to {out}")
    print(json.dumps(tables.summary(rows, reports)))


@app.command()
def load(
    seconds: Annotated[float, typer.Option(help="Length of one round of uploads.", min=1)] = 4,
    rounds: Annotated[int, typer.Option(help="Rounds, each measuring ours and the bare part.", min=1)] = 3,
    jobs: Annotated[int, typer.Option(help="Jobs and no-ops in each round.", min=10)] = 100,
    out: Out = Path("bench-out"),
) -> None:
    """Queue, uploads and memory, beside bare parts that do the same."""
    from statistics import median

    from lab.bench import bare
    from lab.bench.report import Report

    with tempfile.TemporaryDirectory(prefix="facevitals-bench-") as name:
        folder = Path(name)
        broker = start_broker(folder / "broker")
        config = Settings(
            redis_url=broker.url, data_dir=folder, port=free_port(), max_queued=1_000_000, job_deadline_s=600
        )
        os.environ[bare.BROKER_VARIABLE] = broker.url
        # These read the environment as they are imported.
        from lab.bench import load as parts

        bare.celery.conf.broker_url = bare.celery.conf.result_backend = broker.url
        report = Report("load", "Load: ours beside bare parts", ["what", "ours", "bare", "ratio"])
        try:
            with _parts(config, folder) as (gateway, bare_port):
                ours_s: list[float] = []
                bare_s: list[float] = []
                with _workers(config, folder):
                    parts.job_times(config, 10)
                    parts.noop_times(10)
                    for _ in range(rounds):
                        ours_s += parts.job_times(config, jobs)
                        bare_s += parts.noop_times(jobs)
                ours_ms, bare_ms = parts.median_ms(ours_s), parts.median_ms(bare_s)
                report.add("job without work, two branches to document: median ms", ours_ms, bare_ms, ours_ms / bare_ms)
                ours_95, bare_95 = (1000 * parts.percentile(times, 0.95) for times in (ours_s, bare_s))
                report.add("the same, 95th percentile ms", ours_95, bare_95, ours_95 / bare_95)
                ratios = []
                for upload in parts.UPLOAD_BYTES:
                    rates = []
                    parts.uploads_per_s(config.port, "/v1/jobs", upload, 1)
                    parts.uploads_per_s(bare_port, "/", upload, 1)
                    for _ in range(rounds):
                        ours = parts.uploads_per_s(config.port, "/v1/jobs", upload, seconds)
                        rates.append((ours, parts.uploads_per_s(bare_port, "/", upload, seconds)))
                        _empty(folder)
                    ours_rate, bare_rate = (median(rate[side] for rate in rates) for side in (0, 1))
                    ratios.append(median(ours / bare_ for ours, bare_ in rates))
                    report.add(f"uploads of {upload / 1e6:.1f} MB a second", ours_rate, bare_rate, ratios[-1])
                size = config.max_upload_bytes - 1000
                before, peak = parts.peak_memory(
                    gateway.process.pid, lambda: parts.upload_together(config.port, 20, size)
                )
                report.add("gateway MB, before and while 20 clients upload 50 MB each", peak, before, peak / before)
        finally:
            broker.child.stop(3)
    report.notes.append(
        "The bare parts: a Celery no-op with a Redis result; an ASGI app that streams the body to a file."
    )
    report.summary = {
        "job_ms": round(ours_ms, 2),
        "noop_ms": round(bare_ms, 2),
        "uploads_per_s": round(ours_rate, 1),
        "uploads_ratio": round(ratios[-1], 2),
        "uploads_ratio_short": round(ratios[0], 2),
        "gateway_mb_idle": round(before),
        "gateway_mb_peak": round(peak),
    }
    path = report.write(out)
    console.print(report.markdown, markup=False, highlight=False)
    console.print(f"Written to {path}")
    print(json.dumps(report.summary))


@app.command()
def chaos(
    jobs: Annotated[int, typer.Option(help="Jobs to be accepted.", min=1)] = 500,
    seed: Annotated[int, typer.Option(help="Of clips and blows.")] = 1,
    every_s: Annotated[float, typer.Option("--every", help="Seconds between two blows, about.", min=0.1)] = 3.0,
    deadline_s: Annotated[float, typer.Option("--deadline", help="Seconds in which a job must end.", min=20)] = 60.0,
    keep: Annotated[Path | None, typer.Option(help="Keep logs, broker and store in this folder.")] = None,
) -> None:
    """Jobs while workers die and freeze, broker and gateway restart, the disk fills. Exit 1 where anything is lost."""
    from facevitals.chaos import chaos as run_chaos

    with tempfile.TemporaryDirectory(prefix="facevitals-chaos-") as name:
        summary = run_chaos(
            (keep or Path(name)).absolute() / "service",
            jobs,
            seed,
            every_s=every_s,
            job_deadline_s=deadline_s,
            log=lambda line: console.print(line, markup=False, highlight=False),
        )
    print(json.dumps(summary))
    wrong = [summary[name] for name in ("lost", "doubled", "foreign", "clips_left", "keys_without_ttl")]
    if any(wrong) or summary["documents"] != summary["jobs"] or summary["most_tries"] > summary["tries_allowed"]:
        raise typer.Exit(1)


def _empty(folder: Path) -> None:
    for place in (folder / "clips" / "clips", folder / "bare"):
        for path in place.iterdir():
            path.unlink(missing_ok=True)


def _environment(config: Settings, folder: Path) -> dict[str, str]:
    from lab.bench import bare

    return {
        "FACEVITALS_REDIS_URL": config.redis_url,
        "FACEVITALS_PORT": str(config.port),
        "FACEVITALS_DATA_DIR": str(config.data_dir),
        "FACEVITALS_MAX_QUEUED": str(config.max_queued),
        "FACEVITALS_JOB_DEADLINE_S": str(config.job_deadline_s),
        "FACEVITALS_LOG_LEVEL": "warning",
        bare.FOLDER_VARIABLE: str(folder / "bare"),
    }


@contextmanager
def _parts(config: Settings, folder: Path) -> Iterator[tuple[Child, int]]:
    """Our gateway and the bare uploader, both answering."""
    (folder / "bare").mkdir()
    env = _environment(config, folder)
    port = free_port()
    bare_server = [sys.executable, "-m", "uvicorn", "lab.bench.bare:upload", "--port", str(port), "--no-access-log"]
    with (folder / "log").open("ab") as log:
        children = [
            start_child("gateway", [sys.executable, "-m", "facevitals", "gateway"], env=env, log=log),
            start_child("bare", [*bare_server, "--log-level", "warning"], env=env, log=log),
        ]
    try:
        _wait(lambda: _answers(f"http://127.0.0.1:{config.port}/livez"), "the gateway", folder)
        _wait(lambda: _listens(port), "the bare server", folder)
        yield children[0], port
    finally:
        for child in children:
            child.stop(5)


@contextmanager
def _workers(config: Settings, folder: Path) -> Iterator[None]:
    """Idle workers on both queues, and one for the bare no-op."""
    from shared.records import connect

    env = _environment(config, folder)
    bare_worker = [sys.executable, "-m", "celery", "-A", "lab.bench.bare:celery", "worker", "--loglevel", "warning"]
    bare_worker += [
        "--pool",
        "prefork",
        "--concurrency",
        "1",
        "--queues",
        "bare",
        "--without-gossip",
        "--without-mingle",
    ]
    with (folder / "log").open("ab") as log:
        children = [
            start_child(
                branch,
                worker_command("lab.bench.idle_worker", [branch], 1, "warning"),
                env={**env, QUEUES_VARIABLE: branch},
                log=log,
            )
            for branch in Branch
        ]
        children.append(start_child("bare", bare_worker, env=env, log=log))
    try:
        client = connect(config.redis_url)
        _wait(lambda: len(worker_cards(client)) == len(Branch), "the workers", folder)
        yield
    finally:
        for child in children:
            child.stop(5)


def _wait(true: Callable[[], bool], what: str, folder: Path, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.1)
    console.print((folder / "log").read_text(errors="replace")[-3000:], markup=False, highlight=False)
    console.print(f"{what} did not start", style="red")
    raise typer.Exit(1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _listens(port: int) -> bool:
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
