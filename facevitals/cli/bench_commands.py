"""`facevitals bench …`: measured reports, JSON and Markdown; the last line printed is one JSON object."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from facevitals.local.generated_clip import generated_clip
from facevitals.local.isolated_settings import analysis_settings

if TYPE_CHECKING:
    from lab.report import Report

console = Console(stderr=True)
app = typer.Typer(help="Measured reports; the last line printed is one JSON object.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="Folder of the reports.")]


def _publish(report: "Report", out: Path) -> None:
    """Write a report and print it; the last line is the summary as JSON."""
    path = report.write(out)
    console.print(report.markdown, markup=False, highlight=False)
    console.print(f"Written to {path}")
    print(json.dumps(report.summary))


@app.command()
def speed(
    clip: Annotated[Path | None, typer.Option(help="A clip; by default a generated one of 15 s.")] = None,
    rounds: Annotated[int, typer.Option(help="Times that each run is repeated.", min=1)] = 5,
    out: Out = Path("bench-out"),
) -> None:
    """Time the whole analysis and decoding of the same clip, in alternation."""
    from lab.bench.speed import measure
    from workers.analyzer import AnalyzerOptions

    with tempfile.TemporaryDirectory(prefix="facevitals-bench-") as folder:
        path = clip or generated_clip(Path(folder))[0]
        report = measure(path, AnalyzerOptions.from_settings(analysis_settings()), rounds)
    _publish(report, out)


@app.command()
def accuracy(
    live: Annotated[int, typer.Option(help="Simulated clips of a living person.", min=0)] = 240,
    negatives: Annotated[int, typer.Option(help="Simulated clips without a pulse.", min=0)] = 300,
    data: Annotated[Path | None, typer.Option(help="Folder of real clips and signals; left out where absent.")] = None,
    clips: Annotated[Path, typer.Option(help="Folder that keeps rendered clips, 5 MB each.")] = Path("bench-out/clips"),
    processes: Annotated[int, typer.Option(help="Processes that render and measure, at low priority.", min=1)] = 2,
    vision: Annotated[
        Path | None,
        typer.Option(help="Folder of labelled portraits: age, gender, BMI, obstruction and liveness, nothing else."),
    ] = None,
    impostors: Annotated[
        int, typer.Option(help="With --vision: simulated clips for liveness, 2 of 7 of them living; 0: none.", min=0)
    ] = 98,
    out: Out = Path("bench-out"),
) -> None:
    """Measure errors and coverage of the vitals and of their intervals. Continues where it stopped."""
    if vision is not None:
        from lab.bench.vision_report import vision_reports

        summary = {}
        for report in vision_reports(
            vision, analysis_settings().models_path, clips, impostors, data / "clips" if data else None
        ):
            report.write(out)
            console.print(report.markdown, markup=False, highlight=False)
            summary[report.name] = report.summary
        console.print(f"Written to {out}")
        print(json.dumps(summary))
        return
    from rich.progress import track as progress_over

    from lab.bench import accuracy as tables
    from lab.bench import recordings
    from lab.data.measured_clips import rows as measured
    from lab.data.vitals_clips import MEASUREMENT_SEED, render, specs
    from lab.simulate import ClipSpec
    from workers.face.tracker import FaceTracker
    from workers.media.clip import open_clip
    from workers.rppg.network_sessions import RppgModels
    from workers.rppg.signals.traces import traces_of

    config = analysis_settings()
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
    with open_clip(render(ClipSpec(), clips).path) as clip:
        traces = traces_of(FaceTracker().track(clip.frames()))
    reports.append(tables.by_estimator(rows, tables.costs_ms(models, traces)))
    if data is not None:
        reports.append(recordings.real_clips_report(data / "clips", models))
        signals = data / "ppg" / "bidmc_01_26.npz"
        if signals.is_file():
            reports.append(recordings.variability(signals))
    for report in reports:
        report.write(out)
        console.print(report.markdown, markup=False, highlight=False)
    try:
        tables.plot(rows, out)
    except ModuleNotFoundError as missing:
        console.print(f"No figure is drawn: {missing.name} is not installed.")
    console.print(f"Written to {out}")
    print(json.dumps(tables.summary(rows, reports)))


@app.command()
def load(
    seconds: Annotated[float, typer.Option(help="Length of one round of uploads.", min=1)] = 4,
    rounds: Annotated[int, typer.Option(help="Rounds, each measuring the service and the baseline.", min=1)] = 3,
    jobs: Annotated[int, typer.Option(help="Jobs and no-ops in each round.", min=10)] = 100,
    followers: Annotated[int, typer.Option(help="Event streams held open; 0 leaves them out.", min=0)] = 1000,
    waiting: Annotated[int, typer.Option(help="Jobs that wait while others are queued; 0: left out.", min=0)] = 10_000,
    processes: Annotated[str, typer.Option(help="Worker processes whose throughput is measured; empty: none.")] = (
        "1,2,4,8,16"
    ),
    uploads: Annotated[bool, typer.Option(help="Measure jobs and uploads beside baselines.")] = True,
    clips: Annotated[int, typer.Option(help="Jobs by which a clip's cost is measured; 0 leaves it out.", min=0)] = 200,
    out: Out = Path("bench-out"),
) -> None:
    """Measure queue, uploads and memory, compared with baselines; followers, a long queue, many workers."""
    from facevitals.bench.load import LoadPlan, measure_load

    plan = LoadPlan(
        seconds=seconds,
        rounds=rounds,
        jobs=jobs,
        followers=followers,
        waiting=waiting,
        processes=[int(number) for number in processes.split(",") if number.strip()],
        uploads=uploads,
        clips=clips,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="facevitals-bench-") as name:
            report = measure_load(plan, Path(name))
    except TimeoutError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from error
    _publish(report, out)


@app.command()
def burst(
    clips: Annotated[int, typer.Option(help="Clips that are sent at once.", min=1)] = 200,
    workers: Annotated[int, typer.Option(help="Workers for each queue.", min=1)] = 1,
    clip: Annotated[Path | None, typer.Option(help="A clip; by default one of 15 s is generated.")] = None,
) -> None:
    """Send many clips at once to few workers. Exit 1 if a clip was accepted and not analysed."""
    from facevitals.bench.burst import burst as run_burst
    from facevitals.local.generated_clip import generated_clip

    with tempfile.TemporaryDirectory(prefix="facevitals-burst-") as name:
        folder = Path(name)
        path = clip or generated_clip(folder)[0]
        summary = run_burst(path, clips, folder / "service", workers=workers)
    print(json.dumps(summary))
    if summary["succeeded"] != summary["accepted_in_the_end"]:
        raise typer.Exit(1)


@app.command()
def chaos(
    jobs: Annotated[int, typer.Option(help="Jobs to be accepted.", min=1)] = 500,
    seed: Annotated[int, typer.Option(help="Of clips and faults.")] = 1,
    every_s: Annotated[float, typer.Option("--every", help="Seconds between two faults, about.", min=0.1)] = 3.0,
    deadline_s: Annotated[float, typer.Option("--deadline", help="Seconds for waiting, and for work.", min=20)] = 40.0,
    keep: Annotated[Path | None, typer.Option(help="Keep logs, broker and store in this folder.")] = None,
) -> None:
    """Run jobs while workers die and freeze, broker and gateway restart, the disk fills. Exit 1 if anything is lost."""
    from facevitals.bench.chaos import chaos as run_chaos
    from facevitals.local.processes import Stopped

    try:
        with tempfile.TemporaryDirectory(prefix="facevitals-chaos-") as name:
            summary = run_chaos(
                (keep or Path(name)).absolute() / "service",
                jobs,
                seed,
                every_s=every_s,
                job_deadline_s=deadline_s,
                log=lambda line: console.print(line, markup=False, highlight=False),
            )
    except Stopped as stopped:
        raise typer.Exit(130) from stopped
    print(json.dumps(summary))
    wrong = [summary[name] for name in ("lost", "doubled", "foreign", "clips_left", "keys_without_ttl")]
    if any(wrong) or summary["documents"] != summary["jobs"] or summary["max_tries"] > summary["tries_allowed"]:
        raise typer.Exit(1)
