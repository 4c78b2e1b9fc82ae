"""Commands that run the service: `up`, `run`, `gateway`, `worker`, `submit`."""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from facevitals.cli.render import print_document
from facevitals.client import Client, ClientError, ProblemError
from facevitals.local.broker import BrokerNotStartedError
from facevitals.local.generated_clip import generated_clip
from facevitals.local.isolated_settings import isolated_settings
from facevitals.local.processes import Stopped, allow_many_files
from facevitals.local.stack import StackFailedError, running
from facevitals.local.terminal import output
from facevitals.local.worker_command import worker_command
from shared.jobs.queues import ALL_QUEUES, QUEUES, QUEUES_VARIABLE
from shared.schemas import BranchStatus, JobDocument, JobState, Priority
from shared.settings import Settings, settings
from shared.vitals import VITALS

#: Responses of a gateway that refuses a clip: too large, of another format, or not usable.
_REFUSED_CLIP: Final = frozenset({413, 415, 422})

console = output()
errors = Console(stderr=True, markup=False)


def gateway() -> None:
    """Run one gateway process (needs FACEVITALS_REDIS_URL)."""
    import uvicorn

    from api.app import create_app
    from api.connections import BoundedConnection

    config = settings()
    # Every client that follows its job holds a connection; a login shell allows 1,024 open files by default.
    allow_many_files()
    try:
        application = create_app(config)
    except ValueError as error:
        errors.print(str(error), style="red")
        raise typer.Exit(1) from error
    uvicorn.run(
        application,
        host=config.host,
        port=config.port,
        log_config=None,
        access_log=False,
        server_header=False,
        # One, whatever WEB_CONCURRENCY is: an application object can't be started twice.
        workers=1,
        http=BoundedConnection,
        ws="none",
        timeout_keep_alive=config.client_timeout_s,
        # Open event streams would keep the process alive.
        timeout_graceful_shutdown=3,
    )


def worker(
    queues: Annotated[str, typer.Option(help="Comma-separated queues to serve.")] = ",".join(QUEUES.values()),
    priority: Annotated[
        Priority | None, typer.Option(help="Serve jobs of this priority alone; by default batch jobs after all others.")
    ] = None,
    concurrency: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
) -> None:
    """Run one worker (needs FACEVITALS_REDIS_URL). Models are loaded once in each of its processes."""
    config = settings()
    names = [name.strip() for name in queues.split(",") if name.strip()]
    if not names or not set(names) <= set(QUEUES.values()):
        errors.print(f"--queues takes a list of {', '.join(QUEUES.values())}.", style="red")
        raise typer.Exit(2)
    if not config.redis_url:
        errors.print("FACEVITALS_REDIS_URL is not set: name the broker that the gateway uses.", style="red")
        raise typer.Exit(1)
    _require_what_workers_need(config)
    served = [name for name, (branch, of) in ALL_QUEUES.items() if QUEUES[branch] in names and priority in {None, of}]
    os.environ[QUEUES_VARIABLE] = ",".join(served)
    command = worker_command("workers.tasks", served, concurrency, config.log_level)
    os.execv(sys.executable, command)  # noqa: S606  (no shell, and no input of others)


def up(
    workers: Annotated[int, typer.Option(help="Workers for each queue.", min=1)] = 1,
) -> None:
    """Run broker, gateway and workers; Ctrl-C stops all of them."""
    _require_what_workers_need(settings())
    try:
        with running(settings(), workers=workers) as stack:
            try:
                stack.wait_ready()
                console.print(f"Face Vitals is up: [bold]{stack.url}[/]  (API: {stack.url}/docs, Ctrl-C stops)")
                while True:
                    time.sleep(0.5)
                    for name in stack.keep_running():
                        errors.print(f"The {name} died and was started again.", style="yellow")
            except Stopped:
                console.print("Stopping.")
    except Stopped:
        return
    except (StackFailedError, BrokerNotStartedError) as error:
        errors.print(str(error), style="red")
        raise typer.Exit(1) from error


def run(
    clip: Annotated[Path | None, typer.Argument(help="A clip; by default one is generated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the job document.")] = False,
) -> None:
    """Start the whole service, submit one clip, show its vitals, stop everything."""
    if clip is not None and not clip.is_file():
        errors.print(f"{clip} is not a file.", style="red")
        raise typer.Exit(2)
    with tempfile.TemporaryDirectory(prefix="facevitals-run-") as folder:
        # Isolated from a service that already runs.
        config = isolated_settings(Path(folder))
        _require_what_workers_need(config)
        logs = Path(folder) / "logs"
        try:
            truth: dict[str, float] = {}
            begun = time.monotonic()
            with running(config, logs=logs) as stack:
                if clip is None:
                    clip, truth = generated_clip(Path(folder))
                with console.status("Starting gateway, workers and broker"):
                    stack.wait_ready()
                console.print(f"Service ready after {time.monotonic() - begun:.1f} s at {stack.url}")
                document = _submit(stack.url, clip, None)
        except (StackFailedError, BrokerNotStartedError, ClientError) as error:
            errors.print(str(error), style="red", highlight=False)
            _show_logs(logs)
            raise typer.Exit(1) from error
        except Stopped as stopped:
            raise typer.Exit(130) from stopped
        if document.state is not JobState.SUCCEEDED:
            _show_logs(logs)
    if as_json:
        console.print_json(document.model_dump_json())
    else:
        print_document(console, document, truth)
    raise typer.Exit(0 if document.state is JobState.SUCCEEDED else 1)


def submit(
    clip: Annotated[Path, typer.Argument(help="An MP4 or WebM file.")],
    url: Annotated[str, typer.Option(help="The gateway.", envvar="FACEVITALS_URL")] = "http://127.0.0.1:8000",
    vitals: Annotated[str | None, typer.Option(help=f"Comma-separated subset of: {', '.join(VITALS)}.")] = None,
    api_key: Annotated[str | None, typer.Option(help="API key.", envvar="FACEVITALS_API_KEY")] = None,
    priority: Annotated[
        Priority, typer.Option(help="batch: after all interactive jobs, for hours if need be.")
    ] = Priority.INTERACTIVE,
    follow: Annotated[bool, typer.Option(help="Follow the job to its end; --no-follow prints its id.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the job document.")] = False,
) -> None:
    """Upload a clip to a gateway, follow its events, print the result. Exit 0 analysed, 2 clip rejected, 1 failure."""
    try:
        if not follow:
            with Client(url, api_key) as client:
                print(client.submit(clip, vitals=vitals, priority=priority.value))
            return
        document = _submit(url, clip, vitals, api_key, priority=priority, quiet=as_json)
    except (ClientError, OSError) as error:
        reason = f"{clip}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
        errors.print(reason, style="red", highlight=False)
        refused = isinstance(error, ProblemError) and error.status in _REFUSED_CLIP
        raise typer.Exit(2 if refused else 1) from error
    if as_json:
        print(document.model_dump_json())
    else:
        print_document(console, document)
    raise typer.Exit(exit_code(document))


def _require_what_workers_need(config: Settings) -> None:
    """End the command where workers would end at their start.

    They need the models that find the face, and a calibration that can be used if one is set.
    """
    try:
        from workers.models.installed import missing_face_models
        from workers.rppg.fusion.recalibration import Recalibration, RecalibrationUnreadable
    except ModuleNotFoundError:  # the worker's own message says what to install
        return
    try:
        Recalibration.read(config.calibration)
    except RecalibrationUnreadable as error:
        errors.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(1) from error
    missing = missing_face_models(config.models_path)
    if missing:
        names = ", ".join(model.entry.name for model in missing)
        errors.print(f"Nothing can be measured without {names}; get it with: {missing[0].entry.command}", style="red")
        raise typer.Exit(1)


def exit_code(document: JobDocument) -> int:
    """0 analysed, 2 the clip was rejected, 1 anything else: a branch that failed alone is a failure too."""
    if document.state is JobState.SUCCEEDED:
        ended_badly = {BranchStatus.ERROR, BranchStatus.TIMEOUT}
        return int(any(branch.status in ended_badly for branch in document.branches.by_name().values()))
    return 2 if document.error and document.error.code.rejects_clip else 1


def _submit(
    url: str,
    clip: Path,
    vitals: str | None,
    api_key: str | None = None,
    *,
    priority: Priority = Priority.INTERACTIVE,
    quiet: bool = False,
) -> JobDocument:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(pulse_style="cyan"), TimeElapsedColumn())
    progress = Progress(*columns, console=errors if quiet else console, transient=quiet)
    with Client(url, api_key) as client, progress:
        shown: set[str] = set()
        task = progress.add_task(f"uploading {escape(clip.name)}", total=None)
        job_id = client.submit(clip, vitals=vitals, priority=priority.value)
        progress.update(task, description=f"job {job_id} is queued")
        for event in client.events(job_id):
            line, style = "", None
            match event.name, event.data:
                case "stage", {"branch": str(branch), "stage": str(stage), "elapsed_ms": int(elapsed_ms)}:
                    progress.update(task, description=f"{branch}: {stage}")
                    line, style = f"{branch:<7} {elapsed_ms:>6} ms  {stage}", "dim"
                case "vital", {"name": str(name), "vital": {"value": None, "reason": reason}} if name in shown:
                    line = f"        {name} is withdrawn: {reason}"
                case "vital", {"name": str(name), "vital": {"value": float() | str() | int() as value}}:
                    shown.add(name)
                    line = f"        {name} = {f'{value:.1f}' if isinstance(value, float) else value}"
            if line and not quiet:
                progress.console.print(line, style=style, highlight=False)
        document = client.wait(job_id)
        progress.update(task, description=f"job {job_id} {document.state.value}", total=1, completed=1)
    return document


def _show_logs(logs: Path) -> None:
    for log in sorted(logs.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-12:]
        if lines:
            errors.print(f"--- {log.stem}", style="bold")
            errors.print("\n".join(lines), highlight=False, markup=False)
